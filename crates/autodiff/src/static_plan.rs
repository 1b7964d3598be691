//! Plans in flash: made on a host, written as Rust source, and run on a board without an allocator.
//!
//! [`source`] writes plans as a Rust file with one `static` each. Compiled into a program, a plan lies in flash; it names
//! its ops as typed values, so the compiler sees through every one of them and leaves out what none of them needs. A
//! [`StaticSession`] binds it to an arena that the program owns, and runs it with the very loop of a
//! [`Session`](crate::Session): the same numbers, the same bits.
//!
//! The first weights are a slice of bytes in flash ([`weights`] writes it). What trains is copied to the arena; frozen
//! parameters are read where they lie, and take no RAM at all. Where all of them train, they may be drawn on the board instead
//! ([`StaticSession::without_weights`]), and take no flash.

use crate::{
    BindError, Element, Io, Kind, Slot, StepContext,
    engine::{self, Action, Engine, Home, NotFinite, OtherState, Program},
};
use bantam_core::{Context, Optimizer, Shape};
use core::fmt;

/// Memory that begins at a multiple of 64 bytes: an arena, or weights in flash.
///
/// ```
/// use bantam_autodiff::Aligned;
/// static WEIGHTS: &Aligned<[u8]> = &Aligned(*b"would be include_bytes!");
/// assert!(WEIGHTS.0.as_ptr().addr().is_multiple_of(64));
/// ```
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Aligned<B: ?Sized>(pub B);

/// One step of a [`StaticPlan`].
#[derive(Debug)]
pub enum StaticStep<T: 'static = f32> {
    /// An op is evaluated.
    Compute {
        /// Evaluates it.
        eval: fn(&StepContext<'_>, Io<'_, T>),
        /// What it reads.
        inputs: &'static [Slot],
        /// What it writes.
        output: Slot,
        /// Its scratch memory. Most have none, and share one that is empty.
        scratch: &'static Slot,
        /// Whether it adds to its output.
        accumulate: bool,
    },
    /// The optimizer is applied.
    Update {
        /// To this parameter.
        parameter: usize,
        /// With this gradient.
        gradient: Slot,
    },
    /// A gradient is computed and applied part by part.
    Parts {
        /// Evaluates an op for a part of its output.
        eval: fn(&StepContext<'_>, Io<'_, T>),
        /// What it reads.
        inputs: &'static [Slot],
        /// What it writes.
        part: Slot,
        /// What the optimizer is applied to.
        parameter: usize,
    },
}

/// Where a parameter or buffer of a [`StaticPlan`] lies.
#[derive(Debug)]
pub struct StaticResident {
    /// Its value; from [`Slot::FLASH`] on if it is read in flash.
    pub value: Slot,
    /// What the optimizer keeps for it.
    pub state: Slot,
    /// Whether it is updated.
    pub trains: bool,
    /// Where its first value lies, in bytes from the start of the weights' numbers.
    pub weights: usize,
}

/// What a [`StaticPlan`] is made of.
#[derive(Debug)]
pub struct StaticParts<T: 'static = f32> {
    /// Names the parameters, their shapes and where they lie: plans with the same number share a session and weights.
    pub id: u64,
    /// The size of the arena.
    pub arena_bytes: usize,
    /// How much of it, from its start, stays from step to step: parameters that train, buffers, optimizer state, sums.
    pub state_bytes: usize,
    /// The alignment of the arena and of the weights.
    pub alignment: usize,
    /// The length of the weights with their head.
    pub weights_bytes: usize,
    /// What runs.
    pub steps: &'static [StaticStep<T>],
    /// Parameters and buffers, in the order of declaration.
    pub residents: &'static [StaticResident],
    /// Inputs, in the order of declaration.
    pub inputs: &'static [Slot],
    /// Outputs, in the order in which the planner was told of them.
    pub outputs: &'static [Slot],
    /// The loss and the step that computes it.
    pub loss: Option<(Slot, usize)>,
    /// Updates that wait for the end of an accumulation: parameter and running sum.
    pub deferred: &'static [(usize, Slot)],
    /// Whether the optimizer asks for the norm of all gradients.
    pub needs_global_norm: bool,
}

