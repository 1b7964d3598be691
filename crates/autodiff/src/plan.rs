//! From a graph to a plan: which ops run in which order, and where in one arena every byte lies.
//!
//! The passes, in order: drop what no output needs; move activations into the epilogue of the op before them; turn sums
//! of gradients into accumulation; place optimizer updates; find each value's first and last use; let outputs take the
//! place of inputs that die; place what is left, the largest first, at the lowest free offset.
//!
//! Nothing here trusts itself: [`Plan::verify`] replays the plan over an empty arena and checks that every operand
//! still holds the value that was meant. A host does so with every plan that it makes.

#[cfg(target_has_atomic = "ptr")]
use crate::engine::Together;
use crate::{
    Element, Error, ErrorKind, Graph, Io, Kind, Op, Shared, Slot, StepContext, ValueType, Var,
    engine::{Action, Home, MOST_INPUTS, Program},
    graph::{Inner, ParameterSpec, Source},
    ops::{Alike, Copied, LossScale},
};
use alloc::{string::String, vec, vec::Vec};
use bantam_core::{Numerics, Optimizer, Shape};
use bantam_kernels::{functions, simd::BASELINE_IS_PLAIN};
use core::{fmt, ops::Range};

/// The number of no value.
const NO_VALUE: u32 = u32::MAX;

/// When the optimizer is applied to a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateOrder {
    /// As soon as the parameter's gradient is complete and nothing reads the parameter any more: only one layer's
    /// gradient is alive at a time.
    #[default]
    AsReady,
    /// After the whole backward pass: all gradients are alive at once. Needed by global-norm clipping.
    AtEnd,
    /// As soon as possible, and where an op can compute a part of its output alone and the [optimizer can update
    /// one](Optimizer::updates_parts), the gradient is never whole: a small part of it is computed and applied, then the
    /// next. Saves the memory of the largest gradient, with the same bits; slower on hosts.
    InParts,
}

/// The elements of a part of a gradient.
const PART: usize = 128;

/// One evaluation of an op.
#[derive(Clone, Debug)]
pub(crate) struct Instruction<T: Element> {
    pub op: Shared<dyn Op<T>>,
    pub inputs: Range<usize>,
    pub output: Slot,
    pub scratch: Slot,
    pub accumulate: bool,
    /// The path of its layer: an index into `paths`.
    path: u32,
    /// Whether it belongs to the backward pass.
    backward: bool,
    /// What is written, for `verify`.
    value: u32,
    /// What is accumulated onto, for `verify`.
    onto: Option<u32>,
    /// The parameter that is updated with the output, part by part: `output` is then the place of one part.
    pub updates: Option<usize>,
    /// How many steps from this one on are computed together, piece by piece.
    together: usize,
}

/// One application of the optimizer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update {
    pub parameter: usize,
    pub gradient: Slot,
    value: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum Step<T: Element> {
    Compute(Instruction<T>),
    Update(Update),
}

/// A parameter or buffer and where it lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resident {
    pub spec: ParameterSpec,
    pub value: Slot,
    pub state: Slot,
    pub accumulator: Option<Slot>,
}

/// An input or output and where it lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Port {
    pub name: String,
    pub slot: Slot,
    pub value: u32,
}

/// How many bytes of what a plan needs.
///
/// Parameters, buffers, optimizer state and inputs are always there. Activations, gradients, temporaries and scratch
/// come and go and share memory: their numbers are the most that is alive at one time, each on its own, so they may add
/// up to more than [`peak`](Self::peak).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Parameters, trainable and frozen.
    pub parameters: usize,
    /// Buffers such as running means.
    pub buffers: usize,
    /// What the optimizer keeps for each trainable parameter.
    pub optimizer_state: usize,
    /// Inputs and labels.
    pub inputs: usize,
    /// Values of the forward pass that the backward pass reads.
    pub saved_activations: usize,
    /// Gradients of parameters.
    pub gradients: usize,
    /// All other intermediate values: activations nobody saves, gradients of activations.
    pub temporaries: usize,
    /// Scratch memory of single ops.
    pub scratch: usize,
    /// The arena: everything above with its alignment, sharing memory where lifetimes allow.
    pub peak: usize,
    /// What the arena would be if nothing shared memory.
    pub unshared: usize,
    /// The layer and op at which the most is alive.
    pub peak_at: String,
}

/// A plan that needs more memory than there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoesNotFit {
    /// Bytes the plan needs.
    pub needed: usize,
    /// Bytes there are.
    pub given: usize,
    /// The layer and op at which the most is alive.
    pub peak_at: String,
}

impl fmt::Display for DoesNotFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DoesNotFit { needed, given, peak_at } = self;
        write!(f, "the plan needs {needed} bytes, {} more than the {given} there are", needed - given)?;
        write!(f, "; the most is alive at {peak_at}")
    }
}

impl core::error::Error for DoesNotFit {}

impl Memory {
    /// Whether the arena fits into `ram` bytes, before anything runs: the bytes that are left.
    ///
    /// # Errors
    /// It does not: by how much, and at which layer the most is alive.
    pub fn fit(&self, ram: usize) -> Result<usize, DoesNotFit> {
        let (needed, given, peak_at) = (self.peak, ram, self.peak_at.clone());
        ram.checked_sub(needed).ok_or(DoesNotFit { needed, given, peak_at })
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("parameters", self.parameters),
            ("buffers", self.buffers),
            ("optimizer state", self.optimizer_state),
            ("inputs", self.inputs),
            ("saved activations", self.saved_activations),
            ("gradients", self.gradients),
            ("temporaries", self.temporaries),
            ("scratch", self.scratch),
        ];
        for (name, bytes) in rows {
            writeln!(f, "{name:<18}{bytes:>14} B")?;
        }
        writeln!(f, "{:<18}{:>14} B   at {}", "peak (arena)", self.peak, self.peak_at)?;
        write!(f, "{:<18}{:>14} B", "without sharing", self.unshared)
    }
}

/// What runs in which order and where everything lies: plain, comparable, printable data. Made by [`Graph::planner`].
#[derive(Clone, Debug)]
pub struct Plan<T: Element = f32> {
    pub(crate) steps: Vec<Step<T>>,
    /// Updates that wait for the end of an accumulation over micro-batches.
    pub(crate) deferred: Vec<Update>,
    pub(crate) slots: Vec<Slot>,
    /// Which value each entry of `slots` is meant to hold.
    values: Vec<u32>,
    /// The values that belong into a parameter, buffer or running sum, and where that is; in ascending order.
    homes: Vec<(u32, Slot)>,
    /// The same for all plans that share a session.
    pub(crate) residents: Shared<Vec<Resident>>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) loss: Option<Port>,
    /// The step that computes the loss.
    pub(crate) loss_step: usize,
    pub(crate) needs_global_norm: bool,
    /// The paths of layers.
    paths: Vec<String>,
    pub(crate) alignment: usize,
    /// Elements of a piece of ops that are computed together.
    piece: usize,
    /// The bytes of the arena.
    peak: usize,
    /// What they would be if nothing shared memory.
    unshared: usize,
}

/// Changes what is to be computed.
pub(crate) type Pass<T> = fn(&mut Lowering<'_, T>);

/// Settings of a plan to be. See [`Graph::planner`].
pub struct Planner<'g, T: Element = f32> {
    graph: &'g Graph<T>,
    loss: Option<Var<'g, T>>,
    outputs: Vec<(String, Var<'g, T>)>,
    state_lens: Vec<usize>,
    needs_global_norm: bool,
    updates_parts: bool,
    order: UpdateOrder,
    /// Passes that not every plan asks for: a board holds those that its program asks for.
    accumulate: Option<Pass<T>>,
    split: Option<Pass<T>>,
    share: bool,
    numerics: Numerics,
    alignment: usize,
    piece: usize,
    /// Where another plan has its residents, and its alignment.
    same_memory: Option<(Shared<Vec<Resident>>, usize)>,
}

impl<T: Element> fmt::Debug for Planner<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planner")
            .field("loss", &self.loss)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

impl<T: Element> Graph<T> {
    /// Starts a plan of what was recorded.
    pub fn planner(&self) -> Planner<'_, T> {
        let parameters = self.inner.borrow().parameters.len();
        Planner {
            graph: self,
            loss: None,
            outputs: Vec::new(),
            state_lens: vec![0; parameters],
            needs_global_norm: false,
            updates_parts: false,
            order: UpdateOrder::AsReady,
            accumulate: None,
            split: None,
            share: true,
            numerics: Numerics::default(),
            alignment: 64,
            piece: PIECE,
            same_memory: None,
        }
    }
}

/// Elements that elementwise ops in a row compute at a time: a few values of as many `f32` lie in the second-level cache.
const PIECE: usize = 4096;

