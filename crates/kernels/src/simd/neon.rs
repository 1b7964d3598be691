//! The level NEON, which every aarch64 processor has: two registers of four `f32`, or four of two `f64`.
//!
//! Its instructions need no proof: the target itself promises them, multiply-adds with one rounding among them.
#![allow(
    unused_unsafe,
    reason = "some of the functions that vectors are made of are intrinsics, some are safe"
)]

use super::registers::{each, transposes, vector};
use super::scalar::SQRT_HALF;
use super::{Exponent, LANES, Simd, SimdOp, Vector};
use core::arch::aarch64::*;
use core::array::from_fn;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// The instructions that the target itself promises. `FUSED` says whether [`Vector::mul_add`] may round once.
#[derive(Clone, Copy, Debug)]
pub struct Neon<const FUSED: bool>(());

impl<const FUSED: bool> Neon<FUSED> {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Neon(())
    }
}

impl<const FUSED: bool> Simd for Neon<FUSED> {
    // Of 32 registers: twelve pairs, two pairs for B and one for A.
    const ACCUMULATORS: usize = 12;
    type F32 = F32;
    type F64 = F64;
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

/// Intrinsics that touch no memory.
macro_rules! neon {
    ($value:expr) => {
        // SAFETY: every aarch64 with an FPU, which the target asks for, has NEON.
        unsafe { $value }
    };
}

/// `max` and `min` as [`Vector`] defines them: the instructions of these names treat NaN and zeros in another way.
macro_rules! extremes {
    ($register:ty, $select:ident, $greater:ident, $less:ident, $max:ident, $min:ident) => {
        #[inline(always)]
        fn $max(x: $register, y: $register) -> $register {
            neon!($select($greater(x, y), x, y))
        }

        #[inline(always)]
        fn $min(x: $register, y: $register) -> $register {
            neon!($select($less(x, y), x, y))
        }
    };
}

extremes!(float32x4_t, vbslq_f32, vcgtq_f32, vcltq_f32, max_f32, min_f32);
extremes!(float64x2_t, vbslq_f64, vcgtq_f64, vcltq_f64, max_f64, min_f64);

vector!(
    /// Eight `f32` in two registers.
    F32: 2 of 4 f32 in float32x4_t, [const FUSED: bool] Neon<FUSED>, neon, vdupq_n_f32, vld1q_f32, vst1q_f32,
    [vaddq_f32, vsubq_f32, vmulq_f32, vdivq_f32], [vnegq_f32, vabsq_f32, vsqrtq_f32], [max_f32, min_f32],
    [vbslq_f32, vcltq_f32, vcleq_f32, vceqq_f32], {
        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            if FUSED {
                F32(each!(2, |i| neon!(vfmaq_f32(term.0[i], self.0[i], factor.0[i]))))
            } else {
                self * factor + term
            }
        }

        #[inline(always)]
        fn transpose(_: Neon<FUSED>, rows: [F32; LANES]) -> [F32; LANES] {
            transpose(rows)
        }
    }
);
vector!(
    /// Eight `f64` in four registers.
    F64: 4 of 2 f64 in float64x2_t, [const FUSED: bool] Neon<FUSED>, neon, vdupq_n_f64, vld1q_f64, vst1q_f64,
    [vaddq_f64, vsubq_f64, vmulq_f64, vdivq_f64], [vnegq_f64, vabsq_f64, vsqrtq_f64], [max_f64, min_f64],
    [vbslq_f64, vcltq_f64, vcleq_f64, vceqq_f64], {
        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            if FUSED {
                F64(each!(4, |i| neon!(vfmaq_f64(term.0[i], self.0[i], factor.0[i]))))
            } else {
                self * factor + term
            }
        }
    }
);
transposes!(F32, float32x4_t, neon, vzip1q_f32, vzip2q_f32);

impl Exponent for F32 {
    #[inline(always)]
    fn times_exp2(self, rounded: Self) -> Self {
        F32(each!(2, |i| {
            let n = neon!(vshlq_n_s32::<23>(vreinterpretq_s32_f32(rounded.0[i])));
            neon!(vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(self.0[i]), n)))
        }))
    }

    #[inline(always)]
    fn all_less_equal(self, other: Self) -> bool {
        let [low, high] = each!(2, |i| neon!(vcleq_f32(self.0[i], other.0[i])));
        neon!(vminvq_u32(vandq_u32(low, high))) != 0
    }

    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        let bias = neon!(vdupq_n_s32(SQRT_HALF as i32));
        let moved = each!(2, |i| neon!(vsubq_s32(vreinterpretq_s32_f32(self.0[i]), bias)));
        let mantissa = each!(2, |i| {
            let bits = neon!(vandq_s32(moved[i], vdupq_n_s32(0x007f_ffff)));
            neon!(vreinterpretq_f32_s32(vaddq_s32(bits, bias)))
        });
        (F32(mantissa), F32(each!(2, |i| neon!(vcvtq_f32_s32(vshrq_n_s32::<23>(moved[i]))))))
    }
}
