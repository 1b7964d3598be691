//! The elementary functions over all of `f32`: largest error, order, special values.
//!
//! Every 1009th bit pattern here; all of them with
//! `cargo test --release -p bantam-kernels --features long-tests math`.

use crate::support::{assert_same_bits, contexts, fuses};
use bantam_core::{Context, Numerics};
use bantam_kernels::{MapFn, Span, functions, map};
use core::iter::once;

/// 1009 is prime, so the sample meets every low bit of the mantissa.
const STEP: u32 = if cfg!(feature = "long-tests") { 1 } else { 1009 };
const CHUNK: usize = 4096;

/// Distance from `exact` in units of the last place of an `f32` that lies there.
fn ulps(y: f32, exact: f64) -> f64 {
    if f64::from(y) == exact || y.is_nan() && exact.is_nan() {
        return 0.0;
    }
    // Halfway to what would be the next number after the greatest: from there on infinity is right.
    if exact.abs() >= f64::from(f32::MAX) * (1.0 + 2.0_f64.powi(-25)) {
        return if f64::from(y) == exact.signum() * f64::INFINITY { 0.0 } else { f64::INFINITY };
    }
    // The power of two below it, from its bits; subnormal numbers have the places of the least normal ones.
    let power = f64::from_bits(exact.to_bits() & 0x7ff0_0000_0000_0000).max(f64::from(f32::MIN_POSITIVE));
    (f64::from(y) - exact).abs() / power * 2.0_f64.powi(23)
}

/// All contexts, or in the long tests those with code of their own: optimised builds have no plain loops on the host, and what rounds
/// as the reference is the baseline.
fn distinct() -> impl Iterator<Item = Context<'static>> {
    contexts().filter(|cx| STEP > 1 || fuses(cx))
}

/// Holds `f` to `exact` over the sample: within `bound` ulp, in all contexts, with the same bits where that is
/// promised, and never falling by more than `fall` ulp from one argument to the next.
fn check<F: MapFn<f32>>(name: &str, f: F, bound: f64, fall: f64, exact: impl Fn(f64) -> f64) {
    // In the order of the numbers: from -NaN down to -0, then from 0 up to NaN.
    let negative = (0x8000_0000..=u32::MAX).rev().step_by(STEP as usize);
    let mut patterns = negative.chain((0..0x8000_0000).step_by(STEP as usize));
    let mut worst = vec![(0.0, 0.0); distinct().count() + 1];
    let mut last = vec![f32::NAN; distinct().count() + 1];
    loop {
        let x: Vec<f32> = patterns.by_ref().take(CHUNK).map(f32::from_bits).collect();
        if x.is_empty() {
            break;
        }
        let exact: Vec<f64> = x.iter().map(|x| exact(f64::from(*x))).collect();
        let mut reference = vec![0.0; x.len()];
        for (i, cx) in once(Context::REFERENCE).chain(distinct()).enumerate() {
            let mut y = vec![0.0; x.len()];
            map(&cx, f, Span::Separate(&x, &mut y));
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
    for (cx, (error, x)) in once(Context::REFERENCE).chain(distinct()).zip(worst) {
        println!("{name}: {error:.3} ulp at {x:e} with {cx:?}");
        assert!(error <= bound, "{name}({x:e}) is {error} ulp wrong with {cx:?}");
    }
}

#[test]
fn exp() {
    check("exp", functions::Exp, 1.0, 0.0, f64::exp);
}

#[test]
fn ln() {
    check("ln", functions::Ln, 1.0, 0.0, f64::ln);
}

#[test]
fn tanh() {
    check("tanh", functions::Tanh, 1.5, 1.0, f64::tanh);
}

#[test]
fn sigmoid() {
    check("sigmoid", functions::Sigmoid, 1.5, 1.0, |x| 1.0 / (1.0 + (-x).exp()));
}

#[test]
fn erf() {
    check("erf", functions::Erf, 1.5, 1.0, libm::erf);
}

#[test]
fn sin() {
    check("sin", functions::Sin, 1.0, f64::INFINITY, f64::sin);
}

#[test]
fn cos() {
    check("cos", functions::Cos, 1.0, f64::INFINITY, f64::cos);
}
