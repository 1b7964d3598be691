//! The planner changes where values lie and when parameters are updated, and nothing else: bit-identity over random
//! graphs. And what it promises to save, it saves: memory to the byte, in-place, accumulation, frozen layers.

use crate::support::{Domain, Momentum, buffer, draw, frozen, parameter, rng};
use bantam_autodiff::{
    BindError, Gradient, Graph, Io, Mode, NodeRef, Op, OpError, ParameterSpec, Plan, Planner, Session,
    StepContext, UpdateOrder, ValueType, Var, ops::Conv2dOptions,
};
use bantam_core::random::{Stream, below};
use bantam_core::{Context, Executor, Inline, Numerics, Optimizer, Shape};
use bantam_kernels::{Gemm, gemm_scratch};
use bantam_threads::Threads;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use std::sync::LazyLock;

const ROWS: usize = 4;
const COLUMNS: usize = 5;

const SGD: Momentum = Momentum { rate: 0.05, momentum: 0.9 };

/// Matrices, square weights, biases, one weight that is frozen and one buffer.
fn specs() -> Vec<ParameterSpec> {
    vec![
        parameter("a", &[ROWS, COLUMNS]),
        parameter("b", &[ROWS, COLUMNS]),
        parameter("w", &[COLUMNS, COLUMNS]),
        parameter("v", &[COLUMNS, COLUMNS]),
        parameter("bias", &[COLUMNS]),
        frozen("frozen", &[COLUMNS, COLUMNS]),
        buffer("running", &[COLUMNS]),
    ]
}

type V<'g> = Var<'g, f64>;

/// Ops that are computed again together.
const GROUP: usize = 4;

/// A random graph over two inputs that are used and one that is not: elementwise ops, products with tied weights,
/// reductions, views, values that are used again, dropout, an assignment to a buffer. Returns the loss and outputs. With
/// `recompute`, the backward pass computes most of it again.
fn random_graph<'g>(
    graph: &'g Graph<f64>,
    steps: usize,
    recompute: bool,
    random: &mut Stream,
) -> (V<'g>, Vec<V<'g>>) {
    let shape = Shape::of([ROWS, COLUMNS]);
    let p: Vec<V<'g>> = (0..7).map(|index| graph.parameter(index)).collect();
    let unused = graph.input("unused", shape);
    let mut values = vec![graph.input("x", shape), graph.input("y", shape), p[0], p[1]];
    let mut record = |values: &mut Vec<V<'g>>| {
        let mut any = || values[below(random, values.len() as u32) as usize];
        let (x, y) = (any(), any());
        let next = match below(random, 18) {
            0 => x + y,
            1 => x - y,
            2 => x * y * 0.5,
            3 => x.tanh(),
            4 => x.sigmoid().square(),
            5 => x.matmul(p[2]),
            6 => x.matmul_nt(p[3]) * 0.3,
            7 => x.linear(p[2], Some(p[4])).relu(),
            8 => x.linear(p[5], None).tanh(),
            9 => x.reshape([COLUMNS * ROWS]).tanh().reshape([ROWS, COLUMNS]),
            10 => x + y.mean_keep(0),
            11 => x * y.max(1).reshape([ROWS, 1]),
            12 => x.softmax(),
            13 => x.log_softmax() * 0.1,
            14 => x.dropout(0.3),
            15 => graph.concat(&[x.slice(1, 2..COLUMNS), y.slice(1, 0..2)], 1),
            16 => x.permute(&[1, 0]).flip(0).transpose(),
            _ => x + y.tanh().sum_all() * 0.1,
        };
        values.push(next);
        next
    };
    for _ in 0..steps / GROUP {
        let mut group = |x| (0..GROUP).fold(x, |_, _| record(&mut values));
        let _ = if recompute { p[0].recompute(group) } else { group(p[0]) };
    }
    for _ in 0..steps % GROUP {
        record(&mut values);
    }
    let last = values[values.len() - 1];
    let some = values[below(random, values.len() as u32) as usize];
    // Every parameter is part of the loss; the gradients of the first two are the same value.
    let sums =
        (p[0] + p[1]).mean_all() + p[2].square().mean_all() + (p[3] * p[3]).mean_all() + p[4].mean_all();
    let loss = (last.square() + some.tanh()).mean_all() + sums;
    graph.assign(6, p[6] * 0.9 + last.mean(0) * 0.1);
    let outputs = vec![
        last.reshape([ROWS * COLUMNS]),
        some.transpose(),
        some,
        p[0],
        p[3].reshape([COLUMNS * COLUMNS]),
        unused,
    ];
    (loss, outputs)
}

