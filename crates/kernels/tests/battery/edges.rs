//! What lies at the edges, for every kernel in every context: slices that start anywhere in memory, shapes without elements, NaN and
//! infinities. The oracles of the other files take over from there.

use crate::support::{Random, assert_same_bits, contexts, same_bits};
use bantam_core::random::{Key, Purpose};
use bantam_core::{Context, Numerics};
use bantam_kernels::*;

/// A kernel with its shape: operands of these lengths, and a result of that length.
struct Case {
    name: &'static str,
    operands: Vec<usize>,
    result: usize,
    run: Run,
}

/// Computes a result, which holds old numbers, from operands.
type Run = fn(&Context<'_>, &[&[f32]], &mut [f32]);

/// Sizes that fill no vector, and one that fills several and some of the next.
const N: usize = 37;

/// 3×4·7 by 7·5 and so on: odd in every axis.
const GEMM: Gemm = Gemm { m: 5, n: 19, k: 7, a_strides: [7, 1], b_strides: [19, 1] };
const CONV: ConvShape = ConvShape {
    batch: 2,
    channels_in: 3,
    height: 5,
    width: 9,
    channels_out: 17,
    kernel: [3, 3],
    stride: [1, 1],
    padding: [1, 1],
    dilation: [1, 1],
    groups: 1,
};
const DEPTHWISE: ConvShape = ConvShape { channels_in: 3, channels_out: 3, groups: 3, ..CONV };
const QUADS: PoolShape = PoolShape {
    planes: 3,
    height: 6,
    width: 38,
    kernel: [2, 2],
    stride: [2, 2],
    padding: [0, 0],
    dilation: [1, 1],
};
const WINDOWS: PoolShape =
    PoolShape { kernel: [3, 2], stride: [2, 1], padding: [1, 0], width: 19, height: 5, ..QUADS };
const NORM: NormShape = NormShape { batch: 3, channels: 5, inner: 11 };

fn multiply(cx: &Context<'_>, x: &[&[f32]], y: &mut [f32]) {
    let mut scratch = vec![f32::NAN; gemm_scratch(&GEMM)];
    gemm(cx, &GEMM, x[0], x[1], Some(Bias::PerColumn(x[2])), Activation::Relu, y, true, &mut scratch);
}

fn convolve(cx: &Context<'_>, shape: &ConvShape, x: &[&[f32]], y: &mut [f32]) {
    let mut scratch = vec![f32::NAN; conv2d_forward_scratch(shape, cx.numerics)];
    conv2d_forward(cx, shape, x[0], x[1], None, Activation::Relu, y, &mut scratch);
}

fn convolve_back(cx: &Context<'_>, shape: &ConvShape, x: &[&[f32]], dx: &mut [f32]) {
    let mut scratch = vec![f32::NAN; conv2d_backward_input_scratch(shape, cx.numerics)];
    conv2d_backward_input(cx, shape, x[0], x[1], dx, true, &mut scratch);
}

fn weigh_back(cx: &Context<'_>, shape: &ConvShape, x: &[&[f32]], dw: &mut [f32]) {
    let mut scratch = vec![f32::NAN; conv2d_backward_weight_scratch(shape, cx.numerics)];
    conv2d_backward_weight(cx, shape, x[0], x[1], dw, true, &mut scratch);
}

fn index(cx: &Context<'_>, shape: &PoolShape, x: &[f32]) -> Vec<u8> {
    let mut index = vec![0; shape.output_len()];
    max_pool_argmax(cx, shape, x, &mut index);
    index
}

fn max_pool(cx: &Context<'_>, shape: &PoolShape, x: &[f32], y: &mut [f32]) {
    max_pool_select(cx, shape, x, &index(cx, shape, x), y);
}

fn labels(rows: usize) -> Vec<u32> {
    (0..rows as u32).map(|row| row % 4).collect()
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let (cx, cw, cy) = (CONV.input_len(), CONV.weight_len(), CONV.output_len());
    let (dx, dw, dy) = (DEPTHWISE.input_len(), DEPTHWISE.weight_len(), DEPTHWISE.output_len());
    let case = |name, operands: &[usize], result, run| Case { name, operands: operands.into(), result, run };
    vec![
        case("gemm", &[5 * 7, 7 * 19, 19], 5 * 19, multiply),
        case("conv2d_forward", &[cx, cw], cy, |cx, x, y| convolve(cx, &CONV, x, y)),
        case("conv2d_backward_input", &[cy, cw], cx, |cx, x, y| convolve_back(cx, &CONV, x, y)),
        case("conv2d_backward_weight", &[cx, cy], cw, |cx, x, y| weigh_back(cx, &CONV, x, y)),
        case("depthwise forward", &[dx, dw], dy, |cx, x, y| convolve(cx, &DEPTHWISE, x, y)),
        case("depthwise backward_input", &[dy, dw], dx, |cx, x, y| convolve_back(cx, &DEPTHWISE, x, y)),
        case("depthwise backward_weight", &[dx, dy], dw, |cx, x, y| weigh_back(cx, &DEPTHWISE, x, y)),
        case("map", &[N], N, |cx, x, y| map(cx, functions::Tanh, Span::Separate(x[0], y))),
        case("map in place", &[], N, |cx, _, y| map(cx, functions::Relu, Span::InPlace(y))),
        case("zip", &[N, N], N, |cx, x, y| zip(cx, functions::Mul, &[N], Arg::In(x[0], &[1]), Arg::In(x[1], &[1]), y)),
        case("reduce rows", &[3 * N], 3, |cx, x, y| reduce(cx, Reduce::Sum, 3, N, 1, x[0], y, true)),
        case("reduce short rows", &[7 * 5], 7, |cx, x, y| reduce(cx, Reduce::Max, 7, 5, 1, x[0], y, false)),
        case("reduce columns", &[3 * N], N, |cx, x, y| reduce(cx, Reduce::Sum, 1, 3, N, x[0], y, false)),
        case("dot", &[N, N], 1, |cx, x, y| y[0] = dot(cx, x[0], x[1])),
        case("softmax", &[3 * N], 3 * N, |cx, x, y| softmax(cx, 3, N, Span::Separate(x[0], y))),
        case("log_softmax", &[9 * 5], 9 * 5, |cx, x, y| log_softmax(cx, 9, 5, Span::Separate(x[0], y))),
        case("softmax_backward", &[3 * N, 3 * N], 3 * N, |cx, x, y| softmax_backward(cx, 3, N, x[0], x[1], y)),
        case("log_softmax_backward", &[3 * N, 3 * N], 3 * N, |cx, x, y| log_softmax_backward(cx, 3, N, x[0], x[1], y)),
        case("cross_entropy", &[3 * N], 1, |cx, x, y| y[0] = cross_entropy(cx, 3, N, x[0], &labels(3))),
        case("cross_entropy_backward", &[3 * N], 3 * N, |cx, x, y| cross_entropy_backward(cx, 3, N, x[0], &labels(3), 0.5, y)),
        case("max_pool, quads", &[QUADS.input_len()], QUADS.output_len(), |cx, x, y| max_pool(cx, &QUADS, x[0], y)),
        case("max_pool, windows", &[WINDOWS.input_len()], WINDOWS.output_len(), |cx, x, y| max_pool(cx, &WINDOWS, x[0], y)),
        case("max_pool_scatter", &[QUADS.input_len(), QUADS.output_len()], QUADS.input_len(), |cx, x, y| max_pool_scatter(cx, &QUADS, x[1], &index(cx, &QUADS, x[0]), y, true)),
        case("avg_pool", &[WINDOWS.input_len()], WINDOWS.output_len(), |cx, x, y| avg_pool(cx, &WINDOWS, true, x[0], y)),
        case("avg_pool_backward", &[WINDOWS.output_len()], WINDOWS.input_len(), |cx, x, y| avg_pool_backward(cx, &WINDOWS, true, x[0], y, true)),
        case("norm_statistics", &[NORM.len()], 10, |cx, x, y| {
            let (mean, variance) = y.split_at_mut(5);
            norm_statistics(cx, &NORM, x[0], mean, variance);
        }),
        case("norm_apply", &[NORM.len(), 5, 5, 5, 5], NORM.len(), |cx, x, y| norm_apply(cx, &NORM, x[0], x[1], x[2], x[3], x[4], true, y)),
        case("norm_backward_affine", &[NORM.len(), 5, 5, NORM.len()], 10, |cx, x, y| {
            let (dgamma, dbeta) = y.split_at_mut(5);
            norm_backward_affine(cx, &NORM, x[0], x[1], x[2], x[3], dgamma, dbeta);
        }),
        case("norm_backward_input", &[NORM.len(), 5, 5, 5, NORM.len(), 5, 5], NORM.len(), |cx, x, y| norm_backward_input(cx, &NORM, x[0], x[1], x[2], x[3], x[5], x[6], Span::Separate(x[4], y))),
        case("copy_strided", &[17 * 19], 17 * 19, |cx, x, y| copy_strided(cx, &[19, 17], x[0], 0, &[1, 19], y)),
        case("add_strided", &[17 * 19], 17 * 19, |cx, x, y| add_strided(cx, &[19, 17], x[0], y, 0, &[1, 19])),
        case("gather_rows", &[4 * N], 3 * N, |cx, x, y| gather_rows(cx, x[0], N, &[3, 9, 0], y)),
        case("scatter_add_rows", &[3 * N], 4 * N, |cx, x, y| scatter_add_rows(cx, &[3, 9, 0], N, x[0], y, true)),
        case("axpy", &[N], N, |cx, x, y| axpy(cx, 0.3, x[0], y)),
        case("copy", &[N], N, |cx, x, y| copy(cx, x[0], y)),
        case("fill", &[], N, |cx, _, y| fill(cx, 0.3, y)),
        case("dropout", &[N], N, |cx, x, y| dropout(cx, Key::new(1, Purpose::Dropout), 0.4, Span::Separate(x[0], y))),
    ]
}

/// `numbers` behind as many others.
fn shifted(numbers: &[f32], by: usize) -> Vec<f32> {
    [&vec![9.0; by][..], numbers].concat()
}

/// With every operand starting at another place in a line of the cache, and without touching what lies around the result.
#[test]
fn slices_start_anywhere() {
    let mut random = Random::new(1);
    for Case { name, operands, result, run } in cases() {
        let numbers: Vec<Vec<f32>> = operands.iter().map(|len| random.vec(*len)).collect();
        let old = random.vec(result);
        let all: Vec<&[f32]> = numbers.iter().map(Vec::as_slice).collect();
        let aligned = same_bits(name, |cx| {
            let mut y = old.clone();
            run(cx, &all, &mut y);
            y
        });
        for (cx, aligned) in contexts().zip(aligned) {
            for by in [1, 2, 3, 5, 8, 13] {
                let moved: Vec<Vec<f32>> =
                    numbers.iter().enumerate().map(|(i, numbers)| shifted(numbers, (by + i) % 16)).collect();
                let moved: Vec<&[f32]> = moved
                    .iter()
                    .zip(&numbers)
                    .map(|(all, numbers)| &all[all.len() - numbers.len()..])
                    .collect();
                let mut y = [shifted(&old, by), vec![9.0; 20]].concat();
                run(&cx, &moved, &mut y[by..by + result]);
                let name = format!("{name} from {by}, {cx:?}");
                assert_same_bits(&name, &aligned, &y[by..by + result]);
                assert!(y[..by].iter().chain(&y[by + result..]).all(|x| *x == 9.0), "{name} wrote beside");
            }
        }
    }
}

/// Every kernel with NaN or an infinity in any one of its operands gives the bits of the plain loops: what is lost at one level only
/// would differ.
#[test]
fn what_is_not_finite_is_the_same_at_every_level() {
    let mut random = Random::new(2);
    for Case { name, operands, result, run } in cases() {
        for round in 0..12 {
            let mut numbers: Vec<Vec<f32>> = operands.iter().map(|len| random.vec(*len)).collect();
            let mut old = random.vec(result);
            let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40][round % 4];
            let which = random.between(0, operands.len());
            let target = numbers.get_mut(which).unwrap_or(&mut old);
            let last = target.len() - 1;
            target[random.between(0, last)] = special;
            let all: Vec<&[f32]> = numbers.iter().map(Vec::as_slice).collect();
            let compute = |cx: &Context<'_>| {
                let mut y = old.clone();
                run(cx, &all, &mut y);
                y
            };
            let reference = compute(&Context::REFERENCE);
            for cx in contexts().filter(|cx| cx.numerics == Numerics::Portable) {
                let name = format!("{name}, {special} in operand {which}, {cx:?}");
                assert_same_bits(&name, &reference, &compute(&cx));
            }
        }
    }
}

