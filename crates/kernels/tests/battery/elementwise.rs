//! Maps and zips against the same function of one number, at every position and with every kind of stride.

use crate::support::{Random, assert_same_bits, contexts, same_bits};
use bantam_core::{Context, Real};
use bantam_kernels::functions::*;
use bantam_kernels::{Arg, Element, MapFn, Span, ZipFn, map, zip};

/// Ordinary numbers with some of those that go wrong.
fn values<T: Real>(random: &mut Random, len: usize) -> Vec<T> {
    let special = [0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e-40, -1e-40];
    let mut x: Vec<T> = random.vec(len);
    for x in &mut x {
        if random.between(0, 3) == 0 {
            *x = T::from_f64(random.pick(&special));
        }
    }
    x
}

fn check_map<T: Element, F: MapFn<T>>(name: &str, f: F, expected: impl Fn(T) -> T) {
    let mut random = Random::new(1);
    for len in [0, 1, 7, 8, 9, 100, 40_001] {
        let x: Vec<T> = values(&mut random, len);
        let separate = |cx: &Context<'_>| {
            let mut y = vec![T::nan(); len];
            map(cx, f, Span::Separate(&x, &mut y));
            y
        };
        let in_place = |cx: &Context<'_>| {
            let mut y = x.clone();
            map(cx, f, Span::InPlace(&mut y));
            y
        };
        let expected: Vec<T> = x.iter().map(|x| expected(*x)).collect();
        for result in same_bits(name, separate) {
            assert_same_bits(name, &expected, &result);
        }
        for (cx, result) in contexts().zip(same_bits(name, in_place)) {
            assert_same_bits(name, &separate(&cx), &result);
        }
    }
}

fn check_maps<T: Element>() {
    let (zero, one) = (T::zero(), T::one());
    let of = T::from_f64;
    check_map::<T, _>("neg", Neg, |x| -x);
    check_map::<T, _>("abs", Abs, |x| x.abs());
    check_map::<T, _>("sqrt", Sqrt, |x| x.sqrt());
    check_map::<T, _>("rsqrt", Rsqrt, |x| one / x.sqrt());
    check_map::<T, _>("recip", Recip, |x| one / x);
    check_map::<T, _>("square", Square, |x| x * x);
    check_map::<T, _>("relu", Relu, |x| if zero > x { zero } else { x });
    check_map::<T, _>("step", Step, |x| if x > zero { one } else { zero });
    check_map::<T, _>("sign", Sign, |x| if x == zero || x.is_nan() { x } else { x.signum() });
    check_map::<T, _>("add scalar", AddScalar(of(0.3)), |x| x + of(0.3));
    check_map::<T, _>("mul scalar", MulScalar(of(0.3)), |x| x * of(0.3));
    check_map::<T, _>("max scalar", MaxScalar(of(0.3)), |x| if x.is_nan() { x } else { x.max(of(0.3)) });
    check_map::<T, _>("min scalar", MinScalar(of(0.3)), |x| if x.is_nan() { x } else { x.min(of(0.3)) });
    check_map::<T, _>("clamp", Clamp { low: of(-0.2), high: of(0.3) }, |x| {
        if x.is_nan() { x } else { x.max(of(-0.2)).min(of(0.3)) }
    });
}

#[test]
fn maps_are_the_function_at_every_position() {
    check_maps::<f32>();
    check_maps::<f64>();
}

#[test]
fn functions_from_libm_are_libm() {
    check_map::<f64, _>("sin", Sin, libm::sin);
    check_map::<f64, _>("cos", Cos, libm::cos);
    check_map::<f64, _>("erf", Erf, libm::erf);
    check_map::<f32, _>("pow", PowScalar(2.5), |x| libm::powf(x, 2.5));
    check_map::<f64, _>("exp", Exp, libm::exp);
    check_map::<f64, _>("tanh", Tanh, libm::tanh);
}

fn check_zip<F: ZipFn<f32>>(name: &str, f: F, expected: impl Fn(f32, f32) -> f32) {
    let mut random = Random::new(2);
    for round in 0..40 {
        let rank = random.between(0, 5);
        let mut shape: Vec<usize> = (0..rank).map(|_| random.between(1, 6)).collect();
        if round == 0 {
            shape = vec![3, 40_000];
        }
        let len = shape.iter().product();
        // Each operand is contiguous, or permuted, or broadcast along some axes, or a view with gaps.
        let operand = |random: &mut Random| {
            let mut strides = vec![0; shape.len()];
            let mut axes: Vec<usize> = (0..shape.len()).rev().collect();
            if random.coin() && axes.len() > 1 {
                let swap = random.between(0, axes.len() - 1);
                axes.swap(0, swap);
            }
            let mut stride = random.pick(&[1, 1, 2]);
            for axis in axes {
                if random.between(0, 3) > 0 {
                    strides[axis] = stride;
                    stride *= shape[axis];
                }
            }
            let reach: usize = strides.iter().zip(&shape).map(|(stride, dim)| stride * (dim - 1)).sum();
            (values::<f32>(random, reach + 1), strides)
        };
        let ((a, a_strides), (b, b_strides)) = (operand(&mut random), operand(&mut random));
        let old: Vec<f32> = values(&mut random, len);
        let (a_out, b_out) = (random.between(0, 3) == 0, random.between(0, 3) == 0);
        let at = |i: usize, strides: &[usize]| {
            let (mut rest, mut at) = (i, 0);
            for (axis, dim) in shape.iter().enumerate().rev() {
                at += rest % dim * strides[axis];
                rest /= dim;
            }
            at
        };
        let expected: Vec<f32> = (0..len)
            .map(|i| {
                let a = if a_out { old[i] } else { a[at(i, &a_strides)] };
                expected(a, if b_out { old[i] } else { b[at(i, &b_strides)] })
            })
            .collect();
        let name = format!("{name} {shape:?} {a_strides:?} {b_strides:?} {a_out} {b_out}");
        let results = same_bits(&name, |cx| {
            let mut out = if a_out || b_out { old.clone() } else { vec![f32::NAN; len] };
            let a = if a_out { Arg::Out } else { Arg::In(&a, &a_strides) };
            let b = if b_out { Arg::Out } else { Arg::In(&b, &b_strides) };
            zip(cx, f, &shape, a, b, &mut out);
            out
        });
        for result in results {
            assert_same_bits(&name, &expected, &result);
        }
    }
}

#[test]
fn zips_follow_every_stride() {
    let one = |yes: bool| if yes { 1.0 } else { 0.0 };
    check_zip("add", Add, |a, b| a + b);
    check_zip("sub", Sub, |a, b| a - b);
    check_zip("mul", Mul, |a, b| a * b);
    check_zip("div", Div, |a, b| a / b);
    check_zip("max", Max, |a, b| if a > b || a.is_nan() { a } else { b });
    check_zip("min", Min, |a, b| if a < b || a.is_nan() { a } else { b });
    check_zip("pow", Pow, libm::powf);
    check_zip("greater", Greater, |a, b| one(a > b));
    check_zip("greater or equal", GreaterEqual, |a, b| one(a >= b));
    check_zip("equal", Equal, |a, b| one(a == b));
    check_zip("relu gradient", ReluGrad, |dy, y| if y > 0.0 { dy } else { 0.0 });
    check_zip("sigmoid gradient", SigmoidGrad, |dy, y| dy * (y * (1.0 - y)));
    check_zip("tanh gradient", TanhGrad, |dy, y| dy * (1.0 - y * y));
}