fn start(plan: Plan<f64>, seed: u64) -> Session<'static, f64> {
    let inputs = (0..).map_while(|i| plan.input_shape(i)).count();
    let mut session = Session::new(plan).seed(seed);
    let random = &mut rng(seed + 1);
    for index in 0..session.parameters().count() {
        let values = draw(Domain::Any, session.parameter(index).len(), random);
        session.parameter_mut(index).copy_from_slice(&values);
    }
    for index in 0..inputs {
        let values = draw(Domain::Any, session.input(index).len(), random);
        session.input(index).copy_from_slice(&values);
    }
    session
}

/// All that a session remembers and shows, as bits.
fn bits(session: &Session<'_, f64>, outputs: usize) -> Vec<u64> {
    let states = (0..session.parameters().count()).flat_map(|index| session.optimizer_state(index));
    let parameters = session.parameters().flat_map(|(_, values)| values);
    let shown = (0..outputs).flat_map(|index| session.output(index));
    states.chain(parameters).chain(shown).chain(&session.loss()).map(|x| x.to_bits()).collect()
}

/// The bits that a plan with these outputs ends with after three steps; the plan is sound.
fn after_three_steps<'g>(
    mut planner: Planner<'g, f64>,
    outputs: &[V<'g>],
    seed: u64,
) -> Result<Vec<u64>, TestCaseError> {
    let fail = |error: &dyn core::fmt::Display| TestCaseError::fail(error.to_string());
    for output in outputs {
        planner = planner.output("value", *output);
    }
    let plan = planner.build().map_err(|error| fail(&error))?;
    plan.verify().map_err(|error| fail(&error))?;
    prop_assert!(plan.memory().peak <= plan.memory().unshared);
    let mut session = start(plan, seed);
    for _ in 0..3 {
        session.step(&SGD).map_err(|error| fail(&error))?;
    }
    Ok(bits(&session, outputs.len()))
}

#[test]
fn sharing_memory_and_early_updates_change_no_bit() {
    let config =
        Config { cases: 400, rng_seed: RngSeed::Fixed(4), failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&(1..30_usize, any::<u64>()), |(steps, seed)| {
        let seed = seed >> 8;
        let graph = Graph::with_parameters(specs(), Mode::Train);
        let (loss, outputs) = random_graph(&graph, steps, false, &mut rng(seed));
        let mut results = Vec::new();
        for (share, order, sums) in [
            (false, UpdateOrder::AtEnd, false),
            (true, UpdateOrder::AtEnd, false),
            (false, UpdateOrder::AsReady, false),
            (true, UpdateOrder::AsReady, false),
            (false, UpdateOrder::AsReady, true),
            (true, UpdateOrder::AsReady, true),
        ] {
            let planner = graph.planner().optimizer(&SGD).loss(loss).micro_batches(sums);
            let planner = planner.share_memory(share).update(order);
            results.push(after_three_steps(planner, &outputs, seed)?);
        }
        // Running sums start from +0, which turns a gradient of −0 into +0: those two are held to each other.
        for (at, like) in [(1, 0), (2, 0), (3, 0), (5, 4)] {
            prop_assert!(
                results[at] == results[like],
                "plan {at} ends with other bits than plan {like}\n{graph}"
            );
        }
        Ok(())
    });
    if let Err(error) = run {
        panic!("{error}");
    }
}

/// Pieces of one element and of three: nearly all elementwise ops of these graphs that follow each other are computed
/// together.
#[test]
fn computing_piece_by_piece_changes_no_bit() {
    let config =
        Config { cases: 300, rng_seed: RngSeed::Fixed(6), failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&(1..40_usize, any::<u64>()), |(steps, seed)| {
        let seed = seed >> 8;
        let graph = Graph::with_parameters(specs(), Mode::Train);
        let (loss, outputs) = random_graph(&graph, steps, false, &mut rng(seed));
        let mut results = Vec::new();
        for (piece, share) in [(usize::MAX, false), (1, false), (1, true), (3, true)] {
            let planner = graph.planner().optimizer(&SGD).loss(loss).share_memory(share).piece(piece);
            results.push(after_three_steps(planner, &outputs, seed)?);
        }
        prop_assert!(results.iter().all(|bits| *bits == results[0]), "other bits\n{graph}");
        Ok(())
    });
    if let Err(error) = run {
        panic!("{error}");
    }
}

