//! Schedules that fall without knowing where the run ends.

use bantam_core::Schedule;

/// rate · factor^count, kept finite where a factor above 1 grows for too long.
fn decayed(rate: f32, factor: f32, count: f32) -> f32 {
    (rate * libm::powf(factor, count).min(f32::MAX)).min(f32::MAX)
}

/// Multiplies the rate by `factor` after every `every` steps: rate · factor^⌊t/every⌋.
///
/// * `rate`: the first value. 0.1 is usual for SGD, 0.001 for Adam.
/// * `factor`: what each drop leaves, between 0 and 1. 0.1 with few drops, 0.5 with many.
/// * `every`: the length of a stretch in steps; 0 counts as 1.
///
/// The recipe of the first residual networks, with drops where the error stopped falling (He, Zhang, Ren, Sun, 2015,
/// arXiv:1512.03385). Each drop gives the sudden fall of the loss that such pictures show. It is also the *staircase*
/// form of [`Exponential`].
///
/// ```
/// use bantam_schedule::{Schedule, Step};
/// let rate = Step::new(0.1, 0.5, 10);
/// assert_eq!([rate.at(9), rate.at(10), rate.at(29)], [0.1, 0.05, 0.025]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The first value.
    pub rate: f32,
    /// What each drop leaves.
    pub factor: f32,
    /// The length of a stretch in steps.
    pub every: u64,
}

impl Step {
    /// Starts at `rate` and multiplies it by `factor` after every `every` steps.
    pub const fn new(rate: f32, factor: f32, every: u64) -> Step {
        Step { rate, factor, every }
    }
}

impl Schedule for Step {
    fn at(&self, step: u64) -> f32 {
        decayed(self.rate, self.factor, (step / self.every.max(1)) as f32)
    }
}

/// Multiplies the rate by `factor` at each milestone: rate · factor^(number of milestones reached).
///
/// * `rate`: the first value.
/// * `factor`: what each drop leaves; 0.1 is usual.
/// * `milestones`: the steps at which a drop takes effect, in any order: an array, a slice or a `Vec`. Common are a
///   half and three quarters of the run.
///
/// ```
/// use bantam_schedule::{MultiStep, Schedule};
/// let rate = MultiStep::new(1.0, 0.5, [10, 25]);
/// assert_eq!([rate.at(9), rate.at(10), rate.at(25)], [1.0, 0.5, 0.25]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MultiStep<M> {
    /// The first value.
    pub rate: f32,
    /// What each drop leaves.
    pub factor: f32,
    /// The steps at which a drop takes effect.
    pub milestones: M,
}

impl<M: AsRef<[u64]>> MultiStep<M> {
    /// Starts at `rate` and multiplies it by `factor` at each of `milestones`.
    pub const fn new(rate: f32, factor: f32, milestones: M) -> MultiStep<M> {
        MultiStep { rate, factor, milestones }
    }
}

impl<M: AsRef<[u64]>> Schedule for MultiStep<M> {
    fn at(&self, step: u64) -> f32 {
        let reached = self.milestones.as_ref().iter().filter(|&&milestone| milestone <= step).count();
        decayed(self.rate, self.factor, reached as f32)
    }
}

/// One value until the first boundary, another from there on, and so forth.
///
/// * `first`: the value of step 0.
/// * `then`: pairs of (step, value from that step on), in ascending order: an array, a slice or a `Vec`.
///
/// ```
/// use bantam_schedule::{PiecewiseConstant, Schedule};
/// let rate = PiecewiseConstant::new(0.1, [(10, 0.01), (20, 0.001)]);
/// assert_eq!([rate.at(9), rate.at(10), rate.at(1_000)], [0.1, 0.01, 0.001]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PiecewiseConstant<P> {
    /// The value of step 0.
    pub first: f32,
    /// From which step on which value holds.
    pub then: P,
}

impl<P: AsRef<[(u64, f32)]>> PiecewiseConstant<P> {
    /// Holds `first`, then the values of `then`, each from its step on.
    pub const fn new(first: f32, then: P) -> PiecewiseConstant<P> {
        PiecewiseConstant { first, then }
    }
}

impl<P: AsRef<[(u64, f32)]>> Schedule for PiecewiseConstant<P> {
    fn at(&self, step: u64) -> f32 {
        let reached = self.then.as_ref().iter().rev().find(|(from, _)| *from <= step);
        reached.map_or(self.first, |&(_, value)| value)
    }
}

/// Falls by the same factor in every stretch of the same length: rate · factor^(t/every).
///
/// * `rate`: the first value.
/// * `factor`: what is left after `every` steps, between 0 and 1. `Exponential::new(0.1, 0.5).every(1000)` has a
///   half-life of 1000 steps.
/// * `every`: 1 step unless said otherwise; set it to the steps of an epoch for a factor per epoch. 0 counts as 1.
///   State a slow decay by a long stretch and not by a factor close to 1, whose digits `f32` does not have.
///
/// Falls fast at first and never reaches 0; choose it where the run has no known end. Its staircase is [`Step`].
///
/// ```
/// use bantam_schedule::{Exponential, Schedule};
/// let rate = Exponential::new(0.8, 0.25).every(100);
/// assert_eq!([rate.at(0), rate.at(50), rate.at(100)], [0.8, 0.4, 0.2]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponential {
    /// The first value.
    pub rate: f32,
    /// What is left after `every` steps.
    pub factor: f32,
    /// The length of the stretch that `factor` is stated for, in steps.
    pub every: u64,
}

impl Exponential {
    /// Starts at `rate` and multiplies it by `factor` in every step.
    pub const fn new(rate: f32, factor: f32) -> Exponential {
        Exponential { rate, factor, every: 1 }
    }

    /// Says that the factor is for `steps` steps instead of one.
    #[must_use]
    pub const fn every(mut self, steps: u64) -> Exponential {
        self.every = steps;
        self
    }
}

impl Schedule for Exponential {
    fn at(&self, step: u64) -> f32 {
        decayed(self.rate, self.factor, step as f32 / self.every.max(1) as f32)
    }
}
