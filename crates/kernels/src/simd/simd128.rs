//! The level SIMD128 of WebAssembly: two registers of four `f32`, or four of two `f64`.
//!
//! Its instructions need no proof: a module that contains them runs only where they are there.

use super::registers::{each, transposes, vector};
use super::scalar::SQRT_HALF;
use super::{Exponent, LANES, Simd, SimdOp, Vector};
use core::arch::wasm32::*;
use core::array::from_fn;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// The instructions that the compiler was told of.
#[derive(Clone, Copy, Debug)]
pub struct Simd128(());

impl Simd128 {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Simd128(())
    }
}

impl Simd for Simd128 {
    // An engine puts them into the registers of the processor that it finds: six pairs of sixteen.
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

/// Calls a function: safe, since the instructions are there where the module runs.
macro_rules! simd128 {
    ($value:expr) => {
        $value
    };
}

/// A load and a store by the type of their elements, `max` and `min` as [`Vector`] defines them, and a choice whose mask comes first.
macro_rules! functions {
    ($element:ty, $load:ident, $store:ident, $pmax:ident, $pmin:ident, $max:ident, $min:ident) => {
        /// # Safety
        /// Sixteen bytes can be read.
        #[inline(always)]
        unsafe fn $load(from: *const $element) -> v128 {
            // SAFETY: the caller's; any address will do.
            unsafe { v128_load(from.cast()) }
        }

        /// # Safety
        /// Sixteen bytes can be written.
        #[inline(always)]
        unsafe fn $store(to: *mut $element, x: v128) {
            // SAFETY: the caller's; any address will do.
            unsafe { v128_store(to.cast(), x) }
        }

        #[inline(always)]
        fn $max(x: v128, y: v128) -> v128 {
            // The second, unless it is less than the first.
            $pmax(y, x)
        }

        #[inline(always)]
        fn $min(x: v128, y: v128) -> v128 {
            $pmin(y, x)
        }
    };
}

functions!(f32, load_f32, store_f32, f32x4_pmax, f32x4_pmin, max_f32, min_f32);
functions!(f64, load_f64, store_f64, f64x2_pmax, f64x2_pmin, max_f64, min_f64);

#[inline(always)]
fn select(mask: v128, yes: v128, no: v128) -> v128 {
    v128_bitselect(yes, no, mask)
}

#[inline(always)]
fn low(x: v128, y: v128) -> v128 {
    i32x4_shuffle::<0, 4, 1, 5>(x, y)
}

#[inline(always)]
fn high(x: v128, y: v128) -> v128 {
    i32x4_shuffle::<2, 6, 3, 7>(x, y)
}

vector!(
    /// Eight `f32` in two registers.
    F32: 2 of 4 f32 in v128, [] Simd128, simd128, f32x4_splat, load_f32, store_f32,
    [f32x4_add, f32x4_sub, f32x4_mul, f32x4_div], [f32x4_neg, f32x4_abs, f32x4_sqrt], [max_f32, min_f32],
    [select, f32x4_lt, f32x4_le, f32x4_eq], {
        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            self * factor + term
        }

        #[inline(always)]
        fn transpose(_: Simd128, rows: [F32; LANES]) -> [F32; LANES] {
            transpose(rows)
        }
    }
);
vector!(
    /// Eight `f64` in four registers.
    F64: 4 of 2 f64 in v128, [] Simd128, simd128, f64x2_splat, load_f64, store_f64,
    [f64x2_add, f64x2_sub, f64x2_mul, f64x2_div], [f64x2_neg, f64x2_abs, f64x2_sqrt], [max_f64, min_f64],
    [select, f64x2_lt, f64x2_le, f64x2_eq], {
        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            self * factor + term
        }
    }
);
transposes!(F32, v128, simd128, low, high);

impl Exponent for F32 {
    #[inline(always)]
    fn times_exp2(self, rounded: Self) -> Self {
        F32(each!(2, |i| i32x4_add(self.0[i], i32x4_shl(rounded.0[i], 23))))
    }

    #[inline(always)]
    fn all_less_equal(self, other: Self) -> bool {
        let [low, high] = each!(2, |i| f32x4_le(self.0[i], other.0[i]));
        i32x4_all_true(v128_and(low, high))
    }

    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        let bias = i32x4_splat(SQRT_HALF as i32);
        let moved = each!(2, |i| i32x4_sub(self.0[i], bias));
        let mantissa = each!(2, |i| i32x4_add(v128_and(moved[i], i32x4_splat(0x007f_ffff)), bias));
        (F32(mantissa), F32(each!(2, |i| f32x4_convert_i32x4(i32x4_shr(moved[i], 23)))))
    }
}
