//! Winograd's convolutions: how far rounding may lead them, and how far it does.
//!
//! A sum of products of sums has an error of at most n · ε times the same sum of absolute values, with n the roundings on the
//! way of one term (Higham, 2002, section 3.1). Here that is Σ |Aᵀ|[(|G||w||Gᵀ|) ⊙ (|Bᵀ||x||B|)]|A|, with the matrices made anew from their points.

use crate::conv::{check, products};
use crate::support::{Random, contexts};
use bantam_core::{Numerics, Real};
use bantam_kernels::{
    Activation, ConvMethod, ConvShape, Element, conv2d_backward_input, conv2d_backward_input_scratch,
    conv2d_backward_weight, conv2d_backward_weight_scratch, conv2d_forward, conv2d_forward_scratch,
};

const POINTS: [f64; 5] = [0.0, 0.625, -0.625, 1.5, -1.5];

type Matrix = Vec<Vec<f64>>;

fn transposed(m: &Matrix) -> Matrix {
    (0..m[0].len()).map(|j| m.iter().map(|row| row[j]).collect()).collect()
}

fn absolute(m: &Matrix) -> Matrix {
    m.iter().map(|row| row.iter().map(|x| x.abs()).collect()).collect()
}

/// left · square · leftᵀ
fn both_sides(left: &Matrix, square: &Matrix) -> Matrix {
    let times = |a: &Matrix, b: &Matrix| -> Matrix {
        let row = |row: &Vec<f64>| {
            (0..b[0].len()).map(|j| row.iter().zip(b).map(|(x, b)| x * b[j]).sum()).collect()
        };
        a.iter().map(row).collect()
    };
    times(&times(left, square), &transposed(left))
}

/// The polynomial with these roots, its constant first.
fn polynomial(roots: impl Iterator<Item = f64>) -> Vec<f64> {
    roots.fold(vec![1.0], |factors, root| {
        let mut product = vec![0.0; factors.len() + 1];
        for (i, factor) in factors.iter().enumerate() {
            product[i] -= root * factor;
            product[i + 1] += factor;
        }
        product
    })
}

/// Bᵀ, G and Aᵀ: a product of polynomials (Lagrange) read backwards, so that it slides over its inputs.
fn matrices() -> [Matrix; 3] {
    let others = |i: usize| POINTS.iter().enumerate().filter(move |(j, _)| *j != i).map(|(_, point)| *point);
    let mut b: Matrix = (0..5).map(|i| polynomial(others(i))).collect();
    b.iter_mut().for_each(|row| row.resize(6, 0.0));
    b.push(polynomial(POINTS.into_iter()));
    let powers = |point: f64, count: i32| (0..count).map(|power| point.powi(power)).collect::<Vec<_>>();
    let scale = |i: usize| others(i).map(|other| POINTS[i] - other).product::<f64>();
    let mut g: Matrix =
        (0..5).map(|i| powers(POINTS[i], 3).into_iter().map(|x| x / scale(i)).collect()).collect();
    g.push(vec![0.0, 0.0, 1.0]);
    let mut a: Matrix = POINTS.iter().map(|point| powers(*point, 4)).collect();
    a.push(vec![0.0, 0.0, 0.0, 1.0]);
    [b, g, transposed(&a)]
}

#[test]
fn the_matrices_make_a_convolution() {
    let [b, g, a] = matrices();
    for (i, tap) in (0..6).flat_map(|i| (0..3).map(move |tap| (i, tap))) {
        for (out, row) in a.iter().enumerate() {
            let y: f64 = (0..6).map(|point| row[point] * g[point][tap] * b[point][i]).sum();
            let expected = if i == out + tap { 1.0 } else { 0.0 };
            assert!((y - expected).abs() < 1e-12, "output {out} of input {i} and tap {tap}: {y}");
        }
    }
}

/// What a square of `side` elements sees of a plane, whose first pixel lies `before` its own.
fn seen(plane: &[f64], size: [usize; 2], corner: [usize; 2], before: [usize; 2], side: usize) -> Matrix {
    let at = |i: usize, j: usize| {
        let (y, x) = ((corner[0] + i).wrapping_sub(before[0]), (corner[1] + j).wrapping_sub(before[1]));
        if y < size[0] && x < size[1] { plane[y * size[1] + x].abs() } else { 0.0 }
    };
    (0..side).map(|i| (0..side).map(|j| at(i, j)).collect()).collect()
}

