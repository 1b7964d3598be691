//! The noise that regularises: how often, how strong, drawn again in the backward pass, and gone in inference.

use bantam_autodiff::{ErrorKind, Graph, Mode, OpError, Session, Var};
use bantam_core::Shape;

type Noise = for<'g> fn(Var<'g, f64>) -> Var<'g, f64>;

/// What `noise` makes of `x`, and the gradient of its sum, at step `step` of run `seed`.
fn apply(noise: Noise, shape: Shape, x: &[f64], seed: u64, step: u64) -> (Vec<f64>, Vec<f64>) {
    let graph = Graph::<f64>::with_parameters(Vec::new(), Mode::Train);
    let input = graph.input("x", shape);
    let y = noise(input);
    let gradient = graph.differentiate(y.sum_all(), &[input]).unwrap()[0];
    let plan = graph.planner().output("y", y).output("dx", gradient).build().unwrap();
    let mut session = Session::new(plan).seed(seed);
    session.resume_at(step, step);
    session.input(0).copy_from_slice(x);
    session.run();
    (session.output(0).to_vec(), session.output(1).to_vec())
}

fn mean_and_variance(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n)
}

const SAMPLES: usize = 100_000;

/// A share of `count` draws, each with probability p: five standard deviations √(p(1−p)/count) on either side.
fn is_share(found: usize, count: usize, p: f64) {
    let (n, share) = (count as f64, found as f64 / count as f64);
    assert!((share - p).abs() <= 5.0 * (p * (1.0 - p) / n).sqrt(), "{share} of {count} instead of {p}");
}

#[test]
fn whole_groups_are_dropped_and_the_others_scaled() {
    let shape = Shape::of([SAMPLES / 4, 4, 3]);
    let x: Vec<f64> = (0..shape.len()).map(|i| 1.0 + (i % 7) as f64).collect();
    let cases: [(Noise, usize, usize); 2] =
        [(|x| x.spatial_dropout(0.3), 3, SAMPLES), (|x| x.drop_path(0.3), 12, SAMPLES / 4)];
    for (noise, size, groups) in cases {
        let (y, dx) = apply(noise, shape, &x, 1, 0);
        let mut dropped = 0;
        for ((y, x), dx) in y.chunks(size).zip(x.chunks(size)).zip(dx.chunks(size)) {
            let factor = dx[0];
            let kept = 1.0 / (1.0 - f64::from(0.3_f32));
            assert!(factor == 0.0 || (factor - kept).abs() < 1e-15, "{factor}");
            dropped += usize::from(factor == 0.0);
            // The same mask forwards and backwards, for the whole group.
            assert!(dx.iter().all(|dx| *dx == factor) && y.iter().zip(x).all(|(y, x)| *y == x * factor));
        }
        is_share(dropped, groups, 0.3);
    }
}

#[test]
fn gaussian_noise_has_its_moments() {
    let shape = Shape::of([SAMPLES]);
    let ones = vec![1.0; SAMPLES];
    let n = SAMPLES as f64;
    // Rate 0.3: factors of mean 1 and variance 3/7.
    let cases: [(Noise, f64); 2] =
        [(|x| x.gaussian_dropout(0.3), 3.0 / 7.0), (|x| x.gaussian_noise(0.5), 0.25)];
    for (noise, expected) in cases {
        let (y, dx) = apply(noise, shape, &ones, 2, 0);
        let (mean, variance) = mean_and_variance(&y);
        // Means of n normal numbers deviate by √(v/n), their variances by v·√(2/n); five of them.
        assert!((mean - 1.0).abs() <= 5.0 * (expected / n).sqrt(), "{mean}");
        assert!((variance - expected).abs() <= 5.0 * expected * (2.0 / n).sqrt(), "{variance}");
        // Within one standard deviation lie 68.27 % of a normal distribution, within two 95.45 %.
        let within = |k: f64| y.iter().filter(|y| (*y - 1.0).abs() <= k * expected.sqrt()).count();
        is_share(within(1.0), SAMPLES, 0.682_689_5);
        is_share(within(2.0), SAMPLES, 0.954_499_7);
        // Neighbours have nothing to do with each other: their products have mean 0 and deviate by v/√n.
        let together = y.windows(2).map(|y| (y[0] - 1.0) * (y[1] - 1.0)).sum::<f64>() / n;
        assert!(together.abs() <= 5.0 * expected / n.sqrt(), "{together}");
        // The factor is the derivative; what is added has none.
        let is_factor = y.iter().zip(&dx).all(|(y, dx)| (y - dx).abs() < 1e-14);
        assert!(is_factor || dx.iter().all(|dx| *dx == 1.0));
        assert_eq!(is_factor, dx[0] != 1.0);
    }
}

