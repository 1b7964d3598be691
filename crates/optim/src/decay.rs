//! Weight decay as a link of a chain.

use crate::Transform;
use crate::update::{check_not_negative, decay_of};
use bantam_core::{InvalidSetting, UpdateContext};
use bantam_kernels::Element;

/// Adds λ·θ to the updates: u ← u + λ·θ.
///
/// Before a rule it is L2 regularisation, after it decoupled weight decay. Biases and gains (tensors of rank 0 and 1)
/// are left out by default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecayWeights {
    /// λ.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
}

impl DecayWeights {
    /// Decay of all but biases and gains.
    pub const fn new(weight_decay: f64) -> DecayWeights {
        DecayWeights { weight_decay, decay_biases: false }
    }

    /// Whether tensors of rank 0 and 1 are decayed too.
    #[must_use]
    pub const fn decay_biases(mut self, decay: bool) -> DecayWeights {
        self.decay_biases = decay;
        self
    }
}

impl<T: Element> Transform<T> for DecayWeights {
    fn validate(&self) -> Result<(), InvalidSetting> {
        check_not_negative("weight_decay", self.weight_decay)
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &[T], updates: &mut [T], _state: &mut [T]) {
        let decay = decay_of(cx, self.weight_decay, self.decay_biases);
        if decay != 0.0 {
            bantam_kernels::axpy(&cx.context, T::from_f64(decay), parameter, updates);
        }
    }
}