/// Fewer pieces are not worth it: so little is in the cache all at once.
const LEAST_PIECES: usize = 4;

impl<'g, T: Element> Planner<'g, T> {
    /// Trains: differentiates `loss` with respect to every trainable parameter and updates them in each step.
    #[must_use]
    pub fn loss(mut self, loss: Var<'g, T>) -> Self {
        self.loss = Some(loss);
        self
    }

    /// Keeps a value to be read after a step. Outputs are numbered in the order of these calls.
    #[must_use]
    pub fn output(mut self, name: &str, value: Var<'g, T>) -> Self {
        self.outputs.push((name.into(), value));
        self
    }

    /// Reserves the state that `optimizer` needs, and keeps all gradients to the end if it needs their global norm.
    #[must_use]
    pub fn optimizer(mut self, optimizer: &(impl Optimizer<T> + ?Sized)) -> Self {
        let inner = self.graph.inner.borrow();
        let state_len = |(index, spec): (usize, &ParameterSpec)| {
            if spec.trains() { optimizer.state_len_for(index, spec.shape) } else { 0 }
        };
        self.state_lens = inner.parameters.iter().enumerate().map(state_len).collect();
        self.needs_global_norm = optimizer.needs_global_norm();
        self.updates_parts = optimizer.updates_parts();
        self
    }

    /// When parameters are updated. Default: [`UpdateOrder::AsReady`], unless the optimizer needs the global norm.
    #[must_use]
    pub fn update(mut self, order: UpdateOrder) -> Self {
        self.order = order;
        let split: Pass<T> = |lowering| lowering.split_updates();
        self.split = (order == UpdateOrder::InParts).then_some(split);
        self
    }

    /// Adds up gradients over several steps ([`Session::accumulate`](crate::Session::accumulate)) before an update.
    #[must_use]
    pub fn micro_batches(mut self, accumulate: bool) -> Self {
        let pass: Pass<T> = |lowering| lowering.accumulate_gradients();
        self.accumulate = accumulate.then_some(pass);
        self
    }

    /// Whether values whose lifetimes do not meet share memory. Default: yes. Without, every value has its own place:
    /// the results are the same to the bit, which is how the planner is tested.
    #[must_use]
    pub fn share_memory(mut self, share: bool) -> Self {
        self.share = share;
        self
    }

    /// Every value starts at a multiple of this many bytes: a power of two from 8 to 64. Default: 64, a cache line; 8
    /// saves memory on a microcontroller.
    #[must_use]
    pub fn alignment(mut self, bytes: usize) -> Self {
        self.alignment = bytes.clamp(8, 64).next_power_of_two();
        self
    }

    /// The numerics that there will be scratch memory for. Default: [`Numerics::Fast`], whose plans serve both; with a plan for
    /// portable ones, which is smaller, a convolution computes in the order of portable ones with either.
    #[must_use]
    pub fn numerics(mut self, numerics: Numerics) -> Self {
        self.numerics = numerics;
        self
    }

    /// How many elements at a time elementwise ops in a row compute of long values, so that they pass over memory once.
    /// Default: 4096; `usize::MAX` computes each op alone. The results are the same to the bit.
    #[must_use]
    pub fn piece(mut self, elements: usize) -> Self {
        self.piece = elements.max(1);
        self
    }

    /// Puts parameters, buffers and optimizer state where `plan` has them, so that a session can
    /// [swap](crate::Session::swap) the two. Implied for plans with the same parameters, optimizer and accumulation;
    /// needed for a plan that only evaluates. The other plan's [alignment](Self::alignment) is taken over too.
    #[must_use]
    pub fn same_memory_as(mut self, plan: &Plan<T>) -> Self {
        self.same_memory = Some((plan.residents.clone(), plan.alignment));
        self
    }

    /// Makes the plan.
    ///
    /// # Errors
    /// The first mistake that was made while recording, or a gradient that cannot be had.
    pub fn build(self) -> Result<Plan<T>, Error> {
        T::plan(self)
    }

    pub(crate) fn make(mut self) -> Result<Plan<T>, Error> {
        let graph = self.graph;
        graph.check()?;
        if self.loss.is_none() && self.outputs.is_empty() {
            return Err(unlocated(ErrorKind::Empty));
        }
        let owned = self.outputs.iter().map(|(_, var)| *var).chain(self.loss).all(|var| graph.owns(var));
        if !owned {
            return Err(unlocated(ErrorKind::OtherGraph));
        }
        if self.needs_global_norm {
            self.order = UpdateOrder::AtEnd;
        }
        if let Some((_, alignment)) = self.same_memory {
            self.alignment = alignment;
        }

        let mut gradients = Vec::new();
        if let Some(loss) = self.loss {
            let mut wrt = Vec::new();
            for index in 0..self.state_lens.len() {
                let trains = graph.inner.borrow().parameters[index].trains();
                if trains {
                    gradients.push((index, NO_VALUE));
                    wrt.push(graph.parameter(index));
                }
            }
            let found = graph.pull_back(loss, graph.record(LossScale, &[]), &wrt)?;
            for ((_, gradient), found) in gradients.iter_mut().zip(found) {
                *gradient = found.id;
            }
        }
        let inner = graph.inner.borrow();
        let residents = self.place_residents(&inner.parameters)?;
        let plan = Lowering::new(&inner, &self, residents, gradients).plan()?;
        // The session's memory safety rests on this, and ops that are not ours had a say in the plan. The passes keep values apart
        // whatever an op says; that they do is checked on hosts, and a board takes their word as it takes that of a plan in flash.
        #[cfg(any(feature = "std", debug_assertions))]
        plan.verify().map_err(|error| unlocated(ErrorKind::Contradiction(error)))?;
        Ok(plan)
    }

    /// Where parameters, buffers, optimizer state and running sums lie.
    fn place_residents(&self, specs: &[ParameterSpec]) -> Result<Shared<Vec<Resident>>, Error> {
        let Some((residents, _)) = &self.same_memory else {
            let placed =
                place_residents::<T>(specs, &self.state_lens, self.accumulate.is_some(), self.alignment);
            return placed.map(Shared::new).ok_or_else(|| unlocated(ErrorKind::TooLarge));
        };
        let fits = |index: usize, spec: &ParameterSpec| {
            let there = &residents[index];
            let ParameterSpec { path, shape, buffer, .. } = &there.spec;
            let same = *path == spec.path && *shape == spec.shape && *buffer == spec.buffer;
            // What is only evaluated has no say in what the optimizer keeps.
            let trains = self.loss.is_some() && spec.trains();
            let state = there.state.value.len() == self.state_lens[index];
            same && (!trains || state && (there.accumulator.is_some() || self.accumulate.is_none()))
        };
        if residents.len() == specs.len() && specs.iter().enumerate().all(|(i, spec)| fits(i, spec)) {
            Ok(residents.clone())
        } else {
            Err(unlocated(ErrorKind::OtherParameters))
        }
    }
}

/// A mistake that belongs to no line of the graph.
pub(crate) fn unlocated(kind: ErrorKind) -> Error {
    Error::new(kind, String::new(), None)
}

/// Where a value must lie.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Wherever there is room.
    Anywhere,
    /// Where this parameter lies.
    Parameter(usize),
    /// Where the gradient of this parameter is accumulated.
    Accumulator(usize),
}

#[derive(Clone, Copy, Debug)]
struct Value {
    ty: ValueType,
    place: Place,
    /// Must survive until the end of the step.
    pinned: bool,
    /// The value that this one is another view of, or itself.
    root: u32,
    /// Whether a plan that trains has it from the forward pass, once or again.
    forward: bool,
}

enum Work<T: Element> {
    Compute {
        op: Shared<dyn Op<T>>,
        inputs: Vec<u32>,
        output: u32,
        onto: Option<u32>,
        node: u32,
        /// The parameter that is updated with the output, part by part.
        updates: Option<usize>,
    },
    Update {
        parameter: usize,
        gradient: u32,
    },
    /// What was joined with other work.
    Done,
}

impl<T: Element> Work<T> {
    /// A new value, for the sake of `node`.
    fn compute(op: Shared<dyn Op<T>>, inputs: Vec<u32>, output: u32, node: u32) -> Work<T> {
        Work::Compute { op, inputs, output, onto: None, node, updates: None }
    }

    /// The value that is computed.
    fn writes(&self) -> Option<u32> {
        match self {
            Work::Compute { output, .. } => Some(*output),
            Work::Update { .. } | Work::Done => None,
        }
    }

    /// The values that are read, in two lists.
    fn reads(&self) -> [&[u32]; 2] {
        match self {
            Work::Compute { inputs, onto, .. } => [inputs, onto.as_slice()],
            Work::Update { gradient, .. } => [core::slice::from_ref(gradient), &[]],
            Work::Done => [&[]; 2],
        }
    }
}

