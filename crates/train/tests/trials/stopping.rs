//! Early stopping: when it ends a run, and what it goes back to.

use crate::common::{bits, line, points, saved_bits};
use bantam_core::Schedule;
use bantam_optim::Sgd;
use bantam_train::{Stop, Trained, Trainer};
use core::cell::RefCell;

/// Training pulls the line to y = 2x, and on its way it passes y = x: the validation loss falls, then rises.
const TRAIN: [[f32; 2]; 4] = [[1.0, 2.0], [-1.0, -2.0], [1.0, 2.0], [-1.0, -2.0]];
const VALIDATION: [[f32; 2]; 2] = [[1.0, 1.0], [-1.0, -1.0]];

/// The epochs after which early stopping ends the run, and the best of them, by the book.
fn by_the_book(losses: &[f64], patience: usize, min_delta: f64) -> (usize, u64) {
    let (mut lowest, mut best) = (f64::INFINITY, 0);
    for (epoch, loss) in (1..).zip(losses) {
        if *loss < lowest - min_delta {
            (lowest, best) = (*loss, epoch);
        }
        if epoch - best == patience {
            return (epoch, best as u64);
        }
    }
    (losses.len(), best as u64)
}

struct Run {
    trained: Trained<'static>,
    checkpoints: Vec<Vec<u8>>,
}

fn run(rate: impl Schedule + 'static, validate: bool, early: Option<(u64, f64, bool)>) -> Run {
    let train: &'static _ = Box::leak(Box::new(points(&TRAIN)));
    let validation: &'static _ = Box::leak(Box::new(points(&VALIDATION)));
    let checkpoints: &'static RefCell<Vec<Vec<u8>>> = Box::leak(Box::default());
    let (net, params) = line();
    let mut trainer = Trainer::new(net, params).optimizer(Sgd::new(rate)).batch(4).epochs(60).seed(1);
    if validate {
        trainer = trainer.validate(validation);
    }
    if let Some((patience, min_delta, restore_best)) = early {
        trainer = trainer.stop_early_with(patience, min_delta, restore_best);
    }
    let trainer = trainer.checkpoint(|content| {
        checkpoints.borrow_mut().push(content.to_vec());
        Ok(())
    });
    let trained = trainer.fit(train).unwrap();
    Run { trained, checkpoints: checkpoints.take() }
}

/// Holds early stopping to the book for several patiences and least improvements.
fn holds(rate: impl Schedule + Copy + 'static, validate: bool) {
    let whole = run(rate, validate, None).trained;
    let losses: Vec<f64> = whole.history.iter().map(|record| record.watched()).collect();
    assert_eq!(losses.len(), 60);
    let mut ends = Vec::new();
    for (patience, min_delta) in [(1, 0.0), (3, 0.0), (10, 0.0), (3, 0.01), (3, 0.05), (70, 0.0)] {
        for restore_best in [true, false] {
            let Run { trained, checkpoints } = run(rate, validate, Some((patience, min_delta, restore_best)));
            let (epochs, best) = by_the_book(&losses, patience as usize, min_delta);
            assert_eq!(trained.history.len(), epochs, "patience {patience}, min_delta {min_delta}");
            assert_eq!(trained.best_epoch, best);
            assert_eq!(trained.stop, if epochs < 60 { Stop::Early } else { Stop::Finished });
            // What is to be gone back to is what the checkpoint of that epoch says, to the bit.
            let kept = if restore_best { best as usize } else { epochs };
            assert_eq!(bits(&trained.network), saved_bits(&checkpoints[kept - 1], &trained));
            ends.push(epochs);
        }
    }
    ends.dedup();
    assert!(ends.len() >= 4, "the cases differ in nothing: {ends:?}");
}

#[test]
fn the_validation_loss_is_watched() {
    holds(0.03, true);
}

#[test]
fn without_validation_the_training_loss_is_watched() {
    // From step 15 on the rate is so high that the line overshoots further each time.
    holds(|step: u64| if step < 15 { 0.05 } else { 1.05 }, false);
}

#[test]
fn a_report_tells_best_and_last() {
    let report = run(0.03, true, Some((3, 0.0, true))).trained.to_string();
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines.len(), 3, "{report}");
    assert!(lines[0].starts_with("best: epoch") && lines[1].starts_with("last: epoch"), "{report}");
    assert!(lines[2].starts_with("stopped early: no more improvement after"), "{report}");
}
