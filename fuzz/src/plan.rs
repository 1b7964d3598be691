//! Plans of random graphs: every plan proves itself, and one that shares memory computes the same bits as one in which
//! every value has a place of its own.

use crate::{Choices, Outcome};
use bantam_autodiff::ops::Conv2dOptions;
use bantam_autodiff::{Graph, Mode, ParameterSpec, Plan, Session, UpdateOrder, Var};
use bantam_core::random::{Key, Purpose, unit_f32};
use bantam_core::{Optimizer, Shape, UpdateContext, broadcast_shapes};

/// Values with more elements than this are not built upon.
const LARGEST: usize = 600;
const MOST_NODES: usize = 40;
/// How many labels there are: a value with this many rows may be taken for logits.
const LABELS: usize = 3;

/// Reads the bytes as a program that builds a graph.
pub fn check(bytes: &[u8]) -> Outcome {
    let mut choices = Choices::new(bytes);
    let order = if choices.below(2) == 0 { UpdateOrder::AsReady } else { UpdateOrder::AtEnd };
    let momentum = Momentum { global_norm: choices.below(4) == 0 };
    let micro_batches = choices.below(4) == 0;
    let alignment = [8, 16, 64][choices.below(3)];
    let seed = u64::from(choices.byte());
    let parameters = parameters(&mut choices);
    let graph = Graph::<f32>::with_parameters(parameters.clone(), Mode::Train);
    let (loss, output) = build(&graph, &mut choices, &parameters);

    let plan = |share| {
        let planner = graph.planner().loss(loss).output("output", output).optimizer(&momentum).update(order);
        planner.micro_batches(micro_batches).alignment(alignment).share_memory(share).build()
    };
    let (shared, apart) = match (plan(true), plan(false)) {
        (Ok(shared), Ok(apart)) => (shared, apart),
        (Err(a), Err(b)) => {
            assert_eq!(a.to_string(), b.to_string());
            return Outcome::Rejected;
        }
        (a, b) => panic!("sharing memory decides whether there is a plan: {a:?} or {b:?}"),
    };
    for plan in [&shared, &apart] {
        if let Err(error) = plan.verify() {
            panic!("{error}\n{plan}");
        }
    }
    assert!(shared.arena_bytes() <= apart.arena_bytes(), "sharing memory takes more of it");
    let numbers = run(shared, &momentum, seed, parameters.len());
    assert_eq!(numbers, run(apart, &momentum, seed, parameters.len()), "sharing memory changes bits");
    Outcome::Accepted
}

/// One to four parameters, some frozen, some buffers.
fn parameters(choices: &mut Choices<'_>) -> Vec<ParameterSpec> {
    (0..=choices.below(4))
        .map(|i| ParameterSpec {
            path: format!("p{i}"),
            shape: shape(choices),
            trainable: choices.below(4) > 0,
            buffer: choices.below(6) == 0,
        })
        .collect()
}

fn shape(choices: &mut Choices<'_>) -> Shape {
    let mut dim = |most| 1 + choices.below(most);
    match dim(4) {
        1 => Shape::of([dim(6)]),
        2 => Shape::of([dim(5), dim(6)]),
        3 => Shape::of([dim(3), dim(4), dim(5)]),
        _ => Shape::of([dim(2), dim(3), dim(5), dim(5)]),
    }
}

/// Applies ops to values that exist, as the bytes choose. Returns a loss and a value to read.
fn build<'g>(
    graph: &'g Graph<f32>,
    choices: &mut Choices<'_>,
    parameters: &[ParameterSpec],
) -> (Var<'g, f32>, Var<'g, f32>) {
    let mut values: Vec<Var<'g, f32>> =
        vec![graph.input("x", shape(choices)), graph.input("y", shape(choices))];
    values.extend((0..parameters.len()).map(|i| graph.parameter(i)));
    let labels = graph.indices("labels", Shape::of([LABELS]));
    while choices.any_left() && values.len() < MOST_NODES {
        // Late values more often than early ones, so that graphs get deep, but also edges over long distances.
        let back = choices.below(values.len()).min(choices.below(values.len()));
        let a = values[values.len() - 1 - back];
        let b = values[choices.below(values.len())];
        if let Some(value) = apply(choices, a, b).filter(|value| value.shape().len() <= LARGEST) {
            values.push(value);
        }
    }
    // The first buffer takes the value of something of its shape, if there is such a thing.
    if let Some(index) = parameters.iter().position(|parameter| parameter.buffer) {
        let skip = choices.below(values.len());
        let fits = |value: &&Var<'g, f32>| value.shape() == parameters[index].shape;
        if let Some(value) = values.iter().skip(skip).find(fits) {
            graph.assign(index, *value);
        }
    }
    let output = values[choices.below(values.len())];
    // Several roots, so that gradients meet; each is held near 0 so that what follows stays finite.
    let mut loss = values[values.len() - 1].tanh().mean_all();
    for _ in 0..choices.below(3) {
        loss = loss + values[choices.below(values.len())].sigmoid().mean_all();
    }
    let classes = |value: &&Var<'g, f32>| value.shape().rank() == 2 && value.shape()[0] == LABELS;
    if let Some(logits) = values.iter().rev().find(classes) {
        loss = loss + logits.tanh().cross_entropy(labels);
    }
    for i in 0..parameters.len() {
        loss = loss + graph.parameter(i).square().mean_all();
    }
    (loss, output)
}