/// Klambauer and others, 2017: a = (q + α′²q(1−q))^(−1/2), b = −a(1−q)α′ with the share q of those kept.
#[test]
fn alpha_dropout_keeps_mean_and_variance() {
    let shape = Shape::of([SAMPLES]);
    let (x, _) = apply(|x| x.gaussian_noise(1.0), shape, &vec![0.0; SAMPLES], 3, 0);
    let (y, dx) = apply(|x| x.alpha_dropout(0.3), shape, &x, 4, 0);
    let (q, saturation) = (1.0 - f64::from(0.3_f32), -1.0507009873554805 * 1.6732632423543772);
    let a = (q + saturation * saturation * q * (1.0 - q)).powf(-0.5);
    let b = -a * (1.0 - q) * saturation;
    for ((x, y), dx) in x.iter().zip(&y).zip(&dx) {
        let expected = if *dx == 0.0 { a * saturation + b } else { a * x + b };
        assert!((y - expected).abs() < 1e-12 && (*dx == 0.0 || (dx - a).abs() < 1e-12), "{y} {expected}");
    }
    is_share(dx.iter().filter(|dx| **dx == 0.0).count(), SAMPLES, 0.3);
    // Of mean 0 and variance 1 as what went in; the mean of n deviates by 1/√n, and the variance of squares, at most
    // those of the dropped ones, (a·α′ + b)⁴ < 3, by less than √(3/n). Five of them, and as many of what went in.
    let (mean, variance) = mean_and_variance(&y);
    let n = SAMPLES as f64;
    assert!(
        mean.abs() <= 10.0 / n.sqrt() && (variance - 1.0).abs() <= 10.0 * (3.0 / n).sqrt(),
        "{mean} {variance}"
    );
}

#[test]
fn zoneout_stays_or_moves() {
    let shape = Shape::of([SAMPLES]);
    let (previous, new) = (2.0, 5.0);
    let (y, dx) = apply(|x| x.zoneout(x * 0.0 + 2.0, 0.3), shape, &vec![new; SAMPLES], 5, 0);
    let moved = previous + (new - previous) / (1.0 - f64::from(0.3_f32));
    let stayed = y.iter().filter(|y| **y == previous).count();
    assert!(y.iter().all(|y| *y == previous || (y - moved).abs() < 1e-14));
    assert!(y.iter().zip(dx).all(|(y, dx)| (*y == previous) == (dx == 0.0)));
    is_share(stayed, SAMPLES, 0.3);
}

const ALL: [Noise; 6] = [
    |x| x.spatial_dropout(0.5),
    |x| x.drop_path(0.5),
    |x| x.alpha_dropout(0.5),
    |x| x.gaussian_dropout(0.5),
    |x| x.gaussian_noise(0.5),
    |x| x.zoneout(x * 0.5, 0.5),
];

#[test]
fn another_step_or_seed_draws_other_noise_and_the_same_one_the_same() {
    let shape = Shape::of([64, 4, 2]);
    let x = vec![1.5; shape.len()];
    for noise in ALL {
        let draw = |seed, step| apply(noise, shape, &x, seed, step).0;
        assert_eq!(draw(1, 3), draw(1, 3));
        assert_ne!(draw(1, 3), draw(1, 4));
        assert_ne!(draw(1, 3), draw(2, 3));
    }
}