/// The plan while it is being made.
pub(crate) struct Lowering<'a, T: Element> {
    inner: &'a Inner<T>,
    planner: &'a Planner<'a, T>,
    work: Vec<Work<T>>,
    values: Vec<Value>,
    residents: Shared<Vec<Resident>>,
    deferred: Vec<Update>,
    gradients: Vec<(usize, u32)>,
}

impl<'a, T: Element> Lowering<'a, T> {
    fn new(
        inner: &'a Inner<T>,
        planner: &'a Planner<'a, T>,
        residents: Shared<Vec<Resident>>,
        gradients: Vec<(usize, u32)>,
    ) -> Self {
        let mut values: Vec<Value> = Vec::with_capacity(inner.nodes.len());
        for (root, node) in (0..).zip(&inner.nodes) {
            values.push(Value {
                ty: node.value,
                place: match node.source {
                    Source::Parameter(index) => Place::Parameter(index),
                    _ => Place::Anywhere,
                },
                pinned: matches!(node.source, Source::Input(_)),
                root,
                forward: planner.loss.is_some_and(|loss| root <= loss.id || node.again),
            });
        }
        Lowering { inner, planner, work: Vec::new(), values, residents, deferred: Vec::new(), gradients }
    }

    /// Every pass, one after the other.
    fn plan(mut self) -> Result<Plan<T>, Error> {
        let Planner { accumulate, split, order, updates_parts, .. } = *self.planner;
        self.find_views()?;
        self.select();
        if let Some(assign) = self.inner.assign {
            assign(&mut self);
        }
        self.fuse_activations();
        if let Some(accumulate) = accumulate {
            accumulate(&mut self);
        }
        self.fuse_sums();
        self.place_updates(order);
        if let Some(split) = split.filter(|_| updates_parts && order == UpdateOrder::InParts) {
            split(&mut self);
        }
        self.allocate()
    }

    /// A reshape is its input under another name.
    fn find_views(&mut self) -> Result<(), Error> {
        for (id, node) in self.inner.nodes.iter().enumerate() {
            if let Source::Op(op) = &node.source
                && op.is_alias()
            {
                let input = node.inputs.first().map(|&input| &self.values[input as usize]);
                let same =
                    |input: &&Value| input.ty.len() == node.value.len() && input.ty.kind == node.value.kind;
                let Some(input) = input.filter(same) else {
                    return Err(self.inner.error_at(id, ErrorKind::Alias { op: op.name() }));
                };
                self.values[id].root = input.root;
            }
        }
        Ok(())
    }

    /// The value whose bytes `value` is. Asked everywhere, and so a function of its own.
    #[inline(never)]
    fn root(&self, value: u32) -> u32 {
        self.values[value as usize].root
    }

    /// The last work before number `before` that computes `value`.
    #[inline(never)]
    fn producer(&self, value: u32, before: usize) -> Option<usize> {
        self.work[..before].iter().rposition(|work| work.writes() == Some(value))
    }

    fn add_value(&mut self, ty: ValueType, place: Place) -> u32 {
        let root = self.values.len() as u32;
        self.values.push(Value { ty, place, pinned: false, root, forward: false });
        root
    }

    /// Takes over the ops that something needs, in the order of recording, which is a topological one.
    fn select(&mut self) {
        let inner = self.inner;
        let mut needed = vec![false; inner.nodes.len()];
        for &(_, id) in &self.gradients {
            needed[id as usize] = true;
        }
        for &(_, id) in &inner.assignments {
            needed[id as usize] = true;
        }
        let Planner { outputs, loss, .. } = self.planner;
        for kept in outputs.iter().map(|(_, output)| output).chain(loss) {
            needed[kept.id as usize] = true;
            let root = self.root(kept.id);
            self.values[root as usize].pinned = true;
        }
        // Inputs come before their readers, so one sweep from the end reaches everything.
        for id in (0..inner.nodes.len()).rev() {
            if needed[id] {
                inner.nodes[id].inputs.iter().for_each(|&input| needed[input as usize] = true);
            }
        }
        for (id, node) in (0..).zip(&inner.nodes) {
            if let Source::Op(op) = &node.source
                && needed[id as usize]
                && self.root(id) == id
            {
                self.work.push(Work::compute(op.clone(), node.inputs.clone(), id, id));
            }
        }
    }

    /// Copies into parameters and buffers what is assigned to them. Every assignment sees the old values: one that reads a parameter
    /// reads it before any is written.
    pub fn assign(&mut self) {
        let mut assigned = Vec::with_capacity(self.inner.assignments.len());
        for &(index, value) in &self.inner.assignments {
            let place = self.values[self.root(value) as usize].place;
            // What already lies there is not copied onto itself.
            if place != Place::Parameter(index) {
                let is_parameter = place != Place::Anywhere;
                let kept = if is_parameter { self.copy(value, Place::Anywhere, value) } else { value };
                assigned.push((index, kept, value));
            }
        }
        for (index, kept, node) in assigned {
            self.copy(kept, Place::Parameter(index), node);
        }
    }

    /// Adds a copy of `value` at the end of the work, for the sake of `node`.
    fn copy(&mut self, value: u32, place: Place, node: u32) -> u32 {
        let output = self.add_value(self.values[value as usize].ty, place);
        self.work.push(Work::compute(T::share(Copied), vec![value], output, node));
        output
    }

    /// How often each root is read, views included, and the last work that reads it. What is pinned is read once more, at the end,
    /// and a gradient once more too.
    fn reads(&self) -> (Vec<usize>, Vec<usize>) {
        let (mut uses, mut last) = (vec![0; self.values.len()], vec![0; self.values.len()]);
        for (at, work) in self.work.iter().enumerate() {
            for list in &work.reads() {
                for &value in *list {
                    let root = self.root(value) as usize;
                    uses[root] += 1;
                    last[root] = at;
                }
            }
        }
        for (id, value) in self.values.iter().enumerate() {
            if value.pinned {
                uses[id] += 1;
                last[id] = self.work.len();
            }
        }
        for &(_, gradient) in &self.gradients {
            uses[self.root(gradient) as usize] += 1;
        }
        (uses, last)
    }

    /// Moves an activation into the op whose only reader it is.
    fn fuse_activations(&mut self) {
        let (uses, _) = self.reads();
        for at in 0..self.work.len() {
            let Work::Compute { op, inputs, output, .. } = &self.work[at] else { continue };
            let (Some(activation), &[input]) = (op.as_activation(), inputs.as_slice()) else { continue };
            let output = *output;
            if self.root(input) != input || uses[input as usize] != 1 {
                continue;
            }
            let Some(before) = self.producer(input, at) else { continue };
            if let Work::Compute { op, output: target, .. } = &mut self.work[before]
                && let Some(fused) = op.with_activation(activation)
            {
                (*op, *target) = (fused, output);
                self.work[at] = Work::Done;
            }
        }
    }

    /// Turns `a + f(…)` into `a += f(…)` where `f` can do that, nobody else reads its result, and the sum is the last to
    /// read `a`.
    fn fuse_sums(&mut self) {
        let (uses, mut last_read) = self.reads();
        for &(_, gradient) in &self.gradients {
            // Its update is still to come.
            last_read[self.root(gradient) as usize] = self.work.len();
        }
        // Values that a sum has taken the place of: whoever reads them must not run later than now.
        let mut taken = vec![false; self.values.len()];
        for at in 0..self.work.len() {
            let Work::Compute { op, inputs, output, onto: None, .. } = &self.work[at] else { continue };
            let output = *output;
            let &[a, b] = inputs.as_slice() else { continue };
            // Added up one by one, products round otherwise than added up as a whole. Whether the forward pass may do that
            // hangs on what the backward pass reads: it never does, so that computing again changes no bit.
            let forward = |value: u32| self.values[value as usize].forward;
            if !op.is_sum() || forward(output) || forward(a) || forward(b) {
                continue;
            }
            let same = |x: u32| self.values[x as usize].ty == self.values[output as usize].ty;
            if !same(a) || !same(b) || self.root(a) == self.root(b) {
                continue;
            }
            for (onto, from) in [(a, b), (b, a)] {
                let (onto_root, target) =
                    (&self.values[self.root(onto) as usize], &self.values[output as usize]);
                // A running sum over micro-batches may be written to; a parameter or an input may not.
                let writable = match onto_root.place {
                    Place::Anywhere => {
                        last_read[self.root(onto) as usize] == at
                            && self.producer(self.root(onto), at).is_some()
                            && target.place == Place::Anywhere
                    }
                    place => matches!(place, Place::Accumulator(_)) && place == target.place,
                };
                let Some(source) = self.producer(self.root(from), at) else { continue };
                let whole = self.values[self.root(from) as usize].ty == target.ty;
                if !writable || !whole || uses[self.root(from) as usize] != 1 {
                    continue;
                }
                let Work::Compute { op, inputs, onto: None, .. } = &self.work[source] else { continue };
                // `f` moves to where the sum is: everything that it reads must still be there.
                let stays =
                    |&input: &u32| self.root(input) != self.root(onto) && !taken[self.root(input) as usize];
                if inputs.iter().all(stays) && op.accumulates() {
                    inputs.iter().for_each(|&input| last_read[self.root(input) as usize] = at);
                    taken[self.root(onto) as usize] = true;
                    if let Some((target, sum, _)) = self.postpone(source, at) {
                        (*target, *sum) = (output, Some(onto));
                    }
                    break;
                }
            }
        }
    }

