//! A table of what a model consists of, read off its graph.

use crate::{Layer, Params};
use alloc::{string::String, vec::Vec};
use bantam_autodiff::{Element, Error, Mode, ValueType};
use core::fmt;

/// One row of a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// The layer's path; empty for an op outside of any layer with parameters.
    pub path: String,
    /// The op that the layer is known by, such as `conv2d`.
    pub op: String,
    /// The type of its output.
    pub output: ValueType,
    /// The number of its parameters.
    pub parameters: usize,
    /// Whether any of them is trained.
    pub trainable: bool,
}

/// The layers of a model in the order in which they run, with output shapes and sizes. Prints as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The rows.
    pub rows: Vec<SummaryRow>,
    /// The number of all parameters.
    pub parameters: usize,
    /// The number of those that are trained.
    pub trainable: usize,
    /// The size of a parameter in bytes.
    pub parameter_bytes: usize,
}

impl Summary {
    /// Traces `model` for one input of type `input` (with the batch as its first axis) and lists what it records.
    ///
    /// # Errors
    /// The model does not accept such an input.
    pub fn of<T: Element>(
        model: &(impl Layer<T> + ?Sized),
        params: &Params,
        input: ValueType,
    ) -> Result<Summary, Error> {
        let graph = params.graph::<T>(Mode::Infer);
        let x = match input.kind {
            bantam_autodiff::Kind::Real => graph.input("input", input.shape),
            _ => graph.indices("input", input.shape),
        };
        let output = model.forward(x);
        graph.check()?;
        let _ = output;
        let mut rows: Vec<SummaryRow> = Vec::new();
        graph.visit(|path, op, output| {
            match rows.last_mut() {
                // Further ops of the same layer: what counts is what comes out in the end.
                Some(row) if !path.is_empty() && row.path == path => row.output = output,
                _ => rows.push(SummaryRow {
                    path: path.into(),
                    op: op.into(),
                    output,
                    parameters: 0,
                    trainable: false,
                }),
            }
        });
        for spec in params.specs().iter().filter(|spec| !spec.buffer) {
            let layer = spec.path.rsplit_once('.').map_or("", |(layer, _)| layer);
            if let Some(row) = rows.iter_mut().find(|row| row.path == layer) {
                row.parameters += spec.shape.len();
                row.trainable |= spec.trainable;
            }
        }
        let trainable = params.specs().iter().filter(|spec| spec.trainable && !spec.buffer);
        Ok(Summary {
            rows,
            parameters: params.count(),
            trainable: trainable.map(|spec| spec.shape.len()).sum(),
            parameter_bytes: size_of::<T>(),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.path.len()).max().unwrap_or(0).max(5);
        writeln!(
            f,
            "{:<width$}  {:<14}  {:<20}  {:>12}  {:>12}",
            "layer", "op", "output", "parameters", "bytes"
        )?;
        for row in &self.rows {
            let path = if row.path.is_empty() { "-" } else { &row.path };
            let output = alloc::format!("{}", row.output);
            write!(f, "{path:<width$}  {:<14}  {output:<20}", row.op)?;
            if row.parameters > 0 {
                let frozen = if row.trainable { "" } else { "  frozen" };
                write!(f, "  {:>12}  {:>12}{frozen}", row.parameters, row.parameters * self.parameter_bytes)?;
            }
            writeln!(f)?;
        }
        let bytes = self.parameters * self.parameter_bytes;
        write!(f, "{} parameters ({bytes} bytes), of which {} are trained", self.parameters, self.trainable)
    }
}
