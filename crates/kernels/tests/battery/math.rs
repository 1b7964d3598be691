//! The elementary functions over all of `f32`: largest error, order, special values.
//!
//! Every 1009th bit pattern here (every 100,003rd in an emulator); all of them in `exhaustive.rs`.

use crate::support::{assert_same_bits, contexts};
use bantam_core::{Context, Numerics};
use bantam_kernels::{Arg, MapFn, Span, functions, map, zip};
use core::iter::once;

/// Primes, so that the sample meets every low bit of the mantissa. Elsewhere the processor is emulated.
const STEP: usize = if cfg!(target_arch = "x86_64") { 1009 } else { 100_003 };
const CHUNK: usize = 4096;

/// What is promised of a function: at most `bound` ulp wrong, and never falling by more than `fall` ulp from one argument to the next.
pub struct Promise<F> {
    pub name: &'static str,
    pub function: F,
    pub bound: f64,
    pub fall: f64,
    pub exact: fn(f64) -> f64,
}

pub const EXP: Promise<functions::Exp> =
    Promise { name: "exp", function: functions::Exp, bound: 1.01, fall: 0.0, exact: f64::exp };
pub const LN: Promise<functions::Ln> =
    Promise { name: "ln", function: functions::Ln, bound: 1.0, fall: 0.0, exact: f64::ln };
pub const TANH: Promise<functions::Tanh> =
    Promise { name: "tanh", function: functions::Tanh, bound: 1.5, fall: 1.0, exact: f64::tanh };
pub const SIGMOID: Promise<functions::Sigmoid> =
    Promise { name: "sigmoid", function: functions::Sigmoid, bound: 1.5, fall: 1.0, exact: sigmoid_of };
pub const ERF: Promise<functions::Erf> =
    Promise { name: "erf", function: functions::Erf, bound: 1.5, fall: 1.0, exact: libm::erf };
pub const SIN: Promise<functions::Sin> =
    Promise { name: "sin", function: functions::Sin, bound: 1.5, fall: f64::INFINITY, exact: f64::sin };
pub const COS: Promise<functions::Cos> =
    Promise { name: "cos", function: functions::Cos, bound: 1.0, fall: f64::INFINITY, exact: f64::cos };

