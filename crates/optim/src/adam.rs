//! Adam, AMSGrad and AdamW: every parameter has its own scale.

use crate::packed::{Blocks, Halves, StatePrecision};
use crate::update::{Job, Lanes, Rule, check, check_positive, check_unit, correction, named, transform};
use bantam_core::{InvalidSetting, UpdateContext};
use bantam_kernels::{Element, Simd, Vector};

/// Adam's scaling as a link of a chain: u ← m̂ / (√v̂ + ε), with running means m of u and v of u².
///
/// > m ← β₁·m + (1 − β₁)·u,  v ← β₂·v + (1 − β₂)·u²,  m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
///
/// * `beta1`: how much of the mean m stays, 0.9 by default: an average over about 10 steps.
/// * `beta2`: how much of the mean square v stays, 0.999 by default: over about 1000 steps. Lower it to 0.95 or 0.99
///   for short runs and noisy gradients.
/// * `epsilon`: 1e-8 by default; bounds the scale where gradients are tiny. Raise it if the loss jumps late in
///   training.
/// * `amsgrad`: divides by the largest v so far instead of the present one (v̂ = max v / (1 − β₂ᵗ)), so that the scale
///   never grows again; off by default. For the rare problem on which Adam wanders off late.
/// * `precision`: how precisely m and v are kept: everything by default, or in half or about a quarter of the memory, see
///   [`StatePrecision`].
///
/// The state is m, then v, with `amsgrad` then the largest v. In `f32` the square of a gradient beyond 1.8e19
/// overflows: v becomes infinite, and its parameter stands still from then on instead of jumping. Clip before, if
/// gradients get anywhere near.
///
/// D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", 2014, arXiv:1412.6980. AMSGrad: S. J. Reddi,
/// S. Kale, S. Kumar, "On the convergence of Adam and beyond", 2018, arXiv:1904.09237.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleByAdam {
    /// How much of the mean stays.
    pub beta1: f64,
    /// How much of the mean square stays.
    pub beta2: f64,
    /// Keeps the quotient finite.
    pub epsilon: f64,
    /// Whether the scale never grows again.
    pub amsgrad: bool,
    /// How precisely m and v are kept.
    pub precision: StatePrecision,
}

impl ScaleByAdam {
    /// The values above.
    pub const DEFAULT: ScaleByAdam = ScaleByAdam {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        amsgrad: false,
        precision: StatePrecision::Full,
    };

    /// How many numbers of state `parameter_len` parameters need.
    pub const fn state_len(&self, parameter_len: usize) -> usize {
        if self.amsgrad { 3 * parameter_len } else { self.precision.state_len(parameter_len) }
    }

    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        check_unit("beta1", self.beta1)?;
        check_unit("beta2", self.beta2)?;
        let fits = !self.amsgrad || self.precision == StatePrecision::Full;
        check("amsgrad", 1.0, "off where the state is not kept in full precision", fits)?;
        check_positive("epsilon", self.epsilon)
    }

    // On a board into its caller, where settings may be known and leave one of four.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn go<T: Element>(&self, cx: &UpdateContext<'_>, job: impl Job<T>, state: &mut [T]) {
        let moments = self.at(cx.step);
        match self.precision {
            _ if self.amsgrad => job.run(cx, Largest(moments), state),
            StatePrecision::Full => job.run(cx, moments, state),
            StatePrecision::Bf16 => job.run(cx, Halves::new(cx, moments), state),
            StatePrecision::Blocks8 => job.run(cx, moments, Blocks { state }),
        }
    }

    pub(crate) fn at<T: Element>(&self, step: u64) -> Moments<T> {
        let updates = step.saturating_add(1);
        Moments {
            keep1: T::from_f64(self.beta1),
            fresh1: T::from_f64(1.0 - self.beta1),
            keep2: T::from_f64(self.beta2),
            fresh2: T::from_f64(1.0 - self.beta2),
            correction1: T::from_f64(correction(self.beta1, updates)),
            correction2: T::from_f64(correction(self.beta2, updates)),
            epsilon: T::from_f64(self.epsilon),
        }
    }
}
transform!(ScaleByAdam);

