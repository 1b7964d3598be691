//! The elementary functions of both number types.
//!
//! For `f32` they are polynomials of our own, without branches, lane by lane the same at every level; their largest
//! errors were measured over all 2^32 arguments (`tests/battery/math.rs` says how to repeat it). `f64` is there to check
//! gradients and calls `libm` lane by lane.

use crate::simd::{Element, Elementary, Exponent, Simd, Vector};

/// `f` lane by lane: for functions that are not worth a polynomial of their own.
#[inline(always)]
fn each<T: Element, S: Simd>(simd: S, x: T::Vector<S>, f: impl Fn(T) -> T) -> T::Vector<S> {
    T::Vector::load(simd, &x.to_array().map(f))
}

/// ln 2 to 12 bits, so that n · LN_2_HIGH is exact, and the rest of it.
const LN_2_HIGH: f32 = 0.693_115_23;
const LN_2_LOW: f32 = 3.194_618_3e-5;

/// The nearest integer, ties to even, of lanes below 2^22: adding 3·2^22 leaves no bits after the point.
#[inline(always)]
fn round<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let magic = S::F32::splat(simd, 12_582_912.0);
    (x + magic) - magic
}

/// (n, r) with x = n · ln 2 + r, n an integer and |r| at most a little more than ln 2 / 2.
#[inline(always)]
fn reduce<S: Simd>(simd: S, x: S::F32) -> (S::F32, S::F32) {
    let n = round(simd, x * S::F32::splat(simd, core::f32::consts::LOG2_E));
    let r = n.mul_add(S::F32::splat(simd, -LN_2_HIGH), x);
    (n, n.mul_add(S::F32::splat(simd, -LN_2_LOW), r))
}

/// eʳ − 1 = r + r²·q(r) for |r| ≤ ln 2 / 2, where q interpolates (eʳ − 1 − r) / r² at Chebyshev nodes: 2^-30 wrong.
#[inline(always)]
fn exp_m1_near_0<S: Simd>(simd: S, r: S::F32) -> S::F32 {
    let splat = |value| S::F32::splat(simd, value);
    let q = splat(0.000_198_911_8).mul_add(r, splat(0.001_393_382_1));
    let q = q.mul_add(r, splat(0.008_333_310_5)).mul_add(r, splat(0.041_666_463));
    let q = q.mul_add(r, splat(0.166_666_67)).mul_add(r, splat(0.5));
    (r * r).mul_add(q, r)
}

/// (high, low) with high + low = x + y and high the rounded sum, for |x| ≥ |y| or x = 0 (Dekker, 1971).
#[inline(always)]
fn sum_of_two<S: Simd>(x: S::F32, y: S::F32) -> (S::F32, S::F32) {
    let high = x + y;
    (high, y - (high - x))
}

/// eʳ − 1 as [`exp_m1_near_0`], with what its last rounding loses.
#[inline(always)]
fn exp_m1_in_parts<S: Simd>(simd: S, r: S::F32) -> (S::F32, S::F32) {
    let splat = |value| S::F32::splat(simd, value);
    let q = splat(0.000_198_911_8).mul_add(r, splat(0.001_393_382_1));
    let q = q.mul_add(r, splat(0.008_333_310_5)).mul_add(r, splat(0.041_666_463));
    let q = q.mul_add(r, splat(0.166_666_67)).mul_add(r, splat(0.5));
    sum_of_two::<S>(r, r * r * q)
}

/// See [`Element::exp_lanes`].
struct Exp;

impl Elementary for Exp {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        // Beyond these the result is infinite or 0; NaN passes, because both choose their argument then.
        let x = S::F32::splat(simd, 89.0).min(S::F32::splat(simd, -104.0).max(x));
        let (n, r) = reduce(simd, x);
        // 2^n in two factors, since n reaches beyond the exponents of f32 at both ends.
        let half = round(simd, n * S::F32::splat(simd, 0.5));
        let e = S::F32::splat(simd, 1.0) + exp_m1_near_0(simd, r);
        e * half.exp2_integer() * (n - half).exp2_integer()
    }
}

