//! Adam's kin: AdaMax, Nadam, RAdam, AdaBelief, Adan, and Lion, which keeps signs only.

use crate::update::{
    Job, Lanes, Rule, check_not_negative, check_positive, check_unit, correction, exponential, logarithm,
    named, power, sign, square_root, transform,
};
use bantam_core::{InvalidSetting, UpdateContext};
use bantam_kernels::{Element, Simd, Vector};

/// Defines the settings β₁, β₂ and ε that these rules share, with two pieces of state.
macro_rules! betas {
    ($scale:ident, $epsilon:literal, $(#[$doc:meta])*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $scale {
            /// How much of the mean stays.
            pub beta1: f64,
            /// How much of the scale stays.
            pub beta2: f64,
            /// Keeps the quotient finite.
            pub epsilon: f64,
        }

        impl $scale {
            /// The values above.
            pub const DEFAULT: $scale = $scale { beta1: 0.9, beta2: 0.999, epsilon: $epsilon };

            /// How many numbers of state `parameter_len` parameters need.
            pub const fn state_len(&self, parameter_len: usize) -> usize {
                2 * parameter_len
            }

            pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
                check_unit("beta1", self.beta1)?;
                check_unit("beta2", self.beta2)?;
                check_positive("epsilon", self.epsilon)
            }

            /// The share that stays and the share of what comes, for both averages.
            fn shares<T: Element>(&self) -> [T; 4] {
                [self.beta1, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2].map(T::from_f64)
            }
        }
        transform!($scale);
    };
}

betas!(
    ScaleByAdaMax,
    1e-8,
    /// AdaMax's scaling as a link of a chain: u ← m̂ / s, with the running mean m of u and the fading maximum
    /// s ← max(β₂·s, |u| + ε).
    ///
    /// β₁ = 0.9, β₂ = 0.999, ε = 1e-8 by default. The state is m, then s. See [`AdaMax`].
);

impl ScaleByAdaMax {
    pub(crate) fn go<T: Element>(&self, cx: &UpdateContext<'_>, job: impl Job<T>, state: &mut [T]) {
        let updates = cx.step.saturating_add(1);
        let correction = T::from_f64(correction(self.beta1, updates));
        job.run(cx, Maximum { shares: self.shares(), correction, epsilon: T::from_f64(self.epsilon) }, state);
    }
}

#[derive(Clone, Copy)]
struct Maximum<T> {
    shares: [T; 4],
    correction: T,
    epsilon: T,
}

impl<T: Element> Rule<T, 2> for Maximum<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        g: T::Vector<S>,
        [m, largest]: Lanes<T, S, 2>,
    ) -> (T::Vector<S>, Lanes<T, S, 2>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        let [keep1, fresh1, keep2, _] = self.shares.map(s);
        let m = keep1 * m + fresh1 * g;
        let largest = (keep2 * largest).max(g.abs() + s(self.epsilon));
        (s(self.correction) * m / largest, [m, largest])
    }
}

/// AdaMax: θ ← θ − η·m̂ / s, s ← max(β₂·s, |g| + ε): Adam with the maximum in place of the mean square.
///
/// * `rate` η: any schedule; 0.002 by default. No parameter moves farther than η in a step.
/// * `scale`: β₁, β₂ and ε, see [`ScaleByAdaMax`].
/// * `weight_decay` λ: adds λ·θ to the gradient; 0 by default. Biases and gains are left out.
///
/// State: 2 numbers per parameter. Nothing is squared and no root is taken, so gradients of any size are safe. Choose it
/// where gradients are mostly 0 with rare peaks, such as embeddings.
///
/// D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", 2014, arXiv:1412.6980, section 7.1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaMax<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// β₁, β₂ and ε.
    pub scale: ScaleByAdaMax,
    /// The strength λ of L2 regularisation.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}
named!(AdaMax = ScaleByAdaMax, rate: 0.002, weight_decay: 0.0, l2);

/// Nadam's scaling as a link of a chain: Adam's, with Nesterov's look ahead.
///
/// > u ← ((1 − μₜ)·u / (1 − Πμ) + μₜ₊₁·m / (1 − Πμ·μₜ₊₁)) / (√v̂ + ε),  μₜ = β₁·(1 − ½·0.96^(t·ψ))
///
/// * `beta1`, `beta2`, `epsilon`: as in Adam, 0.9, 0.999, 1e-8.
/// * `momentum_decay` ψ: how slowly the look ahead grows to β₁; 0.004 by default.
///
/// The state is m, then v, then one number for the whole tensor: 1 − Πμ. See [`Nadam`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByNadam {
    /// How much of the mean stays.
    pub beta1: f64,
    /// How much of the mean square stays.
    pub beta2: f64,
    /// Keeps the quotient finite.
    pub epsilon: f64,
    /// How slowly the look ahead grows.
    pub momentum_decay: f64,
}

