//! Softmax, its logarithm, and cross-entropy fused with it.

use super::{alike, expect, reals};
use crate::{Element, Io, Kind, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::Shape;
use bantam_kernels as kernels;

pub(super) fn rows(shape: Shape) -> (usize, usize) {
    let columns = shape.last();
    (shape.len() / columns.max(1), columns)
}

/// Softmax over the last axis, or its logarithm.
#[derive(Clone, Copy, Debug)]
pub struct Softmax {
    /// Whether of the logarithm.
    pub logarithm: bool,
}

impl<T: Element> Op<T> for Softmax {
    fn name(&self) -> &'static str {
        if self.logarithm { "log_softmax" } else { "softmax" }
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x] = reals("softmax", inputs)?;
        Ok(ValueType::real(x))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (rows, columns) = rows(io.value.shape);
        if self.logarithm {
            kernels::log_softmax(&cx.kernels, rows, columns, io.span());
        } else {
            kernels::softmax(&cx.kernels, rows, columns, io.span());
        }
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![dy.graph.record(SoftmaxBackward { logarithm: self.logarithm }, &[node.output(), dy]).into()]
    }

    fn in_place(&self, _operand: usize) -> bool {
        true
    }
}

/// dx from y and dy: y·(dy − Σ y·dy), or dy − eʸ·Σ dy for the logarithm.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxBackward {
    /// Whether of the logarithm.
    pub logarithm: bool,
}

impl<T: Element> Op<T> for SoftmaxBackward {
    fn name(&self) -> &'static str {
        if self.logarithm { "log_softmax_backward" } else { "softmax_backward" }
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        alike("softmax_backward", inputs)
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (rows, columns) = rows(io.value.shape);
        let (y, dy) = (io.inputs.real(0), io.inputs.real(1));
        if self.logarithm {
            kernels::log_softmax_backward(&cx.kernels, rows, columns, y, dy, io.output.real());
        } else {
            kernels::softmax_backward(&cx.kernels, rows, columns, y, dy, io.output.real());
        }
    }

    #[cfg(feature = "higher-order")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, g: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (y, dy) = (node.input(0), node.input(1));
        let last = y.shape().rank().saturating_sub(1);
        if self.logarithm {
            // Of dy − eʸ·Σdy.
            let total = dy.sum_keep(last);
            let p = y.exp();
            let ddy = g - (g * p).sum_keep(last);
            return vec![(-(g * p * total)).into(), ddy.into()];
        }
        // Of y·(dy − Σ y·dy).
        let inner = (y * dy).sum_keep(last);
        let gy = (g * y).sum_keep(last);
        let d_y = g * (dy - inner) - dy * gy;
        let ddy = y * (g - gy);
        vec![d_y.into(), ddy.into()]
    }
}

/// The mean over rows of −ln softmax(logits)\[label\], computed without forming the softmax.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy;

pub(super) fn check_labels(op: &'static str, logits: Shape, labels: Shape) -> Result<(), OpError> {
    if logits.rank() < 1 {
        return Err(OpError::Form { op, expected: "[..., classes] of its logits", got: logits });
    }
    let (rows, _) = rows(logits);
    if labels.len() != rows {
        return Err(OpError::Count {
            op,
            what: "labels, one for each row of logits",
            expected: rows,
            got: labels.len(),
            shape: labels,
        });
    }
    Ok(())
}

impl<T: Element> Op<T> for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&logits, &labels] = expect("cross_entropy", inputs, [Kind::Real, Kind::Index])?;
        check_labels("cross_entropy", logits, labels)?;
        Ok(ValueType::real(Shape::SCALAR))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (rows, columns) = rows(io.inputs.value(0).shape);
        let (logits, labels) = (io.inputs.real(0), io.inputs.indices(1));
        io.output.real().fill(kernels::cross_entropy(&cx.kernels, rows, columns, logits, labels));
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (logits, labels) = (node.input(0), node.input(1));
        vec![dy.graph.record(CrossEntropyBackward, &[logits, labels, dy]).into(), Gradient::Zero]
    }
}

/// (softmax(logits) − one-hot(labels)) · dloss / rows.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropyBackward;

impl<T: Element> Op<T> for CrossEntropyBackward {
    fn name(&self) -> &'static str {
        "cross_entropy_backward"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let kinds = [Kind::Real, Kind::Index, Kind::Real];
        let [&logits, &labels, _] = expect("cross_entropy_backward", inputs, kinds)?;
        check_labels("cross_entropy_backward", logits, labels)?;
        Ok(ValueType::real(logits))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (rows, columns) = rows(io.value.shape);
        let (logits, labels) = (io.inputs.real(0), io.inputs.indices(1));
        let dloss = io.inputs.real(2).first().copied().unwrap_or(T::zero());
        kernels::cross_entropy_backward(&cx.kernels, rows, columns, logits, labels, dloss, io.output.real());
    }

    #[cfg(feature = "higher-order")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, g: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (logits, labels, dloss) = (node.input(0), node.input(1), node.input(2));
        let graph = g.graph;
        let (rows, _) = rows(logits.shape());
        let p = logits.softmax();
        let dlogits = graph
            .record(SoftmaxBackward { logarithm: false }, &[p, g * dloss * T::from_f64(1.0 / rows as f64)]);
        let ones = graph.full(dloss.shape(), T::one());
        let unit = graph.record(CrossEntropyBackward, &[logits, labels, ones]);
        vec![dlogits.into(), Gradient::Zero, (g * unit).sum_all().reshape(dloss.shape()).into()]
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// eˣ / Σ eˣ over the last axis, computed with the largest x subtracted.
    #[track_caller]
    pub fn softmax(self) -> Var<'g, T> {
        self.apply(Softmax { logarithm: false })
    }

    /// x − ln Σ eˣ over the last axis: accurate where the softmax underflows.
    #[track_caller]
    pub fn log_softmax(self) -> Var<'g, T> {
        self.apply(Softmax { logarithm: true })
    }

    /// The mean cross-entropy of logits `[..., classes]` and class indices, one per row; in nats. A label that is no
    /// class gives NaN.
    #[track_caller]
    pub fn cross_entropy(self, labels: Var<'g, T>) -> Var<'g, T> {
        self.graph.record(CrossEntropy, &[self, labels])
    }
}
