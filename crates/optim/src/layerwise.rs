//! Rules with a rate for every layer: LARS and LAMB, for very large batches.

use crate::update::{
    Job, Kept, Lanes, Rule, Step, both, check_not_negative, check_positive, check_rate, check_unit,
    common_len, decay_of, norms, pieces, square_root, walk,
};
use crate::{ScaleByAdam, Transform};
use bantam_core::{InvalidSetting, Optimizer, Schedule, UpdateContext};
use bantam_kernels::{Element, Simd, Vector};

/// Gives every tensor a rate of its own, in proportion to its weights: u ← u · κ·‖θ‖ / (‖u‖ + ε); u stays as it is where
/// either norm is 0.
///
/// * `coefficient` κ: the share of its own length that a tensor moves per unit of rate; 1 by default.
/// * `epsilon` ε: 0 by default.
/// * `biases`: whether tensors of rank 0 and 1 are scaled too; not by default, since biases start at 0 and would never
///   leave it.
///
/// A link of a chain: with momentum after it LARS, with Adam's scaling before it LAMB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByTrustRatio {
    /// κ.
    pub coefficient: f64,
    /// ε.
    pub epsilon: f64,
    /// Whether tensors of rank 0 and 1 are scaled too.
    pub biases: bool,
}

impl Default for ScaleByTrustRatio {
    fn default() -> ScaleByTrustRatio {
        ScaleByTrustRatio::new(1.0)
    }
}

impl ScaleByTrustRatio {
    /// With this κ.
    pub const fn new(coefficient: f64) -> ScaleByTrustRatio {
        ScaleByTrustRatio { coefficient, epsilon: 0.0, biases: false }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        check_positive("trust coefficient", self.coefficient)?;
        check_not_negative("epsilon", self.epsilon)
    }

    /// By how much u + decay·θ is multiplied.
    fn ratio<T: Element>(&self, cx: &UpdateContext<'_>, parameter: &[T], updates: &[T], decay: T) -> T {
        if cx.shape.rank() < 2 && !self.biases {
            return T::one();
        }
        let [weights, update] = norms(cx, parameter, updates, decay);
        T::from_f64(self.of_norms(cx, weights, update))
    }

    fn of_norms(&self, cx: &UpdateContext<'_>, weights: f64, update: f64) -> f64 {
        let scaled = (cx.shape.rank() > 1 || self.biases) && weights > 0.0 && update > 0.0;
        if scaled { self.coefficient * weights / (update + self.epsilon) } else { 1.0 }
    }
}

impl<T: Element> Transform<T> for ScaleByTrustRatio {
    fn validate(&self) -> Result<(), InvalidSetting> {
        self.check()
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &[T], updates: &mut [T], _state: &mut [T]) {
        let factor = self.ratio(cx, parameter, updates, T::zero());
        if factor != T::one() {
            walk(cx, [updates], [], Scaled(factor));
        }
    }
}

#[derive(Clone, Copy)]
struct Scaled<T>(T);

impl<T: Element> Step<T, 1, 0> for Scaled<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        [u]: Lanes<T, S, 1>,
        state: Lanes<T, S, 0>,
    ) -> (Lanes<T, S, 1>, Lanes<T, S, 0>) {
        ([u * T::Vector::<S>::splat(simd, self.0)], state)
    }
}

/// LARS: momentum with a rate for every layer, v ← μ·v + η·κ·‖θ‖/‖u‖·u, θ ← θ − v, with u = g + λ·θ.
///
/// * `rate` η: any schedule with a warm-up; 0.1 by default, several times that for batches of thousands.
/// * `momentum` μ: 0.9 by default.
/// * `trust` κ: 0.001 by default: η·κ is the share of its own length that a layer moves in a step, see
///   [`ScaleByTrustRatio`]. Biases and gains move by η·u.
/// * `weight_decay` λ: 1e-4 by default. Biases and gains are left out.
///
/// State: 1 number per parameter. It reads its tensors twice, once for the norms. Choose it to train convolutional
/// networks with batches of 8,192 and more, where one rate for all layers diverges.
///
/// Y. You, I. Gitman, B. Ginsburg, "Large batch training of convolutional networks", 2017, arXiv:1708.03888; the norm in
/// the denominator is that of u, as in optax.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lars<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// The momentum μ.
    pub momentum: f64,
    /// The rate of each layer.
    pub trust: ScaleByTrustRatio,
    /// The strength λ of L2 regularisation.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}

