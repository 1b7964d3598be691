//! Convolutions whose kernel is one tap: the planes of an image as they lie are an operand of a matrix product.
//!
//! Nothing is copied, padded or turned. With weights W (outputs × inputs) and the planes X and dY of an image (channels ×
//! pixels): Y = W·X, dX = Wᵀ·dY, dW = Σ dY·Xᵀ over the images.

use super::ConvShape;
use crate::gemm::{Activation, Bias, Gemm, gemm};
use crate::simd::Element;
use bantam_core::{Context, Inline};
use core::ops::Range;

/// Pixels from which a product beats channels as lanes. With 49 of them, a column of one is left over, and it is a tenth slower.
const LEAST_PIXELS: usize = 64;

impl ConvShape {
    pub(super) fn is_pointwise(&self) -> bool {
        let moves = self.stride == [1; 2] && self.padding == [0; 2];
        self.kernel == [1; 2] && moves && self.out_plane() >= LEAST_PIXELS
    }

    /// Y = W·X for an image and group.
    pub(super) fn forward_product(&self) -> Gemm {
        let (m, n, k) = (self.out_group(), self.out_plane(), self.in_group());
        Gemm { m, n, k, a_strides: [k, 1], b_strides: [n, 1] }
    }

    /// dX = Wᵀ·dY.
    pub(super) fn input_product(&self) -> Gemm {
        let (m, n, k) = (self.in_group(), self.out_plane(), self.out_group());
        Gemm { m, n, k, a_strides: [1, m], b_strides: [n, 1] }
    }

    /// dW += dY·Xᵀ.
    pub(super) fn weight_product(&self) -> Gemm {
        let (m, n, k) = (self.out_group(), self.in_group(), self.out_plane());
        Gemm { m, n, k, a_strides: [k, 1], b_strides: [1, k] }
    }
}

/// One product for each image and group: `weight` times the planes of `x`, into those of `y`.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
fn products<T: Element>(
    cx: &Context<'_>,
    shape: &ConvShape,
    product: &Gemm,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    activation: Activation,
    y: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    if y.is_empty() {
        return;
    }
    let Gemm { m, n, k, .. } = *product;
    // The threads are busy with images, if there are several pieces.
    let inner = if shape.tasks(cx) > 1 { Context { executor: &Inline, ..*cx } } else { *cx };
    let len = crate::gemm::gemm_scratch(product);
    shape.for_each_piece(cx, y, scratch, len, |images, y, scratch| {
        for (i, y) in (images.start * shape.groups..).zip(y.chunks_exact_mut(m * n)) {
            let group = i % shape.groups;
            let weight = &weight[group * m * k..][..m * k];
            let bias = bias.map(|bias| Bias::PerRow(&bias[group * m..][..m]));
            gemm(&inner, product, weight, &x[i * k * n..][..k * n], bias, activation, y, accumulate, scratch);
        }
    });
}

/// As [`super::conv2d_forward`], which calls it.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub(super) fn forward<T: Element>(
    cx: &Context<'_>,
    shape: &ConvShape,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    activation: Activation,
    y: &mut [T],
    scratch: &mut [T],
) {
    products(cx, shape, &shape.forward_product(), x, weight, bias, activation, y, false, scratch);
}

/// As [`super::conv2d_backward_input`], which calls it.
pub(super) fn backward_input<T: Element>(
    cx: &Context<'_>,
    shape: &ConvShape,
    dy: &[T],
    weight: &[T],
    dx: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    let product = shape.input_product();
    products(cx, shape, &product, dy, weight, None, Activation::Identity, dx, accumulate, scratch);
}

/// The sums over the images of one piece.
pub(super) fn weight_sums<T: Element>(
    cx: &Context<'_>,
    shape: &ConvShape,
    x: &[T],
    dy: &[T],
    images: Range<usize>,
    sums: &mut [T],
    scratch: &mut [T],
) {
    let product = shape.weight_product();
    let Gemm { m, n, k, .. } = product;
    let inner = if shape.pieces() > 1 { Context { executor: &Inline, ..*cx } } else { *cx };
    for image in images.clone() {
        for (group, sums) in sums.chunks_exact_mut(m * n).enumerate() {
            let i = image * shape.groups + group;
            let (dy, x) = (&dy[i * m * k..][..m * k], &x[i * n * k..][..n * k]);
            let goes_on = image > images.start;
            gemm(&inner, &product, dy, x, None, Activation::Identity, sums, goes_on, scratch);
        }
    }
}
