//! The products of attention (Vaswani and others, 2017), head by head where the heads lie: the columns of a value are those of its
//! heads, side by side, and nothing is moved.

use super::reals;
use crate::{Element, Io, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::Shape;
use bantam_kernels::{Batch, Gemm, batched_gemm};

/// The product of each query with each key of its sample, for each head: from queries `[batch, queries, width]` and keys
/// `[batch, keys, width]` to `[batch, heads, queries, keys]`.
#[derive(Clone, Copy, Debug)]
pub struct AttentionScores {
    /// How many heads share the columns; a divisor of the width.
    pub heads: usize,
}

/// The sum of values with the weights of each query, for each head: from weights `[batch, heads, queries, keys]` and values
/// `[batch, keys, width]` to `[batch, queries, width]`.
#[derive(Clone, Copy, Debug)]
pub struct AttentionMix {
    /// With the last two axes of the weights exchanged: values `[batch, queries, width]` to `[batch, keys, width]`.
    pub transpose: bool,
}

/// The shape `[batch, length, width]` of an operand whose width `heads` share.
fn sequence(op: &'static str, got: Shape, heads: usize) -> Result<[usize; 3], OpError> {
    let expected = "[batch, length, width]";
    let &[batch, length, width] = got.dims() else { return Err(OpError::Form { op, expected, got }) };
    if heads == 0 || width % heads > 0 {
        let rule = "a divisor of the width";
        return Err(OpError::Setting { op, rule, got: heads as f64 });
    }
    Ok([batch, length, width])
}

impl<T: Element> Op<T> for AttentionScores {
    fn name(&self) -> &'static str {
        "attention_scores"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let op = "attention_scores";
        let [&left, &right] = reals(op, inputs)?;
        let [batch, queries, width] = sequence(op, left, self.heads)?;
        let [.., keys, _] = sequence(op, right, self.heads)?;
        let expected = Shape::of([batch, keys, width]);
        if right != expected {
            return Err(OpError::Shape { op, expected, got: right });
        }
        Ok(ValueType::real(Shape::of([batch, self.heads, queries, keys])))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let [m, n] = [0, 1].map(|i| io.inputs.value(i).shape[1]);
        let (width, heads) = (io.inputs.value(0).shape[2], self.heads);
        let k = width / heads;
        let gemm = Gemm { m, n, k, a_strides: [width, 1], b_strides: [1, width] };
        let batch = Batch {
            counts: [io.value.shape[0], heads],
            a_steps: [m * width, k],
            b_steps: [n * width, k],
            c_steps: [heads * m * n, m * n],
            c_stride: n,
        };
        let (a, b) = (io.inputs.real(0), io.inputs.real(1));
        batched_gemm(&cx.kernels, &gemm, &batch, a, b, io.output.real(), io.accumulate);
    }

    /// With S = Q·Kᵀ: dQ = dS·K and dK = dSᵀ·Q.
    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let mix = |transpose, values| dy.graph.record(AttentionMix { transpose }, &[dy, values]);
        vec![mix(false, node.input(1)).into(), mix(true, node.input(0)).into()]
    }

    fn accumulates(&self) -> bool {
        true
    }
}

impl<T: Element> Op<T> for AttentionMix {
    fn name(&self) -> &'static str {
        "attention_mix"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let op = "attention_mix";
        let [&weights, &values] = reals(op, inputs)?;
        let &[batch, heads, queries, keys] = weights.dims() else {
            return Err(OpError::Form { op, expected: "[batch, heads, queries, keys]", got: weights });
        };
        let [.., width] = sequence(op, values, heads)?;
        let (from, to) = if self.transpose { (queries, keys) } else { (keys, queries) };
        let expected = Shape::of([batch, from, width]);
        if values != expected {
            return Err(OpError::Shape { op, expected, got: values });
        }
        Ok(ValueType::real(Shape::of([batch, to, width])))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (weights, width) = (io.inputs.value(0).shape, io.value.shape[2]);
        let [counts @ .., rows, columns] = [weights[0], weights[1], weights[2], weights[3]];
        let n = width / counts[1];
        let (m, k, a_strides) =
            if self.transpose { (columns, rows, [1, columns]) } else { (rows, columns, [columns, 1]) };
        let gemm = Gemm { m, n, k, a_strides, b_strides: [width, 1] };
        let batch = Batch {
            counts,
            a_steps: [counts[1] * m * k, m * k],
            b_steps: [k * width, n],
            c_steps: [m * width, n],
            c_stride: width,
        };
        let (a, b) = (io.inputs.real(0), io.inputs.real(1));
        batched_gemm(&cx.kernels, &gemm, &batch, a, b, io.output.real(), io.accumulate);
    }

    /// With Y = P·V: dP = dY·Vᵀ and dV = Pᵀ·dY; with Y = Pᵀ·V: dP = V·dYᵀ and dV = P·dY.
    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (weights, values) = (node.input(0), node.input(1));
        let scores = AttentionScores { heads: weights.dim(1) };
        let dweights = if self.transpose { [values, dy] } else { [dy, values] };
        let dvalues = AttentionMix { transpose: !self.transpose };
        let graph = dy.graph;
        vec![graph.record(scores, &dweights).into(), graph.record(dvalues, &[weights, dy]).into()]
    }

    fn accumulates(&self) -> bool {
        true
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// The product of each of these queries `[batch, queries, width]` with each key `[batch, keys, width]` of the same sample, by heads
    /// that share the columns: `[batch, heads, queries, keys]`. Not divided by √(width / heads).
    #[track_caller]
    pub fn attention_scores(self, keys: Var<'g, T>, heads: usize) -> Var<'g, T> {
        self.graph.record(AttentionScores { heads }, &[self, keys])
    }

    /// The sums of values `[batch, keys, width]` with these weights `[batch, heads, queries, keys]`, mostly a softmax of
    /// [scores](Self::attention_scores): `[batch, queries, width]`, the heads side by side.
    #[track_caller]
    pub fn attention_mix(self, values: Var<'g, T>) -> Var<'g, T> {
        self.graph.record(AttentionMix { transpose: false }, &[self, values])
    }
}
