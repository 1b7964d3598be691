//! Gradient descent, with momentum if wanted.

use crate::update::{
    Decay, Descend, Job, Lanes, Rule, Turn, check, check_not_negative, check_rate, check_unit, decay_of,
};
use crate::{L1, Transform};
use bantam_core::{InvalidSetting, Optimizer, Schedule, UpdateContext};
use bantam_kernels::{Element, Simd, Vector};

/// Gradient descent: θ ← θ − η·g, with momentum v ← μ·v + (1 − τ)·g, θ ← θ − η·v.
///
/// Whether g comes from all samples (*batch* gradient descent), from some (*mini-batch*) or from one (*stochastic*) is
/// decided by whoever computes it: the rule is the same.
///
/// * `rate` η: any schedule. 0.1 for plain descent on normalised data, 0.01 to 0.1 with momentum.
/// * `momentum` μ: 0 by default, which needs no state; 0.9 is usual.
/// * `dampening` τ: 0 by default: the gradient counts in full. The first gradient always does.
/// * `nesterov`: steps by g + μ·v instead of v.
/// * `weight_decay` λ: adds λ·θ to the gradient (L2 regularisation); 0 by default, 1e-4 to 5e-4 is usual. Biases and
///   gains are left out.
/// * `l1`: adds λ₁·sign θ to the gradient (L1 regularisation, which drives weights to 0); 0 by default. Biases and
///   gains are left out.
///
/// State: none, or 1 number per parameter with momentum. Choose it plain where memory is scarce, for convex problems
/// and as a baseline; with momentum and a schedule for convolutional networks, where it often ends best.
///
/// Momentum as in B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Nesterov's as
/// in Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in deep learning", 2013.
/// Rates and terms are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// The momentum μ, its dampening, and which kind.
    pub momentum: Momentum,
    /// The strength λ of L2 regularisation.
    pub weight_decay: f64,
    /// The strength λ₁ of L1 regularisation.
    pub l1: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}

impl<S> Sgd<S> {
    /// How many numbers of state `parameter_len` parameters need.
    pub const fn state_len(&self, parameter_len: usize) -> usize {
        self.momentum.state_len(parameter_len)
    }
}

impl<S: Schedule> Sgd<S> {
    /// Plain gradient descent.
    pub const fn new(rate: S) -> Sgd<S> {
        Sgd { rate, momentum: Momentum::new(0.0), weight_decay: 0.0, l1: 0.0, decay_biases: false }
    }

    /// Another learning rate: a number or any other schedule.
    #[must_use]
    pub fn rate<R: Schedule>(self, rate: R) -> Sgd<R> {
        let Sgd { momentum, weight_decay, l1, decay_biases, .. } = self;
        Sgd { rate, momentum, weight_decay, l1, decay_biases }
    }

    /// Remembers past gradients with this factor.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Sgd<S> {
        self.momentum.factor = momentum;
        self
    }

    /// Lets the gradient count 1 − `dampening` in the average.
    #[must_use]
    pub fn dampening(mut self, dampening: f64) -> Sgd<S> {
        self.momentum.dampening = dampening;
        self
    }

    /// Looks ahead, as Nesterov does.
    #[must_use]
    pub fn nesterov(mut self) -> Sgd<S> {
        self.momentum.nesterov = true;
        self
    }

    /// Adds this multiple of the weights to the gradient.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> Sgd<S> {
        self.weight_decay = weight_decay;
        self
    }

    /// Adds this multiple of the weights' signs to the gradient.
    #[must_use]
    pub fn l1(mut self, l1: f64) -> Sgd<S> {
        self.l1 = l1;
        self
    }

    /// Whether tensors of rank 0 and 1 are decayed too; not by default.
    #[must_use]
    pub fn decay_biases(mut self, decay: bool) -> Sgd<S> {
        self.decay_biases = decay;
        self
    }
}

impl<T: Element, S: Schedule> Optimizer<T> for Sgd<S> {
    fn state_len(&self, parameter_len: usize) -> usize {
        self.state_len(parameter_len)
    }