impl Default for Lars {
    fn default() -> Lars {
        Lars::new(0.1)
    }
}

/// LAMB: Adam with a rate for every layer, θ ← θ − η·κ·‖θ‖/‖u‖·u with u = m̂ / (√v̂ + ε) + λ·θ.
///
/// * `rate` η: any schedule with a warm-up; 0.001 by default, 0.01 for batches of thousands. The share of its own length
///   that a layer moves in a step.
/// * `scale`: β₁, β₂ and ε (here 1e-6), see [`ScaleByAdam`].
/// * `trust` κ: 1 by default, see [`ScaleByTrustRatio`]. Biases and gains move as in AdamW.
/// * `weight_decay` λ: 0.01 by default. Biases and gains are left out.
///
/// State: 2 numbers per parameter. It goes over its tensors twice: the step needs the norms. Choose it to train transformers with
/// batches of thousands.
///
/// Y. You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2019, arXiv:1904.00962.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lamb<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// β₁, β₂ and ε.
    pub scale: ScaleByAdam,
    /// The rate of each layer.
    pub trust: ScaleByTrustRatio,
    /// The strength λ of the decay.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}

impl Default for Lamb {
    fn default() -> Lamb {
        Lamb::new(0.001)
    }
}

impl<S> Lars<S> {
    /// The defaults with this learning rate.
    pub const fn new(rate: S) -> Lars<S> {
        let trust = ScaleByTrustRatio::new(0.001);
        Lars { rate, momentum: 0.9, trust, weight_decay: 1e-4, decay_biases: false }
    }

    /// How many numbers of state `parameter_len` parameters need.
    pub const fn state_len(&self, parameter_len: usize) -> usize {
        parameter_len
    }

    /// How much of the last step stays.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Lars<S> {
        self.momentum = momentum;
        self
    }
}

impl<S> Lamb<S> {
    /// The defaults with this learning rate.
    pub const fn new(rate: S) -> Lamb<S> {
        let scale = ScaleByAdam { epsilon: 1e-6, ..ScaleByAdam::DEFAULT };
        let trust = ScaleByTrustRatio::new(1.0);
        Lamb { rate, scale, trust, weight_decay: 0.01, decay_biases: false }
    }

    /// How many numbers of state `parameter_len` parameters need.
    pub const fn state_len(&self, parameter_len: usize) -> usize {
        self.scale.state_len(parameter_len)
    }

    /// How much of the mean and of the mean square stays.
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Lamb<S> {
        (self.scale.beta1, self.scale.beta2) = (beta1, beta2);
        self
    }
}

