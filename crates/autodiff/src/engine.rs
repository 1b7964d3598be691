//! The loop that walks a plan: the same for a plan in memory ([`Plan`](crate::Plan)) and one in flash
//! ([`StaticPlan`](crate::StaticPlan)).

#[cfg(target_has_atomic = "ptr")]
use crate::ValueType;
use crate::{Element, Inputs, Io, Kind, Output, Slot, StepContext};
#[cfg(target_has_atomic = "ptr")]
use bantam_core::Inline;
use bantam_core::{Context, Optimizer, Shape, UpdateContext};
#[cfg(target_has_atomic = "ptr")]
use bantam_kernels::parallel::{GRAIN, for_each_task};
#[cfg(target_has_atomic = "ptr")]
use bantam_kernels::simd::BASELINE_IS_PLAIN;
#[cfg(target_has_atomic = "ptr")]
use core::ops::Range;

/// Can be lent to tasks; where there are no threads, anything can.
#[cfg(target_has_atomic = "ptr")]
pub(crate) use Sync as Lent;
#[cfg(not(target_has_atomic = "ptr"))]
pub(crate) trait Lent {}
#[cfg(not(target_has_atomic = "ptr"))]
impl<P> Lent for P {}

/// One step of a plan.
pub(crate) enum Action<'p> {
    /// An op is evaluated.
    Compute { inputs: &'p [Slot], output: &'p Slot, scratch: &'p Slot, accumulate: bool },
    /// The optimizer is applied.
    Update { parameter: usize, gradient: &'p Slot },
    /// A gradient is computed and applied part by part: an op is evaluated into `part`, the optimizer is applied to as many
    /// elements of the parameter, and so on.
    Parts { inputs: &'p [Slot], part: &'p Slot, parameter: usize },
}

/// Where a parameter or buffer and what belongs to it lie.
pub(crate) struct Home<'p> {
    pub value: &'p Slot,
    pub state: &'p Slot,
    /// Whether it is updated.
    pub trains: bool,
}

/// A plan as the loop sees it.
///
/// Whoever implements it vouches for what [`Plan::verify`](crate::Plan::verify) checks: all slots lie in the arena (or,
/// for inputs of ops only, in read-only memory, see [`Slot::FLASH`]), aligned, and no step writes over what it reads.
pub(crate) trait Program<T: Element>: Lent {
    /// The number of steps.
    fn steps(&self) -> usize;
    /// Step number `at`, which exists.
    fn action(&self, at: usize) -> Action<'_>;
    /// How many steps from number `at` on are ops on each element alone that pass over their values together, and how many
    /// elements are a piece.
    #[cfg(target_has_atomic = "ptr")]
    fn together(&self, at: usize) -> Together {
        let _ = at;
        Together { steps: 1, piece: 0 }
    }
    /// Evaluates the op of step number `at`, if it has one.
    fn eval(&self, at: usize, cx: &StepContext<'_>, io: Io<'_, T>);
    /// Parameter or buffer number `index`.
    fn home(&self, index: usize) -> Option<Home<'_>>;
    /// Update number `at` of those that wait for the end of an accumulation: parameter and running sum.
    fn deferred(&self, at: usize) -> Option<(usize, Slot)>;
    /// Where the loss lies, and the step that computes it.
    fn loss(&self) -> Option<(Slot, usize)>;
    /// Whether the optimizer asks for the norm of all gradients.
    fn needs_global_norm(&self) -> bool;
}

/// Steps that are computed piece by piece.
#[cfg(target_has_atomic = "ptr")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Together {
    /// How many: 1 if the step is computed alone.
    pub steps: usize,
    /// Elements of a piece.
    pub piece: usize,
}

/// The loss is infinite or not a number.
pub(crate) struct NotFinite;

/// The optimizer keeps another state for a parameter than the plan has room for.
pub(crate) struct OtherState {
    pub parameter: usize,
    pub planned: usize,
    pub needed: usize,
}

/// Whether the plan has the state that the optimizer needs, for every parameter that trains.
pub(crate) fn check_optimizer<T: Element>(
    program: &impl Program<T>,
    optimizer: &(impl Optimizer<T> + ?Sized),
) -> Result<(), OtherState> {
    let mut parameter = 0;
    while let Some(home) = program.home(parameter) {
        let (planned, needed) =
            (home.state.value.len(), optimizer.state_len_for(parameter, home.value.value.shape));
        if home.trains && planned != needed {
            return Err(OtherState { parameter, planned, needed });
        }
        parameter += 1;
    }
    if !optimizer.updates_parts() {
        // It needs room for whole gradients, and some are never whole.
        let parts = |at| match program.action(at) {
            Action::Parts { parameter, .. } => Some(parameter),
            _ => None,
        };
        if let Some(parameter) = (0..program.steps()).find_map(parts) {
            let needed = program.home(parameter).map_or(0, |home| home.value.value.len());
            return Err(OtherState { parameter, planned: 0, needed });
        }
    }
    Ok(())
}

