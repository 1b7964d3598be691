//! A loss that is no number: the error says what began it, and nothing was updated.

use crate::common::{Mistake, Spoilt, iris, noisy_net, points};
use bantam_autodiff::{Mode, NonFinite, Session, StepError, Var};
use bantam_core::Shape;
use bantam_nn::{Layer, Linear, Params, Sequential, loss::cross_entropy};
use bantam_optim::Sgd;
use bantam_train::{Error, Event, Trainer};
use core::ops::ControlFlow;

/// A layer of the user's own.
#[derive(Clone, Copy)]
enum Curve {
    Growth,
    Logarithm,
}

impl Layer for Curve {
    fn forward<'g>(&self, x: Var<'g>) -> Var<'g> {
        match self {
            Curve::Growth => {
                let _scope = x.graph().enter("growth");
                x.exp()
            }
            Curve::Logarithm => {
                let _scope = x.graph().enter("logarithm");
                x.ln()
            }
        }
    }
}

fn non_finite(error: Error) -> NonFinite {
    match error {
        Error::NonFinite(found) => found,
        other => panic!("{other}"),
    }
}

#[test]
fn a_huge_rate_is_found_in_the_layer_where_it_shows() {
    // The one learns to give more and then gives far too much, the other to give less and leaves its domain.
    for (curve, y, op, path) in
        [(Curve::Growth, 50.0, "exp", "growth"), (Curve::Logarithm, -50.0, "ln", "logarithm")]
    {
        let data = points(&[[1.0, y], [2.0, y], [0.5, y], [1.5, y]]);
        let mut params = Params::new();
        let net = Sequential::new()
            .then(Linear::with(params.at("line"), 1, 1, bantam_nn::Initializer::constant(1.0), true))
            .then(curve);
        // Finite parameters, but far outside of what the curves can take.
        let trainer = Trainer::new(net, params).optimizer(Sgd::new(1e6)).batch(2).epochs(5);
        let mut last = (0, 0);
        let error = trainer.fit_observed(&data, |event| {
            if let Event::Batch { epoch, batch, loss, .. } = event {
                assert!(loss.is_finite());
                last = (epoch, batch);
            }
            ControlFlow::Continue(())
        });
        let error = error.expect_err("the loss cannot be finite");
        let steps = (last.0 - 1) * 2 + last.1;
        let message = error.to_string();
        assert_eq!(non_finite(error), NonFinite { op, path: path.into(), step: steps });
        assert!(message.contains(&format!("the output of {op} in {path}")), "{message}");
        assert!(message.contains("a lower learning rate"), "{message}");
    }
}

#[test]
fn nan_in_the_data_is_found_in_the_input() {
    let [train, _] = iris();
    let train = Spoilt { dataset: train, sample: 77, mistake: Mistake::NanFeature };
    for micro in [32, 8] {
        let (net, params) = noisy_net();
        let trainer = Trainer::new(net, params).batch(32).micro_batch(micro).epochs(1);
        let found = non_finite(trainer.fit(&train).expect_err("there is NaN in it"));
        assert_eq!((found.op, found.path.as_str()), ("input", "features"));
        assert!(
            !found.to_string().contains("learning rate"),
            "no rate helps against NaN in the data: {found}"
        );
    }
    let values = Spoilt { dataset: points(&[[1.0, 1.0]; 8]), sample: 3, mistake: Mistake::NanValue };
    let (net, params) = crate::common::line();
    let found = non_finite(Trainer::new(net, params).fit(&values).expect_err("there is NaN in it"));
    assert_eq!((found.op, found.path.as_str()), ("input", "values"));
}

#[test]
fn nothing_was_updated() {
    for micro_batches in [false, true] {
        let (net, params) = noisy_net();
        let graph = params.graph(Mode::Train);
        let x = graph.input("features", Shape::of([8, 4]));
        let labels = graph.indices("labels", Shape::of([8]));
        let loss = cross_entropy(net.forward(x), labels);
        let optimizer = Sgd::new(0.1).momentum(0.9);
        let plan = graph.planner().loss(loss).optimizer(&optimizer).micro_batches(micro_batches);
        let mut session = Session::<f32>::new(plan.build().unwrap());
        params.initialize(&mut session, 1);
        // A good step first, so that there is a state to spoil.
        session.input(0).iter_mut().enumerate().for_each(|(i, x)| *x = (i % 5) as f32 - 2.0);
        session.step(&optimizer).unwrap();
        let state = |session: &Session<'_>| -> Vec<Vec<u32>> {
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect();
            let count = params.specs().len();
            let states = (0..count).map(|index| bits(session.optimizer_state(index)));
            session.parameters().map(|(_, values)| bits(values)).chain(states).collect()
        };
        let before = state(&session);
        session.input(0)[5] = f32::INFINITY;
        let error = session.step(&optimizer).expect_err("an input is infinite");
        let found = NonFinite { op: "input", path: "features".into(), step: 1 };
        assert_eq!(error, StepError::NonFinite(found));
        assert!(state(&session) == before, "with micro-batches: {micro_batches}");
        assert_eq!((session.steps(), session.updates()), (1, 1));
    }
}
