//! The shortest way through the whole house: record, differentiate, plan, verify, train.

use bantam_autodiff::{Graph, Mode, ParameterSpec, Session};
use bantam_core::{Optimizer, Shape, UpdateContext};

struct Descent(f64);

impl Optimizer<f64> for Descent {
    fn state_len(&self, _: usize) -> usize {
        0
    }
    fn update(&self, _: &UpdateContext<'_>, parameter: &mut [f64], gradient: &mut [f64], _: &mut [f64]) {
        for (p, g) in parameter.iter_mut().zip(gradient) {
            *p -= self.0 * *g;
        }
    }
}

#[test]
fn a_small_net_learns_xor() {
    let spec = |path: &str, dims: &[usize]| ParameterSpec {
        path: path.into(),
        shape: Shape::new(dims).unwrap(),
        trainable: true,
        buffer: false,
    };
    let specs = vec![
        spec("hidden.weight", &[4, 2]),
        spec("hidden.bias", &[4]),
        spec("out.weight", &[1, 4]),
        spec("out.bias", &[1]),
    ];
    let graph = Graph::<f64>::with_parameters(specs, Mode::Train);
    let x = graph.input("x", Shape::of([4, 2]));
    let target = graph.input("target", Shape::of([4, 1]));
    let p = |i| graph.parameter(i);
    let hidden = x.linear(p(0), Some(p(1))).tanh();
    let loss = hidden.linear(p(2), Some(p(3))).sigmoid().mean_squared_error(target);
    let plan = graph.planner().optimizer(&Descent(1.0)).loss(loss).build().unwrap();
    println!("{graph}\n{plan}");
    plan.verify().unwrap();
    let mut session = Session::new(plan);
    for (i, value) in [0.5, -0.7, 0.9, 0.8, -0.4, 0.6, -0.8, 0.3].into_iter().enumerate() {
        session.parameter_mut(0)[i] = value;
    }
    session.parameter_mut(2).copy_from_slice(&[0.6, -0.5, 0.4, 0.7]);
    session.input(0).copy_from_slice(&[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
    session.input(1).copy_from_slice(&[0.0, 1.0, 1.0, 0.0]);
    let mut loss = f64::NAN;
    for _ in 0..4000 {
        loss = session.step(&Descent(1.0)).unwrap();
    }
    assert!(loss < 0.01, "{loss}");
}
