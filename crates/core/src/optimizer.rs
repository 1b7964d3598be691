//! The seam between an optimizer and whoever owns parameters and gradients.

use crate::{Context, Real, Shape};

/// What an optimizer may know of the step and of the parameter tensor it is asked to update.
#[derive(Clone, Copy)]
pub struct UpdateContext<'a> {
    /// Where to run.
    pub context: Context<'a>,
    /// The number of updates made before this one: 0 for the first.
    pub step: u64,
    /// Which parameter tensor this is, in the order of declaration.
    pub index: usize,
    /// The shape of the parameter tensor. By convention tensors of rank 0 and 1 are biases and gains of
    /// normalisations, which weight decay leaves alone.
    pub shape: Shape,
    /// The Euclidean norm of all gradients taken together; present exactly if the optimizer
    /// [needs it](Optimizer::needs_global_norm).
    pub global_norm: Option<f64>,
}

/// A rule that turns gradients into new parameters, one tensor at a time, over plain slices.
///
/// It owns no tensor and no state: the caller lends `state`, so that the memory is known before anything runs, can lie
/// in a static array, and is saved with the parameters. `bantam-optim` has the named rules.
pub trait Optimizer<T: Real> {
    /// How many elements of state a parameter tensor of `parameter_len` elements needs. All zeros is the first state.
    fn state_len(&self, parameter_len: usize) -> usize;

    /// Whether [`UpdateContext::global_norm`] must be known. If so, every gradient has to be complete before the first
    /// update, which costs the memory of all gradients at once.
    fn needs_global_norm(&self) -> bool {
        false
    }

    /// The learning rate used for step `step`, to be shown and recorded; `None` if the rule has none.
    fn learning_rate(&self, _step: u64) -> Option<f32> {
        None
    }

    /// Passes the length of the run on to the [schedules](crate::Schedule::set_run_length) inside.
    fn set_run_length(&mut self, _steps: u64, _steps_per_epoch: u64) {}

    /// Updates `parameter` in place from its `gradient`. `gradient` may be used as scratch: its content is lost.
    ///
    /// `parameter` and `gradient` have the same length n, and `state` has [`state_len`](Self::state_len)`(n)` elements.
    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]);
}
