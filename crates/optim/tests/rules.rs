//! Rules without a trajectory of another framework, against second implementations written from the papers' formulas;
//! and what links, wrappers and bounds promise.

use bantam_core::{Context, Executor, Inline, Real, Shape};
use bantam_kernels::Element;
use bantam_optim::{
    Accumulate, AdaBelief, AdaMax, Adadelta, Adagrad, Adam, AdamW, Adan, ApplyEvery, Asgd, ClipAdaptive,
    ClipByGlobalNorm, ClipByNorm, ClipByValue, DecayWeights, Ema, Frozen, GradientNoise, InvalidSetting, L1,
    Lamb, Lars, Lbfgs, Lion, Lookahead, MaxNorm, Momentum, Muon, Nadam, Optimizer, Perceptron, RAdam, Reason,
    RmsProp, Rprop, Sam, ScaleByAdaBelief, ScaleByAdaMax, ScaleByAdadelta, ScaleByAdagrad, ScaleByAdam,
    ScaleByAdan, ScaleByLion, ScaleByNadam, ScaleByRAdam, ScaleByRms, ScaleByRprop, ScaleByTrustRatio,
    ScheduleFree, Sgd, StatePrecision, Swa, Transform, UpdateContext, chain, masked, scheduled,
};

/// Gradients without any pattern, from -1 to 1.
fn gradients(steps: usize, n: usize) -> Vec<Vec<f64>> {
    let at = |i: usize| (i as f64 * 12.9898 + 1.0).sin() * 43758.5453;
    (0..steps)
        .map(|step| (0..n).map(|i| 2.0 * (at(step * n + i) - at(step * n + i).floor()) - 1.0).collect())
        .collect()
}

/// Where an optimizer goes with these gradients, from a start between -0.5 and 0.5.
fn run<T: Element>(optimizer: &dyn Optimizer<T>, shape: Shape, gradients: &[Vec<f64>]) -> Vec<Vec<T>> {
    let (points, state) = run_with_state(optimizer, shape, gradients);
    assert_eq!(state.len(), optimizer.state_len_for(0, shape));
    points
}

fn start(n: usize) -> Vec<f64> {
    (0..n).map(|i| (i as f64 * 0.7 + 0.3).sin() * 0.5).collect()
}

fn run_with_state<T: Element>(
    optimizer: &dyn Optimizer<T>,
    shape: Shape,
    gradients: &[Vec<f64>],
) -> (Vec<Vec<T>>, Vec<T>) {
    assert_eq!(optimizer.validate(), Ok(()));
    let mut p: Vec<T> = start(shape.len()).into_iter().map(T::from_f64).collect();
    let mut state = vec![T::zero(); optimizer.state_len_for(0, shape)];
    let points = gradients
        .iter()
        .enumerate()
        .map(|(step, gradient)| {
            let mut gradient: Vec<T> = gradient.iter().map(|g| T::from_f64(*g)).collect();
            optimizer.update(&UpdateContext::new(step as u64, shape), &mut p, &mut gradient, &mut state);
            p.clone()
        })
        .collect();
    (points, state)
}

/// All points the same but for `tolerance`, relative to 1 or to their size.
fn close<T: Real>(a: &[Vec<T>], b: &[Vec<f64>], tolerance: f64, what: &str) {
    for (step, (a, b)) in a.iter().zip(b).enumerate() {
        for (a, b) in a.iter().zip(b) {
            let a = Real::to_f64(*a);
            assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what}, step {step}: {a}, not {b}");
        }
    }
    assert_eq!(a.len(), b.len());
}

/// A rate without rounding in `f32`.
const RATE: f64 = 0.03125;
const MATRIX: [usize; 2] = [3, 4];

/// Xie et al., 2022, algorithm 1, with the means' corrections of the authors' code. β as here: what stays.
#[test]
fn adan_after_the_paper() {
    let (b1, b2, b3, eta, lambda, eps) = (0.98, 0.92, 0.99, RATE, 0.02, 1e-8);
    let gradients = gradients(30, 12);
    let mut theta = start(12);
    let (mut m, mut v, mut n) = ([0.0; 12], [0.0; 12], [0.0; 12]);
    let mut before = gradients[0].clone();
    let mut expected = Vec::new();
    for (k, g) in gradients.iter().enumerate() {
        let t = k as i32 + 1;
        for i in 0..12 {
            let difference = g[i] - before[i];
            m[i] = b1 * m[i] + (1.0 - b1) * g[i];
            v[i] = b2 * v[i] + (1.0 - b2) * difference;
            n[i] = b3 * n[i] + (1.0 - b3) * (g[i] + b2 * difference).powi(2);
            let step = m[i] / (1.0 - b1.powi(t)) + b2 * v[i] / (1.0 - b2.powi(t));
            let eta_i = eta / ((n[i] / (1.0 - b3.powi(t))).sqrt() + eps);
            theta[i] = (theta[i] - eta_i * step) / (1.0 + lambda * eta);
        }
        before.clone_from(g);
        expected.push(theta.clone());
    }
    let adan = Adan::new(RATE as f32);
    close(&run::<f64>(&adan, Shape::of(MATRIX), &gradients), &expected, 1e-12, "Adan in f64");
    // Thirty steps of a few roundings of 2^-24 each.
    close(&run::<f32>(&adan, Shape::of(MATRIX), &gradients), &expected, 1e-5, "Adan in f32");
}

