//! Products against a loop that adds in the order of k, bit for bit.

use crate::support::{Random, assert_same_bits, contexts, fuses, same_bits};
use bantam_core::{Context, LevelName, Numerics, Real};
use bantam_kernels::{Activation, Batch, Bias, Element, Gemm, batched_gemm, gemm, gemm_scratch};

struct Case<T> {
    gemm: Gemm,
    a: Vec<T>,
    b: Vec<T>,
    bias: Option<(bool, Vec<T>)>,
    activation: Activation,
    old: Vec<T>,
    accumulate: bool,
}

impl<T: Element> Case<T> {
    fn new(random: &mut Random, m: usize, n: usize, k: usize) -> Case<T> {
        // Row-major, transposed, or a view of something wider.
        let mut strides = |rows: usize, columns: usize| match random.between(0, 2) {
            0 => [columns, 1],
            1 => [1, rows],
            _ => [columns + random.between(0, 9), 1],
        };
        let gemm = Gemm { m, n, k, a_strides: strides(m, k), b_strides: strides(k, n) };
        let reach = |rows: usize, columns: usize, [row, column]: [usize; 2]| {
            if rows * columns == 0 { 0 } else { (rows - 1) * row + (columns - 1) * column + 1 }
        };
        let a = random.vec(reach(m, k, gemm.a_strides));
        let b = random.vec(reach(k, n, gemm.b_strides));
        let bias = random.coin().then(|| {
            let per_column = random.coin();
            (per_column, random.vec(if per_column { n } else { m }))
        });
        let activation = random.pick(&[Activation::Identity, Activation::Identity, Activation::Relu]);
        Case { gemm, a, b, bias, activation, old: random.vec(m * n), accumulate: random.coin() }
    }

    fn run(&self, cx: &Context<'_>) -> Vec<T> {
        let mut c = if self.accumulate { self.old.clone() } else { vec![T::nan(); self.old.len()] };
        let mut scratch = vec![T::nan(); gemm_scratch(&self.gemm)];
        let bias = self.bias.as_ref().map(|(per_column, bias)| match per_column {
            true => Bias::PerColumn(&bias[..]),
            false => Bias::PerRow(&bias[..]),
        });
        gemm(cx, &self.gemm, &self.a, &self.b, bias, self.activation, &mut c, self.accumulate, &mut scratch);
        c
    }

    /// Whether sums are added in lanes: with fast numerics, those of a long column that lies in one piece.
    fn adds_in_lanes(&self, cx: &Context<'_>) -> bool {
        let Gemm { n, k, a_strides, b_strides, .. } = self.gemm;
        let lies = n == 1 && k >= 64 && a_strides[1] == 1 && b_strides[0] == 1;
        lies && cx.numerics == Numerics::Fast && cx.level.name() != LevelName::Scalar
    }

    /// The same, one element at a time, and the error bound of each: k · ε · Σ |a||b| (Higham, 2002, section 3.5), where
    /// the start value counts as one more product.
    fn naive(&self, cx: &Context<'_>) -> Vec<(T, f64, f64)> {
        let fused = fuses(cx);
        let add = |a: T, b: T, sum: T| if fused { a.mul_add(b, sum) } else { a * b + sum };
        let Gemm { m, n, k, a_strides, b_strides } = self.gemm;
        let elements = (0..m).flat_map(|i| (0..n).map(move |j| (i, j)));
        elements
            .map(|(i, j)| {
                let bias = self.bias.as_ref().map(|(per_column, bias)| bias[if *per_column { j } else { i }]);
                let start = match (self.accumulate.then(|| self.old[i * n + j]), bias) {
                    (Some(old), Some(bias)) => old + bias,
                    (old, bias) => old.or(bias).unwrap_or(T::zero()),
                };
                let (mut sum, mut exact, mut absolute) = (start, start.to_f64(), start.to_f64().abs());
                let mut lanes = [T::zero(); 32];
                for p in 0..k {
                    let a = self.a[i * a_strides[0] + p * a_strides[1]];
                    let b = self.b[p * b_strides[0] + j * b_strides[1]];
                    if self.adds_in_lanes(cx) {
                        // From the last whole four vectors on, all go to the eight lanes of the first.
                        if p == k - k % 32 {
                            fold(&mut lanes, [(0, 16), (8, 24), (0, 8)], 8);
                        }
                        let lane = if p < k - k % 32 { p % 32 } else { p % 8 };
                        lanes[lane] = add(a, b, lanes[lane]);
                    } else {
                        sum = add(a, b, sum);
                    }
                    exact += a.to_f64() * b.to_f64();
                    absolute += (a.to_f64() * b.to_f64()).abs();
                }
                if self.adds_in_lanes(cx) {
                    if k % 32 == 0 {
                        fold(&mut lanes, [(0, 16), (8, 24), (0, 8)], 8);
                    }
                    fold(&mut lanes, [(0, 4), (0, 2), (0, 1)], 4);
                    let bias = bias.unwrap_or(T::zero());
                    sum = lanes[0] + bias + if self.accumulate { self.old[i] } else { T::zero() };
                }
                if self.activation == Activation::Relu {
                    (sum, exact) = (sum.max(T::zero()), exact.max(0.0));
                }
                (sum, exact, (k + 1) as f64 * T::epsilon().to_f64() * absolute)
            })
            .collect()
    }

