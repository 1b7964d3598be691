//! Ops that move elements and compute nothing: reshape, permute, slice, concat, broadcast.

#[cfg(feature = "alloc")]
use super::elementwise::broadcast_strides;
use super::reals;
use crate::{Element, Io, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, Graph, NodeRef, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
#[cfg(feature = "alloc")]
use bantam_core::broadcast_shapes;
use bantam_core::{MAX_RANK, Shape};
use bantam_kernels::{Span, add_strided, copy_strided, fill};
use core::fmt;

/// A set of axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes {
    set: u8,
    /// An axis that was named twice or is beyond every tensor's rank.
    wrong: Option<u8>,
}

impl Axes {
    /// The axes for which `chosen` holds, out of the first `rank`.
    pub fn filter(rank: usize, chosen: impl Fn(usize) -> bool) -> Axes {
        let set = (0..rank.min(MAX_RANK)).filter(|&axis| chosen(axis)).fold(0, |set, axis| set | 1 << axis);
        Axes { set, wrong: None }
    }

    /// The first `count` axes.
    pub fn first(count: usize) -> Axes {
        Axes::filter(count, |_| true)
    }

    /// Whether `axis` is among them.
    pub fn contains(self, axis: usize) -> bool {
        axis < MAX_RANK && self.set & 1 << axis != 0
    }

    /// The shape without these axes.
    pub fn removed_from(self, shape: Shape) -> Shape {
        let (mut dims, mut rank) = ([1; MAX_RANK], 0);
        for (axis, &dim) in shape.dims().iter().enumerate() {
            if !self.contains(axis) {
                dims[rank] = dim;
                rank += 1;
            }
        }
        // Fewer axes than a valid shape has.
        Shape::new(&dims[..rank]).unwrap_or(Shape::SCALAR)
    }

    pub(crate) fn check(self, op: &'static str, shape: Shape) -> Result<(), OpError> {
        let beyond = (shape.rank()..MAX_RANK).find(|&axis| self.contains(axis));
        match self.wrong.map(usize::from).or(beyond) {
            Some(axis) => Err(OpError::Axis { op, axis, shape }),
            None => Ok(()),
        }
    }
}

/// As an array of axes, such as `[0, 2]`.
impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((0..MAX_RANK).filter(|&axis| self.contains(axis))).finish()
    }
}

impl From<&[usize]> for Axes {
    fn from(axes: &[usize]) -> Axes {
        let mut all = Axes { set: 0, wrong: None };
        for &axis in axes {
            if axis >= MAX_RANK || all.contains(axis) {
                all.wrong = Some(axis.min(255) as u8);
            } else {
                all.set |= 1 << axis;
            }
        }
        all
    }
}

impl<const N: usize> From<&[usize; N]> for Axes {
    fn from(axes: &[usize; N]) -> Axes {
        Axes::from(axes.as_slice())
    }
}

impl<const N: usize> From<[usize; N]> for Axes {
    fn from(axes: [usize; N]) -> Axes {
        Axes::from(axes.as_slice())
    }
}

impl From<usize> for Axes {
    fn from(axis: usize) -> Axes {
        Axes::from([axis])
    }
}

/// The same elements under another shape: costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Reshape(
    /// The new shape.
    pub Shape,
);

impl<T: Element> Op<T> for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let &[input] = inputs else {
            let (expected, got) = (1, inputs.len());
            return Err(OpError::Count { op: "reshape", what: "operands", expected, got, shape: self.0 });
        };
        let expected = self.0.dims().iter().fold(1_usize, |product, &dim| product.saturating_mul(dim));
        if input.len() != expected {
            let (got, shape) = (input.len(), input.shape);
            return Err(OpError::Count { op: "reshape", what: "elements", expected, got, shape });
        }
        Ok(ValueType { shape: self.0, kind: input.kind })
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::Reshape(Shape::of({}))", self.0))
    }

    fn eval(&self, _cx: &StepContext<'_>, _io: Io<'_, T>) {}

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![dy.reshape(node.input(0).shape()).into()]
    }

    fn is_alias(&self) -> bool {
        true
    }
}

