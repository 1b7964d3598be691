//! Values and gradients of every op that PyTorch has too, against PyTorch's in double precision.
//!
//! Tolerances, relative to the largest number of the expected tensor (at least 1). Results are sums of at most a few
//! hundred products of numbers around 1; each product and sum is wrong by at most one rounding unit u of what is
//! summed, so n of them by n·u in the worst case and about √n·u in the usual one:
//! * `f64`: u = 1.1e-16, a few thousand u are below 1e-12;
//! * `f32`: u = 6e-8, and the inputs are rounded to `f32` as well; 1e-5 is 170 u.

use bantam_autodiff::{
    Element, Graph, Session, Var,
    ops::{Conv2dOptions, Pool2dOptions, SliceRange},
};
use bantam_core::Shape;
use serde_json::Value;

struct Tensor {
    shape: Shape,
    data: Vec<f64>,
}

fn tensor(value: &Value) -> Tensor {
    let list = |field: &str| value[field].as_array().expect("a tensor has shape and data").iter();
    let dims: Vec<usize> = list("shape").map(|dim| dim.as_u64().unwrap() as usize).collect();
    let data: Vec<f64> = list("data").map(|x| x.as_f64().unwrap()).collect();
    let shape = Shape::new(&dims).unwrap();
    assert_eq!(data.len(), shape.len());
    Tensor { shape, data }
}

fn tensors(value: &Value) -> Vec<Tensor> {
    value.as_array().map_or(Vec::new(), |list| list.iter().map(tensor).collect())
}

/// What a row is computed from.
struct Operands<'g, T: Element> {
    graph: &'g Graph<T>,
    inputs: Vec<Var<'g, T>>,
    constants: Vec<Var<'g, T>>,
    indices: Option<Var<'g, T>>,
}

/// Runs one row in one precision; returns the largest error found, in units of the tolerance.
fn check<T: Element>(
    row: &Value,
    tolerance: f64,
    build: impl for<'g> Fn(&str, &Operands<'g, T>) -> Option<Var<'g, T>>,
) -> f64 {
    let name = row["name"].as_str().unwrap();
    let (inputs, constants) = (tensors(&row["inputs"]), tensors(&row["constants"]));
    let indices = row.get("indices").map(tensor);
    let (y, dy, dinputs) = (tensor(&row["y"]), tensor(&row["dy"]), tensors(&row["dinputs"]));

    let graph = Graph::<T>::new();
    let declare = |tensor: &Tensor| graph.input("operand", tensor.shape);
    let operands = Operands {
        graph: &graph,
        inputs: inputs.iter().map(declare).collect(),
        constants: constants.iter().map(declare).collect(),
        indices: indices.as_ref().map(|tensor| graph.indices("indices", tensor.shape)),
    };
    let result = build(name, &operands).unwrap_or_else(|| panic!("nothing computes {name}"));
    graph.check().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(result.shape(), y.shape, "{name}: the shape of the result");
    let flow = graph.input("dy", dy.shape);
    let gradients = graph.differentiate((result * flow).sum_all(), &operands.inputs);
    let gradients = gradients.unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut planner = graph.planner().output("y", result);
    for gradient in gradients {
        planner = planner.output("gradient", gradient);
    }
    let plan = planner.build().unwrap();
    plan.verify().unwrap();

    let mut session = Session::new(plan);
    let reals = inputs.iter().chain(&constants);
    let mut port = 0;
    for tensor in reals {
        fill(session.input(port), &tensor.data);
        port += 1;
    }
    if let Some(tensor) = &indices {
        for (slot, index) in session.indices(port).iter_mut().zip(&tensor.data) {
            *slot = *index as u32;
        }
        port += 1;
    }
    fill(session.input(port), &dy.data);
    session.run();
    assert_eq!(dinputs.len(), inputs.len(), "{name}: one gradient per input");
    let mut worst = compare(name, "y", session.output(0), &y.data, tolerance);
    for (i, expected) in dinputs.iter().enumerate() {
        let what = format!("the gradient of input {i}");
        worst = worst.max(compare(name, &what, session.output(1 + i), &expected.data, tolerance));
    }
    worst
}