/// Defazio et al., 2024, algorithm 1, in the paper's three sequences.
#[test]
fn schedule_free_after_the_paper() {
    let (b1, b2, lambda, eps) = (0.9, 0.999, 0.01, 1e-8);
    let gradients = gradients(40, 12);
    let warm_up = |step: u64| (RATE * (step + 1).min(8) as f64 / 8.0) as f32;
    let (mut x, mut z, mut y) = (start(12), start(12), start(12));
    let (mut v, mut sum) = ([0.0; 12], 0.0);
    let (mut trained, mut evaluated) = (Vec::new(), Vec::new());
    for (k, g) in gradients.iter().enumerate() {
        let gamma = f64::from(warm_up(k as u64));
        sum += gamma * gamma;
        let c = gamma * gamma / sum;
        for i in 0..12 {
            v[i] = b2 * v[i] + (1.0 - b2) * g[i] * g[i];
            let corrected: f64 = v[i] / (1.0 - f64::powi(b2, k as i32 + 1));
            z[i] -= gamma * (g[i] / (corrected.sqrt() + eps) + lambda * y[i]);
            x[i] = (1.0 - c) * x[i] + c * z[i];
            y[i] = (1.0 - b1) * z[i] + b1 * x[i];
        }
        trained.push(y.clone());
        evaluated.push(x.clone());
    }
    let optimizer = ScheduleFree::new(warm_up);
    let shape = Shape::of(MATRIX);
    close(&run::<f64>(&optimizer, shape, &gradients), &trained, 1e-12, "schedule-free in f64");
    close(&run::<f32>(&optimizer, shape, &gradients), &trained, 1e-5, "schedule-free in f32");
    for steps in 1..=40 {
        let (points, state) = run_with_state::<f64>(&optimizer, shape, &gradients[..steps]);
        let mut point = points[steps - 1].clone();
        optimizer.evaluation(&UpdateContext::new(steps as u64, shape), &mut point, &state);
        close(&[point], &evaluated[steps - 1..steps], 1e-12, "schedule-free, evaluated");
    }
}

/// The product of matrices given as rows.
fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let row = |a: &Vec<f64>| {
        (0..b[0].len()).map(|j| a.iter().zip(b).map(|(x, b)| x * b[j]).sum()).collect::<Vec<f64>>()
    };
    a.iter().map(row).collect()
}

fn transposed(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..a[0].len()).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

/// Jordan et al., 2024 (always transposing to the wide side, as the authors' code does), with the size of steps of Liu et
/// al., 2025.
#[test]
fn muon_after_the_paper() {
    for [rows, columns] in [[3, 4], [5, 2], [1, 6], [4, 4], [40, 24]] {
        let gradients = gradients(12, rows * columns);
        let (eta, lambda, mu) = (RATE, 0.01, 0.95);
        let (mut theta, mut velocity) = (start(rows * columns), vec![0.0; rows * columns]);
        let mut expected = Vec::new();
        for g in &gradients {
            let mut u = vec![vec![0.0; columns]; rows];
            for i in 0..rows * columns {
                velocity[i] = mu * velocity[i] + g[i];
                u[i / columns][i % columns] = g[i] + mu * velocity[i];
            }
            let norm = u.iter().flatten().map(|x| x * x).sum::<f64>().sqrt();
            u.iter_mut().flatten().for_each(|x| *x /= norm);
            let mut x = if rows > columns { transposed(&u) } else { u };
            for _ in 0..5 {
                let a = product(&x, &transposed(&x));
                let a2 = product(&a, &a);
                let combined = |(a, a2): (&Vec<f64>, &Vec<f64>)| {
                    a.iter().zip(a2).map(|(a, a2)| -4.7750 * a + 2.0315 * a2).collect::<Vec<f64>>()
                };
                let b: Vec<Vec<f64>> = a.iter().zip(&a2).map(combined).collect();
                let bx = product(&b, &x);
                for (x, bx) in x.iter_mut().flatten().zip(bx.iter().flatten()) {
                    *x = 3.4445 * *x + bx;
                }
            }
            let x = if rows > columns { transposed(&x) } else { x };
            let size = 0.2 * (rows.max(columns) as f64).sqrt();
            for (theta, x) in theta.iter_mut().zip(x.iter().flatten()) {
                *theta -= eta * (size * x + lambda * *theta);
            }
            expected.push(theta.clone());
        }
        let (muon, shape) = (Muon::new(RATE as f32), Shape::of([rows, columns]));
        close(&run::<f64>(&muon, shape, &gradients), &expected, 1e-12, "Muon in f64");
        // A Newton-Schulz step can grow an error by 3.4445: five of them by 485, of 2^-24 with a few terms in each sum.
        close(&run::<f32>(&muon, shape, &gradients), &expected, 1e-3, "Muon in f32");
        // A kernel is a matrix of its first axis by the others.
        if columns % 2 == 0 {
            let kernel = Shape::of([rows, columns / 2, 2]);
            close(&run::<f64>(&muon, kernel, &gradients), &expected, 1e-12, "Muon of rank 3");
        }
    }
    // Everything else moves as AdamW moves it.
    let (gradients, vector) = (gradients(5, 7), Shape::of([7]));
    let adam_w = run::<f64>(&AdamW::new(0.25), vector, &gradients);
    assert_eq!(run::<f64>(&Muon::new(0.25), vector, &gradients), adam_w);
}

