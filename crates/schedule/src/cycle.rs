//! Schedules that go up and down: restarts, one cycle, many cycles.

use crate::number::{
    check_at_least_one, check_length, check_not_negative, check_steps, check_unit, half_wave, narrow, power,
    progress, share,
};
use bantam_core::{InvalidSetting, Schedule};

/// [`Cosine`](crate::Cosine) falls, each followed by a jump back to the top and longer than the one before:
/// η₁ + (η₀ − η₁) · (1 + cos(π·t′/n′))/2, where t′ of n′ steps of the current fall are done.
///
/// * `from` η₀, `to` η₁: the first and the last value of each fall; `to` is 0 unless [`down_to`](Self::down_to) says
///   otherwise. The last value itself is never reached: the next fall begins in its place.
/// * `first`: the length of the first fall in steps; 0 counts as 1. A few epochs.
/// * `growth`: how many times longer each fall is than the one before; 1 or 0 is none. 2 is usual.
///
/// "Stochastic gradient descent with warm restarts" (Loshchilov and Hutter, 2016, arXiv:1608.03983): the network just
/// before each restart is a good one, so the run can be ended at any of them, or their predictions be averaged
/// (Huang and others, "Snapshot ensembles", 2017, arXiv:1704.00109). To lower the tops too, make it a
/// [`Product`](crate::Product) with a falling schedule.
///
/// ```
/// use bantam_schedule::{CosineRestarts, Schedule};
/// let rate = CosineRestarts::new(0.5, 10).growth(2); // falls of 10, 20, 40, … steps
/// assert_eq!([rate.at(0), rate.at(5), rate.at(10), rate.at(20), rate.at(30)], [0.5, 0.25, 0.5, 0.25, 0.5]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineRestarts {
    /// The first value of each fall.
    pub from: f64,
    /// The value that each fall tends to.
    pub to: f64,
    /// The length of the first fall.
    pub first: u64,
    /// How many times longer each fall is than the one before.
    pub growth: u64,
}

impl CosineRestarts {
    /// Falls from `from` to 0, all of `first` steps.
    pub const fn new(from: f64, first: u64) -> CosineRestarts {
        CosineRestarts { from, to: 0.0, first, growth: 1 }
    }

    /// Tends to `to` instead of 0.
    #[must_use]
    pub const fn down_to(mut self, to: f64) -> CosineRestarts {
        self.to = to;
        self
    }

    /// Makes each fall so many times longer than the one before.
    #[must_use]
    pub const fn growth(mut self, times: u64) -> CosineRestarts {
        self.growth = times;
        self
    }

    /// How many steps of the current fall are done, and its length.
    fn fall(&self, step: u64) -> (u64, u64) {
        let first = self.first.max(1);
        if self.growth <= 1 {
            return (step % first, first);
        }
        // In units of the first fall, fall k begins at (gᵏ − 1)/(g − 1) and has the length gᵏ.
        let units = step / first;
        let fall = units.saturating_mul(self.growth - 1).saturating_add(1).ilog(self.growth);
        let length = self.growth.pow(fall);
        let begin = (length - 1) / (self.growth - 1) * first;
        (step - begin, first.saturating_mul(length))
    }
}

impl Schedule for CosineRestarts {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        let (done, length) = self.fall(step);
        let (done, left) = progress(done, Some(length));
        self.from * half_wave(left) + self.to * half_wave(done)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("from", self.from)?;
        check_not_negative("to", self.to)?;
        check_steps("first", self.first)?;
        check_steps("growth", self.growth)
    }
}

/// How a [`OneCycle`] gets from one of its values to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Annealing {
    /// Along half a cosine wave.
    #[default]
    Cosine,
    /// Straight.
    Linear,
}

/// Rises to a high rate, then falls far below the start.
///
/// * `max`: the top. Try the largest rate at which a short run does not diverge; ten times a constant rate is common.
/// * `warm_up` p: the part of the run that rises, 0.3 by default.
/// * `div_factor`: the first value is max/div_factor; 25 by default.
/// * `final_div_factor`: the last value is the first/final_div_factor; 10 000 by default.
/// * `annealing`: along half cosine waves by default, [straight](Self::linear) as in the paper.
/// * `three_phases`: whether it falls back to the first value as slowly as it rose, and only then to the last one;
///   not by default. With `warm_up` 0.45 this is the paper's form.
/// * `steps` n: the number of steps of the run. The top is at step p·n − 1 (with three phases the first value again at
///   2·p·n − 2), the last value at n − 1 and after. A run of one step is all top.
///
/// The high rate in the middle acts as a regulariser and gets far in few epochs, the long fall settles:
/// "super-convergence" (Smith and Topin, 2017, arXiv:1708.07120; Smith, 2018, arXiv:1803.09820). Shape and defaults
/// are those of PyTorch's `OneCycleLR`. The paper moves the momentum the other way: see [`momentum`](Self::momentum).
///
/// ```
/// use bantam_schedule::{OneCycle, Schedule};
/// let rate = OneCycle::to(0.5).steps(100);
/// assert_eq!([rate.at(0), rate.at(29)], [0.02, 0.5]);
/// assert!(rate.at(99) < 1e-5);
/// let momentum = rate.momentum();
/// assert_eq!([momentum.at(0), momentum.at(29), momentum.at(99)], [0.95, 0.85, 0.95]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// The top.
    pub max: f64,
    /// The part of the run that rises.
    pub warm_up: f64,
    /// top / first value.
    pub div_factor: f64,
    /// first value / last value.
    pub final_div_factor: f64,
    /// How it gets from one value to the next.
    pub annealing: Annealing,
    /// Whether it first falls back to the first value.
    pub three_phases: bool,
    /// The number of steps; `None` is the whole run.
    pub steps: Option<u64>,
}

