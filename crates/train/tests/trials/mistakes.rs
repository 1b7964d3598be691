//! Mistakes of the user: each is an error that says what is wrong, before anything is trained.

use crate::common::{Counted, Mistake, Spoilt, iris, noisy_net, plain_net, points};
use bantam_core::Shape;
use bantam_data::{Dataset, InMemory, Rows, Target};
use bantam_nn::{Activation, Conv2d, Flatten, Linear, Params, Sequential, loss::cross_entropy};
use bantam_optim::{AdamW, Sgd};
use bantam_tensor::Tensor;
use bantam_train::{Error, Network, Trainer};
use core::cell::{Cell, RefCell};
use core::ops::ControlFlow;

/// The error of a run that must not begin: no event is told, and no sample is read.
fn refused(trainer: Trainer<'_>, data: impl Dataset) -> Error {
    let data = Counted::new(data);
    let events = Cell::new(0);
    let outcome = trainer.fit_observed(&data, |_| {
        events.set(events.get() + 1);
        ControlFlow::Continue(())
    });
    assert_eq!(events.get(), 0, "the run began");
    assert!(data.reads.iter().all(|reads| reads.get() == 0), "data was read");
    outcome.expect_err("this cannot be trained")
}

fn plain<'a>() -> Trainer<'a> {
    let (net, params) = plain_net();
    Trainer::new(net, params)
}

fn train() -> impl Dataset + Clone {
    let [train, _] = iris();
    train
}

/// A data set without samples, which no constructor here would make.
#[derive(Clone)]
struct Empty(Shape);

impl Dataset for Empty {
    fn len(&self) -> usize {
        0
    }

    fn features(&self) -> Shape {
        self.0
    }

    fn target(&self) -> Target {
        Target::Classes(3)
    }

    fn write_features(&self, index: usize, _: &mut [f32]) -> Result<(), bantam_data::Error> {
        Err(bantam_data::Error::Index { index, len: 0 })
    }
}

#[test]
fn no_samples_and_no_batch() {
    let empty = Empty(Shape::of([4]));
    assert!(matches!(refused(plain(), empty.clone()), Error::Data(bantam_data::Error::NoRows)));
    assert!(matches!(refused(plain().validate(&empty), train()), Error::Data(bantam_data::Error::NoRows)));
    assert!(matches!(refused(plain().batch(0), train()), Error::Data(bantam_data::Error::ZeroBatch)));
    let too_large = refused(plain().batch(500).drop_last(true), train());
    assert_eq!(too_large.to_string(), "a batch of 500 samples is never complete with 120 samples");
}

#[test]
fn a_micro_batch_must_divide_the_batch() {
    for micro in [0, 3, 64] {
        let error = refused(plain().batch(32).micro_batch(micro), train());
        assert_eq!(error.to_string(), "the micro-batch must be at least 1 and a divisor of the batch");
    }
}

#[test]
fn an_optimizer_with_settings_that_make_no_sense() {
    let error = refused(plain().optimizer(Sgd::new(0.1).momentum(1.5)), train());
    assert!(matches!(error, Error::Optimizer(_)));
    assert!(error.to_string().contains("momentum") && error.to_string().contains("1.5"), "{error}");
}

#[test]
fn layers_that_do_not_fit_name_path_and_numbers() {
    let mut params = Params::new();
    let net = Sequential::new()
        .then(Linear::new(params.at("hidden"), 4, 12))
        .then(Activation::Relu)
        .then(Linear::new(params.at("logits"), 10, 3));
    let message = refused(Trainer::new(net, params), train()).to_string();
    assert!(message.starts_with("logits: "), "{message}");
    assert!(message.contains("10 features, got 12 (shape [32, 12])"), "{message}");

    let mut params = Params::new();
    let net = Sequential::new().then(Conv2d::new(params.at("conv"), 1, 4, 3)).then(Flatten);
    let message = refused(Trainer::new(net, params), train()).to_string();
    assert!(message.starts_with("conv: ") && message.contains("[32, 4]"), "{message}");
}

#[test]
fn an_output_of_the_wrong_shape_names_both() {
    let mut params = Params::new();
    let net = Sequential::new().then(Linear::new(params.at("logits"), 4, 5));
    let error = refused(Trainer::new(net, params), train());
    assert_eq!(
        error.to_string(),
        "the data needs an output of shape [32, 3] for each batch, the model gives [32, 5]"
    );
}

#[test]
fn validation_data_must_be_like_the_training_data() {
    let digits = bantam_data::digits();
    let error = refused(plain().validate(&digits), train());
    assert_eq!(error.to_string(), "the network was made for samples of shape [4], the data has [1, 8, 8]");
    let features = Tensor::from_vec(vec![0.5; 8], Shape::of([2, 4])).unwrap();
    let more = InMemory::classification(features.clone(), vec![0, 4], 5).unwrap();
    let error = refused(plain().validate(&more), train());
    assert_eq!(
        error.to_string(),
        "the network was made to predict one of 3 classes, the data asks for one of 5 classes"
    );
    let values = InMemory::regression(features.clone(), features).unwrap();
    let error = refused(plain().validate(&values), train());
    assert!(error.to_string().ends_with("the data asks for values of shape [4]"), "{error}");
}