/// See [`Element::ln_lanes`].
struct Ln;

impl Elementary for Ln {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        let splat = |value| S::F32::splat(simd, value);
        let (zero, one) = (splat(0.0), splat(1.0));
        // Subnormal numbers are made normal first.
        let least = splat(f32::MIN_POSITIVE);
        let normal = x.if_less(least, x * splat(8_388_608.0), x);
        let (m, e) = normal.split_exponent();
        let e = x.if_less(least, e - splat(23.0), e);
        // ln(1 + f) = f − (f²/2 − s·(f²/2 + R(s²))) with s = f / (2 + f), from the series of 2·artanh(s).
        let f = m - one;
        let s = f / (splat(2.0) + f);
        let z = s * s;
        let r = splat(0.233_309_64).mul_add(z, splat(0.285_508_04));
        let r = r.mul_add(z, splat(0.400_001_23)).mul_add(z, splat(0.666_666_7)) * z;
        let half_square = splat(0.5) * f * f;
        let low = s.mul_add(half_square + r, e * splat(LN_2_LOW));
        let y = e.mul_add(splat(LN_2_HIGH), f - (half_square - low));
        let y = x.if_equal(splat(f32::INFINITY), x, y);
        let y = zero.if_less(x, y, splat(f32::NAN));
        x.if_equal(zero, splat(f32::NEG_INFINITY), y)
    }
}

/// See [`Element::tanh_lanes`].
struct Tanh;

impl Elementary for Tanh {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        // tanh |x| = −m / (2 + m) with m = e^(−2|x|) − 1, which keeps its digits near 0. At −40, m rounds to −1. The
        // quotient of the rounded sums is corrected by what they lost; 1 / (2 + m) is (1 + quotient) / 2.
        let splat = |value| S::F32::splat(simd, value);
        let (zero, half, one, two) = (splat(0.0), splat(0.5), splat(1.0), splat(2.0));
        let (n, r) = reduce(simd, splat(-40.0).max(-(x.abs() + x.abs())));
        let power = n.exp2_integer();
        let (p, p_low) = exp_m1_in_parts(simd, r);
        let (m, m_low) = sum_of_two::<S>(power - one, power * p);
        let m_low = m_low + power * p_low;
        let (d, d_low) = sum_of_two::<S>(two, m);
        let q = -m / d;
        let y = q - (m_low + q * (d_low + m_low)) * (half + half * q);
        let y = x.if_less(zero, -y, y);
        x.if_equal(zero, x, y)
    }
}

/// See [`Element::sigmoid_lanes`].
struct Sigmoid;

impl Elementary for Sigmoid {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        // e / (1 + e) below 0 and 1 / (1 + e) above, with e = e^(−|x|): nothing overflows. The quotient of the rounded
        // sums is corrected by what they lost; 1 / (1 + e) is one of the two quotients.
        let splat = |value| S::F32::splat(simd, value);
        let (zero, half, one) = (splat(0.0), splat(0.5), splat(1.0));
        let (n, r) = reduce(simd, splat(-104.0).max(-x.abs()));
        let (p, p_low) = exp_m1_in_parts(simd, r);
        let (e, e_low) = sum_of_two::<S>(one, p);
        // 2^n in two factors, since n reaches below the exponents of f32.
        let above = round(simd, n * half);
        let (above, below) = (above.exp2_integer(), (n - above).exp2_integer());
        let (e, e_low) = (e * above * below, (e_low + p_low) * above * below);
        let (d, d_low) = sum_of_two::<S>(one, e);
        let q = x.if_less(zero, e, one) / d;
        let inverse = x.if_less(zero, one - q, q);
        let low = x.if_less(zero, e_low, zero);
        q + (low - q * (d_low + e_low)) * inverse
    }
}