impl OneCycle {
    /// Up to `max` and down again over the whole run.
    pub const fn to(max: f64) -> OneCycle {
        OneCycle {
            max,
            warm_up: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            annealing: Annealing::Cosine,
            three_phases: false,
            steps: None,
        }
    }

    /// Rises during this part of the run, in [0, 1].
    #[must_use]
    pub const fn warm_up(mut self, part: f64) -> OneCycle {
        self.warm_up = part;
        self
    }

    /// Starts at max/`factor`; below 1 it counts as 1.
    #[must_use]
    pub const fn div_factor(mut self, factor: f64) -> OneCycle {
        self.div_factor = factor;
        self
    }

    /// Ends at the first value/`factor`; below 1 it counts as 1.
    #[must_use]
    pub const fn final_div_factor(mut self, factor: f64) -> OneCycle {
        self.final_div_factor = factor;
        self
    }

    /// Goes straight from one value to the next.
    #[must_use]
    pub const fn linear(mut self) -> OneCycle {
        self.annealing = Annealing::Linear;
        self
    }

    /// Falls back to the first value as slowly as it rose, and only then to the last one.
    #[must_use]
    pub const fn three_phases(mut self) -> OneCycle {
        self.three_phases = true;
        self
    }

    /// Ends after `steps` steps.
    #[must_use]
    pub const fn steps(mut self, steps: u64) -> OneCycle {
        self.steps = Some(steps);
        self
    }

    /// The momentum that belongs to this rate: low where the rate is high.
    #[must_use]
    pub const fn momentum(self) -> OneCycleMomentum {
        OneCycleMomentum { cycle: self, high: 0.95, low: 0.85 }
    }

    /// The value at `step` of a course that begins at `first`, has `peak` at its top, and `after` and `last` at the
    /// ends of the phases that follow; with two phases there is no `after`.
    fn course(&self, step: u64, [first, peak, after, last]: [f64; 4]) -> f64 {
        let Some(steps) = self.steps else { return first };
        let end = steps.saturating_sub(1) as f64;
        let turn = |position: f64| position.clamp(0.0, end);
        let rise = self.warm_up * steps as f64 - 1.0;
        let middle = if self.three_phases { (turn(2.0 * rise), after) } else { (turn(rise), peak) };
        let step = step as f64;
        let mut before = (0.0, first);
        for (at, value) in [(turn(rise), peak), middle, (end, last)] {
            if step <= at {
                let length = at - before.0;
                if length <= 0.0 {
                    return value;
                }
                let (done, left) = ((step - before.0) / length, (at - step) / length);
                let (done, left) = match self.annealing {
                    Annealing::Cosine => (half_wave(done), half_wave(left)),
                    Annealing::Linear => (done, left),
                };
                return before.1 * left + value * done;
            }
            before = (at, value);
        }
        last
    }
}

impl Schedule for OneCycle {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        let first = self.max / self.div_factor.max(1.0);
        let last = first / self.final_div_factor.max(1.0);
        self.course(step, [first, self.max, first, last])
    }

    fn set_run_length(&mut self, steps: u64, _steps_per_epoch: u64) {
        self.steps.get_or_insert(steps);
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("max", self.max)?;
        check_unit("warm_up", self.warm_up)?;
        if self.three_phases && self.warm_up > 0.5 {
            let expected = "at most 0.5 with three phases";
            return Err(InvalidSetting { setting: "warm_up", found: self.warm_up, expected });
        }
        check_at_least_one("div_factor", self.div_factor)?;
        check_at_least_one("final_div_factor", self.final_div_factor)?;
        check_length(self.steps)
    }
}

