//! Sums, means and extremes over axes.

use super::{reals, shape::Axes};
use crate::{Element, Io, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::{Numerics, Shape};
use bantam_kernels::{Reduce, column_sums, reduce};

/// Reduces over axes and keeps them with length 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reduction {
    /// What is computed.
    pub kind: Reduce,
    /// Over which axes.
    pub axes: Axes,
}

impl Reduction {
    fn op_name(&self) -> &'static str {
        match self.kind {
            Reduce::Sum => "sum",
            Reduce::Mean => "mean",
            Reduce::Max => "max",
            Reduce::Min => "min",
            Reduce::Product => "product",
        }
    }

    /// The stretches of neighbouring reduced axes, last first, each as `(outer, n, inner)` once those behind it are
    /// reduced.
    fn stretches(&self, shape: Shape) -> impl Iterator<Item = (usize, usize, usize)> {
        let (axes, mut axis, mut inner) = (self.axes, shape.rank(), 1);
        core::iter::from_fn(move || {
            while axis > 0 && !axes.contains(axis - 1) {
                axis -= 1;
                inner *= shape[axis];
            }
            let mut n = 1;
            let any = axis > 0;
            while axis > 0 && axes.contains(axis - 1) {
                axis -= 1;
                n *= shape[axis];
            }
            any.then(|| (shape.dims()[..axis].iter().product(), n, inner))
        })
    }
}

impl<T: Element> Op<T> for Reduction {
    fn name(&self) -> &'static str {
        self.op_name()
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&(mut shape)] = reals(self.op_name(), inputs)?;
        self.axes.check(self.op_name(), shape)?;
        for (axis, dim) in shape.dims_mut().iter_mut().enumerate() {
            if self.axes.contains(axis) {
                *dim = 1;
            }
        }
        Ok(ValueType::real(shape))
    }

    /// What is left after the first stretch, if more follow, and after the second: two halves that take turns.
    fn scratch(&self, inputs: &[ValueType], _: Numerics) -> usize {
        let stretches = || self.stretches(inputs[0].shape);
        let left = |i: usize| stretches().nth(i).map_or(0, |(outer, _, inner)| outer * inner);
        match stretches().count() {
            0 | 1 => 0,
            2 => left(0),
            _ => left(0) + left(1),
        }
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!(
            "ops::Reduction {{ kind: Reduce::{:?}, axes: ops::Axes::from({}) }}",
            self.kind, self.axes
        ))
    }

    // A plan in flash names its kind: inlined, only that one is compiled.
    #[inline(always)]
    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let shape = io.inputs.value(0).shape;
        let x = io.inputs.real(0);
        let out = io.output.real();
        let mut left = self.stretches(shape).count();
        if left == 0 {
            for (y, &x) in out.iter_mut().zip(x) {
                *y = if io.accumulate { *y + x } else { x };
            }
        }
        // Means of means are means: the stretches are of equal length.
        let first = self.stretches(shape).next().map_or(0, |(outer, _, inner)| outer * inner);
        let (mut to, mut from) = io.scratch.split_at_mut(if left > 1 { first } else { 0 });
        let mut source = x;
        for (outer, n, inner) in self.stretches(shape) {
            left -= 1;
            let target = if left == 0 { &mut *out } else { &mut to[..outer * inner] };
            // One call: a board has no room for one of each kind.
            reduce(&cx.kernels, self.kind, outer, n, inner, source, target, left == 0 && io.accumulate);
            (from, to) = (to, from);
            source = &from[..if left == 0 { 0 } else { outer * inner }];
        }
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (x, y) = (node.input(0), node.output());
        let count = x.shape().len() / y.shape().len().max(1);
        vec![match self.kind {
            Reduce::Sum => dy.broadcast_to(x.shape()).into(),
            Reduce::Mean => (dy * T::from_f64(1.0 / count as f64)).broadcast_to(x.shape()).into(),
            // Equal extremes share the gradient equally.
            Reduce::Max | Reduce::Min => {
                let chosen = x.equal(y);
                let ties = chosen.apply(Reduction { kind: Reduce::Sum, axes: self.axes });
                (chosen * (dy / ties)).into()
            }
            // Σ over the others would need every product but one; y / x is the same where no factor is zero.
            Reduce::Product => (dy * y / x).into(),
        }]
    }

    fn accumulates(&self) -> bool {
        matches!(self.kind, Reduce::Sum | Reduce::Mean)
    }
}

