//! Softmax and cross-entropy against f64.

use crate::support::{Random, assert_within, contexts, same_bits};
use bantam_core::Context;
use bantam_kernels::{
    Span, cross_entropy, cross_entropy_backward, log_softmax, log_softmax_backward, softmax, softmax_backward,
};

const EPSILON: f64 = f32::EPSILON as f64;

/// The softmax of a row and its logarithm, in f64.
fn exact(row: &[f32]) -> Vec<(f64, f64)> {
    let max = row.iter().fold(f64::NEG_INFINITY, |a, b| a.max(f64::from(*b)));
    let sum: f64 = row.iter().map(|x| (f64::from(*x) - max).exp()).sum();
    row.iter().map(|x| f64::from(*x) - max).map(|x| (x.exp() / sum, x - sum.ln())).collect()
}

fn shapes(random: &mut Random) -> Vec<(usize, usize, Vec<f32>)> {
    [(1, 1), (3, 2), (5, 10), (4, 8), (7, 33), (27, 17), (16, 65), (9, 127), (40, 1000), (9000, 3)]
        .map(|(rows, columns)| {
            let scale = random.pick(&[1.0, 30.0]);
            (rows, columns, random.vec::<f32>(rows * columns).iter().map(|x| x * scale).collect())
        })
        .into()
}

#[test]
fn softmax_and_its_logarithm() {
    let mut random = Random::new(1);
    for (rows, columns, x) in shapes(&mut random) {
        let exact: Vec<(f64, f64)> = x.chunks(columns).flat_map(exact).collect();
        // Relative: x − max is exact or rounded once below 64, so its exponential is within 64 · ε/2 + 1 ulp; the sum
        // adds columns / 8 + 3 roundings in its lanes, the division one.
        let relative = (32.0 + columns as f64 / 8.0 + 6.0) * EPSILON;
        let bounds: Vec<_> = exact.iter().map(|(y, _)| (*y, y * relative)).collect();
        // Absolute: the sum's relative error, and two roundings of numbers below 64 + ln(columns) < 72.
        let log_bounds: Vec<_> = exact.iter().map(|(_, y)| (*y, relative + 72.0 * EPSILON)).collect();
        for in_place in [false, true] {
            let run = |cx: &Context<'_>, log: bool| {
                let mut y = if in_place { x.clone() } else { vec![f32::NAN; x.len()] };
                let span = if in_place { Span::InPlace(&mut y) } else { Span::Separate(&x, &mut y) };
                if log {
                    log_softmax(cx, rows, columns, span)
                } else {
                    softmax(cx, rows, columns, span)
                }
                y
            };
            for y in same_bits("softmax", |cx| run(cx, false)) {
                assert_within("softmax", &y, &bounds);
            }
            for y in same_bits("log-softmax", |cx| run(cx, true)) {
                assert_within("log-softmax", &y, &log_bounds);
            }
        }
    }
}

/// What is masked gets nothing, and the others what they get without it.
#[test]
fn masks() {
    let mut random = Random::new(3);
    for (rows, columns) in [(1, 5), (11, 9), (24, 32), (18, 45), (3, 200)] {
        for mask in [-1e9, -1e4, -110.0, -103.9, -95.0, -88.0, f32::NEG_INFINITY] {
            let mut x = random.vec::<f32>(rows * columns);
            for (i, x) in x.iter_mut().enumerate() {
                if i % columns > i / columns {
                    *x = mask;
                }
            }
            let exact: Vec<(f64, f64)> = x
                .chunks(columns)
                .flat_map(exact)
                .map(|(y, _)| (y, y * (64.0 + columns as f64) * EPSILON + 1e-44))
                .collect();
            let run = |cx: &Context<'_>| {
                let mut y = x.clone();
                softmax(cx, rows, columns, Span::InPlace(&mut y));
                y
            };
            for y in same_bits("masked softmax", run) {
                assert_within("masked softmax", &y, &exact);
            }
        }
    }
}