/// The momentum of a [one-cycle](OneCycle) run: falls while the rate rises and rises while it falls.
///
/// * `cycle`: the rate's schedule, whose shape and length it takes.
/// * `high`, `low`: the momentum at the ends and at the top of the rate; 0.95 and 0.85 by default.
///
/// A high rate together with a high momentum would be too much; so their product stays in bounds (Smith, 2018,
/// arXiv:1803.09820, section 4.2). With three phases the momentum stays high in the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycleMomentum {
    /// The schedule of the rate.
    pub cycle: OneCycle,
    /// The momentum where the rate is low.
    pub high: f64,
    /// The momentum where the rate is highest.
    pub low: f64,
}

impl OneCycleMomentum {
    /// Other values than 0.95 and 0.85.
    #[must_use]
    pub const fn between(mut self, high: f64, low: f64) -> OneCycleMomentum {
        (self.high, self.low) = (high, low);
        self
    }
}

impl Schedule for OneCycleMomentum {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        self.cycle.course(step, [self.high, self.low, self.high, self.high])
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        self.cycle.set_run_length(steps, steps_per_epoch);
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_unit("high", self.high)?;
        check_unit("low", self.low)?;
        self.cycle.validate()
    }
}

/// How the height of a [`Cyclic`] schedule's peaks changes; the names are the paper's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum CyclicMode {
    /// They are all alike.
    #[default]
    Triangular,
    /// Each is half as high above the low value as the one before.
    Triangular2,
    /// γ^t as high, at every step t.
    ExpRange(
        /// γ, between 0 and 1: 0.99994 in the paper, for 20 000 steps and more.
        f64,
    ),
}

/// Straight up and down between two values, again and again: η₀ + (η₁ − η₀) · triangle(t) · height.
///
/// * `low` η₀, `high` η₁: the values between which it swings. Take for `high` the largest rate at which a short run
///   does not diverge and a quarter of it for `low`.
/// * `rise`, `fall`: the steps from low to high and back, in which a length of 0 counts as 1; two to ten epochs.
/// * `mode`: whether the peaks [stay](CyclicMode::Triangular), [halve](CyclicMode::Triangular2) with every cycle, or
///   fall [exponentially](CyclicMode::ExpRange).
///
/// Saves the search for one good rate, and leaves saddle points by its high ones (Smith, "Cyclical learning rates for
/// training neural networks", 2015, arXiv:1506.01186). Values are those of PyTorch's `CyclicLR`.
///
/// ```
/// use bantam_schedule::{Cyclic, CyclicMode, Schedule};
/// let rate = Cyclic::new(0.25, 0.75, 10);
/// assert_eq!([rate.at(0), rate.at(10), rate.at(15), rate.at(30)], [0.25, 0.75, 0.5, 0.75]);
/// assert_eq!(rate.mode(CyclicMode::Triangular2).at(30), 0.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cyclic {
    /// The value at the ends of a cycle.
    pub low: f64,
    /// The value at the first peak.
    pub high: f64,
    /// The steps from low to high.
    pub rise: u64,
    /// The steps from high to low.
    pub fall: u64,
    /// How the height of the peaks changes.
    pub mode: CyclicMode,
}

impl Cyclic {
    /// From `low` to `high` in `rise` steps and back in as many.
    pub const fn new(low: f64, high: f64, rise: u64) -> Cyclic {
        Cyclic { low, high, rise, fall: rise, mode: CyclicMode::Triangular }
    }

    /// Takes another number of steps for the way back.
    #[must_use]
    pub const fn fall(mut self, steps: u64) -> Cyclic {
        self.fall = steps;
        self
    }

    /// Changes the height of the peaks.
    #[must_use]
    pub const fn mode(mut self, mode: CyclicMode) -> Cyclic {
        self.mode = mode;
        self
    }
}

impl Schedule for Cyclic {
    fn at(&self, step: u64) -> f32 {
        narrow(self.at_f64(step))
    }

    fn at_f64(&self, step: u64) -> f64 {
        let (rise, fall) = (self.rise.max(1), self.fall.max(1));
        let length = rise.saturating_add(fall);
        let (cycle, position) = (step / length, step % length);
        let triangle = if position <= rise { share(position, rise) } else { share(length - position, fall) };
        let height = match self.mode {
            CyclicMode::Triangular => 1.0,
            CyclicMode::Triangular2 => power(0.5, cycle as f64),
            CyclicMode::ExpRange(gamma) => power(gamma, step as f64).min(1.0),
        };
        let weight = triangle * height;
        self.low * (1.0 - weight) + self.high * weight
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("low", self.low)?;
        check_not_negative("high", self.high)?;
        check_steps("rise", self.rise)?;
        check_steps("fall", self.fall)?;
        if let CyclicMode::ExpRange(gamma) = self.mode {
            check_unit("gamma", gamma)?;
        }
        Ok(())
    }
}
