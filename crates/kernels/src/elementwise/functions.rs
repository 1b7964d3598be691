//! Ready-made functions for [`map`](crate::map) and [`zip`](crate::zip).

use super::{MapFn, ZipFn};
use crate::plain::lines;
use crate::simd::{Element, Simd, Vector};

/// 1 or 0 as a comparison decides.
#[inline(always)]
fn indicator<T: Element, S: Simd>(
    simd: S,
    choose: impl Fn(T::Vector<S>, T::Vector<S>) -> T::Vector<S>,
) -> T::Vector<S> {
    choose(T::Vector::splat(simd, T::one()), T::Vector::splat(simd, T::zero()))
}

/// −x.
#[derive(Clone, Copy, Debug)]
pub struct Neg;

impl<T: Element> MapFn<T> for Neg {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, x: T::Vector<S>) -> T::Vector<S> {
        -x
    }
}

/// |x|.
#[derive(Clone, Copy, Debug)]
pub struct Abs;

impl<T: Element> MapFn<T> for Abs {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, x: T::Vector<S>) -> T::Vector<S> {
        x.abs()
    }
}

/// eˣ.
#[derive(Clone, Copy, Debug)]
pub struct Exp;

impl<T: Element> MapFn<T> for Exp {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;

    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::exp_lanes(simd, x)
    }
}

/// Natural logarithm: NaN below 0, −∞ at 0.
#[derive(Clone, Copy, Debug)]
pub struct Ln;

impl<T: Element> MapFn<T> for Ln {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;

    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::ln_lanes(simd, x)
    }
}

/// Square root: NaN below 0.
#[derive(Clone, Copy, Debug)]
pub struct Sqrt;

impl<T: Element> MapFn<T> for Sqrt {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, x: T::Vector<S>) -> T::Vector<S> {
        x.sqrt()
    }
}

/// 1 / √x, by a square root and a division.
#[derive(Clone, Copy, Debug)]
pub struct Rsqrt;

impl<T: Element> MapFn<T> for Rsqrt {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::Vector::splat(simd, T::one()) / x.sqrt()
    }
}

/// 1 / x.
#[derive(Clone, Copy, Debug)]
pub struct Recip;

impl<T: Element> MapFn<T> for Recip {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::Vector::splat(simd, T::one()) / x
    }
}

/// x².
#[derive(Clone, Copy, Debug)]
pub struct Square;

impl<T: Element> MapFn<T> for Square {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, x: T::Vector<S>) -> T::Vector<S> {
        x * x
    }
}

/// max(x, 0); NaN stays NaN.
#[derive(Clone, Copy, Debug)]
pub struct Relu;

impl<T: Element> MapFn<T> for Relu {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::Vector::splat(simd, T::zero()).max(x)
    }

    #[inline(always)]
    unsafe fn in_vectors(self, x: *const T, y: *mut T, len: usize) -> usize {
        // SAFETY: the caller's.
        unsafe { lines::relu(x, y, len) }
    }
}

/// 1 / (1 + e⁻ˣ).
#[derive(Clone, Copy, Debug)]
pub struct Sigmoid;

impl<T: Element> MapFn<T> for Sigmoid {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;

    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::sigmoid_lanes(simd, x)
    }
}

/// Hyperbolic tangent.
#[derive(Clone, Copy, Debug)]
pub struct Tanh;

impl<T: Element> MapFn<T> for Tanh {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;

    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::tanh_lanes(simd, x)
    }
}

/// Sine, x in radians.
#[derive(Clone, Copy, Debug)]
pub struct Sin;

impl<T: Element> MapFn<T> for Sin {
    const FUSES: bool = true;

    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::sin_lanes(simd, x)
    }
}

/// Cosine, x in radians.
#[derive(Clone, Copy, Debug)]
pub struct Cos;

impl<T: Element> MapFn<T> for Cos {
    const FUSES: bool = true;

    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::cos_lanes(simd, x)
    }
}

