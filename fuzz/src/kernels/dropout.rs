//! Dropout: the mask must not depend on the level.

use super::{Operand, same_at_all_levels, stream};
use crate::{Choices, Outcome};
use bantam_core::random::{Key, Purpose};
use bantam_kernels::{Span, dropout};

/// Reads the bytes as a kernel, its shape and how its operands are filled.
pub fn check(bytes: &[u8]) -> Outcome {
    let choices = &mut Choices::new(bytes);
    let random = &mut stream(choices);
    // Now and then more than a task's worth.
    let len = choices.below(200) + if choices.below(16) == 0 { 40_000 } else { 0 };
    let x = Operand::new(choices, random, len);
    let key = Key::new(u64::from(choices.byte()), Purpose::Dropout).step(u64::from(choices.byte()));
    let rates = [0.0, 1e-9, 0.1, 0.5, 0.9, 0.999_999_9, 1.0, -1.0, 2.0, f32::NAN];
    let rate = rates[choices.below(rates.len())];
    same_at_all_levels(&format!("{len} elements, rate {rate}"), |cx| {
        x.changed(|y| dropout(cx, key, rate, Span::InPlace(y)))
    })
}
