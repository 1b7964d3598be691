//! Every mistake has its error, word for word: what was found, what was expected, which layer, which line. And no op,
//! however wrong, brings the session to read or write what is not its own.

use crate::support::{Momentum, frozen, parameter};
use bantam_autodiff::{
    BindError, Error, ErrorKind, Gradient, Graph, Io, Mode, NodeRef, NonFinite, Op, OpError, Planner,
    Session, StepContext, StepError, ValueType, Var,
    ops::{Conv2dOptions, GatherRows, MatMul, Pool2dOptions, SliceRange},
};
use bantam_core::{Numerics, Shape};
use core::sync::atomic::{AtomicBool, Ordering};

type V<'g> = Var<'g, f64>;

const SGD: Momentum = Momentum { rate: 0.1, momentum: 0.0 };

/// The message without its place, which must be in this file at `lines` (rustfmt may spread a statement).
fn placed(error: &Error, line: u32) -> String {
    let at = error.location.expect("an error has a line");
    assert_eq!(at.file(), file!());
    assert!((line..line + 6).contains(&at.line()), "{error} is not at line {line}");
    let text = error.to_string();
    let place = format!(" ({}:{}:{})", at.file(), at.line(), at.column());
    text.strip_suffix(&place).unwrap_or_else(|| panic!("{text} does not end with{place}")).to_owned()
}

/// Records in the layer `fc1` what must be refused with this message.
macro_rules! refused {
    ($graph:ident => $record:expr, $message:expr) => {
        let $graph = Graph::<f64>::with_parameters(vec![parameter("w", &[2, 3])], Mode::Train);
        {
            let _layer = $graph.enter("fc1");
            let _ = $record;
        }
        let error = $graph.check().unwrap_err();
        assert_eq!(placed(&error, line!()), format!("fc1: {}", $message));
        // The first mistake is the one that is told.
        $graph.fail(ErrorKind::Empty);
        assert_eq!($graph.check(), Err(error.clone()));
        let y = $graph.input("y", Shape::SCALAR);
        assert_eq!($graph.planner().output("y", y).build().unwrap_err(), error);
        assert_eq!($graph.differentiate(y, &[y]).unwrap_err(), error);
    };
}

#[track_caller]
fn x<'g>(graph: &'g Graph<f64>, dims: &[usize]) -> V<'g> {
    graph.input("x", Shape::new(dims).unwrap())
}

#[test]
fn operands_that_do_not_broadcast_or_count() {
    refused!(g => x(&g, &[2, 3]).permute(&[1]), "permute expects 2 axes, got 1 (shape [2, 3])");
    refused!(g => x(&g, &[2, 3]) + x(&g, &[4]), "add cannot broadcast [2, 3] with [4]: aligned at the last axis, lengths must be equal or 1");
    refused!(g => x(&g, &[2, 2, 3]).matmul(x(&g, &[5, 3, 4])), "matmul cannot broadcast [2, 2, 3] with [5, 3, 4]: aligned at the last axis, lengths must be equal or 1");
    refused!(g => x(&g, &[3]).broadcast_to(Shape::of([2, 4])), "broadcast cannot broadcast [3] with [2, 4]: aligned at the last axis, lengths must be equal or 1");
    refused!(g => x(&g, &[32, 10]).linear(x(&g, &[7, 50]), None), "linear expects 50 features, got 10 (shape [32, 10])");
    refused!(g => x(&g, &[2, 3]).matmul(x(&g, &[4, 5])), "matmul expects 3 rows in its right operand, got 4 (shape [4, 5])");
    refused!(g => x(&g, &[2, 3]).reshape([7]), "reshape expects 7 elements, got 6 (shape [2, 3])");
    refused!(g => x(&g, &[2, 3]).reshape([usize::MAX, 2]), format!("reshape expects {} elements, got 6 (shape [2, 3])", usize::MAX));
    refused!(g => x(&g, &[4, 3]).cross_entropy(g.indices("l", Shape::of([5]))), "cross_entropy expects 4 labels, one for each row of logits, got 5 (shape [5])");
    refused!(g => x(&g, &[1, 4, 5, 5]).conv2d(x(&g, &[2, 3, 3, 3]), None, Conv2dOptions::default()), "conv2d expects 3 channels, got 4 (shape [1, 4, 5, 5])");
    refused!(g => g.apply(MatMul::default(), &[x(&g, &[2, 2])]), "matmul expects 2 operands, got 1 (shape [2, 2])");
    refused!(g => g.parameter(1), "there is no parameter 1: the graph was made with 1");
}

