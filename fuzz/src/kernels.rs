//! Kernels of random shapes on numbers that need not be finite: with portable numerics every level of this CPU gives the bits of the plain
//! loops, wherever in memory the operands start; and fused roundings stay as near as they must. A family of kernels is a module, and a
//! fuzz target.

pub mod convolutions;
pub mod dropout;
pub mod elementary;
pub mod norms;
pub mod pools;
pub mod products;
pub mod reductions;
pub mod softmax;
pub mod strides;

use crate::{Choices, Outcome};
use bantam_core::random::{Key, Purpose, Stream, below, unit_f32};
use bantam_core::{Context, Inline, Level, Numerics};
use bantam_kernels::{Simd, SimdOp, run};

/// Whether what computes in a context is a level's vectors and not plain loops.
struct HasVectors;

impl SimdOp for HasVectors {
    type Output = bool;

    fn eval<S: Simd>(self, simd: S) -> bool {
        simd.single().is_none()
    }
}

/// Compares what `compute` gives at all levels. Rejected, if no vectors ran, or if there is no number to compare.
fn same_at_all_levels(what: &str, compute: impl Fn(&Context<'_>) -> Vec<f32>) -> Outcome {
    same_where_finite(what, false, compute)
}

/// The same where what is not finite `spreads` with fast numerics: to places where portable ones have numbers.
fn same_where_finite(what: &str, spreads: bool, compute: impl Fn(&Context<'_>) -> Vec<f32>) -> Outcome {
    let expected = compute(&Context::REFERENCE);
    let mut vectors = false;
    for level in Level::available() {
        let portable = Context { level, numerics: Numerics::Portable, executor: &Inline };
        let found = compute(&portable);
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(expected.iter().zip(&found).all(same), "{what} at {level:?}");
        vectors |= run(&portable, HasVectors);
        // Fused: other bits, but finite where those are, with numbers as small as here.
        let fused = compute(&Context { numerics: Numerics::Fast, ..portable });
        let alike = |(a, b): (&f32, &f32)| {
            spreads && !b.is_finite() || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-3 || a == b
        };
        assert!(expected.iter().zip(&fused).all(alike), "{what}, fused, at {level:?}");
    }
    if vectors && !expected.is_empty() { Outcome::Accepted } else { Outcome::Rejected }
}

/// Numbers behind an offset, so that they start anywhere in a vector; if so chosen, one of them is not finite.
struct Operand {
    numbers: Vec<f32>,
    offset: usize,
}

impl Operand {
    fn new(choices: &mut Choices<'_>, random: &mut Stream, len: usize) -> Operand {
        let offset = choices.below(16);
        let mut numbers: Vec<f32> = (0..offset + len).map(|_| unit_f32(random) - 0.5).collect();
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MIN_POSITIVE / 4.0];
        if len > 0 && choices.below(4) == 0 {
            numbers[offset + below(random, len as u32) as usize] = special[choices.below(special.len())];
        }
        Operand { numbers, offset }
    }

    /// Few different numbers, so that many are equal.
    fn rounded(mut self) -> Operand {
        self.numbers.iter_mut().for_each(|x| *x = (*x * 4.0).round());
        self
    }

    fn get(&self) -> &[f32] {
        &self.numbers[self.offset..]
    }

    /// What `write` makes of a copy of it, starting where it does.
    fn changed(&self, write: impl FnOnce(&mut [f32])) -> Vec<f32> {
        let mut copy = self.numbers.clone();
        write(&mut copy[self.offset..]);
        copy
    }
}

fn stream(choices: &mut Choices<'_>) -> Stream {
    Key::new(u64::from(choices.byte()), Purpose::User).stream()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded;

    /// Random kernels of a family; nearly all must be compared, and none without vectors.
    fn family(check: fn(&[u8]) -> Outcome, rounds: u64) {
        let seeds: Vec<Vec<u8>> = (0..40)
            .map(|i| {
                let mut rng = Key::new(i, Purpose::User).stream();
                (0..60).map(|_| below(&mut rng, 256) as u8).collect()
            })
            .collect();
        let (accepted, rejected) = seeded::mutations(&seeds, rounds, check);
        assert!(accepted > 9 * rejected, "{accepted} accepted, {rejected} rejected");
    }

    #[test]
    fn random_products() {
        family(products::check, 200);
    }

    #[test]
    fn random_convolutions() {
        family(convolutions::check, 200);
    }

    #[test]
    fn random_elementary_functions() {
        family(elementary::check, 200);
    }

    #[test]
    fn random_pools() {
        family(pools::check, 400);
    }

    #[test]
    fn random_softmax() {
        family(softmax::check, 400);
    }

    #[test]
    fn random_reductions() {
        family(reductions::check, 400);
    }

    #[test]
    fn random_norms() {
        family(norms::check, 400);
    }

    #[test]
    fn random_strides() {
        family(strides::check, 400);
    }

    #[test]
    fn random_dropout() {
        family(dropout::check, 200);
    }
}
