//! Learning rates as the history tells them: per step, per epoch, and over a run whose length the trainer tells.

use crate::common::{iris, plain_net};
use bantam_core::Schedule;
use bantam_data::Dataset;
use bantam_optim::Sgd;
use bantam_schedule::{Cosine, PerEpoch, Step};
use bantam_train::Trainer;

/// The rates of the last step of each of six epochs of four steps.
fn rates(schedule: impl Schedule) -> Vec<f32> {
    let train = iris()[0].clone().rows(0..100).unwrap();
    let (net, params) = plain_net();
    let trainer = Trainer::new(net, params).optimizer(Sgd::new(schedule)).batch(32).epochs(6);
    trainer.fit(&train).unwrap().history.iter().map(|record| record.learning_rate.unwrap()).collect()
}

#[test]
fn a_schedule_counts_steps() {
    let expected: Vec<f32> = (1..=6).map(|epoch| (4 * epoch - 1) as f32 * 1e-3).collect();
    assert_eq!(rates(|step: u64| step as f32 * 1e-3), expected);
}

#[test]
fn per_epoch_counts_epochs() {
    assert_eq!(rates(PerEpoch::new(Step::new(0.1, 0.5, 2))), [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]);
}

#[test]
fn schedules_that_span_the_run_are_told_its_length() {
    let by_hand = Cosine::new(0.1).steps(24);
    let expected: Vec<f32> = (1..=6).map(|epoch| by_hand.at(4 * epoch - 1)).collect();
    assert_eq!(rates(Cosine::new(0.1)), expected);
    assert!(expected[5] < 0.001 && expected[0] > 0.09);
}
