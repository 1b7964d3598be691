//! Schedules made of schedules.

use bantam_core::Schedule;

/// A straight rise to the first value of another schedule, which then begins.
///
/// * `steps`: the length w of the rise. Step w is the other schedule's step 0.
/// * `start_factor`: the rise begins at this part of the other's first value, in [0, 1]; 0.1 by default.
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
    pub start_factor: f32,
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
    pub fn start_factor(mut self, factor: f32) -> WarmUp<S> {
        self.start_factor = factor;
        self
    }
}

impl<S: Schedule> Schedule for WarmUp<S> {
    fn at(&self, step: u64) -> f32 {
        match self.steps.checked_sub(step) {
            None | Some(0) => self.then.at(step - self.steps),
            Some(left) => {
                let (done, left) = (step as f32 / self.steps as f32, left as f32 / self.steps as f32);
                self.then.at(0) * (self.start_factor * left + done)
            }
        }
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        self.then.set_run_length(steps.saturating_sub(self.steps), steps_per_epoch);
    }
}

/// Asks another schedule once per epoch: its step is the number of the epoch.
///
/// * `schedule`: any schedule, stated in epochs.
/// * `steps_per_epoch`: how many steps make an epoch; 0 counts as 1. The trainer knows it, so
///   [`steps_per_epoch`](Self::steps_per_epoch) is only called by hand without one. Until it is known the value is
///   that of epoch 0.
///
/// ```
/// use bantam_schedule::{PerEpoch, Schedule, Step};
/// let rate = PerEpoch::new(Step::new(0.1, 0.1, 30)).steps_per_epoch(500);
/// assert_eq!(rate.at(14_999), 0.1);
/// assert_eq!(rate.at(15_000), 0.010000001); // 0.1 · 0.1 in f32
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
        self.schedule.at(self.steps_per_epoch.map_or(0, |steps| step / steps.max(1)))
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        let per_epoch = *self.steps_per_epoch.get_or_insert(steps_per_epoch);
        self.schedule.set_run_length(steps.div_ceil(per_epoch.max(1)), 1);
    }
}
