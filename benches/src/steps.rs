//! Whole training steps as a user writes them: forward, backward and update through layers, plan and optimizer.

use crate::measure::{Row, Work};
use crate::sequences;
use bantam_autodiff::{Mode, Plan, Session};
use bantam_core::{Context, Optimizer, Shape};
use bantam_nn::{
    Activation, BatchNorm, Conv2d, Flatten, GlobalAvgPool2d, Initializer, Layer, Linear, MaxPool2d, Params,
    Residual, Sequential,
    loss::{cross_entropy, mean_squared_error},
};
use bantam_optim::{Adam, Sgd};
use core::hint::black_box;

/// The nets of the project's table, against the time that a step may take on one thread of a machine whose peak with AVX2 is
/// 103 GFLOP/s.
pub fn steps(cx: Context<'static>) -> Vec<Row> {
    let (digits, mnist) = ([64, 64, 32, 10], [784, 512, 10]);
    vec![
        row("MLP 2-16-16-1 tanh, batch 32, SGD momentum", 5e-6, cx, tiny()),
        row("MLP 64-64-32-10, batch 32, Adam", 24e-6, cx, mlp(32, &digits, Adam::default())),
        row("MLP 784-512-10, batch 128, SGD", 2.4e-3, cx, mlp(128, &mnist, Sgd::new(0.01))),
        row("MLP 784-512-10, batch 128, Adam", 2.65e-3, cx, mlp(128, &mnist, Adam::default())),
        row("CNN 1×28×28, 32 and 64 channels, batch 64, Adam", 24.5e-3, cx, convolutional()),
        row("ResNet-8 3×32×32, batch 32, SGD momentum", 34e-3, cx, residual()),
        row("LSTM 28×28 → 128 → 10, batch 64, Adam", 11.5e-3, cx, made(sequences::lstm(Adam::default()))),
        row(
            "Transformer block, width 64, 4 heads, 16×32 of 65, Adam",
            2.6e-3,
            cx,
            made(sequences::transformer(Adam::default())),
        ),
    ]
}