#[test]
fn shapes_of_the_wrong_form() {
    refused!(g => x(&g, &[3]).matmul(x(&g, &[3, 2])), "matmul expects a shape [..., rows, columns], got [3]");
    refused!(g => x(&g, &[2, 3]).linear(x(&g, &[3]), None), "linear expects a shape [fan_out, fan_in] of its weight, got [3]");
    refused!(g => x(&g, &[2, 3]).linear(x(&g, &[4, 3]), Some(x(&g, &[3]))), "linear expects shape [4], got [3]");
    refused!(g => x(&g, &[2, 3]).conv2d(x(&g, &[1, 1, 1, 1]), None, Conv2dOptions::default()), "conv2d expects a shape [batch, channels, height, width], got [2, 3]");
    refused!(g => x(&g, &[1, 1, 5, 5]).conv2d(x(&g, &[3, 3]), None, Conv2dOptions::default()), "conv2d expects a shape [channels_out, channels_in / groups, height, width] of its weight, got [3, 3]");
    refused!(g => x(&g, &[1, 1, 5, 5]).conv2d(x(&g, &[2, 1, 3, 3]), Some(x(&g, &[3])), Conv2dOptions::default()), "conv2d expects shape [2], got [3]");
    refused!(g => x(&g, &[4]).max_pool2d(2), "max_pool2d expects a shape [batch, channels, height, width], got [4]");
    refused!(g => x(&g, &[4]).batch_norm(x(&g, &[4]), x(&g, &[4]), 1e-5), "batch_norm expects a shape [batch, channels, ...], got [4]");
    refused!(g => x(&g, &[4, 3]).batch_norm(x(&g, &[4]), x(&g, &[3]), 1e-5), "batch_norm expects shape [3], got [4]");
    refused!(g => x(&g, &[]).layer_norm(x(&g, &[4]), x(&g, &[4]), 1e-5), "layer_norm expects a shape [..., width], got []");
    refused!(g => x(&g, &[4, 3]).layer_norm(x(&g, &[4]), x(&g, &[3]), 1e-5), "layer_norm expects shape [3], got [4]");
    refused!(g => x(&g, &[4, 3]).layer_norm(x(&g, &[3]), x(&g, &[1, 3]), 1e-5), "layer_norm expects shape [3], got [1, 3]");
    refused!(g => x(&g, &[4]).gather_rows(g.indices("i", Shape::of([2]))), "gather_rows expects a shape [rows, width] of its table, got [4]");
    refused!(g => x(&g, &[2, 3]).mean_squared_error(x(&g, &[3, 2])), "mean_squared_error expects shape [2, 3], got [3, 2]");
    refused!(g => g.concat(&[x(&g, &[2, 3]), x(&g, &[3, 3])], 1), "concat expects shape [2, 3], got [3, 3]");
    refused!(g => g.assign(0, x(&g, &[3, 2])), "assign expects shape [2, 3], got [3, 2]");
}