impl ScaleByNadam {
    /// The values above.
    pub const DEFAULT: ScaleByNadam =
        ScaleByNadam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, momentum_decay: 0.004 };

    /// How many numbers of state `parameter_len` parameters need.
    pub const fn state_len(&self, parameter_len: usize) -> usize {
        if parameter_len == 0 { 0 } else { 2 * parameter_len + 1 }
    }

    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        check_unit("beta1", self.beta1)?;
        check_unit("beta2", self.beta2)?;
        check_not_negative("momentum_decay", self.momentum_decay)?;
        check_positive("epsilon", self.epsilon)
    }

    pub(crate) fn go<T: Element>(&self, cx: &UpdateContext<'_>, job: impl Job<T>, state: &mut [T]) {
        let Some((gap, state)) = state.split_last_mut() else { return job.run(cx, crate::sgd::Plain, state) };
        let momentum = |updates: u64| {
            let exponent = updates as f64 * self.momentum_decay;
            self.beta1 * (1.0 - 0.5 * exponential(exponent * logarithm(0.96)))
        };
        let updates = cx.step.saturating_add(1);
        let (now, next) = (momentum(updates), momentum(updates.saturating_add(1)));
        // 1 − Πμ and not Πμ: all zeros is the first state.
        let product = (1.0 - bantam_core::Real::to_f64(*gap)) * now;
        *gap = T::from_f64(1.0 - product);
        let rule = LookAhead {
            shares: [self.beta1, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2].map(T::from_f64),
            gradient: T::from_f64((1.0 - now) / (1.0 - product)),
            mean: T::from_f64(next / (1.0 - product * next)),
            correction: T::from_f64(correction(self.beta2, updates)),
            epsilon: T::from_f64(self.epsilon),
        };
        job.run(cx, rule, state);
    }
}
transform!(ScaleByNadam);

#[derive(Clone, Copy)]
struct LookAhead<T> {
    shares: [T; 4],
    gradient: T,
    mean: T,
    correction: T,
    epsilon: T,
}

impl<T: Element> Rule<T, 2> for LookAhead<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        g: T::Vector<S>,
        [m, v]: Lanes<T, S, 2>,
    ) -> (T::Vector<S>, Lanes<T, S, 2>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        let [keep1, fresh1, keep2, fresh2] = self.shares.map(s);
        let m = keep1 * m + fresh1 * g;
        let v = keep2 * v + fresh2 * (g * g);
        let ahead = s(self.gradient) * g + s(self.mean) * m;
        (ahead / ((v * s(self.correction)).sqrt() + s(self.epsilon)), [m, v])
    }
}

/// Nadam: Adam whose mean looks one step ahead, as Nesterov's momentum does.
///
/// * `rate` η: any schedule; 0.002 by default.
/// * `scale`: β₁, β₂, ε and ψ, see [`ScaleByNadam`], which has the formula.
/// * `weight_decay` λ: adds λ·θ to the gradient; 0 by default. Biases and gains are left out.
///
/// State: 2 numbers per parameter and 1 per tensor. Choose it where Adam oscillates, and for recurrent networks.
///
/// T. Dozat, "Incorporating Nesterov momentum into Adam", 2016.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nadam<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// β₁, β₂, ε and ψ.
    pub scale: ScaleByNadam,
    /// The strength λ of L2 regularisation.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}
named!(Nadam = ScaleByNadam, rate: 0.002, weight_decay: 0.0, l2);

betas!(
    ScaleByRAdam,
    1e-8,
    /// RAdam's scaling as a link of a chain: u ← r·m̂ / √v̂ once enough squares are seen to trust their mean, u ← m̂ before.
    ///
    /// > ρ = ρ∞ − 2·t·β₂ᵗ / (1 − β₂ᵗ),  ρ∞ = 2 / (1 − β₂) − 1
    /// >
    /// > r = √((ρ − 4)(ρ − 2)·ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)·ρ)) where ρ > 5
    ///
    /// β₁ = 0.9, β₂ = 0.999, ε = 1e-8 (added to √v) by default. The state is m, then v. See [`RAdam`].
);