/// The sums of the columns of a matrix, each in the order of the rows: the gradient of a bias. Not a [`Reduction`], which a board
/// would hold for all axes and kinds.
#[derive(Clone, Copy, Debug)]
pub struct ColumnSums;

impl<T: Element> Op<T> for ColumnSums {
    fn name(&self) -> &'static str {
        "column_sums"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&got] = reals("column_sums", inputs)?;
        if got.rank() != 2 {
            return Err(OpError::Form { op: "column_sums", expected: "[rows, columns]", got });
        }
        Ok(ValueType::real(Shape::of([got[1]])))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some("ops::ColumnSums".into())
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let rows = io.inputs.value(0).shape[0];
        column_sums(&cx.kernels, rows, io.inputs.real(0), io.output.real(), io.accumulate);
    }

    #[cfg(feature = "higher-order")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![dy.broadcast_to(node.input(0).shape()).into()]
    }

    fn accumulates(&self) -> bool {
        true
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    #[track_caller]
    fn reduce(self, kind: Reduce, axes: impl Into<Axes>, keep: bool) -> Var<'g, T> {
        let axes = axes.into();
        let kept = self.apply(Reduction { kind, axes });
        if keep { kept } else { kept.reshape(axes.removed_from(self.shape())) }
    }

    /// The sum over axes, which disappear.
    #[track_caller]
    pub fn sum(self, axes: impl Into<Axes>) -> Var<'g, T> {
        self.reduce(Reduce::Sum, axes, false)
    }

    /// The sum over axes, which stay with length 1.
    #[track_caller]
    pub fn sum_keep(self, axes: impl Into<Axes>) -> Var<'g, T> {
        self.reduce(Reduce::Sum, axes, true)
    }

    /// The mean over axes, which disappear.
    #[track_caller]
    pub fn mean(self, axes: impl Into<Axes>) -> Var<'g, T> {
        self.reduce(Reduce::Mean, axes, false)
    }

    /// The mean over axes, which stay with length 1.
    #[track_caller]
    pub fn mean_keep(self, axes: impl Into<Axes>) -> Var<'g, T> {
        self.reduce(Reduce::Mean, axes, true)
    }

    /// The largest over axes, which disappear. Equal largest share the gradient equally.
    #[track_caller]
    pub fn max(self, axes: impl Into<Axes>) -> Var<'g, T> {
        self.reduce(Reduce::Max, axes, false)
    }

    /// The smallest over axes, which disappear. Equal smallest share the gradient equally.
    #[track_caller]
    pub fn min(self, axes: impl Into<Axes>) -> Var<'g, T> {
        self.reduce(Reduce::Min, axes, false)
    }

    /// The product over axes, which disappear. The gradient is not defined where a factor is zero.
    #[track_caller]
    pub fn product(self, axes: impl Into<Axes>) -> Var<'g, T> {
        self.reduce(Reduce::Product, axes, false)
    }

    /// The sum of all elements, a single number.
    #[track_caller]
    pub fn sum_all(self) -> Var<'g, T> {
        self.reduce(Reduce::Sum, Axes::first(self.shape().rank()), false)
    }

    /// The mean of all elements, a single number.
    #[track_caller]
    pub fn mean_all(self) -> Var<'g, T> {
        self.reduce(Reduce::Mean, Axes::first(self.shape().rank()), false)
    }

    /// The sum over whatever was broadcast from `shape` to this value's shape: the transpose of broadcasting.
    #[track_caller]
    pub fn sum_to(self, shape: Shape) -> Var<'g, T> {
        let own = self.shape();
        if own == shape {
            return self;
        }
        let missing = own.rank().saturating_sub(shape.rank());
        // Of a single element, a sum is itself.
        let broadcast = |axis: usize| own[axis] != 1 && (axis < missing || shape[axis - missing] == 1);
        if !(0..own.rank()).any(broadcast) {
            return self.reshape(shape);
        }
        self.sum_keep(Axes::filter(own.rank(), broadcast)).reshape(shape)
    }
}
