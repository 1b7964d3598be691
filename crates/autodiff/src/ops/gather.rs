//! Looking up rows of a table by index: embeddings.

use super::expect;
use crate::{Element, Io, Kind, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::Shape;
use bantam_kernels::{gather_rows, scatter_add_rows};

/// The rows of a table `[rows, width]` that indices name; the output is the indices' shape with `width` appended. An
/// index that is no row gives NaN.
#[derive(Clone, Copy, Debug)]
pub struct GatherRows;

impl<T: Element> Op<T> for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&table, &indices] = expect("gather_rows", inputs, [Kind::Real, Kind::Index])?;
        if table.rank() != 2 {
            return Err(OpError::Form {
                op: "gather_rows",
                expected: "[rows, width] of its table",
                got: table,
            });
        }
        let mut dims = [1; bantam_core::MAX_RANK + 1];
        dims[..indices.rank()].copy_from_slice(indices.dims());
        dims[indices.rank()] = table[1];
        let out = Shape::new(&dims[..=indices.rank()]);
        let out =
            out.map_err(|_| OpError::Axis { op: "gather_rows", axis: indices.rank(), shape: indices })?;
        Ok(ValueType::real(out))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some("ops::GatherRows".into())
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let width = io.inputs.value(0).shape[1];
        gather_rows(&cx.kernels, io.inputs.real(0), width, io.inputs.indices(1), io.output.real());
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let table = node.input(0).shape();
        vec![dy.graph.record(ScatterAddRows { table }, &[dy, node.input(1)]).into(), Gradient::Zero]
    }
}

/// The transpose of [`GatherRows`]: adds each row of dy to the row of the table that its index names.
#[derive(Clone, Copy, Debug)]
pub struct ScatterAddRows {
    /// The table's shape.
    pub table: Shape,
}

impl<T: Element> Op<T> for ScatterAddRows {
    fn name(&self) -> &'static str {
        "scatter_add_rows"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        expect("scatter_add_rows", inputs, [Kind::Real, Kind::Index])?;
        Ok(ValueType::real(self.table))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::ScatterAddRows {{ table: Shape::of({}) }}", self.table))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (dy, indices) = (io.inputs.real(0), io.inputs.indices(1));
        scatter_add_rows(&cx.kernels, indices, self.table[1], dy, io.output.real(), io.accumulate);
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![dy.graph.record(GatherRows, &[dy, node.input(1)]).into(), Gradient::Zero]
    }

    fn accumulates(&self) -> bool {
        true
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// The rows of this table `[rows, width]` that `indices` name: `[...]` to `[..., width]`.
    #[track_caller]
    pub fn gather_rows(self, indices: Var<'g, T>) -> Var<'g, T> {
        self.graph.record(GatherRows, &[self, indices])
    }
}
