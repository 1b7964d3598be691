//! The elementary functions of both number types.
//!
//! For `f32` they are polynomials of our own, almost without branches (a rare one for exponentials that are not normal, and `libm` for
//! sine and cosine of large arguments), lane by lane the same at every level, but for the quotients of AVX-512. Largest errors in ulp
//! over all 2^32 arguments, with two roundings and with fused ones: exp 0.983 and 1.009, tanh 1.470 and 1.225, sigmoid 1.445 and 1.452,
//! ln 0.835 and 0.835, erf 1.444 and 1.354, cosine 0.993 and 0.977, sine 1.029 with two; with fused ones sine was sampled: 0.929.
//! `tests/battery/exhaustive.rs` says how to repeat that. `f64` is there to check gradients and calls `libm` lane by lane.

use crate::simd::{Element, Elementary, Exponent, Simd, Vector};

/// `f` lane by lane: for functions that are not worth a polynomial of their own.
#[inline(always)]
fn each<T: Element, S: Simd>(simd: S, x: T::Vector<S>, f: impl Fn(T) -> T) -> T::Vector<S> {
    T::Vector::load(simd, &x.to_array().map(f))
}

/// ln 2 to 12 bits, so that n · LN_2_HIGH is exact, and the rest of it.
const LN_2_HIGH: f32 = 0.693_115_23;
const LN_2_LOW: f32 = 3.194_618_3e-5;

/// 3·2^22: no number between 2^23 and 2^24 has bits after the point, so n + `INTEGER` is rounded to an integer, for |n| below 2^22,
/// and its lowest bits are those of n.
const INTEGER: f32 = 12_582_912.0;

/// The nearest integer, ties to even, of lanes below 2^22.
#[inline(always)]
fn round<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let integer = S::F32::splat(simd, INTEGER);
    (x + integer) - integer
}

/// (n + [`INTEGER`], r) with x = n · ln 2 + r, n an integer and |r| at most a little more than ln 2 / 2.
#[inline(always)]
fn reduce<S: Simd>(simd: S, x: S::F32) -> (S::F32, S::F32) {
    let integer = S::F32::splat(simd, INTEGER);
    let rounded = x.mul_add(S::F32::splat(simd, core::f32::consts::LOG2_E), integer);
    let n = rounded - integer;
    let r = n.mul_add(S::F32::splat(simd, -LN_2_HIGH), x);
    (rounded, n.mul_add(S::F32::splat(simd, -LN_2_LOW), r))
}

/// r² and q(r) with eʳ − 1 = r + r²·q(r) for |r| ≤ ln 2 / 2, 2^-28 wrong: a minimax polynomial whose coefficients were then moved by
/// some units, so that the largest error of [`Exp`] got smaller.
#[inline(always)]
fn square_and_rest<S: Simd>(simd: S, r: S::F32) -> (S::F32, S::F32) {
    let splat = |value| S::F32::splat(simd, value);
    let square = r * r;
    let high = splat(0.001_374_544).mul_add(square, splat(0.008_368_407).mul_add(r, splat(0.041_668_84)));
    let low = splat(0.166_665_14).mul_add(r, splat(0.499_999_94));
    (square, high.mul_add(square, low))
}

/// eʳ − 1 for |r| ≤ ln 2 / 2.
#[inline(always)]
fn exp_m1_near_0<S: Simd>(simd: S, r: S::F32) -> S::F32 {
    let (square, q) = square_and_rest(simd, r);
    square.mul_add(q, r)
}

/// See [`Element::exp_lanes`].
struct Exp;

impl Elementary for Exp {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        let splat = |value| S::F32::splat(simd, value);
        // Beyond these the result is infinite or 0; NaN passes, because both choose their argument then.
        let x = splat(89.0).min(splat(-104.0).max(x));
        let (rounded, r) = reduce(simd, x);
        let e = splat(1.0) + exp_m1_near_0(simd, r);
        if x.abs().all_less_equal(splat(87.0)) {
            e.times_exp2(rounded)
        } else {
            times_exp2_in_two(simd, e, rounded)
        }
    }
}

/// See [`Element::exp_below_0_lanes`].
struct ExpBelow0;

impl Elementary for ExpBelow0 {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        // As `Exp`, but for two things: nothing is too large, and what is too small is computed as 1, so that it does not lead the
        // others of its vector to where there are two factors.
        let splat = |value| S::F32::splat(simd, value);
        let (zero, least) = (splat(0.0), splat(-104.0));
        let near = x.if_less(least, zero, x);
        let (rounded, r) = reduce(simd, near);
        let e = splat(1.0) + exp_m1_near_0(simd, r);
        let e = if splat(-87.0).all_less_equal(near) {
            e.times_exp2(rounded)
        } else {
            times_exp2_in_two(simd, e, rounded)
        };
        x.if_less(least, zero, e)
    }
}