/// A copy of a value.
#[derive(Clone, Copy, Debug)]
pub struct Copied;

impl<T: Element> Op<T> for Copied {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x] = reals("copy", inputs)?;
        Ok(ValueType::real(x))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some("ops::Copied".into())
    }

    fn eval(&self, _cx: &StepContext<'_>, io: Io<'_, T>) {
        if let Span::Separate(x, y) = io.span() {
            y.copy_from_slice(x);
        }
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, _node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![dy.into()]
    }
}

/// Every element is the same number.
#[derive(Clone, Copy, Debug)]
pub struct Full<T> {
    /// The output's shape.
    pub shape: Shape,
    /// The number.
    pub value: T,
}

impl<T: Element> Op<T> for Full<T> {
    fn name(&self) -> &'static str {
        "full"
    }

    fn infer(&self, _inputs: &[ValueType]) -> Result<ValueType, OpError> {
        Ok(ValueType::real(self.shape))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        let Full { shape, value } = self;
        value.is_finite().then(|| format!("ops::Full {{ shape: Shape::of({shape}), value: {value:?} }}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        fill(&cx.kernels, self.value, io.output.real());
    }
}

/// Reads the input with strides: `y[i] = x[start + Σ i·strides]`. Permuting, slicing, flipping and broadcasting are all
/// this one op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gather {
    /// What the op is called.
    pub name: &'static str,
    /// The input's shape.
    pub from: Shape,
    /// The output's shape.
    pub to: Shape,
    /// The first element.
    pub start: usize,
    /// The distance between neighbours along each axis of the output.
    pub strides: [isize; MAX_RANK],
}

#[cfg(feature = "std")]
impl Gather {
    fn literal(&self) -> String {
        let Gather { name, from, to, start, strides } = self;
        format!(
            "ops::Gather {{ name: {name:?}, from: Shape::of({from}), to: Shape::of({to}), start: {start}, strides: {strides:?} }}"
        )
    }
}

impl<T: Element> Op<T> for Gather {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&got] = reals(self.name, inputs)?;
        if got != self.from {
            return Err(OpError::Shape { op: self.name, expected: self.from, got });
        }
        Ok(ValueType::real(self.to))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(self.literal())
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (x, y) = (io.inputs.real(0), io.output.real());
        copy_strided(&cx.kernels, self.to.dims(), x, self.start, &self.strides[..self.to.rank()], y);
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, _node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![dy.apply(Scatter(*self)).into()]
    }
}

/// The transpose of [`Gather`]: `x[start + Σ i·strides] += y[i]`, zero elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Scatter(
    /// What it is the transpose of.
    pub Gather,
);

impl<T: Element> Op<T> for Scatter {
    fn name(&self) -> &'static str {
        "scatter"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&got] = reals("scatter", inputs)?;
        if got != self.0.to {
            return Err(OpError::Shape { op: "scatter", expected: self.0.to, got });
        }
        Ok(ValueType::real(self.0.from))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::Scatter({})", self.0.literal()))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (dy, dx) = (io.inputs.real(0), io.output.real());
        if !io.accumulate {
            fill(&cx.kernels, T::zero(), dx);
        }
        let rank = self.0.to.rank();
        add_strided(&cx.kernels, self.0.to.dims(), dy, dx, self.0.start, &self.0.strides[..rank]);
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, _node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![dy.apply(self.0).into()]
    }

    fn accumulates(&self) -> bool {
        true
    }
}

/// Puts its inputs side by side along an axis.
#[derive(Clone, Copy, Debug)]
pub struct Concat {
    /// The axis that grows.
    pub axis: usize,
}

