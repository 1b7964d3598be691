//! Batch and layer normalisation against f64, and their gradients against central differences of the definition.

use crate::support::{Random, assert_same_bits, assert_within, same_bits};
use bantam_core::Context;
use bantam_kernels::{
    NormShape, RowStatistics, Span, layer_norm, layer_norm_backward_affine, layer_norm_backward_input,
    norm_apply, norm_backward_affine, norm_backward_input, norm_statistics,
};

fn shapes() -> impl Iterator<Item = NormShape> {
    let shapes = [
        (2, 1, 1),
        (5, 3, 1),
        (17, 40, 1),
        (3, 2, 2),
        (4, 5, 9),
        (2, 3, 33),
        (9, 70, 16),
        (1, 19, 61),
        (300, 130, 1),
    ];
    shapes.into_iter().map(|(batch, channels, inner)| NormShape { batch, channels, inner })
}

/// The elements of a channel.
fn channel(shape: NormShape, x: &[f64], channel: usize) -> Vec<f64> {
    let samples = x.chunks(shape.channels * shape.inner);
    samples.flat_map(|sample| sample[channel * shape.inner..][..shape.inner].to_vec()).collect()
}

#[test]
fn statistics_and_apply() {
    let mut random = Random::new(1);
    for shape in shapes() {
        let NormShape { batch, channels, inner } = shape;
        let x: Vec<f32> = random.vec(shape.len());
        let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let (gamma, beta): (Vec<f32>, Vec<f32>) = (random.vec(channels), random.vec(channels));
        let n = (batch * inner) as f64;
        let error = n * f64::from(f32::EPSILON);
        let mut bounds = vec![];
        for c in 0..channels {
            let x = channel(shape, &wide, c);
            let mean = x.iter().sum::<f64>() / n;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            // n additions of numbers below 1; the squares are below 4 and inherit the mean's error twice.
            bounds.push([(mean, error), (variance, 4.0 * error + 4.0 * error)]);
        }
        let bounds: Vec<(f64, f64)> =
            bounds.iter().map(|b| b[0]).chain(bounds.iter().map(|b| b[1])).collect();
        let name = format!("{shape:?}");
        let results = same_bits(&name, |cx| {
            let mut statistics = vec![f32::NAN; 2 * channels];
            let (mean, variance) = statistics.split_at_mut(channels);
            norm_statistics(cx, &shape, &x, mean, variance);
            statistics
        });
        for result in &results {
            assert_within(&name, result, &bounds);
        }
        let (mean, rstd): (Vec<f32>, Vec<f32>) = (random.vec(channels), random.vec(channels));
        let expected: Vec<(f64, f64)> = wide
            .iter()
            .enumerate()
            .map(|(i, x)| {
                let c = i / inner % channels;
                let [mean, rstd, gamma, beta] = [&mean, &rstd, &gamma, &beta].map(|p| f64::from(p[c]));
                // Four roundings of numbers below 3.
                ((x - mean) * rstd * gamma + beta, 4.0 * 3.0 * f64::from(f32::EPSILON))
            })
            .collect();
        for result in same_bits(&name, |cx| {
            let mut y = vec![f32::NAN; x.len()];
            norm_apply(cx, &shape, &x, &mean, &rstd, &gamma, &beta, false, &mut y);
            y
        }) {
            assert_within(&name, &result, &expected);
        }
        // With ReLU the same bits where they are not negative.
        let cx = Context::default();
        let [mut plain, mut relu] = [vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]];
        norm_apply(&cx, &shape, &x, &mean, &rstd, &gamma, &beta, false, &mut plain);
        norm_apply(&cx, &shape, &x, &mean, &rstd, &gamma, &beta, true, &mut relu);
        plain.iter_mut().for_each(|y| *y = y.max(0.0));
        assert_same_bits(&name, &plain, &relu);
    }
}

/// Σ dy · normalised x with ε = 0, by its definition.
fn objective(shape: NormShape, x: &[f64], gamma: &[f64], beta: &[f64], dy: &[f64]) -> f64 {
    (0..shape.channels)
        .map(|c| {
            let (x, dy) = (channel(shape, x, c), channel(shape, dy, c));
            let n = x.len() as f64;
            let mean = x.iter().sum::<f64>() / n;
            let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
            let terms = x.iter().zip(&dy).map(|(x, dy)| dy * ((x - mean) / deviation * gamma[c] + beta[c]));
            terms.sum::<f64>()
        })
        .sum()
}