/// The error function, 2/√π ∫₀ˣ e^(−t²) dt.
#[derive(Clone, Copy, Debug)]
pub struct Erf;

impl<T: Element> MapFn<T> for Erf {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;

    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::erf_lanes(simd, x)
    }
}

/// x · Φ(x), where Φ(x) = (1 + erf(x/√2)) / 2 is the normal distribution function; NaN at −∞.
///
/// `f32`: at most 1.5 ulp wrong for x ≥ 0, and for the others by 2^-24·|x|: of the small differences between 1 and the error
/// function nothing more is known.
#[derive(Clone, Copy, Debug)]
pub struct Gelu;

impl<T: Element> MapFn<T> for Gelu {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;

    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        let half = x * T::Vector::splat(simd, T::from_f64(0.5));
        half.mul_add(erf_of_root::<T, S>(simd, x), half)
    }
}

/// erf(x/√2).
#[inline(always)]
fn erf_of_root<T: Element, S: Simd>(simd: S, x: T::Vector<S>) -> T::Vector<S> {
    T::erf_lanes(simd, x * T::Vector::splat(simd, T::from_f64(core::f64::consts::FRAC_1_SQRT_2)))
}

/// −1, 0 or 1 as x is below, at or above 0; NaN stays NaN.
#[derive(Clone, Copy, Debug)]
pub struct Sign;

impl<T: Element> MapFn<T> for Sign {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        let zero = T::Vector::splat(simd, T::zero());
        let one = T::Vector::splat(simd, T::one());
        x.if_less(zero, -one, zero.if_less(x, one, x))
    }
}

/// 1 where x > 0, else 0 (also for NaN).
#[derive(Clone, Copy, Debug)]
pub struct Step;

impl<T: Element> MapFn<T> for Step {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        let zero = T::Vector::splat(simd, T::zero());
        zero.if_less(x, T::Vector::splat(simd, T::one()), zero)
    }
}

/// x + c.
#[derive(Clone, Copy, Debug)]
pub struct AddScalar<T>(pub T);

impl<T: Element> MapFn<T> for AddScalar<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        x + T::Vector::splat(simd, self.0)
    }
}

/// x · c.
#[derive(Clone, Copy, Debug)]
pub struct MulScalar<T>(pub T);

impl<T: Element> MapFn<T> for MulScalar<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        x * T::Vector::splat(simd, self.0)
    }
}

/// max(x, c); NaN stays NaN.
#[derive(Clone, Copy, Debug)]
pub struct MaxScalar<T>(pub T);

impl<T: Element> MapFn<T> for MaxScalar<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::Vector::splat(simd, self.0).max(x)
    }
}

/// min(x, c); NaN stays NaN.
#[derive(Clone, Copy, Debug)]
pub struct MinScalar<T>(pub T);

impl<T: Element> MapFn<T> for MinScalar<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::Vector::splat(simd, self.0).min(x)
    }
}

/// x to the power of c.
#[derive(Clone, Copy, Debug)]
pub struct PowScalar<T>(pub T);

impl<T: Element> MapFn<T> for PowScalar<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::pow_lanes(simd, x, T::Vector::splat(simd, self.0))
    }
}

/// x limited to low..=high; NaN stays NaN.
#[derive(Clone, Copy, Debug)]
pub struct Clamp<T> {
    /// The least result.
    pub low: T,
    /// The greatest result.
    pub high: T,
}

impl<T: Element> MapFn<T> for Clamp<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::Vector::splat(simd, self.high).min(T::Vector::splat(simd, self.low).max(x))
    }
}

/// a + b.
#[derive(Clone, Copy, Debug)]
pub struct Add;

impl<T: Element> ZipFn<T> for Add {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a + b
    }
}

/// a − b.
#[derive(Clone, Copy, Debug)]
pub struct Sub;

impl<T: Element> ZipFn<T> for Sub {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a - b
    }
}