/// A plan in flash. Written by [`source`].
#[derive(Debug)]
pub struct StaticPlan<T: 'static = f32>(StaticParts<T>);

/// Bytes before the numbers of the weights: the id of their plan.
const HEAD: usize = 8;

impl<T: Element> StaticPlan<T> {
    /// Takes a plan at its word.
    ///
    /// # Safety
    /// `parts` are those of a plan that has passed [`Plan::verify`](crate::Plan::verify), as [`source`] writes them: every slot lies in
    /// the arena or, for inputs of ops and residents that do not train, in the weights; aligned; and no step writes over
    /// what it reads, except where its op allows that.
    pub const unsafe fn trusted(parts: StaticParts<T>) -> Self {
        StaticPlan(parts)
    }

    /// The size of the arena in bytes.
    pub const fn arena_bytes(&self) -> usize {
        self.0.arena_bytes
    }

    /// The alignment of the arena and of the weights, in bytes.
    pub const fn alignment(&self) -> usize {
        self.0.alignment
    }

    /// The number that the weights must carry.
    pub const fn id(&self) -> u64 {
        self.0.id
    }
}

impl<T: Element> Program<T> for StaticPlan<T> {
    fn steps(&self) -> usize {
        self.0.steps.len()
    }

    #[inline]
    fn action(&self, at: usize) -> Action<'_> {
        match &self.0.steps[at] {
            StaticStep::Compute { inputs, output, scratch, accumulate, .. } => {
                Action::Compute { inputs, output, scratch, accumulate: *accumulate }
            }
            StaticStep::Update { parameter, gradient } => Action::Update { parameter: *parameter, gradient },
            StaticStep::Parts { inputs, part, parameter, .. } => {
                Action::Parts { inputs, part, parameter: *parameter }
            }
        }
    }

    #[inline]
    fn eval(&self, at: usize, cx: &StepContext<'_>, io: Io<'_, T>) {
        if let StaticStep::Compute { eval, .. } | StaticStep::Parts { eval, .. } = &self.0.steps[at] {
            eval(cx, io);
        }
    }

    fn home(&self, index: usize) -> Option<Home<'_>> {
        let StaticResident { value, state, trains, .. } = self.0.residents.get(index)?;
        Some(Home { value, state, trains: *trains })
    }

    fn deferred(&self, at: usize) -> Option<(usize, Slot)> {
        self.0.deferred.get(at).copied()
    }

    fn loss(&self) -> Option<(Slot, usize)> {
        self.0.loss
    }

    fn needs_global_norm(&self) -> bool {
        self.0.needs_global_norm
    }
}

/// Why a [`StaticSession`] did not make a step. No parameter has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StaticStepError {
    /// The loss is infinite or not a number.
    NonFinite {
        /// The session's step.
        step: u64,
    },
    /// The plan was made for another optimizer, or for none.
    OtherOptimizer {
        /// The number of the first parameter that shows it.
        parameter: usize,
        /// The elements of state that the plan has for it.
        planned: usize,
        /// The elements of state that the optimizer needs for it.
        needed: usize,
    },
}

impl fmt::Display for StaticStepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StaticStepError::NonFinite { step } => write!(
                f,
                "the loss is not finite in step {step}; a lower learning rate or clipped gradients may help"
            ),
            StaticStepError::OtherOptimizer { parameter, planned, needed } => write!(
                f,
                "the optimizer needs {needed} numbers for parameter {parameter}, but the plan was made with {planned}"
            ),
        }
    }
}

impl core::error::Error for StaticStepError {}

impl From<OtherState> for StaticStepError {
    fn from(OtherState { parameter, planned, needed }: OtherState) -> Self {
        StaticStepError::OtherOptimizer { parameter, planned, needed }
    }
}

