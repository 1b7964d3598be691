//! Nets over sequences, out of operations: an LSTM and a block of a transformer.

use bantam_autodiff::{Mode, Plan};
use bantam_core::{Optimizer, Shape};
use bantam_nn::{Initializer, Layer, LayerNorm, Linear, Params, loss::cross_entropy};

/// A plan, its parameters and the optimizer that it was made for.
type Made<O> = (Plan, Params, O);

/// A long short-term memory (Hochreiter and Schmidhuber, 1997) of 128 units over the 28 rows of an image, then ten classes;
/// batch 64.
pub(crate) fn lstm<O: Optimizer<f32>>(optimizer: O) -> Made<O> {
    let [steps, batch, features, units] = [28, 64, 28, 128];
    let mut params = Params::new();
    // Input, forget and output gate and candidate, of what comes in and of what was said before.
    let gates = ["input", "forget", "output", "candidate"].map(|name| {
        let from_input = Linear::new(params.at(&format!("{name}.input")), features, units);
        let from_hidden = params.at(name).parameter("hidden", [units, units], Initializer::LECUN_NORMAL);
        (from_input, from_hidden)
    });
    let logits = Linear::new(params.at("logits"), units, 10);
    let graph = params.graph(Mode::Train);
    let x = graph.input("x", Shape::of([steps, batch, features]));
    let labels = graph.indices("labels", Shape::of([batch]));
    let zero = graph.full(Shape::of([batch, units]), 0.0);
    let (mut hidden, mut cell) = (zero, zero);
    for step in 0..steps {
        let now = x.slice(0, step..step + 1).reshape([batch, features]);
        let [input, forget, output, candidate] = gates.each_ref().map(|(from_input, from_hidden)| {
            from_input.forward(now).add_matmul_nt(hidden, from_hidden.var(&graph))
        });
        cell = forget.sigmoid() * cell + input.sigmoid() * candidate.tanh();
        hidden = output.sigmoid() * cell.tanh();
    }
    let loss = cross_entropy(logits.forward(hidden), labels);
    let plan = graph.planner().loss(loss).optimizer(&optimizer).build();
    (plan.expect("the net is sound"), params, optimizer)
}

/// A block of a transformer (Vaswani and others, 2017) that normalises before each part, with causal attention, between an
/// embedding of 65 characters and their logits; width 64, four heads, 256 hidden units, 16 sequences of 32. Its third input is the mask of attention.
pub(crate) fn transformer<O: Optimizer<f32>>(optimizer: O) -> Made<O> {
    let [batch, length, width, heads, characters] = [16, 32, 64, 4, 65];
    let (rows, head) = (batch * length, width / heads);
    let mut params = Params::new();
    let normal = Initializer::normal(0.0, 0.02);
    let embedding = params.root().parameter("embedding", [characters, width], normal);
    let places = params.root().parameter("places", [length, width], normal);
    let norms = ["norm1", "norm2", "norm3"].map(|name| LayerNorm::new(params.at(name), width));
    let mut linear = |name: &str, from, to| Linear::new(params.at(name), from, to);
    let [queries, keys, values] = ["queries", "keys", "values"].map(|name| linear(name, width, width));
    let attended = linear("attended", width, width);
    let [wide, narrow] = [linear("wide", width, 4 * width), linear("narrow", 4 * width, width)];
    let logits = linear("logits", width, characters);

    let graph = params.graph(Mode::Train);
    let tokens = graph.indices("tokens", Shape::of([batch, length]));
    let next = graph.indices("next", Shape::of([rows]));
    let mask = graph.input("mask", Shape::of([length, length]));
    let x = embedding.var(&graph).gather_rows(tokens) + places.var(&graph);
    let x = x.reshape([rows, width]);
    let normed = norms[0].forward(x);
    let [queries, keys, values] =
        [queries, keys, values].map(|linear| linear.forward(normed).reshape([batch, length, width]));
    let scores = (queries * (head as f32).sqrt().recip()).attention_scores(keys, heads) + mask;
    let mixed = scores.softmax().attention_mix(values);
    let x = x + attended.forward(mixed.reshape([rows, width]));
    let x = x + narrow.forward(wide.forward(norms[1].forward(x)).gelu());
    let loss = cross_entropy(logits.forward(norms[2].forward(x)), next);
    let plan = graph.planner().loss(loss).optimizer(&optimizer).build();
    (plan.expect("the net is sound"), params, optimizer)
}