/// The numbers that Adam needs for one tensor at one step.
#[derive(Clone, Copy)]
pub(crate) struct Moments<T> {
    pub keep1: T,
    pub fresh1: T,
    pub keep2: T,
    pub fresh2: T,
    pub correction1: T,
    pub correction2: T,
    pub epsilon: T,
}

impl<T: Element> Moments<T> {
    /// The running means after one more gradient.
    #[inline(always)]
    fn means<S: Simd>(&self, simd: S, g: T::Vector<S>, [m, v]: Lanes<T, S, 2>) -> Lanes<T, S, 2> {
        let s = |x| T::Vector::<S>::splat(simd, x);
        [s(self.keep1) * m + s(self.fresh1) * g, s(self.keep2) * v + s(self.fresh2) * (g * g)]
    }

    /// The quotient, without the bias of averages that start at 0.
    #[inline(always)]
    fn quotient<S: Simd>(&self, simd: S, m: T::Vector<S>, v: T::Vector<S>) -> T::Vector<S> {
        let s = |x| T::Vector::<S>::splat(simd, x);
        m * s(self.correction1) / ((v * s(self.correction2)).sqrt() + s(self.epsilon))
    }
}

impl<T: Element> Rule<T, 2> for Moments<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        g: T::Vector<S>,
        state: Lanes<T, S, 2>,
    ) -> (T::Vector<S>, Lanes<T, S, 2>) {
        let [m, v] = self.means(simd, g, state);
        (self.quotient(simd, m, v), [m, v])
    }
}

/// [`Moments`] with the largest mean square.
#[derive(Clone, Copy)]
struct Largest<T>(Moments<T>);

impl<T: Element> Rule<T, 3> for Largest<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        g: T::Vector<S>,
        [m, v, largest]: Lanes<T, S, 3>,
    ) -> (T::Vector<S>, Lanes<T, S, 3>) {
        let [m, v] = self.0.means(simd, g, [m, v]);
        // NaN, should there be one, comes through.
        let largest = largest.max(v);
        (self.0.quotient(simd, m, largest), [m, v, largest])
    }
}

/// Adam: θ ← θ − η·m̂ / (√v̂ + ε).
///
/// * `rate` η: any schedule; 0.001 by default. About the distance that a parameter moves in a step.
/// * `scale`: β₁, β₂, ε and AMSGrad, see [`ScaleByAdam`].
/// * `weight_decay` λ: adds λ·θ to the gradient (L2 regularisation); 0 by default. To decay weights, [`AdamW`] is the
///   better choice. Biases and gains are left out.
///
/// State: 2 numbers per parameter, 3 with AMSGrad, 1 or about ½ with lower [precision](StatePrecision). Choose it for a first attempt at anything, and where features or
/// layers have gradients of very different sizes.
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
/// * `scale`: β₁, β₂, ε and AMSGrad, see [`ScaleByAdam`].
/// * `weight_decay` λ: 0.01 by default; weights shrink by η·λ of themselves per step. Up to 0.1 for large networks.
///   Biases and gains are left out.
///
/// State: 2 numbers per parameter, 3 with AMSGrad, 1 or about ½ with lower [precision](StatePrecision). The default here: choose it unless something speaks for another.
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

named!(Adam = ScaleByAdam, rate: 0.001, weight_decay: 0.0, l2);
named!(AdamW = ScaleByAdam, rate: 0.001, weight_decay: 0.01, decoupled);

/// The two have the same settings.
macro_rules! settings {
    ($name:ident) => {
        impl<S> $name<S> {
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

            /// How precisely the two averages are kept.
            #[must_use]
            pub fn precision(mut self, precision: StatePrecision) -> $name<S> {
                self.scale.precision = precision;
                self
            }

            /// Divides by the largest mean square so far.
            #[must_use]
            pub fn amsgrad(mut self) -> $name<S> {
                self.scale.amsgrad = true;
                self
            }
        }
    };
}
settings!(Adam);
settings!(AdamW);