fn fill<T: Element>(slot: &mut [T], data: &[f64]) {
    assert_eq!(slot.len(), data.len());
    for (slot, value) in slot.iter_mut().zip(data) {
        *slot = T::from_f64(*value);
    }
}

fn compare<T: Element>(name: &str, what: &str, got: &[T], expected: &[f64], tolerance: f64) -> f64 {
    assert_eq!(got.len(), expected.len(), "{name}: the length of {what}");
    let scale = expected.iter().fold(1.0_f64, |scale, x| scale.max(x.abs()));
    let mut worst = 0.0_f64;
    for (i, (&got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got.to_f64() - expected).abs() / scale;
        assert!(error <= tolerance, "{name} in {}: {what}[{i}] is {got}, PyTorch has {expected}", T::NAME);
        worst = worst.max(error / tolerance);
    }
    worst
}

/// How a row is computed with this crate. `None` if there is no such row.
fn build<'g, T: Element>(name: &str, o: &Operands<'g, T>) -> Option<Var<'g, T>> {
    let n = T::from_f64;
    let graph = o.graph;
    let x = o.inputs[0];
    let second = || o.inputs[1];
    let third = || o.inputs[2];
    let index = || o.indices.expect("the row has indices");
    let conv = |stride: [usize; 2], padding: [usize; 2], dilation: [usize; 2], groups| {
        x.conv2d(second(), Some(third()), Conv2dOptions { stride, padding, dilation, groups })
    };
    Some(match name {
        // ops
        "add_broadcast" => x + second(),
        "mul_broadcast" => x * second(),
        "sub_scalar" => x - second(),
        "div" => x / second(),
        "pow2.5" => x.powf(n(2.5)),
        "maximum" => x.maximum(second()),
        "minimum" => x.minimum(second()),
        "clamp_-0.5_0.7" => x.clamp(n(-0.5), n(0.7)),
        "abs" => x.abs(),
        "rsqrt" => x.rsqrt(),
        "matmul" | "matmul_batched_broadcast" | "einsum_bij_bjk" => x.matmul(second()),
        "matmul_vec" => x.matmul(second().unsqueeze(1)).reshape([3]),
        "matmul_tn" => x.matmul_tn(second()),
        "matmul_nt" => x.matmul_nt(second()),
        "sum_axis1" => x.sum(1),
        "sum_axes02_keep" => x.sum_keep([0, 2]),
        "mean_all" => x.mean_all(),
        "var_axis1_unbiased" => (x - x.mean_keep(1)).square().sum(1) * n(1.0 / 4.0),
        "std_axis0_biased" => (x - x.mean_keep(0)).square().mean(0).sqrt(),
        "prod_axis1" => x.product(1),
        "max_axis1" => x.max(1),
        "min_axis0" => x.min(0),
        "logsumexp_axis1" => x.exp().sum(1).ln(),
        "norm2" => x.square().sum_all().sqrt(),
        "permute_201" => x.permute(&[2, 0, 1]),
        "reshape" => x.reshape([4, 6]),
        "slice" => x.slice(1, SliceRange::from(1..4).step_by(2)),
        "cat_axis1" => graph.concat(&o.inputs, 1),
        "stack" => graph.stack(&o.inputs, 1),
        "split_sum" => x.slice(1, 0..2) + x.slice(1, 2..4) * n(2.0) + x.slice(1, 4..6) * n(3.0),
        "expand" => x.broadcast_to(Shape::of([3, 2, 4])),
        "flip1" => x.flip(1),
        // Columns 0, 2 of the first row; 1, 1 of the second.
        "gather" => {
            let part = |row: usize, column: usize| {
                x.slice(0, row..row + 1).slice(1, column..column + 1).reshape([1])
            };
            graph.concat(&[part(0, 0), part(0, 2), part(1, 1), part(1, 1)], 0).reshape([2, 2])
        }
        "index_select" => graph.concat(&[x.slice(0, 2..3), x.slice(0, 0..1), x.slice(0, 2..3)], 0),
        "where" => {
            let one = graph.constant(n(1.0)).reshape([1]);
            let zero = graph.constant(n(0.0)).reshape([1]);
            let mask = graph.concat(&[one, zero, zero, one], 0).reshape([2, 2]);
            x * mask + second() * (-mask + n(1.0))
        }
        "tril" => {
            let row = |r: usize| {
                let ones = graph.full(Shape::of([1, r + 1]), n(1.0));
                let zeros = |k| graph.full(Shape::of([1, k]), n(0.0));
                if r == 3 { ones } else { graph.concat(&[ones, zeros(3 - r)], 1) }
            };
            x * graph.concat(&[row(0), row(1), row(2), row(3)], 0)
        }
        "pad" => {
            let zeros = |columns| graph.full(Shape::of([2, columns]), n(0.0));
            graph.concat(&[zeros(1), x, zeros(2)], 1)
        }
        // activations
        "relu" => x.relu(),
        "leaky_relu" => x.relu() - (-x).relu() * n(0.01),
        "silu" => x * x.sigmoid(),
        "softsign" => x / (x.abs() + n(1.0)),
        "sigmoid" => x.sigmoid(),
        "tanh" => x.tanh(),
        "hardtanh" => x.clamp(n(-1.0), n(1.0)),
        "relu6" => x.clamp(n(0.0), n(6.0)),
        "tanhshrink" => x - x.tanh(),
        "exp" => x.exp(),
        // PyTorch was asked for the logarithm and the root of |x| + 0.1.
        "ln" => (x.abs() + n(0.1)).ln(),
        "sqrt" => (x.abs() + n(0.1)).sqrt(),
        "sin" => x.sin(),
        "cos" => x.cos(),
        "softmax" => x.softmax(),
        "log_softmax" => x.log_softmax(),
        "softmin" => (-x).softmax(),
        "glu" => x.slice(1, 0..4) * x.slice(1, 4..8).sigmoid(),
        // losses
        "mse" => x.mean_squared_error(o.constants[0]),
        "mae" => (x - o.constants[0]).abs().mean_all(),
        "cross_entropy" => x.cross_entropy(index()),
        "cross_entropy_soft_targets" => -(x.log_softmax() * o.constants[0]).sum(1).mean_all(),
        // The row's x are log-probabilities; picking one of each row is a lookup in the flattened table.
        "nll" => {
            let picked = [(0, 2), (1, 1), (2, 0), (3, 2), (4, 0)]
                .map(|(row, class)| x.slice(0, row..row + 1).slice(1, class..class + 1));
            -graph.concat(&picked, 0).mean_all()
        }
        // layers
        "linear" => x.linear(second(), Some(third())),
        "linear_nobias" => x.linear(second(), None),
        "conv2d" => conv([1, 1], [1, 1], [1, 1], 1),
        "conv2d_stride2_dil2" => conv([2, 2], [2, 2], [2, 2], 1),
        "conv2d_groups" => conv([1, 1], [0, 0], [1, 1], 2),
        "conv2d_depthwise" => conv([1, 1], [1, 1], [1, 1], 4),
        "conv2d_1x1" => conv([1, 1], [0, 0], [1, 1], 1),
        "conv2d_rect_5x3" => conv([2, 1], [2, 0], [1, 1], 1),
        "max_pool2d" => x.max_pool2d(2),
        "max_pool2d_overlap" => x.max_pool2d_with(Pool2dOptions::square(3).stride(2).padding(1)),
        "avg_pool2d" => x.avg_pool2d(2),
        "avg_pool2d_pad_exclude" => {
            let window = Pool2dOptions::square(3).stride(2).padding(1);
            x.avg_pool2d_with(Pool2dOptions { count_include_pad: false, ..window })
        }
        "adaptive_avg_pool2d_1" => x.mean_keep([2, 3]),
        "batch_norm1d_train" | "batch_norm2d_train" => x.batch_norm(second(), third(), 1e-5).0,
        "batch_norm2d_eval" => x.batch_norm_with(o.constants[0], o.constants[1], second(), third(), 1e-5),
        "embedding" => x.gather_rows(index()),
        "layer_norm" => x.layer_norm(second(), third(), 1e-5),
        "rms_norm" => x * (x.square().mean_keep(1) + n(1e-6)).rsqrt() * second(),
        "pixel_shuffle2" => x.reshape([1, 1, 2, 2, 2, 3]).permute(&[0, 1, 4, 2, 5, 3]).reshape([1, 1, 4, 6]),
        "upsample_nearest2x" => {
            x.reshape([1, 2, 3, 1, 3, 1]).broadcast_to(Shape::of([1, 2, 3, 2, 3, 2])).reshape([1, 2, 6, 6])
        }
        "zero_pad2d" => {
            let zeros = |rows, columns| graph.full(Shape::of([1, 2, rows, columns]), n(0.0));
            let wide = graph.concat(&[zeros(3, 1), x, zeros(3, 2)], 3);
            graph.concat(&[wide, zeros(1, 6)], 2)
        }
        _ => return None,
    })
}

