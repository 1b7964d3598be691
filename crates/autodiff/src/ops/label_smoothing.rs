//! Cross-entropy with smoothed labels, fused with the softmax.

use super::{
    expect,
    softmax::{check_labels, rows},
};
use crate::{Element, Io, Kind, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::Shape;
use bantam_kernels as kernels;

/// The mean cross-entropy where the label's class is expected with 1 − s + s/K and each other of the K classes with
/// s/K: the plain one, plus s times the mean over rows of (the label's logit − the row's mean logit).
#[derive(Clone, Copy, Debug)]
pub struct SmoothedCrossEntropy {
    /// s, from 0 to 1.
    pub smoothing: f64,
}

impl<T: Element> Op<T> for SmoothedCrossEntropy {
    fn name(&self) -> &'static str {
        "smoothed_cross_entropy"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&logits, &labels] = expect("smoothed_cross_entropy", inputs, [Kind::Real, Kind::Index])?;
        check_labels("smoothed_cross_entropy", logits, labels)?;
        if !(0.0..=1.0).contains(&self.smoothing) {
            let rule = "a smoothing from 0 to 1";
            return Err(OpError::Setting { op: "smoothed_cross_entropy", rule, got: self.smoothing });
        }
        Ok(ValueType::real(Shape::SCALAR))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (rows, columns) = rows(io.inputs.value(0).shape);
        let (logits, labels) = (io.inputs.real(0), io.inputs.indices(1));
        let plain = kernels::cross_entropy(&cx.kernels, rows, columns, logits, labels);
        let share = T::from_f64(1.0 / columns as f64);
        let mut ahead = T::zero();
        for (row, label) in logits.chunks_exact(columns).zip(labels) {
            // A label that is no class has made the plain part NaN.
            let own = row.get(*label as usize).copied().unwrap_or(T::zero());
            // Each logit's distance to the label's own keeps digits that a sum of large logits would lose.
            ahead += row.iter().fold(T::zero(), |sum, x| sum + (own - *x)) * share;
        }
        let smoothing = T::from_f64(self.smoothing / rows as f64);
        io.output.real().fill(plain + smoothing * ahead);
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (logits, labels) = (node.input(0), node.input(1));
        let backward = SmoothedCrossEntropyBackward { smoothing: self.smoothing };
        vec![dy.graph.record(backward, &[logits, labels, dy]).into(), Gradient::Zero]
    }
}

/// (softmax(logits) − smoothed labels) · dloss / rows.
#[derive(Clone, Copy, Debug)]
pub struct SmoothedCrossEntropyBackward {
    /// s, from 0 to 1.
    pub smoothing: f64,
}

impl<T: Element> Op<T> for SmoothedCrossEntropyBackward {
    fn name(&self) -> &'static str {
        "smoothed_cross_entropy_backward"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let kinds = [Kind::Real, Kind::Index, Kind::Real];
        let [&logits, &labels, _] = expect("smoothed_cross_entropy_backward", inputs, kinds)?;
        check_labels("smoothed_cross_entropy_backward", logits, labels)?;
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
        let out = io.output.real();
        kernels::cross_entropy_backward(&cx.kernels, rows, columns, logits, labels, dloss, out);
        let moved = dloss * T::from_f64(self.smoothing / rows as f64);
        let share = moved * T::from_f64(1.0 / columns as f64);
        for (row, label) in out.chunks_exact_mut(columns).zip(labels) {
            row.iter_mut().for_each(|dx| *dx -= share);
            if let Some(own) = row.get_mut(*label as usize) {
                *own += moved;
            }
        }
    }

    /// The expected probabilities do not depend on the logits: what is left is the softmax.
    #[cfg(feature = "higher-order")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, g: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (logits, labels, dloss) = (node.input(0), node.input(1), node.input(2));
        let (rows, _) = rows(logits.shape());
        let last = logits.shape().rank().saturating_sub(1);
        let p = logits.softmax();
        let flow = p * (g * dloss * T::from_f64(1.0 / rows as f64));
        let dlogits = flow - p * flow.sum_keep(last);
        let ones = g.graph.full(dloss.shape(), T::one());
        let unit = g.graph.record(*self, &[logits, labels, ones]);
        vec![dlogits.into(), Gradient::Zero, (g * unit).sum_all().reshape(dloss.shape()).into()]
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// The mean [cross-entropy](Self::cross_entropy) with smoothed labels: of each label's probability the share
    /// `smoothing` is spread evenly over all classes. 0.1 is usual.
    ///
    /// A network cannot reach probability 1, and stops pushing its logits apart when it comes near what is asked for
    /// (Szegedy and others, 2015, arXiv:1512.00567, section 7).
    #[track_caller]
    pub fn smoothed_cross_entropy(self, labels: Var<'g, T>, smoothing: f64) -> Var<'g, T> {
        self.graph.record(SmoothedCrossEntropy { smoothing }, &[self, labels])
    }
}