#[test]
fn axes_that_are_not_there() {
    let rule = "each named at most once";
    refused!(g => x(&g, &[2, 3]).sum(2), format!("sum cannot use axis 2: the shape [2, 3] has 2 axes, {rule}"));
    refused!(g => x(&g, &[2, 3]).mean([1, 1]), format!("mean cannot use axis 1: the shape [2, 3] has 2 axes, {rule}"));
    refused!(g => x(&g, &[2, 3]).max(9), format!("max cannot use axis 9: the shape [2, 3] has 2 axes, {rule}"));
    refused!(g => x(&g, &[2, 3]).permute(&[0, 0]), format!("permute cannot use axis 0: the shape [2, 3] has 2 axes, {rule}"));
    refused!(g => x(&g, &[2, 3]).permute(&[0, 2]), format!("permute cannot use axis 2: the shape [2, 3] has 2 axes, {rule}"));
    refused!(g => x(&g, &[2, 3]).slice(2, 0..1), format!("slice cannot use axis 2: the shape [2, 3] has 2 axes, {rule}"));
    refused!(g => x(&g, &[2, 3]).flip(3), format!("flip cannot use axis 3: the shape [2, 3] has 2 axes, {rule}"));
    refused!(g => x(&g, &[2, 3]).unsqueeze(3), format!("unsqueeze cannot use axis 3: the shape [2, 3] has 2 axes, {rule}"));
    refused!(g => g.concat(&[x(&g, &[3])], 1), format!("concat cannot use axis 1: the shape [3] has 1 axes, {rule}"));
}

#[test]
fn operands_of_the_wrong_kind() {
    refused!(g => x(&g, &[3]) + g.indices("i", Shape::of([3])), "add expects real numbers as operand 1, got index");
    refused!(g => x(&g, &[3, 2]).gather_rows(x(&g, &[3])), "gather_rows expects index numbers as operand 1, got real");
    refused!(g => x(&g, &[3, 2]).cross_entropy(x(&g, &[3])), "cross_entropy expects index numbers as operand 1, got real");
    refused!(g => x(&g, &[3, 2]).linear(x(&g, &[4, 2]), Some(g.indices("i", Shape::of([4])))), "linear expects real numbers as operand 2, got index");
    refused!(g => g.assign(0, g.indices("i", Shape::of([2, 3]))), "assign expects real numbers as operand 0, got index");
}

#[test]
fn settings_outside_their_domain() {
    let conv = |g: &Graph<f64>, options: Conv2dOptions| {
        x(g, &[1, 2, 3, 3]).conv2d(x(g, &[2, 2 / options.groups.max(1), 3, 3]), None, options);
    };
    let default = Conv2dOptions::default;
    let at = line!();
    let message = |options: Conv2dOptions| {
        let graph = Graph::<f64>::new();
        conv(&graph, options);
        let error = graph.check().unwrap_err();
        assert!(error.location.unwrap().line() < at);
        error.kind.clone()
    };
    let setting = |rule, got| ErrorKind::Op(OpError::Setting { op: "conv2d", rule, got });
    assert_eq!(
        message(Conv2dOptions { stride: [1, 0], ..default() }),
        setting("a stride of at least 1", 0.0)
    );
    assert_eq!(
        message(Conv2dOptions { dilation: [0, 1], ..default() }),
        setting("a dilation of at least 1", 0.0)
    );
    assert_eq!(message(Conv2dOptions { groups: 0, ..default() }), setting("at least 1 group", 0.0));
    let reach =
        "an image with its padding at least as large as the kernel with its dilation, which reaches over";
    assert_eq!(message(Conv2dOptions { dilation: [2, 1], ..default() }), setting(reach, 5.0));
    assert!(matches!(message(Conv2dOptions { dilation: [usize::MAX, 1], ..default() }), ErrorKind::Op(_)));

    refused!(g => x(&g, &[1, 2, 5, 5]).conv2d(x(&g, &[3, 1, 1, 1]), None, Conv2dOptions { groups: 2, ..Conv2dOptions::default() }), "conv2d needs a number of output channels that its groups divide, got 3");
    refused!(g => x(&g, &[2, 3]).dropout(1.0), "dropout needs a rate in [0, 1), got 1");
    refused!(g => x(&g, &[2, 3]).dropout(-0.5), "dropout needs a rate in [0, 1), got -0.5");
    refused!(g => x(&g, &[2, 3]).slice(1, 2..2), "slice needs a range inside the axis that is not empty and steps forward, got 2");
    refused!(g => x(&g, &[2, 3]).slice(1, 1..4), "slice needs a range inside the axis that is not empty and steps forward, got 1");
    refused!(g => x(&g, &[2, 3]).slice(1, SliceRange::from(0..).step_by(0)), "slice needs a range inside the axis that is not empty and steps forward, got 0");
    refused!(g => x(&g, &[1, 1, 4, 4]).max_pool2d(5), "max_pool2d needs an image with its padding at least as large as the window, which has size, got 5");
    refused!(g => x(&g, &[1, 1, 4, 4]).avg_pool2d(0), "avg_pool2d needs a window and a stride of at least 1, got 0");
    refused!(g => x(&g, &[1, 1, 4, 4]).avg_pool2d_with(Pool2dOptions::square(2).padding(2)), "avg_pool2d needs a padding of at most half of its window, got 2");
    refused!(g => x(&g, &[1, 1, 20, 20]).max_pool2d(17), "max_pool2d needs a window of at most 256 elements, got 289");
    refused!(g => x(&g, &[5, 1]).layer_norm(x(&g, &[1]), x(&g, &[1]), 1e-5), "layer_norm needs at least 2 values per row to have a variance, got 1");
    refused!(g => x(&g, &[1, 3]).batch_norm(x(&g, &[3]), x(&g, &[3]), 1e-5), "batch_norm needs at least 2 values per channel to have a variance while training, got 1");
    refused!(g => x(&g, &[2, 0]), "the shape [2, 0] has no elements; every axis needs a length of at least 1");
    refused!(g => x(&g, &[usize::MAX, 2]), format!("the shape [{}, 2] has more elements than can be addressed", usize::MAX));
    // As many elements as can be counted, but not as many bytes.
    refused!(g => x(&g, &[1 << 62]), format!("the shape [{}] has more elements than can be addressed", 1_u64 << 62));
    refused!(g => x(&g, &[1]).broadcast_to(Shape::of([1 << 40, 1 << 40])), format!("the shape [{0}, {0}] has more elements than can be addressed", 1_u64 << 40));
}

