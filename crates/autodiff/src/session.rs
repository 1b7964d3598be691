//! A plan bound to memory: the loop that trains. Allocates nothing, hashes nothing, counts no references.

#[cfg(feature = "std")]
use crate::plan::Step;
use crate::plan::same_residents;
use crate::{
    BindError, Element, Kind, ParameterSpec, Plan, Slot,
    engine::{self, Engine, NotFinite, OtherState},
};
use alloc::{string::String, vec, vec::Vec};
use bantam_core::{Context, Optimizer, UpdateContext};
use core::{fmt, marker::PhantomData};

/// One cache line: the unit of owned arenas, so that they are aligned to it.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

enum Arena<'m> {
    Owned(Vec<Line>),
    Borrowed(&'m mut [u8]),
}

impl Arena<'_> {
    fn base(&mut self) -> *mut u8 {
        match self {
            Arena::Owned(lines) => lines.as_mut_ptr().cast(),
            Arena::Borrowed(bytes) => bytes.as_mut_ptr(),
        }
    }

    fn base_const(&self) -> *const u8 {
        match self {
            Arena::Owned(lines) => lines.as_ptr().cast(),
            Arena::Borrowed(bytes) => bytes.as_ptr(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Arena::Owned(lines) => size_of_val(lines.as_slice()),
            Arena::Borrowed(bytes) => bytes.len(),
        }
    }
}

/// The loss stopped being a number. Nothing was updated in that step.
///
/// Holds the first value of the step that is infinite or not a number; without the feature `std`, the loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NonFinite {
    /// The op that produced it, or `input` or `parameter`.
    pub op: &'static str,
    /// The path of the layer or parameter, or the name of the input; may be empty.
    pub path: String,
    /// The session's step.
    pub step: u64,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the loss is not finite in step {}: the first infinite or undefined value is ", self.step)?;
        match (self.op, self.path.as_str()) {
            (op @ ("input" | "parameter"), path) => write!(f, "in the {op} {path}"),
            (op, "") => write!(f, "the output of {op}"),
            (op, path) => write!(f, "the output of {op} in {path}"),
        }?;
        match self.op {
            "input" => write!(f, "; look at the data"),
            _ => write!(f, "; a lower learning rate or clipped gradients may help"),
        }
    }
}

impl core::error::Error for NonFinite {}

/// Why a step was not made. No parameter has changed then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StepError {
    /// The loss is infinite or not a number.
    NonFinite(NonFinite),
    /// The plan was made for another optimizer, or for none.
    OtherOptimizer {
        /// The path of the first parameter that shows it.
        path: String,
        /// The elements of state that the plan has for it.
        planned: usize,
        /// The elements of state that the optimizer needs for it.
        needed: usize,
    },
}

impl From<NonFinite> for StepError {
    fn from(error: NonFinite) -> Self {
        StepError::NonFinite(error)
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StepError::NonFinite(error) => error.fmt(f),
            StepError::OtherOptimizer { path, planned, needed } => write!(
                f,
                "{path}: the optimizer keeps {needed} numbers, but the plan was made with {planned}; name the same \
                 optimizer to the planner"
            ),
        }
    }
}

impl core::error::Error for StepError {}

/// A [`Plan`] bound to one arena of memory, its own or borrowed.
///
/// Parameters, buffers and optimizer state start as zeros.
pub struct Session<'m, T: Element = f32> {
    plan: Plan<T>,
    arena: Arena<'m>,
    context: Context<'m>,
    seed: u64,
    step: u64,
    updates: u64,
    gradient_norm: Option<f64>,
    element: PhantomData<T>,
}

impl<T: Element> fmt::Debug for Session<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("context", &self.context)
            .field("step", &self.step)
            .field("arena_bytes", &self.arena.len())
            .finish_non_exhaustive()
    }
}

impl<'m, T: Element> Session<'m, T> {
    /// Binds the plan to an arena of its own.
    pub fn new(plan: Plan<T>) -> Self {
        Session::with_capacity(plan, 0)
    }

