//! Matrix products: batched with transposes, and the affine map of a linear layer.

#[cfg(feature = "alloc")]
use super::ColumnSums;
use super::{check_kinds, reals};
use crate::{Element, Io, Kind, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Shared, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::{Context, Inline, Numerics, Shape, broadcast_shapes};
use bantam_kernels::parallel::for_each_chunk;
use bantam_kernels::{Activation, Bias, Gemm, copy, gemm, gemm_scratch};

/// The product of two matrices, each transposed or not: what derivatives hold, so that a board need not have what walks over
/// batches.
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

    /// The last two axes of the result.
    fn rows_and_columns(&self, a: Shape, b: Shape) -> Result<[usize; 2], OpError> {
        let ([m, k], _) = matrix(a, self.transpose_a);
        let ([rows, n], _) = matrix(b, self.transpose_b);
        if k == rows {
            return Ok([m, n]);
        }
        let what = "rows in its right operand";
        Err(OpError::Count { op: "matmul", what, expected: k, got: rows, shape: b })
    }

    /// With A′ = op(A) and B′ = op(B): dA′ = dC·B′ᵀ and dB′ = A′ᵀ·dC; transposed where the operand was.
    #[cfg(feature = "alloc")]
    fn flows<'g, T: Element>(
        self,
        [a, b]: [Var<'g, T>; 2],
        dy: Var<'g, T>,
        product: impl Fn(Var<'g, T>, Var<'g, T>, MatMul) -> Var<'g, T>,
    ) -> [Var<'g, T>; 2] {
        let MatMul { transpose_a: ta, transpose_b: tb } = self;
        let product = |a, b, transpose_a, transpose_b| product(a, b, MatMul { transpose_a, transpose_b });
        let da = if ta { product(b, dy, tb, true) } else { product(dy, b, false, !tb) };
        let db = if tb { product(dy, a, true, ta) } else { product(a, dy, !ta, false) };
        [da, db]
    }
}

impl<T: Element> Op<T> for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&a, &b] = reals("matmul", inputs)?;
        for got in [a, b] {
            if got.rank() != 2 {
                return Err(OpError::Form { op: "matmul", expected: "[rows, columns]", got });
            }
        }
        self.rows_and_columns(a, b).map(|out| ValueType::real(Shape::of(out)))
    }

    fn scratch(&self, inputs: &[ValueType], _: Numerics) -> usize {
        gemm_scratch(&self.gemm(inputs[0].shape, inputs[1].shape))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let mut product = self.gemm(io.inputs.value(0).shape, io.inputs.value(1).shape);
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

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        self.flows([node.input(0), node.input(1)], dy, matrices).map(Gradient::from).into()
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn evaluates_parts(&self) -> bool {
        true
    }
}

/// `activation(sum + product)` of two matrices, added up from `sum` on and in its place if nobody else reads it: one pass over memory
/// less than a product and a sum, and rounded otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddMatMul {
    /// Which matrices are used transposed.
    pub product: MatMul,
    /// Applied to each element of the result; set by the planner.
    pub activation: Activation,
}

impl<T: Element> Op<T> for AddMatMul {
    fn name(&self) -> &'static str {
        "add_matmul"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let op = "add_matmul";
        let [&got, ..] = reals::<3>(op, inputs)?;
        let product = Op::<T>::infer(&self.product, &inputs[1..])?;
        let expected = product.shape;
        if got == expected { Ok(product) } else { Err(OpError::Shape { op, expected, got }) }
    }

    fn scratch(&self, inputs: &[ValueType], numerics: Numerics) -> usize {
        Op::<T>::scratch(&self.product, &inputs[1..], numerics)
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        let AddMatMul { product, activation } = self;
        Some(format!(
            "ops::AddMatMul {{ product: ops::{product:?}, activation: Activation::{activation:?} }}"
        ))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let product = self.product.gemm(io.inputs.value(1).shape, io.inputs.value(2).shape);
        let (a, b) = (io.inputs.real(1), io.inputs.real(2));
        let in_place = io.inputs.is_output(0);
        let (sum, c) = (io.inputs.real(0), io.output.real());
        if !in_place {
            copy(&cx.kernels, sum, c);
        }
        gemm(&cx.kernels, &product, a, b, None, self.activation, c, true, io.scratch);
    }

    /// Only recorded while no activation is fused: the planner fuses after differentiation.
    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let [da, db] = self.product.flows([node.input(1), node.input(2)], dy, matrices);
        vec![dy.into(), da.into(), db.into()]
    }

    fn in_place(&self, operand: usize) -> bool {
        operand == 0
    }

    #[cfg(feature = "alloc")]
    fn with_activation(&self, activation: Activation) -> Option<Shared<dyn Op<T>>> {
        (self.activation == Activation::Identity).then(|| T::share(AddMatMul { activation, ..*self }))
    }
}

/// Multiply-adds that are worth a task of their own.
const PRODUCT_GRAIN: usize = 1 << 18;

/// [`MatMul`] over the last two axes; the other axes are batches and broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchedMatMul(
    /// What is done with the matrices of each batch.
    pub MatMul,
);