/// The message of an error that a call returns, which must be about the line `line` of this file.
fn message<R: core::fmt::Debug>(result: Result<R, Error>, line: u32) -> String {
    placed(&result.unwrap_err(), line)
}

#[test]
fn gradients_that_cannot_be_had() {
    let graph =
        Graph::<f64>::with_parameters(vec![parameter("used", &[3]), parameter("idle", &[3])], Mode::Train);
    let used = graph.parameter(0);
    let idle = graph.parameter(1);
    let (vector, line) = (used.square(), line!());
    assert_eq!(
        message(graph.differentiate(vector, &[used]), line),
        "only a single number can be differentiated, got [3]; sum or average it first"
    );
    let (index, line) = (graph.indices("label", Shape::SCALAR), line!());
    assert_eq!(
        message(graph.differentiate(index, &[used]), line),
        "only a single number can be differentiated, got u32[]; sum or average it first"
    );
    let (loss, line) = (vector.sum_all(), line!());
    let text =
        "the gradient of idle was asked for, but the result does not depend on it; freeze it or use it";
    assert_eq!(message(graph.differentiate(loss, &[used, idle]), line), text);
    assert_eq!(message(graph.planner().loss(loss).build(), line), text);
    // Depending on it through a step function only counts as not depending on it: the gradient is no use.
    let (steps, line) = (idle.greater(used).sum_all(), line!());
    assert_eq!(message(graph.differentiate(steps, &[idle]), line), text);

    let opaque = {
        let _layer = graph.enter("fc1");
        graph.apply(Bad::new(Lie::Nothing), &[used])
    };
    let line = line!() - 2;
    assert_eq!(
        message(graph.differentiate(opaque.sum_all(), &[used]), line),
        "fc1: bad has no gradient for its operand 0, which depends on what is differentiated for"
    );
    // Nothing of that was recorded as a mistake of the graph, and its layer is what it was.
    graph.check().unwrap();
    let _ = x(&graph, &[2]) + x(&graph, &[3]);
    assert_eq!(graph.check().unwrap_err().path, "");
}