    /// Moves a computation from one place to a later one, of what it is joined with. Returns its output, what it is added onto, and
    /// the parameter that it updates.
    #[inline(never)]
    fn postpone(
        &mut self,
        from: usize,
        to: usize,
    ) -> Option<(&mut u32, &mut Option<u32>, &mut Option<usize>)> {
        self.work[to] = core::mem::replace(&mut self.work[from], Work::Done);
        match &mut self.work[to] {
            Work::Compute { output, onto, updates, .. } => Some((output, onto, updates)),
            _ => None,
        }
    }

    /// The work after which the loss is known: before that, nothing that outlives the step may change.
    fn after_loss(&self) -> usize {
        let made = self.planner.loss.and_then(|loss| self.producer(self.root(loss.id), self.work.len()));
        made.map_or(0, |at| at + 1)
    }

    /// Adds each gradient to its running sum, right where it is complete: later would keep alive what it is made from.
    fn accumulate_gradients(&mut self) {
        let after_loss = self.after_loss();
        // From the last one on: of those that are complete at once, the first then comes first.
        for (parameter, gradient) in core::mem::take(&mut self.gradients).into_iter().rev() {
            let ty = self.residents[parameter].value.value;
            let before = self.add_value(ty, Place::Accumulator(parameter));
            let after = self.add_value(ty, Place::Accumulator(parameter));
            let root = self.root(gradient);
            let complete = self.producer(root, self.work.len()).map_or(0, |at| at + 1).max(after_loss);
            let sum = T::share(Alike(functions::Add));
            let sum = Work::compute(sum, vec![before, gradient], after, gradient);
            insert(&mut self.work, sum, |before, _| before < complete);
            let Resident { value, accumulator, .. } = &self.residents[parameter];
            let gradient = accumulator.unwrap_or(*value);
            self.deferred.push(Update { parameter, gradient, value: NO_VALUE });
        }
        self.deferred.reverse();
    }

    /// Places the optimizer's updates: after the gradient is complete and after the last read of the parameter.
    fn place_updates(&mut self, order: UpdateOrder) {
        // The optimizer may scribble over a gradient, so one that is read after the step, that belongs to two parameters
        // or that is no value of its own (the gradient of a in a·b is b) is copied first.
        for entry in 0..self.gradients.len() {
            let gradient = self.gradients[entry].1;
            let root = self.root(gradient);
            let computed = self.producer(root, self.work.len()).is_some();
            let taken = self.gradients[..entry].iter().any(|&(_, other)| self.root(other) == root);
            if self.values[root as usize].pinned || taken || !computed {
                self.gradients[entry].1 = self.copy(gradient, Place::Anywhere, gradient);
            }
        }

        let (after_loss, end) = (self.after_loss(), self.work.len());
        // From the last one on: of those that are ready at once, the first then comes first.
        for entry in (0..self.gradients.len()).rev() {
            let (parameter, gradient) = self.gradients[entry];
            let root = self.root(gradient);
            let at = match order {
                UpdateOrder::AtEnd => end,
                UpdateOrder::AsReady | UpdateOrder::InParts => {
                    let own = Place::Parameter(parameter);
                    let is_either = |value: &u32| {
                        let value = self.root(*value);
                        value == root || self.values[value as usize].place == own
                    };
                    let matters = |work: &Work<T>| {
                        let ([inputs, more], output) = (work.reads(), work.writes());
                        [inputs, more, output.as_slice()].iter().any(|list| list.iter().any(is_either))
                    };
                    self.work.iter().rposition(matters).map_or(0, |at| at + 1).max(after_loss)
                }
            };
            insert(&mut self.work, Work::Update { parameter, gradient }, |before, _| before < at);
        }
    }

    /// Joins the computation of a gradient with its update where both can be done part by part.
    fn split_updates(&mut self) {
        let (uses, _) = self.reads();
        for at in 0..self.work.len() {
            let Work::Update { parameter, gradient } = self.work[at] else { continue };
            let root = self.root(gradient);
            let Some(made) = self.producer(root, at) else { continue };
            let Work::Compute { op, inputs, output, onto: None, .. } = &self.work[made] else { continue };
            let matrix = self.values[*output as usize].ty == self.residents[parameter].value.value;
            // `uses` counts a gradient twice: for its update, and as a gradient.
            let alone = uses[root as usize] == 2 && !self.values[root as usize].pinned;
            // What it reads must be the same later on.
            let roots: Vec<u32> = inputs.iter().map(|&input| self.root(input)).collect();
            let stays = roots.iter().all(|&root| self.values[root as usize].place == Place::Anywhere)
                && !self.work[made..at].iter().any(|work| match work {
                    Work::Compute { onto: Some(onto), .. } => roots.contains(&self.root(*onto)),
                    _ => false,
                });
            let large = self.values[*output as usize].ty.len() > PART;
            if matrix
                && alone
                && stays
                && large
                && op.evaluates_parts()
                && let Some((.., updates)) = self.postpone(made, at)
            {
                *updates = Some(parameter);
            }
        }
    }

    /// The value whose place the output of `work`, number `at`, takes: one that is accumulated onto, or an input that nothing
    /// reads any more.
    fn taken(&self, at: usize, work: &Work<T>, last_read: &[usize]) -> Option<u32> {
        let Work::Compute { op, inputs, output, onto, updates: None, .. } = work else { return None };
        if let Some(onto) = onto {
            return Some(self.root(*onto));
        }
        let ty = &self.values[*output as usize].ty;
        for (operand, &input) in inputs.iter().enumerate().filter(|_| self.planner.share) {
            let root = self.root(input);
            let (dying, seen) = (&self.values[root as usize], &self.values[input as usize].ty);
            if dying.place == Place::Anywhere
                && !dying.pinned
                && last_read[root as usize] == at
                && seen.kind == ty.kind
                && seen.len() == ty.len()
                && inputs.iter().filter(|&&other| self.root(other) == root).count() == 1
                && op.in_place(operand)
            {
                return Some(root);
            }
        }
        None
    }

