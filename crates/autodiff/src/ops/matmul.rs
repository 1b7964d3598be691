//! Matrix products: batched with transposes, and the affine map of a linear layer.

use super::reals;
use crate::{Element, Io, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Shared, Var};
#[cfg(feature = "alloc")]
use alloc::{format, string::String, vec, vec::Vec};
use bantam_core::{Shape, broadcast_shapes};
use bantam_kernels::{Activation, Bias, Gemm, gemm, gemm_scratch};

/// `op(a) · op(b)` over the last two axes, where `op` transposes or not; the other axes are batches and broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatMul {
    /// Use `a` transposed.
    pub transpose_a: bool,
    /// Use `b` transposed.
    pub transpose_b: bool,
}

/// The rows and columns of a matrix and its strides, as the product sees it.
fn matrix(shape: Shape, transpose: bool) -> ([usize; 2], [usize; 2]) {
    let (rows, columns) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
    if transpose { ([columns, rows], [1, columns]) } else { ([rows, columns], [columns, 1]) }
}

/// Everything but the last two axes.
fn batches(shape: Shape) -> Shape {
    // A prefix of a valid shape is a valid shape.
    Shape::new(&shape.dims()[..shape.rank() - 2]).unwrap_or(Shape::SCALAR)
}

impl MatMul {
    fn gemm(&self, a: Shape, b: Shape) -> Gemm {
        let ([m, k], a_strides) = matrix(a, self.transpose_a);
        let ([_, n], b_strides) = matrix(b, self.transpose_b);
        Gemm { m, n, k, a_strides, b_strides }
    }
}

/// What [`MatMul`] evaluates where both operands have two axes, or for a part of such a product: for plans in flash, which then hold
/// nothing of batches.
pub fn eval_matrices<T: Element>(op: MatMul, cx: &StepContext<'_>, io: Io<'_, T>) {
    let mut product = op.gemm(io.inputs.value(0).shape, io.inputs.value(1).shape);
    let (mut a, mut b) = (io.inputs.real(0), io.inputs.real(1));
    let c = io.output.real();
    if let Some(first) = io.first {
        let (row, column) = (first / product.n.max(1), first % product.n.max(1));
        (a, b) = (&a[row * product.a_strides[0]..], &b[column * product.b_strides[1]..]);
        product.n = product.n.min(c.len()).max(1);
        product.m = c.len() / product.n;
    }
    gemm(&cx.kernels, &product, a, b, None, Activation::Identity, c, io.accumulate, io.scratch);
}

impl<T: Element> Op<T> for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [a, b] = reals("matmul", inputs)?;
        for got in [a, b] {
            if got.rank() < 2 {
                return Err(OpError::Form { op: "matmul", expected: "[..., rows, columns]", got });
            }
        }
        let ([m, k], _) = matrix(a, self.transpose_a);
        let ([rows, n], _) = matrix(b, self.transpose_b);
        if k != rows {
            return Err(OpError::Count {
                op: "matmul",
                what: "rows in its right operand",
                expected: k,
                got: rows,
                shape: b,
            });
        }
        let outer = broadcast_shapes(batches(a), batches(b));
        let outer = outer.ok_or(OpError::Broadcast { op: "matmul", left: a, right: b })?;
        let mut out = if a.rank() >= b.rank() { a } else { b };
        let rank = out.rank();
        out.dims_mut()[..rank - 2].copy_from_slice(outer.dims());
        Ok(ValueType::real(out.with(rank - 2, m).with(rank - 1, n)))
    }

    fn scratch(&self, inputs: &[ValueType]) -> usize {
        gemm_scratch(&self.gemm(inputs[0].shape, inputs[1].shape))
    }

    #[cfg(feature = "alloc")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    #[cfg(feature = "alloc")]
    fn call_to_rust(&self, inputs: &[ValueType]) -> Option<String> {
        Some(if inputs.iter().all(|input| input.shape.rank() == 2) {
            format!("ops::eval_matrices(ops::{self:?}, cx, io)")
        } else {
            format!("Op::<{}>::eval(&ops::{self:?}, cx, io)", T::NAME)
        })
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (a_shape, b_shape) = (io.inputs.value(0).shape, io.inputs.value(1).shape);
        let spec = self.gemm(a_shape, b_shape);
        let (a, b) = (io.inputs.real(0), io.inputs.real(1));
        if io.first.is_some() {
            return eval_matrices(*self, cx, io);
        }
        let outer = batches(io.value.shape);
        let strides =
            [a_shape, b_shape].map(|shape| super::elementwise::broadcast_strides(batches(shape), outer));
        let (a_len, b_len) = (spec.m * spec.k, spec.k * spec.n);
        let out = io.output.real();
        for (batch, c) in out.chunks_exact_mut((spec.m * spec.n).max(1)).enumerate() {
            // Which matrices: the batch's position along each axis, times the strides of broadcasting.
            let (mut rest, mut at) = (batch, [0, 0]);
            for axis in (0..outer.rank()).rev() {
                for operand in 0..2 {
                    at[operand] += rest % outer[axis] * strides[operand][axis];
                }
                rest /= outer[axis];
            }
            let a = &a[at[0] * a_len..][..a_len];
            let b = &b[at[1] * b_len..][..b_len];
            gemm(&cx.kernels, &spec, a, b, None, Activation::Identity, c, io.accumulate, io.scratch);
        }
    }

    /// With A′ = op(A) and B′ = op(B): dA′ = dC·B′ᵀ and dB′ = A′ᵀ·dC; transposed where the operand was.
    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (a, b) = (node.input(0), node.input(1));
        let (ta, tb) = (self.transpose_a, self.transpose_b);
        let da = if ta { product(b, dy, tb, true) } else { product(dy, b, false, !tb) };
        let db = if tb { product(dy, a, true, ta) } else { product(a, dy, !ta, false) };
        vec![da.sum_to(a.shape()).into(), db.sum_to(b.shape()).into()]
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn evaluates_parts(&self) -> bool {
        true
    }
}

