//! Dropout whose mask is drawn again in the backward pass instead of saved.

use super::reals;
use crate::{Element, Io, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, Mode, NodeRef, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::random::{Key, Purpose};
use bantam_kernels::dropout;

/// Sets each element to zero with probability `rate` and divides the others by 1 − `rate` (Srivastava et al., 2014,
/// in the inverted form that leaves inference alone).
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// The probability of zero, in [0, 1).
    pub rate: f32,
    /// The number of the random stream: the same number draws the same mask within a step.
    pub stream: u64,
}

impl<T: Element> Op<T> for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x] = reals("dropout", inputs)?;
        if !(0.0..1.0).contains(&self.rate) {
            return Err(OpError::Setting {
                op: "dropout",
                rule: "a rate in [0, 1)",
                got: f64::from(self.rate),
            });
        }
        Ok(ValueType::real(x))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let key = Key::new(cx.seed, Purpose::Dropout).step(cx.step).node(self.stream);
        dropout(&cx.kernels, key, self.rate, io.span());
    }

    /// Linear, and its own transpose.
    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, _node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![dy.apply(*self).into()]
    }

    fn in_place(&self, _operand: usize) -> bool {
        true
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// Dropout when the graph is traced to [train](Mode::Train); the value itself otherwise.
    #[track_caller]
    pub fn dropout(self, rate: f32) -> Var<'g, T> {
        if self.graph.mode() == Mode::Infer || rate == 0.0 {
            return self;
        }
        let stream = self.graph.next_stream();
        self.apply(Dropout { rate, stream })
    }
}