    /// Lifetimes, in-place operands, offsets.
    fn allocate(self) -> Result<Plan<T>, Error> {
        let (inner, planner) = (self.inner, self.planner);
        let real = size_of::<T>();
        let end = self.work.len();
        let alignment = planner.alignment;
        let (_, last_read) = self.reads();

        // Storages: what occupies one place for one stretch of time, by a chain of values that follow each other.
        let mut storages: Vec<Storage> = Vec::new();
        let mut storage_of = vec![NO_STORAGE; self.values.len()];
        for &id in &inner.inputs {
            storage_of[id as usize] = storages.len();
            storages.push(Storage {
                bytes: self.values[id as usize].ty.bytes(real),
                from: 0,
                to: end,
                offset: 0,
            });
        }
        // The scratch memory of each work.
        let mut scratch_of = vec![NO_STORAGE; end];
        let mut types = Vec::new();
        for (at, work) in self.work.iter().enumerate() {
            let Work::Compute { op, inputs, output, updates, .. } = work else { continue };
            let value = &self.values[*output as usize];
            if updates.is_none() {
                types.clear();
                for &input in inputs {
                    types.push(self.values[input as usize].ty);
                }
                let elements = op.scratch(&types, self.planner.numerics);
                if elements > 0 {
                    scratch_of[at] = storages.len();
                    // What is too large for an address is found when bytes are added up.
                    storages.push(Storage {
                        bytes: elements.saturating_mul(real),
                        from: at,
                        to: at,
                        offset: 0,
                    });
                }
            }
            if value.place != Place::Anywhere {
                continue;
            }
            let mut storage =
                self.taken(at, work, &last_read).map_or(NO_STORAGE, |root| storage_of[root as usize]);
            if storage == NO_STORAGE {
                storage = storages.len();
                let bytes = if updates.is_none() { value.ty.bytes(real) } else { PART * real };
                storages.push(Storage { bytes, from: at, to: at, offset: 0 });
            }
            storages[storage].to = storages[storage].to.max(last_read[*output as usize]);
            storage_of[*output as usize] = storage;
        }

        let residents_end = self.residents.iter().fold(0, |end, resident| end.max(resident.end::<T>()));
        let resident_bytes = residents_end.next_multiple_of(alignment);
        // No placement reaches further than one after the other, so below this no offset overflows.
        let unshared = storages.iter().try_fold(resident_bytes, |sum, storage| {
            sum.checked_add(storage.bytes.checked_next_multiple_of(alignment)?)
        });
        let unshared = unshared
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or_else(|| unlocated(ErrorKind::TooLarge))?;
        let peak = place_storages(&mut storages, resident_bytes, alignment, planner.share);

        let offset_of = |storage: usize| storages.get(storage).map_or(0, |storage| storage.offset);
        let (mut slot_of, mut homes) = (Vec::with_capacity(self.values.len()), Vec::new());
        for (id, value) in (0..).zip(&self.values) {
            let offset = match self.values[value.root as usize].place {
                Place::Parameter(index) => self.residents[index].value.offset,
                Place::Accumulator(index) => self.residents[index].accumulator.map_or(0, |slot| slot.offset),
                Place::Anywhere => offset_of(storage_of[value.root as usize]),
            };
            let slot = Slot { offset, value: value.ty };
            slot_of.push(slot);
            if value.place != Place::Anywhere {
                homes.push((id, slot));
            }
        }
        let port = |name: &str, id: u32| Port {
            name: name.into(),
            slot: slot_of[id as usize],
            value: self.root(id),
        };
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for &id in &inner.inputs {
            inputs.push(port(inner.nodes[id as usize].name(), id));
        }
        for (name, output) in &planner.outputs {
            outputs.push(port(name, output.id));
        }
        let loss = planner.loss.map(|loss| port("loss", loss.id));
        let backward_from = planner.loss.map_or(u32::MAX, |loss| loss.id + 1);

        let (mut steps, mut loss_step) = (Vec::with_capacity(end), 0);
        let (mut slots, mut values) = (Vec::new(), Vec::new());
        for (at, work) in self.work.iter().enumerate() {
            steps.push(match work {
                Work::Done => continue,
                Work::Update { parameter, gradient } => Step::Update(Update {
                    parameter: *parameter,
                    gradient: slot_of[*gradient as usize],
                    value: self.root(*gradient),
                }),
                Work::Compute { op, inputs, output, onto, node, updates } => {
                    let start = slots.len();
                    for &input in inputs {
                        slots.push(slot_of[input as usize]);
                        values.push(self.root(input));
                    }
                    if loss.as_ref().is_some_and(|loss| loss.value == *output) {
                        loss_step = steps.len();
                    }
                    let mut target = slot_of[*output as usize];
                    if updates.is_some() {
                        target.value = ValueType::real(Shape::of([PART]));
                    }
                    let scratch = storages.get(scratch_of[at]).map_or(0, |storage| storage.bytes / real);
                    let scratch = ValueType::real(Shape::of([scratch]));
                    Step::Compute(Instruction {
                        op: op.clone(),
                        inputs: start..slots.len(),
                        output: target,
                        scratch: Slot { offset: offset_of(scratch_of[at]), value: scratch },
                        accumulate: onto.is_some(),
                        path: inner.nodes[*node as usize].path,
                        backward: *node >= backward_from,
                        value: *output,
                        onto: onto.map(|onto| self.root(onto)),
                        updates: *updates,
                        together: 1,
                    })
                }
            });
        }
        let mut plan = Plan {
            steps,
            deferred: self.deferred,
            slots,
            values,
            homes,
            inputs,
            outputs,
            loss,
            loss_step,
            needs_global_norm: planner.needs_global_norm,
            paths: inner.paths.clone(),
            alignment,
            piece: planner.piece,
            residents: self.residents,
            peak,
            unshared,
        };
        // Where nothing is computed piece by piece, nobody has to know.
        if !BASELINE_IS_PLAIN {
            plan.join_elementwise();
        }
        Ok(plan)
    }
}

/// The number of no storage: what has none is empty, or lies with the residents.
const NO_STORAGE: usize = usize::MAX;

#[derive(Clone, Copy, Debug)]
struct Storage {
    bytes: usize,
    from: usize,
    to: usize,
    offset: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Category {
    Saved,
    Gradient,
    Temporary,
    Scratch,
}

/// How long one value is needed, for the accounts.
#[derive(Clone, Copy, Debug)]
struct Life {
    value: u32,
    what: Category,
    bytes: usize,
    from: usize,
    to: usize,
}

/// Parameters first, then optimizer state, then running sums of gradients: the same for every plan over the same
/// parameters, whatever its batch size. `None` if their bytes cannot be addressed.
fn place_residents<T: Element>(
    specs: &[ParameterSpec],
    state_lens: &[usize],
    accumulate: bool,
    alignment: usize,
) -> Option<Vec<Resident>> {
    // `None` once that is too far.
    let mut end = Some(0);
    let mut place = |shape: Shape| {
        let value = ValueType::real(shape);
        let start = end.and_then(|end: usize| end.checked_next_multiple_of(alignment));
        end = start
            .zip(value.checked_bytes(size_of::<T>()))
            .and_then(|(start, bytes)| start.checked_add(bytes));
        Slot { offset: start.unwrap_or(0), value }
    };
    let mut residents = Vec::with_capacity(specs.len());
    for spec in specs {
        let value = place(spec.shape);
        residents.push(Resident { spec: spec.clone(), value, state: value, accumulator: None });
    }
    for (resident, &len) in residents.iter_mut().zip(state_lens) {
        resident.state = place(Shape::of([len]));
    }
    if accumulate {
        for (resident, spec) in residents.iter_mut().zip(specs).filter(|(_, spec)| spec.trains()) {
            resident.accumulator = Some(place(spec.shape));
        }
    }
    end.filter(|&end| isize::try_from(end).is_ok()).map(|_| residents)
}

/// Whether the same parameters and buffers lie in the same places. Not where sessions are compiled, whose code is to be fast.
#[inline(never)]
pub(crate) fn same_residents(some: &[Resident], others: &[Resident]) -> bool {
    some == others
}

impl Resident {
    pub(crate) fn end<T: Element>(&self) -> usize {
        let end = |slot: &Slot| slot.offset + slot.value.bytes(size_of::<T>());
        end(&self.value).max(end(&self.state)).max(self.accumulator.as_ref().map_or(0, end))
    }
}

/// Greedy by size: the largest storage first, each at the lowest offset where it meets none that lives at the same
/// time (Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020). Returns the end.
fn place_storages(storages: &mut [Storage], start: usize, alignment: usize, share: bool) -> usize {
    let mut order: Vec<usize> = Vec::with_capacity(storages.len());
    for s in 0..storages.len() {
        let key = |s: usize| (core::cmp::Reverse(storages[s].bytes), storages[s].from);
        insert(&mut order, s, |_, &other| key(other) <= key(s));
    }
    let mut placed: Vec<usize> = Vec::with_capacity(order.len());
    let mut end = start;
    for &s in &order {
        let Storage { bytes, from, to, .. } = storages[s];
        let mut offset = start;
        // `placed` is kept sorted by offset.
        for &other in &placed {
            let o = &storages[other];
            if share && (o.to < from || to < o.from) {
                continue;
            }
            if offset + bytes <= o.offset {
                break;
            }
            offset = offset.max((o.offset + o.bytes).next_multiple_of(alignment));
        }
        storages[s].offset = offset;
        insert(&mut placed, s, |_, &other| storages[other].offset <= offset);
        end = end.max(offset + bytes);
    }
    end
}

/// Puts `new` behind the last element of `list` that `stays` says, by its number and itself, to stay before it. There are few, and a
/// board need not have an algorithm that sorts.
fn insert<E>(list: &mut Vec<E>, new: E, stays: impl Fn(usize, &E) -> bool) {
    let mut at = list.len();
    list.push(new);
    while at > 0 && !stays(at - 1, &list[at - 1]) {
        list.swap(at - 1, at);
        at -= 1;
    }
}

/// A place where a plan contradicts itself. Finding one is a bug of the planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyError {
    /// A step reads a value that something else has overwritten, or that was never written.
    Lost {
        /// The step.
        step: usize,
        /// The value's number.
        value: u32,
    },
    /// A slot reaches over the end of the arena or is misaligned.
    Outside {
        /// The step.
        step: usize,
        /// The first byte.
        offset: usize,
    },
    /// A step's scratch or output overlaps something that the step also uses.
    Overlap {
        /// The step.
        step: usize,
    },
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VerifyError::Lost { step, value } => {
                write!(f, "step {step} reads value {value}, which is not there any more")
            }
            VerifyError::Outside { step, offset } => {
                write!(f, "step {step} uses byte {offset}, which is not usable")
            }
            VerifyError::Overlap { step } => write!(f, "step {step} writes over what it reads"),
        }
    }
}

