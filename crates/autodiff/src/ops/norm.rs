//! Batch normalisation (Ioffe and Szegedy, 2015) over `[batch, channels, ...]`.
//!
//! Statistics, normalisation and the three gradients are ops of their own, each one pass over the data. Statistics of
//! one batch travel as one value `[2, channels]`: mean and biased variance.

use super::reals;
use crate::{Element, Gradient, Io, NodeRef, Op, OpError, StepContext, ValueType, Var};
use alloc::{vec, vec::Vec};
use bantam_core::Shape;
use bantam_kernels::{norm_apply, norm_backward, norm_statistics};

/// `[batch, channels, everything else]`.
fn split(shape: Shape) -> Result<(usize, usize, usize), OpError> {
    if shape.rank() < 2 {
        return Err(OpError::Form { op: "batch_norm", expected: "[batch, channels, ...]", got: shape });
    }
    Ok((shape[0], shape[1], shape.dims()[2..].iter().product()))
}

/// Mean and biased variance of each channel: `[2, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormStatistics;

impl<T: Element> Op<T> for BatchNormStatistics {
    fn name(&self) -> &'static str {
        "batch_norm_statistics"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [x] = reals("batch_norm", inputs)?;
        let (batch, channels, inner) = split(x)?;
        if batch * inner < 2 {
            let rule = "at least 2 values per channel to have a variance while training";
            return Err(OpError::Setting { op: "batch_norm", rule, got: (batch * inner) as f64 });
        }
        Ok(ValueType::real(Shape::of([2, channels])))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let Ok((batch, channels, inner)) = split(io.inputs.value(0).shape) else { return };
        let (mean, variance) = io.output.real().split_at_mut(channels);
        norm_statistics(&cx.kernels, batch, channels, inner, io.inputs.real(0), mean, variance);
    }

    /// ∂mean/∂x = 1/n and ∂variance/∂x = 2(x − mean)/n.
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (x, statistics) = (node.input(0), node.output());
        let per = per_channel_shape(x.shape());
        let n = x.shape().len() / x.dim(1).max(1);
        let row = |v: Var<'g, T>, i: usize| v.slice(0, i..i + 1).reshape(per);
        let centred = x - row(statistics, 0);
        let share = T::from_f64(1.0 / n as f64);
        let dx = centred * (row(dy, 1) * (share + share)) + row(dy, 0) * share;
        vec![dx.into()]
    }
}

/// `[1, channels, 1, ...]`: broadcasts along the channel axis.
fn per_channel_shape(x: Shape) -> Shape {
    let mut shape = x;
    for (axis, dim) in shape.dims_mut().iter_mut().enumerate() {
        if axis != 1 {
            *dim = 1;
        }
    }
    shape
}

/// (x − mean)·gain/√(variance + epsilon) + shift with the statistics of the same x.
///
/// Its gradient goes through the statistics too, in one fused op; the statistics operand itself passes none.
#[derive(Clone, Copy, Debug)]
struct BatchNorm {
    epsilon: f64,
}

impl<T: Element> Op<T> for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [x, statistics, gain, shift] = reals("batch_norm", inputs)?;
        let (_, channels, _) = split(x)?;
        for (expected, got) in
            [(Shape::of([2, channels]), statistics), (Shape::of([channels]), gain), (Shape::of([channels]), shift)]
        {
            if got != expected {
                return Err(OpError::Shape { op: "batch_norm", expected, got });
            }
        }
        Ok(ValueType::real(x))
    }

    fn scratch(&self, inputs: &[ValueType]) -> usize {
        inputs[1].shape.last()
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let Ok((batch, channels, inner)) = split(io.value.shape) else { return };
        let (mean, variance) = io.inputs.real(1).split_at(channels);
        inverse_deviation(variance, self.epsilon, io.scratch);
        let (gain, shift) = (io.inputs.real(2), io.inputs.real(3));
        let x = io.inputs.real(0);
        norm_apply(&cx.kernels, batch, channels, inner, x, mean, io.scratch, gain, shift, io.output.real());
    }

    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (x, statistics, gain) = (node.input(0), node.input(1), node.input(2));
        let graph = dy.graph;
        let epsilon = self.epsilon;
        let dx = graph.apply(BatchNormBackward { epsilon }, &[x, statistics, gain, dy]);
        // dgain = Σ dy·(x − mean)/√(variance + ε), dshift = Σ dy, over everything but the channels.
        let both = graph.apply(BatchNormBackwardAffine { epsilon }, &[x, statistics, dy]);
        let part = |i: usize| both.slice(0, i..i + 1).reshape(gain.shape());
        vec![dx.into(), Gradient::Zero, part(0).into(), part(1).into()]
    }
}

fn inverse_deviation<T: Element>(variance: &[T], epsilon: f64, out: &mut [T]) {
    for (out, &variance) in out.iter_mut().zip(variance) {
        *out = T::one() / (variance + T::from_f64(epsilon)).sqrt();
    }
}