#[test]
fn muon_makes_all_directions_count_the_same() {
    // The singular values of the step are those of an orthogonal matrix, but for what five steps leave of it.
    let shape = Shape::of([2, 2]);
    let (mut p, mut g) = ([0.0_f64; 4], [1.0, 0.0, 0.0, 0.01]);
    let muon = Muon::new(1.0).weight_decay(0.0);
    // Known when compiling, as every rule's is.
    const STATE: usize = Muon::<f32>::matrix_state_len(2, 2);
    assert_eq!(Optimizer::<f64>::state_len_for(&muon, 0, shape), STATE);
    let mut state = [0.0; STATE];
    muon.update(&UpdateContext::new(0, shape), &mut p, &mut g, &mut state);
    let size = 0.2 * 2.0_f64.sqrt();
    assert!([p[0], p[3]].iter().all(|step| (0.68..1.2).contains(&(-step / size))), "{p:?}");
    assert!(p[1].abs() < 1e-9 && p[2].abs() < 1e-9);
}

/// L1 in the gradient, as the subgradient of λ·Σ|θ| says: against a difference quotient of the penalty itself.
#[test]
fn penalties_are_gradients_of_their_functions() {
    let theta = start(12);
    let shape = Shape::of(MATRIX);
    let l1 = |p: &[f64]| 0.3 * p.iter().map(|p| p.abs()).sum::<f64>();
    let l2 = |p: &[f64]| 0.5 * 0.2 * p.iter().map(|p| p * p).sum::<f64>();
    type Penalty<'a> = (&'a dyn Transform<f64>, &'a dyn Fn(&[f64]) -> f64);
    let both = (L1::new(0.3), DecayWeights::new(0.2));
    let sum = |p: &[f64]| l1(p) + l2(p);
    let penalties: [Penalty<'_>; 3] = [(&L1::new(0.3), &l1), (&DecayWeights::new(0.2), &l2), (&both, &sum)];
    for (transform, penalty) in penalties {
        let mut updates = vec![0.0; 12];
        transform.update(&UpdateContext::new(0, shape), &theta, &mut updates, &mut []);
        for i in 0..12 {
            let shifted = |by: f64| {
                let mut theta = theta.clone();
                theta[i] += by;
                penalty(&theta)
            };
            // Exact for these penalties but for cancellation of about 2^-52 / 1e-6.
            let slope = (shifted(1e-6) - shifted(-1e-6)) / 2e-6;
            assert!((updates[i] - slope).abs() < 1e-9, "{} instead of {slope}", updates[i]);
        }
        // Biases are left out.
        let mut updates = vec![0.0; 12];
        transform.update(&UpdateContext::new(0, [12]), &theta, &mut updates, &mut []);
        assert_eq!(updates, [0.0; 12]);
    }
    let (fused, links) = (Sgd::new(0.25).l1(0.3).weight_decay(0.2), chain(both, Sgd::new(0.25)));
    let gradients = gradients(9, 12);
    assert_eq!(run::<f64>(&fused, shape, &gradients), run::<f64>(&links, shape, &gradients));
    let mut at_zero = [0.0_f64; 2];
    Transform::update(&L1::new(1.0), &UpdateContext::new(0, [1, 2]), &[0.0, -0.0], &mut at_zero, &mut []);
    assert_eq!(at_zero, [0.0; 2]);
}

/// Every named rule that is a link with a rate gives the same bits as its chain.
#[test]
fn named_optimizers_are_their_chains() {
    let gradients = gradients(25, 12);
    for shape in [Shape::of(MATRIX), Shape::of([12])] {
        macro_rules! same {
            ($named:expr, $links:expr) => {{
                let links = chain($links, Sgd::new(0.25));
                assert_eq!(run::<f64>(&$named, shape, &gradients), run::<f64>(&links, shape, &gradients));
                assert_eq!(run::<f32>(&$named, shape, &gradients), run::<f32>(&links, shape, &gradients));
            }};
        }
        let decay = DecayWeights::new(0.125);
        same!(Adagrad::new(0.25).weight_decay(0.125), (decay, ScaleByAdagrad::default()));
        same!(Adadelta::new(0.25).weight_decay(0.125), (decay, ScaleByAdadelta::default()));
        same!(RmsProp::new(0.25).weight_decay(0.125), (decay, ScaleByRms::default()));
        let rms = ScaleByRms { centered: true, momentum: 0.9, ..ScaleByRms::default() };
        same!(RmsProp::new(0.25).centered().momentum(0.9), rms);
        same!(Adam::new(0.25).amsgrad(), ScaleByAdam { amsgrad: true, ..ScaleByAdam::default() });
        for precision in [StatePrecision::Bf16, StatePrecision::Blocks8] {
            let scale = ScaleByAdam { precision, ..ScaleByAdam::default() };
            same!(AdamW::new(0.25).precision(precision).weight_decay(0.125), (scale, decay));
        }
        same!(AdaMax::new(0.25).weight_decay(0.125), (decay, ScaleByAdaMax::default()));
        same!(Nadam::new(0.25).weight_decay(0.125), (decay, ScaleByNadam::default()));
        same!(RAdam::new(0.25).weight_decay(0.125), (decay, ScaleByRAdam::default()));
        same!(AdaBelief::new(0.25).weight_decay(0.125), (ScaleByAdaBelief::default(), decay));
        same!(Lion::new(0.25).weight_decay(0.125), (ScaleByLion::default(), decay));
        same!(Adan::new(0.25).weight_decay(0.0), ScaleByAdan::default());
        let adam = ScaleByAdam { epsilon: 1e-6, ..ScaleByAdam::default() };
        same!(Lamb::new(0.25).weight_decay(0.125), (adam, decay, ScaleByTrustRatio::default()));
        let rprop = chain(ScaleByRprop::default(), Sgd::new(1.0));
        assert_eq!(run::<f32>(&Rprop::default(), shape, &gradients), run::<f32>(&rprop, shape, &gradients));
        // LARS has its rate inside of the momentum: with a constant rate the same, but for a few roundings a step.
        let links = (DecayWeights::new(1e-4), ScaleByTrustRatio::new(0.001), Momentum::new(0.9));
        let expected = run::<f64>(&chain(links, Sgd::new(0.25)), shape, &gradients);
        close(&run::<f64>(&Lars::new(0.25), shape, &gradients), &expected, 1e-14, "LARS");
    }
}

#[test]
fn clipping_gives_back_the_norm_before() {
    let (cx, weights) = (UpdateContext::new(0, [2, 2]), [3.0, 4.0, 0.0, 0.0]);
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let updates = [3.0_f64, 4.0, 0.0, 12.0];
    for limit in [0.5, 100.0] {
        let mut clipped = updates;
        assert_eq!(ClipByValue(limit).clip(&cx, &mut clipped), 13.0);
        assert!(clipped.iter().zip(updates).all(|(c, u)| *c == u.min(limit)));
        let mut clipped = updates;
        assert_eq!(ClipByNorm(limit).clip(&cx, &mut clipped), 13.0);
        assert!((norm(&clipped) - limit.min(13.0)).abs() < 1e-15);
        let mut clipped = updates;
        let whole = UpdateContext { global_norm: Some(26.0), ..cx };
        assert_eq!(ClipByGlobalNorm(limit).clip(&whole, &mut clipped), 26.0);
        assert!((norm(&clipped) - limit.min(26.0) / 2.0).abs() < 1e-15);
    }
    // Brock et al., 2021: unit by unit, ‖g‖ ≤ λ·max(‖w‖, ε). Weights of 5 and of 0.
    let clip = ClipAdaptive { threshold: 0.5, epsilon: 2.0 };
    let mut clipped = updates;
    assert_eq!(clip.clip(&cx, &weights, &mut clipped), 13.0);
    assert!((norm(&clipped[..2]) - 2.5).abs() < 1e-15 && (norm(&clipped[2..]) - 1.0).abs() < 1e-15);
    let mut bias = updates;
    clip.clip(&UpdateContext::new(0, [4]), &weights, &mut bias);
    assert!((norm(&bias) - 2.5).abs() < 1e-15, "a bias is one unit");
}

#[test]
fn units_stay_within_their_norm() {
    let shape = Shape::of(MATRIX);
    let bounded = MaxNorm::new(0.5, Sgd::new(0.5));
    for point in run::<f64>(&bounded, shape, &gradients(20, 12)) {
        for unit in point.chunks(4) {
            assert!(unit.iter().map(|w| w * w).sum::<f64>().sqrt() <= 0.5 * (1.0 + 1e-15));
        }
    }
    let free = run::<f64>(&Sgd::new(0.5), Shape::of([12]), &gradients(20, 12));
    assert_eq!(run::<f64>(&bounded, Shape::of([12]), &gradients(20, 12)), free, "biases are left alone");
}

/// Neelakantan et al., 2015: variance η / (1 + t)^γ, measured.
#[test]
fn noise_has_the_variance_of_the_paper() {
    let n = 20_000;
    for (step, expected) in [(0, 0.3), (999, 0.3 / 1000.0_f64.powf(0.55))] {
        let noise = |seed, index, step| {
            let mut updates = vec![1.0_f64; n];
            let cx = UpdateContext { index, ..UpdateContext::new(step, [n]) };
            Transform::update(&GradientNoise::new(0.3).seed(seed), &cx, &[], &mut updates, &mut []);
            updates.iter().map(|u| u - 1.0).collect::<Vec<f64>>()
        };
        let drawn = noise(1, 0, step);
        let mean = drawn.iter().sum::<f64>() / n as f64;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        // Standard errors: σ/√n of the mean and σ²·√(2/n) of the variance; five of them.
        assert!(mean.abs() < 5.0 * (expected / n as f64).sqrt(), "{mean}");
        assert!((variance - expected).abs() < 5.0 * expected * (2.0 / n as f64).sqrt(), "{variance}");
        assert_eq!(noise(1, 0, step), drawn);
        for other in [noise(2, 0, step), noise(1, 1, step), noise(1, 0, step + 1)] {
            assert!(other != drawn);
        }
    }
}

#[test]
fn accumulated_gradients_are_one_large_batch() {
    let (shape, gradients) = (Shape::of(MATRIX), gradients(12, 12));
    let means: Vec<Vec<f64>> = gradients
        .chunks(4)
        .map(|group| (0..12).map(|i| group.iter().map(|g| g[i]).sum::<f64>() * 0.25).collect())
        .collect();
    // The rate falls with every update, and updates are every fourth call.
    let rate = |step: u64| 1.0 / (step + 1) as f32;
    let whole = run::<f64>(&AdamW::default().rate(rate), shape, &means);
    let parts = run::<f64>(&Accumulate::new(4, AdamW::default().rate(rate)), shape, &gradients);
    for (call, point) in parts.iter().enumerate() {
        let expected = (call + 1) / 4;
        if expected > 0 {
            assert_eq!(*point, whole[expected - 1], "after call {call}");
        } else {
            assert_eq!(*point, start(12));
        }
    }
    // The sum of plain descent's steps, whenever it comes.
    let sums = run::<f64>(&chain(ApplyEvery(4), Sgd::new(0.25)), shape, &gradients);
    let each = run::<f64>(&Sgd::new(0.25), shape, &gradients);
    close(&sums[11..], &each[11..], 1e-14, "applied every fourth step");
    assert_eq!(sums[4], sums[3]);
}

#[test]
fn sam_steps_with_the_gradient_uphill() {
    // By hand, for f(x) = x² at 1 with ρ = 0.5: up to 1.5, where the gradient is 3, so from 1 to 1 − 0.25 · 3.
    let sam = Sam::new(Sgd::new(0.25)).radius(0.5);
    let (mut x, mut state) = ([1.0_f64], [0.0; 1]);
    let mut call = |step, x: &mut [f64; 1]| {
        let mut gradient = [2.0 * x[0]];
        sam.update(&UpdateContext::new(step, [1]), x, &mut gradient, &mut state);
    };
    call(0, &mut x);
    assert_eq!(x, [1.5]);
    call(1, &mut x);
    assert_eq!(x, [0.25]);
    // The norm of all tensors together decides how far this one climbs.
    let cx = UpdateContext { global_norm: Some(4.0), ..UpdateContext::new(2, [1]) };
    sam.update(&cx, &mut x, &mut [2.0], &mut state);
    assert_eq!(x, [0.5]);
    assert_eq!(Optimizer::<f64>::learning_rate(&Sam::new(Sgd::new(|s: u64| s as f32)), 7), Some(3.0));
}

#[test]
fn averages_are_what_they_say() {
    let (shape, gradients) = (Shape::of(MATRIX), gradients(20, 12));
    let sgd = Sgd::new(0.25);
    let points = run::<f64>(&sgd, shape, &gradients);
    let evaluated = |optimizer: &dyn Optimizer<f64>, steps: usize| {
        let (points, state) = run_with_state::<f64>(optimizer, shape, &gradients[..steps]);
        let mut point = points[steps - 1].clone();
        optimizer.evaluation(&UpdateContext::new(steps as u64, shape), &mut point, &state);
        vec![point]
    };
    let weighted = |weights: &dyn Fn(usize) -> f64, steps: usize| -> Vec<Vec<f64>> {
        let total: f64 = (0..steps).map(weights).sum();
        let mean = |i: usize| (0..steps).map(|s| weights(s) * points[s][i]).sum::<f64>() / total;
        vec![(0..12).map(mean).collect()]
    };
    for steps in 1..20 {
        let expected = weighted(&|s| 0.9_f64.powi(steps as i32 - 1 - s as i32), steps);
        close(&evaluated(&Ema::new(0.9, sgd), steps), &expected, 1e-13, "EMA");
        let taken = |s: usize| f64::from(u8::from(s >= 6 && (s - 6) % 3 == 2));
        let expected = if steps < 9 { vec![points[steps - 1].clone()] } else { weighted(&taken, steps) };
        close(&evaluated(&Swa::new(6, 3, sgd), steps), &expected, 1e-13, "SWA");
    }
    assert_eq!(run::<f64>(&Ema::new(0.9, sgd), shape, &gradients), points, "training is as without");

    // Zhang et al., 2019, algorithm 1, with plain descent inside: its steps do not depend on where it is.
    let mut slow = start(12);
    let mut expected = Vec::new();
    for group in gradients.chunks(5) {
        let mut fast = slow.clone();
        for g in group {
            fast.iter_mut().zip(g).for_each(|(p, g)| *p -= 0.25 * g);
            expected.push(fast.clone());
        }
        slow.iter_mut().zip(&fast).for_each(|(s, f)| *s += 0.5 * (f - *s));
        expected.last_mut().unwrap().clone_from(&slow);
    }
    close(&run::<f64>(&Lookahead::new(sgd), shape, &gradients), &expected, 1e-14, "Lookahead");
}

#[test]
fn settings_follow_schedules() {
    let (shape, gradients) = (Shape::of(MATRIX), gradients(6, 12));
    let decay = |step: u64| if step < 3 { 0.5_f32 } else { 0.0 };
    let optimizer = scheduled(Sgd::new(0.25).momentum(0.5), decay, |sgd, value| sgd.weight_decay = value);
    let points = run::<f64>(&optimizer, shape, &gradients);
    let by_hand = |step: u64| Sgd::new(0.25).momentum(0.5).weight_decay(f64::from(decay(step)));
    let (mut p, mut state) = (start(12), vec![0.0; 12]);
    for (step, g) in gradients.iter().enumerate() {
        let cx = UpdateContext::new(step as u64, shape);
        by_hand(step as u64).update(&cx, &mut p, &mut g.clone(), &mut state);
        assert_eq!(points[step], p);
    }
    // A momentum that passes through 0 keeps its state.
    let momentum = |step: u64| if step == 2 { 0.0_f32 } else { 0.5 };
    let optimizer = scheduled(Sgd::new(0.25).momentum(0.9), momentum, |sgd, m| sgd.momentum.factor = m);
    let points = run::<f64>(&optimizer, shape, &gradients);
    let step: Vec<f64> = points[1].iter().zip(&gradients[2]).map(|(p, g)| p - 0.25 * g).collect();
    assert_eq!(points[2], step);
    use bantam_schedule::Cosine;
    let mut optimizer = scheduled(AdamW::default(), Cosine::new(0.1), |a, v| a.weight_decay = v);
    Optimizer::<f32>::set_run_length(&mut optimizer, 10, 5);
    assert_eq!([0, 10].map(|step| optimizer.at(step).weight_decay), [f64::from(0.1_f32), 0.0]);
}

#[test]
fn masks_and_frozen_groups_leave_alone() {
    let gradients = gradients(5, 12);
    let clip = masked(|cx| cx.shape.rank() > 1, ClipByNorm(1e-3));
    let optimizer = chain(clip, Sgd::new(0.25));
    let clipped = chain(ClipByNorm(1e-3), Sgd::new(0.25));
    let (matrix, vector) = (Shape::of(MATRIX), Shape::of([12]));
    assert_eq!(run::<f64>(&optimizer, matrix, &gradients), run::<f64>(&clipped, matrix, &gradients));
    assert_eq!(run::<f64>(&optimizer, vector, &gradients), run::<f64>(&Sgd::new(0.25), vector, &gradients));
    assert_eq!(run::<f64>(&Frozen, matrix, &gradients)[4], start(12));
}

/// How far packed state strays: with m and v rounded at random, by about their steps of 2^-8 and 2^-3 in each number.
#[test]
fn packed_state_goes_nearly_the_same_way() {
    let (n, steps) = (1000, 300);
    let way = |precision| {
        let adam = Adam::new(0.01).precision(precision);
        let mut p: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut state = vec![0.0; adam.state_len(n)];
        for step in 0..steps {
            // A bowl with slopes over four decades.
            let slope = |i: usize| 10.0_f32.powi(i as i32 % 4 - 2);
            let mut g: Vec<f32> = p.iter().enumerate().map(|(i, p)| p * slope(i)).collect();
            adam.update(&UpdateContext::new(step, [n]), &mut p, &mut g, &mut state);
        }
        p
    };
    let full = way(StatePrecision::Full);
    let from: f32 = (0..n).map(|i| (i as f32 * 0.37).sin().powi(2)).sum::<f32>();
    let travelled = from.sqrt();
    for (precision, share) in [(StatePrecision::Bf16, 0.005), (StatePrecision::Blocks8, 0.1)] {
        let packed = way(precision);
        let apart: f32 = packed.iter().zip(&full).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        let apart = apart.sqrt() / travelled;
        println!("{precision:?}: {apart:.5} of the way apart");
        assert!(apart > 0.0 && apart < share, "{precision:?}: {apart}");
    }
}

#[test]
fn packed_state_is_smaller_and_its_length_is_known_to_the_compiler() {
    const FULL: usize = Adam::new(0.001).state_len(1000);
    const NESTEROV: usize = ScheduleFree::new(0.001).state_len(1000);
    let packed = |precision| Adam::new(0.001).precision(precision).state_len(1000);
    assert_eq!([FULL, NESTEROV], [2000, 2001]);
    // 15 blocks of 64 and one of 40: two scales and a code for each number, four in a word.
    let blocks = 15 * (2 + 32) + 2 + 20;
    assert_eq!([packed(StatePrecision::Bf16), packed(StatePrecision::Blocks8)], [1000, blocks]);
}

/// Rounding at random has the right mean, so that a slow average does not get stuck. With rounding to the nearest v
/// would stay where it is for ever; with β₂ = 0.99 it has to fall by 0.99³⁰⁰, to a twentieth.
#[test]
fn packed_averages_do_not_stand_still() {
    for precision in [StatePrecision::Bf16, StatePrecision::Blocks8] {
        let n = 256;
        let scale = ScaleByAdam { precision, ..ScaleByAdam { beta2: 0.99, ..ScaleByAdam::default() } };
        let mut state = vec![0.0_f32; scale.state_len(n)];
        let mut last = vec![0.0; n];
        for step in 0..301 {
            // One large gradient, then small ones. The first number of each 64 keeps the blocks' scale where it is.
            let g = |i: usize| if step == 0 || i.is_multiple_of(64) { 1.0 } else { 0.1 };
            last = (0..n).map(g).collect();
            let cx = UpdateContext::new(step, [n]);
            Transform::update(&scale, &cx, &[], &mut last, &mut state);
        }
        // m is 0.1; v is 0.01 · 0.99³⁰⁰ + 0.01 · (1 − 0.99³⁰⁰) = 0.01, over 1 − 0.99³⁰¹: so the quotient is about 0.98.
        let mean =
            last.iter().enumerate().filter(|(i, _)| !i.is_multiple_of(64)).map(|(_, u)| *u).sum::<f32>()
                / 252.0;
        assert!((0.85..1.1).contains(&mean), "{precision:?}: {mean}");
    }
}

#[test]
fn a_perceptron_learns_what_a_line_divides() {
    let inputs = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    for (table, separable) in [(0b1000_u8, true), (0b1110, true), (0b0111, true), (0b0110, false)] {
        let target = |i: usize| table >> i & 1 == 1;
        let (perceptron, mut w, mut b) = (Perceptron { rate: 0.5 }, [0.0_f64; 2], 0.0);
        let epoch = |w: &mut [f64; 2], b: &mut f64| {
            (0..4).filter(|i| perceptron.learn(w, b, &inputs[*i], target(*i))).count()
        };
        let converged = (0..20).any(|_| epoch(&mut w, &mut b) == 0);
        assert_eq!(converged, separable, "table {table:04b}");
    }
    // One mistake by hand: 0/1 step, w + η·(target − predicted)·x.
    let (mut w, mut b) = ([0.5_f64, -1.0], 0.0);
    assert!(Perceptron { rate: 0.25 }.learn(&mut w, &mut b, &[2.0, 0.0], false));
    assert_eq!((w, b), ([0.0, -1.0], -0.25));
    assert!(!Perceptron { rate: 0.25 }.learn(&mut w, &mut b, &[2.0, 0.0], false));
    assert!(Perceptron { rate: 0.0 }.validate().is_err());
}

fn rosenbrock(x: &[f64], gradient: &mut [f64]) -> f64 {
    let [a, b] = [1.0 - x[0], x[1] - x[0] * x[0]];
    gradient.copy_from_slice(&[-2.0 * a - 400.0 * x[0] * b, 200.0 * b]);
    a * a + 100.0 * b * b
}

#[test]
fn lbfgs_finds_minima() {
    let lbfgs = Lbfgs::default();
    let mut memory = [0.0; Lbfgs::DEFAULT.memory_len(2)];
    let mut x = [-1.2, 1.0];
    let mut count = 0;
    let found = lbfgs
        .minimize(&mut x, &mut memory, |x, g| {
            count += 1;
            rosenbrock(x, g)
        })
        .unwrap();
    assert_eq!((found.reason, found.evaluations), (Reason::Gradient, count));
    assert!(found.value < 1e-15 && found.iterations < 50 && (x[0] - 1.0).abs() < 1e-7, "{found:?}");
    // The memory need not be clean, and the way is the same again.
    let mut again = [-1.2, 1.0];
    assert_eq!(lbfgs.minimize(&mut again, &mut memory, rosenbrock).unwrap(), found);
    assert_eq!(again, x);

    // On a bowl in n dimensions exact line searches would need n steps; these are not exact.
    let n = 20;
    let bowl = |x: &[f64], g: &mut [f64]| {
        let mut value = 0.0;
        for (i, (g, x)) in g.iter_mut().zip(x).enumerate() {
            let a = 1.0 + i as f64;
            (*g, value) = (a * (x - a), value + 0.5 * a * (x - a) * (x - a));
        }
        value
    };
    let mut x = vec![0.0; n];
    let mut memory = vec![0.0; lbfgs.memory_len(n)];
    let found = lbfgs.minimize(&mut x, &mut memory, bowl).unwrap();
    assert_eq!(found.reason, Reason::Gradient);
    assert!(x.iter().enumerate().all(|(i, x)| (x - (1.0 + i as f64)).abs() < 1e-7), "{found:?}");
    assert!(found.evaluations < 3 * n as u32, "{found:?}");

    // In f32, where the last digits go sooner.
    let (mut x, mut memory) = ([-1.2_f32, 1.0], [0.0; Lbfgs::DEFAULT.memory_len(2)]);
    let found = lbfgs
        .minimize(&mut x, &mut memory, |x, g| {
            let (x, mut wide) = ([f64::from(x[0]), f64::from(x[1])], [0.0; 2]);
            let value = rosenbrock(&x, &mut wide);
            g.copy_from_slice(&wide.map(|g| g as f32));
            value as f32
        })
        .unwrap();
    assert!((x[0] - 1.0).abs() < 1e-3, "{found:?}");
}

#[test]
fn lbfgs_keeps_the_strong_wolfe_conditions() {
    // Every point that is stepped to is the last one that was evaluated before the search begins anew, from there. So
    // steps can be told from trials: run with one iteration more at a time.
    let lbfgs = |iterations| Lbfgs { iterations, ..Lbfgs::default() };
    let at = |iterations| {
        let (mut x, mut memory) = ([-1.2, 1.0], [0.0; Lbfgs::DEFAULT.memory_len(2)]);
        let found = lbfgs(iterations).minimize(&mut x, &mut memory, rosenbrock).unwrap();
        let mut g = [0.0; 2];
        let value = rosenbrock(&x, &mut g);
        (x, g, value, found)
    };
    for step in 0..20 {
        let ((x0, g0, f0, _), (x1, g1, f1, found)) = (at(step), at(step + 1));
        assert_eq!(found.iterations, step + 1);
        let along = [x1[0] - x0[0], x1[1] - x0[1]];
        let slope = |g: [f64; 2]| g[0] * along[0] + g[1] * along[1];
        assert!(f1 <= f0 + 1e-4 * slope(g0), "step {step} gains too little");
        assert!(slope(g1).abs() <= 0.9 * slope(g0).abs() * (1.0 + 1e-9), "step {step} is too steep");
    }
}

#[test]
fn lbfgs_says_why_it_ends() {
    let mut memory = [0.0; Lbfgs::DEFAULT.memory_len(1)];
    let mut end = |lbfgs: Lbfgs, f: &dyn Fn(f64) -> (f64, f64)| {
        let mut x = [1.0];
        let found = lbfgs.minimize(&mut x, &mut memory, |x, g| {
            let (value, slope) = f(x[0]);
            g[0] = slope;
            value
        });
        found.unwrap().reason
    };
    let lbfgs = Lbfgs::default();
    assert_eq!(end(lbfgs, &|x| (x * x, 2.0 * x)), Reason::Gradient);
    assert_eq!(
        end(Lbfgs { iterations: 1, ..lbfgs }, &|x| ((x - 0.3).powi(4), 4.0 * (x - 0.3).powi(3))),
        Reason::Iterations
    );
    let few = Lbfgs { change_tolerance: 0.9, ..lbfgs };
    assert_eq!(end(few, &|x| (1.0 + (x - 0.3).powi(2), 2.0 * (x - 0.3))), Reason::Change);
    assert_eq!(end(lbfgs, &|x| (x * x, -2.0 * x)), Reason::NoDescent, "a gradient of the wrong sign");
    assert_eq!(end(lbfgs, &|_| (f64::NAN, 1.0)), Reason::NotFinite);
    let short = lbfgs.minimize(&mut [1.0; 2], &mut memory, |_, _| 0.0);
    assert_eq!(short.unwrap_err().setting, "memory");
}

#[test]
fn settings_that_make_no_sense_are_found() {
    fn found(optimizer: &dyn Optimizer<f64>) -> &'static str {
        optimizer.validate().map_or_else(|InvalidSetting { setting, .. }| setting, |()| "nothing")
    }
    let sgd = Sgd::new(0.1);
    let cases: [(&dyn Optimizer<f64>, &str); 34] = [
        (&Sgd::new(0.1).l1(-1.0), "l1"),
        (&Adagrad::new(-0.1), "rate"),
        (&Adagrad::new(0.1).initial(-1.0), "initial"),
        (&Adagrad::new(0.1).rate_decay(f64::NAN), "rate_decay"),
        (&Adadelta { scale: ScaleByAdadelta { rho: 1.0, epsilon: 1e-6 }, ..Adadelta::default() }, "rho"),
        (&RmsProp::new(0.1).alpha(-0.1), "alpha"),
        (&RmsProp::new(0.1).momentum(1.0), "momentum"),
        (&Rprop::new(0.0), "initial"),
        (&Rprop::new(0.1).sizes(1.0, 0.5), "largest"),
        (&Adam::new(0.1).amsgrad().precision(StatePrecision::Bf16), "amsgrad"),
        (&AdaMax::new(0.1).betas(1.0, 0.9), "beta1"),
        (&Nadam::new(0.1).betas(0.9, 1.0), "beta2"),
        (&RAdam::new(f32::NAN), "rate"),
        (&AdaBelief::new(0.1).weight_decay(-1.0), "weight_decay"),
        (&Adan { scale: ScaleByAdan { beta3: 2.0, ..ScaleByAdan::default() }, ..Adan::default() }, "beta3"),
        (&Lion::new(0.1).betas(0.9, -0.5), "beta2"),
        (&Lars::new(0.1).momentum(-1.0), "momentum"),
        (&Lars::new(0.1).trust(ScaleByTrustRatio::new(0.0)), "trust coefficient"),
        (&Lamb::new(0.1).betas(0.9, 1.0), "beta2"),
        (&Muon::new(0.1).momentum(1.0), "momentum"),
        (&Muon { iterations: 0, ..Muon::default() }, "iterations"),
        (&Asgd::default().decay(-1.0), "decay"),
        (&ScheduleFree::new(0.1).betas(0.0, 0.9), "beta1"),
        (&Ema::new(1.0, sgd), "ema decay"),
        (&Swa::new(0, 0, sgd), "swa every"),
        (&Lookahead { share: 0.0, ..Lookahead::new(sgd) }, "lookahead share"),
        (&Sam::new(sgd).radius(0.0), "radius"),
        (&Sam::new(Sam::new(sgd)), "gradients_per_update"),
        (&Accumulate::new(0, sgd), "accumulate"),
        (&Accumulate::new(2, chain(ClipByGlobalNorm(1.0), sgd)), "accumulate"),
        (&chain(ApplyEvery(0), sgd), "apply every"),
        (&chain(ClipAdaptive { threshold: 0.0, epsilon: 1.0 }, sgd), "clip threshold"),
        (&chain(GradientNoise::new(-1.0), sgd), "variance"),
        (&MaxNorm::new(0.0, sgd), "max norm"),
    ];
    for (at, (optimizer, expected)) in cases.into_iter().enumerate() {
        assert_eq!(found(optimizer), expected, "case {at}");
    }
    let driven = scheduled(AdamW::default(), -1.0, |adam, value| adam.weight_decay = value);
    assert_eq!(found(&driven), "weight_decay");
    assert_eq!(Lbfgs { history: 0, ..Lbfgs::default() }.validate().unwrap_err().setting, "history");
}

#[test]
fn executors_see_the_context() {
    // The walk runs on the executor that is given, and only there.
    struct Counting(core::sync::atomic::AtomicUsize);
    impl Executor for Counting {
        fn lanes(&self) -> usize {
            2
        }
        fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
            self.0.fetch_add(tasks, core::sync::atomic::Ordering::Relaxed);
            Inline.run(tasks, task);
        }
    }
    let n = 100_000;
    let counting = Counting(core::sync::atomic::AtomicUsize::new(0));
    let context = Context { executor: &counting, ..Context::default() };
    let (mut p, mut g) = (vec![1.0_f32; n], vec![1.0; n]);
    let cx = UpdateContext { context, ..UpdateContext::new(0, [n]) };
    Sgd::new(0.5).update(&cx, &mut p, &mut g, &mut []);
    assert_eq!(counting.0.into_inner(), n.div_ceil(1 << 15));
    assert!(p.iter().all(|p| *p == 0.5));
}