impl core::error::Error for VerifyError {}

impl<T: Element> Program<T> for Plan<T> {
    fn steps(&self) -> usize {
        self.steps.len()
    }

    #[inline]
    fn action(&self, at: usize) -> Action<'_> {
        match &self.steps[at] {
            Step::Compute(Instruction { inputs, output, updates: Some(parameter), .. }) => {
                let inputs = &self.slots[inputs.clone()];
                Action::Parts { inputs, part: output, parameter: *parameter }
            }
            Step::Compute(Instruction { inputs, output, scratch, accumulate, .. }) => {
                let inputs = &self.slots[inputs.clone()];
                Action::Compute { inputs, output, scratch, accumulate: *accumulate }
            }
            Step::Update(Update { parameter, gradient, .. }) => {
                Action::Update { parameter: *parameter, gradient }
            }
        }
    }

    #[cfg(target_has_atomic = "ptr")]
    #[inline]
    fn together(&self, at: usize) -> Together {
        let steps = match &self.steps[at] {
            Step::Compute(instruction) => instruction.together,
            Step::Update(_) => 1,
        };
        Together { steps, piece: self.piece }
    }

    #[inline]
    fn eval(&self, at: usize, cx: &StepContext<'_>, io: Io<'_, T>) {
        if let Step::Compute(instruction) = &self.steps[at] {
            instruction.op.eval(cx, io);
        }
    }

    fn home(&self, index: usize) -> Option<Home<'_>> {
        let Resident { spec, value, state, .. } = self.residents.get(index)?;
        Some(Home { value, state, trains: spec.trains() })
    }

    fn deferred(&self, at: usize) -> Option<(usize, Slot)> {
        self.deferred.get(at).map(|update| (update.parameter, update.gradient))
    }

    fn loss(&self) -> Option<(Slot, usize)> {
        self.loss.as_ref().map(|port| (port.slot, self.loss_step))
    }

    fn needs_global_norm(&self) -> bool {
        self.needs_global_norm
    }
}

impl<T: Element> Plan<T> {
    /// How many bytes of what the plan needs.
    ///
    /// Counted when it is asked for.
    pub fn memory(&self) -> Memory {
        let real = size_of::<T>();
        let bytes = |slot: &Slot| slot.value.bytes(real);
        let mut memory = Memory { peak: self.peak, unshared: self.unshared, ..Memory::default() };
        for resident in self.residents.iter() {
            let of = if resident.spec.buffer { &mut memory.buffers } else { &mut memory.parameters };
            *of += bytes(&resident.value);
            memory.optimizer_state += bytes(&resident.state);
        }
        memory.inputs = self.inputs.iter().map(|port| bytes(&port.slot)).sum();
        let (lives, mut most) = (self.lives(), 0);
        for step in 0..self.steps.len() {
            let alive = |what: Category| -> usize {
                let now =
                    lives.iter().filter(|life| life.what == what && life.from <= step && step <= life.to);
                now.map(|life| life.bytes).sum()
            };
            let [saved, gradients, temporaries, scratch] =
                [Category::Saved, Category::Gradient, Category::Temporary, Category::Scratch].map(alive);
            memory.saved_activations = memory.saved_activations.max(saved);
            memory.gradients = memory.gradients.max(gradients);
            memory.temporaries = memory.temporaries.max(temporaries);
            memory.scratch = memory.scratch.max(scratch);
            if saved + gradients + temporaries + scratch > most {
                most = saved + gradients + temporaries + scratch;
                memory.peak_at = match &self.steps[step] {
                    Step::Compute(instruction) => match self.names(instruction) {
                        (op, "") => op.into(),
                        (op, path) => alloc::format!("{path} ({op})"),
                    },
                    Step::Update(update) => {
                        alloc::format!("{} (update)", self.residents[update.parameter].spec.path)
                    }
                };
            }
        }
        memory.gradients +=
            self.residents.iter().filter_map(|r| r.accumulator.as_ref()).map(bytes).sum::<usize>();
        memory
    }

