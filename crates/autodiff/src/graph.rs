//! What to compute: nodes, recorded by ordinary Rust code that works on [`Var`]s.

use crate::ops::BuiltIn;
use crate::plan::Pass;
use crate::{Element, Error, ErrorKind, Kind, Op, OpError, Shared, ValueType};
use alloc::{string::String, vec::Vec};
use bantam_core::Shape;
use core::{cell::RefCell, fmt, panic::Location};

/// Whether a graph is traced to train or to use a network: dropout and batch normalisation ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Dropout drops, batch normalisation uses and collects the batch's statistics.
    Train,
    /// Everything is deterministic; batch normalisation uses what it has collected.
    #[default]
    Infer,
}

/// A tensor that lives as long as the session: a parameter, or a buffer such as a running mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Where it belongs, such as `features.0.weight`.
    pub path: String,
    /// Its shape.
    pub shape: Shape,
    /// Whether it gets a gradient and is updated. A buffer never is; a frozen parameter is not for now.
    pub trainable: bool,
    /// Whether it is a buffer: saved with the parameters, but not a degree of freedom of the model.
    pub buffer: bool,
}

impl ParameterSpec {
    /// Whether it gets a gradient and is updated.
    pub(crate) fn trains(&self) -> bool {
        self.trainable && !self.buffer
    }
}

/// Where a node comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source<T: Element> {
    Input(String),
    Parameter(usize),
    Op(Shared<dyn Op<T>>),
}

#[derive(Clone, Debug)]
pub(crate) struct Node<T: Element> {
    pub source: Source<T>,
    pub inputs: Vec<u32>,
    pub value: ValueType,
    pub path: u32,
    pub location: &'static Location<'static>,
    /// Whether the backward pass computes it again, and whether this is what it computes again.
    pub recompute: bool,
    pub again: bool,
}

impl<T: Element> Node<T> {
    pub fn name(&self) -> &str {
        match &self.source {
            Source::Input(name) => name,
            Source::Parameter(_) => "parameter",
            Source::Op(op) => op.name(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Inner<T: Element> {
    pub nodes: Vec<Node<T>>,
    pub paths: Vec<String>,
    pub path: u32,
    pub parameters: Vec<ParameterSpec>,
    pub inputs: Vec<u32>,
    pub assignments: Vec<(usize, u32)>,
    pub streams: u64,
    pub error: Option<Error>,
    /// Finds what the backward pass sees of a node, once one is marked to be computed again: a board holds it if its program
    /// asks for it.
    pub recompute: Option<Recompute<T>>,
    /// The planner's pass for assignments, once there is one.
    pub assign: Option<Pass<T>>,
}

impl<T: Element> Inner<T> {
    /// A mistake of node `id`, in its layer and on its line.
    pub fn error_at(&self, id: usize, kind: ErrorKind) -> Error {
        let node = &self.nodes[id];
        Error::new(kind, self.paths[node.path as usize].clone(), Some(node.location))
    }
}

/// See [`Graph::compute_again`].
pub(crate) type Recompute<T> =
    for<'g, 'a> fn(&'g Graph<T>, u32, &'a mut Vec<Option<Var<'g, T>>>) -> Var<'g, T>;

/// A record of what to compute. See the [crate documentation](crate).
///
/// A mistake in a shape does not interrupt the recording and needs no `?` on every line: the graph keeps the first one,
/// with the layer's path and the caller's line, and [`Planner::build`](crate::Planner::build) returns it.
#[derive(Debug)]
pub struct Graph<T: Element = f32> {
    pub(crate) inner: RefCell<Inner<T>>,
    mode: Mode,
}

impl<T: Element> Default for Graph<T> {
    fn default() -> Self {
        Graph::new()
    }
}

impl<T: Element> Graph<T> {
    /// A graph without parameters, for inference.
    pub fn new() -> Self {
        Graph::with_parameters(Vec::new(), Mode::Infer)
    }

    /// A graph over the given parameters and buffers. The same list gives every plan the same memory layout for them,
    /// so plans for training, for the last short batch and for evaluation share one session.
    pub fn with_parameters(parameters: Vec<ParameterSpec>, mode: Mode) -> Self {
        Graph {
            inner: RefCell::new(Inner {
                nodes: Vec::new(),
                paths: alloc::vec![String::new()],
                path: 0,
                parameters,
                inputs: Vec::new(),
                assignments: Vec::new(),
                streams: 0,
                error: None,
                recompute: None,
                assign: None,
            }),
            mode,
        }
    }

    /// Whether the graph is traced to train or to infer.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// An input of numbers; the session's inputs are numbered in the order of these calls.
    #[track_caller]
    pub fn input(&self, name: &str, shape: Shape) -> Var<'_, T> {
        self.add_input(name, ValueType::real(shape))
    }

    /// An input of indices: labels, token ids.
    #[track_caller]
    pub fn indices(&self, name: &str, shape: Shape) -> Var<'_, T> {
        self.add_input(name, ValueType::index(shape))
    }

    #[track_caller]
    fn add_input(&self, name: &str, value: ValueType) -> Var<'_, T> {
        let var = self.push(Source::Input(name.into()), Vec::new(), value);
        self.inner.borrow_mut().inputs.push(var.id);
        var
    }

    /// Parameter or buffer number `index` of the list that the graph was made with. Asked for twice it is the same
    /// node, so tied weights are nothing special.
    #[track_caller]
    pub fn parameter(&self, index: usize) -> Var<'_, T> {
        let (shape, known, count) = {
            let Inner { parameters, nodes, .. } = &*self.inner.borrow();
            let shape = parameters.get(index).map(|spec| spec.shape);
            let is_it = |node: &Node<T>| matches!(node.source, Source::Parameter(other) if other == index);
            (shape, nodes.iter().position(is_it), parameters.len())
        };
        if let Some(id) = known {
            return Var { graph: self, id: id as u32 };
        }
        let source = match shape {
            Some(_) => Source::Parameter(index),
            None => {
                self.fail(ErrorKind::NoParameter { index, count });
                Source::Input("missing".into())
            }
        };
        self.push(source, Vec::new(), ValueType::real(shape.unwrap_or(Shape::SCALAR)))
    }

    /// The parameters and buffers that the graph was made with.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        self.inner.borrow().parameters.clone()
    }