/// Five ops, of which two keep their results for others, are one pass with as many threads as there are.
#[test]
fn ops_on_each_element_pass_over_memory_together() {
    const LEN: usize = 100_003;
    static THREADS: LazyLock<Threads> = LazyLock::new(|| Threads::new(3).expect("three threads"));
    let graph = Graph::<f32>::with_parameters(Vec::new(), Mode::Infer);
    let x = graph.input("x", Shape::of([LEN]));
    let scale = graph.input("scale", Shape::of([1]));
    let kept = (x * scale).tanh();
    let y = (kept.exp() + x).sigmoid();
    let run = |piece: usize, cx: Context<'static>| {
        let planner = graph.planner().output("kept", kept).output("y", y).piece(piece);
        let plan = planner.build().expect("the graph is sound");
        let together = plan.together();
        let mut session = Session::new(plan).context(cx);
        let values = |i: usize| (i * 7919 % 10_007) as f32 / 1000.0 - 5.0;
        session.input(0).iter_mut().enumerate().for_each(|(i, x)| *x = values(i));
        session.input(1).fill(1.5);
        session.run();
        let bits = [0, 1].map(|i| session.output(i).iter().map(|x| x.to_bits()).collect::<Vec<u32>>());
        (together, bits)
    };
    let (alone, expected) = run(usize::MAX, Context::default());
    assert_eq!(alone, 0);
    for (piece, executor) in [(4096, &Inline as &dyn Executor), (4096, &*THREADS), (1000, &*THREADS)] {
        let (together, bits) = run(piece, Context { executor, ..Context::default() });
        assert_eq!(together, 5, "pieces of {piece}");
        assert!(bits == expected, "pieces of {piece} have other bits");
    }
}

/// With less scratch memory a convolution adds its products in order, whatever the numerics it is run with.
#[test]
fn a_plan_for_portable_numerics_is_smaller_and_serves_both() {
    let graph = Graph::<f32>::with_parameters(Vec::new(), Mode::Infer);
    let x = graph.input("x", Shape::of([2, 16, 8, 8]));
    let weight = graph.input("weight", Shape::of([16, 16, 3, 3]));
    let y = x.conv2d(weight, None, Conv2dOptions { padding: [1; 2], ..Conv2dOptions::default() });
    let run = |planned: Numerics, numerics: Numerics| {
        let plan = graph.planner().output("y", y).numerics(planned).build().expect("the graph is sound");
        let bytes = plan.arena_bytes();
        let mut session = Session::new(plan).context(Context { numerics, ..Context::default() });
        for input in 0..2 {
            session
                .input(input)
                .iter_mut()
                .enumerate()
                .for_each(|(i, x)| *x = ((i * 37) % 101) as f32 / 50.0 - 1.0);
        }
        session.run();
        (bytes, session.output(0).to_vec())
    };
    let (portable, fast) = (Numerics::Portable, Numerics::Fast);
    let (small, expected) = run(portable, portable);
    let (large, same) = run(fast, portable);
    assert!(small < large, "{small} B and {large} B");
    assert_eq!(same, expected);
    for planned in [portable, fast] {
        let (_, y) = run(planned, fast);
        // 144 products of up to 1, in f32.
        let far = y.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 144.0 * 32.0 * f32::EPSILON, "{far} for a plan for {planned:?}");
    }
}

/// Small products of a batch, several to a task, against each of them alone.
#[test]
fn products_of_a_batch_share_tasks() {
    const OUTER: usize = 9;
    static THREADS: LazyLock<Threads> = LazyLock::new(|| Threads::new(3).expect("three threads"));
    let graph = Graph::<f32>::with_parameters(Vec::new(), Mode::Infer);
    // The second operand's matrices are repeated along the first axis.
    let a = graph.input("a", Shape::of([OUTER, 3, 40, 24]));
    let b = graph.input("b", Shape::of([3, 33, 24]));
    let mut planner = graph.planner().output("all", a.matmul_nt(b));
    for (i, j) in (0..OUTER).flat_map(|i| (0..3).map(move |j| (i, j))) {
        let a = a.slice(0, i..i + 1).slice(1, j..j + 1).reshape([40, 24]);
        planner = planner.output("one", a.matmul_nt(b.slice(0, j..j + 1).reshape([33, 24])));
    }
    let mut session = Session::new(planner.build().expect("the graph is sound"));
    session = session.context(Context { executor: &*THREADS, ..Context::default() });
    for input in 0..2 {
        let value = |i: usize| (i * 7919 % 10_007) as f32 / 1000.0 - 5.0;
        session.input(input).iter_mut().enumerate().for_each(|(i, x)| *x = value(i));
    }
    session.run();
    for (i, expected) in session.output(0).chunks_exact(40 * 33).enumerate() {
        let found = session.output(1 + i);
        assert!(found.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits()), "product {i}");
    }
}

