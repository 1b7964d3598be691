//! Where a run stands: everything besides the session's numbers that resuming needs.

use alloc::vec::Vec;
use core::fmt;

/// What an epoch came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochRecord {
    /// The epoch's number, from 1.
    pub epoch: u64,
    /// Updates made since the beginning of the run.
    pub steps: u64,
    /// The learning rate of the last update, if the optimizer has one.
    pub learning_rate: Option<f32>,
    /// The mean loss of the training batches, each measured before its update and with dropout on.
    pub train_loss: f64,
    /// The share of training samples predicted correctly, measured along with the loss; `None` for values.
    pub train_accuracy: Option<f64>,
    /// The mean loss on the validation data, if there is any.
    pub validation_loss: Option<f64>,
    /// The accuracy on the validation data, if there is any and classes are predicted.
    pub validation_accuracy: Option<f64>,
}

impl EpochRecord {
    /// What early stopping watches: the validation loss, or without validation data the training loss.
    pub fn watched(&self) -> f64 {
        self.validation_loss.unwrap_or(self.train_loss)
    }
}

impl fmt::Display for EpochRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {:>3}  loss {:.4}", self.epoch, self.train_loss)?;
        if let Some(accuracy) = self.train_accuracy {
            write!(f, "  accuracy {:6.2} %", 100.0 * accuracy)?;
        }
        if let Some(loss) = self.validation_loss {
            write!(f, "  validation loss {loss:.4}")?;
        }
        if let Some(accuracy) = self.validation_accuracy {
            write!(f, "  accuracy {:6.2} %", 100.0 * accuracy)?;
        }
        match self.learning_rate {
            Some(rate) => write!(f, "  rate {rate:.2e}"),
            None => Ok(()),
        }
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All epochs are done.
    Finished,
    /// Early stopping: no improvement for as many epochs as its patience.
    Early,
    /// The observer asked for it.
    Observer,
}

/// The best epoch so far and the parameters it ended with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Best {
    pub epoch: u64,
    pub watched: f64,
    pub parameters: Vec<Vec<f32>>,
}

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    /// Epochs completed.
    pub epoch: u64,
    /// Batches of the current epoch completed.
    pub batch: u64,
    /// Σ loss × samples over the current epoch.
    pub loss_sum: f64,
    /// Correct predictions in the current epoch.
    pub correct: u64,
    /// Samples seen in the current epoch.
    pub samples: u64,
    /// Epochs since the best one.
    pub stale: u64,
    pub history: Vec<EpochRecord>,
    pub best: Option<Best>,
}

/// What the run cannot be resumed without agreeing on.
#[cfg_attr(not(feature = "checkpoints"), expect(dead_code, reason = "only a checkpoint asks"))]
pub(crate) struct Identity {
    pub seed: u64,
    pub batch: usize,
    pub micro_batch: usize,
    pub samples: usize,
    pub batches_per_epoch: usize,
}