/// NaN passes through every ReLU, alone or behind a product, a convolution or a normalisation, and through max-pooling; −∞ becomes 0.
#[test]
fn nan_passes_through_relu_and_pools() {
    for cx in contexts() {
        for at in 0..N {
            let mut x = vec![-1.0; N];
            (x[at], x[(at + 1) % N]) = (f32::NAN, f32::NEG_INFINITY);
            let mut y = vec![0.5; N];
            map(&cx, functions::Relu, Span::Separate(&x, &mut y));
            assert!(
                y.iter().enumerate().all(|(i, y)| if i == at { y.is_nan() } else { *y == 0.0 }),
                "{cx:?}"
            );

            // Into the bias of a product: its column is NaN, all else −7 and so 0.
            let (a, b) = (vec![1.0; 5 * 7], vec![-1.0; 7 * 19]);
            let (column, mut bias) = (at % 19, vec![0.0; 19]);
            bias[column] = f32::NAN;
            let mut c = vec![0.0; 5 * 19];
            multiply(&cx, &[&a, &b, &bias], &mut c);
            let right = |(i, c): (usize, &f32)| if i % 19 == column { c.is_nan() } else { *c == 0.0 };
            assert!(c.iter().enumerate().all(right), "gemm, {cx:?}");

            // Into a plane of a convolution: the nine outputs around it in every channel of its sample.
            for shape in [CONV, DEPTHWISE] {
                let (mut x, weight) = (vec![1.0; shape.input_len()], vec![-1.0; shape.weight_len()]);
                x[10 + at % 25] = f32::NAN;
                let mut y = vec![0.5; shape.output_len()];
                convolve(&cx, &shape, &[&x, &weight], &mut y);
                let (row, column) = ((10 + at % 25) / 9, (10 + at % 25) % 9);
                for (i, y) in y.iter().enumerate() {
                    let (sample, channel) = (i / 45 / shape.channels_out, i / 45 % shape.channels_out);
                    let near = (i % 45 / 9).abs_diff(row) <= 1 && (i % 9).abs_diff(column) <= 1;
                    let reached = sample == 0 && near && (shape.groups == 1 || channel == 0);
                    assert!(if reached { y.is_nan() } else { *y == 0.0 }, "{shape:?} {i}: {y}, {cx:?}");
                }
            }

            let (zeros, ones, minus) = ([0.0; 5], [1.0; 5], [-2.0; 5]);
            let mut x = vec![1.0; NORM.len()];
            x[at] = f32::NAN;
            let mut y = vec![0.5; x.len()];
            norm_apply(&cx, &NORM, &x, &zeros, &ones, &ones, &minus, true, &mut y);
            assert!(
                y.iter().enumerate().all(|(i, y)| if i == at { y.is_nan() } else { *y == 0.0 }),
                "{cx:?}"
            );

            let mut x = vec![f32::INFINITY; QUADS.input_len()];
            x[2 * at] = f32::NAN;
            let mut y = vec![0.5; QUADS.output_len()];
            max_pool(&cx, &QUADS, &x, &mut y);
            let window = 2 * at / 38 / 2 * 19 + 2 * at % 38 / 2;
            let right = |(i, y): (usize, &f32)| if i == window { y.is_nan() } else { *y == f32::INFINITY };
            assert!(y.iter().enumerate().all(right), "max_pool, {cx:?}");
        }
    }
}