#[test]
fn plans_that_cannot_be_made() {
    let graph = Graph::<f64>::with_parameters(vec![parameter("w", &[3])], Mode::Train);
    let other = Graph::<f64>::with_parameters(vec![parameter("w", &[4])], Mode::Train);
    let text = |planner: Planner<'_, f64>| planner.build().unwrap_err().to_string();
    assert_eq!(text(graph.planner()), "a plan needs a loss or at least one output");
    assert_eq!(text(graph.planner().output("y", other.parameter(0))), "a value of another graph was used");
    assert_eq!(text(graph.planner().loss(other.parameter(0))), "a value of another graph was used");
    assert!(graph.differentiate(other.parameter(0).sum_all(), &[]).is_err());
    let loss = graph.parameter(0).sum_all();
    let foreign = text(graph.planner().optimizer(&SGD).loss(loss).same_memory_as(
        &other.planner().optimizer(&SGD).loss(other.parameter(0).sum_all()).build().unwrap(),
    ));
    assert_eq!(
        foreign,
        "the plan whose memory is to be used has other parameters, another optimizer or no sums over micro-batches"
    );
    let plain = graph.planner().optimizer(&SGD).loss(loss).build().unwrap();
    assert_eq!(text(graph.planner().loss(loss).same_memory_as(&plain)), foreign);
    let sums = graph.planner().optimizer(&SGD).loss(loss).micro_batches(true).same_memory_as(&plain);
    assert_eq!(text(sums), foreign);
    assert!(graph.planner().output("loss", loss).same_memory_as(&plain).build().is_ok());

    // Each fits, together they do not: three times 2^62 bytes.
    let large = Graph::<f64>::new();
    let y = (0..3).map(|_| x(&large, &[1 << 59])).reduce(|a, b| a + b).unwrap();
    assert_eq!(text(large.planner().output("y", y)), "the plan needs more memory than can be addressed");
    let large = Graph::<f64>::with_parameters(vec![parameter("w", &[1 << 59]); 3], Mode::Train);
    let y = x(&large, &[1]);
    assert_eq!(text(large.planner().output("y", y)), "the plan needs more memory than can be addressed");
}

#[test]
fn values_of_another_graph() {
    let other = Graph::<f64>::new();
    let foreign = x(&other, &[2, 3]);
    refused!(g => x(&g, &[2, 3]) + foreign, "a value of another graph was used");
    refused!(g => g.assign(0, foreign), "a value of another graph was used");
}

/// What an op may be wrong about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lie {
    Nothing,
    /// Its output is its input, though larger.
    Alias,
    /// Its output is its input, though it has none.
    AliasOfNothing,
    /// It needs more scratch than there is memory; that many bytes are a small number again.
    Scratch,
    /// Its gradient has one element.
    Gradient,
    /// It may run in place when it is planned, and may not when that is verified.
    InPlaceOnce,
    /// It may run in place, but reads its input as if it lay elsewhere.
    InPlace,
    /// It is an activation, a sum, with no operand.
    Sum,
}

#[derive(Debug)]
struct Bad {
    lie: Lie,
    asked: AtomicBool,
}

impl Bad {
    fn new(lie: Lie) -> Bad {
        Bad { lie, asked: AtomicBool::new(false) }
    }
}

impl Op<f64> for Bad {
    fn name(&self) -> &'static str {
        "bad"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        match self.lie {
            Lie::Alias => Ok(ValueType::real(Shape::of([1 << 30]))),
            _ => Ok(inputs.first().copied().unwrap_or(ValueType::real(Shape::SCALAR))),
        }
    }

    fn eval(&self, _: &StepContext<'_>, io: Io<'_, f64>) {
        // What lies in the output's place cannot be had as an input.
        let x = if io.inputs.len() > 0 { io.inputs.real(0) } else { &[] };
        assert_eq!(x.is_empty(), self.lie == Lie::InPlace || io.inputs.len() == 0);
        io.output.real().fill(x.iter().sum());
    }

    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, f64>, dy: V<'g>) -> Vec<Gradient<'g, f64>> {
        match self.lie {
            Lie::Gradient => vec![dy.sum_all().into()],
            _ => node.inputs().iter().map(|_| Gradient::Missing).collect(),
        }
    }

    fn scratch(&self, _: &[ValueType], _: Numerics) -> usize {
        if self.lie == Lie::Scratch { (1 << 61) + 1 } else { 0 }
    }

    fn in_place(&self, _: usize) -> bool {
        match self.lie {
            Lie::InPlace => true,
            Lie::InPlaceOnce => !self.asked.swap(true, Ordering::Relaxed),
            _ => false,
        }
    }

    fn is_alias(&self) -> bool {
        matches!(self.lie, Lie::Alias | Lie::AliasOfNothing)
    }

    fn is_sum(&self) -> bool {
        self.lie == Lie::Sum
    }
}

