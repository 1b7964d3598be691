//! The seam between an optimizer and whoever owns parameters and gradients.

use crate::{Context, Real, Shape};
use core::fmt;

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
    /// The Euclidean norm of all gradients taken together; present if the optimizer [needs
    /// it](Optimizer::needs_global_norm). Without it a rule that needs it takes the gradient it is given for all
    /// there is.
    pub global_norm: Option<f64>,
}

impl UpdateContext<'static> {
    /// For parameters that are a single slice, in the best way that this CPU has on the calling thread.
    pub fn new(step: u64, shape: impl Into<Shape>) -> UpdateContext<'static> {
        let shape = shape.into();
        UpdateContext { context: Context::default(), step, index: 0, shape, global_norm: None }
    }
}

/// A hyper-parameter that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidSetting {
    /// Its name, as in the code.
    pub setting: &'static str,
    /// Its value.
    pub found: f64,
    /// What it should be, such as "at least 0".
    pub expected: &'static str,
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} should be {}, found {}", self.setting, self.expected, self.found)
    }
}

impl core::error::Error for InvalidSetting {}

/// A rule that turns gradients into new parameters, one tensor at a time, over plain slices.
///
/// It owns no tensor and no state: the caller lends `state`, so that the memory is known before anything runs, can
/// lie in a static array, and is saved with the parameters. `bantam-optim` has the named rules.
pub trait Optimizer<T: Real> {
    /// How many elements of state a parameter tensor of `parameter_len` elements needs. All zeros is the first state.
    fn state_len(&self, parameter_len: usize) -> usize;

    /// How many elements of state parameter tensor number `index` with this shape needs: what whoever reserves memory
    /// asks. By default its length decides; rules that treat matrices or single tensors differently say more here.
    fn state_len_for(&self, index: usize, shape: Shape) -> usize {
        let _ = index;
        self.state_len(shape.len())
    }

    /// How many gradients of the same batch make one update: 1 for most rules, 2 for those that look at a second
    /// point before they move, such as sharpness-aware minimisation. Each of them is one call of
    /// [`update`](Self::update), and [`UpdateContext::step`] counts calls.
    fn gradients_per_update(&self) -> u64 {
        1
    }

    /// Whether the parameters to evaluate are others than those that are trained, such as an average over time.
    fn evaluates_elsewhere(&self) -> bool {
        false
    }

    /// Turns a copy of the trained `parameter` into the one to evaluate. `cx.step` is the number of updates so far.
    fn evaluation(&self, cx: &UpdateContext<'_>, parameter: &mut [T], state: &[T]) {
        let _ = (cx, parameter, state);
    }

    /// Whether [`UpdateContext::global_norm`] must be known. If so, every gradient has to be complete before the
    /// first update, which costs the memory of all gradients at once.
    fn needs_global_norm(&self) -> bool {
        false
    }

    /// Whether any part of a tensor can be updated alone, with the same result: true for rules that keep no state and treat
    /// every element on its own. Such a rule never needs a whole gradient at once; [`update`](Self::update) is then given
    /// parts of `parameter` and `gradient` under the shape of the whole.
    fn updates_parts(&self) -> bool {
        false
    }

    /// Checks the hyper-parameters; whoever trains calls it once, before the first step. A rule with settings that
    /// make no sense still computes something.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    fn validate(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    /// The learning rate used for step `step`, to be shown and recorded; `None` if the rule has none.
    fn learning_rate(&self, _step: u64) -> Option<f32> {
        None
    }

    /// Passes the length of the run on to the [schedules](crate::Schedule::set_run_length) inside.
    fn set_run_length(&mut self, _steps: u64, _steps_per_epoch: u64) {}

    /// Passes the loss that is watched, after each epoch, on to the [schedules](crate::Schedule::observe) inside.
    fn observe(&mut self, _loss: f64) {}

    /// Updates `parameter` in place from its `gradient`. `gradient` may be used as scratch: its content is lost.
    ///
    /// `parameter` and `gradient` have the same length, that of `cx.shape` (or less, see
    /// [`updates_parts`](Self::updates_parts)), and `state` has
    /// [`state_len_for`](Self::state_len_for)`(cx.index, cx.shape)` elements.
    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]);
}

#[cfg(feature = "alloc")]
impl<T: Real, O: Optimizer<T> + ?Sized> Optimizer<T> for alloc::boxed::Box<O> {
    fn state_len(&self, parameter_len: usize) -> usize {
        (**self).state_len(parameter_len)
    }

    fn state_len_for(&self, index: usize, shape: Shape) -> usize {
        (**self).state_len_for(index, shape)
    }

    fn gradients_per_update(&self) -> u64 {
        (**self).gradients_per_update()
    }

    fn evaluates_elsewhere(&self) -> bool {
        (**self).evaluates_elsewhere()
    }

    fn evaluation(&self, cx: &UpdateContext<'_>, parameter: &mut [T], state: &[T]) {
        (**self).evaluation(cx, parameter, state);
    }

    fn needs_global_norm(&self) -> bool {
        (**self).needs_global_norm()
    }

    fn updates_parts(&self) -> bool {
        (**self).updates_parts()
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        (**self).validate()
    }

    fn learning_rate(&self, step: u64) -> Option<f32> {
        (**self).learning_rate(step)
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        (**self).set_run_length(steps, steps_per_epoch);
    }

    fn observe(&mut self, loss: f64) {
        (**self).observe(loss);
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]) {
        (**self).update(cx, parameter, gradient, state);
    }
}
