//! A linear layer for one sample: forward, backward, and as it learns.
//!
//! [`gemm`] computes all of it too. These say less and cost less: for one sample on a microcontroller the arithmetic of a small
//! layer takes no longer than finding out what a general product is asked for.

use crate::gemm::{Activation, Bias, Gemm, gemm};
use crate::parallel::{GRAIN, for_each_chunk};
use crate::simd::{Element, dispatch, is_plain};
use crate::strided::axpy;
use crate::{plain, require};
use bantam_core::Context;

/// y = activation(weight·x + bias), with the weight as [fan_out, fan_in].
///
/// `x` has fan_in elements, `y` and `bias` have fan_out; without inputs, y = activation(bias). The bits are those of [`gemm`] with one
/// row: each sum starts from its bias and adds its products in the order of the inputs.
pub fn linear_forward<T: Element>(
    cx: &Context<'_>,
    weight: &[T],
    bias: &[T],
    x: &[T],
    activation: Activation,
    y: &mut [T],
) {
    require(Some(weight.len()) == x.len().checked_mul(y.len()) && bias.len() == y.len());
    if is_plain(cx) {
        return plain::linear_forward(weight, bias, x, activation, y);
    }
    let product = Gemm { m: 1, n: y.len(), k: x.len(), a_strides: [x.len(), 1], b_strides: [1, x.len()] };
    gemm(cx, &product, x, weight, Some(Bias::PerColumn(bias)), activation, y, false, &mut []);
}

/// The gradient by the input from that by the output: dx = weightᵀ·dy, with the weight as [fan_out, fan_in].
///
/// `dy` has fan_out elements, `dx` has fan_in. Each sum starts from 0 and adds its products in the order of the outputs. If the output
/// went through a ReLU, its values are `y`: where they are 0, so is the gradient by what went in, and outputs that were off are
/// left out. Without them the bits are those of [`gemm`] with one row, with them every product is rounded twice at every level.
pub fn linear_backward<T: Element>(cx: &Context<'_>, weight: &[T], dy: &[T], y: Option<&[T]>, dx: &mut [T]) {
    require(Some(weight.len()) == dx.len().checked_mul(dy.len()) && y.is_none_or(|y| y.len() == dy.len()));
    if let (Some(y), 1..) = (y, dx.len()) {
        dx.fill(T::zero());
        for ((row, dy), y) in weight.chunks_exact(dx.len()).zip(dy).zip(y) {
            if *y != T::zero() {
                axpy(cx, *dy, row, dx);
            }
        }
        return;
    }
    if is_plain(cx) {
        return plain::linear_backward(weight, dy, dx);
    }
    let product = Gemm { m: 1, n: dx.len(), k: dy.len(), a_strides: [dy.len(), 1], b_strides: [dx.len(), 1] };
    gemm(cx, &product, dy, weight, None, Activation::Identity, dx, false, &mut []);
}

/// A step of gradient descent without memory for a gradient: weight ← weight + step·xᵀ and bias ← bias + step, where `step` is the
/// gradient by the output times −η. Rounded twice at every level.
///
/// `x` has fan_in elements, `step` and `bias` have fan_out; the weight is [fan_out, fan_in]. If the output went through a ReLU, its
/// values are `y`: what belongs to outputs that are 0 stays as it is, which is half of the work. Otherwise what belongs to steps of
/// 0 stays as it is. So 0·∞ adds no NaN, as in the reference BLAS (J. Dongarra, J. Du Croz, S. Hammarling, R. Hanson, "An extended
/// set of Fortran basic linear algebra subprograms", 1988: GER).
pub fn linear_update<T: Element>(
    cx: &Context<'_>,
    step: &[T],
    y: Option<&[T]>,
    x: &[T],
    weight: &mut [T],
    bias: &mut [T],
) {
    let on = y.unwrap_or(step);
    require(Some(weight.len()) == x.len().checked_mul(step.len()) && bias.len() == step.len());
    require(on.len() == step.len());
    if is_plain(cx) {
        return plain::linear_update(step, on, x, weight, bias);
    }
    for ((bias, step), on) in bias.iter_mut().zip(step).zip(on) {
        if *on != T::zero() {
            *bias += *step;
        }
    }
    // Without inputs there are no weights, and no task.
    let rows = (GRAIN / x.len().max(1)).max(1);
    for_each_chunk(cx, weight, rows * x.len(), |task, weight| {
        dispatch(cx, || {
            let numbers = step[task * rows..].iter().zip(&on[task * rows..]);
            for (row, (&step, &on)) in weight.chunks_exact_mut(x.len()).zip(numbers) {
                if on != T::zero() {
                    row.iter_mut().zip(x).for_each(|(weight, x)| *weight += step * *x);
                }
            }
        });
    });
}