/// The bytes of the arena of MLP 784-512-10 at batch 128, and the most memory that a process took that made the plan and
/// trained for a while; the latter where Linux tells.
pub fn memory() -> (usize, Option<usize>) {
    let Net { plan, params, optimizer } = mlp(128, &[784, 512, 10], Sgd::new(0.01));
    let arena = plan.arena_bytes();
    let mut session = Session::new(plan);
    params.initialize(&mut session, 1);
    for _ in 0..10 {
        let _ = black_box(session.step(&*optimizer));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    (arena, kib.map(|kib| kib * 1024))
}

/// A planned net and what trains it.
struct Net {
    plan: Plan,
    params: Params,
    optimizer: Box<dyn Optimizer<f32>>,
}

fn made((plan, params, optimizer): (Plan, Params, impl Optimizer<f32> + 'static)) -> Net {
    Net { plan, params, optimizer: Box::new(optimizer) }
}

fn row(name: &str, budget: f64, cx: Context<'static>, net: Net) -> Row {
    let Net { plan, params, optimizer } = net;
    let mut session = Session::new(plan).context(cx);
    params.initialize(&mut session, 1);
    for (i, x) in session.input(0).iter_mut().enumerate() {
        *x = ((i * 37 % 101) as f32 - 50.0) / 50.0;
    }
    // Nobody attends to what comes later.
    let mask = session.input(2);
    let side = mask.len().isqrt();
    for (i, x) in mask.iter_mut().enumerate() {
        *x = if i % side > i / side { -1e9 } else { 0.0 };
    }
    // An input that has no indices has none to fill.
    for input in 0..2 {
        for (i, label) in session.indices(input).iter_mut().enumerate() {
            *label = i as u32 % 10;
        }
    }
    Row::new(name, Work::Budget(budget), move || {
        // The numbers stay finite: a step that failed would be a fast one.
        assert!(session.step(&*optimizer).is_ok(), "the loss is not finite");
    })
}

/// Linear layers with ReLU between them, classes as targets.
fn mlp(batch: usize, widths: &[usize], optimizer: impl Optimizer<f32> + 'static) -> Net {
    let mut params = Params::new();
    let net = perceptron(&mut params, widths, Activation::Relu);
    classify(net, params, Shape::of([batch, widths[0]]), optimizer)
}

fn tiny() -> Net {
    let mut params = Params::new();
    let net = perceptron(&mut params, &[2, 16, 16, 1], Activation::Tanh);
    let optimizer = Sgd::new(0.01).momentum(0.9);
    let graph = params.graph(Mode::Train);
    let x = graph.input("x", Shape::of([32, 2]));
    let target = graph.input("target", Shape::of([32, 1]));
    let loss = mean_squared_error(net.forward(x), target);
    let plan = graph.planner().loss(loss).optimizer(&optimizer).build();
    Net { plan: plan.expect("the net is sound"), params, optimizer: Box::new(optimizer) }
}

fn perceptron(params: &mut Params, widths: &[usize], activation: Activation) -> Sequential {
    let mut net = Sequential::new();
    for (i, pair) in widths.windows(2).enumerate() {
        net = net.then(Linear::new(params.at(&i.to_string()), pair[0], pair[1]));
        if i + 2 < widths.len() {
            net = net.then(activation);
        }
    }
    net
}

fn convolutional() -> Net {
    let mut params = Params::new();
    let net = Sequential::new()
        .then(Conv2d::new(params.at("conv1"), 1, 32, 3).same())
        .then(Activation::Relu)
        .then(MaxPool2d::new(2))
        .then(Conv2d::new(params.at("conv2"), 32, 64, 3).same())
        .then(Activation::Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten)
        .then(Linear::new(params.at("hidden"), 64 * 7 * 7, 128))
        .then(Activation::Relu)
        .then(Linear::new(params.at("logits"), 128, 10));
    classify(net, params, Shape::of([64, 1, 28, 28]), Adam::default())
}

/// A convolution, three stages of one residual block with 16, 32 and 64 channels, and a linear layer (He et al., 2016).
fn residual() -> Net {
    let mut params = Params::new();
    // Before a normalisation a bias does nothing.
    let conv = |params: &mut Params, name: &str, channels: [usize; 2], kernel, stride| {
        let weight = Initializer::HE_NORMAL;
        Conv2d::with(params.at(name), channels, kernel, 1, weight, false).same().stride(stride)
    };
    let mut net = Sequential::new()
        .then(conv(&mut params, "conv", [3, 16], 3, 1))
        .then(BatchNorm::new(params.at("norm"), 16))
        .then(Activation::Relu);
    for (name, from, to, stride) in [("16", 16, 16, 1), ("32", 16, 32, 2), ("64", 32, 64, 2)] {
        let body = Sequential::new()
            .then(conv(&mut params, &format!("{name}.conv1"), [from, to], 3, stride))
            .then(BatchNorm::new(params.at(&format!("{name}.norm1")), to))
            .then(Activation::Relu)
            .then(conv(&mut params, &format!("{name}.conv2"), [to, to], 3, 1))
            .then(BatchNorm::new(params.at(&format!("{name}.norm2")), to));
        if stride == 1 {
            net = net.then(Residual::new(body));
        } else {
            let shortcut = conv(&mut params, &format!("{name}.shortcut"), [from, to], 1, stride);
            let norm = BatchNorm::new(params.at(&format!("{name}.shortcut_norm")), to);
            net = net.then(Residual::new(body).shortcut(Sequential::new().then(shortcut).then(norm)));
        }
        net = net.then(Activation::Relu);
    }
    let net = net.then(GlobalAvgPool2d).then(Linear::new(params.at("logits"), 64, 10));
    classify(net, params, Shape::of([32, 3, 32, 32]), Sgd::new(0.01).momentum(0.9))
}

fn classify(net: Sequential, params: Params, input: Shape, optimizer: impl Optimizer<f32> + 'static) -> Net {
    let graph = params.graph(Mode::Train);
    let x = graph.input("x", input);
    let labels = graph.indices("labels", Shape::of([input[0]]));
    let loss = cross_entropy(net.forward(x), labels);
    let plan = graph.planner().loss(loss).optimizer(&optimizer).build();
    Net { plan: plan.expect("the net is sound"), params, optimizer: Box::new(optimizer) }
}
