//! Batch normalisation (Ioffe and Szegedy, 2015) over `[batch, channels, ...]`.
//!
//! Statistics, normalisation and the three gradients are ops of their own, each one pass over the data. Statistics of
//! one batch travel as one value `[2, channels]`: mean and biased variance.

use super::reals;
use crate::{Element, Io, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Shared, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::{Numerics, Shape};
#[cfg(feature = "alloc")]
use bantam_kernels::Activation;
use bantam_kernels::{
    NormShape, Span, norm_apply, norm_backward_affine, norm_backward_input, norm_statistics,
};

fn split(shape: Shape) -> Result<NormShape, OpError> {
    if shape.rank() < 2 {
        return Err(OpError::Form { op: "batch_norm", expected: "[batch, channels, ...]", got: shape });
    }
    Ok(NormShape { batch: shape[0], channels: shape[1], inner: shape.dims()[2..].iter().product() })
}

/// Mean and biased variance of each channel: `[2, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormStatistics;

impl<T: Element> Op<T> for BatchNormStatistics {
    fn name(&self) -> &'static str {
        "batch_norm_statistics"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x] = reals("batch_norm", inputs)?;
        let NormShape { batch, channels, inner } = split(x)?;
        if batch * inner < 2 {
            let rule = "at least 2 values per channel to have a variance while training";
            return Err(OpError::Setting { op: "batch_norm", rule, got: (batch * inner) as f64 });
        }
        Ok(ValueType::real(Shape::of([2, channels])))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let Ok(shape) = split(io.inputs.value(0).shape) else { return };
        let (mean, variance) = io.output.real().split_at_mut(shape.channels);
        norm_statistics(&cx.kernels, &shape, io.inputs.real(0), mean, variance);
    }

    /// ∂mean/∂x = 1/n and ∂variance/∂x = 2(x − mean)/n.
    #[cfg(feature = "alloc")]
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

#[cfg(feature = "alloc")]
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

fn expect_shape(expected: Shape, got: Shape) -> Result<(), OpError> {
    if got == expected { Ok(()) } else { Err(OpError::Shape { op: "batch_norm", expected, got }) }
}

/// Mean and 1/√(variance + epsilon) of each channel; the latter in `scratch`.
fn statistics<'a, T: Element>(both: &'a [T], epsilon: f64, scratch: &'a mut [T]) -> (&'a [T], &'a [T]) {
    let (mean, variance) = both.split_at(both.len() / 2);
    for (rstd, &variance) in scratch.iter_mut().zip(variance) {
        *rstd = T::one() / (variance + T::from_f64(epsilon)).sqrt();
    }
    (mean, scratch)
}

/// (x − mean)·gain/√(variance + epsilon) + shift with the statistics of the same x.
///
/// Its gradient for x goes through the statistics too, in one fused op; the statistics operand itself passes none.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    /// What keeps the root away from 0.
    pub epsilon: f64,
    /// Whether negative results become 0; set by the planner.
    pub relu: bool,
}

impl<T: Element> Op<T> for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x, &statistics, &gain, &shift] = reals("batch_norm", inputs)?;
        let channels = split(x)?.channels;
        expect_shape(Shape::of([2, channels]), statistics)?;
        expect_shape(Shape::of([channels]), gain)?;
        expect_shape(Shape::of([channels]), shift)?;
        Ok(ValueType::real(x))
    }

    fn scratch(&self, inputs: &[ValueType], _: Numerics) -> usize {
        inputs[1].shape.last()
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let Ok(shape) = split(io.value.shape) else { return };
        let (mean, rstd) = statistics(io.inputs.real(1), self.epsilon, io.scratch);
        let (x, gain, shift) = (io.inputs.real(0), io.inputs.real(2), io.inputs.real(3));
        norm_apply(&cx.kernels, &shape, x, mean, rstd, gain, shift, self.relu, io.output.real());
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (x, statistics, gain) = (node.input(0), node.input(1), node.input(2));
        let epsilon = self.epsilon;
        let sums = dy.graph.record(BatchNormBackwardAffine { epsilon }, &[x, statistics, dy]);
        let dx = dy.graph.record(BatchNormBackwardInput { epsilon }, &[x, statistics, gain, dy, sums]);
        let part = |i: usize| sums.slice(0, i..i + 1).reshape(gain.shape());
        vec![dx.into(), Gradient::Zero, part(0).into(), part(1).into()]
    }

    #[cfg(feature = "alloc")]
    fn with_activation(&self, activation: Activation) -> Option<Shared<dyn Op<T>>> {
        (activation == Activation::Relu && !self.relu).then(|| T::share(BatchNorm { relu: true, ..*self }))
    }
}

