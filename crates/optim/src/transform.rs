//! Rules made of rules.

use bantam_core::{InvalidSetting, Optimizer, Real, UpdateContext};

/// One link of a chain: turns updates into other updates, in place.
///
/// The first link receives the gradient. Updates point uphill, as the gradient does; the optimizer at the end of the
/// chain subtracts them. A tuple of up to four transforms is a transform: its state is that of the links, one after
/// the other.
pub trait Transform<T: Real> {
    /// How many elements of state a parameter tensor of `parameter_len` elements needs. All zeros is the first state.
    fn state_len(&self, parameter_len: usize) -> usize {
        let _ = parameter_len;
        0
    }

    /// Whether [`UpdateContext::global_norm`] must be known.
    fn needs_global_norm(&self) -> bool {
        false
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that makes no sense.
    fn validate(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    /// Turns `updates` into other updates. All slices have the same length n, except `state`, which has
    /// [`state_len`](Self::state_len)`(n)` elements.
    fn update(&self, cx: &UpdateContext<'_>, parameter: &[T], updates: &mut [T], state: &mut [T]);
}

/// A chain: `transforms` (one, or a tuple of them) turn the gradient into updates, `optimizer` takes these for its
/// gradient.
///
/// ```
/// use bantam_optim::{ClipByValue, Momentum, Sgd, chain};
/// let optimizer = chain((ClipByValue(1.0), Momentum::new(0.9)), Sgd::new(0.01));
/// # let _ = optimizer;
/// ```
pub const fn chain<F, O>(transforms: F, optimizer: O) -> Chain<F, O> {
    Chain { transforms, optimizer }
}

/// A transform, then an optimizer that sees the updates as its gradient. Made by [`chain`].
///
/// Its state is the transform's, then the optimizer's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chain<F, O> {
    /// What happens to the gradient first.
    pub transforms: F,
    /// What then moves the parameters.
    pub optimizer: O,
}

/// The first `len` elements, or as many as there are, and the rest.
fn split<T>(state: &mut [T], len: usize) -> (&mut [T], &mut [T]) {
    let len = len.min(state.len());
    state.split_at_mut(len)
}

impl<T: Real, F: Transform<T>, O: Optimizer<T>> Optimizer<T> for Chain<F, O> {
    fn state_len(&self, parameter_len: usize) -> usize {
        self.transforms.state_len(parameter_len) + self.optimizer.state_len(parameter_len)
    }

    fn needs_global_norm(&self) -> bool {
        self.transforms.needs_global_norm() || self.optimizer.needs_global_norm()
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        self.transforms.validate()?;
        self.optimizer.validate()
    }

    fn learning_rate(&self, step: u64) -> Option<f32> {
        self.optimizer.learning_rate(step)
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        self.optimizer.set_run_length(steps, steps_per_epoch);
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]) {
        let (first, rest) = split(state, self.transforms.state_len(parameter.len()));
        self.transforms.update(cx, parameter, gradient, first);
        self.optimizer.update(cx, parameter, gradient, rest);
    }
}

macro_rules! tuple {
    ($($link:ident $at:tt),+) => {
        impl<T: Real, $($link: Transform<T>),+> Transform<T> for ($($link,)+) {
            fn state_len(&self, parameter_len: usize) -> usize {
                0 $(+ self.$at.state_len(parameter_len))+
            }

            fn needs_global_norm(&self) -> bool {
                false $(|| self.$at.needs_global_norm())+
            }

            fn validate(&self) -> Result<(), InvalidSetting> {
                $(self.$at.validate()?;)+
                Ok(())
            }

            fn update(&self, cx: &UpdateContext<'_>, parameter: &[T], updates: &mut [T], state: &mut [T]) {
                let rest = state;
                $(
                    let (own, rest) = split(rest, self.$at.state_len(parameter.len()));
                    self.$at.update(cx, parameter, updates, own);
                )+
                debug_assert!(rest.is_empty(), "more state than state_len says");
            }
        }
    };
}
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