/// One op on `a`, and on `b` if it takes two; `None` if it does not fit.
fn apply<'g>(choices: &mut Choices<'_>, a: Var<'g, f32>, b: Var<'g, f32>) -> Option<Var<'g, f32>> {
    let shape = a.shape();
    let rank = shape.rank();
    let broadcasts = broadcast_shapes(shape, b.shape()).is_some();
    let axis = if rank > 0 { choices.below(rank) } else { 0 };
    Some(match choices.below(34) {
        0 => a.relu(),
        1 => a.tanh(),
        2 => a.sigmoid(),
        3 => a.square(),
        4 => -a,
        5 => a.tanh().exp(),
        6 if broadcasts => a + b,
        7 if broadcasts => a - b,
        8 if broadcasts => a * b,
        9 if broadcasts => a / (b.square() + 1.0),
        10 if broadcasts => a.maximum(b),
        11 if rank > 0 => a.sum([axis]),
        12 if rank > 0 => a.mean_keep([axis]),
        13 if rank > 0 => a.max([axis]),
        14 if rank > 0 => a.softmax(),
        15 if rank > 0 => a.log_softmax(),
        16 => a.flatten(),
        17 => a.reshape(Shape::of([shape.len()])),
        18 if rank > 1 => a.transpose(),
        19 if rank > 0 => a.slice(axis, 0..1 + choices.below(shape[axis])),
        20 if rank > 0 => a.flip(axis),
        21 if rank > 0 => {
            let others = |s: Shape| s.with(axis, 1);
            if b.shape().rank() != rank || others(b.shape()) != others(shape) {
                return None;
            }
            a.graph().concat(&[a, b], axis)
        }
        22 if rank == 2 && b.shape().rank() == 2 && shape[1] == b.shape()[0] => a.matmul(b),
        23 if rank == 2 && b.shape().rank() == 2 && shape[1] == b.shape()[1] => a.matmul_nt(b),
        24 if rank == 2 && b.shape().rank() == 2 && shape[0] == b.shape()[0] => a.matmul_tn(b),
        25 => a.dropout(0.5),
        26 if rank == 4 && shape[2] > 1 && shape[3] > 1 => a.max_pool2d(2),
        27 if rank == 4 && shape[2] > 1 && shape[3] > 1 => a.avg_pool2d(2),
        28 if rank > 0 && b.shape().rank() == 2 && shape[rank - 1] == b.shape()[1] => {
            a.linear(b, None).relu()
        }
        29 if rank == 4 && b.shape().rank() == 4 && shape[1] == b.shape()[1] => {
            let options = Conv2dOptions {
                stride: [1 + choices.below(2); 2],
                padding: [2; 2],
                ..Conv2dOptions::default()
            };
            a.conv2d(b, None, options).relu()
        }
        30 if rank > 1 && b.shape() == Shape::of([shape[1]]) => a.batch_norm(b, b, 1e-3).0,
        31 if rank == 2 => {
            let row = choices.below(shape[0]);
            let one = a.slice(0, row..row + 1);
            // Twice the same operand, and a broadcast of a part of itself.
            one * one + a
        }
        32 => a.maximum(a.square().tanh()),
        33 if rank > 0 && shape.last() > 1 && b.shape() == Shape::of([shape.last()]) => {
            a.layer_norm(b, b, 1e-3)
        }
        _ => return None,
    })
}

/// Gradient descent with momentum: it has state, and may ask for all gradients at once.
struct Momentum {
    global_norm: bool,
}

impl Optimizer<f32> for Momentum {
    fn state_len(&self, parameter_len: usize) -> usize {
        parameter_len
    }

    fn needs_global_norm(&self) -> bool {
        self.global_norm
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [f32], gradient: &mut [f32], state: &mut [f32]) {
        assert_eq!(cx.global_norm.is_some(), self.global_norm);
        let scale = cx.global_norm.map_or(1.0, |norm| 1.0 / norm.max(1.0)) as f32;
        for ((p, g), s) in parameter.iter_mut().zip(gradient).zip(state) {
            *s = 0.9 * *s + *g * scale;
            *p -= 0.1 * *s;
        }
    }
}

/// Three training steps; the bits of everything that can be seen.
fn run(plan: Plan<f32>, optimizer: &Momentum, seed: u64, parameters: usize) -> Vec<u32> {
    let mut session = Session::new(plan).seed(seed);
    let fill = |slice: &mut [f32], node: u64, step: u64| {
        let mut rng = Key::new(seed, Purpose::User).step(step).node(node).stream();
        slice.iter_mut().for_each(|number| *number = 2.0 * unit_f32(&mut rng) - 1.0);
    };
    for index in 0..parameters {
        fill(session.parameter_mut(index), index as u64, 0);
    }
    let mut bits = Vec::new();
    for step in 1..=3 {
        for index in 0..2 {
            fill(session.input(index), 100 + index as u64, step);
        }
        // A value of rows by classes has at least one class.
        session.indices(2).fill(0);
        let result = session.step(optimizer);
        bits.push(result.as_ref().map_or(u32::MAX, |loss| loss.to_bits()));
        bits.extend(session.output(0).iter().map(|number| number.to_bits()));
        for index in 0..parameters {
            bits.extend(session.parameter(index).iter().map(|number| number.to_bits()));
            bits.extend(session.optimizer_state(index).iter().map(|number| number.to_bits()));
        }
        if result.is_err() {
            break;
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded;

    #[test]
    fn random_graphs() {
        let (accepted, rejected) = seeded::random(160, 5_000, check);
        assert!(accepted > 4_000, "{accepted} accepted, {rejected} rejected");
    }
}