/// A [`StaticPlan`] bound to memory: a [`Session`](crate::Session) without an allocator.
pub struct StaticSession<'m, T: Element = f32> {
    plan: &'static StaticPlan<T>,
    arena: &'m mut [u8],
    /// The numbers of the weights, without their head.
    weights: &'static [u8],
    context: Context<'m>,
    seed: u64,
    step: u64,
    updates: u64,
}

impl<T: Element> fmt::Debug for StaticSession<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticSession").field("step", &self.step).finish_non_exhaustive()
    }
}

impl<'m, T: Element> StaticSession<'m, T> {
    /// Binds a plan to memory and copies the first values of what trains (and of buffers) from `weights`. Optimizer state,
    /// running sums and inputs start as zeros; what comes and goes is not touched, and nothing beyond
    /// [`arena_bytes`](StaticPlan::arena_bytes) ever is.
    ///
    /// # Errors
    /// The memory is too small; it or the weights are misaligned; the weights belong to another plan.
    pub fn bind(
        plan: &'static StaticPlan<T>,
        memory: &'m mut [u8],
        weights: &'static [u8],
    ) -> Result<Self, BindError> {
        let StaticParts { id, alignment, weights_bytes, residents, .. } = plan.0;
        let mut session = Self::over_zeros(plan, memory)?;
        if !weights.as_ptr().addr().is_multiple_of(alignment) {
            return Err(BindError::Misaligned { needed: alignment });
        }
        let Some((head, numbers)) = weights.split_first_chunk::<HEAD>() else {
            return Err(BindError::OtherWeights { plan: id, weights: 0 });
        };
        if u64::from_le_bytes(*head) != id || weights.len() != weights_bytes {
            return Err(BindError::OtherWeights { plan: id, weights: u64::from_le_bytes(*head) });
        }
        session.weights = numbers;
        for StaticResident { value, weights, .. } in residents {
            let bytes = value.value.bytes(size_of::<T>());
            if let (Some(to), Some(from)) = (
                session.arena.get_mut(value.offset..).and_then(|to| to.get_mut(..bytes)),
                numbers.get(*weights..),
            ) {
                to.copy_from_slice(&from[..bytes]);
            }
        }
        Ok(session)
    }

    /// Binds a plan whose parameters all train to memory, without weights in flash. Parameters and buffers start as zeros: set them
    /// with [`parameter_mut`](Self::parameter_mut), or draw them with `initialize_static` of `bantam-nn`.
    ///
    /// # Errors
    /// The memory is too small or misaligned; a frozen parameter is read in flash.
    pub fn without_weights(plan: &'static StaticPlan<T>, memory: &'m mut [u8]) -> Result<Self, BindError> {
        if plan.0.residents.iter().any(|resident| resident.value.offset >= Slot::FLASH) {
            return Err(BindError::OtherWeights { plan: plan.0.id, weights: 0 });
        }
        Self::over_zeros(plan, memory)
    }

    /// A session that reads no weights yet.
    fn over_zeros(plan: &'static StaticPlan<T>, memory: &'m mut [u8]) -> Result<Self, BindError> {
        let StaticParts { arena_bytes, state_bytes, alignment, .. } = plan.0;
        if memory.len() < arena_bytes {
            return Err(BindError::TooSmall { needed: arena_bytes, given: memory.len() });
        }
        if !memory.as_ptr().addr().is_multiple_of(alignment) {
            return Err(BindError::Misaligned { needed: alignment });
        }
        memory[..state_bytes].fill(0);
        for input in plan.0.inputs {
            memory[input.offset..][..input.value.bytes(size_of::<T>())].fill(0);
        }
        let context = Context::default();
        Ok(StaticSession { plan, arena: memory, weights: &[], context, seed: 0, step: 0, updates: 0 })
    }

    /// Where and how to run. Default: the highest level that the compiler was told of, fast numerics, one thread.
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

