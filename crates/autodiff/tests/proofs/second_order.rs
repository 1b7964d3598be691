//! Gradients of gradients in whole networks: a penalty on the gradient by the input, differentiated for the parameters,
//! against central differences of it; and the ops where that ends, with an error.

use crate::gradients::{Case, Checked, V};
use crate::support::{Domain, parameter};
use bantam_autodiff::{ErrorKind, Graph, Mode, Session, Var};
use bantam_core::Shape;

/// The loss plus how far the norm of its gradient by each sample is from 1 (Gulrajani et al., 2017).
fn with_penalty<'g>(loss: V<'g>, x: V<'g>) -> V<'g> {
    let gradient = x.graph().differentiate(loss, &[x]).unwrap()[0].flatten();
    let norm = (gradient.square().sum(1) + 1e-3).sqrt();
    loss + (norm - 1.0).square().mean_all() * 10.0
}

fn mlp<'g>(x: V<'g>, parameters: &[V<'g>]) -> V<'g> {
    let hidden = x.linear(parameters[0], Some(parameters[1])).tanh();
    hidden.linear(parameters[2], Some(parameters[3]))
}

#[test]
fn gradient_penalty_of_a_perceptron() {
    let shapes: [&[usize]; 5] = [&[5, 3], &[7, 3], &[7], &[4, 7], &[4]];
    for seed in 0..4 {
        let case = Case::new(&shapes, Domain::Any, seed).index(&[5], 4);
        Checked::default()
            .gradient(&case, |o| with_penalty(mlp(o.x[0], &o.x[1..]).cross_entropy(o.indices[0]), o.x[0]))
            .unwrap();
    }
}

#[test]
fn gradient_penalty_of_a_convolutional_net() {
    // Two images of 9×9, two convolutions with groups and padding, both poolings.
    let shapes: [&[usize]; 6] = [&[2, 2, 9, 9], &[4, 1, 3, 3], &[4], &[3, 4, 2, 2], &[3, 3 * 2 * 2], &[3]];
    for seed in 0..3 {
        let case = Case::new(&shapes, Domain::Any, seed).index(&[2], 3);
        Checked::default()
            .gradient(&case, |o| {
                let x = o.x[0];
                let groups =
                    bantam_autodiff::ops::Conv2dOptions { padding: [1, 1], groups: 2, ..Default::default() };
                let y = x.conv2d(o.x[1], Some(o.x[2]), groups).tanh().avg_pool2d(2);
                // The maximum has a kink where two of a window are equal: these seeds stay away from it.
                let y = y.conv2d(o.x[3], None, Default::default()).sigmoid();
                let y = y.max_pool2d_with(bantam_autodiff::ops::Pool2dOptions::square(2).stride(1));
                let y = y.flatten().linear(o.x[4], Some(o.x[5])).tanh();
                with_penalty(y.cross_entropy(o.indices[0]), x)
            })
            .unwrap();
    }
}

/// The same through a plan that trains: the penalty is a loss like any other.
#[test]
fn a_gradient_penalty_can_be_trained() {
    let specs = vec![
        parameter("hidden.weight", &[8, 3]),
        parameter("hidden.bias", &[8]),
        parameter("out.weight", &[2, 8]),
        parameter("out.bias", &[2]),
    ];
    let graph = Graph::<f64>::with_parameters(specs, Mode::Train);
    let x = graph.input("x", Shape::of([6, 3]));
    let labels = graph.indices("labels", Shape::of([6]));
    let parameters: Vec<Var<'_, f64>> = (0..4).map(|i| graph.parameter(i)).collect();
    let loss = with_penalty(mlp(x, &parameters).cross_entropy(labels), x);
    let optimizer = crate::support::Momentum { rate: 0.02, momentum: 0.5 };
    let plan = graph.planner().optimizer(&optimizer).loss(loss).build().unwrap();
    let mut session = Session::new(plan);
    let mut rng = crate::support::rng(5);
    for index in 0..4 {
        let values = crate::support::draw(Domain::Any, session.parameter(index).len(), &mut rng);
        session.parameter_mut(index).copy_from_slice(&values);
    }
    let values = crate::support::draw(Domain::Any, 18, &mut rng);
    session.input(0).copy_from_slice(&values);
    session.indices(1).copy_from_slice(&[0, 1, 0, 1, 1, 0]);
    let first = session.step(&optimizer).unwrap();
    let mut last = first;
    for _ in 0..300 {
        last = session.step(&optimizer).unwrap();
    }
    assert!(last < 0.7 * first, "from {first} to {last}");
}

/// The fused gradients of batch and layer normalisation are exact, and the end of the road.
#[test]
fn what_has_no_second_derivative_is_an_error() {
    let refused = |of_rows: bool, through_gain: bool| {
        let graph = Graph::<f64>::new();
        let x = graph.input("x", Shape::of([4, 2]));
        let gain = graph.input("gain", Shape::of([2]));
        let shift = graph.input("shift", Shape::of([2]));
        let y = {
            let _layer = graph.enter("norm");
            if of_rows { x.layer_norm(gain, shift, 1e-5) } else { x.batch_norm(gain, shift, 1e-5).0 }
        };
        let of = if through_gain { gain } else { x };
        let first = graph.differentiate(y.square().sum_all(), &[of]).unwrap()[0];
        let error = graph.differentiate(first.square().sum_all(), &[x]).unwrap_err();
        assert_eq!(error.path, "norm");
        error.kind.clone()
    };
    for (of_rows, through_gain, op) in [
        (false, false, "batch_norm_backward_input"),
        (false, true, "batch_norm_backward_affine"),
        (true, false, "layer_norm_backward_input"),
        (true, true, "layer_norm_backward_affine"),
    ] {
        let error = refused(of_rows, through_gain);
        assert!(matches!(error, ErrorKind::NotDifferentiable { op: found, .. } if found == op), "{op}");
    }
}
