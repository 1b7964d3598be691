//! Rules that evaluate an average of what they train: ASGD, schedule-free AdamW, EMA, SWA, Lookahead.

use crate::transform::forward;
use crate::update::{
    Lanes, Step, check, check_not_negative, check_positive, check_rate, check_unit, common_len, correction,
    decay_of, exponential, logarithm, pieces, split, walk,
};
use bantam_core::{InvalidSetting, Optimizer, Real, Schedule, UpdateContext};
use bantam_kernels::{Element, Simd, Vector};

/// Averaged stochastic gradient descent: θ ← θ·(1 − λ·ηₜ) − ηₜ·g with a slowly falling rate, and the mean of all θ beside
/// it, which is what is evaluated.
///
/// > ηₜ = η / (1 + λ·η·t)^α,  mean ← mean + (θ − mean) / max(1, t + 1 − t₀)
///
/// * `rate` η: any schedule; 0.01 by default.
/// * `decay` λ: 1e-4 by default: decay of θ and, with η, how fast the rate falls. It applies to all tensors.
/// * `power` α: 0.75 by default.
/// * `start` t₀: the step from which θ is averaged; 1,000,000 by default, as in PyTorch. Until then the mean is θ itself,
///   so lower it to about half of the run.
///
/// State: 1 number per parameter, the mean. Choose it for convex problems, where the mean converges as fast as anything
/// can, and for recurrent language models.
///
/// B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asgd<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// Decay λ of the parameters and of the rate.
    pub decay: f64,
    /// How the rate falls, α.
    pub power: f64,
    /// The step t₀ from which parameters are averaged.
    pub start: u64,
}

impl Default for Asgd {
    fn default() -> Asgd {
        Asgd::new(0.01)
    }
}

impl<S> Asgd<S> {
    /// The defaults with this learning rate.
    pub const fn new(rate: S) -> Asgd<S> {
        Asgd { rate, decay: 1e-4, power: 0.75, start: 1_000_000 }
    }

    /// How many numbers of state `parameter_len` parameters need.
    pub const fn state_len(&self, parameter_len: usize) -> usize {
        parameter_len
    }

    /// Decay of the parameters and of the rate.
    #[must_use]
    pub fn decay(mut self, decay: f64) -> Asgd<S> {
        self.decay = decay;
        self
    }

    /// The step from which parameters are averaged.
    #[must_use]
    pub fn start(mut self, step: u64) -> Asgd<S> {
        self.start = step;
        self
    }
}

impl<T: Element, S: Schedule> Optimizer<T> for Asgd<S> {
    fn state_len(&self, parameter_len: usize) -> usize {
        self.state_len(parameter_len)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_rate(&self.rate)?;
        check_not_negative("decay", self.decay)?;
        check_not_negative("power", self.power)
    }

    fn learning_rate(&self, step: u64) -> Option<f32> {
        Some(self.rate.at(step))
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        self.rate.set_run_length(steps, steps_per_epoch);
    }

    fn observe(&mut self, loss: f64) {
        self.rate.observe(loss);
    }

    fn evaluates_elsewhere(&self) -> bool {
        true
    }

    fn evaluation(&self, cx: &UpdateContext<'_>, parameter: &mut [T], state: &[T]) {
        if cx.step > 0 {
            copy(state, parameter);
        }
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]) {
        let rate = self.rate.at_f64(cx.step);
        let falling = logarithm(1.0 + self.decay * rate * cx.step as f64);
        let rate = rate * exponential(-self.power * falling);
        let averaged = cx.step.saturating_add(1).saturating_sub(self.start.saturating_add(1)).max(1);
        let rule = Averaged {
            keep: T::from_f64(1.0 - self.decay * rate),
            rate: T::from_f64(rate),
            share: T::from_f64(1.0 / averaged as f64),
        };
        let n = common_len(parameter, gradient, state, 1);
        walk(cx, [&mut parameter[..n], &mut gradient[..n]], pieces::<_, 1>(state, n), rule);
    }
}

#[derive(Clone, Copy)]
struct Averaged<T> {
    keep: T,
    rate: T,
    share: T,
}

impl<T: Element> Step<T, 2, 1> for Averaged<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        [p, g]: Lanes<T, S, 2>,
        [mean]: Lanes<T, S, 1>,
    ) -> (Lanes<T, S, 2>, Lanes<T, S, 1>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        let p = p * s(self.keep) - s(self.rate) * g;
        // Exactly p where the share is 1, whatever the mean was.
        let mean = s(self.share).if_equal(s(T::one()), p, mean + (p - mean) * s(self.share));
        ([p, g], [mean])
    }
}

