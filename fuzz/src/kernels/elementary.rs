//! Elementary functions of any bits.

use super::same_at_all_levels;
use crate::{Choices, Outcome};
use bantam_core::Context;
use bantam_kernels::{Span, functions, map};

/// Reads the bytes as a function and its arguments: fused roundings may differ by as much as two places.
pub fn check(bytes: &[u8]) -> Outcome {
    let choices = &mut Choices::new(bytes);
    let function = choices.below(7);
    let number =
        |choices: &mut Choices<'_>| f32::from_bits(u32::from_le_bytes([0; 4].map(|_: u8| choices.byte())));
    let mut x = vec![];
    while choices.any_left() {
        x.push(number(choices));
    }
    let apply = |cx: &Context<'_>| {
        let mut y = vec![0.0; x.len()];
        let span = Span::Separate(&x, &mut y);
        match function {
            0 => map(cx, functions::Exp, span),
            1 => map(cx, functions::Ln, span),
            2 => map(cx, functions::Tanh, span),
            3 => map(cx, functions::Sigmoid, span),
            4 => map(cx, functions::Erf, span),
            5 => map(cx, functions::Sin, span),
            _ => map(cx, functions::Cos, span),
        }
        y
    };
    // Only what is as large as one is compared absolutely.
    same_at_all_levels(&format!("function {function} of {x:?}"), |cx| {
        apply(cx).into_iter().map(|y| if y.abs() > 100.0 { y.abs().ln() } else { y }).collect()
    })
}
