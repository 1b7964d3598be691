//! Schedules that fall without knowing where the run ends.

use crate::number::{check_ascending, check_not_negative, check_steps, check_unit, narrow, power, share};
use bantam_core::{InvalidSetting, Schedule};

/// rate · factor^count, kept finite where a factor above 1 grows for too long.
fn decayed(rate: f64, factor: f64, count: f64) -> f64 {
    (rate * power(factor, count).min(f64::MAX)).min(f64::MAX)
}

/// The same value at every step: η.
///
/// * `rate` η: 0.1 is usual for SGD on small networks, 0.01 for SGD with momentum, 0.001 for Adam.
///
/// For a first attempt, and with optimizers that adapt every step by themselves. A plain `f32` does the same; this one
/// has the digits of `f64`, for parameters in `f64`.
///
/// ```
/// use bantam_schedule::{Constant, Schedule};
/// assert_eq!(Constant::new(0.1).at_f64(1_000_000), 0.1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constant {
    /// The value.
    pub rate: f64,
}

impl Constant {
    /// Always `rate`.
    pub const fn new(rate: f64) -> Constant {
        Constant { rate }
    }
}

impl Schedule for Constant {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, _step: u64) -> f64 {
        self.rate
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("rate", self.rate)
    }
}

/// Falls with the inverse of time: η₀ / (1 + k·t).
///
/// * `rate` η₀: the first value.
/// * `decay` k: the value has halved at t = 1/k. Choose 1/k as a tenth of the run or so.
///
/// The rate whose sum is infinite while the sum of its squares is finite, which is what proofs of convergence for
/// stochastic descent ask for (Robbins and Monro, 1951). Falls fast at first and then ever more slowly; choose it where
/// data never end. Keras' `InverseTimeDecay(η₀, s, d)` has k = d/s.
///
/// ```
/// use bantam_schedule::{Schedule, TimeBased};
/// let rate = TimeBased::new(0.5, 0.01);
/// assert_eq!([rate.at(0), rate.at(100), rate.at(300)], [0.5, 0.25, 0.125]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeBased {
    /// The first value.
    pub rate: f64,
    /// How fast it falls, per step.
    pub decay: f64,
}

impl TimeBased {
    /// Starts at `rate` and halves it in the first 1/`decay` steps.
    pub const fn new(rate: f64, decay: f64) -> TimeBased {
        TimeBased { rate, decay }
    }
}

impl Schedule for TimeBased {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        self.rate / (1.0 + self.decay.max(0.0) * step as f64)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("rate", self.rate)?;
        check_not_negative("decay", self.decay)
    }
}

/// Falls with a power of time: η₀ / (1 + t/s)^c.
///
/// * `rate` η₀: the first value.
/// * `every` s: after s steps the value is η₀/2^c, after 3·s steps η₀/4^c; 0 counts as 1.
/// * `exponent` c: 1 is [`TimeBased`]; 0.5 falls more slowly and is the usual choice together with averaged weights.
///   Below 0 it counts as 0.
///
/// Between ½ (excluded) and 1 the conditions of Robbins and Monro hold; the exponent ¾ is that of averaged stochastic
/// gradient descent (Polyak and Juditsky, 1992; Bottou, 2010).
///
/// ```
/// use bantam_schedule::{Power, Schedule};
/// let rate = Power::new(0.5, 100, 0.5);
/// assert_eq!([rate.at(0), rate.at(300), rate.at(1_500)], [0.5, 0.25, 0.125]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    /// The first value.
    pub rate: f64,
    /// The unit of time, in steps.
    pub every: u64,
    /// The exponent.
    pub exponent: f64,
}

impl Power {
    /// Starts at `rate`; time is measured in units of `every` steps.
    pub const fn new(rate: f64, every: u64, exponent: f64) -> Power {
        Power { rate, every, exponent }
    }
}

impl Schedule for Power {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        self.rate / power(1.0 + share(step, self.every.max(1)), self.exponent.max(0.0))
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("rate", self.rate)?;
        check_steps("every", self.every)?;
        check_not_negative("exponent", self.exponent)
    }
}