#[test]
fn computing_again_changes_no_bit() {
    let config =
        Config { cases: 200, rng_seed: RngSeed::Fixed(5), failure_persistence: None, ..Config::default() };
    let run = TestRunner::new(config).run(&(GROUP..40_usize, any::<u64>()), |(steps, seed)| {
        let seed = seed >> 8;
        let mut results = Vec::new();
        for (recompute, share) in [(false, false), (true, false), (true, true)] {
            let graph = Graph::with_parameters(specs(), Mode::Train);
            let (loss, outputs) = random_graph(&graph, steps, recompute, &mut rng(seed));
            let planner = graph.planner().optimizer(&SGD).loss(loss).share_memory(share);
            results.push(after_three_steps(planner, &outputs, seed)?);
        }
        prop_assert!(results[0] == results[1] && results[0] == results[2], "other bits");
        Ok(())
    });
    if let Err(error) = run {
        panic!("{error}");
    }
}

fn bend<'g>(x: V<'g>, [widen, narrow]: [V<'g>; 2]) -> V<'g> {
    x.linear(widen, None).tanh().linear(narrow, None)
}

/// Three blocks that widen, bend and narrow again: of each only the narrow result stays.
#[test]
fn what_is_computed_again_is_not_kept() {
    const ROWS: usize = 32;
    let specs =
        || (0..6).map(|i| parameter(&i.to_string(), if i % 2 == 0 { &[64, 8] } else { &[8, 64] })).collect();
    let plan = |recompute: bool| {
        let graph = Graph::<f64>::with_parameters(specs(), Mode::Train);
        let mut x = graph.input("x", Shape::of([ROWS, 8]));
        for block in 0..3 {
            let weight = |i: usize| graph.parameter(2 * block + i);
            let wide = [weight(0), weight(1)];
            x = if recompute { x.recompute(|x| bend(x, wide)) } else { bend(x, wide) };
        }
        graph.planner().loss(x.square().mean_all()).build().unwrap()
    };
    let wide = ROWS * 64 * size_of::<f64>();
    let (kept, again) = (plan(false), plan(true));
    // Of three wide values that wait for the backward pass, none does.
    assert_eq!(kept.memory().saved_activations - again.memory().saved_activations, 3 * wide);
    // One is there at a time, computed again for its block.
    assert_eq!(kept.memory().peak - again.memory().peak, 2 * wide);
}

/// Full batches against micro-batches, whose plans have other shapes, in one session.
#[test]
fn unequal_micro_batches_add_up_to_the_batch() {
    let specs = || {
        vec![
            parameter("hidden.weight", &[6, 4]),
            parameter("hidden.bias", &[6]),
            // Used twice: its running sum grows by two products.
            parameter("tied.weight", &[6, 6]),
            parameter("out.weight", &[3, 6]),
        ]
    };
    let plan = |batch: usize, like: Option<&Plan<f64>>| {
        let graph = Graph::<f64>::with_parameters(specs(), Mode::Train);
        let x = graph.input("x", Shape::of([batch, 4]));
        let labels = graph.indices("labels", Shape::of([batch]));
        let p = |index| graph.parameter(index);
        let tied = x.linear(p(0), Some(p(1))).tanh().linear(p(2), None).relu().linear(p(2), None);
        let loss = tied.linear(p(3), None).cross_entropy(labels);
        let planner = graph.planner().optimizer(&SGD).loss(loss).micro_batches(true);
        let planner = if let Some(plan) = like { planner.same_memory_as(plan) } else { planner };
        planner.build().unwrap()
    };
    const BATCH: usize = 16;
    let x = draw(Domain::Any, BATCH * 4, &mut rng(11));
    let labels: Vec<u32> = (0..BATCH).map(|i| (i * 7 % 3) as u32).collect();
    let whole = plan(BATCH, None);
    let mut parts: Vec<(usize, Plan<f64>)> = [5, 3, 8].map(|n| (n, plan(n, Some(&whole)))).into();

    let mut one = start(whole.clone(), 3);
    let mut many = start(whole, 3);
    for _ in 0..4 {
        one.input(0).copy_from_slice(&x);
        one.indices(1).copy_from_slice(&labels);
        one.step(&SGD).unwrap();
        let mut from = 0;
        for (n, part) in &mut parts {
            many.swap(part).unwrap();
            many.input(0).copy_from_slice(&x[from * 4..(from + *n) * 4]);
            many.indices(1).copy_from_slice(&labels[from..from + *n]);
            many.accumulate(*n as f64 / BATCH as f64).unwrap();
            many.swap(part).unwrap();
            from += *n;
        }
        many.apply(&SGD).unwrap();
    }
    assert_eq!((one.steps(), one.updates(), many.steps(), many.updates()), (4, 4, 12, 4));
    // Numbers around 1, sums of at most 16·6 products in another order: some hundred rounding units of 1.1e-16.
    for ((spec, a), (_, b)) in one.parameters().zip(many.parameters()) {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 1e-12, "{}: {a} and {b}", spec.path);
        }
    }
}