#[cfg(feature = "alloc")]
#[track_caller]
fn product<'g, T: Element>(a: Var<'g, T>, b: Var<'g, T>, transpose_a: bool, transpose_b: bool) -> Var<'g, T> {
    a.graph.record(MatMul { transpose_a, transpose_b }, &[a, b])
}

/// `activation(x · weightᵀ + bias)`, with x `[..., fan_in]`, weight `[fan_out, fan_in]` as PyTorch keeps it, and
/// bias `[fan_out]` or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Applied to each element of the result; set by the planner.
    pub activation: Activation,
}

impl Linear {
    fn gemm(inputs: [Shape; 2]) -> Gemm {
        let [x, weight] = inputs;
        let (fan_out, fan_in) = (weight[0], weight[1]);
        let rows = x.len().checked_div(fan_in).unwrap_or(0);
        Gemm { m: rows, n: fan_out, k: fan_in, a_strides: [fan_in, 1], b_strides: [1, fan_in] }
    }
}

impl<T: Element> Op<T> for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [x, weight] = reals("linear", &inputs[..inputs.len().min(2)])?;
        if weight.rank() != 2 {
            return Err(OpError::Form {
                op: "linear",
                expected: "[fan_out, fan_in] of its weight",
                got: weight,
            });
        }
        if x.rank() == 0 || x.last() != weight[1] {
            return Err(OpError::Count {
                op: "linear",
                what: "features",
                expected: weight[1],
                got: x.last(),
                shape: x,
            });
        }
        if let Some(bias) = inputs.get(2) {
            let ([_, _, bias], expected) =
                (reals("linear", &[inputs[0], inputs[1], *bias])?, Shape::of([weight[0]]));
            if bias != expected {
                return Err(OpError::Shape { op: "linear", expected, got: bias });
            }
        }
        Ok(ValueType::real(x.with(x.rank() - 1, weight[0])))
    }

    fn scratch(&self, inputs: &[ValueType]) -> usize {
        gemm_scratch(&Linear::gemm([inputs[0].shape, inputs[1].shape]))
    }

    #[cfg(feature = "alloc")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::Linear {{ activation: Activation::{:?} }}", self.activation))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let spec = Linear::gemm([io.inputs.value(0).shape, io.inputs.value(1).shape]);
        let (x, weight) = (io.inputs.real(0), io.inputs.real(1));
        let bias = (io.inputs.len() > 2).then(|| Bias::PerColumn(io.inputs.real(2)));
        gemm(&cx.kernels, &spec, x, weight, bias, self.activation, io.output.real(), false, io.scratch);
    }

    /// dx = dy·W, dW = dyᵀ·x, db = Σ dy over all rows. Only recorded while no activation is fused: the planner fuses
    /// after differentiation.
    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (x, weight) = (node.input(0), node.input(1));
        let rows = |v: Var<'g, T>| {
            v.reshape(Shape::of([v.shape().len() / v.shape().last().max(1), v.shape().last()]))
        };
        let dy = rows(dy);
        let dx = product(dy, weight, false, false).reshape(x.shape());
        let mut flows = vec![dx.into(), product(dy, rows(x), true, false).into()];
        if node.inputs().len() > 2 {
            flows.push(dy.sum_to(node.input(2).shape()).into());
        }
        flows
    }

    #[cfg(feature = "alloc")]
    fn with_activation(&self, activation: Activation) -> Option<Shared<dyn Op<T>>> {
        (self.activation == Activation::Identity).then(|| T::share(Linear { activation }))
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// The matrix product over the last two axes; the axes before them are batches and broadcast.
    #[track_caller]
    pub fn matmul(self, other: Var<'g, T>) -> Var<'g, T> {
        product(self, other, false, false)
    }

    /// `selfᵀ · other` without moving anything.
    #[track_caller]
    pub fn matmul_tn(self, other: Var<'g, T>) -> Var<'g, T> {
        product(self, other, true, false)
    }

    /// `self · otherᵀ` without moving anything.
    #[track_caller]
    pub fn matmul_nt(self, other: Var<'g, T>) -> Var<'g, T> {
        product(self, other, false, true)
    }

    /// `self · weightᵀ + bias`: self `[..., fan_in]`, weight `[fan_out, fan_in]`, bias `[fan_out]`.
    #[track_caller]
    pub fn linear(self, weight: Var<'g, T>, bias: Option<Var<'g, T>>) -> Var<'g, T> {
        let op = Linear { activation: Activation::Identity };
        match bias {
            Some(bias) => self.graph.record(op, &[self, weight, bias]),
            None => self.graph.record(op, &[self, weight]),
        }
    }
}