    fn check(&self) {
        let name = format!("{:?} bias {} accumulate {}", self.gemm, self.bias.is_some(), self.accumulate);
        let results = same_bits(&name, |cx| self.run(cx));
        for (cx, result) in contexts().zip(results) {
            let naive = self.naive(&cx);
            let sums: Vec<T> = naive.iter().map(|(sum, ..)| *sum + T::zero()).collect();
            let result: Vec<T> = result.iter().map(|c| *c + T::zero()).collect();
            assert_same_bits(&format!("{name} {cx:?}"), &sums, &result);
            for (c, (_, exact, bound)) in result.iter().zip(naive) {
                assert!(
                    (Real::to_f64(*c) - exact).abs() <= bound,
                    "{name} {cx:?}: {c} is not {exact} ± {bound}"
                );
            }
        }
    }
}

/// Adds `len` numbers from the second place of each pair to those from the first.
fn fold<T: Element + core::ops::AddAssign>(numbers: &mut [T], pairs: [(usize, usize); 3], len: usize) {
    for (to, from) in pairs {
        for i in 0..len {
            numbers[to + i] += numbers[from + i];
        }
    }
}

#[test]
fn random_small_shapes() {
    let mut random = Random::new(1);
    for _ in 0..150 {
        let (m, n, k) = (random.between(1, 33), random.between(1, 40), random.between(0, 50));
        Case::<f32>::new(&mut random, m, n, k).check();
    }
    for _ in 0..40 {
        let (m, n, k) = (random.between(1, 20), random.between(1, 20), random.between(0, 20));
        Case::<f64>::new(&mut random, m, n, k).check();
    }
}

#[test]
fn shapes_that_are_cut_into_blocks() {
    let mut random = Random::new(2);
    // Several row blocks, several stretches of k, several column blocks, one row, groups of panels, and rows of C that are a page.
    for (m, n, k) in [
        (401, 37, 100),
        (50, 70, 801),
        (13, 700, 130),
        (1, 300, 500),
        (130, 256, 64),
        (270, 100, 515),
        (21, 1024, 5),
    ] {
        Case::<f32>::new(&mut random, m, n, k).check();
    }
    Case::<f64>::new(&mut random, 200, 60, 390).check();
}

#[test]
fn dot_products_with_lines() {
    let mut random = Random::new(5);
    for (n, k) in [(32, 8), (33, 7), (71, 29), (64, 100), (100, 3)] {
        // Neighbours, lines of a wider matrix, lines that overlap, and one line for all.
        for stride in [k, k + 3, 1, 0] {
            let mut row = Case::<f32>::new(&mut random, 1, n, k);
            row.gemm = Gemm { a_strides: [1, 2], b_strides: [1, stride], ..row.gemm };
            (row.a, row.b) = (random.vec(2 * k - 1), random.vec((n - 1) * stride + k));
            row.check();
            let mut column = Case::<f32>::new(&mut random, n, 1, k);
            column.gemm = Gemm { a_strides: [stride, 1], b_strides: [1, 1], ..column.gemm };
            (column.a, column.b) = (random.vec((n - 1) * stride + k), random.vec(k));
            column.check();
        }
    }
}

/// A row times a long column has the bits that it has among other rows.
#[test]
fn long_columns() {
    let mut random = Random::new(9);
    for (m, k) in [(1, 64), (2, 95), (5, 96), (7, 63), (4, 257), (3001, 100)] {
        let mut case = Case::<f32>::new(&mut random, m, 1, k);
        case.gemm = Gemm { a_strides: [k + 3, 1], b_strides: [1, 1], ..case.gemm };
        (case.a, case.b) = (random.vec(m * (k + 3)), random.vec(k));
        case.check();
        for cx in contexts() {
            let all = case.run(&cx);
            let row = Case {
                gemm: Gemm { m: 1, ..case.gemm },
                a: case.a[(m - 1) * (k + 3)..].to_vec(),
                b: case.b.clone(),
                bias: case.bias.as_ref().map(|(_, bias)| (true, vec![bias[bias.len() - 1]])),
                old: case.old[m - 1..].to_vec(),
                ..case
            };
            assert_same_bits(
                &format!("{m} rows of {k}, the last alone, {cx:?}"),
                &all[m - 1..],
                &row.run(&cx),
            );
        }
    }
}