/// A net whose every byte can be counted by hand: 4 → 3 (tanh) → 2, batch 8, mean squared error, f32.
fn counted(order: UpdateOrder, micro_batches: bool) -> Plan<f32> {
    let specs = vec![
        parameter("hidden.weight", &[3, 4]),
        parameter("hidden.bias", &[3]),
        parameter("out.weight", &[2, 3]),
        parameter("out.bias", &[2]),
        buffer("running", &[5]),
    ];
    let graph = Graph::<f32>::with_parameters(specs, Mode::Train);
    let x = graph.input("x", Shape::of([8, 4]));
    let target = graph.input("target", Shape::of([8, 2]));
    let p = |index| graph.parameter(index);
    let hidden = {
        let _layer = graph.enter("hidden");
        x.linear(p(0), Some(p(1))).tanh()
    };
    let loss = hidden.linear(p(2), Some(p(3))).mean_squared_error(target);
    let planner = graph.planner().optimizer(&SGD).loss(loss).update(order).alignment(8);
    planner.micro_batches(micro_batches).build().unwrap()
}

#[test]
fn memory_is_counted_to_the_byte() {
    let plan = counted(UpdateOrder::AsReady, false);
    let memory = plan.memory();
    // 12 + 3 + 6 + 2 numbers; as many for momentum; 5 in the buffer, which the optimizer leaves alone.
    assert_eq!((memory.parameters, memory.optimizer_state, memory.buffers), (23 * 4, 23 * 4, 5 * 4));
    // 8·4 and 8·2 numbers.
    assert_eq!(memory.inputs, 48 * 4);
    // tanh's output (fused into the product before it) and the result, 8·3 and 8·2; the loss is not read again.
    assert_eq!(memory.saved_activations, 40 * 4);
    // One at a time: the largest is the hidden weight's.
    assert_eq!(memory.gradients, 12 * 4);
    // Differences of the mean squared error, or what a product needs.
    let product = |m, n, k, a_strides, b_strides| gemm_scratch(&Gemm { m, n, k, a_strides, b_strides });
    let products = [
        product(8, 3, 4, [4, 1], [1, 4]),
        product(8, 2, 3, [3, 1], [1, 3]),
        product(8, 3, 2, [2, 1], [3, 1]),
        product(2, 3, 8, [1, 2], [3, 1]),
        product(3, 4, 8, [1, 3], [4, 1]),
    ];
    assert_eq!(memory.scratch, products.into_iter().fold(16, usize::max) * 4);
    // The loss, and the gradients of the result (8·2) and of tanh's output (8·3) while the one is made from the other.
    assert_eq!(memory.temporaries, (1 + 16 + 24) * 4);
    assert_eq!(plan.arena_bytes(), memory.peak);
    assert!(memory.unshared > memory.peak);
    let text = plan.to_string();
    for line in ["saved activations            160 B", "gradients                     48 B"] {
        assert!(text.contains(line), "{text}");
    }

    // All at once.
    assert_eq!(counted(UpdateOrder::AtEnd, false).memory().gradients, 23 * 4);
    // Running sums of all; the gradient of a bias and then of another before they are added: not more than 12 numbers.
    let sums = counted(UpdateOrder::AsReady, true).memory().gradients;
    assert!((23 * 4..=(23 + 12) * 4).contains(&sums), "{sums}");
}