    /// Gives a buffer (or any parameter) a new value at the end of a step, after everything has read the old one.
    #[track_caller]
    pub fn assign(&self, index: usize, value: Var<'_, T>) {
        if !self.owns(value) {
            return self.fail(ErrorKind::OtherGraph);
        }
        let (current, new) = (self.parameter(index).shape(), value.value_type());
        if current != new.shape {
            return self.fail_op(OpError::Shape { op: "assign", expected: current, got: new.shape });
        }
        if new.kind != Kind::Real {
            let error = OpError::Kind { op: "assign", operand: 0, expected: Kind::Real, got: new.kind };
            return self.fail_op(error);
        }
        let mut inner = self.inner.borrow_mut();
        inner.assignments.push((index, value.id));
        inner.assign = Some(|lowering| lowering.assign());
    }

    /// Records an op of your own. Built-in ops are recorded in the same way.
    #[track_caller]
    pub fn apply<'g>(&'g self, op: impl Op<T> + 'static, inputs: &[Var<'g, T>]) -> Var<'g, T> {
        self.apply_shared(Shared::new(op), inputs)
    }

    /// Records a built-in op, whose code is compiled in this crate.
    #[track_caller]
    pub(crate) fn record<'g, O>(&'g self, op: O, inputs: &[Var<'g, T>]) -> Var<'g, T>
    where
        T: BuiltIn<O, T>,
    {
        self.apply_shared(T::share(op), inputs)
    }

    /// Records an op that is already shared.
    #[track_caller]
    pub fn apply_shared<'g>(&'g self, op: Shared<dyn Op<T>>, inputs: &[Var<'g, T>]) -> Var<'g, T> {
        let (mut ids, mut value) = (Vec::new(), ValueType::real(Shape::SCALAR));
        if inputs.iter().all(|x| self.owns(*x)) {
            let mut types = Vec::new();
            for x in inputs {
                types.push(x.value_type());
                ids.push(x.id);
            }
            match op.infer(&types) {
                Ok(found) => value = found,
                Err(error) => {
                    self.fail(ErrorKind::Op(error));
                    value = types.first().copied().unwrap_or(value);
                }
            }
        } else {
            self.fail(ErrorKind::OtherGraph);
        }
        self.push(Source::Op(op), ids, value)
    }

    /// Records that what follows belongs to the layer at `path`, until the returned guard is dropped.
    pub fn enter(&self, path: &str) -> Scope<'_, T> {
        let mut inner = self.inner.borrow_mut();
        let before = inner.path;
        inner.path = match inner.paths.iter().position(|known| known == path) {
            Some(known) => known as u32,
            None => {
                inner.paths.push(path.into());
                inner.paths.len() as u32 - 1
            }
        };
        Scope { graph: self, before }
    }

    /// The number of a new random stream: 0 for the first of this graph. Depends only on the order of these calls, so
    /// plans for different batch sizes draw from the same streams.
    pub fn next_stream(&self) -> u64 {
        let mut inner = self.inner.borrow_mut();
        inner.streams += 1;
        inner.streams - 1
    }

    /// The first mistake that was recorded.
    ///
    /// # Errors
    /// That mistake.
    pub fn check(&self) -> Result<(), Error> {
        self.inner.borrow().error.clone().map_or(Ok(()), Err)
    }

    /// Records a mistake, at the current layer and the caller's line, unless there was one before.
    #[track_caller]
    pub fn fail(&self, kind: ErrorKind) {
        let mut inner = self.inner.borrow_mut();
        if inner.error.is_none() {
            let path = inner.paths[inner.path as usize].clone();
            inner.error = Some(Error::new(kind, path, Some(Location::caller())));
        }
    }

    /// Records that an op does not accept its operands; for layers that check more than the op can.
    #[track_caller]
    pub fn fail_op(&self, error: OpError) {
        self.fail(ErrorKind::Op(error));
    }

    /// Whether `var` was recorded by this graph.
    pub(crate) fn owns(&self, var: Var<'_, T>) -> bool {
        core::ptr::eq(self, var.graph)
    }

    #[track_caller]
    fn push(&self, source: Source<T>, inputs: Vec<u32>, mut value: ValueType) -> Var<'_, T> {
        if matches!(value.checked_bytes(size_of::<T>()), None | Some(0)) {
            self.fail(ErrorKind::Size { shape: value.shape });
            // Nobody after this computes with an impossible number of elements.
            value.shape = Shape::SCALAR;
        }
        let mut inner = self.inner.borrow_mut();
        let id = inner.nodes.len() as u32;
        let path = inner.path;
        let location = Location::caller();
        inner.nodes.push(Node { source, inputs, value, path, location, recompute: false, again: false });
        Var { graph: self, id }
    }

    /// Visits the recorded ops in order: the layer's path, the op's name, the output's type.
    pub fn visit(&self, mut each: impl FnMut(&str, &str, ValueType)) {
        let inner = self.inner.borrow();
        for node in &inner.nodes {
            if let Source::Op(op) = &node.source {
                each(&inner.paths[node.path as usize], op.name(), node.value);
            }
        }
    }

    /// A picture of the graph for Graphviz (`dot -Tsvg`).
    pub fn to_dot(&self) -> String {
        use fmt::Write;
        let inner = self.inner.borrow();
        let mut dot =
            String::from("digraph graph_ {\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
        for (id, node) in inner.nodes.iter().enumerate() {
            let (label, style) = match &node.source {
                Source::Input(name) => (name.clone(), ", style=filled, fillcolor=lightblue"),
                Source::Parameter(index) => {
                    (inner.parameters[*index].path.clone(), ", style=filled, fillcolor=khaki")
                }
                Source::Op(op) => (op.name().into(), ""),
            };
            let path = &inner.paths[node.path as usize];
            let separator = if path.is_empty() { "" } else { "\\n" };
            // Writing to a String cannot fail.
            let _ = writeln!(dot, "  n{id} [label=\"{label}\\n{}{separator}{path}\"{style}];", node.value);
            for input in &node.inputs {
                let _ = writeln!(dot, "  n{input} -> n{id};");
            }
        }
        dot.push_str("}\n");
        dot
    }
}

