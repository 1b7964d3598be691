//! The mean squared error, fused, and where the gradient of a loss starts.

use super::alike;
use crate::{Element, Io, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Var};
#[cfg(feature = "std")]
use alloc::string::String;
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::{Numerics, Shape};
use bantam_kernels::{Arg, functions, sum_of_squares, zip};

/// What the gradient of the loss starts from; see [`StepContext::loss_scale`].
#[derive(Clone, Copy, Debug)]
pub struct LossScale;

impl<T: Element> Op<T> for LossScale {
    fn name(&self) -> &'static str {
        "loss_scale"
    }

    fn infer(&self, _inputs: &[ValueType]) -> Result<ValueType, OpError> {
        Ok(ValueType::real(Shape::SCALAR))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some("ops::LossScale".into())
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        io.output.real().fill(T::from_f64(cx.loss_scale));
    }
}

/// Σ(x − target)² / n.
#[derive(Clone, Copy, Debug)]
pub struct MeanSquaredError;

impl<T: Element> Op<T> for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mean_squared_error"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        alike("mean_squared_error", inputs)?;
        Ok(ValueType::real(Shape::SCALAR))
    }

    fn scratch(&self, inputs: &[ValueType], _: Numerics) -> usize {
        inputs[0].len()
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some("ops::MeanSquaredError".into())
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let len = io.scratch.len();
        let (x, target) = (Arg::In(io.inputs.real(0), &[1]), Arg::In(io.inputs.real(1), &[1]));
        zip(&cx.kernels, functions::Sub, &[len], x, target, io.scratch);
        io.output.real().fill(sum_of_squares(&cx.kernels, io.scratch) / T::from_f64(len as f64));
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (x, target) = (node.input(0), node.input(1));
        let dx = (x - target) * (dy * T::from_f64(2.0 / x.shape().len() as f64));
        vec![dx.into(), (-dx).into()]
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// The mean over all elements of (self − target)².
    #[track_caller]
    pub fn mean_squared_error(self, target: Var<'g, T>) -> Var<'g, T> {
        self.graph.record(MeanSquaredError, &[self, target])
    }
}