    /// Without momentum.
    fn updates_parts(&self) -> bool {
        self.momentum.state_len(1) == 0
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_rate(&self.rate)?;
        check_not_negative("weight_decay", self.weight_decay)?;
        check_not_negative("l1", self.l1)?;
        self.momentum.check()
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

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]) {
        if self.l1 != 0.0 {
            let penalty = L1::new(self.l1).biases(self.decay_biases);
            Transform::update(&penalty, cx, parameter, gradient, &mut []);
        }
        let rate = self.rate.at_f64(cx.step);
        let decay = Decay::l2(decay_of(cx, self.weight_decay, self.decay_biases), rate);
        let descend: Descend<'_, T> = decay.descend(parameter, gradient, rate);
        self.momentum.go(cx, descend, state);
    }
}

/// Momentum as a link of a chain: v ← μ·v + (1 − τ)·u, u ← v, or u ← u + μ·v after Nesterov.
///
/// The first update counts in full (v = u). The state is v. A factor of 0 does nothing and needs no state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// μ, at least 0 and below 1.
    pub factor: f64,
    /// τ, 0 by default; has to be 0 for Nesterov's.
    pub dampening: f64,
    /// Whether to look ahead.
    pub nesterov: bool,
}

impl Momentum {
    /// Momentum with this factor; 0.9 is usual.
    pub const fn new(factor: f64) -> Momentum {
        Momentum { factor, dampening: 0.0, nesterov: false }
    }

    /// How many numbers of state `parameter_len` parameters need.
    pub const fn state_len(&self, parameter_len: usize) -> usize {
        if self.factor == 0.0 { 0 } else { parameter_len }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        check_unit("momentum", self.factor)?;
        let fits = !self.nesterov || self.dampening == 0.0;
        check("dampening", self.dampening, "0 with Nesterov's momentum", fits)?;
        check("momentum", self.factor, "above 0 for Nesterov's", !self.nesterov || self.factor != 0.0)?;
        check_unit("dampening", self.dampening)
    }

    fn go<T: Element>(&self, cx: &UpdateContext<'_>, job: impl Job<T>, state: &mut [T]) {
        // The state and not the factor decides: a factor that is scheduled may come by 0.
        if state.is_empty() {
            return job.run(cx, Plain, state);
        }
        let factor = T::from_f64(self.factor);
        let fresh = if cx.step == 0 { T::one() } else { T::from_f64(1.0 - self.dampening) };
        if self.nesterov {
            job.run(cx, Nesterov { factor, fresh }, state);
        } else {
            job.run(cx, Average { factor, fresh }, state);
        }
    }
}

impl<T: Element> Transform<T> for Momentum {
    fn state_len(&self, parameter_len: usize) -> usize {
        self.state_len(parameter_len)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        self.check()
    }

    fn update(&self, cx: &UpdateContext<'_>, _parameter: &[T], updates: &mut [T], state: &mut [T]) {
        if !state.is_empty() {
            self.go(cx, Turn { updates }, state);
        }
    }
}

/// The gradient as it is.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl<T: Element> Rule<T, 0> for Plain {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        _simd: S,
        g: T::Vector<S>,
        state: Lanes<T, S, 0>,
    ) -> (T::Vector<S>, Lanes<T, S, 0>) {
        (g, state)
    }
}

#[derive(Clone, Copy)]
struct Average<T> {
    factor: T,
    fresh: T,
}

impl<T: Element> Rule<T, 1> for Average<T> {
    #[inline(always)]
    fn next<S: Simd>(&self, simd: S, g: T::Vector<S>, [v]: Lanes<T, S, 1>) -> (T::Vector<S>, Lanes<T, S, 1>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        let v = s(self.factor) * v + s(self.fresh) * g;
        (v, [v])
    }
}

#[derive(Clone, Copy)]
struct Nesterov<T> {
    factor: T,
    fresh: T,
}

impl<T: Element> Rule<T, 1> for Nesterov<T> {
    #[inline(always)]
    fn next<S: Simd>(&self, simd: S, g: T::Vector<S>, [v]: Lanes<T, S, 1>) -> (T::Vector<S>, Lanes<T, S, 1>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        let v = s(self.factor) * v + s(self.fresh) * g;
        (g + s(self.factor) * v, [v])
    }
}