/// The largest errors of the outputs and of the gradients by inputs and weights.
pub fn bounds<T: Element>(shape: &ConvShape, x: &[T], weight: &[T], dy: &[T]) -> [Vec<f64>; 3] {
    let [b, g, a] = matrices().map(|matrix| absolute(&matrix));
    let (b, a_t) = (b, transposed(&a));
    let wide = |x: &[T]| x.iter().map(|x| Real::to_f64(*x)).collect::<Vec<f64>>();
    let (x, weight, dy) = (wide(x), wide(weight), wide(dy));
    let epsilon = Real::to_f64(T::epsilon());
    let sizes = [[shape.height, shape.width], [shape.out_height(), shape.out_width()]];
    let channels = [shape.channels_in, shape.channels_out];
    let planes = |all: &[f64], image: usize, of: usize| {
        let (count, area) = (channels[of], sizes[of][0] * sizes[of][1]);
        (0..count).map(|c| all[(image * count + c) * area..][..area].to_vec()).collect::<Vec<_>>()
    };
    let corners = |size: [usize; 2]| {
        let across = size[1].div_ceil(4);
        (0..size[0].div_ceil(4) * across).map(move |i| [i / across * 4, i % across * 4])
    };
    let kernel = |output: usize, input: usize, turned: bool| -> Matrix {
        let w = &weight[(output * shape.channels_in + input) * 9..][..9];
        let tap = |i: usize| w[if turned { 8 - i } else { i }].abs();
        (0..3).map(|i| (0..3).map(|j| tap(3 * i + j)).collect()).collect()
    };
    // Roundings of a term: eleven of each transformation, one for each channel or square, and the end.
    let outputs = |all: &[f64], gradient: bool| {
        let (read, written) = if gradient { (1, 0) } else { (0, 1) };
        let before = shape.padding.map(|padding| if gradient { 2 - padding } else { padding });
        let kernels: Vec<Vec<Matrix>> = (0..channels[written])
            .map(|to| {
                let kernel = |from| if gradient { kernel(from, to, true) } else { kernel(to, from, false) };
                (0..channels[read]).map(|from| both_sides(&g, &kernel(from))).collect()
            })
            .collect();
        let [height, width] = sizes[written];
        let mut bounds = vec![0.0; shape.batch * channels[written] * height * width];
        for image in 0..shape.batch {
            let planes = planes(all, image, read);
            for corner in corners([height, width]) {
                let inputs: Vec<Matrix> =
                    planes.iter().map(|p| both_sides(&b, &seen(p, sizes[read], corner, before, 6))).collect();
                for (to, kernels) in kernels.iter().enumerate() {
                    let sum = |i: usize, j: usize| -> f64 {
                        inputs.iter().zip(kernels).map(|(x, w)| x[i][j] * w[i][j]).sum()
                    };
                    let sums: Matrix = (0..6).map(|i| (0..6).map(|j| sum(i, j)).collect()).collect();
                    for (i, row) in both_sides(&a, &sums).into_iter().enumerate() {
                        for (j, y) in row.into_iter().enumerate() {
                            let (i, j) = (corner[0] + i, corner[1] + j);
                            if i < height && j < width {
                                let at = ((image * channels[written] + to) * height + i) * width + j;
                                bounds[at] = y * epsilon * (channels[read] + 36) as f64;
                            }
                        }
                    }
                }
            }
        }
        bounds
    };
    let mut dw = vec![vec![vec![0.0; 6]; 6]; weight.len() / 9];
    let mut count = 36.0;
    for image in 0..shape.batch {
        let (inputs, gradients) = (planes(&x, image, 0), planes(&dy, image, 1));
        for corner in corners(sizes[1]) {
            count += 1.0;
            let at_points = |planes: &[Vec<f64>], matrix: &Matrix, size, before, side| -> Vec<Matrix> {
                planes.iter().map(|p| both_sides(matrix, &seen(p, size, corner, before, side))).collect()
            };
            let inputs = at_points(&inputs, &b, sizes[0], shape.padding, 6);
            let gradients = at_points(&gradients, &a_t, sizes[1], [0; 2], 4);
            let pairs = gradients.iter().flat_map(|dy| inputs.iter().map(move |x| (dy, x)));
            for (dw, (dy, x)) in dw.iter_mut().zip(pairs) {
                for ((dw, dy), x) in dw.iter_mut().zip(dy).zip(x) {
                    dw.iter_mut().zip(dy).zip(x).for_each(|((dw, dy), x)| *dw += dy * x);
                }
            }
        }
    }
    let g_t = transposed(&g);
    let dw = dw.iter().flat_map(|dw| both_sides(&g_t, dw).concat()).map(|dw| dw * epsilon * count).collect();
    [outputs(&x, false), outputs(&dy, true), dw]
}

fn shape(batch: usize, channels: [usize; 2], size: [usize; 2], padding: [usize; 2]) -> ConvShape {
    ConvShape {
        batch,
        channels_in: channels[0],
        height: size[0],
        width: size[1],
        channels_out: channels[1],
        kernel: [3; 2],
        stride: [1; 2],
        padding,
        dilation: [1; 2],
        groups: 1,
    }
}