#[test]
fn the_peak_is_counted_to_the_byte() {
    let graph = Graph::<f32>::with_parameters(vec![parameter("w", &[100])], Mode::Train);
    let x = graph.input("x", Shape::of([100]));
    let loss = (x * graph.parameter(0)).tanh().square().mean_all();
    let plan = graph.planner().optimizer(&SGD).loss(loss).alignment(8).build().unwrap();
    // Always there: weight, momentum and input. Then tanh's output, made in the place of the product; the loss; its
    // scale; and one more place of 100 numbers, first for the squares and then for the gradient, which goes through
    // square, tanh and product in that place and is there taken by the optimizer.
    // Of the two scalars the last has nothing behind it to be aligned for.
    assert_eq!(plan.memory().peak, 3 * 400 + 400 + 8 + 4 + 400);
    assert_eq!(plan.memory().saved_activations, 400);
    assert_eq!(plan.memory().gradients, 400);
    assert_eq!(plan.memory().scratch, 0);
}

/// The steps of a plan as they are printed, without inputs, parameters and the memory table.
fn steps(plan: &Plan<impl bantam_autodiff::Element>) -> Vec<String> {
    let numbered = |line: &&str| line.trim_start().starts_with(|c: char| c.is_ascii_digit());
    plan.to_string().lines().filter(numbered).map(str::to_owned).collect()
}

#[test]
fn elementwise_chains_run_in_place() {
    let graph = Graph::<f64>::new();
    let x = graph.input("x", Shape::of([100]));
    let plan = graph.planner().output("y", x.tanh().sin().cos().exp().square()).build().unwrap();
    assert_eq!(plan.steps(), 5);
    // The input, which stays, and one place for all the others: 800 bytes are 832 with alignment,
    // but for the last.
    assert_eq!(plan.memory().peak, 832 + 800);
    assert_eq!(plan.memory().temporaries, 800);
    assert_eq!(steps(&plan).iter().filter(|step| step.contains("in place")).count(), 4);
    let plan = graph.planner().output("y", x.tanh().sin().cos().exp().square()).share_memory(false);
    assert_eq!(plan.build().unwrap().memory().peak, 5 * 832 + 800);
}

#[test]
fn an_activation_moves_into_the_normalisation_or_the_convolution_before_it_and_changes_no_bit() {
    let graph = Graph::<f64>::new();
    let x = graph.input("x", Shape::of([3, 2, 5, 5]));
    let weight = graph.input("weight", Shape::of([8, 2, 3, 3]));
    let gain = graph.input("gain", Shape::of([8]));
    let convolved = x.conv2d(weight, Some(gain), Default::default());
    let normal = convolved.relu().batch_norm(gain, gain, 1e-5).0;
    let outputs = |planner: Planner<'_, f64>, steps: usize| {
        let plan = planner.build().unwrap();
        assert_eq!(plan.steps(), steps, "{plan}");
        let mut session = Session::new(plan);
        for i in 0..3 {
            let x = session.input(i);
            x.copy_from_slice(&draw(Domain::Any, x.len(), &mut rng(i as u64)));
        }
        session.run();
        session.output(0).iter().map(|x| x.to_bits()).collect::<Vec<u64>>()
    };
    // Convolution, statistics, normalisation: the activations are steps of their own only where what is before them is an output too.
    let fused = outputs(graph.planner().output("y", normal.relu()), 3);
    let planner = graph.planner().output("y", normal.relu()).output("normal", normal);
    assert_eq!(fused, outputs(planner.output("convolved", convolved), 5));
}

#[test]
fn gradients_of_tied_weights_are_accumulated_by_the_product() {
    let graph = Graph::<f64>::with_parameters(vec![parameter("tied", &[6, 6])], Mode::Train);
    let x = graph.input("x", Shape::of([3, 6]));
    let w = graph.parameter(0);
    let y = x.linear(w, None).tanh().linear(w, None).tanh().linear(w, None);
    let plan = graph.planner().loss(y.square().mean_all()).build().unwrap();
    let steps = steps(&plan);
    let count = |what: &str| steps.iter().filter(|step| step.contains(what)).count();
    // Three products make the gradient: the first writes it, two add to it, and there is no sum.
    assert_eq!((count("+= matmul("), count(" add(")), (2, 0), "{steps:#?}");
    assert_eq!(plan.memory().gradients, 36 * 8);
    assert_eq!(count("update tied"), 1);
}

#[test]
fn residual_gradients_are_accumulated() {
    let graph = Graph::<f64>::with_parameters(vec![parameter("w", &[6, 6])], Mode::Train);
    let x = graph.input("x", Shape::of([3, 6]));
    let hidden = x.linear(graph.parameter(0), None).tanh();
    // What flows to `hidden` is the sum of the way around and the way through: the product adds to the first.
    let y = hidden + hidden.linear(graph.parameter(0), None).tanh();
    let plan = graph.planner().loss(y.square().mean_all()).build().unwrap();
    let steps = steps(&plan);
    let count = |what: &str| steps.iter().filter(|step| step.contains(what)).count();
    assert_eq!(count("+= matmul("), 2, "one for hidden, one for the weight: {steps:#?}");
    // The sum of the forward pass is an ordinary one.
    assert_eq!(count(" add("), 1, "{steps:#?}");
}