/// a · b.
#[derive(Clone, Copy, Debug)]
pub struct Mul;

impl<T: Element> ZipFn<T> for Mul {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a * b
    }
}

/// a / b.
#[derive(Clone, Copy, Debug)]
pub struct Div;

impl<T: Element> ZipFn<T> for Div {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a / b
    }
}

/// The greater of a and b; NaN if either is.
#[derive(Clone, Copy, Debug)]
pub struct Max;

impl<T: Element> ZipFn<T> for Max {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a.if_nan(a, a.max(b))
    }
}

/// The lesser of a and b; NaN if either is.
#[derive(Clone, Copy, Debug)]
pub struct Min;

impl<T: Element> ZipFn<T> for Min {
    #[inline(always)]
    fn apply<S: Simd>(self, _: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a.if_nan(a, a.min(b))
    }
}

/// a to the power of b.
#[derive(Clone, Copy, Debug)]
pub struct Pow;

impl<T: Element> ZipFn<T> for Pow {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        T::pow_lanes(simd, a, b)
    }
}

/// 1 where a > b, else 0.
#[derive(Clone, Copy, Debug)]
pub struct Greater;

impl<T: Element> ZipFn<T> for Greater {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        indicator::<T, S>(simd, |one, zero| b.if_less(a, one, zero))
    }
}

/// 1 where a ≥ b, else 0.
#[derive(Clone, Copy, Debug)]
pub struct GreaterEqual;

impl<T: Element> ZipFn<T> for GreaterEqual {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        indicator::<T, S>(simd, |one, zero| b.if_less_equal(a, one, zero))
    }
}

/// 1 where a = b, else 0.
#[derive(Clone, Copy, Debug)]
pub struct Equal;

impl<T: Element> ZipFn<T> for Equal {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        indicator::<T, S>(simd, |one, zero| a.if_equal(b, one, zero))
    }
}

/// The gradient through [`Relu`] from (dy, y): dy where y > 0, else 0.
#[derive(Clone, Copy, Debug)]
pub struct ReluGrad;

impl<T: Element> ZipFn<T> for ReluGrad {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        let zero = T::Vector::splat(simd, T::zero());
        zero.if_less(b, a, zero)
    }

    #[inline(always)]
    unsafe fn in_vectors(self, dy: *const T, y: *const T, out: *mut T, len: usize) -> usize {
        // SAFETY: the caller's.
        unsafe { lines::relu_gradient(dy, y, out, len) }
    }
}

/// The gradient through [`Sigmoid`] from (dy, y): dy · y · (1 − y).
#[derive(Clone, Copy, Debug)]
pub struct SigmoidGrad;

impl<T: Element> ZipFn<T> for SigmoidGrad {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a * (b * (T::Vector::splat(simd, T::one()) - b))
    }
}

/// The gradient through [`Tanh`] from (dy, y): dy · (1 − y²).
#[derive(Clone, Copy, Debug)]
pub struct TanhGrad;

impl<T: Element> ZipFn<T> for TanhGrad {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a * (T::Vector::splat(simd, T::one()) - b * b)
    }
}

/// The slope of [`Gelu`] from (x, y): Φ(x) + x · φ(x) with Φ(x) = y / x and φ(x) = e^(−x²/2) / √(2π); NaN at ±∞.
#[derive(Clone, Copy, Debug)]
pub struct GeluSlope;

impl<T: Element> ZipFn<T> for GeluSlope {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;

    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>, y: T::Vector<S>) -> T::Vector<S> {
        let splat = |value| T::Vector::splat(simd, T::from_f64(value));
        // Nearer to 0 than this Φ is one half, and y may have lost digits.
        let distribution = x.abs().if_less(splat(1e-30), splat(0.5), y / x);
        let density = T::exp_lanes(simd, x * x * splat(-0.5)) * splat(0.398_942_280_401_432_7);
        x.mul_add(density, distribution)
    }
}
