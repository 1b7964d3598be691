//! What each way to save memory is worth: the arenas of plans, in bytes, as Markdown. For hosts.

use bantam::autodiff::{Error, Mode, Plan, UpdateOrder};
use bantam::core::{Numerics, Optimizer, Shape};
use bantam::nn::{
    Activation, Concat, Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, Params, Recompute, Sequential,
    loss::cross_entropy,
};
use bantam::optim::{Adam, Sgd};
use bantam_firmware::networks::ALIGNMENT;
use core::cell::RefCell;

/// One way to train.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    batch: usize,
    /// Whether values share memory, and gradients are added up over micro-batches.
    shares: bool,
    accumulates: bool,
    order: UpdateOrder,
    optimizer: &'static dyn Optimizer<f32>,
    /// What trains; everything if empty.
    trains: &'static [&'static str],
    /// Whether the values inside of layers are computed again in the backward pass.
    recompute: bool,
    /// Whether of each layer but the last only a quarter of the channels trains: the others are a frozen layer beside it.
    quarter: bool,
}

impl Way {
    /// `net` and behind it a layer of so many outputs, or two beside each other, with what follows it.
    fn layer<L: Layer + Send + Sync + 'static>(
        &self,
        net: Sequential,
        outputs: usize,
        make: impl Fn(&str, usize) -> L,
        after: impl Layer + Send + Sync + 'static,
    ) -> Sequential {
        let layer = Sequential::new();
        let layer = if self.quarter {
            let trained = outputs / 4;
            let [frozen, trained] = [make(".frozen", outputs - trained), make(".trained", trained)];
            layer.then(Concat::new().with(frozen).with(trained))
        } else {
            layer.then(make("", outputs))
        };
        let layer = layer.then(after);
        if self.recompute { net.then(Recompute(layer)) } else { net.then(layer) }
    }

    /// The firmware's network for the digits.
    fn cnn(&self, p: &mut Params) -> Sequential {
        let p = RefCell::new(p);
        let mut net = Sequential::new();
        for (name, [inputs, outputs]) in [("conv1", [1, 8]), ("conv2", [8, 16])] {
            let convolution = |part: &str, outputs| {
                Conv2d::new(p.borrow_mut().at(&format!("{name}{part}")), inputs, outputs, 3).same()
            };
            net = self.layer(
                net,
                outputs,
                convolution,
                Sequential::new().then(Activation::Relu).then(MaxPool2d::new(2)),
            );
        }
        let logits = Linear::new(p.borrow_mut().at("logits"), 16 * 2 * 2, 10);
        net.then(Flatten).then(Dropout::new(0.1)).then(logits)
    }

    /// 784-32-10.
    fn mlp(&self, p: &mut Params) -> Sequential {
        let p = RefCell::new(p);
        let hidden =
            |part: &str, outputs| Linear::new(p.borrow_mut().at(&format!("hidden{part}")), 784, outputs);
        let after = Sequential::new().then(Activation::Relu).then(Dropout::new(0.1));
        let net = self.layer(Sequential::new().then(Flatten), 32, hidden, after);
        let logits = Linear::new(p.borrow_mut().at("logits"), 32, 10);
        net.then(logits)
    }
}

/// The bytes of the arena, and those of frozen parameters, which a plan in flash does not copy.
fn bytes(way: &Way, dims: &[usize], params: &mut Params, net: &impl Layer) -> Result<[usize; 2], Error> {
    if !way.trains.is_empty() {
        // The patterns are those of this network: they match.
        let _ = params.freeze("*");
        way.trains.iter().for_each(|pattern| drop(params.unfreeze(pattern)));
    }
    let graph = params.graph(Mode::Train);
    let dims = [&[way.batch], dims].concat();
    let x = graph.input("features", Shape::new(&dims).unwrap_or(Shape::SCALAR));
    let loss = cross_entropy(net.forward(x), graph.indices("labels", Shape::of([way.batch])));
    let planner = graph
        .planner()
        .numerics(Numerics::Portable)
        .alignment(ALIGNMENT)
        .optimizer(way.optimizer)
        .update(way.order);
    let plan: Plan = planner.share_memory(way.shares).micro_batches(way.accumulates).loss(loss).build()?;
    let frozen = params.specs().iter().filter(|spec| !spec.trainable && !spec.buffer);
    let frozen: usize = frozen.map(|spec| (4 * spec.shape.len()).next_multiple_of(ALIGNMENT)).sum();
    Ok([plan.arena_bytes(), frozen])
}

static ADAM: Adam = Adam::new(0.001);
static SGD: Sgd = Sgd::new(0.1);

fn main() -> Result<(), Error> {
    let adam = Way {
        name: "Adam, batch 8, updates during the backward pass",
        batch: 8,
        shares: true,
        accumulates: false,
        order: UpdateOrder::AsReady,
        optimizer: &ADAM,
        trains: &[],
        recompute: false,
        quarter: false,
    };
    let sgd = Way { name: "SGD without state, batch 1", batch: 1, optimizer: &SGD, ..adam };
    let quarter = |way| Way { quarter: true, trains: &["*.trained.*", "logits"], ..way };
    let ways = [
        Way { name: "Adam, batch 8, nothing shares memory", shares: false, ..adam },
        Way { name: "Adam, batch 8, values inside of layers computed again", recompute: true, ..adam },
        Way { name: "Adam, batch 8, a quarter of the channels", ..quarter(adam) },
        Way { name: "SGD, batch 1, a quarter of the channels", ..quarter(sgd) },
        Way { name: "Adam, batch 8, updates at the end", order: UpdateOrder::AtEnd, ..adam },
        Way { name: "Adam, 8 micro-batches of 1", batch: 1, accumulates: true, ..adam },
        Way { name: "Adam, batch 1", batch: 1, ..adam },
        Way { name: "SGD without state, batch 8", optimizer: &SGD, ..adam },
        Way { name: "SGD, batch 1, gradients in parts", order: UpdateOrder::InParts, ..sgd },
        Way { name: "SGD, batch 1, last layer only", trains: &["logits"], ..sgd },
        Way { name: "SGD, batch 1, biases only", trains: &["*.bias"], ..sgd },
        adam,
        sgd,
    ];
    println!("| way | digits CNN | frozen in flash | MLP 784-32-10 | frozen in flash |");
    println!("|---|---|---|---|---|");
    let mut rows = Vec::new();
    for way in &ways {
        let mut params = Params::new();
        let net = way.cnn(&mut params);
        let [cnn, cnn_frozen] = bytes(way, &[1, 8, 8], &mut params, &net)?;
        let mut params = Params::new();
        let net = way.mlp(&mut params);
        let [mlp, mlp_frozen] = bytes(way, &[784], &mut params, &net)?;
        rows.push((way.name, [cnn, cnn - cnn_frozen, mlp, mlp - mlp_frozen]));
    }
    rows.sort_by_key(|(_, numbers)| core::cmp::Reverse(numbers[3]));
    for (name, [cnn, cnn_flash, mlp, mlp_flash]) in rows {
        println!("| {name} | {cnn} | {cnn_flash} | {mlp} | {mlp_flash} |");
    }
    Ok(())
}