/// Σ dy·x̂ and Σ dy over everything but the channels, `[2, channels]`: the gradients of gain and shift.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormBackwardAffine {
    /// What keeps the root away from 0.
    pub epsilon: f64,
}

impl<T: Element> Op<T> for BatchNormBackwardAffine {
    fn name(&self) -> &'static str {
        "batch_norm_backward_affine"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x, &statistics, &dy] = reals("batch_norm_backward_affine", inputs)?;
        expect_shape(x, dy)?;
        Ok(ValueType::real(statistics))
    }

    fn scratch(&self, inputs: &[ValueType], _: Numerics) -> usize {
        inputs[1].shape.last()
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let Ok(shape) = split(io.inputs.value(0).shape) else { return };
        let (mean, rstd) = statistics(io.inputs.real(1), self.epsilon, io.scratch);
        let (dgain, dshift) = io.output.real().split_at_mut(shape.channels);
        norm_backward_affine(
            &cx.kernels,
            &shape,
            io.inputs.real(0),
            mean,
            rstd,
            io.inputs.real(2),
            dgain,
            dshift,
        );
    }
}

/// The gradient of x through normalisation and statistics.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormBackwardInput {
    /// What keeps the root away from 0.
    pub epsilon: f64,
}

impl<T: Element> Op<T> for BatchNormBackwardInput {
    fn name(&self) -> &'static str {
        "batch_norm_backward_input"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x, _, _, &dy, _] = reals("batch_norm_backward_input", inputs)?;
        expect_shape(x, dy)?;
        Ok(ValueType::real(x))
    }

    fn in_place(&self, operand: usize) -> bool {
        operand == 3
    }

    fn scratch(&self, inputs: &[ValueType], _: Numerics) -> usize {
        inputs[1].shape.last()
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let Ok(shape) = split(io.value.shape) else { return };
        let (mean, rstd) = statistics(io.inputs.real(1), self.epsilon, io.scratch);
        let (x, gain) = (io.inputs.real(0), io.inputs.real(2));
        let (dgain, dshift) = io.inputs.real(4).split_at(shape.channels);
        let dy_to_dx = match io.inputs.is_output(3) {
            true => Span::InPlace(io.output.real()),
            false => Span::Separate(io.inputs.real(3), io.output.real()),
        };
        norm_backward_input(&cx.kernels, &shape, x, mean, rstd, gain, dgain, dshift, dy_to_dx);
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// Normalises each channel of `[batch, channels, ...]` by its own mean and variance over this batch, then scales
    /// by `gain` and adds `shift`, both `[channels]`. Returns the result and the statistics `[2, channels]` (mean and
    /// biased variance), for running averages.
    ///
    /// The gradient is exact, but not differentiable again.
    #[track_caller]
    pub fn batch_norm(self, gain: Var<'g, T>, shift: Var<'g, T>, epsilon: f64) -> (Var<'g, T>, Var<'g, T>) {
        let statistics = self.apply(BatchNormStatistics);
        if self.graph.check().is_err() {
            return (self, self);
        }
        (self.graph.record(BatchNorm { epsilon, relu: false }, &[self, statistics, gain, shift]), statistics)
    }

    /// Normalises each channel of `[batch, channels, ...]` by given statistics `[channels]`, then scales and shifts:
    /// how a network is used after training. Differentiable any number of times.
    #[track_caller]
    pub fn batch_norm_with(
        self,
        mean: Var<'g, T>,
        variance: Var<'g, T>,
        gain: Var<'g, T>,
        shift: Var<'g, T>,
        epsilon: f64,
    ) -> Var<'g, T> {
        if let Err(error) = split(self.shape()) {
            self.graph.fail_op(error);
            return self;
        }
        // One multiply and one add per element: everything per channel is folded first.
        let scale = gain * (variance + T::from_f64(epsilon)).rsqrt();
        let offset = shift - mean * scale;
        let shape = per_channel_shape(self.shape());
        self * scale.reshape(shape) + offset.reshape(shape)
    }
}