impl ScaleByRAdam {
    pub(crate) fn go<T: Element>(&self, cx: &UpdateContext<'_>, job: impl Job<T>, state: &mut [T]) {
        let updates = cx.step.saturating_add(1);
        let left = power(self.beta2, updates);
        let limit = 2.0 / (1.0 - self.beta2) - 1.0;
        let seen = limit - 2.0 * updates as f64 * left / (1.0 - left);
        let trust = (seen > 5.0).then(|| {
            let ratio = (seen - 4.0) * (seen - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * seen);
            square_root(ratio * (1.0 - left))
        });
        let rule = Rectified {
            shares: self.shares(),
            correction: T::from_f64(correction(self.beta1, updates)),
            trust: trust.map(T::from_f64),
            epsilon: T::from_f64(self.epsilon),
        };
        job.run(cx, rule, state);
    }
}

#[derive(Clone, Copy)]
struct Rectified<T> {
    shares: [T; 4],
    correction: T,
    trust: Option<T>,
    epsilon: T,
}

impl<T: Element> Rule<T, 2> for Rectified<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        g: T::Vector<S>,
        [m, v]: Lanes<T, S, 2>,
    ) -> (T::Vector<S>, Lanes<T, S, 2>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        let [keep1, fresh1, keep2, fresh2] = self.shares.map(s);
        let m = keep1 * m + fresh1 * g;
        let v = keep2 * v + fresh2 * (g * g);
        let mean = s(self.correction) * m;
        let update = match self.trust {
            Some(trust) => mean * (s(trust) / (v.sqrt() + s(self.epsilon))),
            None => mean,
        };
        (update, [m, v])
    }
}

/// RAdam: Adam that begins as gradient descent with momentum and takes up Adam's scaling as its variance falls.
///
/// Adam's first steps divide by the mean square of a handful of gradients, which is why it is so often warmed up; RAdam
/// does without a warm-up.
///
/// * `rate` η: any schedule; 0.001 by default.
/// * `scale`: β₁, β₂ and ε, see [`ScaleByRAdam`], which has the formula.
/// * `weight_decay` λ: adds λ·θ to the gradient; 0 by default. Biases and gains are left out.
///
/// State: 2 numbers per parameter. Choose it where Adam diverges at the start and a warm-up is not wanted. In the first
/// steps (five with β₂ = 0.999) nothing bounds the size of a step.
///
/// L. Liu et al., "On the variance of the adaptive learning rate and beyond", 2019, arXiv:1908.03265.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RAdam<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// β₁, β₂ and ε.
    pub scale: ScaleByRAdam,
    /// The strength λ of L2 regularisation.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}
named!(RAdam = ScaleByRAdam, rate: 0.001, weight_decay: 0.0, l2);

betas!(
    ScaleByAdaBelief,
    1e-16,
    /// AdaBelief's scaling as a link of a chain: u ← m̂ / (√ŝ + ε), with the running mean m of u and the running mean s of
    /// (u − m)² + ε.
    ///
    /// β₁ = 0.9, β₂ = 0.999, ε = 1e-16 by default. The state is m, then s. See [`AdaBelief`].
);

impl ScaleByAdaBelief {
    pub(crate) fn go<T: Element>(&self, cx: &UpdateContext<'_>, job: impl Job<T>, state: &mut [T]) {
        let updates = cx.step.saturating_add(1);
        let rule = Belief {
            shares: self.shares(),
            correction1: T::from_f64(correction(self.beta1, updates)),
            correction2: T::from_f64(correction(self.beta2, updates)),
            epsilon: T::from_f64(self.epsilon),
        };
        job.run(cx, rule, state);
    }
}

#[derive(Clone, Copy)]
struct Belief<T> {
    shares: [T; 4],
    correction1: T,
    correction2: T,
    epsilon: T,
}

impl<T: Element> Rule<T, 2> for Belief<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        g: T::Vector<S>,
        [m, v]: Lanes<T, S, 2>,
    ) -> (T::Vector<S>, Lanes<T, S, 2>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        let [keep1, fresh1, keep2, fresh2] = self.shares.map(s);
        let m = keep1 * m + fresh1 * g;
        let surprise = g - m;
        let v = keep2 * v + fresh2 * (surprise * surprise) + s(self.epsilon);
        let scale = (v * s(self.correction2)).sqrt() + s(self.epsilon);
        (s(self.correction1) * m / scale, [m, v])
    }
}

