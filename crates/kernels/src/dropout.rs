//! Dropout whose mask is a function of the key and the position, so that backward draws it again.

use crate::elementwise::Span;
use crate::parallel::{GRAIN, any_cut};
use crate::simd::{Element, Simd, SimdOp};
use bantam_core::Context;
use bantam_core::random::Key;
use rand_core::Rng;

/// Inverted dropout (Srivastava et al., 2014): each element is kept with probability 1 − rate and then multiplied by
/// 1 / (1 − rate), else 0.
///
/// Which elements are kept depends on the key and on their position alone, so the gradient of dropout is dropout of
/// the gradient with the same key. A rate of 0 or less keeps everything; a rate of 1 or more, or NaN, nothing.
pub fn dropout<T: Element>(cx: &Context<'_>, key: Key, rate: f32, span: Span<'_, T>) {
    let keys = key.stream().next_u64();
    let keys = [keys as u32, (keys >> 32) as u32];
    // Kept where the hash is at least this. Rates round to a multiple of 2^-32.
    let threshold = if rate < 1.0 { (rate * 4_294_967_296.0) as u32 } else { u32::MAX };
    let scale = if rate < 1.0 { T::from_f64(1.0 / (1.0 - f64::from(rate.max(0.0)))) } else { T::zero() };
    span.for_each_chunk(cx, any_cut(GRAIN), |index, span| {
        let start = index as u64 * GRAIN as u64;
        T::run(cx, Dropout { keys, start, threshold, scale, span });
    });
}

/// One chunk, which does not cross a multiple of 2^32 elements.
pub struct Dropout<'a, T> {
    keys: [u32; 2],
    start: u64,
    threshold: u32,
    scale: T,
    span: Span<'a, T>,
}

impl<T: Element> SimdOp for Dropout<'_, T> {
    type Output = ();

    /// Plain loops: compilers turn them into vectors of 32-bit integers.
    #[inline(always)]
    fn eval<S: Simd>(self, _: S) {
        let Dropout { keys, start, threshold, scale, span } = self;
        let keys = [keys[0], keys[1].wrapping_add((start >> 32) as u32)];
        let factor = |i: u32| {
            if hash(keys, (start as u32).wrapping_add(i)) >= threshold { scale } else { T::zero() }
        };
        match span {
            Span::Separate(x, y) => {
                for (i, (x, y)) in (0..).zip(x.iter().zip(y)) {
                    *y = *x * factor(i);
                }
            }
            Span::InPlace(y) => {
                for (i, y) in (0..).zip(y) {
                    *y *= factor(i);
                }
            }
        }
    }
}

/// 32 random bits for a position: two keyed rounds of a bijective mixer with little bias (Wellons, "Prospecting for
/// hash functions", 2018). 32-bit arithmetic only, and no position depends on another.
#[inline(always)]
fn hash(keys: [u32; 2], position: u32) -> u32 {
    mix(mix(position ^ keys[0]).wrapping_add(keys[1]))
}

#[inline(always)]
fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x7feb_352d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}
