//! Clipping: no gradient longer than so.

use crate::Transform;
use crate::update::{check_positive, for_each};
use bantam_core::{InvalidSetting, Real, UpdateContext};
use bantam_kernels::Element;

/// Bounds every element: u ← min(max(u, −limit), limit).
///
/// It needs no other gradients, but changes the direction. NaN stays NaN. A limit between 0.5 and 5 is usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipByValue(
    /// The largest absolute value.
    pub f64,
);

impl<T: Element> Transform<T> for ClipByValue {
    fn validate(&self) -> Result<(), InvalidSetting> {
        check_positive("clip value", self.0)
    }

    fn update(&self, cx: &UpdateContext<'_>, _parameter: &[T], updates: &mut [T], _state: &mut [T]) {
        let limit = T::from_f64(self.0);
        for_each(cx, [updates], |[u]| {
            for u in u {
                // Comparisons and not min and max, which would turn NaN into the limit.
                *u = if *u > limit {
                    limit
                } else if *u < -limit {
                    -limit
                } else {
                    *u
                };
            }
        });
    }
}

/// Shortens the gradient of all parameters together if its norm is greater than `maximum`: u ← u · maximum / norm.
///
/// The direction stays. All gradients have to be complete before the first update, which costs their memory. The norm
/// is that of the gradient itself, so put this first in a chain. 1 is usual. (Pascanu, Mikolov, Bengio, 2012,
/// arXiv:1211.5063.)
///
/// A single slice can be all parameters: without [`UpdateContext::global_norm`] the norm is that of the updates
/// given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipByGlobalNorm(
    /// The largest norm.
    pub f64,
);

impl<T: Element> Transform<T> for ClipByGlobalNorm {
    fn needs_global_norm(&self) -> bool {
        true
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_positive("clip norm", self.0)
    }

    fn update(&self, cx: &UpdateContext<'_>, _parameter: &[T], updates: &mut [T], _state: &mut [T]) {
        let norm = cx.global_norm.unwrap_or_else(|| norm(updates));
        if norm > self.0 {
            let factor = T::from_f64(self.0 / norm);
            for_each(cx, [updates], |[u]| {
                for u in u {
                    *u *= factor;
                }
            });
        }
    }
}

/// The Euclidean norm, summed in f64, where squares of `f32` cannot overflow.
fn norm<T: Element>(x: &[T]) -> f64 {
    let square = |x: &T| {
        let x = Real::to_f64(*x);
        x * x
    };
    square_root(x.iter().map(square).sum::<f64>())
}

/// `f64::sqrt` is not in `core`; through its trait it is.
fn square_root<T: Real>(x: T) -> T {
    x.sqrt()
}
