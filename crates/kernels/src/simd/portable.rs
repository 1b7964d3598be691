//! The portable level: 128-bit vectors in pairs through the crate `wide` (SSE2, NEON, wasm SIMD128, loops elsewhere).

use super::scalar::split_exponent;
use super::{Exponent, LANES, Simd, SimdOp, Vector};
use wide::{bytemuck::cast, f32x8, f64x8, u32x8};

/// The vectors of `wide`, compiled for what every CPU of the target has.
#[derive(Clone, Copy, Debug)]
pub struct Portable(());

impl Portable {
    #[inline(always)]
    pub(super) fn new() -> Portable {
        Portable(())
    }
}

impl Simd for Portable {
    // Six pairs of the 16 registers that SSE2 has.
    const ACCUMULATORS: usize = 6;
    type F32 = f32x8;
    type F64 = f64x8;
    type Wide = Self;

    #[inline(always)]
    fn wide(self) -> Self {
        self
    }

    type Single = Self;

    #[inline(never)]
    fn call<O: SimdOp>(self, op: O) -> O::Output {
        op.eval(self)
    }
}

/// The same delegation for the two types. `wide`'s own `mul_add`, `max` and `min` differ between targets, so they are
/// composed here from operations that do not.
macro_rules! delegate {
    ($vector:ident, $element:ident) => {
        impl Vector<$element, Portable> for $vector {
            #[inline(always)]
            fn splat(_: Portable, value: $element) -> Self {
                $vector::splat(value)
            }

            #[inline(always)]
            fn load(_: Portable, lanes: &[$element; LANES]) -> Self {
                $vector::new(*lanes)
            }

            #[inline(always)]
            fn store(self, lanes: &mut [$element; LANES]) {
                *lanes = $vector::to_array(self);
            }

            #[inline(always)]
            fn to_array(self) -> [$element; LANES] {
                $vector::to_array(self)
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                self * factor + term
            }

            #[inline(always)]
            fn max(self, other: Self) -> Self {
                self.simd_gt(other).bitselect(self, other)
            }

            #[inline(always)]
            fn min(self, other: Self) -> Self {
                self.simd_lt(other).bitselect(self, other)
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                $vector::sqrt(self)
            }

            #[inline(always)]
            fn abs(self) -> Self {
                $vector::abs(self)
            }

            #[inline(always)]
            fn if_less(self, other: Self, yes: Self, no: Self) -> Self {
                self.simd_lt(other).bitselect(yes, no)
            }

            #[inline(always)]
            fn if_less_equal(self, other: Self, yes: Self, no: Self) -> Self {
                self.simd_le(other).bitselect(yes, no)
            }

            #[inline(always)]
            fn if_equal(self, other: Self, yes: Self, no: Self) -> Self {
                self.simd_eq(other).bitselect(yes, no)
            }
        }
    };
}

delegate!(f32x8, f32);
delegate!(f64x8, f64);

impl Exponent for f32x8 {
    #[inline(always)]
    fn times_exp2(self, rounded: Self) -> Self {
        let (x, n): (u32x8, u32x8) = (cast(self), cast(rounded));
        cast(x + (n << 23))
    }

    #[inline(always)]
    fn all_less_equal(self, other: Self) -> bool {
        self.simd_le(other).all()
    }

    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        let lanes = self.to_array();
        (f32x8::new(lanes.map(|x| split_exponent(x).0)), f32x8::new(lanes.map(|x| split_exponent(x).1)))
    }
}