/// Ops are safe code, so nothing that one says may lead outside of its own memory.
#[test]
fn ops_that_lie() {
    let plan = |lie: Lie, operands: usize| {
        let graph = Graph::<f64>::new();
        let operands: Vec<V<'_>> = (0..operands).map(|_| x(&graph, &[8]).tanh()).collect();
        let y = graph.apply(Bad::new(lie), &operands);
        graph.planner().output("y", y.tanh()).build()
    };
    let text = |lie, operands| plan(lie, operands).unwrap_err();
    let alias = "bad says that its output is its first input, but they differ in size or kind";
    assert_eq!(placed(&text(Lie::Alias, 1), line!() - 6), alias);
    assert_eq!(placed(&text(Lie::AliasOfNothing, 0), line!() - 7), alias);
    assert_eq!(text(Lie::Scratch, 1).to_string(), "the plan needs more memory than can be addressed");
    assert_eq!(
        text(Lie::InPlaceOnce, 1).to_string(),
        "the plan contradicts itself: step 1 writes over what it reads"
    );
    let mut session = Session::new(plan(Lie::InPlace, 1).unwrap());
    session.input(0).fill(0.5);
    session.run();
    assert_eq!(session.output(0), [0.0; 8]);
    let mut session = Session::new(plan(Lie::Sum, 0).unwrap());
    session.run();
    assert_eq!(session.output(0), [0.0]);

    let graph = Graph::<f64>::with_parameters(vec![parameter("w", &[1000])], Mode::Train);
    let (y, line) = (graph.apply(Bad::new(Lie::Gradient), &[graph.parameter(0)]), line!());
    let error = graph.planner().loss(y.sum_all()).build().unwrap_err();
    assert_eq!(placed(&error, line), "bad gives a gradient [] for its operand 0, which is [1000]");
}

#[test]
fn memory_that_does_not_fit() {
    let plan = |n: usize| {
        let graph = Graph::<f32>::new();
        let y = graph.input("x", Shape::of([n])).tanh();
        graph.planner().output("y", y).alignment(16).build().unwrap()
    };
    let mut memory = vec![0_u8; 4096];
    let start = memory.as_ptr().align_offset(64);
    let error = Session::bind(plan(16), &mut memory[start..start + 127]).unwrap_err();
    assert_eq!(error, BindError::TooSmall { needed: 128, given: 127 });
    assert_eq!(error.to_string(), "the plan needs an arena of 128 bytes, got 127");
    let error = Session::bind(plan(16), &mut memory[start + 8..]).unwrap_err();
    assert_eq!(error.to_string(), "the arena must start at an address that is a multiple of 16");
    // 16 are enough for this plan, and what was in the memory is gone.
    memory.fill(0xff);
    let mut session = Session::bind(plan(16), &mut memory[start + 16..start + 16 + 128]).unwrap();
    assert_eq!(session.input(0), [0.0; 16]);
    let error = session.swap(&mut plan(32)).unwrap_err();
    assert_eq!(error, BindError::TooSmall { needed: 256, given: 128 });

    let graph = Graph::<f32>::with_parameters(vec![parameter("w", &[3])], Mode::Infer);
    let mut other = graph.planner().output("w", graph.parameter(0).tanh()).alignment(16).build().unwrap();
    let error = session.swap(&mut other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the plan was made for other parameters or another optimizer than the session's"
    );
    // What does not exist is empty.
    assert!(session.input(1).is_empty() && session.indices(0).is_empty() && session.output(1).is_empty());
    assert!(
        session.parameter(0).is_empty() && session.optimizer_state(0).is_empty() && session.loss().is_none()
    );
}

