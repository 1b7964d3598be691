//! Schedules that span the run: they need to know how many steps it has.

use bantam_core::Schedule;
use core::f32::consts::FRAC_PI_2;

/// Which part of `steps` is done and which is left at `step`, both in [0, 1]. The two are computed apart, so that
/// neither loses its digits where it is small. Without a known length nothing is done yet; a length of 0 is all done.
fn progress(step: u64, steps: Option<u64>) -> (f32, f32) {
    match steps {
        None => (0.0, 1.0),
        Some(steps) if step >= steps => (1.0, 0.0),
        Some(steps) => (step as f32 / steps as f32, (steps - step) as f32 / steps as f32),
    }
}

/// sin²(π/2 · x): rises from 0 to 1 along half a cosine wave, as (1 − cos πx)/2 does, without its cancellation at 0.
fn half_wave(x: f32) -> f32 {
    let sine = libm::sinf(FRAC_PI_2 * x.clamp(0.0, 1.0));
    sine * sine
}

/// A straight line from one value to another: from · (1 − t/n) + to · t/n.
///
/// * `from`, `to`: the first and the last value; `to` may be the larger one.
/// * `steps`: the length n. From step n on the value is `to`; a length of 0 is over before it begins.
///
/// Falling to 0 it is the usual choice for fine-tuning (Devlin and others, 2018, arXiv:1810.04805).
///
/// ```
/// use bantam_schedule::{Linear, Schedule};
/// let rate = Linear::new(0.5, 0.0).steps(4);
/// assert_eq!([rate.at(0), rate.at(1), rate.at(4), rate.at(9)], [0.5, 0.375, 0.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// The first value.
    pub from: f32,
    /// The last value.
    pub to: f32,
    /// The length; `None` is the whole run.
    pub steps: Option<u64>,
}

impl Linear {
    /// From `from` to `to` over the whole run.
    pub const fn new(from: f32, to: f32) -> Linear {
        Linear { from, to, steps: None }
    }

    /// Reaches the last value after `steps` steps.
    #[must_use]
    pub const fn steps(mut self, steps: u64) -> Linear {
        self.steps = Some(steps);
        self
    }
}

impl Schedule for Linear {
    fn at(&self, step: u64) -> f32 {
        let (done, left) = progress(step, self.steps);
        self.from * left + self.to * done
    }

    fn set_run_length(&mut self, steps: u64, _steps_per_epoch: u64) {
        self.steps.get_or_insert(steps);
    }
}

/// Falls along a power of what is left: to + (from − to) · (1 − t/n)^power.
///
/// * `from`, `to`: the first and the last value.
/// * `power`: 1 is [`Linear`], 2 spends more of the run at small rates, 0.9 is the "poly" rate of image segmentation
///   (Chen and others, 2016, arXiv:1606.00915). Below 0 it counts as 0, which holds the first value until the end.
/// * `steps`: the length n. From step n on the value is `to`.
///
/// ```
/// use bantam_schedule::{Polynomial, Schedule};
/// let rate = Polynomial::new(0.5, 0.0, 2.0).steps(4);
/// assert_eq!([rate.at(0), rate.at(2), rate.at(4)], [0.5, 0.125, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polynomial {
    /// The first value.
    pub from: f32,
    /// The last value.
    pub to: f32,
    /// The exponent.
    pub power: f32,
    /// The length; `None` is the whole run.
    pub steps: Option<u64>,
}

impl Polynomial {
    /// From `from` to `to` over the whole run, with the exponent `power`.
    pub const fn new(from: f32, to: f32, power: f32) -> Polynomial {
        Polynomial { from, to, power, steps: None }
    }

    /// Reaches the last value after `steps` steps.
    #[must_use]
    pub const fn steps(mut self, steps: u64) -> Polynomial {
        self.steps = Some(steps);
        self
    }
}

impl Schedule for Polynomial {
    fn at(&self, step: u64) -> f32 {
        let (_, left) = progress(step, self.steps);
        if left == 0.0 {
            return self.to;
        }
        let weight = libm::powf(left, self.power.max(0.0));
        self.from * weight + self.to * (1.0 - weight)
    }

    fn set_run_length(&mut self, steps: u64, _steps_per_epoch: u64) {
        self.steps.get_or_insert(steps);
    }
}

/// Falls along half a cosine wave: to + (from − to) · (1 + cos(π·t/n))/2.
///
/// * `from`: the first value.
/// * `to`: the last value; 0 unless [`down_to`](Self::down_to) says otherwise. A hundredth of the first is common.
/// * `steps`: the length n. From step n on the value is `to`.
///
/// It leaves the first value slowly, falls fastest in the middle and comes to rest slowly. With nothing to tune but
/// the first value it is the default for a run whose length is known (Loshchilov and Hutter, 2016, arXiv:1608.03983,
/// there with restarts).
///
/// ```
/// use bantam_schedule::{Cosine, Schedule};
/// let rate = Cosine::new(0.5).down_to(0.25).steps(100);
/// assert_eq!([rate.at(0), rate.at(100)], [0.5, 0.25]);
/// assert!((rate.at(50) - 0.375).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    /// The first value.
    pub from: f32,
    /// The last value.
    pub to: f32,
    /// The length; `None` is the whole run.
    pub steps: Option<u64>,
}