    /// Goes on with another plan over the same parameters, such as that for evaluation. Parameters, buffers and optimizer
    /// state stay; inputs and outputs do not.
    ///
    /// # Errors
    /// The other plan keeps other parameters, or keeps them elsewhere; its arena is larger than the session's.
    pub fn swap(&mut self, plan: &'static StaticPlan<T>) -> Result<(), BindError> {
        if plan.0.id != self.plan.0.id {
            return Err(BindError::OtherParameters);
        }
        if plan.0.arena_bytes > self.arena.len() {
            return Err(BindError::TooSmall { needed: plan.0.arena_bytes, given: self.arena.len() });
        }
        self.plan = plan;
        Ok(())
    }

    /// The plan that is run.
    pub fn plan(&self) -> &'static StaticPlan<T> {
        self.plan
    }

    /// The number of forward passes of training so far: the `step` of random streams.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The number of updates so far: the `step` of schedules.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Sets both counters, to go on where an earlier session stopped.
    pub fn resume_at(&mut self, steps: u64, updates: u64) {
        self.step = steps;
        self.updates = updates;
    }

    fn engine(&mut self) -> Engine<'m> {
        let StaticSession { arena, weights, context, seed, step, updates, .. } = self;
        let (base, flash) = (arena.as_mut_ptr(), weights.as_ptr());
        Engine { base, flash, context: *context, seed: *seed, step: *step, updates: *updates }
    }

    /// What lies in a slot of the plan, which must be of elements `E`.
    fn slice<E>(&self, slot: &Slot) -> &[E] {
        let start = match slot.offset.checked_sub(Slot::FLASH) {
            None => self.arena.as_ptr().wrapping_add(slot.offset),
            Some(offset) => self.weights.as_ptr().wrapping_add(offset),
        };
        // SAFETY: who made the plan vouches that its slots lie inside the arena or the weights, aligned; every bit pattern
        // is a number; all callers ask for the element that the slot's kind stands for.
        unsafe { core::slice::from_raw_parts(start.cast(), slot.value.len()) }
    }

    /// The same to change; empty if it is in flash.
    fn slice_mut<E>(&mut self, slot: &Slot) -> &mut [E] {
        if slot.offset >= Slot::FLASH {
            return &mut [];
        }
        // SAFETY: as for `slice`, and the borrow of `self` is unique.
        unsafe { self.engine().slice_mut(slot) }
    }

    /// Input number `index` as numbers; empty if there is none or if it holds indices.
    pub fn input(&mut self, index: usize) -> &mut [T] {
        match self.plan.0.inputs.get(index) {
            Some(slot) if slot.value.kind == Kind::Real => self.slice_mut(slot),
            _ => &mut [],
        }
    }

    /// Input number `index` as indices; empty if there is none or if it holds numbers.
    pub fn indices(&mut self, index: usize) -> &mut [u32] {
        match self.plan.0.inputs.get(index) {
            Some(slot) if slot.value.kind == Kind::Index => self.slice_mut(slot),
            _ => &mut [],
        }
    }

    /// Output number `index` after a step; empty if there is none or if it is not of numbers.
    pub fn output(&self, index: usize) -> &[T] {
        match self.plan.0.outputs.get(index) {
            Some(slot) if slot.value.kind == Kind::Real => self.slice(slot),
            _ => &[],
        }
    }

    /// The loss of the last step; `None` if the plan has none.
    pub fn loss(&self) -> Option<T> {
        self.plan.0.loss.as_ref().and_then(|(slot, _)| self.slice(slot).first().copied())
    }

    /// Parameter or buffer number `index`; empty if there is none.
    pub fn parameter(&self, index: usize) -> &[T] {
        self.plan.0.residents.get(index).map_or(&[], |resident| self.slice(&resident.value))
    }

    /// The shape of parameter or buffer number `index`; a scalar's if there is none.
    pub fn parameter_shape(&self, index: usize) -> Shape {
        self.plan.0.residents.get(index).map_or(Shape::SCALAR, |resident| resident.value.value.shape)
    }

    /// Parameter or buffer number `index`, to set it; empty if there is none or if it is read in flash.
    pub fn parameter_mut(&mut self, index: usize) -> &mut [T] {
        match self.plan.0.residents.get(index) {
            Some(resident) => self.slice_mut(&resident.value),
            None => &mut [],
        }
    }

    /// The parameters and buffers, in the order of declaration.
    pub fn parameters(&self) -> impl Iterator<Item = &[T]> {
        self.plan.0.residents.iter().map(|resident| self.slice(&resident.value))
    }

    /// The optimizer's state for parameter number `index`; empty if it has none.
    pub fn optimizer_state(&self, index: usize) -> &[T] {
        self.plan.0.residents.get(index).map_or(&[], |resident| self.slice(&resident.state))
    }

    /// The optimizer's state for parameter number `index`, to set it; empty if it has none.
    pub fn optimizer_state_mut(&mut self, index: usize) -> &mut [T] {
        match self.plan.0.residents.get(index) {
            Some(resident) => self.slice_mut(&resident.state),
            None => &mut [],
        }
    }

    /// Everything that a step changes and the next one needs, but for the counters: parameters that train, buffers,
    /// optimizer state and running sums, as the bytes of this machine. To go on after a power failure, save them with
    /// [`steps`](Self::steps), [`updates`](Self::updates) and the plan's [`id`](StaticPlan::id).
    pub fn state(&self) -> &[u8] {
        &self.arena[..self.plan.0.state_bytes]
    }

    /// The same, to restore it; see [`resume_at`](Self::resume_at).
    pub fn state_mut(&mut self) -> &mut [u8] {
        &mut self.arena[..self.plan.0.state_bytes]
    }

    /// Evaluates a plan without a loss, or the forward and backward pass of one with a loss, and updates no parameter.
    pub fn run(&mut self) {
        let engine = self.engine();
        for at in 0..self.plan.steps() {
            // SAFETY: the session's own arena and the weights that were checked, and the session's borrow is unique.
            unsafe { engine.compute(self.plan, at, 1.0) };
        }
    }

    /// One training step: forward, backward, update. Returns the loss.
    ///
    /// # Errors
    /// The loss is infinite or not a number; the plan was made for another optimizer. No parameter has changed then.
    pub fn step(&mut self, optimizer: &(impl Optimizer<T> + ?Sized)) -> Result<T, StaticStepError> {
        engine::check_optimizer(self.plan, optimizer)?;
        let loss = self.walk(1.0, Some(optimizer))?;
        if self.plan.0.deferred.is_empty() {
            self.updates += 1;
        } else {
            self.apply(optimizer)?;
        }
        Ok(loss)
    }

    /// Adds the gradient of `weight` × loss to the running sums of a plan with micro-batches; see
    /// [`Session::accumulate`](crate::Session::accumulate). Returns the loss.
    ///
    /// # Errors
    /// The loss is infinite or not a number.
    pub fn accumulate(&mut self, weight: f64) -> Result<T, StaticStepError> {
        self.walk(weight, None::<&dyn Optimizer<T>>)
    }

    /// Updates every parameter from its running sum of gradients and sets the sums to zero.
    ///
    /// # Errors
    /// The plan was made for another optimizer. Nothing has changed then.
    pub fn apply(&mut self, optimizer: &(impl Optimizer<T> + ?Sized)) -> Result<(), StaticStepError> {
        engine::check_optimizer(self.plan, optimizer)?;
        let engine = self.engine();
        // SAFETY: as in `run`.
        unsafe { engine.apply(self.plan, optimizer) };
        self.updates += 1;
        Ok(())
    }

    fn walk<O: Optimizer<T> + ?Sized>(
        &mut self,
        loss_scale: f64,
        optimizer: Option<&O>,
    ) -> Result<T, StaticStepError> {
        let engine = self.engine();
        // SAFETY: as in `run`.
        let walked = unsafe { engine.walk(self.plan, loss_scale, optimizer) };
        walked.map_err(|NotFinite| StaticStepError::NonFinite { step: self.step })?;
        self.step += 1;
        Ok(self.loss().unwrap_or(T::zero()))
    }
}