fn sigmoid_of(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// From here on, which is halfway to what would be the next number after the greatest, infinity is right.
pub const OVERFLOW: f64 = f32::MAX as f64 * (1.0 + 1.0 / 33_554_432.0);

/// Distance from `exact` in units of the last place of an `f32` that lies there.
pub fn ulps(y: f32, exact: f64) -> f64 {
    if f64::from(y) == exact || y.is_nan() && exact.is_nan() {
        return 0.0;
    }
    if exact.abs() >= OVERFLOW {
        return if f64::from(y) == exact.signum() * f64::INFINITY { 0.0 } else { f64::INFINITY };
    }
    (f64::from(y) - exact).abs() / power_below(exact) * 2.0_f64.powi(23)
}

/// The power of two below it, from its bits; subnormal numbers have the places of the least normal ones.
#[inline(always)]
pub fn power_below(exact: f64) -> f64 {
    let power = f64::from_bits(exact.to_bits() & 0x7ff0_0000_0000_0000);
    let least = f64::from(f32::MIN_POSITIVE);
    if power < least { least } else { power }
}

/// Holds a function to its promise over the sample, in all contexts, with the same bits where that is promised.
fn check<F: MapFn<f32>>(promise: &Promise<F>) {
    let Promise { name, function, bound, fall, exact } = *promise;
    // In the order of the numbers: from -NaN down to -0, then from 0 up to NaN.
    let negative = (0x8000_0000..=u32::MAX).rev().step_by(STEP);
    let mut patterns = negative.chain((0..0x8000_0000).step_by(STEP));
    let mut worst = vec![(0.0, 0.0); contexts().count() + 1];
    let mut last = vec![f32::NAN; contexts().count() + 1];
    loop {
        let x: Vec<f32> = patterns.by_ref().take(CHUNK).map(f32::from_bits).collect();
        if x.is_empty() {
            break;
        }
        let exact: Vec<f64> = x.iter().map(|x| exact(f64::from(*x))).collect();
        let mut reference = vec![0.0; x.len()];
        for (i, cx) in once(Context::REFERENCE).chain(contexts()).enumerate() {
            let mut y = vec![0.0; x.len()];
            map(&cx, function, Span::Separate(&x, &mut y));
            if i == 0 {
                reference.copy_from_slice(&y);
            } else if cx.numerics == Numerics::Portable {
                assert_same_bits(name, &reference, &y);
            }
            for ((x, y), exact) in x.iter().zip(&y).zip(&exact) {
                let error = ulps(*y, *exact);
                if error.is_nan() || error > worst[i].0 {
                    worst[i] = (error, *x);
                }
                let falls = *y < last[i] && ulps(last[i], f64::from(*y)) > fall;
                assert!(!falls, "{name}({x:e}) falls from {:e} to {y:e}: {cx:?}", last[i]);
                last[i] = *y;
            }
        }
    }
    for (cx, (error, x)) in once(Context::REFERENCE).chain(contexts()).zip(worst) {
        println!("{name}: {error:.3} ulp at {x:e} with {cx:?}");
        assert!(error <= bound, "{name}({x:e}) is {error} ulp wrong with {cx:?}");
    }
}

#[test]
fn exp() {
    check(&EXP);
}

#[test]
fn ln() {
    check(&LN);
}

#[test]
fn tanh() {
    check(&TANH);
}

#[test]
fn sigmoid() {
    check(&SIGMOID);
}

#[test]
fn erf() {
    check(&ERF);
}

#[test]
fn sin() {
    check(&SIN);
}

#[test]
fn cos() {
    check(&COS);
}

/// The error function is known to 2^-24 or so beside 1, whatever is left of the difference: so the promise is a part of x.
#[test]
fn gelu() {
    let exact = |x: f64| 0.5 * x * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2);
    let slope = |x: f64| {
        let density = (-0.5 * x * x).exp() / (2.0 * core::f64::consts::PI).sqrt();
        0.5 * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2) + x * density
    };
    let x: Vec<f32> = (0..40_000).map(|i| (i - 20_000) as f32 / 1999.0).collect();
    for cx in once(Context::REFERENCE).chain(contexts()) {
        let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        map(&cx, functions::Gelu, Span::Separate(&x, &mut y));
        zip(&cx, functions::GeluSlope, &[x.len()], Arg::In(&x, &[1]), Arg::In(&y, &[1]), &mut dx);
        let (mut worst, mut off, mut slope_off) = (0.0_f64, 0.0_f64, 0.0_f64);
        for ((x, y), dx) in x.iter().map(|x| f64::from(*x)).zip(&y).zip(&dx) {
            if x >= 0.0 {
                worst = worst.max(ulps(*y, exact(x)));
            } else {
                off = off.max((f64::from(*y) - exact(x)).abs() / -x);
            }
            slope_off = slope_off.max((f64::from(*dx) - slope(x)).abs());
        }
        let unit = 2.0_f64.powi(-24);
        println!("gelu: {worst:.3} ulp, {:.3}, {:.3} with {cx:?}", off / unit, slope_off / unit);
        assert!(
            worst <= 1.5 && off <= unit && slope_off <= 5.0 * unit,
            "{worst} {off:e} {slope_off:e} {cx:?}"
        );
    }
}

/// Vectors of any width, in pairs or not, and what is left beside them.
#[test]
fn every_length() {
    let x: Vec<f32> = (0..70).map(|i| 0.1 * i as f32 - 3.0).collect();
    for cx in contexts() {
        let mut whole = x.clone();
        map(&cx, functions::Tanh, Span::InPlace(&mut whole));
        for len in 0..x.len() {
            let mut y = x.clone();
            map(&cx, functions::Tanh, Span::InPlace(&mut y[..len]));
            assert_same_bits("tanh", &whole[..len], &y[..len]);
            assert_same_bits("what is behind", &x[len..], &y[len..]);
        }
    }
}
