//! Schedules made of schedules.

use crate::number::{check_not_negative, check_steps, check_unit, narrow, share};
use bantam_core::{InvalidSetting, Schedule};

/// A straight rise to the first value of another schedule, which then begins.
///
/// * `steps` w: the length of the rise. Step w is the other schedule's step 0.
/// * `start_factor` s: the rise begins at this part of the other's first value, in [0, 1]; 0.1 by default. So the
///   value is first · (s + (1 − s)·t/w).
/// * `then`: any schedule.
///
/// The gradients of a fresh network are large and point anywhere, and Adam's averages know nothing yet: a few hundred
/// small steps keep the first from doing lasting harm. Needed for large batches (Goyal and others, 2017,
/// arXiv:1706.02677) and for transformers; harmless elsewhere. A few percent of the run are enough.
///
/// ```
/// use bantam_schedule::{Schedule, WarmUp};
/// let rate = WarmUp::new(10, 0.5).start_factor(0.0);
/// assert_eq!([rate.at(0), rate.at(5), rate.at(10), rate.at(99)], [0.0, 0.25, 0.5, 0.5]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp<S> {
    /// The length of the rise.
    pub steps: u64,
    /// The part of the other schedule's first value that the rise begins at.
    pub start_factor: f64,
    /// What follows the rise.
    pub then: S,
}

impl<S: Schedule> WarmUp<S> {
    /// Rises for `steps` steps, then follows `then`.
    pub const fn new(steps: u64, then: S) -> WarmUp<S> {
        WarmUp { steps, start_factor: 0.1, then }
    }

    /// Begins at this part of the other schedule's first value; 1 is no rise at all.
    #[must_use]
    pub fn start_factor(mut self, factor: f64) -> WarmUp<S> {
        self.start_factor = factor;
        self
    }
}

impl<S: Schedule> Schedule for WarmUp<S> {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        match self.steps.checked_sub(step) {
            None | Some(0) => self.then.at_f64(step - self.steps),
            Some(left) => {
                let (done, left) = (share(step, self.steps), share(left, self.steps));
                self.then.at_f64(0) * (self.start_factor * left + done)
            }
        }
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        self.then.set_run_length(steps.saturating_sub(self.steps), steps_per_epoch);
    }

    fn observe(&mut self, loss: f64) {
        self.then.observe(loss);
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_unit("start_factor", self.start_factor)?;
        self.then.validate()
    }
}

/// One schedule for so many steps, then another, which begins at its own step 0.
///
/// * `first`, `steps`, `then`: what comes first, for how many steps, and what follows. `then` may be a sequence again.
///
/// ```
/// use bantam_schedule::{Cosine, Linear, Schedule, Sequence};
/// let rate = Sequence::new(Linear::new(0.0, 0.5).steps(10), 10, Cosine::new(0.5).steps(100));
/// assert_eq!([rate.at(5), rate.at(10), rate.at(60), rate.at(110)], [0.25, 0.5, 0.25, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sequence<A, B> {
    /// What comes first.
    pub first: A,
    /// For how many steps.
    pub steps: u64,
    /// What follows.
    pub then: B,
}

impl<A: Schedule, B: Schedule> Sequence<A, B> {
    /// `first` for `steps` steps, then `then`.
    pub const fn new(first: A, steps: u64, then: B) -> Sequence<A, B> {
        Sequence { first, steps, then }
    }
}

impl<A: Schedule, B: Schedule> Schedule for Sequence<A, B> {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        match step.checked_sub(self.steps) {
            None => self.first.at_f64(step),
            Some(later) => self.then.at_f64(later),
        }
    }

    /// What comes first spans its part, what follows spans the rest of the run.
    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        self.first.set_run_length(self.steps.min(steps), steps_per_epoch);
        self.then.set_run_length(steps.saturating_sub(self.steps), steps_per_epoch);
    }

    fn observe(&mut self, loss: f64) {
        self.first.observe(loss);
        self.then.observe(loss);
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_steps("steps", self.steps)?;
        self.first.validate()?;
        self.then.validate()
    }
}