impl<T: Element> Op<T> for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let first = inputs.first().map_or(Shape::SCALAR, |input| input.shape);
        if self.axis >= first.rank() {
            return Err(OpError::Axis { op: "concat", axis: self.axis, shape: first });
        }
        let mut length = 0;
        for input in inputs {
            let [&got] = reals("concat", &[*input])?;
            length += got.dims().get(self.axis).copied().unwrap_or(0);
            let expected = first.with(self.axis, got.dims().get(self.axis).copied().unwrap_or(1));
            if got != expected {
                return Err(OpError::Shape { op: "concat", expected, got });
            }
        }
        Ok(ValueType::real(first.with(self.axis, length)))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, _cx: &StepContext<'_>, io: Io<'_, T>) {
        let shape = io.value.shape;
        let outer: usize = shape.dims()[..self.axis].iter().product();
        let inner: usize = shape.dims()[self.axis + 1..].iter().product();
        let row = shape[self.axis] * inner;
        let out = io.output.real();
        let mut start = 0;
        for i in 0..io.inputs.len() {
            let x = io.inputs.real(i);
            let part = io.inputs.value(i).shape[self.axis] * inner;
            for o in 0..outer {
                out[o * row + start..][..part].copy_from_slice(&x[o * part..][..part]);
            }
            start += part;
        }
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let mut start = 0;
        let mut flows = Vec::with_capacity(node.inputs().len());
        for input in node.inputs() {
            let end = start + input.dim(self.axis);
            flows.push(dy.slice(self.axis, start..end).into());
            start = end;
        }
        flows
    }
}

/// Which elements of an axis: from `start` up to but not including `end`, every `step`-th. Made from a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceRange {
    /// The first index.
    pub start: usize,
    /// One past the last index; `usize::MAX` is the end of the axis.
    pub end: usize,
    /// The distance between neighbours, at least 1.
    pub step: usize,
}

impl SliceRange {
    /// Every `step`-th.
    #[must_use]
    pub fn step_by(mut self, step: usize) -> SliceRange {
        self.step = step;
        self
    }
}

impl From<core::ops::Range<usize>> for SliceRange {
    fn from(range: core::ops::Range<usize>) -> Self {
        SliceRange { start: range.start, end: range.end, step: 1 }
    }
}

impl From<core::ops::RangeFrom<usize>> for SliceRange {
    fn from(range: core::ops::RangeFrom<usize>) -> Self {
        SliceRange { start: range.start, end: usize::MAX, step: 1 }
    }
}