/// Around a product alone, what flows through is made from what flows around: adding to that in place would read what it
/// has begun to write.
#[test]
fn no_product_is_added_to_its_own_operand() {
    let graph = Graph::<f64>::with_parameters(vec![parameter("w", &[6, 6])], Mode::Train);
    let x = graph.input("x", Shape::of([3, 6]));
    let hidden = x.linear(graph.parameter(0), None).tanh();
    let y = hidden + hidden.linear(graph.parameter(0), None);
    let plan = graph.planner().loss(y.square().mean_all()).build().unwrap();
    let steps = steps(&plan);
    // Both sums stay, that of the values and that of the gradients.
    assert_eq!(steps.iter().filter(|step| step.contains(" add(")).count(), 2, "{steps:#?}");
}

#[test]
fn frozen_layers_cost_neither_gradients_nor_saved_activations() {
    let plan = |freeze: usize| {
        let specs = (0..4).map(|layer| {
            let path = format!("layer{layer}.weight");
            if layer < freeze { frozen(&path, &[64, 64]) } else { parameter(&path, &[64, 64]) }
        });
        let graph = Graph::<f32>::with_parameters(specs.collect(), Mode::Train);
        let mut x = graph.input("x", Shape::of([32, 64]));
        for layer in 0..4 {
            let _scope = graph.enter(&format!("layer{layer}"));
            x = x.linear(graph.parameter(layer), None).relu();
        }
        graph.planner().optimizer(&SGD).loss(x.square().mean_all()).build().unwrap()
    };
    const ACTIVATION: usize = 32 * 64 * 4;
    const WEIGHT: usize = 64 * 64 * 4;
    let all = plan(0);
    assert_eq!(all.memory().saved_activations, 4 * ACTIVATION);
    assert_eq!(all.memory().optimizer_state, 4 * WEIGHT);
    for freeze in 1..4 {
        let plan = plan(freeze);
        // The activation before the first trainable layer is still needed, for that layer's gradient.
        assert_eq!(plan.memory().saved_activations, (5 - freeze) * ACTIVATION);
        assert_eq!(plan.memory().optimizer_state, (4 - freeze) * WEIGHT);
        assert!(plan.memory().peak + freeze * WEIGHT <= all.memory().peak, "{plan}");
        for layer in 0..freeze {
            let path = format!("   layer{layer}");
            let of_layer: Vec<String> =
                steps(&plan).into_iter().filter(|step| step.ends_with(&path)).collect();
            assert_eq!(of_layer.len(), 1, "the forward pass and nothing else: {of_layer:#?}");
        }
    }
}

/// Σ a·b whose derivative hands out its operands themselves, as one may who knows that dy is 1.
#[derive(Debug)]
struct Dot;

impl Op<f64> for Dot {
    fn name(&self) -> &'static str {
        "dot"
    }
    fn infer(&self, _: &[ValueType]) -> Result<ValueType, OpError> {
        Ok(ValueType::real(Shape::SCALAR))
    }
    fn eval(&self, _: &StepContext<'_>, io: Io<'_, f64>) {
        let (a, b) = (io.inputs.real(0), io.inputs.real(1));
        io.output.real().fill(a.iter().zip(b).map(|(a, b)| a * b).sum());
    }
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, f64>, _: V<'g>) -> Vec<Gradient<'g, f64>> {
        vec![node.input(1).into(), node.input(0).into()]
    }
}