#[cfg(feature = "std")]
mod write {
    //! Plans and weights as source and bytes.

    use super::HEAD;
    use crate::{
        Element, Kind, Plan, Session, Slot, ValueType,
        plan::{Resident, Step},
    };
    use alloc::{format, string::String, vec::Vec};
    use bantam_core::Real;
    use core::fmt::{self, Write};

    /// Why a plan cannot lie in flash.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum NotStatic {
        /// An op does not say how it is [written as Rust](crate::Op::to_rust).
        Op {
            /// The op.
            op: String,
            /// Its layer.
            path: String,
        },
        /// A frozen parameter, which would be read in flash, is assigned to.
        Assigned {
            /// The parameter.
            path: String,
        },
    }

    impl fmt::Display for NotStatic {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                NotStatic::Op { op, path } => {
                    write!(f, "{path}: {op} does not say how it is written as Rust (Op::to_rust)")
                }
                NotStatic::Assigned { path } => {
                    write!(f, "{path} is frozen and would be read in flash, but is assigned to")
                }
            }
        }
    }

    impl core::error::Error for NotStatic {}

    /// Whether a resident is read in flash.
    fn in_flash(resident: &Resident) -> bool {
        !resident.spec.trainable && !resident.spec.buffer
    }

    /// Where a plan's slots are when its frozen parameters lie in flash: what is behind them moves up.
    struct Layout {
        real: usize,
        /// First byte, bytes with alignment, and the offset in the weights, of each frozen parameter.
        frozen: Vec<(usize, usize, usize)>,
        /// The offset in the weights of each resident.
        weights: Vec<usize>,
        weights_bytes: usize,
    }

    impl Layout {
        fn new<T: Element>(plan: &Plan<T>) -> Layout {
            let real = size_of::<T>();
            let (mut frozen, mut weights, mut at) = (Vec::new(), Vec::new(), 0);
            for resident in plan.residents.iter() {
                let bytes = resident.value.value.bytes(real);
                if in_flash(resident) {
                    frozen.push((resident.value.offset, bytes.next_multiple_of(plan.alignment), at));
                }
                weights.push(at);
                at += bytes;
            }
            Layout { real, frozen, weights, weights_bytes: HEAD + at }
        }

        fn offset(&self, offset: usize) -> usize {
            if let Some((_, _, weights)) = self.frozen.iter().find(|(start, ..)| *start == offset) {
                return Slot::FLASH + weights;
            }
            self.moved(offset)
        }

        /// Where what is not frozen goes.
        fn moved(&self, offset: usize) -> usize {
            let before = self.frozen.iter().filter(|(start, ..)| *start < offset);
            offset - before.map(|(_, bytes, _)| bytes).sum::<usize>()
        }

        /// A slot as a Rust expression.
        fn slot(&self, slot: &Slot) -> String {
            let Slot { offset, value: ValueType { shape, kind } } = slot;
            // What is empty lies nowhere, and might share its offset with what is not.
            let offset = if slot.value.bytes(self.real) == 0 { 0 } else { self.offset(*offset) };
            let kind = match kind {
                Kind::Real => "real",
                Kind::Index => "index",
                Kind::Byte => "byte",
            };
            let offset = match offset.checked_sub(Slot::FLASH) {
                Some(offset) => format!("Slot::FLASH + {offset}"),
                None => format!("{offset}"),
            };
            format!("Slot {{ offset: {offset}, value: ValueType::{kind}(Shape::of({shape})) }}")
        }
    }

    /// A number for the parameters of a plan, their shapes and where they lie: FNV-1a (Fowler, Noll, Vo, 1991).
    fn id<T: Element>(plan: &Plan<T>) -> u64 {
        let mut text = String::from(T::NAME);
        for Resident { spec, value, state, accumulator } in plan.residents.iter() {
            let sum = accumulator.map(|slot| slot.offset);
            // Writing to a String cannot fail.
            let _ = write!(text, " {} {} {} {}", spec.path, spec.shape, spec.trainable, spec.buffer);
            let _ = write!(text, " {} {} {} {sum:?}", value.offset, state.offset, state.value);
        }
        text.bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    /// Writes plans as a Rust file: for each a `static` of this name, to be bound with
    /// [`StaticSession::bind`](super::StaticSession::bind). Plans that share a session are those that the planner was
    /// told to keep in [the same memory](crate::Planner::same_memory_as).
    ///
    /// The file names everything through the crate `bantam`.
    ///
    /// # Errors
    /// An op of another crate does not say how it is written; a frozen parameter is assigned to.
    pub fn source<T: Element>(plans: &[(&str, &Plan<T>)]) -> Result<String, NotStatic> {
        let mut text = String::from(
            "// Written by bantam_autodiff::static_plan::source; change the network instead.\n\n\
             #[allow(unused_imports, reason = \"not every network needs all of them\")]\n\
             use bantam::{\n    \
                 autodiff::{Op, Slot, StaticParts, StaticPlan, StaticResident, StaticStep, ValueType, ops},\n    \
                 core::Shape,\n    \
                 kernels::{Activation, ConvShape, Reduce, functions},\n\
             };\n",
        );
        for (name, plan) in plans {
            write_plan(&mut text, name, plan)?;
        }
        Ok(text)
    }

    fn write_plan<T: Element>(text: &mut String, name: &str, plan: &Plan<T>) -> Result<(), NotStatic> {
        let layout = Layout::new(plan);
        let list = |slots: &mut dyn Iterator<Item = &Slot>| -> String {
            slots.map(|slot| layout.slot(slot)).collect::<Vec<_>>().join(", ")
        };
        let arena = plan.arena_bytes() - layout.frozen.iter().map(|(_, bytes, _)| bytes).sum::<usize>();
        let last = plan.residents.iter().map(Resident::end::<T>).max().unwrap_or(0);
        let state_bytes = layout.moved(last.next_multiple_of(plan.alignment));
        let real = T::NAME;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n/// {arena} bytes of arena, {} bytes of weights.\npub static {name}: StaticPlan<{real}> = \
             // SAFETY: the parts of a plan that has passed `verify`.\nunsafe {{ StaticPlan::trusted(StaticParts {{\n\
             id: {:#x}, arena_bytes: {arena}, state_bytes: {state_bytes}, alignment: {}, weights_bytes: {},\nsteps: &[\n",
            layout.weights_bytes,
            id(plan),
            plan.alignment,
            layout.weights_bytes,
        );
        for step in &plan.steps {
            match step {
                Step::Compute(instruction) => {
                    let (op, path) = plan.names(instruction);
                    let slots = &plan.slots[instruction.inputs.clone()];
                    let values: Vec<ValueType> = slots.iter().map(|slot| slot.value).collect();
                    let Some(call) = instruction.op.call_to_rust(&values) else {
                        return Err(NotStatic::Op { op: op.into(), path: path.into() });
                    };
                    let written = instruction.output.offset;
                    if let Some(frozen) =
                        plan.residents.iter().find(|r| in_flash(r) && r.value.offset == written)
                    {
                        return Err(NotStatic::Assigned { path: frozen.spec.path.clone() });
                    }
                    let inputs = list(&mut slots.iter());
                    if let Some(parameter) = instruction.updates {
                        let _ = writeln!(
                            text,
                            "    // {}\n    StaticStep::Parts {{ eval: |cx, io| {call},\n        \
                             inputs: &[{inputs}],\n        part: {}, parameter: {parameter} }},",
                            [op, path].join(" ").trim_end(),
                            layout.slot(&instruction.output),
                        );
                        continue;
                    }
                    let _ = writeln!(
                        text,
                        "    // {}\n    StaticStep::Compute {{ eval: |cx, io| {call},\n        \
                         inputs: &[{inputs}],\n        output: {}, scratch: &{}, accumulate: {} }},",
                        [op, path].join(" ").trim_end(),
                        layout.slot(&instruction.output),
                        layout.slot(&instruction.scratch),
                        instruction.accumulate,
                    );
                }
                Step::Update(update) => {
                    let (parameter, gradient) = (update.parameter, layout.slot(&update.gradient));
                    let _ = writeln!(
                        text,
                        "    StaticStep::Update {{ parameter: {parameter}, gradient: {gradient} }},"
                    );
                }
            }
        }
        text.push_str("],\nresidents: &[\n");
        for (resident, weights) in plan.residents.iter().zip(&layout.weights) {
            let trains = resident.spec.trainable && !resident.spec.buffer;
            let (value, state) = (layout.slot(&resident.value), layout.slot(&resident.state));
            let _ = writeln!(
                text,
                "    // {}\n    StaticResident {{ value: {value}, state: {state}, trains: {trains}, weights: {weights} }},",
                resident.spec.path
            );
        }
        let loss = plan.loss.as_ref().map_or(String::from("None"), |port| {
            format!("Some(({}, {}))", layout.slot(&port.slot), plan.loss_step)
        });
        let deferred: Vec<String> = plan
            .deferred
            .iter()
            .map(|update| format!("({}, {})", update.parameter, layout.slot(&update.gradient)))
            .collect();
        let _ = write!(
            text,
            "],\ninputs: &[{}],\noutputs: &[{}],\nloss: {loss},\ndeferred: &[{}],\nneeds_global_norm: {},\n}}) }};\n",
            list(&mut plan.inputs.iter().map(|port| &port.slot)),
            list(&mut plan.outputs.iter().map(|port| &port.slot)),
            deferred.join(", "),
            plan.needs_global_norm,
        );
        Ok(())
    }

    /// The values of all parameters and buffers of a session, to be put into flash and bound with a plan that was
    /// written by [`source`] of the session's plan: its id, then numbers in the order of declaration, all little-endian.
    pub fn weights<T: Element>(session: &Session<'_, T>) -> Vec<u8> {
        let mut bytes = Vec::from(id(session.plan()).to_le_bytes());
        for (_, values) in session.parameters() {
            for value in values {
                // Every f32 is exact in f64.
                match size_of::<T>() {
                    4 => bytes.extend((Real::to_f64(*value) as f32).to_le_bytes()),
                    _ => bytes.extend(Real::to_f64(*value).to_le_bytes()),
                }
            }
        }
        bytes
    }
}