#[cfg(feature = "alloc")]
impl<T: Element> Graph<T> {
    /// A value whose elements are all the same number.
    #[track_caller]
    pub fn full(&self, shape: Shape, value: T) -> Var<'_, T> {
        self.record(Full { shape, value }, &[])
    }

    /// Values side by side along `axis`; all other axes must agree.
    #[track_caller]
    pub fn concat<'g>(&'g self, values: &[Var<'g, T>], axis: usize) -> Var<'g, T> {
        self.record(Concat { axis }, values)
    }

    /// Values of one shape, stacked along a new axis.
    #[track_caller]
    pub fn stack<'g>(&'g self, values: &[Var<'g, T>], axis: usize) -> Var<'g, T> {
        let unsqueezed: Vec<Var<'g, T>> = values.iter().map(|value| value.unsqueeze(axis)).collect();
        self.concat(&unsqueezed, axis)
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// The same elements under another shape with as many elements. Costs nothing when it runs.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Var<'g, T> {
        let shape = shape.into();
        if shape == self.shape() { self } else { self.apply(Reshape(shape)) }
    }

    /// All axes but the first become one: `[batch, …]` to `[batch, features]`.
    #[track_caller]
    pub fn flatten(self) -> Var<'g, T> {
        let batch = self.dim(0).max(1);
        self.reshape(Shape::of([batch, self.shape().len() / batch]))
    }

    /// A new axis of length 1 before axis `axis`.
    #[track_caller]
    pub fn unsqueeze(self, axis: usize) -> Var<'g, T> {
        let shape = self.shape();
        if axis > shape.rank() || shape.rank() == MAX_RANK {
            self.graph.fail_op(OpError::Axis { op: "unsqueeze", axis, shape });
            return self;
        }
        let mut dims = [1; MAX_RANK];
        dims[..axis].copy_from_slice(&shape.dims()[..axis]);
        dims[axis + 1..=shape.rank()].copy_from_slice(&shape.dims()[axis..]);
        self.reshape(Shape::new(&dims[..=shape.rank()]).unwrap_or(shape))
    }

    /// Axes in another order: axis `i` of the result is axis `order[i]` of this value.
    #[track_caller]
    pub fn permute(self, order: &[usize]) -> Var<'g, T> {
        let from = self.shape();
        if let Err(error) = Axes::from(order).check("permute", from) {
            self.graph.fail_op(error);
            return self;
        }
        if order.len() != from.rank() {
            let (expected, got) = (from.rank(), order.len());
            self.graph.fail_op(OpError::Count { op: "permute", what: "axes", expected, got, shape: from });
            return self;
        }
        let own = from.strides();
        let (mut to, mut strides) = (from, [0; MAX_RANK]);
        for (axis, &source) in order.iter().enumerate() {
            to.dims_mut()[axis] = from[source];
            strides[axis] = own[source] as isize;
        }
        if order.iter().enumerate().all(|(axis, &source)| axis == source) {
            return self;
        }
        self.apply(Gather { name: "permute", from, to, start: 0, strides })
    }

    /// The last two axes exchanged.
    #[track_caller]
    pub fn transpose(self) -> Var<'g, T> {
        let rank = self.shape().rank();
        let mut order: Vec<usize> = (0..rank).collect();
        if rank >= 2 {
            order.swap(rank - 2, rank - 1);
        }
        self.permute(&order)
    }

    /// Part of an axis: `x.slice(1, 2..5)`, `x.slice(0, SliceRange::from(0..10).step_by(2))`.
    #[track_caller]
    pub fn slice(self, axis: usize, range: impl Into<SliceRange>) -> Var<'g, T> {
        let (from, range) = (self.shape(), range.into());
        let Some(&length) = from.dims().get(axis) else {
            self.graph.fail_op(OpError::Axis { op: "slice", axis, shape: from });
            return self;
        };
        let end = if range.end == usize::MAX { length } else { range.end };
        if range.start >= end || end > length || range.step == 0 {
            let rule = "a range inside the axis that is not empty and steps forward";
            self.graph.fail_op(OpError::Setting { op: "slice", rule, got: range.start as f64 });
            return self;
        }
        let own = from.strides();
        let mut strides = [0; MAX_RANK];
        for a in 0..from.rank() {
            strides[a] = own[a] as isize;
        }
        strides[axis] *= range.step as isize;
        let to = from.with(axis, (end - range.start).div_ceil(range.step));
        self.apply(Gather { name: "slice", from, to, start: range.start * own[axis], strides })
    }

    /// The axis in reverse.
    #[track_caller]
    pub fn flip(self, axis: usize) -> Var<'g, T> {
        let from = self.shape();
        if axis >= from.rank() {
            self.graph.fail_op(OpError::Axis { op: "flip", axis, shape: from });
            return self;
        }
        let own = from.strides();
        let mut strides = [0; MAX_RANK];
        for a in 0..from.rank() {
            strides[a] = own[a] as isize;
        }
        strides[axis] = -strides[axis];
        let start = (from[axis].max(1) - 1) * own[axis];
        self.apply(Gather { name: "flip", from, to: from, start, strides })
    }

    /// The value repeated to a larger shape by NumPy's rule. Elementwise ops broadcast on their own: this is for the
    /// rare case that the repeated elements themselves are wanted.
    #[track_caller]
    pub fn broadcast_to(self, shape: Shape) -> Var<'g, T> {
        let from = self.shape();
        if from == shape {
            return self;
        }
        if broadcast_shapes(from, shape) != Some(shape) {
            self.graph.fail_op(OpError::Broadcast { op: "broadcast", left: from, right: shape });
            return self;
        }
        let strides = broadcast_strides(from, shape).map(|stride| stride as isize);
        self.apply(Gather { name: "broadcast", from, to: shape, start: 0, strides })
    }
}