/// Schedule-free AdamW: gradients at a point y between a fast sequence z and its average x; y is what is trained, x what
/// is evaluated, and no schedule has to know when the run ends.
///
/// > y = (1 − β₁)·z + β₁·x,  v ← β₂·v + (1 − β₂)·g²  (g at y)
/// >
/// > z ← z − γ·(g / (√v̂ + ε) + λ·y),  x ← (1 − c)·x + c·z,  c = γ² / Σγ²
///
/// * `rate` γ: 0.0025 by default, one to ten times AdamW's. Any schedule, but only a
///   warm-up makes sense; steps count in the average by the square of their rate.
/// * `beta1` β₁: 0.9 by default: where y lies between z and x. It takes the place of momentum; 0.95 to 0.98 for long runs.
/// * `beta2`, `epsilon`: as in Adam, 0.999, 1e-8.
/// * `weight_decay` λ: 0.01 by default. Biases and gains are left out.
///
/// State: 2 numbers per parameter (z and v) and 1 per tensor. Choose it where the length of a run is not known, or where
/// every moment of it should have a good model. Whoever evaluates without a trainer asks
/// [`evaluation`](Optimizer::evaluation) for x. Batch normalisation keeps statistics of y, not of x.
///
/// A. Defazio et al., "The road less scheduled", 2024, arXiv:2405.15682.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScheduleFree<S = f32> {
    /// The learning rate γ.
    pub rate: S,
    /// Where gradients are taken between z and x.
    pub beta1: f64,
    /// How much of the mean square stays.
    pub beta2: f64,
    /// Keeps the quotient finite.
    pub epsilon: f64,
    /// The strength λ of the decay.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}

impl Default for ScheduleFree {
    fn default() -> ScheduleFree {
        ScheduleFree::new(0.0025)
    }
}

impl<S> ScheduleFree<S> {
    /// The defaults with this learning rate.
    pub const fn new(rate: S) -> ScheduleFree<S> {
        let weight_decay = 0.01;
        ScheduleFree { rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay, decay_biases: false }
    }

    /// How many numbers of state `parameter_len` parameters need.
    pub const fn state_len(&self, parameter_len: usize) -> usize {
        if parameter_len == 0 { 0 } else { 2 * parameter_len + 1 }
    }

    /// Where gradients are taken, and how much of the mean square stays.
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> ScheduleFree<S> {
        (self.beta1, self.beta2) = (beta1, beta2);
        self
    }

    /// The strength of the decay.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> ScheduleFree<S> {
        self.weight_decay = weight_decay;
        self
    }

    /// Whether tensors of rank 0 and 1 are decayed too; not by default.
    #[must_use]
    pub fn decay_biases(mut self, decay: bool) -> ScheduleFree<S> {
        self.decay_biases = decay;
        self
    }
}

impl<T: Element, S: Schedule> Optimizer<T> for ScheduleFree<S> {
    fn state_len(&self, parameter_len: usize) -> usize {
        self.state_len(parameter_len)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_rate(&self.rate)?;
        check_not_negative("weight_decay", self.weight_decay)?;
        check_positive("beta1", self.beta1)?;
        check_unit("beta1", self.beta1)?;
        check_unit("beta2", self.beta2)?;
        check_positive("epsilon", self.epsilon)
    }

    fn learning_rate(&self, step: u64) -> Option<f32> {
        Some(self.rate.at(step))
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        self.rate.set_run_length(steps, steps_per_epoch);
    }

    fn observe(&mut self, loss: f64) {
        self.rate.observe(loss);
    }

    fn evaluates_elsewhere(&self) -> bool {
        true
    }

    /// x = y + (1 − 1/β₁)·(z − y).
    fn evaluation(&self, cx: &UpdateContext<'_>, parameter: &mut [T], state: &[T]) {
        if cx.step > 0 {
            let share = T::from_f64(1.0 - 1.0 / self.beta1);
            for (y, z) in parameter.iter_mut().zip(state) {
                *y += share * (*z - *y);
            }
        }
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]) {
        let Some((sum, state)) = state.split_last_mut() else { return };
        let rate = self.rate.at_f64(cx.step);
        let total = Real::to_f64(*sum) + rate * rate;
        *sum = T::from_f64(total);
        let share = if total > 0.0 { rate * rate / total } else { 1.0 };
        let squares = correction(self.beta2, cx.step.saturating_add(1));
        let rule = Between {
            begun: cx.step > 0,
            keep2: T::from_f64(self.beta2),
            fresh2: T::from_f64(1.0 - self.beta2),
            correction: T::from_f64(squares),
            epsilon: T::from_f64(self.epsilon),
            decay: T::from_f64(decay_of(cx, self.weight_decay, self.decay_biases)),
            share: T::from_f64(share),
            rate: T::from_f64(rate),
            rate_of_y: T::from_f64(rate * (1.0 - self.beta1 * (1.0 - share))),
        };
        let n = common_len(parameter, gradient, state, 2);
        walk(cx, [&mut parameter[..n], &mut gradient[..n]], pieces::<_, 2>(state, n), rule);
    }
}

