//! The level SSE2, which every x86-64 processor has: two registers of four `f32`, or four of two `f64`.
//!
//! Its instructions need no proof: the target itself promises them.

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

    #[inline(always)]
    fn single(self) -> Option<Self> {
        None
    }

    #[inline(never)]
    fn call<O: SimdOp>(self, op: O) -> O::Output {
        op.eval(self)
    }
}

/// Eight `f32` in two registers.
#[derive(Clone, Copy, Debug)]
pub struct F32([__m128; 2]);

/// Eight `f64` in four registers.
#[derive(Clone, Copy, Debug)]
pub struct F64([__m128d; 4]);

/// Intrinsics that touch no memory.
macro_rules! sse2 {
    ($value:expr) => {
        // SAFETY: every x86-64 has SSE2.
        unsafe { $value }
    };
}

/// An array of as many registers, of which this is number `i`. Spelled out: closures over arrays take compilers long, and
/// these stand in every kernel.
macro_rules! each {
    (2, |$i:ident| $value:expr) => {
        [
            {
                let $i = 0;
                $value
            },
            {
                let $i = 1;
                $value
            },
        ]
    };
    (4, |$i:ident| $value:expr) => {
        [
            {
                let $i = 0;
                $value
            },
            {
                let $i = 1;
                $value
            },
            {
                let $i = 2;
                $value
            },
            {
                let $i = 3;
                $value
            },
        ]
    };
}

/// The same register by register, for both types.
macro_rules! vector {
    ($vector:ident, $element:ty, $registers:tt, $width:literal, $splat:ident, $load:ident, $store:ident,
     [$add:ident, $sub:ident, $mul:ident, $div:ident], $max:ident, $min:ident, $sqrt:ident,
     [$and:ident, $andnot:ident, $or:ident, $xor:ident], [$less:ident, $less_equal:ident, $equal:ident], $($more:item)*) => {
        impl $vector {
            /// `yes` in the lanes where the mask's bits are set, else `no`.
            #[inline(always)]
            fn select(mask: Self, yes: Self, no: Self) -> Self {
                $vector(each!($registers, |i| sse2!($or($and(mask.0[i], yes.0[i]), $andnot(mask.0[i], no.0[i])))))
            }
        }

        vector!(operators $vector, $registers, Add add $add, Sub sub $sub, Mul mul $mul, Div div $div);

        impl Neg for $vector {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                $vector(each!($registers, |i| sse2!($xor(self.0[i], $splat(-0.0)))))
            }
        }

        impl Vector<$element, Sse2> for $vector {
            #[inline(always)]
            fn splat(_: Sse2, value: $element) -> Self {
                $vector([sse2!($splat(value)); _])
            }

            #[inline(always)]
            fn load(_: Sse2, lanes: &[$element; LANES]) -> Self {
                // SAFETY: the array has the eight elements that are read.
                $vector(each!($registers, |i| unsafe { $load(lanes.as_ptr().add(i * $width)) }))
            }

            #[inline(always)]
            fn store(self, lanes: &mut [$element; LANES]) {
                // SAFETY: the array has the eight elements that are written.
                each!($registers, |i| unsafe { $store(lanes.as_mut_ptr().add(i * $width), self.0[i]) });
            }

            #[inline(always)]
            fn to_array(self) -> [$element; LANES] {
                let mut lanes = [0.0; LANES];
                self.store(&mut lanes);
                lanes
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                self * factor + term
            }

            #[inline(always)]
            fn max(self, other: Self) -> Self {
                $vector(each!($registers, |i| sse2!($max(self.0[i], other.0[i]))))
            }

            #[inline(always)]
            fn min(self, other: Self) -> Self {
                $vector(each!($registers, |i| sse2!($min(self.0[i], other.0[i]))))
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                $vector(each!($registers, |i| sse2!($sqrt(self.0[i]))))
            }

            #[inline(always)]
            fn abs(self) -> Self {
                $vector(each!($registers, |i| sse2!($andnot($splat(-0.0), self.0[i]))))
            }

            #[inline(always)]
            fn if_less(self, other: Self, yes: Self, no: Self) -> Self {
                Self::select($vector(each!($registers, |i| sse2!($less(self.0[i], other.0[i])))), yes, no)
            }

            #[inline(always)]
            fn if_less_equal(self, other: Self, yes: Self, no: Self) -> Self {
                Self::select($vector(each!($registers, |i| sse2!($less_equal(self.0[i], other.0[i])))), yes, no)
            }

            #[inline(always)]
            fn if_equal(self, other: Self, yes: Self, no: Self) -> Self {
                Self::select($vector(each!($registers, |i| sse2!($equal(self.0[i], other.0[i])))), yes, no)
            }

            $($more)*
        }
    };
    (operators $vector:ident, $registers:tt, $($operator:ident $method:ident $intrinsic:ident),*) => {$(
        impl $operator for $vector {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                $vector(each!($registers, |i| sse2!($intrinsic(self.0[i], other.0[i]))))
            }
        }
    )*};
}

