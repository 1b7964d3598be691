//! The built-in operations, one file per family: shape rule, evaluation and derivative side by side.
//!
//! Most people never name these types: the methods of [`Var`](crate::Var) record them.

mod activation;
mod arithmetic;
mod attention;
#[cfg(feature = "alloc")]
mod built_in;
mod conv;
mod dropout;
mod elementwise;
mod gather;
mod label_smoothing;
mod loss;
mod matmul;
mod noise;
mod norm;
mod pool;
mod reduce;
mod shape;
mod softmax;

pub use attention::{AttentionMix, AttentionScores};
#[cfg(feature = "alloc")]
pub(crate) use built_in::BuiltIn;
#[cfg(feature = "alloc")]
pub use built_in::Element;
pub use conv::{Conv2dOptions, ConvBackwardInput, ConvBackwardWeight, ConvForward};
pub use dropout::Dropout;
pub use elementwise::{Alike, Elementwise, Map, Zip, ZipElementwise};
pub use gather::{GatherRows, ScatterAddRows};
pub use label_smoothing::{SmoothedCrossEntropy, SmoothedCrossEntropyBackward};
pub use loss::{LossScale, MeanSquaredError};
pub use matmul::{AddMatMul, BatchedMatMul, Linear, MatMul};
pub use noise::{GaussianNoise, GroupDropout};
pub use norm::{
    BatchNorm, BatchNormBackwardAffine, BatchNormBackwardInput, BatchNormStatistics, LayerNorm,
    LayerNormBackwardAffine, LayerNormBackwardInput,
};
pub use pool::{AvgPool, MaxPoolArgmax, MaxPoolScatter, MaxPoolSelect, Pool2dOptions};
pub use reduce::{ColumnSums, Reduction};
pub use shape::{Axes, Concat, Copied, Full, Gather, Reshape, Scatter, SliceRange};
pub use softmax::{CrossEntropy, CrossEntropyBackward, Softmax, SoftmaxBackward};

use crate::{Kind, OpError, ValueType};
use bantam_core::Shape;

/// The shapes of the `N` inputs of an op, all numbers.
pub(crate) fn reals<'i, const N: usize>(
    op: &'static str,
    inputs: &'i [ValueType],
) -> Result<[&'i Shape; N], OpError> {
    expect(op, inputs, [Kind::Real; N])
}

/// The type of the two inputs of an op, numbers of one shape.
pub(crate) fn alike(op: &'static str, inputs: &[ValueType]) -> Result<ValueType, OpError> {
    let [&expected, &got] = reals(op, inputs)?;
    if expected == got { Ok(inputs[0]) } else { Err(OpError::Shape { op, expected, got }) }
}

/// The shapes of the inputs of an op, which are of the given kinds.
pub(crate) fn expect<'i, const N: usize>(
    op: &'static str,
    inputs: &'i [ValueType],
    kinds: [Kind; N],
) -> Result<[&'i Shape; N], OpError> {
    check_kinds(op, inputs, &kinds)?;
    Ok(core::array::from_fn(|operand| &inputs[operand].shape))
}

/// Whether an op has as many inputs as there are `kinds`, of these.
pub(crate) fn check_kinds(op: &'static str, inputs: &[ValueType], kinds: &[Kind]) -> Result<(), OpError> {
    if inputs.len() != kinds.len() {
        let shape = inputs.first().map_or(Shape::SCALAR, |input| input.shape);
        return Err(OpError::Count { op, what: "operands", expected: kinds.len(), got: inputs.len(), shape });
    }
    for (operand, (input, &expected)) in inputs.iter().zip(kinds).enumerate() {
        if input.kind != expected {
            return Err(OpError::Kind { op, operand, expected, got: input.kind });
        }
    }
    Ok(())
}
