//! Batches: accumulated ones, incomplete ones, dropped ones.

use crate::common::{Counted, iris, plain_net};
use bantam_data::Dataset;
use bantam_optim::Sgd;
use bantam_train::Trainer;
use core::cell::Cell;

#[test]
fn accumulated_gradients_are_those_of_the_whole_batch() {
    // Seven batches of 16, the last of 14: micro-batches of 4, 4, 4 and 2.
    let train = iris()[0].clone().rows(0..110).unwrap();
    let run = |micro: usize| {
        let (net, params) = plain_net();
        let trainer = Trainer::new(net, params).optimizer(Sgd::new(0.1)).batch(16).micro_batch(micro);
        trainer.epochs(1).seed(2).fit(&train).unwrap()
    };
    let whole = run(16);
    for micro in [1, 4, 8] {
        let parts = run(micro);
        assert_eq!(parts.history[0].steps, 7);
        // Two orders of adding 16 terms differ by at most 2·16·2⁻²⁴ of the sum of their sizes. A term is an input (at
        // most 3 standard deviations) times an error (at most 1): 6e-6 in a gradient, 4e-6 after seven steps at rate
        // 0.1, and twice that if every step amplifies what the earlier ones brought in. Equal weights for the unequal
        // part would be off by a thousand times as much.
        let tolerance = 8e-6;
        for ((path, _, whole), (_, _, parts)) in whole.network.parameters().zip(parts.network.parameters()) {
            for (whole, parts) in whole.iter().zip(parts) {
                assert!((whole - parts).abs() <= tolerance, "{path}: {whole} and {parts} by {micro}");
            }
        }
        let (a, b) = (whole.history[0].train_loss, parts.history[0].train_loss);
        assert!((a - b).abs() <= 1e-5, "{a} and {b}");
        assert_eq!(whole.history[0].train_accuracy, parts.history[0].train_accuracy);
    }
}

#[test]
fn every_sample_is_learned_once_per_epoch() {
    for (rows, batch, micro, batches) in [(110, 16, 16, 7), (110, 16, 4, 7), (32, 16, 8, 2), (5, 16, 16, 1)] {
        let train = Counted::new(iris()[0].clone().rows(0..rows).unwrap());
        let (net, params) = plain_net();
        let told = Cell::new(0);
        let trainer = Trainer::new(net, params).batch(batch).micro_batch(micro).epochs(3);
        let trained = trainer
            .fit_observed(&train, |event| {
                told.set(told.get() + usize::from(matches!(event, bantam_train::Event::Batch { .. })));
                core::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert!(train.reads.iter().all(|reads| reads.get() == 3), "{rows} by {batch}");
        assert_eq!(told.get(), 3 * batches);
        assert_eq!(trained.history.last().unwrap().steps, 3 * batches as u64);
    }
}

#[test]
fn dropping_the_last_batch_leaves_it_out() {
    let train = Counted::new(iris()[0].clone().rows(0..110).unwrap());
    let (net, params) = plain_net();
    let trainer = Trainer::new(net, params).batch(16).micro_batch(4).drop_last(true).epochs(3);
    let trained = trainer.fit(&train).unwrap();
    assert_eq!(trained.history.last().unwrap().steps, 18);
    assert_eq!(train.reads.iter().map(Cell::get).sum::<usize>(), 3 * 96);
    // Others are left out in every epoch.
    assert!(train.reads.iter().filter(|reads| reads.get() == 3).count() < 96);
}

#[test]
fn the_loss_of_an_epoch_is_the_mean_over_its_samples() {
    // At a rate of 0 the parameters stand still, so the epoch must find what an evaluation finds, though its last batch
    // is smaller than the others and its parts are unequal.
    let train = iris()[0].clone().rows(0..110).unwrap();
    for micro in [16, 4] {
        let (net, params) = plain_net();
        let trainer =
            Trainer::new(net, params).optimizer(Sgd::new(|_: u64| 0.0)).batch(16).micro_batch(micro);
        let mut trained = trainer.epochs(1).fit(&train).unwrap();
        let evaluation = trained.network.evaluate(&train).unwrap();
        let record = trained.history[0];
        // Means of up to 256 numbers of size 1 in f32, then exact enough sums in f64.
        assert!((record.train_loss - evaluation.loss).abs() < 256.0 * 6e-8, "{record:?} {evaluation:?}");
        assert_eq!(record.train_accuracy, evaluation.accuracy);
    }
}
