//! Ops that work on each element alone: one input ([`Map`]) or two that broadcast ([`Zip`]).
//!
//! A new one is a function for the kernels ([`MapFn`] or [`ZipFn`]) and its derivative ([`Elementwise`] or
//! [`ZipElementwise`]); shapes, threads, SIMD, in-place operands and broadcasting come with it.

#[cfg(feature = "alloc")]
use super::BuiltIn;
use super::reals;
use crate::{Element, Io, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::{MAX_RANK, Shape, broadcast_shapes};
use bantam_kernels::{Activation, MapFn, ZipFn, ZipLines, map, zip_alike, zip_by};
use core::fmt::Debug;

/// A function of one number and its derivative.
pub trait Elementwise<T: Element>: MapFn<T> + Debug + Send + Sync + 'static {
    /// The op's name.
    const NAME: &'static str;

    /// The same function as the epilogue of a matrix product or convolution, if it can be one.
    const ACTIVATION: Option<Activation> = None;

    /// dy · f′, recorded from x, y = f(x) and dy. Derivatives that need only y let the planner forget x.
    #[cfg(feature = "alloc")]
    fn derivative<'g>(self, x: Var<'g, T>, y: Var<'g, T>, dy: Var<'g, T>) -> Gradient<'g, T>;
}

/// Applies a function to each element.
#[derive(Clone, Copy, Debug)]
pub struct Map<F>(pub F);

impl<T: Element, F: Elementwise<T>> Op<T> for Map<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        infer_map(F::NAME, inputs)
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        expression("Map", core::any::type_name::<F>(), &self.0)
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        map(&cx.kernels, self.0, io.span());
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![self.0.derivative(node.input(0), node.output(), dy)]
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn in_place(&self, _operand: usize) -> bool {
        true
    }

    #[cfg(feature = "alloc")]
    fn as_activation(&self) -> Option<Activation> {
        F::ACTIVATION
    }
}

/// A function of two numbers and its derivatives.
pub trait ZipElementwise<T: Element>: ZipFn<T> + Debug + Send + Sync + 'static {
    /// The op's name.
    const NAME: &'static str;

    /// Whether it is the sum; sums of gradients can become accumulation.
    const IS_SUM: bool = false;

    /// dy · ∂f/∂a and dy · ∂f/∂b, of the output's shape; the sum over broadcast axes is taken for them.
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        a: Var<'g, T>,
        b: Var<'g, T>,
        y: Var<'g, T>,
        dy: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2];
}

/// Applies a function to pairs of elements, with NumPy's broadcasting.
#[derive(Clone, Copy, Debug)]
pub struct Zip<F>(pub F);

// What does not depend on the function is compiled once for all of them.

fn infer_map(op: &'static str, inputs: &[ValueType]) -> Result<ValueType, OpError> {
    let [&x] = reals(op, inputs)?;
    Ok(ValueType::real(x))
}

fn infer_zip(op: &'static str, inputs: &[ValueType]) -> Result<ValueType, OpError> {
    let [&left, &right] = reals(op, inputs)?;
    let broadcast = OpError::Broadcast { op, left, right };
    broadcast_shapes(left, right).map(ValueType::real).ok_or(broadcast)
}

fn eval_zip<T: Element>(f: &dyn ZipLines<T>, cx: &StepContext<'_>, io: Io<'_, T>) {
    let out = io.value.shape;
    let strides = [0, 1].map(|i| broadcast_strides(io.inputs.value(i).shape, out));
    let rank = out.rank();
    let (a, b) = (io.arg(0, &strides[0][..rank]), io.arg(1, &strides[1][..rank]));
    zip_by(&cx.kernels, f, out.dims(), a, b, io.output.real());
}

/// As [`Zip`] where both operands have one shape: what derivatives and plans in flash hold, so that a board need not have
/// what broadcasts.
#[derive(Clone, Copy, Debug)]
pub struct Alike<F>(pub F);

