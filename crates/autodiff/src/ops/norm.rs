//! Batch normalisation (Ioffe and Szegedy, 2015) over `[batch, channels, ...]`, and layer normalisation (Ba and others, 2016) of the
//! rows of `[..., width]`.
//!
//! Statistics, normalisation and the three gradients are ops of their own, each one pass over the data. Statistics of
//! one batch travel as one value `[2, channels]`: mean and biased variance. Those of rows are the same: rows are the channels of a
//! batch of one.

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
    NormShape, RowStatistics, Span, layer_norm, layer_norm_backward_affine, layer_norm_backward_input,
    norm_apply, norm_backward_affine, norm_backward_input, norm_statistics,
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

fn expect_shape(op: &'static str, expected: Shape, got: Shape) -> Result<(), OpError> {
    if got == expected { Ok(()) } else { Err(OpError::Shape { op, expected, got }) }
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
        expect_shape("batch_norm", Shape::of([2, channels]), statistics)?;
        expect_shape("batch_norm", Shape::of([channels]), gain)?;
        expect_shape("batch_norm", Shape::of([channels]), shift)?;
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
        expect_shape("batch_norm", x, dy)?;
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
        expect_shape("batch_norm", x, dy)?;
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

/// The number of rows of `[..., width]`, and their width.
fn rows(shape: Shape) -> Result<[usize; 2], OpError> {
    if shape.rank() < 1 {
        return Err(OpError::Form { op: "layer_norm", expected: "[..., width]", got: shape });
    }
    let width = shape.last();
    if width < 2 {
        let rule = "at least 2 values per row to have a variance";
        return Err(OpError::Setting { op: "layer_norm", rule, got: width as f64 });
    }
    Ok([shape.len() / width, width])
}

fn row_statistics<T: Element>(both: &[T], epsilon: f64) -> RowStatistics<'_, T> {
    let (mean, variance) = both.split_at(both.len() / 2);
    RowStatistics { mean, variance, epsilon: T::from_f64(epsilon) }
}

/// Each row of `[..., width]` less its mean and divided by √(variance + epsilon), times gain plus shift, which are `[width]`; with the
/// [statistics](BatchNormStatistics) `[2, rows]` of the same x.
///
/// Its gradient for x goes through the statistics too, in one fused op; the statistics operand itself passes none.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm {
    /// What keeps the root away from 0.
    pub epsilon: f64,
}

impl<T: Element> Op<T> for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x, &statistics, &gain, &shift] = reals("layer_norm", inputs)?;
        let [rows, width] = rows(x)?;
        expect_shape("layer_norm", Shape::of([2, rows]), statistics)?;
        expect_shape("layer_norm", Shape::of([width]), gain)?;
        expect_shape("layer_norm", Shape::of([width]), shift)?;
        Ok(ValueType::real(x))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let [x, statistics, gain, shift] = [0, 1, 2, 3].map(|i| io.inputs.real(i));
        let statistics = row_statistics(statistics, self.epsilon);
        layer_norm(&cx.kernels, statistics, x, gain, shift, io.output.real());
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (x, statistics, gain) = (node.input(0), node.input(1), node.input(2));
        let epsilon = self.epsilon;
        let sums = dy.graph.record(LayerNormBackwardAffine { epsilon }, &[x, statistics, dy]);
        let dx = dy.graph.record(LayerNormBackwardInput { epsilon }, &[x, statistics, gain, dy]);
        let part = |i: usize| sums.slice(0, i..i + 1).reshape(gain.shape());
        vec![dx.into(), Gradient::Zero, part(0).into(), part(1).into()]
    }
}

/// Σ dy·x̂ and Σ dy over the rows, `[2, width]`: the gradients of gain and shift.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormBackwardAffine {
    /// What keeps the root away from 0.
    pub epsilon: f64,
}

impl<T: Element> Op<T> for LayerNormBackwardAffine {
    fn name(&self) -> &'static str {
        "layer_norm_backward_affine"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x, _, &dy] = reals("layer_norm_backward_affine", inputs)?;
        expect_shape("layer_norm_backward_affine", x, dy)?;
        Ok(ValueType::real(Shape::of([2, x.last()])))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let [x, statistics, dy] = [0, 1, 2].map(|i| io.inputs.real(i));
        let (dgain, dshift) = io.output.real().split_at_mut(io.value.shape.last());
        let statistics = row_statistics(statistics, self.epsilon);
        layer_norm_backward_affine(&cx.kernels, statistics, x, dy, dgain, dshift);
    }
}

/// The gradient of x through normalisation and statistics.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormBackwardInput {
    /// What keeps the root away from 0.
    pub epsilon: f64,
}

impl<T: Element> Op<T> for LayerNormBackwardInput {
    fn name(&self) -> &'static str {
        "layer_norm_backward_input"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x, _, _, &dy] = reals("layer_norm_backward_input", inputs)?;
        expect_shape("layer_norm_backward_input", x, dy)?;
        Ok(ValueType::real(x))
    }

    fn in_place(&self, operand: usize) -> bool {
        operand == 3
    }

    fn accumulates(&self) -> bool {
        true
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let [x, statistics, gain] = [0, 1, 2].map(|i| io.inputs.real(i));
        let statistics = row_statistics(statistics, self.epsilon);
        let dy_to_dx = match io.inputs.is_output(3) {
            true => Span::InPlace(io.output.real()),
            false => Span::Separate(io.inputs.real(3), io.output.real()),
        };
        layer_norm_backward_input(&cx.kernels, statistics, x, gain, dy_to_dx, io.accumulate);
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

    /// Normalises each row of `[..., width]` by its own mean and variance, then scales its columns by `gain` and adds `shift`, both
    /// `[width]` (Ba and others, 2016).
    ///
    /// The gradient is exact, but not differentiable again.
    #[track_caller]
    pub fn layer_norm(self, gain: Var<'g, T>, shift: Var<'g, T>, epsilon: f64) -> Var<'g, T> {
        let [rows, width] = match rows(self.shape()) {
            Ok(rows) => rows,
            Err(error) => {
                self.graph.fail_op(error);
                return self;
            }
        };
        let statistics = self.reshape([1, rows, width]).apply(BatchNormStatistics);
        self.graph.record(LayerNorm { epsilon }, &[self, statistics, gain, shift])
    }
}
