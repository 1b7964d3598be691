//! What each way to save memory is worth: the arenas of plans, in bytes, as Markdown. For hosts.

use bantam::autodiff::{Error, Mode, Plan, UpdateOrder};
use bantam::core::{Optimizer, Shape};
use bantam::nn::{Layer, Params, loss::cross_entropy};
use bantam::optim::{Adam, Sgd};
use bantam_firmware::networks::{ALIGNMENT, Cnn, Mlp};

/// One way to train.
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
    let planner = graph.planner().alignment(ALIGNMENT).optimizer(way.optimizer).update(way.order);
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
    };
    let sgd = Way { name: "SGD without state, batch 1", batch: 1, optimizer: &SGD, ..adam };
    let ways = [
        Way { name: "Adam, batch 8, nothing shares memory", shares: false, ..adam },
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
        let net = Cnn::new(&mut params);
        let [cnn, cnn_frozen] = bytes(way, &[1, 8, 8], &mut params, &net)?;
        let mut params = Params::new();
        let net = Mlp::new(&mut params, [784, 32, 10]);
        let [mlp, mlp_frozen] = bytes(way, &[784], &mut params, &net)?;
        rows.push((way.name, [cnn, cnn - cnn_frozen, mlp, mlp - mlp_frozen]));
    }
    rows.sort_by_key(|(_, numbers)| core::cmp::Reverse(numbers[3]));
    for (name, [cnn, cnn_flash, mlp, mlp_flash]) in rows {
        println!("| {name} | {cnn} | {cnn_flash} | {mlp} | {mlp_flash} |");
    }
    Ok(())
}
