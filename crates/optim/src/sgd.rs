//! Gradient descent, with momentum if wanted.

use crate::Transform;
use crate::update::{check_not_negative, check_rate, check_unit, common_len, decay_of, for_each, pieces};
use bantam_core::{InvalidSetting, Optimizer, Schedule, UpdateContext};
use bantam_kernels::Element;

/// Gradient descent: θ ← θ − η·g, with momentum v ← μ·v + (1 − τ)·g, θ ← θ − η·v.
///
/// * `rate` η: any schedule. 0.1 for plain descent on normalised data, 0.01 to 0.1 with momentum.
/// * `momentum` μ: 0 by default, which needs no state; 0.9 is usual.
/// * `dampening` τ: 0 by default: the gradient counts in full. The first gradient always does.
/// * `nesterov`: steps by g + μ·v instead of v.
/// * `weight_decay` λ: adds λ·θ to the gradient (L2 regularisation); 0 by default, 1e-4 to 5e-4 is usual. Biases and
///   gains are left out.
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
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}

impl<S: Schedule> Sgd<S> {
    /// Plain gradient descent.
    pub const fn new(rate: S) -> Sgd<S> {
        Sgd { rate, momentum: Momentum::new(0.0), weight_decay: 0.0, decay_biases: false }
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

    /// Whether tensors of rank 0 and 1 are decayed too; not by default.
    #[must_use]
    pub fn decay_biases(mut self, decay: bool) -> Sgd<S> {
        self.decay_biases = decay;
        self
    }
}

impl<T: Element, S: Schedule> Optimizer<T> for Sgd<S> {
    fn state_len(&self, parameter_len: usize) -> usize {
        Transform::<T>::state_len(&self.momentum, parameter_len)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_rate(&self.rate)?;
        check_not_negative("weight_decay", self.weight_decay)?;
        Transform::<T>::validate(&self.momentum)
    }

    fn learning_rate(&self, step: u64) -> Option<f32> {
        Some(self.rate.at(step))
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        self.rate.set_run_length(steps, steps_per_epoch);
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]) {
        let rate = T::from_f64(f64::from(self.rate.at(cx.step)));
        let decay = T::from_f64(decay_of(cx, self.weight_decay, self.decay_biases));
        if self.momentum.factor == 0.0 {
            let n = common_len(parameter, gradient, state, 0);
            for_each(cx, [&mut parameter[..n], &mut gradient[..n]], |[p, g]| {
                for (p, g) in p.iter_mut().zip(g) {
                    *p -= rate * (*g + decay * *p);
                }
            });
            return;
        }
        let average = self.momentum.average(cx);
        let n = common_len(parameter, gradient, state, 1);
        let [v] = pieces(state, n);
        for_each(cx, [&mut parameter[..n], &mut gradient[..n], v], |[p, g, v]| {
            for ((p, g), v) in p.iter_mut().zip(g).zip(v) {
                let step = average.next(*g + decay * *p, v);
                *p -= rate * step;
            }
        });
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

    fn average<T: Element>(&self, cx: &UpdateContext<'_>) -> Average<T> {
        Average {
            factor: T::from_f64(self.factor),
            fresh: if cx.step == 0 { T::one() } else { T::from_f64(1.0 - self.dampening) },
            nesterov: self.nesterov,
        }
    }
}

/// The numbers that momentum needs for one tensor.
#[derive(Clone, Copy)]
struct Average<T> {
    factor: T,
    fresh: T,
    nesterov: bool,
}

impl<T: Element> Average<T> {
    /// Takes in one gradient and gives the step.
    #[inline(always)]
    fn next(self, g: T, v: &mut T) -> T {
        *v = self.factor * *v + self.fresh * g;
        if self.nesterov { g + self.factor * *v } else { *v }
    }
}

impl<T: Element> Transform<T> for Momentum {
    fn state_len(&self, parameter_len: usize) -> usize {
        if self.factor == 0.0 { 0 } else { parameter_len }
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_unit("momentum", self.factor)?;
        if self.nesterov && self.dampening != 0.0 {
            return Err(InvalidSetting {
                setting: "dampening",
                found: self.dampening,
                expected: "0 with Nesterov's momentum",
            });
        }
        if self.nesterov && self.factor == 0.0 {
            return Err(InvalidSetting {
                setting: "momentum",
                found: self.factor,
                expected: "above 0 for Nesterov's",
            });
        }
        check_unit("dampening", self.dampening)
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &[T], updates: &mut [T], state: &mut [T]) {
        if self.factor == 0.0 {
            return;
        }
        let average = self.average(cx);
        let n = common_len(parameter, updates, state, 1);
        let [v] = pieces(state, n);
        for_each(cx, [&mut updates[..n], v], |[u, v]| {
            for (u, v) in u.iter_mut().zip(v) {
                *u = average.next(*u, v);
            }
        });
    }
}