/// Two layers whose second divides by what the first gives.
fn fragile() -> Session<'static, f64> {
    let graph = Graph::<f64>::with_parameters(
        vec![parameter("first.weight", &[2, 2]), frozen("first.bias", &[2]), parameter("second.gain", &[2])],
        Mode::Train,
    );
    let x = x(&graph, &[1, 2]);
    let hidden = {
        let _layer = graph.enter("first");
        x.linear(graph.parameter(0), Some(graph.parameter(1)))
    };
    let y = {
        let _layer = graph.enter("second");
        hidden.recip() * graph.parameter(2)
    };
    let plan =
        graph.planner().optimizer(&SGD).loss(y.square().mean_all() + hidden.mean_all()).build().unwrap();
    let mut session = Session::new(plan);
    session.parameter_mut(0).copy_from_slice(&[1.0, 0.0, 0.0, 1.0]);
    session.parameter_mut(2).fill(1.0);
    session
}

#[test]
fn a_loss_that_is_not_finite_names_its_source_and_changes_nothing() {
    let failing = |session: &mut Session<'_, f64>| -> NonFinite {
        let before: Vec<Vec<u64>> =
            session.parameters().map(|(_, values)| values.iter().map(|x| x.to_bits()).collect()).collect();
        let Err(StepError::NonFinite(error)) = session.step(&SGD) else { panic!("the loss was finite") };
        let after: Vec<Vec<u64>> =
            session.parameters().map(|(_, values)| values.iter().map(|x| x.to_bits()).collect()).collect();
        assert!(before == after);
        assert_eq!(session.updates(), 0);
        error
    };
    let mut session = fragile();
    session.input(0).copy_from_slice(&[1.0, 0.0]);
    let error = failing(&mut session);
    let start = "the loss is not finite in step 0: the first infinite or undefined value is ";
    let end = "; a lower learning rate or clipped gradients may help";
    assert_eq!(error.to_string(), format!("{start}the output of recip in second{end}"));
    session.input(0).copy_from_slice(&[1.0, f64::NAN]);
    assert_eq!(failing(&mut session).to_string(), format!("{start}in the input x; look at the data"));
    session.input(0).copy_from_slice(&[1.0, 1.0]);
    session.parameter_mut(1)[1] = f64::NAN;
    assert_eq!(failing(&mut session).to_string(), format!("{start}in the parameter first.bias{end}"));
    session.parameter_mut(1)[1] = 0.0;
    session.parameter_mut(0)[..2].copy_from_slice(&[f64::MAX, 0.0]);
    session.input(0).copy_from_slice(&[2.0, 2.0]);
    let error = failing(&mut session);
    assert_eq!((error.op, error.path.as_str(), error.step), ("linear", "first", 0));
    // Back to normal, the session goes on.
    session.parameter_mut(0)[..2].copy_from_slice(&[1.0, 0.0]);
    assert_eq!(session.step(&SGD), Ok(0.25 + 2.0));
    assert_eq!((session.steps(), session.updates()), (1, 1));
}

#[test]
fn indices_that_name_nothing_give_nan_and_no_more() {
    let graph = Graph::<f64>::new();
    let table = x(&graph, &[3, 2]);
    let index = graph.indices("i", Shape::of([2]));
    let y = graph.apply(GatherRows, &[table, index]);
    let dtable = graph.differentiate(y.sum_all(), &[table]).unwrap()[0];
    let loss = table.cross_entropy(graph.indices("labels", Shape::of([3])));
    let planner = graph.planner().output("y", y).output("dtable", dtable).output("loss", loss);
    let mut session = Session::new(planner.build().unwrap());
    session.indices(1).copy_from_slice(&[1, 3]);
    session.indices(2).copy_from_slice(&[0, 1, u32::MAX]);
    session.run();
    assert_eq!(session.output(0)[..2], [0.0, 0.0]);
    assert!(session.output(0)[2..].iter().all(|x| x.is_nan()));
    assert_eq!(session.output(1), [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    assert!(session.output(2)[0].is_nan());
}
