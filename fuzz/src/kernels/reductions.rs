//! Reductions along any axis, of no elements too.

use super::{Operand, same_at_all_levels, stream};
use crate::{Choices, Outcome};
use bantam_kernels::{Reduce, argmax, dot, reduce, sum_of_squares};

/// Reads the bytes as a kernel, its shape and how its operands are filled.
pub fn check(bytes: &[u8]) -> Outcome {
    let choices = &mut Choices::new(bytes);
    let random = &mut stream(choices);
    let (outer, n) = (choices.below(12), choices.below(70));
    let inner = if choices.below(2) == 0 { 1 } else { choices.below(30) };
    let x = Operand::new(choices, random, outer * n * inner);
    let other = Operand::new(choices, random, outer * n * inner);
    let old = Operand::new(choices, random, outer * inner);
    let accumulate = choices.below(2) == 0;
    let way = choices.below(7);
    same_at_all_levels(&format!("{outer}×{n}×{inner}, way {way}"), |cx| {
        let kinds = [Reduce::Sum, Reduce::Mean, Reduce::Max, Reduce::Min, Reduce::Product];
        match (kinds.get(way), way) {
            (Some(kind), _) => {
                old.changed(|out| reduce(cx, *kind, outer, n, inner, x.get(), out, accumulate))
            }
            (None, 5) => vec![dot(cx, x.get(), other.get()), sum_of_squares(cx, x.get())],
            _ => {
                let mut places = vec![0; outer * inner];
                argmax(cx, outer, n, inner, x.get(), &mut places);
                places.iter().map(|place| *place as f32).collect()
            }
        }
    })
}