vector!(
    F32,
    f32,
    2,
    4,
    _mm_set1_ps,
    _mm_loadu_ps,
    _mm_storeu_ps,
    [_mm_add_ps, _mm_sub_ps, _mm_mul_ps, _mm_div_ps],
    _mm_max_ps,
    _mm_min_ps,
    _mm_sqrt_ps,
    [_mm_and_ps, _mm_andnot_ps, _mm_or_ps, _mm_xor_ps],
    [_mm_cmplt_ps, _mm_cmple_ps, _mm_cmpeq_ps],
    #[inline(always)]
    fn transpose(_: Sse2, rows: [F32; LANES]) -> [F32; LANES] {
        transpose(rows)
    }
);
vector!(
    F64,
    f64,
    4,
    2,
    _mm_set1_pd,
    _mm_loadu_pd,
    _mm_storeu_pd,
    [_mm_add_pd, _mm_sub_pd, _mm_mul_pd, _mm_div_pd],
    _mm_max_pd,
    _mm_min_pd,
    _mm_sqrt_pd,
    [_mm_and_pd, _mm_andnot_pd, _mm_or_pd, _mm_xor_pd],
    [_mm_cmplt_pd, _mm_cmple_pd, _mm_cmpeq_pd],
);

impl Exponent for F32 {
    #[inline(always)]
    fn exp2_integer(self) -> Self {
        F32(each!(2, |i| {
            let exponent = sse2!(_mm_add_epi32(_mm_cvtps_epi32(self.0[i]), _mm_set1_epi32(127)));
            sse2!(_mm_castsi128_ps(_mm_slli_epi32::<23>(exponent)))
        }))
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

/// Element j of register i becomes element i of register j.
#[inline(always)]
fn transpose4([a, b, c, d]: [__m128; 4]) -> [__m128; 4] {
    let [low, high] = [sse2!(_mm_unpacklo_ps(a, c)), sse2!(_mm_unpackhi_ps(a, c))];
    let [other_low, other_high] = [sse2!(_mm_unpacklo_ps(b, d)), sse2!(_mm_unpackhi_ps(b, d))];
    [
        sse2!(_mm_unpacklo_ps(low, other_low)),
        sse2!(_mm_unpackhi_ps(low, other_low)),
        sse2!(_mm_unpacklo_ps(high, other_high)),
        sse2!(_mm_unpackhi_ps(high, other_high)),
    ]
}

/// The transpose of eight rows, by its four quarters.
#[inline(always)]
fn transpose(rows: [F32; LANES]) -> [F32; LANES] {
    let quarter = |row: usize, half: usize| {
        transpose4([rows[row].0[half], rows[row + 1].0[half], rows[row + 2].0[half], rows[row + 3].0[half]])
    };
    let [upper, lower] = [[quarter(0, 0), quarter(0, 1)], [quarter(4, 0), quarter(4, 1)]];
    from_fn(|i| F32([upper[i / 4][i % 4], lower[i / 4][i % 4]]))
}