#[test]
fn a_last_batch_that_is_too_small_for_batch_normalisation() {
    let make = |batch: usize| {
        let (net, params) = noisy_net();
        Trainer::new(net, params).batch(batch).epochs(1)
    };
    let rows = |n: usize| train().rows(0..n).unwrap();
    let error = refused(make(32), rows(97));
    assert!(matches!(error, Error::LastBatch { rows: 1, .. }));
    let message = error.to_string();
    assert!(message.starts_with("norm: batch_norm needs at least 2 values per channel"), "{message}");
    assert!(
        message.contains("the last batch of each epoch") && message.contains("drop the last"),
        "{message}"
    );
    // The same for a part of a batch.
    assert!(matches!(refused(make(32).micro_batch(8), rows(105)), Error::LastBatch { rows: 1, .. }));
    assert!(make(32).prepare(&rows(97)).is_err());
    // What the message proposes helps.
    assert!(make(31).fit(&rows(97)).is_ok());
    assert!(make(32).drop_last(true).fit(&rows(97)).is_ok());
    // A batch of one is no matter of the last batch.
    assert!(matches!(refused(make(1), rows(97)), Error::Graph(_)));
}

#[test]
fn labels_and_samples_that_the_data_gets_wrong() {
    let spoilt = |mistake| Spoilt { dataset: train(), sample: 77, mistake };
    let error = plain().fit(&spoilt(Mistake::Label(3))).expect_err("there are three classes");
    assert!(
        matches!(error, Error::Data(bantam_data::Error::Label { row: 77, label: 3, classes: 3 })),
        "{error}"
    );
    let error = plain().fit(&spoilt(Mistake::Unreadable)).expect_err("a sample cannot be read");
    assert_eq!(error.to_string(), "the card was removed");
}

#[test]
fn evaluating_other_data() {
    let (net, params) = plain_net();
    let mut network = Network::new(net, params, cross_entropy, &train(), 1).unwrap();
    assert!(matches!(network.evaluate(&bantam_data::digits()), Err(Error::Features { .. })));
    assert!(matches!(network.evaluate(&points(&[[1.0, 2.0]])), Err(Error::Features { .. })));
    let features = Tensor::from_vec(vec![0.5; 8], Shape::of([2, 4])).unwrap();
    let values = InMemory::regression(features.clone(), features).unwrap();
    assert!(matches!(network.evaluate(&values), Err(Error::Target { .. })));
    // Predicting asks for no targets.
    assert!(network.predict(&values, |_, _| ()).is_ok());
    assert!(matches!(network.evaluate(&Empty(Shape::of([4]))), Err(Error::Data(bantam_data::Error::NoRows))));
}

/// The checkpoint after one epoch of a small network.
fn checkpoint() -> Vec<u8> {
    let content = RefCell::new(Vec::new());
    let trainer = plain().seed(1).batch(16).epochs(1).checkpoint(|bytes| {
        *content.borrow_mut() = bytes.to_vec();
        Ok(())
    });
    trainer.fit(&train()).unwrap();
    content.into_inner()
}

#[test]
fn a_checkpoint_of_another_model_names_path_and_shapes() {
    let resume = |net: Sequential, params: Params| {
        let trainer = Trainer::new(net, params).seed(1).batch(16).resume(checkpoint());
        refused(trainer, train()).to_string()
    };
    let mut params = Params::new();
    let net = Sequential::new()
        .then(Linear::new(params.at("hidden"), 4, 8))
        .then(Activation::Tanh)
        .then(Linear::new(params.at("logits"), 8, 3));
    assert_eq!(
        resume(net, params),
        "hidden.weight: the model has [8, 4], but [12, 4] was saved; they belong to different models"
    );
    let mut params = Params::new();
    let net = Sequential::new().then(Linear::new(params.at("logits"), 4, 3));
    assert_eq!(
        resume(net, params),
        "hidden.weight: the model has nothing, but [12, 4] was saved; they belong to different models"
    );
    let mut params = Params::new();
    let net = Sequential::new()
        .then(Linear::new(params.at("hidden"), 4, 12))
        .then(Activation::Tanh)
        .then(Linear::new(params.at("middle"), 12, 12))
        .then(Linear::new(params.at("logits"), 12, 3));
    assert_eq!(
        resume(net, params),
        "middle.weight: the model has [12, 12], but nothing was saved; they belong to different models"
    );
}

#[test]
fn a_checkpoint_of_another_run_names_the_setting() {
    let resume =
        |trainer: Trainer<'_>, data: Rows<_>| refused(trainer.resume(checkpoint()), data).to_string();
    let all = || train().rows(0..120).unwrap();
    let other = "it belongs to another run";
    assert_eq!(
        resume(plain().seed(2).batch(16), all()),
        format!("this run has seed 2, the checkpoint 1; {other}")
    );
    assert_eq!(
        resume(plain().seed(1).batch(8), all()),
        format!("this run has batch 8, the checkpoint 16; {other}")
    );
    assert_eq!(
        resume(plain().seed(1).batch(16).micro_batch(8), all()),
        format!("this run has micro-batch 8, the checkpoint 16; {other}")
    );
    assert_eq!(
        resume(plain().seed(1).batch(16), train().rows(0..119).unwrap()),
        format!("this run has training samples 119, the checkpoint 120; {other}")
    );
    assert_eq!(
        resume(plain().seed(1).batch(16).drop_last(true), all()),
        format!("this run has batches per epoch 7, the checkpoint 8; {other}")
    );
    // Another optimizer has another state.
    let message = resume(plain().seed(1).batch(16).optimizer(Sgd::new(0.1)), all());
    assert!(
        message.starts_with("optimizer/hidden.weight: the model has [0], but [96] was saved"),
        "{message}"
    );
    // The same run goes on.
    assert!(plain().seed(1).batch(16).optimizer(AdamW::default()).resume(checkpoint()).fit(&train()).is_ok());
    assert!(plain().resume(b"no checkpoint".to_vec()).fit(&train()).is_err());
}