#[test]
fn inference_is_the_identity_and_nothing_is_recorded_for_it() {
    for noise in ALL {
        let graph = Graph::<f64>::with_parameters(Vec::new(), Mode::Infer);
        let x = graph.input("x", Shape::of([2, 3]));
        let plan = graph.planner().output("y", noise(x) + 0.0).build().unwrap();
        let mut session = Session::new(plan);
        session.input(0).copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        session.run();
        assert_eq!(session.output(0), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert!(!graph.to_string().contains("dropout") && !graph.to_string().contains("noise"));
    }
}

#[test]
fn wrong_strengths_are_named() {
    let cases: [(&str, Noise); 6] = [
        ("group_dropout", |x| x.spatial_dropout(1.0)),
        ("group_dropout", |x| x.drop_path(-0.1)),
        ("dropout", |x| x.alpha_dropout(f32::NAN)),
        ("gaussian_dropout", |x| x.gaussian_dropout(1.0)),
        ("gaussian_noise", |x| x.gaussian_noise(-1.0)),
        ("dropout", |x| x.zoneout(x, 2.0)),
    ];
    for (name, noise) in cases {
        let graph = Graph::<f64>::with_parameters(Vec::new(), Mode::Train);
        noise(graph.input("x", Shape::of([2, 3])));
        match &graph.check().unwrap_err().kind {
            ErrorKind::Op(OpError::Setting { op, .. }) => assert_eq!(*op, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    let graph = Graph::<f64>::with_parameters(Vec::new(), Mode::Train);
    graph.input("x", Shape::of([3])).spatial_dropout(0.5);
    assert!(graph.check().unwrap_err().to_string().contains("[batch, channels, ...], got [3]"));
}

/// Against the definition: the cross-entropy with (1 − s)·one-hot + s/K, by softmax and logarithm; and s = 0 is the
/// plain one.
#[test]
fn smoothed_labels() {
    let (rows, classes) = (4, 5);
    let logits: Vec<f64> = (0..rows * classes).map(|i| ((i * 7) % 11) as f64 / 3.0 - 1.5).collect();
    let labels = [0_u32, 3, 4, 1];
    let run = |smoothing: f64| {
        let graph = Graph::<f64>::with_parameters(Vec::new(), Mode::Train);
        let (x, y) = (graph.input("x", Shape::of([rows, classes])), graph.indices("y", Shape::of([rows])));
        let loss = x.smoothed_cross_entropy(y, smoothing);
        let dx = graph.differentiate(loss, &[x]).unwrap()[0];
        let plain = x.cross_entropy(y);
        let planner = graph.planner().output("loss", loss).output("dx", dx).output("plain", plain);
        let mut session = Session::new(planner.build().unwrap());
        session.input(0).copy_from_slice(&logits);
        session.indices(1).copy_from_slice(&labels);
        session.run();
        (session.output(0)[0], session.output(1).to_vec(), session.output(2)[0])
    };
    for smoothing in [0.0, 0.1, 1.0] {
        let (loss, dx, plain) = run(smoothing);
        let mut expected = 0.0;
        for (row, label) in labels.iter().enumerate() {
            let row = &logits[row * classes..][..classes];
            let total: f64 = row.iter().map(|x| x.exp()).sum();
            for (class, x) in row.iter().enumerate() {
                let own = f64::from(u8::from(class == *label as usize));
                let wanted = (1.0 - smoothing) * own + smoothing / classes as f64;
                expected -= wanted * (x.exp() / total).ln() / rows as f64;
            }
        }
        // A few dozen roundings of numbers of about 1.
        assert!((loss - expected).abs() <= 1e-14 * 10.0, "{loss} {expected}");
        assert!(dx.chunks(classes).all(|row| row.iter().sum::<f64>().abs() < 1e-15 * 10.0));
        if smoothing == 0.0 {
            assert_eq!(loss, plain);
        }
    }
}