/// AdaBelief: Adam that divides by how far gradients stray from their mean, θ ← θ − η·m̂ / (√ŝ + ε) with the running
/// mean s of (g − m)² + ε.
///
/// Where the gradient is as the mean foretold, it is believed and the step is long, whatever its size; where it
/// surprises, the step is short.
///
/// * `rate` η: any schedule; 0.001 by default.
/// * `scale`: β₁, β₂ and ε, see [`ScaleByAdaBelief`].
/// * `weight_decay` λ: **decoupled**, θ shrinks by η·λ of itself per step; 0 by default. Biases and gains are left out.
///
/// State: 2 numbers per parameter. Choose it where SGD generalises better than Adam but is too slow. With a gradient
/// that hardly changes steps grow far beyond η; raise ε to 1e-8 if it diverges.
///
/// J. Zhuang et al., "AdaBelief optimizer: adapting stepsizes by the belief in observed gradients", 2020,
/// arXiv:2010.07468.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdaBelief<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// β₁, β₂ and ε.
    pub scale: ScaleByAdaBelief,
    /// The strength λ of the decay.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}
named!(AdaBelief = ScaleByAdaBelief, rate: 0.001, weight_decay: 0.0, decoupled);

/// Adan's scaling as a link of a chain.
///
/// > d = u − (u before), in the first step 0
/// >
/// > m ← β₁·m + (1 − β₁)·u,  v ← β₂·v + (1 − β₂)·d,  n ← β₃·n + (1 − β₃)·(u + β₂·d)²
/// >
/// > u ← (m̂ + β₂·v̂) / (√n̂ + ε)
///
/// * `beta1`, `beta2`, `beta3`: 0.98, 0.92, 0.99 by default: what stays of the means of u, of its change, and of the
///   square. (The paper writes 1 − β for them.)
/// * `epsilon`: 1e-8 by default; keeps the quotient finite.
///
/// The state is m, v, n and the update before. See [`Adan`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByAdan {
    /// How much of the mean stays.
    pub beta1: f64,
    /// How much of the mean change stays.
    pub beta2: f64,
    /// How much of the mean square stays.
    pub beta3: f64,
    /// Keeps the quotient finite.
    pub epsilon: f64,
}

impl ScaleByAdan {
    /// The values above.
    pub const DEFAULT: ScaleByAdan = ScaleByAdan { beta1: 0.98, beta2: 0.92, beta3: 0.99, epsilon: 1e-8 };

    /// How many numbers of state `parameter_len` parameters need.
    pub const fn state_len(&self, parameter_len: usize) -> usize {
        4 * parameter_len
    }

    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        check_unit("beta1", self.beta1)?;
        check_unit("beta2", self.beta2)?;
        check_unit("beta3", self.beta3)?;
        check_positive("epsilon", self.epsilon)
    }

    pub(crate) fn go<T: Element>(&self, cx: &UpdateContext<'_>, job: impl Job<T>, state: &mut [T]) {
        let updates = cx.step.saturating_add(1);
        let betas = [self.beta1, self.beta2, self.beta3];
        let rule = Change {
            keep: betas.map(T::from_f64),
            fresh: betas.map(|beta| T::from_f64(1.0 - beta)),
            correction: betas.map(|beta| T::from_f64(correction(beta, updates))),
            changed: T::from_f64(if cx.step == 0 { 0.0 } else { 1.0 }),
            epsilon: T::from_f64(self.epsilon),
        };
        job.run(cx, rule, state);
    }
}
transform!(ScaleByAdan);

#[derive(Clone, Copy)]
struct Change<T> {
    keep: [T; 3],
    fresh: [T; 3],
    correction: [T; 3],
    /// 0 in the first step, when there is nothing to compare with, then 1.
    changed: T,
    epsilon: T,
}

impl<T: Element> Rule<T, 4> for Change<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        g: T::Vector<S>,
        [m, v, n, before]: Lanes<T, S, 4>,
    ) -> (T::Vector<S>, Lanes<T, S, 4>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        let (keep, fresh, correction) = (self.keep.map(s), self.fresh.map(s), self.correction.map(s));
        let change = s(self.changed) * (g - before);
        let m = keep[0] * m + fresh[0] * g;
        let v = keep[1] * v + fresh[1] * change;
        let ahead = g + keep[1] * change;
        let n = keep[2] * n + fresh[2] * (ahead * ahead);
        let update = m * correction[0] + keep[1] * (v * correction[1]);
        (update / ((n * correction[2]).sqrt() + s(self.epsilon)), [m, v, n, g])
    }
}

