//! Losses: a single number from predictions and targets.

use bantam_autodiff::{Element, Var};

/// The mean cross-entropy in nats of logits `[batch, classes]` and labels `[batch]` (class indices).
#[track_caller]
pub fn cross_entropy<'g, T: Element>(logits: Var<'g, T>, labels: Var<'g, T>) -> Var<'g, T> {
    logits.cross_entropy(labels)
}

/// The mean squared error over all elements of predictions and targets of one shape.
#[track_caller]
pub fn mean_squared_error<'g, T: Element>(prediction: Var<'g, T>, target: Var<'g, T>) -> Var<'g, T> {
    prediction.mean_squared_error(target)
}
