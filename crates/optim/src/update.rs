//! What the rules share: cutting state, walking slices, checking settings.

use bantam_core::{InvalidSetting, Schedule, UpdateContext};
use bantam_kernels::parallel::GRAIN;
use bantam_kernels::{Element, dispatch, for_each_chunk_of};

/// How many elements can be updated: all of them if the lengths are right. `pieces` is how many elements of state
/// belong to one of a parameter.
pub(crate) fn common_len<T>(parameter: &[T], gradient: &[T], state: &[T], pieces: usize) -> usize {
    let n = parameter.len();
    debug_assert!(gradient.len() == n, "the gradient has another length than the parameter");
    debug_assert!(state.len() == pieces * n, "the state has another length than state_len says");
    n.min(gradient.len()).min(state.len().checked_div(pieces).unwrap_or(n))
}

/// The state as `K` pieces of `n` elements.
pub(crate) fn pieces<T, const K: usize>(state: &mut [T], n: usize) -> [&mut [T]; K] {
    let mut rest = state;
    core::array::from_fn(|_| {
        let (piece, after) = core::mem::take(&mut rest).split_at_mut(n);
        rest = after;
        piece
    })
}

/// Calls `body` for pieces of the slices, which all have the same length, on the executor and compiled for the level
/// of `cx`. `body` treats every element on its own.
#[inline(always)]
pub(crate) fn for_each<T: Element, const N: usize>(
    cx: &UpdateContext<'_>,
    slices: [&mut [T]; N],
    body: impl Fn([&mut [T]; N]) + Sync,
) {
    for_each_chunk_of(&cx.context, slices, GRAIN, |chunk| dispatch(&cx.context, || body(chunk)));
}

/// base to the power of exponent, by squaring: without `libm`, whose `pow` is large.
pub(crate) fn power(mut base: f64, mut exponent: u64) -> f64 {
    let mut result = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    result
}

/// The rate of weight decay for this tensor: none for biases and gains, unless they are asked for.
pub(crate) fn decay_of(cx: &UpdateContext<'_>, weight_decay: f64, decay_biases: bool) -> f64 {
    if cx.shape.rank() > 1 || decay_biases { weight_decay } else { 0.0 }
}

/// `found` must satisfy `holds`.
fn check(
    setting: &'static str,
    found: f64,
    expected: &'static str,
    holds: bool,
) -> Result<(), InvalidSetting> {
    if holds { Ok(()) } else { Err(InvalidSetting { setting, found, expected }) }
}

/// Finite and not negative.
pub(crate) fn check_not_negative(setting: &'static str, found: f64) -> Result<(), InvalidSetting> {
    check(setting, found, "a finite number of at least 0", found >= 0.0 && found.is_finite())
}

/// Finite and positive.
pub(crate) fn check_positive(setting: &'static str, found: f64) -> Result<(), InvalidSetting> {
    check(setting, found, "a finite number above 0", found > 0.0 && found.is_finite())
}

/// The share of an average that stays.
pub(crate) fn check_unit(setting: &'static str, found: f64) -> Result<(), InvalidSetting> {
    check(setting, found, "at least 0 and below 1", (0.0..1.0).contains(&found))
}

/// The rate, as far as it can be checked: at the first step.
pub(crate) fn check_rate(rate: &impl Schedule) -> Result<(), InvalidSetting> {
    check_not_negative("rate", f64::from(rate.at(0)))
}
