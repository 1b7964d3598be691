//! Dropout whose mask is a function of the key and the position, so that backward draws it again.

use crate::elementwise::Span;
use crate::parallel::GRAIN;
use crate::simd::{Element, dispatch};
use bantam_core::Context;
use bantam_core::random::Key;
use rand_core::Rng;

/// Inverted dropout (Srivastava et al., 2014): each element is kept with probability 1 − rate and then multiplied by
/// 1 / (1 − rate), else 0.
///
/// Which elements are kept depends on the key and on their position alone, so the gradient of dropout is dropout of
/// the gradient with the same key. A rate of 0 or less keeps everything; a rate of 1 or more, or NaN, nothing.
pub fn dropout<T: Element>(cx: &Context<'_>, key: Key, rate: f32, span: Span<'_, T>) {
    let rate = f64::from(rate);
    let keys = key.stream().next_u64();
    let keys = [keys as u32, (keys >> 32) as u32];
    // Kept where the hash is at least this. Rates round to a multiple of 2^-32.
    let threshold = if rate < 1.0 { (rate * 4_294_967_296.0) as u32 } else { u32::MAX };
    let scale = if rate < 1.0 { T::from_f64(1.0 / (1.0 - rate.max(0.0))) } else { T::zero() };
    span.for_each_chunk(cx, GRAIN, |index, span| {
        let start = index * GRAIN;
        dispatch(cx, || {
            let kept = |i: usize| {
                if hash(keys, (start + i) as u64) >= threshold { scale } else { T::zero() }
            };
            match span {
                Span::Separate(x, y) => {
                    for (i, (x, y)) in x.iter().zip(y).enumerate() {
                        *y = *x * kept(i);
                    }
                }
                Span::InPlace(y) => {
                    for (i, y) in y.iter_mut().enumerate() {
                        *y *= kept(i);
                    }
                }
            }
        });
    });
}

/// 32 random bits for a position: two keyed rounds of a bijective mixer with little bias (Wellons, "Prospecting for
/// hash functions", 2018). 32-bit arithmetic only, and no lane depends on another.
#[inline(always)]
fn hash(keys: [u32; 2], position: u64) -> u32 {
    let mut h = position as u32 ^ keys[0];
    h = mix(h);
    h = h.wrapping_add(keys[1]).wrapping_add((position >> 32) as u32);
    mix(h)
}

#[inline(always)]
fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x7feb_352d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}
