//! A session that goes on where another one stopped ends with the same bits, dropout and running statistics included.

use crate::support::{Domain, Momentum, buffer, draw, parameter, rng};
use bantam_autodiff::{Graph, Mode, Session};
use bantam_core::Shape;

const BATCH: usize = 8;
const OPTIMIZER: Momentum = Momentum { rate: 0.05, momentum: 0.9 };

/// A freshly traced net, as a new process would trace it.
fn session() -> Session<'static, f64> {
    let specs = vec![
        parameter("hidden.weight", &[6, 4]),
        parameter("norm.gain", &[6]),
        parameter("norm.shift", &[6]),
        buffer("norm.running", &[2, 6]),
        parameter("out.weight", &[3, 6]),
    ];
    let graph = Graph::<f64>::with_parameters(specs, Mode::Train);
    let x = graph.input("x", Shape::of([BATCH, 4]));
    let labels = graph.indices("labels", Shape::of([BATCH]));
    let p = |index| graph.parameter(index);
    let (y, batch) = x.dropout(0.2).linear(p(0), None).batch_norm(p(1), p(2), 1e-5);
    graph.assign(3, p(3) * 0.9 + batch * 0.1);
    let loss = y.relu().dropout(0.5).linear(p(4), None).cross_entropy(labels);
    Session::new(graph.planner().optimizer(&OPTIMIZER).loss(loss).build().unwrap()).seed(77)
}

fn train(session: &mut Session<'_, f64>, steps: core::ops::Range<u64>) {
    for step in steps {
        // Every step has a batch of its own.
        let x = draw(Domain::Any, BATCH * 4, &mut rng(step));
        session.input(0).copy_from_slice(&x);
        session.indices(1).iter_mut().enumerate().for_each(|(i, label)| *label = (i % 3) as u32);
        session.step(&OPTIMIZER).unwrap();
    }
}

fn start() -> Session<'static, f64> {
    let mut session = session();
    for index in 0..5 {
        let values = draw(Domain::Any, session.parameter(index).len(), &mut rng(100 + index as u64));
        session.parameter_mut(index).copy_from_slice(&values);
    }
    session
}

fn bits(session: &Session<'_, f64>) -> Vec<u64> {
    let states = (0..5).flat_map(|index| session.optimizer_state(index));
    session.parameters().flat_map(|(_, values)| values).chain(states).map(|x| x.to_bits()).collect()
}

#[test]
fn a_resumed_session_ends_with_the_same_bits() {
    let mut whole = start();
    train(&mut whole, 0..10);
    for stop in [1, 4, 9] {
        let mut first = start();
        train(&mut first, 0..stop);
        let continued = |counters: bool| {
            let mut second = session();
            for index in 0..5 {
                second.parameter_mut(index).copy_from_slice(first.parameter(index));
                second.optimizer_state_mut(index).copy_from_slice(first.optimizer_state(index));
            }
            if counters {
                second.resume_at(first.steps(), first.updates());
            }
            train(&mut second, stop..10);
            bits(&second)
        };
        assert!(continued(true) == bits(&whole), "stopped after {stop} steps");
        // The counters are part of it: without them dropout draws the masks of other steps.
        assert!(continued(false) != bits(&whole), "stopped after {stop} steps");
    }
}
