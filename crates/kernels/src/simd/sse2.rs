//! The level SSE2, which every x86-64 processor has: two registers of four `f32`, or four of two `f64`.
//!
//! Its instructions need no proof: the target itself promises them.
#![allow(
    unused_unsafe,
    reason = "some of the functions that vectors are made of are intrinsics, some are safe"
)]

use super::registers::{each, transposes, vector};
use super::scalar::SQRT_HALF;
use super::{Exponent, LANES, Simd, SimdOp, Vector};
use core::arch::x86_64::*;
use core::array::from_fn;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// The instructions that the target itself promises.
#[derive(Clone, Copy, Debug)]
pub struct Sse2(());

impl Sse2 {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Sse2(())
    }
}

impl Simd for Sse2 {
    // Six pairs of the 16 registers.
    const ACCUMULATORS: usize = 6;
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
macro_rules! sse2 {
    ($value:expr) => {
        // SAFETY: every x86-64 has SSE2.
        unsafe { $value }
    };
}

/// What takes several instructions of one type: the bits of the sign, and a choice by a mask.
macro_rules! bits {
    ($register:ty, $splat:ident, $and:ident, $andnot:ident, $or:ident, $xor:ident, $neg:ident, $abs:ident, $select:ident) => {
        #[inline(always)]
        fn $neg(x: $register) -> $register {
            sse2!($xor(x, $splat(-0.0)))
        }

        #[inline(always)]
        fn $abs(x: $register) -> $register {
            sse2!($andnot($splat(-0.0), x))
        }

        #[inline(always)]
        fn $select(mask: $register, yes: $register, no: $register) -> $register {
            sse2!($or($and(mask, yes), $andnot(mask, no)))
        }
    };
}

bits!(__m128, _mm_set1_ps, _mm_and_ps, _mm_andnot_ps, _mm_or_ps, _mm_xor_ps, neg_ps, abs_ps, select_ps);
bits!(__m128d, _mm_set1_pd, _mm_and_pd, _mm_andnot_pd, _mm_or_pd, _mm_xor_pd, neg_pd, abs_pd, select_pd);

vector!(
    /// Eight `f32` in two registers.
    F32: 2 of 4 f32 in __m128, [] Sse2, sse2, _mm_set1_ps, _mm_loadu_ps, _mm_storeu_ps,
    [_mm_add_ps, _mm_sub_ps, _mm_mul_ps, _mm_div_ps], [neg_ps, abs_ps, _mm_sqrt_ps], [_mm_max_ps, _mm_min_ps],
    [select_ps, _mm_cmplt_ps, _mm_cmple_ps, _mm_cmpeq_ps], {
        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            self * factor + term
        }

        #[inline(always)]
        fn transpose(_: Sse2, rows: [F32; LANES]) -> [F32; LANES] {
            transpose(rows)
        }
    }
);
vector!(
    /// Eight `f64` in four registers.
    F64: 4 of 2 f64 in __m128d, [] Sse2, sse2, _mm_set1_pd, _mm_loadu_pd, _mm_storeu_pd,
    [_mm_add_pd, _mm_sub_pd, _mm_mul_pd, _mm_div_pd], [neg_pd, abs_pd, _mm_sqrt_pd], [_mm_max_pd, _mm_min_pd],
    [select_pd, _mm_cmplt_pd, _mm_cmple_pd, _mm_cmpeq_pd], {
        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            self * factor + term
        }
    }
);
transposes!(F32, __m128, sse2, _mm_unpacklo_ps, _mm_unpackhi_ps);

impl Exponent for F32 {
    #[inline(always)]
    fn times_exp2(self, rounded: Self) -> Self {
        F32(each!(2, |i| {
            let n = sse2!(_mm_slli_epi32::<23>(_mm_castps_si128(rounded.0[i])));
            sse2!(_mm_castsi128_ps(_mm_add_epi32(_mm_castps_si128(self.0[i]), n)))
        }))
    }

    #[inline(always)]
    fn all_less_equal(self, other: Self) -> bool {
        let [low, high] = each!(2, |i| sse2!(_mm_cmple_ps(self.0[i], other.0[i])));
        sse2!(_mm_movemask_ps(_mm_and_ps(low, high))) == 0xf
    }

    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        let bias = sse2!(_mm_set1_epi32(SQRT_HALF as i32));
        let moved = each!(2, |i| sse2!(_mm_sub_epi32(_mm_castps_si128(self.0[i]), bias)));
        let mantissa = each!(2, |i| {
            let bits = sse2!(_mm_and_si128(moved[i], _mm_set1_epi32(0x007f_ffff)));
            sse2!(_mm_castsi128_ps(_mm_add_epi32(bits, bias)))
        });
        (F32(mantissa), F32(each!(2, |i| sse2!(_mm_cvtepi32_ps(_mm_srai_epi32::<23>(moved[i]))))))
    }
}