/// The two have these settings and methods in common.
macro_rules! common {
    ($name:ident) => {
        impl<S> $name<S> {
            /// The rate of each layer.
            #[must_use]
            pub fn trust(mut self, trust: ScaleByTrustRatio) -> $name<S> {
                self.trust = trust;
                self
            }

            /// The strength λ of the decay.
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
    };
}
common!(Lars);
common!(Lamb);

impl<T: Element, S: Schedule> Optimizer<T> for Lars<S> {
    fn state_len(&self, parameter_len: usize) -> usize {
        self.state_len(parameter_len)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_rate(&self.rate)?;
        check_unit("momentum", self.momentum)?;
        check_not_negative("weight_decay", self.weight_decay)?;
        self.trust.check()
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
        let n = common_len(parameter, gradient, state, 1);
        let (parameter, gradient) = (&mut parameter[..n], &mut gradient[..n]);
        let decay = T::from_f64(decay_of(cx, self.weight_decay, self.decay_biases));
        let ratio = self.trust.ratio(cx, parameter, gradient, decay);
        let rate = T::from_f64(self.rate.at_f64(cx.step)) * ratio;
        let momentum = T::from_f64(self.momentum);
        walk(cx, [parameter, gradient], pieces::<_, 1>(state, n), Velocity { momentum, rate, decay });
    }
}

/// v ← μ·v + η·(g + λ·θ), θ ← θ − v: the rate lies inside the momentum.
#[derive(Clone, Copy)]
struct Velocity<T> {
    momentum: T,
    rate: T,
    decay: T,
}

impl<T: Element> Step<T, 2, 1> for Velocity<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        [p, g]: Lanes<T, S, 2>,
        [v]: Lanes<T, S, 1>,
    ) -> (Lanes<T, S, 2>, Lanes<T, S, 1>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        let v = s(self.momentum) * v + s(self.rate) * (g + s(self.decay) * p);
        ([p - v, g], [v])
    }
}

impl<T: Element, S: Schedule> Optimizer<T> for Lamb<S> {
    fn state_len(&self, parameter_len: usize) -> usize {
        self.state_len(parameter_len)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_rate(&self.rate)?;
        check_not_negative("weight_decay", self.weight_decay)?;
        self.scale.check()?;
        self.trust.check()
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
        let decay = T::from_f64(decay_of(cx, self.weight_decay, self.decay_biases));
        let mut squares = [0.0; 2];
        let job = TurnAndDecay { updates: gradient, parameter, decay, squares: &mut squares };
        self.scale.go(cx, job, state);
        let [update, weights] = squares.map(square_root);
        let ratio = T::from_f64(self.trust.of_norms(cx, weights, update));
        let rate = T::from_f64(self.rate.at_f64(cx.step));
        let n = parameter.len().min(gradient.len());
        walk(cx, [&mut parameter[..n], &mut gradient[..n]], [], Along { ratio, rate });
    }
}

/// Turns updates by a rule, adds decay, and sums up the squares of updates and parameters, in one pass.
struct TurnAndDecay<'a, T> {
    updates: &'a mut [T],
    parameter: &'a mut [T],
    decay: T,
    squares: &'a mut [f64; 2],
}

impl<T: Element> Job<T> for TurnAndDecay<'_, T> {
    #[inline(always)]
    fn run<const K: usize>(self, cx: &UpdateContext<'_>, rule: impl Rule<T, K>, state: impl Kept<T, K>) {
        let TurnAndDecay { updates, parameter, decay, squares } = self;
        let n = state.elements(both(parameter, updates));
        let step = TurnedAndDecayed { rule, decay };
        *squares = state.walk::<2, true>(cx, [&mut updates[..n], &mut parameter[..n]], step);
    }
}

#[derive(Clone, Copy)]
struct TurnedAndDecayed<R, T> {
    rule: R,
    decay: T,
}

impl<T: Element, R: Rule<T, K>, const K: usize> Step<T, 2, K> for TurnedAndDecayed<R, T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        [u, p]: Lanes<T, S, 2>,
        state: Lanes<T, S, K>,
    ) -> (Lanes<T, S, 2>, Lanes<T, S, K>) {
        let (u, state) = self.rule.next(simd, u, state);
        ([u + T::Vector::<S>::splat(simd, self.decay) * p, p], state)
    }
}

/// θ ← θ − η·(ratio·u).
#[derive(Clone, Copy)]
struct Along<T> {
    ratio: T,
    rate: T,
}

impl<T: Element> Step<T, 2, 0> for Along<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        [p, u]: Lanes<T, S, 2>,
        state: Lanes<T, S, 0>,
    ) -> (Lanes<T, S, 2>, Lanes<T, S, 0>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        ([p - s(self.rate) * (u * s(self.ratio)), u], state)
    }
}
