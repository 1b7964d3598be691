//! The built-in operations, one file per family: shape rule, evaluation and derivative side by side.
//!
//! Most people never name these types: the methods of [`Var`](crate::Var) record them.

mod activation;
mod arithmetic;
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
pub use matmul::{BatchedMatMul, Linear, MatMul};
pub use noise::{GaussianNoise, GroupDropout};
pub use norm::{BatchNorm, BatchNormBackwardAffine, BatchNormBackwardInput, BatchNormStatistics};
pub use pool::{AvgPool, MaxPoolArgmax, MaxPoolScatter, MaxPoolSelect, Pool2dOptions};
pub use reduce::{ColumnSums, Reduction};
pub use shape::{Axes, Concat, Copied, Full, Gather, Reshape, Scatter, SliceRange};
pub use softmax::{CrossEntropy, CrossEntropyBackward, Softmax, SoftmaxBackward};

use crate::{Kind, OpError, ValueType};

/// The `N` inputs of an op, all numbers.
pub(crate) fn reals<const N: usize>(
    op: &'static str,
    inputs: &[ValueType],
) -> Result<[bantam_core::Shape; N], OpError> {
    expect(op, inputs, [Kind::Real; N])
}

/// The shape of the two inputs of an op, numbers of one shape.
pub(crate) fn alike(op: &'static str, inputs: &[ValueType]) -> Result<bantam_core::Shape, OpError> {
    let [expected, got] = reals(op, inputs)?;
    if expected == got { Ok(got) } else { Err(OpError::Shape { op, expected, got }) }
}

/// The inputs of an op, of the given kinds.
pub(crate) fn expect<const N: usize>(
    op: &'static str,
    inputs: &[ValueType],
    kinds: [Kind; N],
) -> Result<[bantam_core::Shape; N], OpError> {
    let mut shapes = [bantam_core::Shape::SCALAR; N];
    if inputs.len() != N {
        let shape = inputs.first().map_or(bantam_core::Shape::SCALAR, |input| input.shape);
        return Err(OpError::Count { op, what: "operands", expected: N, got: inputs.len(), shape });
    }
    for (operand, (input, expected)) in inputs.iter().zip(kinds).enumerate() {
        if input.kind != expected {
            return Err(OpError::Kind { op, operand, expected, got: input.kind });
        }
        shapes[operand] = input.shape;
    }
    Ok(shapes)
}
