//! Batch normalisation against f64, and its gradient against central differences of the definition.

use crate::support::{Random, assert_same_bits, assert_within, same_bits};
use bantam_core::Context;
use bantam_kernels::{
    NormShape, Span, norm_apply, norm_backward_affine, norm_backward_input, norm_statistics,
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