/// Adan: Adam with Nesterov's look ahead made of the change from gradient to gradient,
/// θ ← (θ − η·u) / (1 + η·λ) with u of [`ScaleByAdan`].
///
/// * `rate` η: any schedule; 0.001 by default, and larger ones than Adam's stay stable.
/// * `scale`: three β and ε, see [`ScaleByAdan`], which has the formula.
/// * `weight_decay` λ: 0.02 by default. Biases and gains are left out.
///
/// State: 4 numbers per parameter, the most of all. Choose it for large batches and transformers, where its authors
/// need half of AdamW's epochs, and memory is no concern.
///
/// X. Xie et al., "Adan: adaptive Nesterov momentum algorithm for faster optimizing deep models", 2022,
/// arXiv:2208.06677, with the corrections of the means that the authors' code has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adan<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// Three β and ε.
    pub scale: ScaleByAdan,
    /// The strength λ of the decay.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}
named!(Adan = ScaleByAdan, rate: 0.001, weight_decay: 0.02, proximal);

/// Lion's step as a link of a chain: u ← sign(β₁·m + (1 − β₁)·u), then m ← β₂·m + (1 − β₂)·u.
///
/// β₁ = 0.9, β₂ = 0.99 by default: the average that is stepped by counts the newest gradient more than the one that is
/// kept. The state is m. See [`Lion`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByLion {
    /// How much the mean counts in the step.
    pub beta1: f64,
    /// How much of the mean stays.
    pub beta2: f64,
}

impl ScaleByLion {
    /// The values above.
    pub const DEFAULT: ScaleByLion = ScaleByLion { beta1: 0.9, beta2: 0.99 };

    /// How many numbers of state `parameter_len` parameters need.
    pub const fn state_len(&self, parameter_len: usize) -> usize {
        parameter_len
    }

    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        check_unit("beta1", self.beta1)?;
        check_unit("beta2", self.beta2)
    }

    pub(crate) fn go<T: Element>(&self, cx: &UpdateContext<'_>, job: impl Job<T>, state: &mut [T]) {
        let shares = [self.beta1, 1.0 - self.beta1, self.beta2, 1.0 - self.beta2].map(T::from_f64);
        job.run(cx, SignOfMean { shares }, state);
    }
}
transform!(ScaleByLion);

#[derive(Clone, Copy)]
struct SignOfMean<T> {
    shares: [T; 4],
}

impl<T: Element> Rule<T, 1> for SignOfMean<T> {
    #[inline(always)]
    fn next<S: Simd>(&self, simd: S, g: T::Vector<S>, [m]: Lanes<T, S, 1>) -> (T::Vector<S>, Lanes<T, S, 1>) {
        let [keep1, fresh1, keep2, fresh2] = self.shares.map(|x| T::Vector::<S>::splat(simd, x));
        (sign::<T, S>(simd, keep1 * m + fresh1 * g), [keep2 * m + fresh2 * g])
    }
}

/// Lion: θ ← θ − η·(sign(β₁·m + (1 − β₁)·g) + λ·θ).
///
/// Every parameter moves by exactly η, up or down. Found by a search over programs.
///
/// * `rate` η: any schedule; 1e-4 by default: three to ten times smaller than AdamW's.
/// * `scale`: β₁ and β₂, see [`ScaleByLion`].
/// * `weight_decay` λ: 0.1 by default: as many times larger than AdamW's, so that η·λ stays. Biases and gains are left
///   out.
///
/// State: 1 number per parameter, half of Adam's. Choose it for large batches and where memory counts; with small
/// batches the signs are noise. Let the rate fall to 0, or parameters never come to rest.
///
/// X. Chen et al., "Symbolic discovery of optimization algorithms", 2023, arXiv:2302.06675.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// β₁ and β₂.
    pub scale: ScaleByLion,
    /// The strength λ of the decay.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}
named!(Lion = ScaleByLion, rate: 1e-4, weight_decay: 0.1, decoupled);

/// Those of the rules above that have two β.
macro_rules! settings {
    ($($name:ident)+) => {$(
        impl<S> $name<S> {
            /// How much of the two averages stays.
            #[must_use]
            pub fn betas(mut self, beta1: f64, beta2: f64) -> $name<S> {
                (self.scale.beta1, self.scale.beta2) = (beta1, beta2);
                self
            }
        }
    )+};
}
settings!(AdaMax Nadam RAdam AdaBelief Lion);