/// One node a line: `%7 = linear(%0, %5, %6) -> [32, 64]   hidden`.
impl<T: Element> fmt::Display for Graph<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.borrow();
        for (id, node) in inner.nodes.iter().enumerate() {
            write!(f, "%{id} = ")?;
            match &node.source {
                Source::Input(name) => write!(f, "input {name}")?,
                Source::Parameter(index) => write!(f, "parameter {}", inner.parameters[*index].path)?,
                Source::Op(op) => {
                    write!(f, "{}(", op.name())?;
                    for (i, input) in node.inputs.iter().enumerate() {
                        write!(f, "{}%{input}", if i > 0 { ", " } else { "" })?;
                    }
                    write!(f, ")")?;
                }
            }
            write!(f, " -> {}", node.value)?;
            let path = &inner.paths[node.path as usize];
            writeln!(f, "{}{path}", if path.is_empty() { "" } else { "   " })?;
        }
        Ok(())
    }
}

/// Ends a layer's scope when dropped. See [`Graph::enter`].
#[derive(Debug)]
pub struct Scope<'g, T: Element> {
    graph: &'g Graph<T>,
    before: u32,
}

impl<T: Element> Drop for Scope<'_, T> {
    fn drop(&mut self) {
        self.graph.inner.borrow_mut().path = self.before;
    }
}