/// Matrices that lie side by side in the rows of larger ones or one after the other, against products of their own.
#[test]
fn batches() {
    let mut random = Random::new(7);
    for round in 0..60 {
        let (m, mut n, mut k) = (random.between(1, 40), random.between(1, 40), random.between(0, 40));
        if round % 10 == 0 {
            // Long columns.
            (n, k) = (1, k + 64);
        }
        let counts = [random.between(1, 5), random.between(1, 4)];
        let accumulate = random.coin();
        // Strides, steps and length of an operand.
        let mut lie = |rows: usize, columns: usize, transposes: bool| {
            let [outer, inner] = counts;
            let size = rows * columns;
            let (row, steps) = match random.coin() {
                true => (inner * columns + 3, [rows * (inner * columns + 3), columns]),
                false => (columns, [inner * size + 1, size]),
            };
            let len = outer * steps[0] + inner * steps[1] + rows * row;
            if transposes && random.coin() {
                ([1, rows], [inner * size, size], outer * inner * size)
            } else {
                ([row, 1], steps, len)
            }
        };
        let ((a_strides, a_steps, a_len), (b_strides, b_steps, b_len), ([c_stride, _], c_steps, c_len)) =
            (lie(m, k, true), lie(k, n, true), lie(m, n, false));
        let gemm = Gemm { m, n, k, a_strides, b_strides };
        let batch = Batch { counts, a_steps, b_steps, c_steps, c_stride };
        let (a, b, old): (Vec<f32>, Vec<f32>, Vec<f32>) =
            (random.vec(a_len), random.vec(b_len), random.vec(c_len));
        let run = |cx: &Context<'_>| {
            let mut c = old.clone();
            batched_gemm(cx, &gemm, &batch, &a, &b, &mut c, accumulate);
            c
        };
        let name = format!("{gemm:?} {batch:?} accumulate {accumulate}");
        for (cx, result) in contexts().zip(same_bits(&name, run)) {
            let mut expected = old.clone();
            for (i, j) in (0..counts[0]).flat_map(|i| (0..counts[1]).map(move |j| (i, j))) {
                let at = |steps: [usize; 2]| if k == 0 { 0 } else { i * steps[0] + j * steps[1] };
                let start = i * c_steps[0] + j * c_steps[1];
                let places = (0..m).flat_map(|row| (0..n).map(move |column| start + row * c_stride + column));
                let mut c: Vec<f32> = places.clone().map(|place| old[place]).collect();
                let (a, b) = (&a[at(a_steps)..], &b[at(b_steps)..]);
                let mut scratch = vec![0.0; gemm_scratch(&gemm)];
                bantam_kernels::gemm(
                    &cx,
                    &gemm,
                    a,
                    b,
                    None,
                    Activation::Identity,
                    &mut c,
                    accumulate,
                    &mut scratch,
                );
                places.zip(c).for_each(|(place, c)| expected[place] = c);
            }
            assert_same_bits(&format!("{name} {cx:?}"), &expected, &result);
        }
    }
}

#[test]
#[should_panic(expected = "a slice does not fit its shape")]
fn matrices_of_a_batch_do_not_overlap() {
    let gemm = Gemm { m: 2, n: 3, k: 1, a_strides: [1, 1], b_strides: [3, 1] };
    let batch = Batch { counts: [1, 2], a_steps: [0; 2], b_steps: [0; 2], c_steps: [0, 2], c_stride: 4 };
    batched_gemm(&Context::default(), &gemm, &batch, &[1.0; 2], &[1.0; 3], &mut [0.0_f32; 20], false);
}

#[test]
fn nothing_to_multiply() {
    let mut random = Random::new(3);
    for (m, n, k) in [(0, 5, 3), (5, 0, 3), (0, 0, 0), (3, 5, 0)] {
        Case::<f32>::new(&mut random, m, n, k).check();
    }
}

#[test]
fn infinities_reach_only_their_row_and_column() {
    let mut random = Random::new(5);
    let mut case = Case::<f32>::new(&mut random, 9, 13, 5);
    case.activation = Activation::Identity;
    case.a[0] = f32::INFINITY;
    for (cx, result) in contexts().zip(same_bits("infinity", |cx| case.run(cx))) {
        let broken = result.iter().filter(|c| !c.is_finite()).count();
        assert_eq!(broken, 13, "{cx:?}: one row of C is infinite or NaN");
    }
}