#[test]
fn the_gradient_is_that_of_the_definition() {
    let mut random = Random::new(2);
    for shape in shapes().filter(|shape| shape.len() < 700) {
        let channels = shape.channels;
        let (x, dy): (Vec<f64>, Vec<f64>) = (random.vec(shape.len()), random.vec(shape.len()));
        let (gamma, beta): (Vec<f64>, Vec<f64>) = (random.vec(channels), random.vec(channels));
        let (mut mean, mut rstd) = (vec![0.0; channels], vec![0.0; channels]);
        norm_statistics(&Context::REFERENCE, &shape, &x, &mut mean, &mut rstd);
        rstd.iter_mut().for_each(|v| *v = 1.0 / v.sqrt());
        let results = same_bits(&format!("{shape:?}"), |cx| {
            let mut out = vec![f64::NAN; x.len() + 2 * channels];
            let (dx, rest) = out.split_at_mut(x.len());
            let (dgamma, dbeta) = rest.split_at_mut(channels);
            norm_backward_affine(cx, &shape, &x, &mean, &rstd, &dy, dgamma, dbeta);
            norm_backward_input(cx, &shape, &x, &mean, &rstd, &gamma, dgamma, dbeta, Span::Separate(&dy, dx));
            let mut over = dy.clone();
            norm_backward_input(
                cx,
                &shape,
                &x,
                &mean,
                &rstd,
                &gamma,
                dgamma,
                dbeta,
                Span::InPlace(&mut over),
            );
            assert_eq!(over, dx, "{shape:?} in place");
            out
        });
        // Central differences: truncation ~ h² f''' and rounding ~ ε/h. With h = 1e-5 of the deviation's scale both are
        // below 1e-7 of the gradient's scale, which is rstd.
        let difference = |f: &dyn Fn(f64) -> f64| (f(1e-5) - f(-1e-5)) / 2e-5;
        let moved = |values: &[f64], i: usize, by: f64| {
            let mut values = values.to_vec();
            values[i] += by;
            values
        };
        let mut expected = vec![];
        let scale = rstd.iter().fold(1.0, |a: f64, b| a.max(*b));
        let tolerance = 1e-7 * scale.powi(3) * shape.len() as f64;
        for i in 0..x.len() {
            let f = |by: f64| objective(shape, &moved(&x, i, by), &gamma, &beta, &dy);
            expected.push((difference(&f), tolerance));
        }
        for i in 0..channels {
            let f = |by: f64| objective(shape, &x, &moved(&gamma, i, by), &beta, &dy);
            expected.push((difference(&f), tolerance));
        }
        for i in 0..channels {
            let f = |by: f64| objective(shape, &x, &gamma, &moved(&beta, i, by), &dy);
            expected.push((difference(&f), tolerance));
        }
        for result in results {
            assert_within(&format!("{shape:?}"), &result, &expected);
        }
    }
}

/// Rows and columns, also more columns than are summed together and more of both than one task takes.
const ROWS: [(usize, usize); 9] =
    [(1, 2), (3, 1), (7, 8), (8, 5), (19, 65), (33, 64), (5, 300), (700, 70), (9, 4099)];

/// The mean and the variance of each row.
fn statistics_of_rows<T: bantam_kernels::Element>(width: usize, x: &[T]) -> [Vec<T>; 2] {
    let rows = x.len() / width;
    let shape = NormShape { batch: 1, channels: rows, inner: width };
    let [mut mean, mut variance] = [0; 2].map(|_| vec![T::nan(); rows]);
    norm_statistics(&Context::REFERENCE, &shape, x, &mut mean, &mut variance);
    [mean, variance]
}

#[test]
fn rows_are_normalised() {
    let mut random = Random::new(3);
    for (rows, width) in ROWS {
        let x: Vec<f32> = random.vec(rows * width);
        let [gain, shift]: [Vec<f32>; 2] = [random.vec(width), random.vec(width)];
        let [mean, variance] = statistics_of_rows(width, &x);
        let statistics = RowStatistics { mean: &mean, variance: &variance, epsilon: 0.1 };
        let wide = |x: f32| f64::from(x);
        let expected: Vec<(f64, f64)> = (0..rows * width)
            .map(|i| {
                let (row, column) = (i / width, i % width);
                let rstd = 1.0 / (wide(variance[row]) + wide(0.1)).sqrt();
                let normal = (wide(x[i]) - wide(mean[row])) * rstd;
                // Seven roundings of numbers below 8: x is less than 2 from its mean, and rstd at most √10.
                (normal * wide(gain[column]) + wide(shift[column]), 7.0 * 8.0 * f64::from(f32::EPSILON))
            })
            .collect();
        let name = format!("{rows} rows of {width}");
        for result in same_bits(&name, |cx| {
            let mut y = vec![f32::NAN; x.len()];
            layer_norm(cx, statistics, &x, &gain, &shift, &mut y);
            y
        }) {
            assert_within(&name, &result, &expected);
        }
    }
}

