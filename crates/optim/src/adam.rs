//! Adam and its kin: every parameter has its own scale.

use crate::Transform;
use crate::update::{
    check_not_negative, check_positive, check_rate, check_unit, common_len, decay_of, for_each, pieces, power,
};
use bantam_core::{InvalidSetting, Optimizer, Schedule, UpdateContext};
use bantam_kernels::Element;

/// Adam's scaling as a link of a chain: u ← m̂ / (√v̂ + ε), with running means m of u and v of u².
///
/// * `beta1`: how much of the mean m stays, 0.9 by default: an average over about 10 steps.
/// * `beta2`: how much of the mean square v stays, 0.999 by default: over about 1000 steps. Lower it to 0.95 or 0.99
///   for short runs and noisy gradients.
/// * `epsilon`: 1e-8 by default; bounds the scale where gradients are tiny. Raise it if the loss jumps late in
///   training.
///
/// The state is m, then v. In `f32` the square of a gradient beyond 1.8e19 overflows: v becomes infinite, and its
/// parameter stands still from then on instead of jumping. Clip before, if gradients get anywhere near.
///
/// D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", 2014, arXiv:1412.6980.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByAdam {
    /// How much of the mean stays.
    pub beta1: f64,
    /// How much of the mean square stays.
    pub beta2: f64,
    /// Keeps the quotient finite.
    pub epsilon: f64,
}

