//! The elementary functions of both number types.
//!
//! For `f32` they are polynomials of our own, without branches but for sine and cosine of large arguments, lane by lane the
//! same at every level, but for the reciprocals of AVX-512. Largest errors in ulp over all 2^32 arguments, with two roundings and with fused ones: exp 0.957 and 0.987,
//! tanh 1.207 and 1.207, sigmoid 1.389 and 1.437, ln 0.835 and 0.835, erf 1.264 and 1.055, cosine 0.993 and 0.977, sine
//! 1.029 with two; with fused ones sine was sampled: 0.929. `tests/battery/exhaustive.rs` says how to repeat that. `f64` is there to check
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

/// See [`Element::exp_lanes`].
struct Exp;

impl Elementary for Exp {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        // Beyond these the result is infinite or 0; NaN passes, because both choose their argument then.
        let x = S::F32::splat(simd, 89.0).min(S::F32::splat(simd, -104.0).max(x));
        let (n, r) = reduce(simd, x);
        (S::F32::splat(simd, 1.0) + exp_m1_near_0(simd, r)).scale_by_exp2(simd, n)
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

/// Below it tanh x = x + x³·p(x²), where p interpolates at Chebyshev nodes: 2^-27 wrong.
const TANH_SPLIT: f32 = 0.625;

impl Elementary for Tanh {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        let splat = |value| S::F32::splat(simd, value);
        let (zero, one) = (splat(0.0), splat(1.0));
        // From 10 on the result is 1; NaN passes.
        let t = splat(10.0).min(x.abs());
        // tanh t = 1 − 2 / d with d = e²ᵗ + 1 = (2ⁿ + 1) + 2ⁿ·(eʳ − 1), rounded once where it counts.
        let (n, r) = reduce(simd, t + t);
        let power = n.exp2_integer();
        let d = power.mul_add(exp_m1_near_0(simd, r), power + one);
        let y = one - splat(2.0) * d.reciprocal(simd);
        let y = x.if_less(zero, -y, y);
        let z = t * t;
        let p = splat(0.002_292_647_3).mul_add(z, splat(-0.008_343_86)).mul_add(z, splat(0.021_768_892));
        let p = p.mul_add(z, splat(-0.053_959_258)).mul_add(z, splat(0.133_333_04));
        let p = p.mul_add(z, splat(-0.333_333_34));
        t.if_less(splat(TANH_SPLIT), (z * x).mul_add(p, x), y)
    }
}

/// See [`Element::sigmoid_lanes`].
struct Sigmoid;

impl Elementary for Sigmoid {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        // 1 / d with d = 1 + e⁻ˣ = (1 + 2ⁿ) + 2ⁿ·(eʳ − 1); the quotient is corrected by what the two sums lost. Below −104 the
        // result is 0, from 80 on it is 1; NaN passes.
        let splat = |value| S::F32::splat(simd, value);
        let one = splat(1.0);
        let (n, r) = reduce(simd, splat(104.0).min(splat(-80.0).max(-x)));
        // 2ⁿ in two factors, since n reaches beyond the exponents of f32. Where the second is not 1, nothing is left of the 1.
        let near = n.min(splat(32.0));
        let (power, rest) = (near.exp2_integer(), (near - n).exp2_integer());
        let (d, first) = sum_of_two::<S>(power.max(one), power.min(one));
        let (d, second) = sum_of_two::<S>(d, power * exp_m1_near_0(simd, r));
        let q = d.reciprocal(simd);
        (q - q * q * (first + second)) * rest
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

/// π/2 in parts of at most eleven bits, so that their products with numbers of quarters are exact, and the rest of it.
const QUARTER: [f32; 5] = [1.570_312_5, 0.000_483_512_88, 3.138_557e-7, 6.070_877e-11, 6.223_372e-14];

/// The greatest argument of sine and cosine that is taken apart with these parts: less than 2^13 quarters. The few beyond it go to
/// `libm`, one by one.
const MOST_QUARTERS: f32 = 12_800.0;

/// (high, low) with high + low = x − y and high the rounded difference, for |x| ≥ |y| (Dekker, 1971).
#[inline(always)]
fn difference_of_two<S: Simd>(x: S::F32, y: S::F32) -> (S::F32, S::F32) {
    let high = x - y;
    (high, (x - high) - y)
}

/// Sine and cosine of the rest r of x after q quarters, |r| ≤ π/4, and q itself between −2 and 2, where only its remainder by four counts.
#[inline(always)]
fn sin_and_cos_of_rest<S: Simd>(simd: S, x: S::F32) -> ([S::F32; 2], S::F32) {
    let splat = |value| S::F32::splat(simd, value);
    let one = splat(1.0);
    let n = round(simd, x * splat(core::f32::consts::FRAC_2_PI));
    // Exact: products have at most 24 bits, and so have the differences (Cody and Waite, 1980). After that r is 2^-24 at
    // least, and what the differences lose is kept.
    let r = n.mul_add(splat(-QUARTER[1]), n.mul_add(splat(-QUARTER[0]), x));
    let (r, first) = difference_of_two::<S>(r, n * splat(QUARTER[2]));
    let (r, second) = difference_of_two::<S>(r, n * splat(QUARTER[3]));
    let low = n.mul_add(splat(-QUARTER[4]), first + second);
    // sin r = r + r³·p(r²) and cos r = 1 − r²/2 + r⁴·q(r²), where p and q interpolate at Chebyshev nodes: 2^-28 and 2^-30 wrong.
    let z = r * r;
    let p = splat(2.724_931_4e-6).mul_add(z, splat(-1.984_008_3e-4));
    let p = p.mul_add(z, splat(0.008_333_332)).mul_add(z, splat(-0.166_666_67));
    let sin = r + (z * r).mul_add(p, low);
    let q = splat(2.454_743_7e-5).mul_add(z, splat(-0.001_388_83)).mul_add(z, splat(0.041_666_664));
    let (cos, rest) = difference_of_two::<S>(one, splat(0.5) * z);
    let cos = cos + (z * z).mul_add(q, rest - r * low);
    ([sin, cos], n - splat(4.0) * round(simd, n * splat(0.25)))
}

/// See [`Element::sin_lanes`] and [`Element::cos_lanes`]: the function is the sine of x plus so many quarters, 0 or 1.
struct Wave<const QUARTERS: usize>;

impl<const QUARTERS: usize> Elementary for Wave<QUARTERS> {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        let splat = |value| S::F32::splat(simd, value);
        let (zero, one) = (splat(0.0), splat(1.0));
        let ([sin, cos], quarters) = sin_and_cos_of_rest(simd, x);
        let half_turn = one - splat(0.5) * quarters * quarters;
        let odd = quarters * quarters;
        let y = if QUARTERS == 0 {
            x.if_equal(zero, x, odd.if_equal(one, quarters * cos, half_turn * sin))
        } else {
            odd.if_equal(one, -quarters * sin, half_turn * cos)
        };
        let most = splat(MOST_QUARTERS);
        if x.abs().all_less_equal(most) {
            return y;
        }
        let far = each(simd, x, if QUARTERS == 0 { libm::sinf } else { libm::cosf });
        x.abs().if_less_equal(most, y, far)
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
        simd.elementary::<Wave<0>>(x)
    }

    #[inline(always)]
    fn cos_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        simd.elementary::<Wave<1>>(x)
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