#[test]
fn every_row_agrees_with_pytorch() {
    let files = [
        ("ops", include_str!("golden/ops.json")),
        ("activations", include_str!("golden/activations.json")),
        ("losses", include_str!("golden/losses.json")),
        ("layers", include_str!("golden/layers.json")),
    ];
    println!("largest error in units of the tolerance (f64 1e-12, f32 1e-5)");
    println!("{:<32}{:>10}{:>10}", "row", "f64", "f32");
    let mut rows = 0;
    for (file, text) in files {
        let list: Value = serde_json::from_str(text).unwrap();
        for row in list.as_array().unwrap() {
            let name = row["name"].as_str().unwrap();
            let double = check::<f64>(row, 1e-12, build);
            let single = check::<f32>(row, 1e-5, build);
            println!("{:<32}{double:>10.4}{single:>10.4}", format!("{file}/{name}"));
            rows += 1;
        }
    }
    // So that a file that lost its rows does not pass.
    assert_eq!(rows, 84);
}

#[test]
fn batch_norm_collects_the_statistics_that_pytorch_collects() {
    let list: Value = serde_json::from_str(include_str!("golden/layers.json")).unwrap();
    let mut rows = 0;
    for row in list.as_array().unwrap().iter().filter(|row| row.get("running_mean").is_some()) {
        let inputs = tensors(&row["inputs"]);
        let graph = Graph::<f64>::new();
        let operands: Vec<Var<'_, f64>> = inputs.iter().map(|t| graph.input("operand", t.shape)).collect();
        let (_, statistics) = operands[0].batch_norm(operands[1], operands[2], 1e-5);
        let plan = graph.planner().output("statistics", statistics).build().unwrap();
        let mut session = Session::new(plan);
        for (i, input) in inputs.iter().enumerate() {
            fill(session.input(i), &input.data);
        }
        session.run();
        let (mean, variance) = session.output(0).split_at(inputs[1].data.len());
        // PyTorch keeps running averages of the mean and of the unbiased variance, momentum 0.1.
        let n = (inputs[0].data.len() / mean.len()) as f64;
        let mean: Vec<f64> = mean.iter().map(|m| 0.1 * m).collect();
        let variance: Vec<f64> = variance.iter().map(|v| 0.9 + 0.1 * v * n / (n - 1.0)).collect();
        let name = row["name"].as_str().unwrap();
        compare(name, "the running mean", &mean, &tensor(&row["running_mean"]).data, 1e-12);
        compare(name, "the running variance", &variance, &tensor(&row["running_var"]).data, 1e-12);
        rows += 1;
    }
    assert_eq!(rows, 2);
}
