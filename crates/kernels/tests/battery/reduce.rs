//! Reductions against sums in f64, and their order against its definition.

use crate::support::{Random, assert_same_bits, assert_within, contexts, fuses, same_bits};
use bantam_core::Real;
use bantam_kernels::{Element, Reduce, argmax, dot, reduce, sum_of_squares};

const KINDS: [Reduce; 5] = [Reduce::Sum, Reduce::Mean, Reduce::Max, Reduce::Min, Reduce::Product];

fn check<T: Element>(random: &mut Random, [outer, n, inner]: [usize; 3]) {
    let x: Vec<T> = random.vec(outer * n * inner);
    let old: Vec<T> = random.vec(outer * inner);
    let accumulate = random.coin();
    let kind = random.pick(&KINDS);
    let name = format!("{kind:?} of [{outer}, {n}, {inner}], accumulate {accumulate}");
    let epsilon = Real::to_f64(T::epsilon());
    let expected: Vec<(f64, f64)> = (0..outer * inner)
        .map(|at| {
            let line = (0..n).map(|i| Real::to_f64(x[(at / inner * n + i) * inner + at % inner]));
            let old = if accumulate { Real::to_f64(old[at]) } else { 0.0 };
            let absolute: f64 = line.clone().map(f64::abs).sum();
            // n additions in any order: n · ε · Σ|x| (Higham, 2002, section 4.2), and one more for the old value. The
            // factors of a product are below 1, each multiplication rounds once.
            let (exact, bound) = match kind {
                Reduce::Sum => (line.sum::<f64>(), n as f64 * epsilon * absolute),
                Reduce::Mean => {
                    (line.sum::<f64>() / n as f64, (n + 1) as f64 * epsilon * absolute / n as f64)
                }
                Reduce::Max => (line.fold(f64::NEG_INFINITY, f64::max), 0.0),
                Reduce::Min => (line.fold(f64::INFINITY, f64::min), 0.0),
                // Where the product underflows, an error may be half of the least number.
                Reduce::Product => {
                    let product = line.product::<f64>();
                    let least = Real::to_f64(T::min_positive_value()) * epsilon;
                    (product, n as f64 * (epsilon * product.abs() + least))
                }
            };
            (exact + old, bound + if accumulate { epsilon * (exact + old).abs() } else { 0.0 })
        })
        .collect();
    let results = same_bits(&name, |cx| {
        let mut out = if accumulate { old.clone() } else { vec![T::nan(); old.len()] };
        reduce(cx, kind, outer, n, inner, &x, &mut out, accumulate);
        out
    });
    for (cx, result) in contexts().zip(results) {
        assert_within(&format!("{name} {cx:?}"), &result, &expected);
    }
}

#[test]
fn random_shapes() {
    let mut random = Random::new(1);
    for _ in 0..200 {
        let shape = [random.between(1, 20), random.between(1, 50), random.pick(&[1, 1, 2, 7, 8, 9, 40])];
        check::<f32>(&mut random, shape);
        check::<f64>(&mut random, shape);
    }
    for shape in [[1, 70_001, 1], [3, 40_000, 1], [1, 300, 500], [2, 70, 301], [20_000, 3, 1]] {
        for _ in 0..3 {
            check::<f32>(&mut random, shape);
        }
    }
}

#[test]
fn rows_are_added_in_eight_lanes() {
    let x: Vec<f32> = Random::new(2).vec(43);
    let mut lanes = [0.0_f32; 8];
    for (i, x) in x.iter().enumerate() {
        lanes[i % 8] += x;
    }
    let quad: [f32; 4] = core::array::from_fn(|i| lanes[i] + lanes[i + 4]);
    let expected = (quad[0] + quad[2]) + (quad[1] + quad[3]);
    for cx in contexts() {
        let mut out = [0.0];
        reduce(&cx, Reduce::Sum, 1, x.len(), 1, &x, &mut out, false);
        assert_same_bits("sum", &[expected], &out);
    }
}

#[test]
fn nothing_gives_the_neutral_element_and_nan_is_not_lost() {
    for cx in contexts() {
        for (kind, neutral) in KINDS.into_iter().zip([0.0, f32::NAN, f32::NEG_INFINITY, f32::INFINITY, 1.0]) {
            for inner in [1, 3] {
                let mut out = vec![5.0; inner];
                reduce(&cx, kind, 1, 0, inner, &[], &mut out, false);
                assert_same_bits(&format!("{kind:?}"), &vec![neutral; inner], &out);
            }
            for place in 0..20 {
                let mut x = [1.0_f32; 20];
                x[place] = f32::NAN;
                let mut out = [0.0; 1];
                reduce(&cx, kind, 1, 20, 1, &x, &mut out, false);
                assert!(out[0].is_nan(), "{kind:?} with NaN at {place}: {cx:?}");
                let mut out = [0.0; 2];
                reduce(&cx, kind, 1, 10, 2, &x, &mut out, false);
                assert!(
                    out[place % 2].is_nan() && !out[1 - place % 2].is_nan(),
                    "{kind:?} at {place}: {cx:?}"
                );
            }
        }
    }
}

#[test]
fn argmax_is_the_first_greatest() {
    let mut random = Random::new(3);
    for _ in 0..100 {
        let [outer, n, inner] = [random.between(1, 9), random.between(1, 30), random.pick(&[1, 1, 3, 10])];
        // Few different values, so that there are ties.
        let x: Vec<f32> = (0..outer * n * inner)
            .map(|_| if random.between(0, 40) == 0 { f32::NAN } else { random.between(0, 5) as f32 })
            .collect();
        let expected: Vec<u32> = (0..outer * inner)
            .map(|at| {
                let line: Vec<f32> = (0..n).map(|i| x[(at / inner * n + i) * inner + at % inner]).collect();
                let greatest = line.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let nan = line.iter().position(|x| x.is_nan());
                nan.or_else(|| line.iter().position(|x| *x == greatest)).unwrap_or(0) as u32
            })
            .collect();
        for cx in contexts() {
            let mut out = vec![u32::MAX; expected.len()];
            argmax(&cx, outer, n, inner, &x, &mut out);
            assert_eq!(out, expected, "{cx:?}");
        }
    }
}

#[test]
fn dot_multiplies_and_adds_in_eight_lanes() {
    let mut random = Random::new(4);
    for len in [0, 1, 8, 20, 1000, 100_003] {
        let (a, b): (Vec<f32>, Vec<f32>) = (random.vec(len), random.vec(len));
        let results = same_bits("dot", |cx| vec![dot(cx, &a, &b), sum_of_squares(cx, &a)]);
        let exact = |b: &[f32]| -> (f64, f64) {
            let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
            let absolute: f64 = products.clone().map(f64::abs).sum();
            (products.sum(), (len + 1) as f64 * f64::from(f32::EPSILON) * absolute)
        };
        for (cx, result) in contexts().zip(results) {
            assert_within(&format!("dot {len} {cx:?}"), &result, &[exact(&b), exact(&a)]);
            if len == 20 {
                let mut lanes = [0.0_f32; 8];
                for i in 0..len {
                    lanes[i % 8] = if fuses(&cx) {
                        a[i].mul_add(b[i], lanes[i % 8])
                    } else {
                        a[i] * b[i] + lanes[i % 8]
                    };
                }
                let quad: [f32; 4] = core::array::from_fn(|i| lanes[i] + lanes[i + 4]);
                assert_same_bits("dot", &[(quad[0] + quad[2]) + (quad[1] + quad[3])], &result[..1]);
            }
        }
    }
}