#[derive(Clone, Copy)]
struct Between<T> {
    begun: bool,
    keep2: T,
    fresh2: T,
    correction: T,
    epsilon: T,
    decay: T,
    share: T,
    rate: T,
    rate_of_y: T,
}

impl<T: Element> Step<T, 2, 2> for Between<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        [y, g]: Lanes<T, S, 2>,
        [z, v]: Lanes<T, S, 2>,
    ) -> (Lanes<T, S, 2>, Lanes<T, S, 2>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        let z = if self.begun { z } else { y };
        let v = s(self.keep2) * v + s(self.fresh2) * (g * g);
        let update = g / ((v * s(self.correction)).sqrt() + s(self.epsilon)) + s(self.decay) * y;
        let y = y + s(self.share) * (z - y) - s(self.rate_of_y) * update;
        ([y, g], [z - s(self.rate) * update, v])
    }
}

/// Any optimizer with an exponential moving average of its parameters, which is what is evaluated:
/// mean ← β·mean + (1 − β)·θ, divided by 1 − βᵗ.
///
/// * `decay` β: 0.999 by default, an average over about the last 1000 steps; take a tenth of the run.
///
/// Training itself is not changed. State: the mean, 1 number per parameter, then the optimizer's. Choose it whenever a
/// number per parameter can be spared: the average smooths the noise of the last batches and is nearly always better
/// than any single θ. A trainer evaluates and returns the mean; by hand, [`evaluation`](Optimizer::evaluation) writes it
/// over a copy of the parameters. Batch normalisation keeps statistics of θ, not of the mean.
///
/// As in Polyak and Juditsky, 1992; with the correction of Adam's means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ema<O> {
    /// How much of the mean stays.
    pub decay: f64,
    /// What moves the parameters.
    pub optimizer: O,
}

impl<O> Ema<O> {
    /// `optimizer` with an average over about 1 / (1 − `decay`) steps.
    pub const fn new(decay: f64, optimizer: O) -> Ema<O> {
        Ema { decay, optimizer }
    }
}

impl<T: Element, O: Optimizer<T>> Optimizer<T> for Ema<O> {
    forward!(optimizer: state_len_and_copy needs_global_norm gradients_per_update learning_rate set_run_length);

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_unit("ema decay", self.decay)?;
        self.optimizer.validate()
    }

    fn evaluates_elsewhere(&self) -> bool {
        true
    }

    fn evaluation(&self, cx: &UpdateContext<'_>, parameter: &mut [T], state: &[T]) {
        let updates = cx.step / self.optimizer.gradients_per_update().max(1);
        if updates > 0 {
            let correction = T::from_f64(correction(self.decay, updates));
            for (p, mean) in parameter.iter_mut().zip(state) {
                *p = *mean * correction;
            }
        }
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]) {
        let (mean, rest) = split(state, parameter.len());
        self.optimizer.update(cx, parameter, gradient, rest);
        if is_complete(cx, &self.optimizer) {
            let [keep, fresh] = [self.decay, 1.0 - self.decay].map(T::from_f64);
            blend(cx, mean, parameter, keep, fresh);
        }
    }
}

/// Any optimizer with the plain average of its parameters at every so many updates, which is what is evaluated.
///
/// * `start`: the number of updates before the first θ is taken in; take three quarters of the run, with a rate that
///   stays high from there on, so that the θ are different.
/// * `every`: the number of updates from one θ to the next; an epoch.
///
/// State: the mean, 1 number per parameter, then the optimizer's. Choose it for a better end of a run that would be
/// annealed otherwise. Batch normalisation keeps statistics of θ, not of the mean: run an epoch through the averaged
/// network without updating, if there is any.
///
/// P. Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018, arXiv:1803.05407.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Swa<O> {
    /// Updates before the first parameters count.
    pub start: u64,
    /// Updates from one to the next.
    pub every: u64,
    /// What moves the parameters.
    pub optimizer: O,
}

impl<O> Swa<O> {
    /// `optimizer` with the average of its parameters at every `every`-th update after the first `start`.
    pub const fn new(start: u64, every: u64, optimizer: O) -> Swa<O> {
        Swa { start, every, optimizer }
    }

    /// How many θ the mean is of after so many updates.
    fn count(&self, updates: u64) -> u64 {
        updates.saturating_sub(self.start) / self.every.max(1)
    }
}

impl<T: Element, O: Optimizer<T>> Optimizer<T> for Swa<O> {
    forward!(optimizer: state_len_and_copy needs_global_norm gradients_per_update learning_rate set_run_length);

