//! Matrix products C = activation(A·B + bias), or added to what C holds.

use crate::require;
use crate::simd::Element;
use bantam_core::Context;

/// The shape of a product: A is m × k, B is k × n, C is m × n and row-major without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gemm {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B. 0 gives C = activation(bias).
    pub k: usize,
    /// How many elements lie between the rows and between the columns of A: [k, 1] if it is row-major, [1, m] if its
    /// transpose is.
    pub a_strides: [usize; 2],
    /// The same for B: [n, 1] if it is row-major, [1, k] if its transpose is.
    pub b_strides: [usize; 2],
}

/// What is added to each element of a product.
#[derive(Clone, Copy, Debug)]
pub enum Bias<'a, T> {
    /// One number per column of C: n elements. A linear layer's.
    PerColumn(&'a [T]),
    /// One number per row of C: m elements. A convolution's.
    PerRow(&'a [T]),
}

/// What is applied to each element at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// max(x, 0).
    Relu,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

/// How many elements of scratch [`gemm`] needs; 0 for small shapes.
pub fn gemm_scratch(_gemm: &Gemm) -> usize {
    0
}

/// C = activation(A·B + bias), or activation(C + A·B + bias) if `accumulate`.
///
/// Each element of C starts from 0, its bias or its old value plus its bias, and adds its products in the order of k.
/// So its bits do not depend on where it lies, on block sizes or on threads.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn gemm<T: Element>(
    cx: &Context<'_>,
    gemm: &Gemm,
    a: &[T],
    b: &[T],
    bias: Option<Bias<'_, T>>,
    activation: Activation,
    c: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    let Gemm { m, n, k, a_strides, b_strides } = *gemm;
    require(c.len() == m * n && scratch.len() >= gemm_scratch(gemm));
    if c.is_empty() {
        return;
    }
    for (i, row) in c.chunks_exact_mut(n).enumerate() {
        for (j, c) in row.iter_mut().enumerate() {
            let bias = match bias {
                Some(Bias::PerColumn(bias)) => bias[j],
                Some(Bias::PerRow(bias)) => bias[i],
                None => T::zero(),
            };
            *c = if accumulate { *c + bias } else { bias };
        }
        for p in 0..k {
            let a = a[i * a_strides[0] + p * a_strides[1]];
            for (j, c) in row.iter_mut().enumerate() {
                *c += a * b[p * b_strides[0] + j * b_strides[1]];
            }
        }
    }
    activate(cx, activation, c);
}

/// Applies an activation in place.
pub(crate) fn activate<T: Element>(cx: &Context<'_>, activation: Activation, c: &mut [T]) {
    use crate::elementwise::{Span, functions, map};
    match activation {
        Activation::Identity => {}
        Activation::Relu => map(cx, functions::Relu, Span::InPlace(c)),
        Activation::Sigmoid => map(cx, functions::Sigmoid, Span::InPlace(c)),
        Activation::Tanh => map(cx, functions::Tanh, Span::InPlace(c)),
    }
}