    /// How long each value and each piece of scratch memory is needed.
    fn lives(&self) -> Vec<Life> {
        let real = size_of::<T>();
        let mut lives: Vec<Life> = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let Step::Compute(instruction) = step else { continue };
            let Instruction { value, output, backward, onto, updates, .. } = *instruction;
            if instruction.scratch.value.len() > 0 {
                let bytes = instruction.scratch.value.bytes(real);
                lives.push(Life { value: NO_VALUE, what: Category::Scratch, bytes, from: at, to: at });
            }
            if self.homes.iter().any(|&(home, _)| home == value) {
                continue;
            }
            // The bytes of an input in whose place the output lies change hands: they count once.
            let (slots, values) =
                (&self.slots[instruction.inputs.clone()], &self.values[instruction.inputs.clone()]);
            let in_place = slots.iter().zip(values).filter(|(slot, _)| slot.offset == output.offset);
            for taken in in_place.map(|(_, &value)| value).chain(onto) {
                lives.iter_mut().filter(|life| life.value == taken).for_each(|life| life.to = at - 1);
            }
            let readers = || self.steps.iter().enumerate().filter(|(_, step)| self.reads(step, value));
            let kept = self.outputs.iter().chain(&self.loss).any(|port| port.value == value);
            let last =
                if kept { self.steps.len() } else { readers().next_back().map_or(at, |(reader, _)| reader) };
            let updated = |step: &Step<T>| matches!(step, Step::Update(update) if update.value == value);
            let saved = |step: &Step<T>| matches!(step, Step::Compute(reader) if reader.backward);
            let what = if updates.is_some() || self.steps.iter().any(updated) {
                Category::Gradient
            } else if !backward && readers().any(|(_, reader)| saved(reader)) {
                Category::Saved
            } else {
                Category::Temporary
            };
            lives.push(Life { value, what, bytes: output.value.bytes(real), from: at, to: last.max(at) });
        }
        lives
    }

    /// Whether a step reads a value.
    fn reads(&self, step: &Step<T>, value: u32) -> bool {
        match step {
            Step::Update(update) => update.value == value,
            Step::Compute(instruction) => {
                self.values[instruction.inputs.clone()].contains(&value) || instruction.onto == Some(value)
            }
        }
    }

    /// The name of an instruction's op, and the path of its layer.
    pub(crate) fn names(&self, instruction: &Instruction<T>) -> (&'static str, &str) {
        (instruction.op.name(), &self.paths[instruction.path as usize])
    }

    /// The size of the arena in bytes: everything the plan will ever touch.
    pub fn arena_bytes(&self) -> usize {
        self.peak
    }

    /// The alignment of the arena and of every value in it, in bytes.
    pub fn alignment(&self) -> usize {
        self.alignment
    }

    /// The number of steps: op evaluations and parameter updates.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// How many steps are computed piece by piece with their neighbours; see [`Planner::piece`].
    pub fn together(&self) -> usize {
        let steps = self.steps.iter().map(|step| match step {
            Step::Compute(instruction) if instruction.together > 1 => instruction.together,
            _ => 0,
        });
        steps.sum()
    }

    /// The parameters and buffers, in the order of declaration.
    pub fn parameters(&self) -> impl Iterator<Item = &ParameterSpec> {
        self.residents.iter().map(|resident| &resident.spec)
    }

    /// The number of the input called `name`.
    pub fn input(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|port| port.name == name)
    }

    /// The number of the output called `name`.
    pub fn output(&self, name: &str) -> Option<usize> {
        self.outputs.iter().position(|port| port.name == name)
    }

    /// The shape of input number `index`.
    pub fn input_shape(&self, index: usize) -> Option<Shape> {
        self.inputs.get(index).map(|port| port.slot.value.shape)
    }

    /// The shape of output number `index`.
    pub fn output_shape(&self, index: usize) -> Option<Shape> {
        self.outputs.get(index).map(|port| port.slot.value.shape)
    }

    /// Finds the ops on each element alone that follow each other and can be computed piece by piece.
    fn join_elementwise(&mut self) {
        let mut at = 0;
        while at < self.steps.len() {
            let mut end = at + 1;
            while end < self.steps.len() && (at..end).all(|earlier| self.commute(earlier, end)) {
                end += 1;
            }
            if let Step::Compute(instruction) = &mut self.steps[at] {
                instruction.together = end - at;
            }
            at = end;
        }
    }

    /// Whether a piece of step `later` can be computed before another piece of step `earlier`: both are ops on each element
    /// alone, of as many elements, and every value of theirs lies where another does or apart from it.
    fn commute(&self, earlier: usize, later: usize) -> bool {
        let (Step::Compute(first), Step::Compute(second)) = (&self.steps[earlier], &self.steps[later]) else {
            return false;
        };
        let len = first.output.value.len();
        let fits = |instruction: &Instruction<T>| {
            let shape = instruction.output.value.shape;
            let inputs = &self.slots[instruction.inputs.clone()];
            let whole = |slot: &Slot| slot.value.kind == Kind::Real && slot.value.shape == shape;
            let single = |slot: &Slot| {
                slot.value.kind == Kind::Real && slot.value.len() == 1 && slot.value.shape.rank() <= 1
            };
            instruction.op.is_elementwise()
                && instruction.updates.is_none()
                && !instruction.accumulate
                && instruction.scratch.value.len() == 0
                && inputs.len() <= MOST_INPUTS
                && whole(&instruction.output)
                && inputs.iter().all(|slot| whole(slot) || single(slot))
        };
        if len < self.piece.saturating_mul(LEAST_PIECES)
            || second.output.value.len() != len
            || !fits(first)
            || !fits(second)
        {
            return false;
        }
        let range = |slot: &Slot| (slot.offset, slot.offset + slot.value.bytes(size_of::<T>()));
        let apart = |a: &Slot, b: &Slot| {
            let (a, b) = (range(a), range(b));
            a == b || a.1 <= b.0 || b.1 <= a.0
        };
        let inputs = |instruction: &Instruction<T>| self.slots[instruction.inputs.clone()].iter();
        apart(&first.output, &second.output)
            && inputs(first).all(|slot| apart(slot, &second.output))
            && inputs(second).all(|slot| apart(slot, &first.output))
    }

    /// Replays the plan over an empty arena and checks that every operand still holds the value that was meant, that
    /// nothing leaves the arena, that parameters and optimizer state are only written by what is meant for them, and
    /// that no step writes over what it reads, except where its op allows that.
    ///
    /// Shares no code with the passes that made the plan. With the feature `std` [`build`](Planner::build) ends with it;
    /// on a board, where it would be 4 kB of flash, it runs if the program asks for it.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn verify(&self) -> Result<(), VerifyError> {
        let real = size_of::<T>();
        let range = |slot: &Slot| (slot.offset, slot.offset + slot.value.bytes(real));
        let overlaps = |a: (usize, usize), b: (usize, usize)| a.0 < b.1 && b.0 < a.1;
        let inside = |step: usize, slot: &Slot| {
            let (start, stop) = range(slot);
            let usable = stop <= self.peak && start.is_multiple_of(self.alignment);
            if usable || start == stop { Ok(()) } else { Err(VerifyError::Outside { step, offset: start }) }
        };
        let residents: Vec<Slot> = self
            .residents
            .iter()
            .flat_map(|r| [Some(r.value), Some(r.state), r.accumulator])
            .flatten()
            .collect();
        for (i, slot) in residents.iter().enumerate() {
            inside(0, slot)?;
            if residents[..i].iter().any(|other| overlaps(range(other), range(slot))) {
                return Err(VerifyError::Overlap { step: 0 });
            }
        }
        let home = |value: u32| {
            let found = self.homes.binary_search_by_key(&value, |&(value, _)| value);
            found.ok().map(|at| range(&self.homes[at].1))
        };
        // Whether `value` may lie there: at home if it has one, and else where nothing stays from step to step.
        let allowed = |step: usize, slot: &Slot, value: u32| {
            inside(step, slot)?;
            let right = match home(value) {
                Some(home) => home == range(slot),
                None => !residents.iter().any(|resident| overlaps(range(resident), range(slot))),
            };
            if right { Ok(()) } else { Err(VerifyError::Overlap { step }) }
        };

        // Who owns which bytes: (bytes, value). Few enough to scan.
        let mut owners: Vec<((usize, usize), u32)> = Vec::new();
        let clear = |owners: &mut Vec<((usize, usize), u32)>, bytes: (usize, usize)| {
            owners.retain(|&(other, _)| !overlaps(other, bytes));
        };
        let write = |owners: &mut Vec<((usize, usize), u32)>, slot: &Slot, value: u32| {
            clear(owners, range(slot));
            owners.push((range(slot), value));
        };
        // What is there from the beginning: parameters, buffers and running sums, and the inputs.
        let computed =
            |value: u32| self.steps.iter().any(|step| matches!(step, Step::Compute(i) if i.value == value));
        for (value, slot) in self.homes.iter().filter(|&&(value, _)| !computed(value)) {
            if !residents.iter().any(|resident| range(resident) == range(slot)) {
                return Err(VerifyError::Outside { step: 0, offset: slot.offset });
            }
            owners.push((range(slot), *value));
        }
        for port in &self.inputs {
            allowed(0, &port.slot, port.value)?;
            write(&mut owners, &port.slot, port.value);
        }
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Update(update) => {
                    let parameter = range(&self.residents[update.parameter].value);
                    let gradient = range(&update.gradient);
                    allowed(at, &update.gradient, update.value)?;
                    if !owners.contains(&(gradient, update.value)) {
                        return Err(VerifyError::Lost { step: at, value: update.value });
                    }
                    if parameter.1 - parameter.0 != gradient.1 - gradient.0 || overlaps(parameter, gradient) {
                        return Err(VerifyError::Overlap { step: at });
                    }
                    // The new parameter is nobody's operand in this step, and the optimizer may scribble over the gradient.
                    clear(&mut owners, parameter);
                    clear(&mut owners, gradient);
                }
                Step::Compute(instruction) => {
                    let inputs = &self.slots[instruction.inputs.clone()];
                    let values = &self.values[instruction.inputs.clone()];
                    let (output, scratch) = (range(&instruction.output), range(&instruction.scratch));
                    allowed(at, &instruction.output, instruction.value)?;
                    allowed(at, &instruction.scratch, NO_VALUE)?;
                    if overlaps(output, scratch) {
                        return Err(VerifyError::Overlap { step: at });
                    }
                    for (operand, (slot, &value)) in inputs.iter().zip(values).enumerate() {
                        allowed(at, slot, value)?;
                        if !owners.contains(&(range(slot), value)) {
                            return Err(VerifyError::Lost { step: at, value });
                        }
                        let in_place = range(slot) == output && instruction.op.in_place(operand);
                        if overlaps(range(slot), output) && !in_place || overlaps(range(slot), scratch) {
                            return Err(VerifyError::Overlap { step: at });
                        }
                    }
                    if let Some(onto) = instruction.onto
                        && !owners.contains(&(output, onto))
                    {
                        return Err(VerifyError::Lost { step: at, value: onto });
                    }
                    clear(&mut owners, scratch);
                    write(&mut owners, &instruction.output, instruction.value);
                    if let Some(parameter) = instruction.updates {
                        let parameter = range(&self.residents[parameter].value);
                        if inputs.iter().any(|slot| overlaps(range(slot), parameter)) {
                            return Err(VerifyError::Overlap { step: at });
                        }
                        // Neither the old parameter nor the last part is anybody's operand.
                        clear(&mut owners, parameter);
                        clear(&mut owners, output);
                    }
                }
            }
        }
        // A parameter that is an output is read after its update.
        for port in self.outputs.iter().chain(&self.loss) {
            allowed(self.steps.len(), &port.slot, port.value)?;
            if home(port.value).is_none() && !owners.contains(&(range(&port.slot), port.value)) {
                return Err(VerifyError::Lost { step: self.steps.len(), value: port.value });
            }
        }
        // Running sums over micro-batches are what an update takes as its gradient later on.
        for update in &self.deferred {
            let sum = self.residents[update.parameter].accumulator;
            if sum != Some(update.gradient) {
                return Err(VerifyError::Outside { step: self.steps.len(), offset: update.gradient.offset });
            }
        }
        Ok(())
    }

    /// A picture of the plan for Graphviz (`dot -Tsvg`): steps in order, operands as edges, offsets in the boxes.
    pub fn to_dot(&self) -> String {
        use fmt::Write;
        let mut dot = String::from("digraph plan {\n  node [shape=record, fontname=\"sans-serif\"];\n");
        let mut writer: Vec<(u32, usize)> = Vec::new();
        // Writing to a String cannot fail.
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Compute(instruction) => {
                    let (op, path) = self.names(instruction);
                    let sign = if instruction.accumulate { "+=" } else { "=" };
                    let Slot { offset, value } = instruction.output;
                    let _ =
                        writeln!(dot, "  s{at} [label=\"{{{at}: {op}|{path}|@{offset} {sign} {value}}}\"];");
                    for value in &self.values[instruction.inputs.clone()] {
                        if let Some((_, from)) = writer.iter().rev().find(|(written, _)| written == value) {
                            let _ = writeln!(dot, "  s{from} -> s{at};");
                        }
                    }
                    writer.push((instruction.value, at));
                }
                Step::Update(update) => {
                    let path = &self.residents[update.parameter].spec.path;
                    let _ = writeln!(
                        dot,
                        "  s{at} [label=\"{{{at}: update|{path}}}\", style=filled, fillcolor=khaki];"
                    );
                    if let Some((_, from)) = writer.iter().rev().find(|(written, _)| *written == update.value)
                    {
                        let _ = writeln!(dot, "  s{from} -> s{at};");
                    }
                }
            }
        }
        dot.push_str("}\n");
        dot
    }
}

