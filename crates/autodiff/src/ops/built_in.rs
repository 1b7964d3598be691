//! The list of the built-in ops: what makes them code of this crate.
//!
//! Ops are written once for both number types, and code that is generic is compiled in the crate that uses it: each
//! program, test and benchmark would compile every kernel again, for every instruction set. Here an op becomes a shared
//! object in a function that is not generic, so that what it calls is compiled once, in this crate. `f64`, which checks
//! gradients and rarely trains, is left to its user in optimised builds.

use super::elementwise::{Alike, Map, Zip};
use super::{
    attention, conv, dropout, gather, label_smoothing, loss, matmul, noise, norm, pool, reduce, shape,
    softmax,
};
use crate::{Error, Op, Plan, Planner, Shared};
use bantam_kernels::functions as f;

/// `f32` and `f64`: the numbers that graphs compute with. Sealed.
pub trait Element: bantam_kernels::Element + BuiltIns<Self> {}

impl Element for f32 {}
impl Element for f64 {}

/// Number types for which the op `O` is compiled in this crate.
pub trait BuiltIn<O, T> {
    /// The op as graphs and plans hold it.
    fn share(op: O) -> Shared<dyn Op<T>>;
}

macro_rules! built_in {
    ($($op:ty,)*) => {
        /// Number types for which all built-in ops, and the making of plans, are compiled in this crate.
        pub trait BuiltIns<T>: $(BuiltIn<$op, T> +)* {
            /// [`Planner::build`].
            fn plan(planner: Planner<'_, T>) -> Result<Plan<T>, Error>
            where
                T: Element;
        }

        mod single {
            use super::*;
            type T = f32;
            impl BuiltIns<T> for T {
                fn plan(planner: Planner<'_, T>) -> Result<Plan<T>, Error> {
                    planner.make()
                }
            }
            $(impl BuiltIn<$op, T> for T {
                fn share(op: $op) -> Shared<dyn Op<T>> {
                    Shared::new(op)
                }
            })*
        }

        mod double {
            use super::*;
            type T = f64;
            impl BuiltIns<T> for T {
                #[cfg_attr(not(debug_assertions), inline)]
                fn plan(planner: Planner<'_, T>) -> Result<Plan<T>, Error> {
                    planner.make()
                }
            }
            $(impl BuiltIn<$op, T> for T {
                #[cfg_attr(not(debug_assertions), inline)]
                fn share(op: $op) -> Shared<dyn Op<T>> {
                    Shared::new(op)
                }
            })*
        }
    };
}

built_in! {
    Map<f::Relu>, Map<f::Sigmoid>, Map<f::Tanh>, Map<f::Gelu>,
    Alike<f::ReluGrad>, Alike<f::SigmoidGrad>, Alike<f::TanhGrad>, Alike<f::GeluSlope>, Alike<f::Add>,
    Map<f::Neg>, Map<f::Abs>, Map<f::Sign>, Map<f::Exp>, Map<f::Ln>, Map<f::Sqrt>, Map<f::Rsqrt>, Map<f::Recip>,
    Map<f::Square>, Map<f::Sin>, Map<f::Cos>,
    Map<f::AddScalar<T>>, Map<f::MulScalar<T>>, Map<f::PowScalar<T>>, Map<f::Clamp<T>>,
    Zip<f::Add>, Zip<f::Sub>, Zip<f::Mul>, Zip<f::Div>, Zip<f::Pow>, Zip<f::Max>, Zip<f::Min>,
    Zip<f::Greater>, Zip<f::GreaterEqual>, Zip<f::Equal>,
    matmul::MatMul, matmul::BatchedMatMul, matmul::AddMatMul, matmul::Linear,
    attention::AttentionScores, attention::AttentionMix,
    conv::ConvForward, conv::ConvBackwardInput, conv::ConvBackwardWeight,
    pool::MaxPoolArgmax, pool::MaxPoolSelect, pool::MaxPoolScatter, pool::AvgPool,
    norm::BatchNormStatistics, norm::BatchNorm, norm::BatchNormBackwardAffine, norm::BatchNormBackwardInput,
    norm::LayerNorm, norm::LayerNormBackwardAffine, norm::LayerNormBackwardInput,
    softmax::Softmax, softmax::SoftmaxBackward, softmax::CrossEntropy, softmax::CrossEntropyBackward,
    label_smoothing::SmoothedCrossEntropy, label_smoothing::SmoothedCrossEntropyBackward,
    loss::LossScale, loss::MeanSquaredError,
    reduce::Reduction, reduce::ColumnSums,
    gather::GatherRows, gather::ScatterAddRows,
    dropout::Dropout, noise::GroupDropout, noise::GaussianNoise,
    shape::Reshape, shape::Copied, shape::Full<T>, shape::Gather, shape::Scatter, shape::Concat,
}