#[cfg(feature = "std")]
pub use write::{NotStatic, source, weights};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ValueType;

    const NOTHING: Slot = Slot { offset: 0, value: ValueType::real(Shape::of([0])) };

    /// Of one frozen number that nothing reads.
    static FROZEN: StaticPlan<f32> =
        // SAFETY: there is no step, and the only slot lies in the weights.
        unsafe {
            StaticPlan::trusted(StaticParts {
                id: 1,
                arena_bytes: 0,
                state_bytes: 0,
                alignment: 8,
                weights_bytes: HEAD + 4,
                steps: &[],
                residents: &[StaticResident {
                    value: Slot { offset: Slot::FLASH, value: ValueType::real(Shape::of([1])) },
                    state: NOTHING,
                    trains: false,
                    weights: 0,
                }],
                inputs: &[],
                outputs: &[],
                loss: None,
                deferred: &[],
                needs_global_norm: false,
            })
        };

    #[test]
    fn frozen_parameters_have_to_lie_in_flash() {
        let mut memory = Aligned([]);
        let error = StaticSession::without_weights(&FROZEN, &mut memory.0).map(|_| ()).unwrap_err();
        assert_eq!(error, BindError::OtherWeights { plan: 1, weights: 0 });
        static WEIGHTS: Aligned<[u8; HEAD + 4]> = Aligned([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f]);
        let session = StaticSession::bind(&FROZEN, &mut memory.0, &WEIGHTS.0).unwrap();
        assert_eq!(session.parameter(0), [1.0]);
        assert_eq!([session.parameter_shape(0), session.parameter_shape(1)], [Shape::of([1]), Shape::SCALAR]);
    }
}
