//! The list of the long kernels: what makes them code of this crate.
//!
//! Code that is generic is compiled in the crate that uses it, for every instruction set; each program, test and benchmark
//! would compile all of it again. Here a kernel for `f32` is called by a function that is not generic and so is compiled
//! once, in this crate, while the next crate compiles its own. `f64`, which checks gradients and rarely trains, is left to
//! its user in optimised builds.

use crate::elementwise::{MapOp, functions};
use crate::simd::{SimdOp, run};
use crate::{conv, dropout, gemm, pool, reduce, softmax, strided};
use bantam_core::Context;

/// Number types for which the kernel `O` is compiled in this crate.
pub trait Compiled<O> {
    /// As [`run`].
    fn run(cx: &Context<'_>, op: O) -> O::Output
    where
        O: SimdOp;
}

macro_rules! compiled {
    ($($op:ty,)*) => {
        /// Number types for which all kernels of the list are compiled in this crate.
        pub trait CompiledKernels<T>: $(for<'a, 'b> Compiled<$op> +)* {}

        mod single {
            use super::*;
            type T = f32;
            impl CompiledKernels<T> for T {}
            $(impl<'a, 'b> Compiled<$op> for T {
                fn run(cx: &Context<'_>, op: $op) -> <$op as SimdOp>::Output {
                    run(cx, op)
                }
            })*
        }

        mod double {
            use super::*;
            type T = f64;
            impl CompiledKernels<T> for T {}
            $(impl<'a, 'b> Compiled<$op> for T {
                #[cfg_attr(not(debug_assertions), inline)]
                fn run(cx: &Context<'_>, op: $op) -> <$op as SimdOp>::Output {
                    run(cx, op)
                }
            })*
        }
    };
}

compiled! {
    gemm::CopyRows<T>, gemm::CopyPanels<T>, gemm::tile::PanelColumns<T>, gemm::tile::Tiles<T>, gemm::vector::RowTimesColumns<'a, 'b, T>,
    gemm::vector::RowsTimesColumn<'a, 'b, T>, gemm::vector::RowsTimesRows<T>, MapOp<'a, T, functions::Tanh>, MapOp<'a, T, functions::Sigmoid>,
    conv::Pack<'a, 'b, T>, conv::Direct<'a, 'b, T>, conv::Correlate<'a, 'b, T>, conv::DirectWeightGradient<'a, 'b, T>,
    conv::WeightGradient<'a, 'b, T>, conv::direct::Tile<'a, 'b, T>, conv::depthwise::Planes<'a, 'b, T>,
    conv::depthwise::Weights<'a, 'b, T>, conv::winograd::Row<'a, 'b, T>, conv::winograd::WeightsAtPoints<'a, T>,
    conv::winograd::OutputRow<'a, 'b, T>, conv::winograd::WeightRows<'a, 'b, T>,
    pool::Argmax<'a, 'b, T>, pool::Select<'a, 'b, T>, pool::Scatter<'a, 'b, T>,
    reduce::Row<'a, T>, reduce::ShortRows<'a, 'b, T>, reduce::Columns<'a, 'b, T>, reduce::Dot<'a, T>,
    softmax::Rows<'a, 'b, T>, softmax::Backward<'a, 'b, T>,
    dropout::Dropout<'a, T>, strided::Transpose<'a, T>,
}