impl<T: Element, F: ZipElementwise<T>> Op<T> for Alike<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        super::alike(F::NAME, inputs)
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        expression("Alike", core::any::type_name::<F>(), &self.0)
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (a, b) = (io.arg(0, &[]), io.arg(1, &[]));
        zip_alike(&cx.kernels, &self.0, a, b, io.output.real());
    }

    #[cfg(feature = "higher-order")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        self.0.derivatives(node.input(0), node.input(1), node.output(), dy).into()
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn in_place(&self, _operand: usize) -> bool {
        true
    }

    fn is_sum(&self) -> bool {
        F::IS_SUM
    }
}

/// Sums the flows over the axes along which their operands were repeated.
#[cfg(feature = "alloc")]
fn sum_broadcasts<'g, T: Element>(
    flows: [Gradient<'g, T>; 2],
    operands: [Var<'g, T>; 2],
) -> Vec<Gradient<'g, T>> {
    let mut summed = Vec::with_capacity(2);
    for (flow, operand) in flows.into_iter().zip(operands) {
        summed.push(match flow {
            Gradient::Flow(flow) => flow.sum_to(operand.shape()).into(),
            other => other,
        });
    }
    summed
}

/// A function of the kernels as a Rust expression; `None` for one of another crate, whose path is not known here.
#[cfg(feature = "std")]
fn expression(op: &str, type_name: &str, f: &dyn Debug) -> Option<String> {
    type_name.starts_with("bantam_kernels::").then(|| format!("ops::{op}(functions::{f:?})"))
}

/// The strides with which an operand of shape `shape` is read as if it had the shape `out`.
pub(crate) fn broadcast_strides(shape: Shape, out: Shape) -> [usize; MAX_RANK] {
    let mut strides = [0; MAX_RANK];
    let own = shape.strides();
    let missing = out.rank() - shape.rank();
    for axis in 0..shape.rank() {
        if shape[axis] != 1 {
            strides[missing + axis] = own[axis];
        }
    }
    strides
}

impl<T: Element, F: ZipElementwise<T>> Op<T> for Zip<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        infer_zip(F::NAME, inputs)
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        expression("Zip", core::any::type_name::<F>(), &self.0)
    }

    #[cfg(feature = "std")]
    fn call_to_rust(&self, inputs: &[ValueType]) -> Option<String> {
        let op = Op::<T>::to_rust(self)?;
        Some(match inputs {
            [a, b] if a.shape == b.shape => Op::<T>::call_to_rust(&Alike(self.0), inputs)?,
            _ => format!("Op::<{}>::eval(&{op}, cx, io)", T::NAME),
        })
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        eval_zip(&self.0, cx, io);
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let [a, b] = [node.input(0), node.input(1)];
        sum_broadcasts(self.0.derivatives(a, b, node.output(), dy), [a, b])
    }

    fn is_elementwise(&self) -> bool {
        true
    }

    fn in_place(&self, _operand: usize) -> bool {
        true
    }

    fn is_sum(&self) -> bool {
        F::IS_SUM
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// Applies an elementwise function, built in or your own.
    #[track_caller]
    pub fn map(self, f: impl Elementwise<T>) -> Var<'g, T> {
        self.graph.apply(Map(f), &[self])
    }

    /// Applies an elementwise function of two operands, built in or your own, with broadcasting.
    #[track_caller]
    pub fn zip(self, other: Var<'g, T>, f: impl ZipElementwise<T>) -> Var<'g, T> {
        self.graph.apply(Zip(f), &[self, other])
    }

    /// Applies a built-in function.
    #[track_caller]
    pub(crate) fn unary<F>(self, f: F) -> Var<'g, T>
    where
        T: BuiltIn<Map<F>, T>,
    {
        self.graph.record(Map(f), &[self])
    }

    /// Applies a built-in function of two operands of one shape.
    #[track_caller]
    pub(crate) fn alike<F>(self, other: Var<'g, T>, f: F) -> Var<'g, T>
    where
        T: BuiltIn<Alike<F>, T>,
    {
        self.graph.record(Alike(f), &[self, other])
    }

    /// Applies a built-in function of two operands.
    #[track_caller]
    pub(crate) fn binary<F>(self, other: Var<'g, T>, f: F) -> Var<'g, T>
    where
        T: BuiltIn<Zip<F>, T>,
    {
        self.graph.record(Zip(f), &[self, other])
    }
}