/// Σ dy · layer normalisation of x with ε = 0.01, by its definition.
fn objective_of_rows([x, gain, shift, dy]: [&[f64]; 4]) -> f64 {
    let rows = x.chunks(gain.len()).zip(dy.chunks(gain.len()));
    rows.map(|(x, dy)| {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        let rstd = 1.0 / (variance + 0.01).sqrt();
        let y = |i: usize| (x[i] - mean) * rstd * gain[i] + shift[i];
        (0..x.len()).map(|i| dy[i] * y(i)).sum::<f64>()
    })
    .sum()
}

#[test]
fn the_gradient_of_rows_is_that_of_the_definition() {
    let mut random = Random::new(4);
    for (rows, width) in ROWS {
        let [x, dy]: [Vec<f64>; 2] = [random.vec(rows * width), random.vec(rows * width)];
        let [gain, shift]: [Vec<f64>; 2] = [random.vec(width), random.vec(width)];
        let old: Vec<f64> = random.vec(rows * width);
        let [mean, variance] = statistics_of_rows(width, &x);
        let statistics = RowStatistics { mean: &mean, variance: &variance, epsilon: 0.01 };
        let name = format!("{rows} rows of {width}");
        let results = same_bits(&name, |cx| {
            let mut out = vec![f64::NAN; x.len() + 2 * width];
            let (dx, rest) = out.split_at_mut(x.len());
            let (dgain, dshift) = rest.split_at_mut(width);
            layer_norm_backward_affine(cx, statistics, &x, &dy, dgain, dshift);
            layer_norm_backward_input(cx, statistics, &x, &gain, Span::Separate(&dy, dx), false);
            let mut over = dy.clone();
            layer_norm_backward_input(cx, statistics, &x, &gain, Span::InPlace(&mut over), false);
            assert_eq!(over, dx, "{name} in place");
            let mut sum = old.clone();
            layer_norm_backward_input(cx, statistics, &x, &gain, Span::Separate(&dy, &mut sum), true);
            let added: Vec<f64> = old.iter().zip(&*dx).map(|(old, dx)| old + dx).collect();
            assert_eq!(sum, added, "{name} added");
            out
        });
        // Differences of the whole sum for some elements: all of them would take minutes.
        let operands = [&x, &gain, &shift];
        let places = [0, x.len(), x.len() + width];
        for _ in 0..40 {
            let operand = random.between(0, 2);
            let at = random.between(0, operands[operand].len() - 1);
            let moved = |by: f64| {
                let mut operands = operands.map(Clone::clone);
                operands[operand][at] += by;
                let [x, gain, shift] = &operands;
                objective_of_rows([x, gain, shift, &dy])
            };
            let difference = (moved(1e-4) - moved(-1e-4)) / 2e-4;
            for result in &results {
                let found = result[places[operand] + at];
                // Truncation: h² times a third derivative, which is at most rstd³ = 1000 times small numbers; rounding: the sum's
                // size times 2^-53 / h.
                let tolerance = 1e-4 + rows as f64 * width as f64 * 1e-11;
                assert!(
                    (found - difference).abs() < tolerance,
                    "{name}: operand {operand} at {at}: {found} and {difference}"
                );
            }
        }
    }
}

#[test]
fn what_is_not_a_number_stays_in_its_row() {
    let (rows, width) = (11, 21);
    let mut x: Vec<f32> = Random::new(5).vec(rows * width);
    x[4 * width + 20] = f32::NAN;
    let ones = vec![1.0; width];
    let [mean, variance] = statistics_of_rows(width, &x);
    let statistics = RowStatistics { mean: &mean, variance: &variance, epsilon: 1e-5 };
    for result in same_bits("NaN", |cx| {
        let [mut y, mut dx] = [0; 2].map(|_| vec![0.0; x.len()]);
        layer_norm(cx, statistics, &x, &ones, &ones, &mut y);
        layer_norm_backward_input(cx, statistics, &x, &ones, Span::Separate(&x, &mut dx), false);
        y.extend(dx);
        y
    }) {
        for (i, value) in result.iter().enumerate() {
            assert_eq!(value.is_nan(), i / width % rows == 4, "element {i}");
        }
    }
}