/// Multiplies the rate by `factor` after every `every` steps: η₀ · γ^⌊t/k⌋.
///
/// * `rate` η₀: the first value. 0.1 is usual for SGD, 0.001 for Adam.
/// * `factor` γ: what each drop leaves, between 0 and 1. 0.1 with few drops, 0.5 with many.
/// * `every` k: the length of a stretch in steps; 0 counts as 1.
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
    pub rate: f64,
    /// What each drop leaves.
    pub factor: f64,
    /// The length of a stretch in steps.
    pub every: u64,
}

impl Step {
    /// Starts at `rate` and multiplies it by `factor` after every `every` steps.
    pub const fn new(rate: f64, factor: f64, every: u64) -> Step {
        Step { rate, factor, every }
    }
}

impl Schedule for Step {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        decayed(self.rate, self.factor, (step / self.every.max(1)) as f64)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("rate", self.rate)?;
        check_unit("factor", self.factor)?;
        check_steps("every", self.every)
    }
}

/// Multiplies the rate by `factor` at each milestone: η₀ · γ^(number of milestones reached).
///
/// * `rate` η₀: the first value.
/// * `factor` γ: what each drop leaves; 0.1 is usual.
/// * `milestones`: the steps at which a drop takes effect, in any order: an array, a slice or a `Vec`. Common are a
///   half and three quarters of the run.
///
/// [`Step`] with uneven stretches: for recipes such as "divide by 10 after 50 % and after 75 % of the epochs" (Huang
/// and others, 2016, arXiv:1608.06993).
///
/// ```
/// use bantam_schedule::{MultiStep, Schedule};
/// let rate = MultiStep::new(1.0, 0.5, [10, 25]);
/// assert_eq!([rate.at(9), rate.at(10), rate.at(25)], [1.0, 0.5, 0.25]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MultiStep<M> {
    /// The first value.
    pub rate: f64,
    /// What each drop leaves.
    pub factor: f64,
    /// The steps at which a drop takes effect.
    pub milestones: M,
}

impl<M: AsRef<[u64]>> MultiStep<M> {
    /// Starts at `rate` and multiplies it by `factor` at each of `milestones`.
    pub const fn new(rate: f64, factor: f64, milestones: M) -> MultiStep<M> {
        MultiStep { rate, factor, milestones }
    }
}

impl<M: AsRef<[u64]>> Schedule for MultiStep<M> {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        let reached = self.milestones.as_ref().iter().filter(|&&milestone| milestone <= step).count();
        decayed(self.rate, self.factor, reached as f64)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("rate", self.rate)?;
        check_unit("factor", self.factor)
    }
}

/// One value until the first boundary, another from there on, and so forth.
///
/// * `first`: the value of step 0.
/// * `then`: pairs of (step, value from that step on), in ascending order: an array, a slice or a `Vec`.
///
/// For rates that you know, and for repeating a recipe exactly.
///
/// ```
/// use bantam_schedule::{PiecewiseConstant, Schedule};
/// let rate = PiecewiseConstant::new(0.1, [(10, 0.01), (20, 0.001)]);
/// assert_eq!([rate.at(9), rate.at(10), rate.at(1_000)], [0.1, 0.01, 0.001]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PiecewiseConstant<P> {
    /// The value of step 0.
    pub first: f64,
    /// From which step on which value holds.
    pub then: P,
}

impl<P: AsRef<[(u64, f64)]>> PiecewiseConstant<P> {
    /// Holds `first`, then the values of `then`, each from its step on.
    pub const fn new(first: f64, then: P) -> PiecewiseConstant<P> {
        PiecewiseConstant { first, then }
    }
}

impl<P: AsRef<[(u64, f64)]>> Schedule for PiecewiseConstant<P> {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        let reached = self.then.as_ref().iter().rev().find(|(from, _)| *from <= step);
        reached.map_or(self.first, |&(_, value)| value)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("rate", self.first)?;
        let then = self.then.as_ref();
        then.iter().try_for_each(|(_, value)| check_not_negative("rate", *value))?;
        check_ascending("boundary", then.iter().map(|(from, _)| *from))
    }
}