    /// Binds the plan to an arena of its own of at least `bytes`, so that larger plans can be
    /// [swapped](Self::swap) in later.
    pub fn with_capacity(plan: Plan<T>, bytes: usize) -> Self {
        let bytes = plan.arena_bytes().max(bytes);
        let lines = vec![Line([0; 64]); bytes.div_ceil(64)];
        Session {
            plan,
            arena: Arena::Owned(lines),
            context: Context::default(),
            seed: 0,
            step: 0,
            updates: 0,
            gradient_norm: None,
            element: PhantomData,
        }
    }

    /// Binds the plan to borrowed memory, which is zeroed.
    ///
    /// # Errors
    /// The memory is too small or misaligned.
    pub fn bind(plan: Plan<T>, memory: &'m mut [u8]) -> Result<Self, BindError> {
        if memory.len() < plan.arena_bytes() {
            return Err(BindError::TooSmall { needed: plan.arena_bytes(), given: memory.len() });
        }
        if !memory.as_ptr().addr().is_multiple_of(plan.alignment()) {
            return Err(BindError::Misaligned { needed: plan.alignment() });
        }
        memory.fill(0);
        let arena = Arena::Borrowed(memory);
        Ok(Session {
            plan,
            arena,
            context: Context::default(),
            seed: 0,
            step: 0,
            updates: 0,
            gradient_norm: None,
            element: PhantomData,
        })
    }

    /// Where and how to run. Default: this CPU's highest level, fast numerics, the calling thread.
    #[must_use]
    pub fn context(mut self, context: Context<'m>) -> Self {
        self.context = context;
        self
    }

    /// The seed of dropout masks and other noise. Default: 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Exchanges the session's plan for another one over the same parameters, such as that for the last short batch.
    /// Parameters, buffers and optimizer state stay; inputs and outputs do not.
    ///
    /// # Errors
    /// The other plan has other parameters, or its arena is larger than the session's. Nothing has changed then.
    pub fn swap(&mut self, other: &mut Plan<T>) -> Result<(), BindError> {
        if !same_residents(&self.plan.residents, &other.residents) || self.plan.alignment != other.alignment {
            return Err(BindError::OtherParameters);
        }
        if other.arena_bytes() > self.arena.len() {
            return Err(BindError::TooSmall { needed: other.arena_bytes(), given: self.arena.len() });
        }
        core::mem::swap(&mut self.plan, other);
        Ok(())
    }

    /// Makes the session's own arena at least `bytes` large, so that a larger plan can be [swapped](Self::swap) in.
    /// What is in it stays. A borrowed arena stays as it is.
    pub fn reserve(&mut self, bytes: usize) {
        if let Arena::Owned(lines) = &mut self.arena
            && size_of_val(lines.as_slice()) < bytes
        {
            lines.resize(bytes.div_ceil(64), Line([0; 64]));
        }
    }

    /// The plan that is run.
    pub fn plan(&self) -> &Plan<T> {
        &self.plan
    }

    /// The number of forward passes of training so far: the `step` of random streams.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The number of updates so far: the `step` of schedules.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The Euclidean norm of all gradients together in the last update, as it was before any clipping; `None` if the
    /// optimizer does not ask for it.
    pub fn gradient_norm(&self) -> Option<f64> {
        self.gradient_norm
    }

    /// Sets both counters, to go on where an earlier session stopped.
    pub fn resume_at(&mut self, steps: u64, updates: u64) {
        self.step = steps;
        self.updates = updates;
    }

    /// Input number `index` as numbers; empty if there is none or if it holds indices.
    pub fn input(&mut self, index: usize) -> &mut [T] {
        match self.plan.inputs.get(index).map(|port| port.slot) {
            Some(slot) if slot.value.kind == Kind::Real => self.slice_mut(slot),
            _ => &mut [],
        }
    }

    /// Input number `index` as indices; empty if there is none or if it holds numbers.
    pub fn indices(&mut self, index: usize) -> &mut [u32] {
        match self.plan.inputs.get(index).map(|port| port.slot) {
            // SAFETY: the slot lies inside the arena, is aligned to at least 8 bytes and holds `u32`s (zeros at first);
            // the borrow of `self` keeps everybody else away.
            Some(slot) if slot.value.kind == Kind::Index => unsafe {
                core::slice::from_raw_parts_mut(self.arena.base().add(slot.offset).cast(), slot.value.len())
            },
            _ => &mut [],
        }
    }