#[test]
fn a_parameter_can_be_the_gradient_of_another() {
    for (order, micro_batches) in
        [(UpdateOrder::AsReady, false), (UpdateOrder::AtEnd, false), (UpdateOrder::AsReady, true)]
    {
        let specs = vec![parameter("a", &[3]), parameter("b", &[3])];
        let graph = Graph::<f64>::with_parameters(specs, Mode::Train);
        let loss = graph.apply(Dot, &[graph.parameter(0), graph.parameter(1)]);
        let planner = graph.planner().optimizer(&SGD).loss(loss).update(order);
        let plan = planner.micro_batches(micro_batches).build().unwrap();
        let mut session = Session::new(plan);
        session.parameter_mut(0).copy_from_slice(&[1.0, 2.0, 4.0]);
        session.parameter_mut(1).copy_from_slice(&[8.0, -2.0, 1.0]);
        assert_eq!(session.step(&SGD), Ok(8.0));
        // Each moves against the old value of the other.
        let moved = |p: [f64; 3], g: [f64; 3]| [0, 1, 2].map(|i| p[i] - g[i] * SGD.rate);
        assert_eq!(session.parameter(0), moved([1.0, 2.0, 4.0], [8.0, -2.0, 1.0]), "{order:?}");
        assert_eq!(session.parameter(1), moved([8.0, -2.0, 1.0], [1.0, 2.0, 4.0]), "{order:?}");
    }
}

#[test]
fn assignments_see_the_values_before_all_of_them() {
    let graph = Graph::<f64>::with_parameters(vec![buffer("a", &[2]), buffer("b", &[2])], Mode::Train);
    let (a, b) = (graph.parameter(0), graph.parameter(1));
    graph.assign(0, b);
    graph.assign(1, a);
    let plan = graph.planner().output("sum", a + b).build().unwrap();
    let mut session = Session::new(plan);
    session.parameter_mut(0).copy_from_slice(&[1.0, 2.0]);
    session.parameter_mut(1).copy_from_slice(&[3.0, 4.0]);
    session.run();
    assert_eq!((session.parameter(0), session.parameter(1)), ([3.0, 4.0].as_slice(), [1.0, 2.0].as_slice()));
    assert_eq!(session.output(0), [4.0, 6.0]);
}

/// A plan that only evaluates, in the memory of one that trains.
#[test]
fn training_and_evaluation_share_a_session() {
    let specs = || vec![parameter("w", &[2, 3]), buffer("b", &[2])];
    let train = Graph::<f64>::with_parameters(specs(), Mode::Train);
    let x = train.input("x", Shape::of([4, 3]));
    let loss = x.linear(train.parameter(0), None).square().mean_all();
    let train = train.planner().optimizer(&SGD).loss(loss).alignment(16).build().unwrap();

    let infer = Graph::<f64>::with_parameters(specs(), Mode::Infer);
    let x = infer.input("x", Shape::of([1, 3]));
    let y = x.linear(infer.parameter(0), None);
    let mut infer_plan = infer.planner().same_memory_as(&train).output("y", y).build().unwrap();
    let mut alone = infer.planner().output("y", y).build().unwrap();

    let mut session = start(train, 1);
    session.step(&SGD).unwrap();
    let trained = session.parameter(0).to_vec();
    assert_eq!(session.swap(&mut alone), Err(BindError::OtherParameters));
    session.swap(&mut infer_plan).unwrap();
    session.input(0).copy_from_slice(&[1.0, 0.0, 0.0]);
    session.run();
    assert_eq!(session.output(0), [trained[0], trained[3]]);
    assert_eq!(session.parameter(0), trained);
    assert!(session.swap(&mut infer_plan).is_ok());
}

/// An optimizer that needs the norm of all gradients together gets that of all of them.
#[test]
fn the_global_norm_is_that_of_all_gradients() {
    struct Clipped;
    impl Optimizer<f64> for Clipped {
        fn state_len(&self, _: usize) -> usize {
            1
        }
        fn needs_global_norm(&self) -> bool {
            true
        }
        fn update(
            &self,
            cx: &bantam_core::UpdateContext<'_>,
            _: &mut [f64],
            _: &mut [f64],
            state: &mut [f64],
        ) {
            state[0] = cx.global_norm.unwrap_or(f64::NAN);
        }
    }
    for micro_batches in [false, true] {
        let specs = vec![parameter("a", &[2]), frozen("b", &[2]), parameter("c", &[1])];
        let graph = Graph::<f64>::with_parameters(specs, Mode::Train);
        let p = |index| graph.parameter(index);
        let loss = (p(0) * p(1)).sum_all() + (p(2) * 12.0).sum_all();
        let planner = graph.planner().optimizer(&Clipped).loss(loss).update(UpdateOrder::AsReady);
        let mut session = Session::new(planner.micro_batches(micro_batches).build().unwrap());
        session.parameter_mut(1).copy_from_slice(&[3.0, 4.0]);
        session.step(&Clipped).unwrap();
        // √(3² + 4² + 12²)
        assert_eq!(
            (session.optimizer_state(0), session.optimizer_state(2)),
            ([13.0].as_slice(), [13.0].as_slice())
        );
    }
}