/// Falls by the same factor in every stretch of the same length: η₀ · γ^(t/k), which is η₀ · e^(−λt).
///
/// * `rate` η₀: the first value.
/// * `factor` γ: what is left after `every` steps, between 0 and 1. `Exponential::new(0.1, 0.5).every(1000)` has a
///   half-life of 1000 steps. [`natural`](Self::natural) takes λ instead.
/// * `every` k: 1 step unless said otherwise; set it to the steps of an epoch for a factor per epoch. 0 counts as 1.
///
/// Falls fast at first and never reaches 0; choose it where the run has no known end. Its staircase is [`Step`], with
/// the same three settings; one value for each epoch gives [`PerEpoch`](crate::PerEpoch).
///
/// ```
/// use bantam_schedule::{Exponential, Schedule};
/// let rate = Exponential::new(0.8, 0.25).every(100);
/// assert_eq!([rate.at(0), rate.at(50), rate.at(100)], [0.8, 0.4, 0.2]);
/// let rate = Exponential::natural(1.0, 0.01);
/// assert!((rate.at_f64(100) - (-1.0_f64).exp()).abs() < 1e-14);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponential {
    /// The first value.
    pub rate: f64,
    /// What is left after `every` steps.
    pub factor: f64,
    /// The length of the stretch that `factor` is stated for, in steps.
    pub every: u64,
}

impl Exponential {
    /// Starts at `rate` and multiplies it by `factor` in every step.
    pub const fn new(rate: f64, factor: f64) -> Exponential {
        Exponential { rate, factor, every: 1 }
    }

    /// η₀ · e^(−λt): starts at `rate` and loses the share `lambda` of it per step, as long as that is a small share.
    #[must_use]
    pub fn natural(rate: f64, lambda: f64) -> Exponential {
        Exponential::new(rate, libm::exp(-lambda))
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
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        decayed(self.rate, self.factor, share(step, self.every.max(1)))
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("rate", self.rate)?;
        check_unit("factor", self.factor)?;
        check_steps("every", self.every)
    }
}

/// A straight rise, then a fall with the inverse square root: a · d^(−½) · min((t+1)^(−½), (t+1) · w^(−3/2)).
///
/// * `width` d: the width of the model, which makes one setting fit models of many sizes; 0 counts as 1.
/// * `warm_up` w: the number of steps that rise; 4000 in the paper, a tenth of a short run. 0 counts as 1. The top, at
///   step w − 1, is a/√(d·w).
/// * `factor` a: 1 by default; the one thing to tune.
///
/// Made for transformers trained by Adam, where it is called after its author Noam Shazeer (Vaswani and others,
/// "Attention is all you need", 2017, arXiv:1706.03762, section 5.3, whose first step is 1). Needs no end of the run.
///
/// ```
/// use bantam_schedule::{Noam, Schedule};
/// let rate = Noam::new(64, 400);
/// assert_eq!([rate.at(399), rate.at(1_599)], [0.00625, 0.003125]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noam {
    /// The width of the model.
    pub width: u64,
    /// The number of steps that rise.
    pub warm_up: u64,
    /// Multiplies everything.
    pub factor: f64,
}

impl Noam {
    /// For a model of this width, rising for `warm_up` steps.
    pub const fn new(width: u64, warm_up: u64) -> Noam {
        Noam { width, warm_up, factor: 1.0 }
    }

    /// Multiplies every value.
    #[must_use]
    pub const fn factor(mut self, factor: f64) -> Noam {
        self.factor = factor;
        self
    }
}

impl Schedule for Noam {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        let (t, w) = (step as f64 + 1.0, self.warm_up.max(1) as f64);
        let shape = if t < w { t / (w * libm::sqrt(w)) } else { 1.0 / libm::sqrt(t) };
        self.factor * shape / libm::sqrt(self.width.max(1) as f64)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_steps("width", self.width)?;
        check_steps("warm_up", self.warm_up)?;
        check_not_negative("factor", self.factor)
    }
}
