//! What a user sees while a run goes on: a bar in a terminal, a line per epoch everywhere.

use crate::print;
use crate::run_folder::Epoch;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shows how far a run is, on stderr.
pub struct Progress {
    epochs: u64,
    /// Only in a terminal.
    bar: Option<ProgressBar>,
    shown: Option<Instant>,
}

/// The numbers of the bar change this often at most: more cannot be read, and small networks take microseconds a step.
const REFRESH: Duration = Duration::from_millis(60);

impl Progress {
    /// A run of `epochs` epochs with `steps_per_epoch` steps each, of which `done` steps were made before.
    pub fn new(epochs: u64, steps_per_epoch: u64, done: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(epochs * steps_per_epoch).with_position(done);
            let template = "{msg}  [{bar:24}] {percent} %  {eta} left";
            bar.set_style(
                ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar())
                    .progress_chars("=> "),
            );
            bar.reset_eta();
            bar
        });
        Progress { epochs, bar, shown: None }
    }

    /// A batch was learned: `step` steps were made so far, in the epoch `epoch` (from 1). The loss and the share of
    /// right answers are those of the epoch so far.
    pub fn batch(&mut self, epoch: u64, step: u64, loss: f64, accuracy: f64, rate: f64) {
        let Some(bar) = &self.bar else { return };
        if self.shown.is_none_or(|shown| shown.elapsed() >= REFRESH) {
            self.shown = Some(Instant::now());
            bar.set_message(batch_text(epoch, self.epochs, loss, accuracy, rate));
            bar.set_position(step);
        }
    }

    /// An epoch ended: one line that stays.
    pub fn epoch(&mut self, epoch: &Epoch) {
        self.note(&epoch_line(epoch, self.epochs));
        if let Some(bar) = &self.bar {
            bar.set_position(epoch.step);
        }
    }

    /// Any other line that stays.
    pub fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| print::note(line)),
            None => print::note(line),
        }
    }
}

impl Drop for Progress {
    /// The bar goes, whatever the end was; the lines stay.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn batch_text(epoch: u64, epochs: u64, loss: f64, accuracy: f64, rate: f64) -> String {
    format!(
        "{} loss {loss:.4}  accuracy {:6.2} %  rate {rate:.1e}",
        epoch_text(epoch, epochs),
        accuracy * 100.0
    )
}

fn epoch_line(epoch: &Epoch, epochs: u64) -> String {
    format!(
        "{} loss {:.4}  accuracy {:6.2} %   validation: loss {:.4}  accuracy {:6.2} %   rate {:.1e}  {:.2} s",
        epoch_text(epoch.epoch, epochs),
        epoch.train_loss,
        epoch.train_accuracy * 100.0,
        epoch.validation_loss,
        epoch.validation_accuracy * 100.0,
        epoch.rate,
        epoch.seconds
    )
}

/// `epoch  3/20 `, as wide in every epoch.
fn epoch_text(epoch: u64, epochs: u64) -> String {
    let width = epochs.to_string().len();
    format!("epoch {epoch:width$}/{epochs} ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_complete() {
        let epoch = Epoch {
            epoch: 3,
            step: 69,
            rate: 0.003,
            train_loss: 0.12345,
            train_accuracy: 0.968,
            validation_loss: 0.11,
            validation_accuracy: 1.0,
            seconds: 0.4,
        };
        assert_eq!(
            epoch_line(&epoch, 20),
            "epoch  3/20  loss 0.1235  accuracy  96.80 %   validation: loss 0.1100  accuracy 100.00 %   rate 3.0e-3  0.40 s"
        );
        assert_eq!(
            batch_text(12, 20, 2.3, 0.1, 0.1),
            "epoch 12/20  loss 2.3000  accuracy  10.00 %  rate 1.0e-1"
        );
    }
}