/// As [`Exponent::times_exp2`], in two factors for an n that reaches beyond the exponents of `f32` at both ends.
#[inline(always)]
fn times_exp2_in_two<S: Simd>(simd: S, x: S::F32, rounded: S::F32) -> S::F32 {
    let splat = |value| S::F32::splat(simd, value);
    let half = (rounded - splat(INTEGER)).mul_add(splat(0.5), splat(INTEGER));
    let rest = (rounded - half) + splat(INTEGER);
    x * splat(1.0).times_exp2(half) * splat(1.0).times_exp2(rest)
}

/// See [`Element::ln_lanes`].
struct Ln;

impl Elementary for Ln {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        let splat = |value| S::F32::splat(simd, value);
        let (zero, one) = (splat(0.0), splat(1.0));
        let least = splat(f32::MIN_POSITIVE);
        // Subnormal numbers are made normal first.
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
        // Up to t = 1, tanh t = t − t³ / near(t²), where near is a minimax polynomial for t³ / (t − tanh t), weighted by what its error does to
        // tanh t: 2^-28. From there on tanh t = 1 − 1 / far(t) with far(t) = (e²ᵗ + 1) / 2. At 1 both are the same, before it far is
        // less than near, and beyond it near stands still: so the greater one is right.
        let splat = |value| S::F32::splat(simd, value);
        let (half, one) = (splat(0.5), splat(1.0));
        let first = one.min((-one).max(x));
        let z = first * first;
        let near = splat(0.000_226_479_4).mul_add(z, splat(-0.005_691_958_5)).mul_add(z, splat(1.199_992_8));
        let near = near.mul_add(z, splat(3.000_000_7));
        // 2t · log₂ e = n + f. An error of e²ᵗ counts a quarter at most, so f needs no second part of the constant. From 10 on the
        // result is 1; NaN passes.
        let t = splat(10.0).min(x.abs());
        let factor = splat(2.0 * core::f32::consts::LOG2_E);
        let rounded = t.mul_add(factor, splat(INTEGER));
        let f = t.mul_add(factor, splat(INTEGER) - rounded);
        // 2ᶠ / 2 by a minimax polynomial: 2^-24 wrong, where that counts most.
        let p = splat(0.000_665_251_84).mul_add(f, splat(0.004_837_366_2)).mul_add(f, splat(0.027_752_97));
        let p = p.mul_add(f, splat(0.120_110_72)).mul_add(f, splat(0.346_573_54)).mul_add(f, half);
        let far = p.times_exp2(rounded) + half;
        first - (first * z).quotient(simd, near.max(far))
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
        let (rounded, r) = reduce(simd, splat(104.0).min(splat(-80.0).max(-x)));
        // 2ⁿ in two factors, since n reaches beyond the exponents of f32. Where the second is not 1, nothing is left of the 1.
        let most = splat(INTEGER + 32.0);
        let (power, rest) = if rounded.all_less_equal(most) {
            (one.times_exp2(rounded), one)
        } else {
            let near = most.min(rounded);
            (one.times_exp2(near), one.times_exp2((near - rounded) + splat(INTEGER)))
        };
        let start = power + one;
        let part = power * exp_m1_near_0(simd, r);
        let d = start + part;
        // What was too much in the sums (Dekker, 1971). It counts in the first only where `power` is the greater.
        let excess = ((start - power) - one) + ((d - start) - part);
        let q = one.quotient(simd, d);
        (q * q).mul_add(excess, q) * rest
    }
}

/// See [`Element::erf_lanes`].
struct Erf;

impl Elementary for Erf {
    #[inline(always)]
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        // erf t = 1 − e^−(t + t·q(t)), where q is a minimax polynomial, weighted by what its error does to erf t: 2^-28. From 4 on the
        // result is 1; NaN passes.
        let splat = |value| S::F32::splat(simd, value);
        let one = splat(1.0);
        let t = splat(4.0).min(x.abs());
        let z = t * t;
        let even =
            splat(-9.255_277e-6).mul_add(z, splat(-0.000_632_805_86)).mul_add(z, splat(-0.000_160_340_83));
        let even = even.mul_add(z, splat(0.102_777_84)).mul_add(z, splat(0.128_379_17));
        let odd =
            splat(0.000_117_632_49).mul_add(z, splat(0.001_666_971_6)).mul_add(z, splat(-0.019_153_094));
        let q = odd.mul_add(z, splat(0.636_619_4)).mul_add(t, even);
        // t and t·q(t) are added last, for the smaller one is rounded in smaller units; n of their sum's reduction is 0 or less.
        let part = q * t;
        let rounded = (part + t).mul_add(splat(-core::f32::consts::LOG2_E), splat(INTEGER));
        let n = rounded - splat(INTEGER);
        let high = n.mul_add(splat(LN_2_HIGH), t);
        let low = n.mul_add(splat(-LN_2_LOW), -part);
        let (square, q) = square_and_rest(simd, low - high);
        // 1 − 2ⁿ·eʳ = (1 − 2ⁿ) + 2ⁿ·(1 − eʳ).
        let power = one.times_exp2(rounded);
        let y = power.mul_add(high - square.mul_add(q, low), one - power);
        x.if_less(splat(0.0), -y, y)
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
    fn exp_below_0_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        simd.elementary::<ExpBelow0>(x)
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
    fn exp_below_0_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
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
