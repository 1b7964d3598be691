//! SIMD kernels for training neural networks: slices in, slices out.
//!
//! Kernels know lengths and strides and nothing else: no tensors, no graph, no allocator. Every function takes a
//! [`Context`](bantam_core::Context) that says which instruction set runs it, whether roundings may be fused, and
//! which executor runs its tasks.
//!
//! What holds everywhere:
//! * Results do not depend on the number of threads, on the width of the vectors, on tile sizes or on where in memory
//!   or in a batch an element lies. With [`Numerics::Portable`](bantam_core::Numerics) they do not depend on the
//!   instruction set either.
//! * Memory is the caller's: a kernel that needs scratch has a function that says how many elements, such as
//!   [`gemm_scratch`] beside [`gemm()`].
//! * Slices must have the lengths that the documentation gives; a shorter one is a programming error and panics. Data
//!   never panics: NaN, infinities and indices out of range have defined results.
//!
//! ```
//! use bantam_core::Context;
//! use bantam_kernels::{Activation, Bias, Gemm, gemm, gemm_scratch};
//!
//! // A linear layer with ReLU: 2 samples of 3 features, 2 outputs, weights stored as outputs × inputs.
//! let (batch, inputs, outputs) = (2, 3, 2);
//! let (x, weight, bias) = ([1.0, 2.0, 3.0, -1.0, 0.0, 1.0], [0.5, 0.0, 1.0, 1.0, 1.0, -2.0], [0.5, 0.25]);
//! let shape = Gemm { m: batch, n: outputs, k: inputs, a_strides: [inputs, 1], b_strides: [1, inputs] };
//! let mut y = [0.0_f32; 4];
//! let mut scratch = vec![0.0; gemm_scratch(&shape)];
//! let bias = Some(Bias::PerColumn(&bias[..]));
//! gemm(&Context::default(), &shape, &x, &weight, bias, Activation::Relu, &mut y, false, &mut scratch);
//! assert_eq!(y, [4.0, 0.0, 1.0, 0.0]);
//! ```
#![no_std]

mod compiled;
mod conv;
mod dropout;
mod elementwise;
mod gemm;
mod linear;
mod math;
mod norm;
pub mod parallel;
mod plain;
mod pool;
mod reduce;
mod rows;
pub mod simd;
mod softmax;
mod streams;
mod strided;

pub use conv::{
    ConvMethod, ConvShape, conv2d_backward_input, conv2d_backward_input_scratch, conv2d_backward_weight,
    conv2d_backward_weight_scratch, conv2d_forward, conv2d_forward_scratch,
};
pub use dropout::dropout;
pub use elementwise::{Arg, MapFn, Span, ZipFn, ZipLines, functions, map, zip, zip_alike, zip_by};
pub use gemm::batch::{Batch, batched_gemm};
pub use gemm::{Activation, Bias, Gemm, gemm, gemm_scratch, gemm_scratch_anywhere};
pub use linear::{linear_backward, linear_forward, linear_update};
pub use norm::{
    NormShape, RowStatistics, layer_norm, layer_norm_backward_affine, layer_norm_backward_input, norm_apply,
    norm_backward_affine, norm_backward_input, norm_statistics,
};
pub use parallel::{
    for_each_chunk, for_each_chunk_of, for_each_chunk_of_two, for_each_task, map_chunks_of_two,
};
pub use pool::{PoolShape, avg_pool, avg_pool_backward, max_pool_argmax, max_pool_scatter, max_pool_select};
pub use reduce::{Reduce, argmax, column_sums, dot, reduce, sum_of_squares};
pub use simd::{Element, Simd, SimdOp, Vector, dispatch, run};
pub use softmax::{
    cross_entropy, cross_entropy_backward, cross_entropy_with_gradient, log_softmax, log_softmax_backward,
    softmax, softmax_backward,
};
pub use streams::{InStreams, in_streams};
pub use strided::{add_strided, axpy, copy, copy_strided, fill, gather_rows, scatter_add_rows};

/// The one check of lengths: a slice does not fit the shape that was given with it.
#[inline(always)]
#[track_caller]
pub(crate) fn require(fits: bool) {
    assert!(fits, "a slice does not fit its shape");
}