    /// Output number `index` after a step; empty if there is none or if it is not of numbers.
    pub fn output(&self, index: usize) -> &[T] {
        match self.plan.outputs.get(index).map(|port| port.slot) {
            Some(slot) if slot.value.kind == Kind::Real => self.slice(slot),
            _ => &[],
        }
    }

    /// The loss of the last step; `None` if the plan has none.
    pub fn loss(&self) -> Option<T> {
        self.plan.loss.as_ref().and_then(|port| self.slice(port.slot).first().copied())
    }

    /// Parameter or buffer number `index`; empty if there is none.
    pub fn parameter(&self, index: usize) -> &[T] {
        self.plan.residents.get(index).map_or(&[], |resident| self.slice(resident.value))
    }

    /// Parameter or buffer number `index`, to set it; empty if there is none.
    pub fn parameter_mut(&mut self, index: usize) -> &mut [T] {
        match self.plan.residents.get(index).map(|resident| resident.value) {
            Some(slot) => self.slice_mut(slot),
            None => &mut [],
        }
    }

    /// The optimizer's state for parameter number `index`; empty if it has none.
    pub fn optimizer_state(&self, index: usize) -> &[T] {
        self.plan.residents.get(index).map_or(&[], |resident| self.slice(resident.state))
    }

    /// The optimizer's state for parameter number `index`, to set it; empty if it has none.
    pub fn optimizer_state_mut(&mut self, index: usize) -> &mut [T] {
        match self.plan.residents.get(index).map(|resident| resident.state) {
            Some(slot) => self.slice_mut(slot),
            None => &mut [],
        }
    }

    /// The parameters and buffers, in the order of declaration.
    pub fn parameters(&self) -> impl Iterator<Item = (&ParameterSpec, &[T])> {
        self.plan.residents.iter().map(|resident| (&resident.spec, self.slice(resident.value)))
    }

    /// Evaluates a plan without a loss, or the forward and backward pass of one with a loss, and updates no parameter.
    ///
    /// What the graph [assigns](crate::Graph::assign) is assigned, and running sums over micro-batches do grow.
    pub fn run(&mut self) {
        let engine = self.engine();
        let mut at = 0;
        while at < self.plan.steps.len() {
            // SAFETY: the session's own arena, and its borrow is unique.
            at = unsafe { engine.compute_from(&self.plan, at, 1.0) };
        }
    }

    /// One training step: forward, backward, update. Returns the loss.
    ///
    /// # Errors
    /// The loss is infinite or not a number; the plan was made for another optimizer. No parameter has changed then.
    pub fn step(&mut self, optimizer: &(impl Optimizer<T> + ?Sized)) -> Result<T, StepError> {
        self.check_optimizer(optimizer)?;
        // Of updates that wait, the walk makes none.
        self.walk(1.0, Some(optimizer))?;
        self.step += 1;
        if self.plan.deferred.is_empty() {
            self.updates += 1;
        } else {
            self.apply_sums(optimizer);
        }
        Ok(self.loss().unwrap_or(T::zero()))
    }

    /// Adds the gradient of `weight` × loss to the running sums of a plan with
    /// [micro-batches](crate::Planner::micro_batches). `weight` is the micro-batch's share of its batch, so that the
    /// sum is the gradient of the mean over the whole batch. Returns the loss.
    ///
    /// # Errors
    /// The loss is infinite or not a number.
    pub fn accumulate(&mut self, weight: f64) -> Result<T, NonFinite> {
        self.walk::<Nothing>(weight, None)?;
        self.step += 1;
        Ok(self.loss().unwrap_or(T::zero()))
    }

    fn check_optimizer(&self, optimizer: &(impl Optimizer<T> + ?Sized)) -> Result<(), StepError> {
        engine::check_optimizer(&self.plan, optimizer).map_err(|OtherState { parameter, planned, needed }| {
            let path = self.plan.residents[parameter].spec.path.clone();
            StepError::OtherOptimizer { path, planned, needed }
        })
    }