/// The most rows of a part: products of so few need no scratch memory.
const MOST_ROWS: usize = 4;

/// The memory of a session and where it is in its run.
#[derive(Clone, Copy)]
pub(crate) struct Engine<'a> {
    /// The arena.
    pub base: *mut u8,
    /// Where slots from [`Slot::FLASH`] on are.
    pub flash: *const u8,
    pub context: Context<'a>,
    pub seed: u64,
    pub step: u64,
    pub updates: u64,
}

// Every function below has the same obligations:
// 1. `base` is the start of an arena as large and as aligned as the program needs, alive and initialised.
// 2. `flash` is the start of the read-only memory that the program was made for, or the program uses none.
// 3. Nobody else touches the arena during the call.
impl Engine<'_> {
    /// Computes everything, and updates the parameters if there is an optimizer. Nothing is updated if the loss is not
    /// finite. Returns the norm of all gradients if the optimizer asked for it.
    ///
    /// # Safety
    /// 1., 2. and 3.
    pub unsafe fn walk<T: Element, O: Optimizer<T> + ?Sized>(
        &self,
        program: &impl Program<T>,
        loss_scale: f64,
        optimizer: Option<&O>,
    ) -> Result<Option<f64>, NotFinite> {
        let mut norm = None;
        let mut next = 0;
        while next < program.steps() {
            let at = next;
            next += 1;
            match program.action(at) {
                Action::Compute { .. } => {
                    // SAFETY: 1., 2. and 3.
                    next = unsafe { self.compute_from(program, at, loss_scale) };
                    if let Some((loss, made_by)) = program.loss()
                        && made_by == at
                        // SAFETY: 1. and 3.
                        && !unsafe { self.slice::<T>(&loss) }.iter().all(|loss| loss.is_finite())
                    {
                        return Err(NotFinite);
                    }
                }
                Action::Update { parameter, gradient } => {
                    let Some(optimizer) = optimizer else { continue };
                    // The optimizer is asked first: of one that never needs it, a compiler drops the norm and its root.
                    if optimizer.needs_global_norm() && program.needs_global_norm() && norm.is_none() {
                        let gradients = (0..program.steps()).filter_map(|at| match program.action(at) {
                            Action::Update { gradient, .. } => Some(gradient),
                            Action::Compute { .. } | Action::Parts { .. } => None,
                        });
                        // SAFETY: 1. and 3.
                        norm = Some(root(gradients.map(|g| unsafe { self.sum_of_squares::<T>(g) }).sum()));
                    }
                    // SAFETY: 1., 2. and 3.
                    unsafe { self.update(program, optimizer, parameter, gradient, norm) };
                }
                Action::Parts { parameter, .. } => {
                    // Of an optimizer that updates no parts, a compiler drops what makes them.
                    let Some(optimizer) = optimizer.filter(|optimizer| optimizer.updates_parts()) else {
                        continue;
                    };
                    // SAFETY: 1., 2. and 3.
                    unsafe { self.update_by_parts(program, optimizer, at, parameter, loss_scale) };
                }
            }
        }
        Ok(norm)
    }

    /// # Safety
    /// 1., 2. and 3.
    unsafe fn update_by_parts<T: Element>(
        &self,
        program: &impl Program<T>,
        optimizer: &(impl Optimizer<T> + ?Sized),
        at: usize,
        index: usize,
        loss_scale: f64,
    ) {
        let Action::Parts { inputs, part, .. } = program.action(at) else { return };
        let Some(home) = program.home(index) else { return };
        let cx = StepContext { kernels: self.context, seed: self.seed, step: self.step, loss_scale };
        let (context, shape) = (self.context, home.value.value.shape);
        let update = UpdateContext { context, step: self.updates, index, shape, global_norm: None };
        let row = shape.last().max(1);
        // SAFETY: 1. and 3.; the program vouches that the parameter, the part and all inputs are disjoint.
        let (parameter, buffer) = unsafe { (self.slice_mut::<T>(home.value), self.slice_mut::<T>(part)) };
        // Up to four whole rows, or a part of one.
        let rows = (buffer.len() / row).clamp(1, MOST_ROWS) * row;
        let step = buffer.len().clamp(1, rows);
        for (start, values) in (0..).step_by(rows).zip(parameter.chunks_mut(rows)) {
            for (place, values) in (0..).step_by(step).zip(values.chunks_mut(step)) {
                let first = Some(start + place);
                // SAFETY: 2., and the program vouches that the part is disjoint from every input.
                let inputs = unsafe { Inputs::new(self.base, self.flash, inputs, part.offset) };
                let gradient = &mut buffer[..values.len()];
                let (output, value, scratch) = (Output::Real(&mut *gradient), part.value, &mut [][..]);
                program.eval(at, &cx, Io { inputs, output, value, scratch, accumulate: false, first });
                optimizer.update(&update, values, gradient, &mut []);
            }
        }
    }

    /// Updates every parameter from its running sum of gradients and sets the sums to zero. Returns the norm of the sums if
    /// the optimizer asked for it.
    ///
    /// # Safety
    /// 1., 2. and 3.
    pub unsafe fn apply<T: Element>(
        &self,
        program: &impl Program<T>,
        optimizer: &(impl Optimizer<T> + ?Sized),
    ) -> Option<f64> {
        let all = || (0..).map_while(|at| program.deferred(at));
        // SAFETY: 1. and 3.
        let squares = |(_, sum): (usize, Slot)| unsafe { self.sum_of_squares::<T>(&sum) };
        let needed = optimizer.needs_global_norm() && program.needs_global_norm();
        let norm = needed.then(|| root(all().map(squares).sum()));
        for (parameter, sum) in all() {
            // SAFETY: 1., 2. and 3.
            unsafe {
                self.update(program, optimizer, parameter, &sum, norm);
                self.slice_mut::<T>(&sum).fill(T::zero());
            }
        }
        norm
    }

    /// # Safety
    /// 1., 2. and 3.
    unsafe fn update<T: Element>(
        &self,
        program: &impl Program<T>,
        optimizer: &(impl Optimizer<T> + ?Sized),
        parameter: usize,
        gradient: &Slot,
        global_norm: Option<f64>,
    ) {
        let Some(home) = program.home(parameter) else { return };
        let (context, step, shape) = (self.context, self.updates, home.value.value.shape);
        let cx = UpdateContext { context, step, index: parameter, shape, global_norm };
        // SAFETY: 1. and 3.; the program vouches that parameter, gradient and state are disjoint.
        let (value, gradient, state) =
            unsafe { (self.slice_mut(home.value), self.slice_mut(gradient), self.slice_mut(home.state)) };
        optimizer.update(&cx, value, gradient, state);
    }

    /// Evaluates the op of step number `at` and of those that are computed with it. Returns the number of the next step.
    ///
    /// # Safety
    /// 1., 2. and 3.
    #[inline]
    pub unsafe fn compute_from<T: Element>(
        &self,
        program: &impl Program<T>,
        at: usize,
        loss_scale: f64,
    ) -> usize {
        #[cfg(target_has_atomic = "ptr")]
        if !BASELINE_IS_PLAIN {
            let Together { steps, piece } = program.together(at);
            if steps > 1 {
                // SAFETY: 1., 2. and 3.
                unsafe { self.compute_together(program, at..at + steps, piece, loss_scale) };
                return at + steps;
            }
        }
        // SAFETY: 1., 2. and 3.
        unsafe { self.compute(program, at, loss_scale) };
        at + 1
    }

    /// Evaluates ops on each element alone, piece by piece: what one makes, the next finds in the cache.
    ///
    /// # Safety
    /// 1., 2. and 3.
    #[cfg(target_has_atomic = "ptr")]
    unsafe fn compute_together<T: Element>(
        &self,
        program: &impl Program<T>,
        steps: Range<usize>,
        piece: usize,
        loss_scale: f64,
    ) {
        let Action::Compute { output, .. } = program.action(steps.start) else { return };
        let (len, piece) = (output.value.len(), piece.max(1));
        // One task for as much as other kernels have tasks for.
        let per_task = (GRAIN / piece).max(1) * piece;
        let Engine { base, flash, context, seed, step, .. } = *self;
        let (base, flash) = (Shared(base), Shared(flash.cast_mut()));
        for_each_task(&context, len.div_ceil(per_task), |task| {
            let kernels = Context { executor: &Inline, ..context };
            let cx = StepContext { kernels, seed, step, loss_scale };
            let (base, flash) = (base.pointer(), flash.pointer().cast_const());
            let end = len.min((task + 1) * per_task);
            for start in (task * per_task..end).step_by(piece) {
                let count = piece.min(end - start);
                for at in steps.clone() {
                    let Action::Compute { inputs, output, .. } = program.action(at) else { continue };
                    let part = |slot: &Slot| match slot.value.len() == len {
                        true => Slot {
                            offset: slot.offset + start * size_of::<T>(),
                            value: ValueType::real(Shape::of([count])),
                        },
                        false => *slot,
                    };
                    let mut parts = [part(output); MOST_INPUTS];
                    for (part_of, slot) in parts.iter_mut().zip(inputs) {
                        *part_of = part(slot);
                    }
                    let output = part(output);
                    // SAFETY: 1., 2. and 3.; the program vouches that each value of these steps lies where another does
                    // or apart from it. So this piece of the output is disjoint from what else is read and written,
                    // but for inputs in its own place, which `Inputs` hides; tasks have different pieces.
                    let io = unsafe {
                        let start = base.add(output.offset).cast::<T>();
                        let target = Output::Real(core::slice::from_raw_parts_mut(start, count));
                        let inputs = Inputs::new(base, flash, &parts[..inputs.len()], output.offset);
                        let (value, scratch) = (output.value, &mut [][..]);
                        Io { inputs, output: target, value, scratch, accumulate: false, first: None }
                    };
                    program.eval(at, &cx, io);
                }
            }
        });
    }

    /// Evaluates the op of step number `at`.
    ///
    /// # Safety
    /// 1., 2. and 3.
    pub unsafe fn compute<T: Element>(&self, program: &impl Program<T>, at: usize, loss_scale: f64) {
        let Action::Compute { inputs, output, scratch, accumulate } = program.action(at) else { return };
        let cx = StepContext { kernels: self.context, seed: self.seed, step: self.step, loss_scale };
        // SAFETY: 1., 2. and 3.; the program vouches that output and scratch are disjoint from each other and from every
        // input, except for an input at the output's own offset, which `Inputs` hides; the kind says which elements
        // lie in the output.
        let io = unsafe {
            let target = match output.value.kind {
                Kind::Real => Output::Real(self.slice_mut(output)),
                Kind::Index => Output::Index(self.slice_mut(output)),
                Kind::Byte => Output::Byte(self.slice_mut(output)),
            };
            let scratch = self.slice_mut(scratch);
            let inputs = Inputs::new(self.base, self.flash, inputs, output.offset);
            Io { inputs, output: target, value: output.value, scratch, accumulate, first: None }
        };
        program.eval(at, &cx, io);
    }

    /// In double precision and in order, so that the norm does not depend on threads or levels.
    ///
    /// # Safety
    /// 1. and 3., and `slot` is one of the program.
    unsafe fn sum_of_squares<T: Element>(&self, slot: &Slot) -> f64 {
        // SAFETY: the caller's.
        unsafe { self.slice::<T>(slot) }.iter().map(|&x| x.to_f64() * x.to_f64()).sum()
    }

    /// What lies in a slot.
    ///
    /// # Safety
    /// 1. and 2., `slot` is one of the program, of elements `E`, and nobody writes there during `'s`.
    pub unsafe fn slice<'s, E>(&self, slot: &Slot) -> &'s [E] {
        let len = slot.value.len();
        let start = match slot.offset.checked_sub(Slot::FLASH) {
            None => self.base.wrapping_add(slot.offset).cast_const(),
            Some(offset) => self.flash.wrapping_add(offset),
        };
        // SAFETY: the program vouches that the slot lies inside, aligned; every bit pattern is a number.
        unsafe { core::slice::from_raw_parts(start.cast(), len) }
    }

    /// What lies in a slot of the arena, to change.
    ///
    /// # Safety
    /// 1., `slot` is one of the program in its arena, of elements `E`, and nobody else reads or writes there during
    /// `'s`.
    #[allow(
        clippy::mut_from_ref,
        reason = "the arena is not the engine's: exclusiveness is the caller's obligation"
    )]
    pub unsafe fn slice_mut<'s, E>(&self, slot: &Slot) -> &'s mut [E] {
        // SAFETY: the program vouches that the slot lies inside, aligned; every bit pattern is a number.
        unsafe { core::slice::from_raw_parts_mut(self.base.add(slot.offset).cast(), slot.value.len()) }
    }
}

/// The most inputs of an op that is computed piece by piece.
#[cfg(any(feature = "alloc", target_has_atomic = "ptr"))]
pub(crate) const MOST_INPUTS: usize = 4;

/// An address that tasks share.
#[cfg(target_has_atomic = "ptr")]
#[derive(Clone, Copy)]
struct Shared(*mut u8);

// SAFETY: it is only an address; whoever reads or writes there answers for it.
#[cfg(target_has_atomic = "ptr")]
unsafe impl Sync for Shared {}

#[cfg(target_has_atomic = "ptr")]
impl Shared {
    /// A method, so that closures capture what is shared and not the address alone.
    fn pointer(&self) -> *mut u8 {
        self.0
    }
}

fn root(x: f64) -> f64 {
    num_traits::Float::sqrt(x)
}