#[test]
fn squares_at_all_edges() {
    let mut random = Random::new(3);
    for shape in [
        // Whole squares, half of a pair, columns and rows that are left over, more than one block, several tasks.
        shape(1, [16, 16], [8, 8], [1, 1]),
        shape(2, [23, 16], [4, 4], [1, 1]),
        shape(1, [16, 24], [9, 11], [1, 0]),
        shape(3, [18, 30], [7, 6], [0, 2]),
        shape(2, [20, 24], [13, 14], [2, 1]),
        shape(7, [16, 16], [16, 20], [1, 1]),
    ] {
        assert_eq!(shape.forward_method(Numerics::Fast), ConvMethod::Winograd, "{shape:?}");
        assert_ne!(shape.forward_method(Numerics::Portable), ConvMethod::Winograd, "{shape:?}");
        for _ in 0..2 {
            check::<f32>(&mut random, &shape);
        }
        check::<f64>(&mut random, &shape);
    }
}

#[test]
fn without_outputs_or_images_there_is_nothing_to_do() {
    let mut random = Random::new(6);
    let nothing = [shape(1, [16, 16], [2, 5], [0, 1]), shape(2, [16, 16], [5, 2], [1, 0])];
    let zeros = [shape(1, [16, 16], [0, 10], [2, 1]), shape(1, [16, 16], [10, 0], [1, 2])];
    for shape in nothing.into_iter().chain(zeros).chain([shape(0, [16, 16], [8, 8], [1, 1])]) {
        check::<f32>(&mut random, &shape);
    }
}

/// The root of the mean of squared errors against the same of sums in order: half of what the points 0, ±1, ±2 and ∞ would give, which is
/// four times as much.
#[test]
fn errors_are_as_small_as_the_points_promise() {
    let mut random = Random::new(4);
    let shape = shape(2, [32, 32], [12, 12], [1, 1]);
    let (x, weight): (Vec<f32>, Vec<f32>) = (random.vec(shape.input_len()), random.vec(shape.weight_len()));
    let dy: Vec<f32> = random.vec(shape.output_len());
    let mut exact = [vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; weight.len()]];
    products(&shape, |out, input, tap| {
        exact[0][out] += f64::from(x[input]) * f64::from(weight[tap]);
        exact[1][input] += f64::from(dy[out]) * f64::from(weight[tap]);
        exact[2][tap] += f64::from(x[input]) * f64::from(dy[out]);
    });
    let errors = |numerics: Numerics| {
        let cx = contexts().filter(|cx| cx.numerics == numerics).last().unwrap();
        let mut results = [vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; weight.len()]];
        let [y, dx, dw] = &mut results;
        let mut scratch = vec![0.0; conv2d_forward_scratch(&shape, numerics)];
        conv2d_forward(&cx, &shape, &x, &weight, None, Activation::Identity, y, &mut scratch);
        let mut scratch = vec![0.0; conv2d_backward_input_scratch(&shape, numerics)];
        conv2d_backward_input(&cx, &shape, &dy, &weight, dx, false, &mut scratch);
        let mut scratch = vec![0.0; conv2d_backward_weight_scratch(&shape, numerics)];
        conv2d_backward_weight(&cx, &shape, &x, &dy, dw, false, &mut scratch);
        let mut errors = [0.0; 3];
        for (error, (result, exact)) in errors.iter_mut().zip(results.iter().zip(&exact)) {
            let squares = result.iter().zip(exact).map(|(x, exact)| (f64::from(*x) - exact).powi(2));
            *error = (squares.sum::<f64>() / exact.len() as f64).sqrt();
        }
        errors
    };
    let (winograd, in_order) = (errors(Numerics::Fast), errors(Numerics::Portable));
    for ((what, winograd), in_order) in ["outputs", "dx", "dw"].into_iter().zip(winograd).zip(in_order) {
        println!("{what}: {winograd:.2e}, in order {in_order:.2e}, {:.2}", winograd / in_order);
        assert!(winograd < 3.0 * in_order, "{what}: {winograd:e} against {in_order:e}");
    }
}

/// With scratch for portable numerics alone, fast ones compute in order too.
#[test]
fn less_scratch_takes_the_other_method() {
    let mut random = Random::new(5);
    let shape = shape(1, [16, 16], [8, 8], [1, 1]);
    let (x, weight): (Vec<f32>, Vec<f32>) = (random.vec(shape.input_len()), random.vec(shape.weight_len()));
    for cx in contexts() {
        let compute = |numerics| {
            let mut y = vec![0.0; shape.output_len()];
            let mut scratch = vec![0.0; conv2d_forward_scratch(&shape, numerics)];
            conv2d_forward(&cx, &shape, &x, &weight, None, Activation::Identity, &mut y, &mut scratch);
            y
        };
        let (less, enough) = (compute(Numerics::Portable), compute(Numerics::Fast));
        for (less, enough) in less.iter().zip(&enough) {
            assert!((less - enough).abs() < 1e-4, "{cx:?}: {less} and {enough}");
        }
    }
}
