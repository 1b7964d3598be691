//! What several schedules compute and check.

use bantam_core::InvalidSetting;
use core::f64::consts::FRAC_PI_2;

/// The nearest `f32`; what is too large for it becomes the largest.
pub(crate) fn narrow(value: f64) -> f32 {
    (value as f32).clamp(-f32::MAX, f32::MAX)
}

/// Which part of `steps` is done and which is left at `step`, both in [0, 1]. The two are computed apart, so that
/// neither loses its digits where it is small. Without a known length nothing is done yet; a length of 0 is all done.
pub(crate) fn progress(step: u64, steps: Option<u64>) -> (f64, f64) {
    match steps {
        None => (0.0, 1.0),
        Some(steps) if step >= steps => (1.0, 0.0),
        Some(steps) => (share(step, steps), share(steps - step, steps)),
    }
}

/// So many steps of `steps`. A function of its own: on a board, a division of `f64` is calls.
#[inline(never)]
pub(crate) fn share(part: u64, steps: u64) -> f64 {
    part as f64 / steps as f64
}

/// sin²(π/2 · x) for x in [0, 1]: rises from 0 to 1 along half a cosine wave, as (1 − cos πx)/2 does, without its
/// cancellation at 0.
///
/// A series of its own instead of a library's sine: that one would bring the reduction of huge angles to
/// microcontrollers that never need it. Up to π/4 the first term left out is below 1e-19.
pub(crate) fn half_wave(x: f64) -> f64 {
    // By their bits, as numbers from 0 on may be compared: a board that only needs this has no comparison of `f64` then.
    let falls = x.to_bits() > 0.5_f64.to_bits();
    let angle = FRAC_PI_2 * if falls { 1.0 - x } else { x };
    let square = angle * angle;
    // sin a = a·(1 − a²/(2·3)·(1 − a²/(4·5)·(1 − …)))
    let mut series = 1.0;
    for divisor in [272.0, 210.0, 156.0, 110.0, 72.0, 42.0, 20.0, 6.0] {
        series = 1.0 - square / divisor * series;
    }
    let sine = angle * series;
    let wave = sine * sine;
    if falls { 1.0 - wave } else { wave }
}

/// base^exponent, and 0 where `base` is no number to take a power of.
pub(crate) fn power(base: f64, exponent: f64) -> f64 {
    libm::pow(base.max(0.0), exponent)
}

fn check(
    setting: &'static str,
    found: f64,
    expected: &'static str,
    holds: bool,
) -> Result<(), InvalidSetting> {
    if found.is_finite() && holds { Ok(()) } else { Err(InvalidSetting { setting, found, expected }) }
}

/// A rate: finite, at least 0, and within the range of `f32`.
pub(crate) fn check_not_negative(setting: &'static str, found: f64) -> Result<(), InvalidSetting> {
    let holds = found >= 0.0 && found <= f64::from(f32::MAX);
    check(setting, found, "finite and at least 0", holds)
}

/// A factor that multiplies at every step or drop: beyond 1 the value would grow without end.
pub(crate) fn check_unit(setting: &'static str, found: f64) -> Result<(), InvalidSetting> {
    check(setting, found, "from 0 to 1", (0.0..=1.0).contains(&found))
}

/// A divisor that makes something smaller.
pub(crate) fn check_at_least_one(setting: &'static str, found: f64) -> Result<(), InvalidSetting> {
    check(setting, found, "finite and at least 1", found >= 1.0)
}

/// A length in steps.
pub(crate) fn check_steps(setting: &'static str, found: u64) -> Result<(), InvalidSetting> {
    check(setting, found as f64, "at least 1", found >= 1)
}

/// A length in steps that may be left to the run.
pub(crate) fn check_length(found: Option<u64>) -> Result<(), InvalidSetting> {
    found.map_or(Ok(()), |steps| check_steps("steps", steps))
}

/// Steps that grow from each to the next.
pub(crate) fn check_ascending(
    setting: &'static str,
    steps: impl Iterator<Item = u64>,
) -> Result<(), InvalidSetting> {
    let mut before = None;
    for step in steps {
        if before.is_some_and(|before| before >= step) {
            return check(setting, step as f64, "larger than the one before", false);
        }
        before = Some(step);
    }
    Ok(())
}