impl Cosine {
    /// From `from` to 0 over the whole run.
    pub const fn new(from: f32) -> Cosine {
        Cosine { from, to: 0.0, steps: None }
    }

    /// Ends at `to` instead of 0.
    #[must_use]
    pub const fn down_to(mut self, to: f32) -> Cosine {
        self.to = to;
        self
    }

    /// Reaches the last value after `steps` steps.
    #[must_use]
    pub const fn steps(mut self, steps: u64) -> Cosine {
        self.steps = Some(steps);
        self
    }
}

impl Schedule for Cosine {
    fn at(&self, step: u64) -> f32 {
        let (done, left) = progress(step, self.steps);
        self.from * half_wave(left) + self.to * half_wave(done)
    }

    fn set_run_length(&mut self, steps: u64, _steps_per_epoch: u64) {
        self.steps.get_or_insert(steps);
    }
}

/// Rises to a high rate, then falls far below the start, each along half a cosine wave.
///
/// * `maximum`: the top. Try the largest rate at which a short run does not diverge; ten times a constant rate is
///   common.
/// * `warm_up`: the part of the run that rises, 0.3 by default.
/// * `div_factor`: the first value is maximum/div_factor; 25 by default.
/// * `final_div_factor`: the last value is the first/final_div_factor; 10 000 by default.
/// * `steps`: the number n of steps of the run. The top is at step warm_up·n − 1, the last value at n − 1 and after.
///   A run of one step is all top.
///
/// The high rate in the middle acts as a regulariser and gets far in few epochs, the long fall settles:
/// "super-convergence" (Smith and Topin, 2017, arXiv:1708.07120; Smith, 2018, arXiv:1803.09820). Shape and defaults
/// are those of PyTorch's `OneCycleLR` with two phases.
///
/// ```
/// use bantam_schedule::{OneCycle, Schedule};
/// let rate = OneCycle::to(0.5).steps(100);
/// assert_eq!([rate.at(0), rate.at(29)], [0.02, 0.5]);
/// assert!(rate.at(99) < 1e-5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// The top.
    pub maximum: f32,
    /// The part of the run that rises.
    pub warm_up: f32,
    /// maximum / first value.
    pub div_factor: f32,
    /// first value / last value.
    pub final_div_factor: f32,
    /// The number of steps; `None` is the whole run.
    pub steps: Option<u64>,
}

impl OneCycle {
    /// Up to `maximum` and down again over the whole run.
    pub const fn to(maximum: f32) -> OneCycle {
        OneCycle { maximum, warm_up: 0.3, div_factor: 25.0, final_div_factor: 1e4, steps: None }
    }

    /// Rises during this part of the run, in [0, 1].
    #[must_use]
    pub const fn warm_up(mut self, part: f32) -> OneCycle {
        self.warm_up = part;
        self
    }

    /// Starts at maximum/`factor`; below 1 it counts as 1.
    #[must_use]
    pub const fn div_factor(mut self, factor: f32) -> OneCycle {
        self.div_factor = factor;
        self
    }

    /// Ends at the first value/`factor`; below 1 it counts as 1.
    #[must_use]
    pub const fn final_div_factor(mut self, factor: f32) -> OneCycle {
        self.final_div_factor = factor;
        self
    }

    /// Ends after `steps` steps.
    #[must_use]
    pub const fn steps(mut self, steps: u64) -> OneCycle {
        self.steps = Some(steps);
        self
    }
}

impl Schedule for OneCycle {
    fn at(&self, step: u64) -> f32 {
        let first = self.maximum / self.div_factor.max(1.0);
        let last = first / self.final_div_factor.max(1.0);
        let Some(steps) = self.steps else { return first };
        let last_step = steps.saturating_sub(1);
        let left = last_step.saturating_sub(step);
        let top = (self.warm_up * steps as f32 - 1.0).clamp(0.0, last_step as f32);
        if (step as f32) < top {
            let rise = half_wave(step as f32 / top);
            return self.maximum * rise + first * (1.0 - rise);
        }
        let fall = last_step as f32 - top;
        if fall <= 0.0 {
            return if step <= last_step { self.maximum } else { last };
        }
        let height = half_wave(left as f32 / fall);
        self.maximum * height + last * (1.0 - height)
    }

    fn set_run_length(&mut self, steps: u64, _steps_per_epoch: u64) {
        self.steps.get_or_insert(steps);
    }
}
