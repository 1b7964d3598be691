//! The seam between a schedule and whoever asks it for a value.

/// A pure function of the step: a learning rate, a momentum, a dropout rate over time.
///
/// Being pure is what makes a run resumable: nothing but the step has to be saved. A number is a constant schedule
/// and any `Fn(u64) -> f32` is one too; the named ones are in `bantam-schedule`.
///
/// ```
/// use bantam_core::Schedule;
/// let halves_every_ten = |step: u64| 0.1 * 0.5_f32.powi((step / 10) as i32);
/// assert_eq!(halves_every_ten.at(25), 0.025);
/// assert_eq!(0.01.at(25), 0.01);
/// ```
pub trait Schedule {
    /// The value used for step `step`; the first step is 0.
    fn at(&self, step: u64) -> f32;

    /// Tells a schedule that spans the run how long the run is, in steps, and how many of them make an epoch; whoever
    /// trains calls it once, before the first step. What was set by hand stays as it is, and most schedules have
    /// nothing to learn here.
    fn set_run_length(&mut self, _steps: u64, _steps_per_epoch: u64) {}
}

impl Schedule for f32 {
    fn at(&self, _step: u64) -> f32 {
        *self
    }
}

impl<F: Fn(u64) -> f32> Schedule for F {
    fn at(&self, step: u64) -> f32 {
        self(step)
    }
}