/// The product of two schedules, step by step.
///
/// One of them is usually a rate and the other a course between 0 and 1: restarts whose tops fall, a rate for each
/// layer.
///
/// ```
/// use bantam_schedule::{CosineRestarts, Product, Schedule, Step};
/// let rate = Product(CosineRestarts::new(0.5, 100), Step::new(1.0, 0.5, 100)); // each top half of the one before
/// assert_eq!([rate.at(0), rate.at(100), rate.at(200)], [0.5, 0.25, 0.125]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Product<A, B>(
    /// One factor.
    pub A,
    /// The other.
    pub B,
);

impl<A: Schedule, B: Schedule> Schedule for Product<A, B> {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        self.0.at_f64(step) * self.1.at_f64(step)
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        self.0.set_run_length(steps, steps_per_epoch);
        self.1.set_run_length(steps, steps_per_epoch);
    }

    fn observe(&mut self, loss: f64) {
        self.0.observe(loss);
        self.1.observe(loss);
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        self.0.validate()?;
        self.1.validate()
    }
}

/// A schedule times a number: the same course at another height, such as a tenth of the rate for the first layers.
///
/// ```
/// use bantam_schedule::{Cosine, Scaled, Schedule};
/// let rate = Cosine::new(0.5).steps(100);
/// assert_eq!(Scaled::new(0.1, rate).at_f64(50), 0.1 * rate.at_f64(50));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaled<S> {
    /// The number.
    pub factor: f64,
    /// What is scaled.
    pub schedule: S,
}

impl<S: Schedule> Scaled<S> {
    /// `factor` times `schedule`.
    pub const fn new(factor: f64, schedule: S) -> Scaled<S> {
        Scaled { factor, schedule }
    }
}

impl<S: Schedule> Schedule for Scaled<S> {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        self.factor * self.schedule.at_f64(step)
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        self.schedule.set_run_length(steps, steps_per_epoch);
    }

    fn observe(&mut self, loss: f64) {
        self.schedule.observe(loss);
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("factor", self.factor)?;
        self.schedule.validate()
    }
}

/// Asks another schedule once per epoch: its step is the number of the epoch.
///
/// * `schedule`: any schedule, stated in epochs.
/// * `steps_per_epoch`: how many steps make an epoch; 0 counts as 1. The trainer knows it, so
///   [`steps_per_epoch`](Self::steps_per_epoch) is only called by hand without one. Until it is known the value is
///   that of epoch 0.
///
/// For recipes that are stated in epochs, and for comparing with libraries that change the rate once per epoch.
///
/// ```
/// use bantam_schedule::{PerEpoch, Schedule, Step};
/// let rate = PerEpoch::new(Step::new(0.1, 0.1, 30)).steps_per_epoch(500);
/// assert_eq!(rate.at(14_999), 0.1);
/// assert_eq!(rate.at(15_000), 0.01);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerEpoch<S> {
    /// What is asked, with the number of the epoch.
    pub schedule: S,
    /// How many steps make an epoch; `None` is not known yet.
    pub steps_per_epoch: Option<u64>,
}

impl<S: Schedule> PerEpoch<S> {
    /// Asks `schedule` once per epoch.
    pub const fn new(schedule: S) -> PerEpoch<S> {
        PerEpoch { schedule, steps_per_epoch: None }
    }

    /// Says how many steps make an epoch.
    #[must_use]
    pub fn steps_per_epoch(mut self, steps: u64) -> PerEpoch<S> {
        self.steps_per_epoch = Some(steps);
        self
    }
}

impl<S: Schedule> Schedule for PerEpoch<S> {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        self.schedule.at_f64(self.steps_per_epoch.map_or(0, |steps| step / steps.max(1)))
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        let per_epoch = *self.steps_per_epoch.get_or_insert(steps_per_epoch);
        self.schedule.set_run_length(steps.div_ceil(per_epoch.max(1)), 1);
    }

    fn observe(&mut self, loss: f64) {
        self.schedule.observe(loss);
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        self.schedule.validate()
    }
}