/// One step a line: `  3  @  4096 [32, 64]  = linear(@0, @1024, @2048)   hidden`.
impl<T: Element> fmt::Display for Plan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for port in &self.inputs {
            writeln!(f, "       @{:<8} {} = input {}", port.slot.offset, port.slot.value, port.name)?;
        }
        for resident in self.residents.iter() {
            writeln!(
                f,
                "       @{:<8} {} = {}",
                resident.value.offset, resident.value.value, resident.spec.path
            )?;
        }
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Compute(instruction) => {
                    let Slot { offset, value } = instruction.output;
                    let (op, path) = self.names(instruction);
                    write!(
                        f,
                        "{at:>5}  @{offset:<8} {value} {}= {op}(",
                        if instruction.accumulate { "+" } else { "" }
                    )?;
                    for (i, slot) in self.slots[instruction.inputs.clone()].iter().enumerate() {
                        let place = if slot.offset == offset { " in place" } else { "" };
                        write!(f, "{}@{}{place}", if i > 0 { ", " } else { "" }, slot.offset)?;
                    }
                    writeln!(f, "){}{path}", if path.is_empty() { "" } else { "   " })?;
                }
                Step::Update(update) => {
                    let Resident { spec, value, .. } = &self.residents[update.parameter];
                    writeln!(
                        f,
                        "{at:>5}  @{:<8} update {} with @{}",
                        value.offset, spec.path, update.gradient.offset
                    )?;
                }
            }
        }
        for port in self.outputs.iter().chain(&self.loss) {
            writeln!(f, "       @{:<8} {} = output {}", port.slot.offset, port.slot.value, port.name)?;
        }
        write!(f, "{}", self.memory())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mode, ops::Conv2dOptions};
    use bantam_core::UpdateContext;

    struct Momentum;

    impl Optimizer<f32> for Momentum {
        fn state_len(&self, parameter_len: usize) -> usize {
            parameter_len
        }
        fn update(&self, _: &UpdateContext<'_>, _: &mut [f32], _: &mut [f32], _: &mut [f32]) {}
    }

    /// A plan with everything that has a place: views, in-place ops, accumulation, scratch, assignments, updates,
    /// running sums, outputs, and inputs of all kinds.
    fn plan(micro_batches: bool, order: UpdateOrder) -> Plan<f32> {
        let spec = |path: &str, dims: &[usize], buffer: bool| ParameterSpec {
            path: path.into(),
            shape: Shape::new(dims).unwrap(),
            trainable: !buffer,
            buffer,
        };
        let specs = vec![
            spec("conv", &[2, 1, 3, 3], false),
            spec("gain", &[2], false),
            spec("shift", &[2], false),
            spec("running", &[2, 2], true),
            spec("tied", &[8, 8], false),
            spec("out", &[3, 8], false),
        ];
        let graph = Graph::<f32>::with_parameters(specs, Mode::Train);
        let x = graph.input("x", Shape::of([4, 1, 4, 4]));
        let target = graph.input("target", Shape::of([4, 3]));
        let labels = graph.indices("labels", Shape::of([4]));
        let p = |index| graph.parameter(index);
        let same = Conv2dOptions { padding: [1, 1], ..Conv2dOptions::default() };
        let (y, batch) = x.conv2d(p(0), None, same).batch_norm(p(1), p(2), 1e-5);
        graph.assign(3, p(3) * 0.9 + batch * 0.1);
        let y = y.relu().max_pool2d(2).flatten();
        let y = y + y.linear(p(4), None).tanh();
        let y = y.linear(p(4), None).dropout(0.5).linear(p(5), None);
        let loss = y.cross_entropy(labels) + y.mean_squared_error(target);
        let planner = graph.planner().optimizer(&Momentum).loss(loss).output("y", y.softmax()).update(order);
        planner.micro_batches(micro_batches).build().unwrap()
    }

    /// Every slot of the plan: `(where it is, what it is)`.
    fn slots<T: Element>(plan: &mut Plan<T>) -> Vec<(String, &mut Slot)> {
        let mut all: Vec<(String, &mut Slot)> = Vec::new();
        all.extend(plan.slots.iter_mut().enumerate().map(|(i, slot)| (alloc::format!("operand {i}"), slot)));
        for (at, step) in plan.steps.iter_mut().enumerate() {
            match step {
                Step::Compute(instruction) => {
                    all.push((alloc::format!("output of step {at}"), &mut instruction.output));
                }
                Step::Update(update) => {
                    all.push((alloc::format!("gradient of step {at}"), &mut update.gradient))
                }
            }
        }
        for (i, update) in plan.deferred.iter_mut().enumerate() {
            all.push((alloc::format!("running sum {i}"), &mut update.gradient));
        }
        for resident in Shared::make_mut(&mut plan.residents) {
            all.push((resident.spec.path.clone(), &mut resident.value));
            all.push((resident.spec.path.clone() + " (state)", &mut resident.state));
            all.extend(resident.accumulator.as_mut().map(|slot| (String::from("accumulator"), slot)));
        }
        for port in plan.inputs.iter_mut().chain(&mut plan.outputs).chain(&mut plan.loss) {
            all.push((port.name.clone(), &mut port.slot));
        }
        all
    }

    #[test]
    fn a_slot_anywhere_else_is_found_out() {
        let mut moved = 0;
        for (micro_batches, order) in
            [(false, UpdateOrder::AsReady), (false, UpdateOrder::AtEnd), (true, UpdateOrder::AsReady)]
        {
            let mut plan = plan(micro_batches, order);
            plan.verify().unwrap();
            let end = plan.arena_bytes();
            let mut offsets: Vec<usize> = slots(&mut plan).iter().map(|(_, slot)| slot.offset).collect();
            offsets.sort_unstable();
            offsets.dedup();
            offsets.extend([end, end - 4, 4, usize::MAX / 2]);
            for at in 0..slots(&mut plan).len() {
                let (name, before) = {
                    let (name, slot) = &slots(&mut plan)[at];
                    (name.clone(), **slot)
                };
                // What is empty, such as the state of a buffer, lies nowhere.
                for &offset in offsets.iter().filter(|&&o| o != before.offset && before.value.len() > 0) {
                    slots(&mut plan)[at].1.offset = offset;
                    assert!(
                        plan.verify().is_err(),
                        "{name} moved from {} to {offset}:\n{plan}",
                        before.offset
                    );
                    slots(&mut plan)[at].1.offset = before.offset;
                    moved += 1;
                }
            }
            plan.verify().unwrap();
        }
        assert!(moved > 2000, "{moved}");
    }

    #[test]
    fn scratch_over_anything_that_is_needed_is_found_out() {
        let mut plan = plan(false, UpdateOrder::AsReady);
        let mut moved = 0;
        for at in 0..plan.steps.len() {
            let Step::Compute(instruction) = &plan.steps[at] else { continue };
            let own = instruction.scratch;
            if own.value.len() == 0 {
                continue;
            }
            let mut wrong: Vec<usize> =
                plan.slots[instruction.inputs.clone()].iter().map(|slot| slot.offset).collect();
            wrong.extend([instruction.output.offset, plan.arena_bytes(), plan.inputs[0].slot.offset]);
            wrong.extend(plan.residents.iter().flat_map(|r| [r.value.offset, r.state.offset]));
            for offset in wrong {
                let Step::Compute(instruction) = &mut plan.steps[at] else { continue };
                instruction.scratch.offset = offset;
                assert!(plan.verify().is_err(), "the scratch of step {at} at {offset}");
                moved += 1;
            }
            let Step::Compute(instruction) = &mut plan.steps[at] else { continue };
            instruction.scratch = own;
        }
        plan.verify().unwrap();
        assert!(moved > 30, "{moved}");
    }

    #[test]
    fn a_step_out_of_order_is_found_out() {
        let mut plan = plan(false, UpdateOrder::AsReady);
        let mut found = 0;
        for at in 1..plan.steps.len() {
            plan.steps.swap(at - 1, at);
            found += usize::from(plan.verify().is_err());
            plan.steps.swap(at - 1, at);
        }
        // Some neighbours are independent of each other; most are not.
        assert!(2 * found > plan.steps.len(), "{found} of {}", plan.steps.len());
    }
}
