//! The elementary functions at every one of the 2^32 numbers, in minutes:
//! `cargo test --release -p bantam-kernels --features long-tests exhaustive -- --nocapture`.
//!
//! 4096 neighbours lie at equal distances inside one power of two. Their exact values come from a few: a polynomial through five of
//! them, or sums of angles. Either is argued to be nearer than 2^-36 of the value, which is 2^-12 ulp, and the first is held to it in
//! every chunk.

use crate::math::{COS, ERF, EXP, LN, OVERFLOW, Promise, SIGMOID, SIN, TANH, power_below, ulps};
use crate::support::{contexts, fuses};
use bantam_core::Context;
use bantam_kernels::{MapFn, Span, map};
use core::iter::once;

const CHUNK: usize = 4096;

/// Places in a chunk that its polynomial goes through: nearly those of Chebyshev and Lobatto. Both ends are among them, so where a
/// monotonic function has one value at all, it has it everywhere.
const NODES: [usize; 5] = [0, 600, 2048, 3495, 4095];
/// Places where the polynomial is compared with the function, about where it is farthest from it.
const BETWEEN: [usize; 2] = [250, 2800];
/// How far it may be, as a part of the value.
const NEAR: f64 = 1.0 / (1_u64 << 36) as f64;

/// The exact values for neighbours in a chunk, of a monotonic function.
///
/// The polynomial's error is about |f⁽⁵⁾|·h⁵ / (8·5!), h being half the width of the chunk, which is at most a part in 2^12 of x. Wider
/// than 2^-5 (|x| ≥ 128) chunks are computed number by number, so h⁵ is 2^-30 at most, and the whole 2^-39 of eˣ; the derivatives of the
/// others are 16 at most where h is below 2^-11, and less than their values beyond that.
fn smooth(f: fn(f64) -> f64) -> impl Fn(&[f32; CHUNK], &mut [f64; CHUNK]) {
    move |x, exact| {
        let values = NODES.map(|i| f(f64::from(x[i])));
        if values.iter().all(|value| *value == values[0] || value.is_nan() && values[0].is_nan()) {
            return exact.fill(values[0]);
        }
        let (first, last) = (f64::from(x[0]), f64::from(x[CHUNK - 1]));
        // Subnormal chunks are as wide as they are far from 0, where the logarithm has no bounded derivatives.
        let near_0 = first.abs().min(last.abs()) < f64::from(f32::MIN_POSITIVE);
        if last - first > 1.0 / 32.0 || near_0 || !values.iter().all(|value| value.is_finite()) {
            for (exact, x) in exact.iter_mut().zip(x) {
                *exact = f(f64::from(*x));
            }
            return;
        }
        // Newton's divided differences.
        let nodes = NODES.map(|i| i as f64);
        let mut c = values;
        for order in 1..nodes.len() {
            for i in (order..nodes.len()).rev() {
                c[i] = (c[i] - c[i - 1]) / (nodes[i] - nodes[i - order]);
            }
        }
        for (i, exact) in exact.iter_mut().enumerate() {
            let t = i as f64;
            let tail = c[2] + (t - nodes[2]) * (c[3] + (t - nodes[3]) * c[4]);
            *exact = c[0] + (t - nodes[0]) * (c[1] + (t - nodes[1]) * tail);
        }
        for i in BETWEEN {
            let (value, found) = (f(f64::from(x[i])), exact[i]);
            assert!((found - value).abs() <= NEAR * value.abs(), "{value:e} as {found:e} at {:e}", x[i]);
        }
    }
}

/// The sine of x plus so many quarters, 0 or 1, by sin(a + b) = sin a · cos b + cos a · sin b with 64 a and 64 b: 2^-50 wrong at most, so
/// where the result is below 2^-12 it is computed by itself. Below x = 2^-12 it is a series, whose next term is less than 2^-81.
fn wave(quarters: usize) -> impl Fn(&[f32; CHUNK], &mut [f64; CHUNK]) {
    const SMALL: f64 = 1.0 / 4096.0;
    let f = [f64::sin, f64::cos][quarters];
    move |x, exact| {
        let (first, last) = (f64::from(x[0]), f64::from(x[CHUNK - 1]));
        if first.abs().max(last.abs()) < SMALL {
            for (exact, x) in exact.iter_mut().zip(x) {
                let (x, z) = (f64::from(*x), f64::from(*x) * f64::from(*x));
                *exact = match quarters {
                    0 => x - x * z * (1.0 / 6.0 - z / 120.0),
                    _ => 1.0 - z * (0.5 - z / 24.0),
                };
            }
            return;
        }
        let steps: [(f64, f64); 64] = core::array::from_fn(|i| (f64::from(x[i]) - first).sin_cos());
        for (exact, x) in exact.chunks_exact_mut(64).zip(x.chunks_exact(64)) {
            let (sin, cos) = match (f64::from(x[0]).sin_cos(), quarters) {
                (pair, 0) => pair,
                ((sin, cos), _) => (cos, -sin),
            };
            for (exact, (step_sin, step_cos)) in exact.iter_mut().zip(&steps) {
                *exact = sin * step_cos + cos * step_sin;
            }
            for (exact, x) in exact.iter_mut().zip(x) {
                // Infinity and NaN, too.
                if !(exact.abs() >= SMALL && x.is_finite()) {
                    *exact = f(f64::from(*x));
                }
            }
        }
    }
}