/// A value in a graph: something that will be computed. Copied freely; arithmetic on it records nodes.
pub struct Var<'g, T: Element = f32> {
    pub(crate) graph: &'g Graph<T>,
    pub(crate) id: u32,
}

impl<T: Element> Clone for Var<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Element> Copy for Var<'_, T> {}

impl<T: Element> fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{} {}", self.id, self.value_type())
    }
}

impl<T: Element> PartialEq for Var<'_, T> {
    /// Whether both are the same node of the same graph.
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.graph, other.graph) && self.id == other.id
    }
}

impl<'g, T: Element> Var<'g, T> {
    /// The graph that the value belongs to.
    pub fn graph(self) -> &'g Graph<T> {
        self.graph
    }

    /// The value's shape.
    pub fn shape(self) -> Shape {
        self.value_type().shape
    }

    /// The value's type.
    pub fn value_type(self) -> ValueType {
        self.graph.inner.borrow().nodes[self.id as usize].value
    }

    /// What this is the ReLU of, if it is one.
    pub(crate) fn rectified(self) -> Option<Var<'g, T>> {
        let inner = self.graph.inner.borrow();
        let node = &inner.nodes[self.id as usize];
        match &node.source {
            Source::Op(op) if op.as_activation() == Some(bantam_kernels::Activation::Relu) => {
                Some(Var { graph: self.graph, id: node.inputs[0] })
            }
            _ => None,
        }
    }

    /// What `f` makes of this value, of which only the result is kept for the backward pass: what `f` computes on the way to
    /// it is computed again when gradients need it (Chen et al., 2016). The same bits, for less memory and more work.
    ///
    /// ```
    /// # use bantam_autodiff::{Graph, Mode};
    /// # use bantam_core::Shape;
    /// # let graph = Graph::<f32>::new();
    /// # let x = graph.input("x", Shape::of([4, 4]));
    /// let y = x.recompute(|x| x.exp().tanh()).sum_all(); // of eˣ nothing stays
    /// ```
    #[must_use]
    pub fn recompute(self, f: impl FnOnce(Var<'g, T>) -> Var<'g, T>) -> Var<'g, T> {
        let nodes = || self.graph.inner.borrow().nodes.len();
        let before = nodes();
        let result = f(self);
        let recorded = before..nodes();
        let mut inner = self.graph.inner.borrow_mut();
        inner.recompute = Some(Graph::compute_again);
        for node in &mut inner.nodes[recorded.clone()] {
            node.recompute = true;
        }
        if let Some(kept) = inner.nodes.get_mut(result.id as usize).filter(|_| self.graph.owns(result)) {
            kept.recompute = false;
        }
        result
    }

    /// The length of axis `axis`; 1 if there is no such axis, as in broadcasting.
    pub fn dim(self, axis: usize) -> usize {
        self.shape().dims().get(axis).copied().unwrap_or(1)
    }

    /// Records a built-in op of one input.
    #[track_caller]
    pub(crate) fn apply<O>(self, op: O) -> Var<'g, T>
    where
        T: BuiltIn<O, T>,
    {
        self.graph.record(op, &[self])
    }
}