    fn validate(&self) -> Result<(), InvalidSetting> {
        check("swa every", self.every as f64, "at least 1", self.every >= 1)?;
        self.optimizer.validate()
    }

    fn evaluates_elsewhere(&self) -> bool {
        true
    }

    fn evaluation(&self, cx: &UpdateContext<'_>, parameter: &mut [T], state: &[T]) {
        if self.count(cx.step / self.optimizer.gradients_per_update().max(1)) > 0 {
            copy(state, parameter);
        }
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]) {
        let (mean, rest) = split(state, parameter.len());
        self.optimizer.update(cx, parameter, gradient, rest);
        let updates = cx.step.saturating_add(1) / self.optimizer.gradients_per_update().max(1);
        let count = self.count(updates);
        if is_complete(cx, &self.optimizer) && count > self.count(updates.saturating_sub(1)) {
            let fresh = 1.0 / count as f64;
            blend(cx, mean, parameter, T::from_f64(1.0 - fresh), T::from_f64(fresh));
        }
    }
}

/// Any optimizer whose fast parameters θ are pulled back to slow ones φ after every k updates:
/// φ ← φ + α·(θ − φ), θ ← φ.
///
/// * `every` k: 5 by default.
/// * `share` α: 0.5 by default.
///
/// The slow parameters smooth what the fast ones explore, so the inner optimizer may have a rate that would be too large
/// alone. State: φ, 1 number per parameter, then the optimizer's. φ is what is evaluated. Choose it to make a run less
/// sensitive to the inner optimizer's settings.
///
/// M. Zhang, J. Lucas, G. Hinton, J. Ba, "Lookahead optimizer: k steps forward, 1 step back", 2019, arXiv:1907.08610.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lookahead<O> {
    /// How many updates forward.
    pub every: u64,
    /// How far the slow parameters follow.
    pub share: f64,
    /// What moves the fast parameters.
    pub optimizer: O,
}

impl<O> Lookahead<O> {
    /// Five steps forward, half of the way back.
    pub const fn new(optimizer: O) -> Lookahead<O> {
        Lookahead { every: 5, share: 0.5, optimizer }
    }
}

impl<T: Element, O: Optimizer<T>> Optimizer<T> for Lookahead<O> {
    forward!(optimizer: state_len_and_copy needs_global_norm gradients_per_update learning_rate set_run_length);

    fn validate(&self) -> Result<(), InvalidSetting> {
        check("lookahead every", self.every as f64, "at least 1", self.every >= 1)?;
        let share = (0.0..=1.0).contains(&self.share) && self.share > 0.0;
        check("lookahead share", self.share, "above 0 and at most 1", share)?;
        self.optimizer.validate()
    }

    fn evaluates_elsewhere(&self) -> bool {
        true
    }

    fn evaluation(&self, cx: &UpdateContext<'_>, parameter: &mut [T], state: &[T]) {
        if cx.step > 0 {
            copy(state, parameter);
        }
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]) {
        let (slow, rest) = split(state, parameter.len());
        if cx.step == 0 {
            copy(parameter, slow);
        }
        self.optimizer.update(cx, parameter, gradient, rest);
        let updates = cx.step.saturating_add(1) / self.optimizer.gradients_per_update().max(1);
        if is_complete(cx, &self.optimizer) && updates.is_multiple_of(self.every.max(1)) {
            let share = T::from_f64(self.share);
            for (slow, fast) in slow.iter_mut().zip(parameter) {
                *slow += share * (*fast - *slow);
                *fast = *slow;
            }
        }
    }
}

/// Whether this call ends an update, for rules that take several gradients for one.
fn is_complete<T: Real>(cx: &UpdateContext<'_>, optimizer: &impl Optimizer<T>) -> bool {
    cx.step.wrapping_add(1).is_multiple_of(optimizer.gradients_per_update().max(1))
}

/// As many elements as both have.
fn copy<T: Copy>(from: &[T], to: &mut [T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

/// mean ← keep·mean + fresh·θ, in one pass.
fn blend<T: Element>(cx: &UpdateContext<'_>, mean: &mut [T], parameter: &mut [T], keep: T, fresh: T) {
    let n = mean.len().min(parameter.len());
    walk(cx, [&mut mean[..n], &mut parameter[..n]], [], Blend { keep, fresh });
}

/// The first slice becomes keep · first + fresh · second.
#[derive(Clone, Copy)]
pub(crate) struct Blend<T> {
    pub keep: T,
    pub fresh: T,
}

impl<T: Element> Step<T, 2, 0> for Blend<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        [mean, p]: Lanes<T, S, 2>,
        state: Lanes<T, S, 0>,
    ) -> (Lanes<T, S, 2>, Lanes<T, S, 0>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        ([s(self.keep) * mean + s(self.fresh) * p, p], state)
    }
}