/// The largest error of a chunk in ulp, if all exact values are finite as `f32`; infinity stands for NaN.
fn largest_error(y: &[f32; CHUNK], exact: &[f64; CHUNK]) -> f64 {
    let mut largest = [0.0_f64; 8];
    for (y, exact) in y.chunks_exact(8).zip(exact.chunks_exact(8)) {
        for i in 0..8 {
            let error = (f64::from(y[i]) - exact[i]).abs() / power_below(exact[i]);
            // False for NaN.
            largest[i] = if error <= largest[i] { largest[i] } else { error };
        }
    }
    let worse = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::INFINITY } else { a.max(b) };
    largest.into_iter().fold(0.0, worse) * 8_388_608.0
}

/// The contexts with code of their own: optimised builds have no plain loops on the host, and what rounds as the reference does is the
/// baseline.
fn distinct() -> Vec<Context<'static>> {
    once(Context::REFERENCE).chain(contexts().filter(fuses)).collect()
}

/// What has been seen of a function in one context.
struct Seen {
    cx: Context<'static>,
    /// The largest error and its argument.
    worst: (f64, f32),
    last: f32,
    y: Box<[f32; CHUNK]>,
}

/// Holds a function to its promise at all numbers, in the contexts with code of their own. From `alike` on all of them call one function
/// of `libm` lane by lane, which takes the sign off first and an eighth of a microsecond: the other contexts, and negative numbers, are
/// looked at in every sixteenth chunk there.
fn check<F: MapFn<f32>>(
    promise: &Promise<F>,
    alike: f32,
    exact_of: impl Fn(&[f32; CHUNK], &mut [f64; CHUNK]),
) {
    let Promise { name, function, bound, fall, .. } = *promise;
    let seen = |cx| Seen { cx, worst: (0.0, 0.0), last: f32::NAN, y: Box::new([0.0; CHUNK]) };
    let mut all: Vec<Seen> = distinct().into_iter().map(seen).collect();
    let (mut x, mut exact) = (Box::new([0.0; CHUNK]), Box::new([0.0; CHUNK]));
    // In the order of the numbers: from -NaN down to -0, then from 0 up to NaN.
    let chunks = 1_u32 << 19;
    for chunk in (chunks..2 * chunks).rev().chain(0..chunks) {
        for (i, x) in x.iter_mut().enumerate() {
            let place = if chunk < chunks { i } else { CHUNK - 1 - i };
            *x = f32::from_bits(chunk * CHUNK as u32 + place as u32);
        }
        let far = x[0].abs() >= alike && x[CHUNK - 1].abs() >= alike;
        if far && chunk >= chunks && !chunk.is_multiple_of(16) {
            continue;
        }
        exact_of(&x, &mut exact);
        // Without a way out of the middle, so that it is done in vectors.
        let finite = exact.iter().fold(true, |finite, exact| finite & (exact.abs() < OVERFLOW));
        for i in 0..all.len() {
            if far && i > 0 && !chunk.is_multiple_of(16) {
                break;
            }
            let (before, rest) = all.split_at_mut(i);
            let Seen { cx, worst, last, y } = &mut rest[0];
            map(cx, function, Span::Separate(&x[..], &mut y[..]));
            // Fused roundings are the same at every level, so what equals the context before needs no more.
            if let Some(before) = before.last().filter(|before| fuses(&before.cx)) {
                let pairs = before.y.iter().zip(&y[..]);
                if pairs.fold(0, |differ, (a, b)| differ | (a.to_bits() ^ b.to_bits())) == 0 {
                    (*worst, *last) = (before.worst, before.last);
                    continue;
                }
            }
            if !finite || largest_error(y, &exact) > worst.0 {
                for ((x, y), exact) in x.iter().zip(&y[..]).zip(&exact[..]) {
                    let error = ulps(*y, *exact);
                    if error.is_nan() || error > worst.0 {
                        *worst = (error, *x);
                    }
                }
            }
            // Sine and cosine rise and fall.
            if fall < f64::INFINITY {
                let mut falls = y[0] < *last;
                for i in 1..CHUNK {
                    falls |= y[i] < y[i - 1];
                }
                for (x, y) in x.iter().zip(&y[..]).filter(|_| falls) {
                    let falls = *y < *last && ulps(*last, f64::from(*y)) > fall;
                    assert!(!falls, "{name}({x:e}) falls from {last:e} to {y:e}: {cx:?}");
                    *last = *y;
                }
                *last = y[CHUNK - 1];
            }
        }
    }
    for Seen { cx, worst: (error, x), .. } in &all {
        println!("{name}: {error:.3} ulp at {x:e} with {cx:?}");
    }
    for Seen { cx, worst: (error, x), .. } in &all {
        assert!(*error <= bound, "{name}({x:e}) is {error} ulp wrong with {cx:?}");
    }
}

#[test]
fn exp() {
    check(&EXP, f32::INFINITY, smooth(EXP.exact));
}

#[test]
fn ln() {
    check(&LN, f32::INFINITY, smooth(LN.exact));
}

#[test]
fn tanh() {
    check(&TANH, f32::INFINITY, smooth(TANH.exact));
}

#[test]
fn sigmoid() {
    check(&SIGMOID, f32::INFINITY, smooth(SIGMOID.exact));
}

#[test]
fn erf() {
    check(&ERF, f32::INFINITY, smooth(ERF.exact));
}

#[test]
fn sin() {
    check(&SIN, 12_801.0, wave(0));
}

#[test]
fn cos() {
    check(&COS, 12_801.0, wave(1));
}