impl<T: Element> Op<T> for BatchedMatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&a, &b] = reals("matmul", inputs)?;
        for got in [a, b] {
            if got.rank() < 2 {
                return Err(OpError::Form { op: "matmul", expected: "[..., rows, columns]", got });
            }
        }
        let [m, n] = self.0.rows_and_columns(a, b)?;
        let outer = broadcast_shapes(batches(a), batches(b));
        let outer = outer.ok_or(OpError::Broadcast { op: "matmul", left: a, right: b })?;
        let mut out = if a.rank() >= b.rank() { a } else { b };
        let rank = out.rank();
        out.dims_mut()[..rank - 2].copy_from_slice(outer.dims());
        Ok(ValueType::real(out.with(rank - 2, m).with(rank - 1, n)))
    }

    fn scratch(&self, inputs: &[ValueType], numerics: Numerics) -> usize {
        Op::<T>::scratch(&self.0, inputs, numerics)
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::BatchedMatMul(ops::{:?})", self.0))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (a_shape, b_shape) = (io.inputs.value(0).shape, io.inputs.value(1).shape);
        let spec = self.0.gemm(a_shape, b_shape);
        let (a, b) = (io.inputs.real(0), io.inputs.real(1));
        let outer = batches(io.value.shape);
        let strides =
            [a_shape, b_shape].map(|shape| super::elementwise::broadcast_strides(batches(shape), outer));
        let (a_len, b_len) = (spec.m * spec.k, spec.k * spec.n);
        let len = spec.m * spec.n;
        let each = |cx: &Context<'_>, first: usize, out: &mut [T], scratch: &mut [T]| {
            for (batch, c) in (first..).zip(out.chunks_exact_mut(len.max(1))) {
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
                gemm(cx, &spec, a, b, None, Activation::Identity, c, io.accumulate, scratch);
            }
        };
        let out = io.output.real();
        // Products that are too small for tasks of their own go to tasks together.
        let together = PRODUCT_GRAIN / (len * spec.k).max(1);
        if together < 2 || !io.scratch.is_empty() {
            return each(&cx.kernels, 0, out, io.scratch);
        }
        for_each_chunk(&cx.kernels, out, together * len, |task, out| {
            each(&Context { executor: &Inline, ..cx.kernels }, task * together, out, &mut []);
        });
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let [da, db] = self.0.flows([node.input(0), node.input(1)], dy, product);
        vec![da.sum_to(node.input(0).shape()).into(), db.sum_to(node.input(1).shape()).into()]
    }

    fn accumulates(&self) -> bool {
        true
    }
}

/// The product over the last two axes: that of two matrices wherever there is no more than that.
#[cfg(feature = "alloc")]
#[track_caller]
fn product<'g, T: Element>(a: Var<'g, T>, b: Var<'g, T>, op: MatMul) -> Var<'g, T> {
    let no_batches = a.shape().rank() == 2 && b.shape().rank() == 2;
    if no_batches { matrices(a, b, op) } else { a.graph.record(BatchedMatMul(op), &[a, b]) }
}

#[cfg(feature = "alloc")]
#[track_caller]
fn matrices<'g, T: Element>(a: Var<'g, T>, b: Var<'g, T>, op: MatMul) -> Var<'g, T> {
    a.graph.record(op, &[a, b])
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
        check_kinds("linear", inputs, &[Kind::Real; 3][..inputs.len().clamp(2, 3)])?;
        let (x, weight) = (inputs[0].shape, inputs[1].shape);
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
            let (expected, got) = (Shape::of([weight[0]]), bias.shape);
            if got != expected {
                return Err(OpError::Shape { op: "linear", expected, got });
            }
        }
        Ok(ValueType::real(x.with(x.rank() - 1, weight[0])))
    }

    fn scratch(&self, inputs: &[ValueType], _: Numerics) -> usize {
        gemm_scratch(&Linear::gemm([inputs[0].shape, inputs[1].shape]))
    }

    #[cfg(feature = "std")]
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
        let dx = matrices(dy, weight, MatMul::default()).reshape(x.shape());
        let dweight = matrices(dy, rows(x), MatMul { transpose_a: true, transpose_b: false });
        let mut flows = vec![dx.into(), dweight.into()];
        if let Some(bias) = node.inputs().get(2) {
            // Of a single row, the sum is the row: a batch of one needs no code for sums.
            let alone = dy.dim(0) == 1;
            let dbias = if alone { dy.reshape(bias.shape()) } else { dy.apply(ColumnSums) };
            flows.push(dbias.into());
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
        product(self, other, MatMul::default())
    }

    /// `selfᵀ · other` without moving anything.
    #[track_caller]
    pub fn matmul_tn(self, other: Var<'g, T>) -> Var<'g, T> {
        product(self, other, MatMul { transpose_a: true, transpose_b: false })
    }

    /// `self · otherᵀ` without moving anything.
    #[track_caller]
    pub fn matmul_nt(self, other: Var<'g, T>) -> Var<'g, T> {
        product(self, other, MatMul { transpose_a: false, transpose_b: true })
    }

    /// `self + a · bᵀ` of matrices, added up from `self` on.
    #[track_caller]
    pub fn add_matmul_nt(self, a: Var<'g, T>, b: Var<'g, T>) -> Var<'g, T> {
        let product = MatMul { transpose_a: false, transpose_b: true };
        self.graph.record(AddMatMul { product, activation: Activation::Identity }, &[self, a, b])
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