#[test]
fn gradients() {
    let mut random = Random::new(2);
    for (rows, columns, x) in shapes(&mut random) {
        let exact: Vec<(f64, f64)> = x.chunks(columns).flat_map(exact).collect();
        let y: Vec<f32> = exact.iter().map(|(y, _)| *y as f32).collect();
        let log: Vec<f32> = exact.iter().map(|(_, y)| *y as f32).collect();
        let dy: Vec<f32> = random.vec(x.len());
        let (mut bounds, mut log_bounds) = (vec![], vec![]);
        for ((y, log), dy) in y.chunks(columns).zip(log.chunks(columns)).zip(dy.chunks(columns)) {
            let wide = |x: &f32| f64::from(*x);
            let weighted: f64 = y.iter().zip(dy).map(|(y, dy)| wide(y) * wide(dy)).sum();
            let total: f64 = dy.iter().map(wide).sum();
            let absolute: f64 = dy.iter().map(|dy| wide(dy).abs()).sum();
            for ((y, log), dy) in y.iter().zip(log).zip(dy) {
                // The sum of columns terms, then two more roundings of numbers below 2.
                let y = wide(y);
                bounds.push((y * (wide(dy) - weighted), y * (columns as f64 + 4.0) * EPSILON * 2.0));
                let p = wide(log).exp();
                let error = p * absolute * (columns as f64 + 4.0) * EPSILON + 2.0 * EPSILON;
                log_bounds.push((wide(dy) - p * total, error));
            }
        }
        for dx in same_bits("softmax gradient", |cx| {
            let mut dx = vec![f32::NAN; x.len()];
            softmax_backward(cx, rows, columns, &y, &dy, &mut dx);
            dx
        }) {
            assert_within("softmax gradient", &dx, &bounds);
        }
        for dx in same_bits("log-softmax gradient", |cx| {
            let mut dx = vec![f32::NAN; x.len()];
            log_softmax_backward(cx, rows, columns, &log, &dy, &mut dx);
            dx
        }) {
            assert_within("log-softmax gradient", &dx, &log_bounds);
        }
    }
}

#[test]
fn cross_entropy_and_its_gradient() {
    let mut random = Random::new(3);
    for (rows, columns, x) in shapes(&mut random) {
        let labels: Vec<u32> = (0..rows).map(|_| random.between(0, columns - 1) as u32).collect();
        let exact: Vec<(f64, f64)> = x.chunks(columns).flat_map(exact).collect();
        let loss: f64 = labels.iter().enumerate().map(|(row, l)| -exact[row * columns + *l as usize].1).sum();
        let relative = (32.0 + columns as f64 / 8.0 + 6.0) * EPSILON;
        // The error of one row as of log-softmax, and the sum of rows numbers below 72 in pieces of at least 8192
        // elements: at most 8192 roundings of the running sum, relative to it.
        let bound = relative + 72.0 * EPSILON + loss / rows as f64 * (rows as f64).min(8192.0) * EPSILON;
        for result in same_bits("cross-entropy", |cx| vec![cross_entropy(cx, rows, columns, &x, &labels)]) {
            assert_within("cross-entropy", &result, &[(loss / rows as f64, bound)]);
        }
        let dloss = 0.7_f32;
        let scale = f64::from(dloss) / rows as f64;
        let bounds: Vec<(f64, f64)> = exact
            .iter()
            .enumerate()
            .map(|(i, (p, _))| {
                let hit = labels[i / columns] as usize == i % columns;
                ((p - f64::from(u8::from(hit))) * scale, scale * (p * relative + 3.0 * EPSILON))
            })
            .collect();
        for result in same_bits("cross-entropy gradient", |cx| {
            let mut dx = vec![f32::NAN; x.len()];
            cross_entropy_backward(cx, rows, columns, &x, &labels, dloss, &mut dx);
            dx
        }) {
            assert_within("cross-entropy gradient", &result, &bounds);
        }
    }
}

#[test]
fn bad_rows_are_nan_and_good_rows_are_not_touched() {
    for cx in contexts() {
        let (infinity, nan) = (f32::INFINITY, f32::NAN);
        let x = [1.0, 2.0, infinity, 1.0, nan, 1.0, -infinity, -infinity, -infinity, 1.0, 1e30, -1e30];
        let mut y = [0.0; 12];
        softmax(&cx, 6, 2, Span::Separate(&x, &mut y));
        for row in [1, 2, 3] {
            assert!(y[2 * row..2 * row + 2].iter().all(|y| y.is_nan()), "row {row} of {y:?}: {cx:?}");
        }
        assert_eq!(&y[8..], [0.0, 1.0, 1.0, 0.0], "{cx:?}");
        assert!((y[0] + y[1] - 1.0).abs() < 1e-6, "{cx:?}");

        // A label that is no column.
        assert!(cross_entropy(&cx, 2, 3, &[1.0_f32; 6], &[0, 3]).is_nan(), "{cx:?}");
        assert!(cross_entropy::<f32>(&cx, 0, 3, &[], &[]).is_nan(), "{cx:?}");
        let mut dx = [0.0; 6];
        cross_entropy_backward(&cx, 2, 3, &[1.0_f32; 6], &[0, u32::MAX], 1.0, &mut dx);
        assert!(
            dx[..3].iter().all(|x| x.is_finite()) && dx[3..].iter().all(|x| x.is_nan()),
            "{dx:?}: {cx:?}"
        );
    }
}