impl Default for ScaleByAdam {
    fn default() -> ScaleByAdam {
        ScaleByAdam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

impl ScaleByAdam {
    fn validate(&self) -> Result<(), InvalidSetting> {
        check_unit("beta1", self.beta1)?;
        check_unit("beta2", self.beta2)?;
        check_positive("epsilon", self.epsilon)
    }

    fn at<T: Element>(&self, step: u64) -> Moments<T> {
        let updates = step.saturating_add(1);
        Moments {
            keep1: T::from_f64(self.beta1),
            fresh1: T::from_f64(1.0 - self.beta1),
            keep2: T::from_f64(self.beta2),
            fresh2: T::from_f64(1.0 - self.beta2),
            correction1: T::from_f64(1.0 / (1.0 - power(self.beta1, updates))),
            correction2: T::from_f64(1.0 / (1.0 - power(self.beta2, updates))),
            epsilon: T::from_f64(self.epsilon),
        }
    }
}

/// The numbers that Adam needs for one tensor at one step.
#[derive(Clone, Copy)]
struct Moments<T> {
    keep1: T,
    fresh1: T,
    keep2: T,
    fresh2: T,
    correction1: T,
    correction2: T,
    epsilon: T,
}

impl<T: Element> Moments<T> {
    /// Takes in one gradient and gives the update.
    #[inline(always)]
    fn next(self, g: T, m: &mut T, v: &mut T) -> T {
        *m = self.keep1 * *m + self.fresh1 * g;
        *v = self.keep2 * *v + self.fresh2 * (g * g);
        *m * self.correction1 / ((*v * self.correction2).sqrt() + self.epsilon)
    }
}

impl<T: Element> Transform<T> for ScaleByAdam {
    fn state_len(&self, parameter_len: usize) -> usize {
        2 * parameter_len
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        self.validate()
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &[T], updates: &mut [T], state: &mut [T]) {
        let moments = self.at(cx.step);
        let n = common_len(parameter, updates, state, 2);
        let [m, v] = pieces(state, n);
        for_each(cx, [&mut updates[..n], m, v], |[u, m, v]| {
            for ((u, m), v) in u.iter_mut().zip(m).zip(v) {
                *u = moments.next(*u, m, v);
            }
        });
    }
}

/// Adam: θ ← θ − η·m̂ / (√v̂ + ε).
///
/// * `rate` η: any schedule; 0.001 by default. About the distance that a parameter moves in a step.
/// * `scale`: β₁, β₂ and ε, see [`ScaleByAdam`].
/// * `weight_decay` λ: adds λ·θ to the gradient (L2 regularisation); 0 by default. To decay weights, [`AdamW`] is the
///   better choice. Biases and gains are left out.
///
/// D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", 2014, arXiv:1412.6980.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// β₁, β₂ and ε.
    pub scale: ScaleByAdam,
    /// The strength λ of L2 regularisation.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}

/// AdamW: θ ← θ − η·(m̂ / (√v̂ + ε) + λ·θ), Adam with decoupled weight decay.
///
/// * `rate` η: any schedule; 0.001 by default. About the distance that a parameter moves in a step.
/// * `scale`: β₁, β₂ and ε, see [`ScaleByAdam`].
/// * `weight_decay` λ: 0.01 by default; weights shrink by η·λ of themselves per step. Up to 0.1 for large networks.
///   Biases and gains are left out.
///
/// I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", 2017, arXiv:1711.05101.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// β₁, β₂ and ε.
    pub scale: ScaleByAdam,
    /// The strength λ of the decay.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}

/// The two have the same settings, and only differ in where the decay goes and how strong it is by default.
macro_rules! adam {
    ($name:ident, $weight_decay:literal) => {
        impl Default for $name {
            fn default() -> $name {
                $name::new(0.001)
            }
        }

        impl<S: Schedule> $name<S> {
            /// The defaults with this learning rate.
            pub const fn new(rate: S) -> $name<S> {
                let scale = ScaleByAdam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
                $name { rate, scale, weight_decay: $weight_decay, decay_biases: false }
            }

            /// Another learning rate: a number or any other schedule.
            #[must_use]
            pub fn rate<R: Schedule>(self, rate: R) -> $name<R> {
                let $name { scale, weight_decay, decay_biases, .. } = self;
                $name { rate, scale, weight_decay, decay_biases }
            }

            /// How much of the mean and of the mean square stays.
            #[must_use]
            pub fn betas(mut self, beta1: f64, beta2: f64) -> $name<S> {
                (self.scale.beta1, self.scale.beta2) = (beta1, beta2);
                self
            }

            /// Keeps the quotient finite.
            #[must_use]
            pub fn epsilon(mut self, epsilon: f64) -> $name<S> {
                self.scale.epsilon = epsilon;
                self
            }

            /// The strength of the decay.
            #[must_use]
            pub fn weight_decay(mut self, weight_decay: f64) -> $name<S> {
                self.weight_decay = weight_decay;
                self
            }

            /// Whether tensors of rank 0 and 1 are decayed too; not by default.
            #[must_use]
            pub fn decay_biases(mut self, decay: bool) -> $name<S> {
                self.decay_biases = decay;
                self
            }
        }

        impl<T: Element, S: Schedule> Optimizer<T> for $name<S> {
            fn state_len(&self, parameter_len: usize) -> usize {
                2 * parameter_len
            }

            fn validate(&self) -> Result<(), InvalidSetting> {
                check_rate(&self.rate)?;
                check_not_negative("weight_decay", self.weight_decay)?;
                self.scale.validate()
            }

            fn learning_rate(&self, step: u64) -> Option<f32> {
                Some(self.rate.at(step))
            }

            fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
                self.rate.set_run_length(steps, steps_per_epoch);
            }

            fn update(
                &self,
                cx: &UpdateContext<'_>,
                parameter: &mut [T],
                gradient: &mut [T],
                state: &mut [T],
            ) {
                let rate = T::from_f64(f64::from(self.rate.at(cx.step)));
                let decay = T::from_f64(decay_of(cx, self.weight_decay, self.decay_biases));
                let moments: Moments<T> = self.scale.at(cx.step);
                let n = common_len(parameter, gradient, state, 2);
                let [m, v] = pieces(state, n);
                for_each(cx, [&mut parameter[..n], &mut gradient[..n], m, v], |[p, g, m, v]| {
                    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                        *p -= rate * $name::<S>::step(moments, *p, *g, decay, m, v);
                    }
                });
            }
        }
    };
}
adam!(Adam, 0.0);
adam!(AdamW, 0.01);

impl<S> Adam<S> {
    #[inline(always)]
    fn step<T: Element>(moments: Moments<T>, p: T, g: T, decay: T, m: &mut T, v: &mut T) -> T {
        moments.next(g + decay * p, m, v)
    }
}

impl<S> AdamW<S> {
    #[inline(always)]
    fn step<T: Element>(moments: Moments<T>, p: T, g: T, decay: T, m: &mut T, v: &mut T) -> T {
        moments.next(g, m, v) + decay * p
    }
}