/// No elements, or an axis without length: nothing is written, or what is documented for nothing.
#[test]
fn shapes_without_elements() {
    for cx in contexts() {
        for (m, n, k) in [(0, 3, 2), (3, 0, 2), (0, 0, 0), (2, 3, 0)] {
            let shape = Gemm { m, n, k, a_strides: [k, 1], b_strides: [n, 1] };
            let (a, b, mut c) = (vec![1.0; m * k], vec![1.0; k * n], vec![f32::NAN; m * n]);
            let mut scratch = vec![0.0; gemm_scratch(&shape)];
            gemm(&cx, &shape, &a, &b, None, Activation::Identity, &mut c, false, &mut scratch);
            assert!(c.iter().all(|c| *c == 0.0), "{shape:?} {cx:?}");
        }
        map(&cx, functions::Exp, Span::InPlace::<f32>(&mut []));
        for shape in [[0, 3], [3, 0]] {
            zip(&cx, functions::Add, &shape, Arg::In(&[1.0; 3], &[0, 1]), Arg::In(&[1.0], &[0, 0]), &mut []);
            let strides = [shape[1] as isize, 1];
            copy_strided::<f32>(&cx, &shape, &[], 0, &strides, &mut []);
            add_strided::<f32>(&cx, &shape, &[], &mut [5.0], 0, &strides);
            softmax::<f32>(&cx, shape[0], shape[1], Span::InPlace(&mut []));
            log_softmax_backward::<f32>(&cx, shape[0], shape[1], &[], &[], &mut []);
            let (rows, columns) = (shape[0], shape[1]);
            cross_entropy_backward::<f32>(&cx, rows, columns, &[], &labels(rows), 1.0, &mut []);
            assert!(cross_entropy::<f32>(&cx, rows, columns, &[], &labels(rows)).is_nan(), "{shape:?}");
        }
        let mut sums = [f32::NAN; 6];
        reduce(&cx, Reduce::Sum, 2, 0, 3, &[], &mut sums, false);
        assert_eq!(sums, [0.0; 6]);
        reduce::<f32>(&cx, Reduce::Sum, 0, 4, 3, &[], &mut [], false);
        assert_eq!(dot::<f32>(&cx, &[], &[]), 0.0);
        for shape in [
            PoolShape { planes: 0, ..QUADS },
            PoolShape { height: 1, ..QUADS },
            PoolShape { kernel: [4, 40], stride: [1, 1], ..QUADS },
        ] {
            let (x, mut dx) = (vec![1.0; shape.input_len()], vec![2.0; shape.input_len()]);
            let mut y = vec![f32::NAN; shape.output_len()];
            assert!(y.is_empty(), "{shape:?}");
            max_pool(&cx, &shape, &x, &mut y);
            avg_pool(&cx, &shape, true, &x, &mut y);
            max_pool_scatter(&cx, &shape, &[], &[], &mut dx, true);
            avg_pool_backward(&cx, &shape, true, &[], &mut dx, true);
            assert!(dx.iter().all(|dx| *dx == 2.0), "{shape:?} {cx:?}");
            max_pool_scatter(&cx, &shape, &[], &[], &mut dx, false);
            assert!(dx.iter().all(|dx| *dx == 0.0), "{shape:?} {cx:?}");
        }
        for shape in [NormShape { batch: 0, ..NORM }, NormShape { inner: 0, ..NORM }] {
            let ([mut mean, mut variance], ones) = ([[0.0_f32; 5]; 2], [1.0; 5]);
            norm_statistics(&cx, &shape, &[], &mut mean, &mut variance);
            assert!(mean.iter().chain(&variance).all(|x| x.is_nan()), "{shape:?}");
            norm_apply(&cx, &shape, &[], &ones, &ones, &ones, &ones, true, &mut []);
            norm_backward_affine(&cx, &shape, &[], &ones, &ones, &[], &mut mean, &mut variance);
            assert_eq!((mean, variance), ([0.0; 5], [0.0; 5]), "{shape:?}");
        }
        let shape = ConvShape { batch: 0, ..CONV };
        let (weight, mut dw) = (vec![1.0; shape.weight_len()], vec![f32::NAN; shape.weight_len()]);
        convolve(&cx, &shape, &[&[], &weight], &mut []);
        convolve_back(&cx, &shape, &[&[], &weight], &mut []);
        let mut scratch = vec![0.0; conv2d_backward_weight_scratch(&shape, cx.numerics)];
        conv2d_backward_weight(&cx, &shape, &[], &[], &mut dw, false, &mut scratch);
        assert!(dw.iter().all(|dw| *dw == 0.0), "{cx:?}");
        gather_rows::<f32>(&cx, &[], 0, &[1, 2], &mut []);
        gather_rows::<f32>(&cx, &[], 3, &[], &mut []);
        scatter_add_rows::<f32>(&cx, &[], 3, &[], &mut [], false);
        axpy::<f32>(&cx, 1.0, &[], &mut []);
        dropout::<f32>(&cx, Key::new(1, Purpose::Dropout), 0.5, Span::InPlace(&mut []));
    }
}

/// Each level that this build has computes with a token of its own.
#[test]
fn every_level_has_its_token() {
    /// The name of the token.
    struct Token;
    impl SimdOp for Token {
        const FUSES: bool = true;
        const WIDE: bool = true;
        type Output = &'static str;
        fn eval<S: Simd>(self, _: S) -> &'static str {
            core::any::type_name::<S>()
        }
    }
    let fast: Vec<&str> =
        contexts().filter(|cx| cx.numerics == Numerics::Fast).map(|cx| run(&cx, Token)).collect();
    println!("{fast:?}");
    let mut different = fast.clone();
    different.dedup();
    // Portable is a level of its own with the feature, plain loops are one without optimisation.
    let missing = usize::from(!cfg!(feature = "portable")) + usize::from(!cfg!(debug_assertions));
    assert!(different.len() + missing >= fast.len() && different.len() > 1, "{fast:?}");
}