/// See [`Element::erf_lanes`].
struct Erf;

/// Below it erf x = x + x·p(x²), above it 1 − e^−(x + x·q(x)), where p and q are minimax polynomials for the relative error
/// of the result, weighted by its slope: 2^-30 and 2^-28 wrong.
const ERF_SPLIT: f32 = 0.9375;

impl Elementary for Erf {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        let splat = |value| S::F32::splat(simd, value);
        // From 4 on the result is 1; NaN passes.
        let t = splat(4.0).min(x.abs());
        let s = t * t;
        let p = splat(8.267_455e-5).mul_add(s, splat(-0.000_811_807_35));
        let p = p.mul_add(s, splat(0.005_198_83)).mul_add(s, splat(-0.026_858_497));
        let p = p.mul_add(s, splat(0.112_836_79)).mul_add(s, splat(-0.376_126_32));
        let p = p.mul_add(s, splat(0.128_379_17));
        let q = splat(-0.000_213_377_41).mul_add(t, splat(0.003_209_923_9));
        let q = q.mul_add(t, splat(-0.022_873_743)).mul_add(t, splat(0.105_236_39));
        let q = q.mul_add(t, splat(0.635_737_8)).mul_add(t, splat(0.128_508_57));
        let (n, r) = reduce(simd, -q.mul_add(t, t));
        let one = splat(1.0);
        let y = one - (one + exp_m1_near_0(simd, r)) * n.exp2_integer();
        let y = x.if_less(splat(0.0), -y, y);
        t.if_less(splat(ERF_SPLIT), p.mul_add(x, x), y)
    }
}

impl Element for f32 {
    const WIDE: bool = true;
    type Vector<S: Simd> = S::F32;

    #[inline(always)]
    fn widen<S: Simd>(simd: S, x: S::F32) -> S::F64 {
        simd.widen(x)
    }

    #[inline(always)]
    fn exp_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        simd.elementary::<Exp>(x)
    }

    #[inline(always)]
    fn ln_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        simd.elementary::<Ln>(x)
    }

    #[inline(always)]
    fn tanh_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        simd.elementary::<Tanh>(x)
    }

    #[inline(always)]
    fn sigmoid_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        simd.elementary::<Sigmoid>(x)
    }

    #[inline(always)]
    fn sin_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        each(simd, x, libm::sinf)
    }

    #[inline(always)]
    fn cos_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        each(simd, x, libm::cosf)
    }

    #[inline(always)]
    fn erf_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        simd.elementary::<Erf>(x)
    }

    #[inline(always)]
    fn pow_lanes<S: Simd>(simd: S, x: S::F32, y: S::F32) -> S::F32 {
        let (x, y) = (x.to_array(), y.to_array());
        S::F32::load(simd, &core::array::from_fn(|i| libm::powf(x[i], y[i])))
    }
}

impl Element for f64 {
    const WIDE: bool = false;
    type Vector<S: Simd> = S::F64;

    #[inline(always)]
    fn widen<S: Simd>(_simd: S, x: S::F64) -> S::F64 {
        x
    }

    #[inline(always)]
    fn exp_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::exp)
    }

    #[inline(always)]
    fn ln_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::log)
    }

    #[inline(always)]
    fn tanh_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::tanh)
    }

    #[inline(always)]
    fn sigmoid_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        let one = S::F64::splat(simd, 1.0);
        one / (one + Self::exp_lanes(simd, -x))
    }

    #[inline(always)]
    fn sin_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::sin)
    }

    #[inline(always)]
    fn cos_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::cos)
    }

    #[inline(always)]
    fn erf_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::erf)
    }

    #[inline(always)]
    fn pow_lanes<S: Simd>(simd: S, x: S::F64, y: S::F64) -> S::F64 {
        let (x, y) = (x.to_array(), y.to_array());
        S::F64::load(simd, &core::array::from_fn(|i| libm::pow(x[i], y[i])))
    }
}