    /// Updates every parameter from its running sum of gradients and sets the sums to zero.
    ///
    /// # Errors
    /// The plan was made for another optimizer. Nothing has changed then.
    pub fn apply(&mut self, optimizer: &(impl Optimizer<T> + ?Sized)) -> Result<(), StepError> {
        self.check_optimizer(optimizer)?;
        self.apply_sums(optimizer);
        Ok(())
    }

    fn apply_sums(&mut self, optimizer: &(impl Optimizer<T> + ?Sized)) {
        let engine = self.engine();
        // SAFETY: the session's own arena, and its borrow is unique.
        self.gradient_norm = unsafe { engine.apply(&self.plan, optimizer) };
        self.updates += 1;
    }

    /// The arena as the loop knows it. Every plan is the planner's, as [`Plan::verify`] checks on hosts, and uses no
    /// read-only memory.
    fn engine(&mut self) -> Engine<'m> {
        let (base, Session { context, seed, step, updates, .. }) = (self.arena.base(), self);
        Engine { base, flash: base, context: *context, seed: *seed, step: *step, updates: *updates }
    }

    fn walk<O: Optimizer<T> + ?Sized>(
        &mut self,
        loss_scale: f64,
        optimizer: Option<&O>,
    ) -> Result<(), NonFinite> {
        let engine = self.engine();
        // SAFETY: the session's own arena, and its borrow is unique.
        let walked = unsafe { engine.walk(&self.plan, loss_scale, optimizer) };
        self.gradient_norm = walked.map_err(|NotFinite| self.first_non_finite(loss_scale))?;
        Ok(())
    }

    #[cfg(feature = "std")]
    fn compute(&mut self, at: usize, loss_scale: f64) {
        let engine = self.engine();
        // SAFETY: the session's own arena, and its borrow is unique.
        unsafe { engine.compute(&self.plan, at, loss_scale) };
    }

    /// The loss, which is not finite. A host, which has the same bits, says where that came from.
    #[cfg(not(feature = "std"))]
    fn first_non_finite(&mut self, _loss_scale: f64) -> NonFinite {
        NonFinite { op: "loss", path: String::new(), step: self.step }
    }

    /// Repeats the forward pass and finds the first value that is not finite. Inputs and parameters are still there.
    #[cfg(feature = "std")]
    fn first_non_finite(&mut self, loss_scale: f64) -> NonFinite {
        let bad = |slice: &[T]| slice.iter().any(|x| !x.is_finite());
        let step = self.step;
        for port in self.plan.inputs.iter().filter(|port| port.slot.value.kind == Kind::Real) {
            if bad(self.slice(port.slot)) {
                return NonFinite { op: "input", path: port.name.clone(), step };
            }
        }
        for resident in self.plan.residents.iter() {
            if bad(self.slice(resident.value)) {
                return NonFinite { op: "parameter", path: resident.spec.path.clone(), step };
            }
        }
        for at in 0..=self.plan.loss_step {
            self.compute(at, loss_scale);
            if let Step::Compute(instruction) = &self.plan.steps[at]
                && instruction.output.value.kind == Kind::Real
                && bad(self.slice(instruction.output))
            {
                let (op, path) = self.plan.names(instruction);
                return NonFinite { op, path: path.into(), step };
            }
        }
        NonFinite { op: "loss", path: String::new(), step }
    }

    fn slice<E>(&self, slot: Slot) -> &[E] {
        // SAFETY: slots lie inside the arena, aligned to at least 8 bytes, and every bit pattern is a number; all callers
        // ask for the element that the slot's kind stands for.
        unsafe {
            core::slice::from_raw_parts(self.arena.base_const().add(slot.offset).cast(), slot.value.len())
        }
    }

    fn slice_mut<E>(&mut self, slot: Slot) -> &mut [E] {
        // SAFETY: as for `slice`, and the borrow of `self` is unique.
        unsafe {
            core::slice::from_raw_parts_mut(self.arena.base().add(slot.offset).cast(), slot.value.len())
        }
    }
}

/// Stands for "no optimizer" where a type is needed.
struct Nothing;

impl<T: Element> Optimizer<T> for Nothing {
    fn state_len(&self, _parameter_len: usize) -> usize {
        0
    }

    fn update(&self, _cx: &UpdateContext<'_>, _parameter: &mut [T], _gradient: &mut [T], _state: &mut [T]) {}
}
