//! A run that was interrupted ends with the same bits as one that was not, wherever that was; and what must not change
//! the bits does not: validation, threads.

use crate::common::{bits, iris, noisy_net};
use bantam_core::Context;
use bantam_data::Dataset;
use bantam_nn::{Activation, Conv2d, Flatten, Linear, MaxPool2d, Params, Sequential};
use bantam_optim::{AdamW, ClipByGlobalNorm, Sgd, chain};
use bantam_schedule::{Cosine, PerEpoch, Step, WarmUp};
use bantam_threads::Threads;
use bantam_train::{EpochRecord, Event, Stop, Trained, Trainer};
use core::{cell::RefCell, ops::ControlFlow};

/// What a run leaves behind.
#[derive(PartialEq, Debug)]
struct End {
    parameters: Vec<(String, Vec<u32>)>,
    history: Vec<EpochRecord>,
    best_epoch: u64,
    stop: Stop,
}

fn end(trained: &Trained<'_>) -> End {
    let Trained { network, history, best_epoch, stop } = trained;
    End { parameters: bits(network), history: history.clone(), best_epoch: *best_epoch, stop: *stop }
}

/// Runs to the end, or to batch number `interrupt` counted from the start or from where it resumes. Returns every
/// checkpoint that was written.
fn run(
    trainer: Trainer<'_>,
    data: &dyn Dataset,
    resume: Option<&[u8]>,
    interrupt: Option<usize>,
) -> (End, Vec<Vec<u8>>) {
    let written = RefCell::new(Vec::new());
    let mut trainer = trainer.checkpoint(|content| {
        written.borrow_mut().push(content.to_vec());
        Ok(())
    });
    if let Some(checkpoint) = resume {
        trainer = trainer.resume(checkpoint.to_vec());
    }
    let mut batches = 0;
    let trained = trainer.fit_observed(data, |event| {
        batches += usize::from(matches!(event, Event::Batch { .. }));
        match interrupt {
            Some(at) if batches >= at => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    let end = end(&trained.unwrap());
    (end, written.into_inner())
}

/// Interrupts a run in every way: resumes from every checkpoint of the whole run, from one after each batch, and a run
/// that is interrupted after each batch that it makes.
fn resumes<'a>(make: impl Fn() -> Trainer<'a>, data: &dyn Dataset) -> End {
    let (whole, checkpoints) = run(make(), data, None, None);
    let last = checkpoints.last().unwrap();
    for checkpoint in &checkpoints {
        let (end, written) = run(make(), data, Some(checkpoint), None);
        assert_eq!(end, whole);
        // The last checkpoint holds the optimizer's state and every counter too.
        assert_eq!(written.last().unwrap_or(checkpoint), last);
    }

    let (mut chain, mut batches) = (None, 0);
    loop {
        batches += 1;
        let (end, mut written) = run(make(), data, chain.as_deref(), Some(1));
        if end.stop != Stop::Observer {
            // The last batch ends the run although the observer wants to, too.
            assert_eq!(end, whole);
            assert_eq!(written.last(), Some(last));
            break;
        }
        let (one_break, _) = run(make(), data, written.last().map(Vec::as_slice), None);
        assert_eq!(one_break, whole, "resumed after batch {batches}");
        chain = written.pop();
    }
    let steps = whole.history.last().unwrap().steps;
    assert_eq!(batches as u64, steps);
    whole
}

#[test]
fn momentum_with_a_schedule_per_epoch() {
    let [train, validation] = iris();
    let whole = resumes(
        || {
            let (net, params) = noisy_net();
            Trainer::new(net, params)
                .optimizer(Sgd::new(PerEpoch::new(Step::new(0.1, 0.5, 2))).momentum(0.9).nesterov())
                .batch(32)
                .epochs(5)
                .seed(3)
                .validate(&validation)
        },
        &train,
    );
    assert_eq!((whole.stop, whole.history.len()), (Stop::Finished, 5));
}

#[test]
fn adamw_with_a_schedule_per_step_and_unequal_micro_batches() {
    let [train, validation] = iris();
    // 118 samples: the last batch has 22, in parts of 8, 8 and 6.
    let train = train.rows(0..118).unwrap();
    let whole = resumes(
        || {
            let (net, params) = noisy_net();
            Trainer::new(net, params)
                .optimizer(AdamW::default().rate(WarmUp::new(3, Cosine::new(0.03))))
                .batch(32)
                .micro_batch(8)
                .epochs(4)
                .seed(4)
                .validate(&validation)
        },
        &train,
    );
    assert_eq!((whole.stop, whole.history.len()), (Stop::Finished, 4));
}

#[test]
fn clipping_and_early_stopping_that_goes_back_to_the_best() {
    let [train, validation] = iris();
    let whole = resumes(
        || {
            let (net, params) = noisy_net();
            Trainer::new(net, params)
                // Far too high: the validation loss soon stops falling.
                .optimizer(chain(ClipByGlobalNorm(1.0), AdamW::default().rate(0.5)))
                .batch(40)
                .epochs(60)
                .seed(5)
                .validate(&validation)
                .stop_early(3)
        },
        &train,
    );
    assert_eq!(whole.stop, Stop::Early);
    assert_eq!(whole.history.len() as u64, whole.best_epoch + 3);
}

#[test]
fn more_patience_lets_a_stopped_run_go_on() {
    let [train, validation] = iris();
    let make = |patience| {
        let (net, params) = noisy_net();
        Trainer::new(net, params)
            .optimizer(AdamW::default().rate(0.5))
            .epochs(60)
            .validate(&validation)
            .stop_early(patience)
    };
    let (short, checkpoints) = run(make(2), &train, None, None);
    let (long, _) = run(make(6), &train, None, None);
    let (resumed, _) = run(make(6), &train, checkpoints.last().map(Vec::as_slice), None);
    assert_eq!(short.stop, Stop::Early);
    assert!(long.history.len() > short.history.len());
    assert_eq!(resumed, long);
}

#[test]
fn validation_changes_nothing() {
    let [train, validation] = iris();
    let make = || {
        let (net, params) = noisy_net();
        Trainer::new(net, params).batch(32).micro_batch(16).epochs(4).seed(8)
    };
    let with = make().validate(&validation).fit(&train).unwrap();
    let without = make().fit(&train).unwrap();
    assert_eq!(bits(&with.network), bits(&without.network));
    for (with, without) in with.history.iter().zip(&without.history) {
        assert_eq!(with.train_loss.to_bits(), without.train_loss.to_bits());
        assert!(with.validation_loss.is_some() && without.validation_loss.is_none());
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let digits = bantam_data::digits().rows(0..300).unwrap();
    let train = |threads: usize| {
        let threads = Threads::new(threads).unwrap();
        let mut params = Params::new();
        let net = Sequential::new()
            .then(Conv2d::new(params.at("conv"), 1, 16, 3).same())
            .then(Activation::Relu)
            .then(MaxPool2d::new(2))
            .then(Flatten)
            .then(Linear::new(params.at("hidden"), 16 * 4 * 4, 128))
            .then(Activation::Tanh)
            .then(Linear::new(params.at("logits"), 128, 10));
        let context = Context { executor: &threads, ..Context::default() };
        let trained = Trainer::new(net, params)
            .optimizer(chain(ClipByGlobalNorm(1.0), AdamW::default().rate(0.01)))
            .batch(64)
            .epochs(2)
            .context(context)
            .fit(&digits)
            .unwrap();
        end(&trained)
    };
    let one = train(1);
    for threads in [2, 3, 7] {
        assert_eq!(train(threads), one, "{threads} threads");
    }
}
