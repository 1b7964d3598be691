//! The level AVX2 with FMA: one register of eight `f32`, or two registers of four `f64`.

use super::scalar::SQRT_HALF;
use super::{Exponent, LANES, Operands, Simd, SimdOp, Vector};
use bantam_core::{Level, LevelName};
use core::arch::asm;
use core::arch::x86_64::*;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// Proof that the CPU has AVX2 and FMA. `FUSED` says whether [`Vector::mul_add`] may round once.
#[derive(Clone, Copy, Debug)]
pub struct Avx2<const FUSED: bool>(());

impl<const FUSED: bool> Avx2<FUSED> {
    #[inline(always)]
    pub(super) fn new(level: Level) -> Self {
        debug_assert!(level.name() >= LevelName::Avx2);
        Avx2(())
    }
}

impl<const FUSED: bool> Simd for Avx2<FUSED> {
    // Of 16 registers: 12, two for B and one for A.
    const ACCUMULATORS: usize = 12;
    const PAIRS: bool = true;
    type F32 = F32<FUSED>;
    type F64 = F64<FUSED>;
    type Wide = Self;

    #[inline(always)]
    fn wide(self) -> Self {
        self
    }

    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        prefetch(self, at);
    }

    #[inline(always)]
    fn prefetch_far<T>(self, at: *const T) {
        prefetch_far(self, at);
    }

    type Single = Self;

    #[inline(always)]
    fn call<O: SimdOp>(self, op: O) -> O::Output {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma")]
        fn compiled<const FUSED: bool, O: SimdOp>(token: Avx2<FUSED>, op: O) -> O::Output {
            op.eval(token)
        }
        // SAFETY: the token proves that the CPU has both features.
        unsafe { compiled(self, op) }
    }

    #[inline(always)]
    fn widen(self, x: Self::F32) -> Self::F64 {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe {
            let [low, high] = [_mm256_castps256_ps128(x.0), _mm256_extractf128_ps::<1>(x.0)];
            F64(_mm256_cvtps_pd(low), _mm256_cvtps_pd(high))
        }
    }
}

/// A token that proves AVX2 and FMA, and perhaps more.
pub trait ProvesAvx2: Copy {}

impl<const FUSED: bool> ProvesAvx2 for Avx2<FUSED> {}

/// Compiles a closure for AVX2 and FMA (a multiply and an add in plain Rust are not contracted).
#[inline(always)]
pub(super) fn dispatch<R>(_: Avx2<false>, f: impl FnOnce() -> R) -> R {
    #[target_feature(enable = "avx2,fma")]
    fn compiled<R>(f: impl FnOnce() -> R) -> R {
        f()
    }
    // SAFETY: the token proves that the CPU has both features.
    unsafe { compiled(f) }
}

/// Asks for the line at `at`, wherever that points.
#[inline(always)]
pub(super) fn prefetch<T>(_: impl ProvesAvx2, at: *const T) {
    // SAFETY: a prefetch reads nothing and never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
}

/// The same, into the second-level cache.
#[inline(always)]
pub(super) fn prefetch_far<T>(_: impl ProvesAvx2, at: *const T) {
    // SAFETY: a prefetch reads nothing and never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
}

/// All bits set in the first `count` lanes.
#[inline(always)]
fn first_lanes(_: impl ProvesAvx2, count: usize) -> __m256i {
    // SAFETY: the token proves AVX2.
    unsafe {
        let count = _mm256_set1_epi32(count.min(LANES) as i32);
        _mm256_cmpgt_epi32(count, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
    }
}

/// All bits set in the lanes whose bits are set in `lanes`.
#[inline(always)]
fn set_lanes(_: impl ProvesAvx2, lanes: u32) -> __m256i {
    // SAFETY: the token proves AVX2.
    unsafe {
        let bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(lanes as i32), bits), bits)
    }
}

/// Eight `f32` in a register. A value exists only where a token did.
#[derive(Clone, Copy, Debug)]
pub struct F32<const FUSED: bool>(__m256);

/// Eight `f64` in two registers. A value exists only where a token did.
#[derive(Clone, Copy, Debug)]
pub struct F64<const FUSED: bool>(__m256d, __m256d);

/// An operator of both vectors from the two intrinsics.
macro_rules! operator {
    ($operator:ident, $method:ident, $single:ident, $double:ident) => {
        impl<const FUSED: bool> $operator for F32<FUSED> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: a value of this type exists only where a token proved AVX2.
                unsafe { F32($single(self.0, other.0)) }
            }
        }

        impl<const FUSED: bool> $operator for F64<FUSED> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: a value of this type exists only where a token proved AVX2.
                unsafe { F64($double(self.0, other.0), $double(self.1, other.1)) }
            }
        }
    };
}

operator!(Add, add, _mm256_add_ps, _mm256_add_pd);
operator!(Sub, sub, _mm256_sub_ps, _mm256_sub_pd);
operator!(Mul, mul, _mm256_mul_ps, _mm256_mul_pd);
operator!(Div, div, _mm256_div_ps, _mm256_div_pd);

impl<const FUSED: bool> Neg for F32<FUSED> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe { F32(_mm256_xor_ps(self.0, _mm256_set1_ps(-0.0))) }
    }
}

impl<const FUSED: bool> Neg for F64<FUSED> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe {
            let sign = _mm256_set1_pd(-0.0);
            F64(_mm256_xor_pd(self.0, sign), _mm256_xor_pd(self.1, sign))
        }
    }
}

impl<const FUSED: bool> F32<FUSED> {
    /// Stores the first `count` lanes, at most all: halves, pairs and singles, because processors by AMD take a masked store
    /// apart into dozens of operations (42 on Zen 3, one every twelve cycles: Abel and Reineke, uops.info, 2019).
    ///
    /// # Safety
    /// 1. They can be written.
    #[inline(always)]
    unsafe fn write_first(self, mut to: *mut f32, count: usize) {
        // SAFETY: 1.; a value of this type exists only where a token proved AVX2.
        unsafe {
            if count >= LANES {
                return _mm256_storeu_ps(to, self.0);
            }
            let mut rest = _mm256_castps256_ps128(self.0);
            if count & 4 != 0 {
                _mm_storeu_ps(to, rest);
                rest = _mm256_extractf128_ps::<1>(self.0);
                to = to.add(4);
            }
            if count & 2 != 0 {
                _mm_storel_pd(to.cast(), _mm_castps_pd(rest));
                rest = _mm_movehl_ps(rest, rest);
                to = to.add(2);
            }
            if count & 1 != 0 {
                _mm_store_ss(to, rest);
            }
        }
    }

    #[inline(always)]
    fn select<const COMPARISON: i32>(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe { F32(_mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<COMPARISON>(self.0, other.0))) }
    }
}

impl<const FUSED: bool> F64<FUSED> {
    #[inline(always)]
    fn select<const COMPARISON: i32>(self, other: Self, yes: Self, no: Self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe {
            F64(
                _mm256_blendv_pd(no.0, yes.0, _mm256_cmp_pd::<COMPARISON>(self.0, other.0)),
                _mm256_blendv_pd(no.1, yes.1, _mm256_cmp_pd::<COMPARISON>(self.1, other.1)),
            )
        }
    }
}

/// A depth of a tile: two vectors of B, and an element of each row of A times both. Rows 3 to 5 have a pointer of their own, since an
/// address is a register and once, twice or four times another.
macro_rules! depth {
    () => {
        concat!(
            "vmovups {b0}, [{b}]\n",
            "vmovups {b1}, [{b} + 32]\n",
            depth!("s00", "s01", "x0", "[{upper}]"),
            depth!("s10", "s11", "x1", "[{upper} + {stride}]"),
            depth!("s20", "s21", "x0", "[{upper} + 2 * {stride}]"),
            depth!("s30", "s31", "x1", "[{lower}]"),
            depth!("s40", "s41", "x0", "[{lower} + {stride}]"),
            depth!("s50", "s51", "x1", "[{lower} + 2 * {stride}]"),
            "add {upper}, {a_step}\n",
            "add {lower}, {a_step}\n",
            "add {b}, {b_step}\n",
        )
    };
    ($left:literal, $right:literal, $x:literal, $a:literal) => {
        concat!(
            "vbroadcastss {",
            $x,
            "}, dword ptr ",
            $a,
            "\n",
            "vfmadd231ps {",
            $left,
            "}, {",
            $x,
            "}, {b0}\n",
            "vfmadd231ps {",
            $right,
            "}, {",
            $x,
            "}, {b1}\n",
        )
    };
}

/// Four depths a round: what ends a round, and what the processor lost when the last one did not come, was half of what a tile took
/// beyond its multiplications.
///
/// # Safety
/// 1. At every depth six elements of A and sixteen of B can be read.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn add_products<const FUSED: bool>(sums: &mut [[F32<FUSED>; 2]; 6], from: &Operands<f32>) {
    const BYTES: usize = size_of::<f32>();
    let stride = from.a_stride * BYTES;
    let [[s00, s01], [s10, s11], [s20, s21], [s30, s31], [s40, s41], [s50, s51]] = sums;
    // SAFETY: 1.; nothing is written but registers.
    unsafe {
        asm!(
            "sub {count}, 4",
            "jb 3f",
            ".p2align 5",
            "2:",
            depth!(),
            depth!(),
            depth!(),
            depth!(),
            "sub {count}, 4",
            "jae 2b",
            "3:",
            "add {count}, 4",
            "je 5f",
            "4:",
            depth!(),
            "dec {count}",
            "jne 4b",
            "5:",
            upper = inout(reg) from.a => _,
            lower = inout(reg) from.a.wrapping_byte_add(3 * stride) => _,
            stride = in(reg) stride,
            a_step = in(reg) from.a_step * BYTES,
            b = inout(reg) from.b => _,
            b_step = in(reg) from.b_step * BYTES,
            count = inout(reg) from.depth => _,
            b0 = out(ymm_reg) _,
            b1 = out(ymm_reg) _,
            x0 = out(ymm_reg) _,
            x1 = out(ymm_reg) _,
            s00 = inout(ymm_reg) s00.0,
            s01 = inout(ymm_reg) s01.0,
            s10 = inout(ymm_reg) s10.0,
            s11 = inout(ymm_reg) s11.0,
            s20 = inout(ymm_reg) s20.0,
            s21 = inout(ymm_reg) s21.0,
            s30 = inout(ymm_reg) s30.0,
            s31 = inout(ymm_reg) s31.0,
            s40 = inout(ymm_reg) s40.0,
            s41 = inout(ymm_reg) s41.0,
            s50 = inout(ymm_reg) s50.0,
            s51 = inout(ymm_reg) s51.0,
            options(nostack, readonly),
        );
    }
}

impl<const FUSED: bool, S: ProvesAvx2> Vector<f32, S> for F32<FUSED> {
    const ADDS_PRODUCTS: bool = FUSED;

    #[inline(always)]
    unsafe fn add_products(_: S, sums: &mut [[Self; 2]; 6], from: &Operands<f32>) {
        // SAFETY: the token proves AVX2 and FMA; the caller's obligation.
        unsafe { add_products(sums, from) };
    }

    #[inline(always)]
    fn splat(_: S, value: f32) -> Self {
        // SAFETY: the token proves AVX2.
        unsafe { F32(_mm256_set1_ps(value)) }
    }

    #[inline(always)]
    fn load(_: S, lanes: &[f32; LANES]) -> Self {
        // SAFETY: the token proves AVX2, and the array has the eight elements that are read.
        unsafe { F32(_mm256_loadu_ps(lanes.as_ptr())) }
    }

    #[inline(always)]
    fn store(self, lanes: &mut [f32; LANES]) {
        // SAFETY: a value of this type proves AVX2, and the array has the eight elements that are written.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    unsafe fn read_lanes(simd: S, from: *const f32, lanes: u32) -> Self {
        // SAFETY: the caller's obligation: what the mask leaves out is not read; the token proves AVX2.
        F32(unsafe { _mm256_maskload_ps(from, set_lanes(simd, lanes)) })
    }

    #[inline(always)]
    unsafe fn write_lanes(self, to: *mut f32, lanes: u32) {
        // SAFETY: the caller's obligation.
        unsafe { self.write_first(to, lanes.trailing_ones() as usize) };
    }

    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        Vector::<_, S>::store(self, &mut lanes);
        lanes
    }

    #[inline(always)]
    fn load_partial(simd: S, from: &[f32], fill: f32) -> Self {
        let mask = first_lanes(simd, from.len());
        // SAFETY: the token proves AVX2, and the mask leaves out lanes beyond the slice, which are not read.
        unsafe {
            let loaded = _mm256_maskload_ps(from.as_ptr(), mask);
            F32(_mm256_blendv_ps(_mm256_set1_ps(fill), loaded, _mm256_castsi256_ps(mask)))
        }
    }

    #[inline(always)]
    fn store_partial(self, to: &mut [f32]) {
        // SAFETY: as many lanes as the slice has, at most.
        unsafe { self.write_first(to.as_mut_ptr(), to.len()) };
    }

    #[inline(always)]
    fn unzip(self, other: Self, _: S) -> (Self, Self) {
        // SAFETY: a value of this type proves AVX2.
        unsafe {
            // The halves that belong together, then every second lane.
            let low = _mm256_permute2f128_ps::<0x20>(self.0, other.0);
            let high = _mm256_permute2f128_ps::<0x31>(self.0, other.0);
            (F32(_mm256_shuffle_ps::<0x88>(low, high)), F32(_mm256_shuffle_ps::<0xdd>(low, high)))
        }
    }

    #[inline(always)]
    fn zip(self, other: Self, _: S) -> (Self, Self) {
        // SAFETY: a value of this type proves AVX2.
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(self.0, other.0), _mm256_unpackhi_ps(self.0, other.0));
            (F32(_mm256_permute2f128_ps::<0x20>(low, high)), F32(_mm256_permute2f128_ps::<0x31>(low, high)))
        }
    }

    #[inline(always)]
    fn transpose(_: S, rows: [Self; LANES]) -> [Self; LANES] {
        let [r0, r1, r2, r3, r4, r5, r6, r7] = rows.map(|row| row.0);
        // SAFETY: the token proves AVX2.
        unsafe {
            // Pairs of rows, then quads, then the two halves of the registers.
            let (a0, a1) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
            let (a2, a3) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
            let (a4, a5) = (_mm256_unpacklo_ps(r4, r5), _mm256_unpackhi_ps(r4, r5));
            let (a6, a7) = (_mm256_unpacklo_ps(r6, r7), _mm256_unpackhi_ps(r6, r7));
            let (b0, b1) = (_mm256_shuffle_ps::<0x44>(a0, a2), _mm256_shuffle_ps::<0xee>(a0, a2));
            let (b2, b3) = (_mm256_shuffle_ps::<0x44>(a1, a3), _mm256_shuffle_ps::<0xee>(a1, a3));
            let (b4, b5) = (_mm256_shuffle_ps::<0x44>(a4, a6), _mm256_shuffle_ps::<0xee>(a4, a6));
            let (b6, b7) = (_mm256_shuffle_ps::<0x44>(a5, a7), _mm256_shuffle_ps::<0xee>(a5, a7));
            let low = |a, b| F32(_mm256_permute2f128_ps::<0x20>(a, b));
            let high = |a, b| F32(_mm256_permute2f128_ps::<0x31>(a, b));
            [
                low(b0, b4),
                low(b1, b5),
                low(b2, b6),
                low(b3, b7),
                high(b0, b4),
                high(b1, b5),
                high(b2, b6),
                high(b3, b7),
            ]
        }
    }

    #[inline(always)]
    unsafe fn read_transposed(simd: S, rows: [*const f32; LANES]) -> [Self; LANES] {
        // Rows i and i + 4 meet when they are loaded, which takes no shuffle; then columns within half a register.
        let mut columns = [<Self as Vector<f32, S>>::splat(simd, 0.0); LANES];
        for half in 0..2 {
            // SAFETY: the caller's obligation; the token proves AVX2.
            unsafe {
                let at = |i: usize| _mm_loadu_ps(rows[i].add(4 * half));
                let r0 = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(at(0)), at(4));
                let r1 = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(at(1)), at(5));
                let r2 = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(at(2)), at(6));
                let r3 = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(at(3)), at(7));
                let (a0, a1) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
                let (a2, a3) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
                columns[4 * half] = F32(_mm256_shuffle_ps::<0x44>(a0, a2));
                columns[4 * half + 1] = F32(_mm256_shuffle_ps::<0xee>(a0, a2));
                columns[4 * half + 2] = F32(_mm256_shuffle_ps::<0x44>(a1, a3));
                columns[4 * half + 3] = F32(_mm256_shuffle_ps::<0xee>(a1, a3));
            }
        }
        columns
    }

    #[inline(always)]
    unsafe fn add_lines(
        simd: S,
        sums: [Self; 4],
        [lines, x]: [*const f32; 2],
        [stride, x_stride]: [usize; 2],
        depths: usize,
    ) -> [Self; 4] {
        // The assembly reads up to four elements before a line, which another line holds unless all are the same one.
        if FUSED && stride > 0 {
            // SAFETY: the caller's obligation; the token proves AVX2 and FMA.
            unsafe { add_lines(sums.map(|sum| sum.0), [lines, x], [stride, x_stride], depths).map(F32) }
        } else {
            // SAFETY: the caller's obligation.
            unsafe { super::add_squares(simd, sums, [lines, x], [stride, x_stride], depths) }
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        if FUSED {
            // SAFETY: a value of this type exists only where a token proved FMA.
            unsafe { F32(_mm256_fmadd_ps(self.0, factor.0, term.0)) }
        } else {
            self * factor + term
        }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe { F32(_mm256_max_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe { F32(_mm256_min_ps(self.0, other.0)) }
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe { F32(_mm256_sqrt_ps(self.0)) }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe { F32(_mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0)) }
    }

    #[inline(always)]
    fn if_less(self, other: Self, yes: Self, no: Self) -> Self {
        self.select::<_CMP_LT_OQ>(other, yes, no)
    }

    #[inline(always)]
    fn if_less_equal(self, other: Self, yes: Self, no: Self) -> Self {
        self.select::<_CMP_LE_OQ>(other, yes, no)
    }

    #[inline(always)]
    fn if_equal(self, other: Self, yes: Self, no: Self) -> Self {
        self.select::<_CMP_EQ_OQ>(other, yes, no)
    }
}

impl<const FUSED: bool> Exponent for F32<FUSED> {
    #[inline(always)]
    fn times_exp2(self, rounded: Self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe {
            let n = _mm256_slli_epi32::<23>(_mm256_castps_si256(rounded.0));
            F32(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0), n)))
        }
    }

    #[inline(always)]
    fn all_less_equal(self, other: Self) -> bool {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(self.0, other.0)) == 0xff }
    }

    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe {
            let bias = _mm256_set1_epi32(SQRT_HALF as i32);
            let moved = _mm256_sub_epi32(_mm256_castps_si256(self.0), bias);
            let exponent = _mm256_cvtepi32_ps(_mm256_srai_epi32::<23>(moved));
            let mantissa = _mm256_add_epi32(_mm256_and_si256(moved, _mm256_set1_epi32(0x007f_ffff)), bias);
            (F32(_mm256_castsi256_ps(mantissa)), F32(exponent))
        }
    }
}

/// [`Vector::add_lines`], in assembly: the compiler keeps thirty-two addresses, and moves loads apart from where they are used.
/// `stride` is not 0.
///
/// # Safety
/// That of the trait's function.
#[target_feature(enable = "avx2,fma")]
unsafe fn add_lines(
    [mut s0, mut s1, mut s2, mut s3]: [__m256; 4],
    [lines, x]: [*const f32; 2],
    [stride, x_stride]: [usize; 2],
    depths: usize,
) -> [__m256; 4] {
    // Four depths of eight lines: lines i and i + 4 meet in one register without a shuffle. The vector that ends where the four depths of
    // line i + 4 end begins four elements before them: in the line or in those before it.
    macro_rules! lines {
        ($sum:literal) => {
            concat!(
                "vmovups {a:x}, [{line}]\n",
                "vmovups {b:x}, [{line} + {stride}]\n",
                "vmovups {c:x}, [{line} + 2*{stride}]\n",
                "vmovups {d:x}, [{line} + {stride3}]\n",
                "lea {line}, [{line} + 4*{stride}]\n",
                "vblendps {a}, {a}, [{line} - 16], 0xf0\n",
                "vblendps {b}, {b}, [{line} + {stride} - 16], 0xf0\n",
                "vblendps {c}, {c}, [{line} + 2*{stride} - 16], 0xf0\n",
                "vblendps {d}, {d}, [{line} + {stride3} - 16], 0xf0\n",
                "lea {line}, [{line} + 4*{stride}]\n",
                "vunpcklps {e}, {a}, {b}\n",
                "vunpckhps {a}, {a}, {b}\n",
                "vunpcklps {b}, {c}, {d}\n",
                "vunpckhps {c}, {c}, {d}\n",
                "vunpcklpd {d}, {e}, {b}\n",
                "vfmadd231ps {",
                $sum,
                "}, {d}, {x0}\n",
                "vunpckhpd {e}, {e}, {b}\n",
                "vfmadd231ps {",
                $sum,
                "}, {e}, {x1}\n",
                "vunpcklpd {b}, {a}, {c}\n",
                "vfmadd231ps {",
                $sum,
                "}, {b}, {x2}\n",
                "vunpckhpd {a}, {a}, {c}\n",
                "vfmadd231ps {",
                $sum,
                "}, {a}, {x3}\n",
            )
        };
    }
    if depths > 0 {
        // SAFETY: the caller's obligation; the token proves AVX2 and FMA.
        unsafe {
            core::arch::asm!(
                "2:",
                "vbroadcastss {x0}, [{x}]",
                "vbroadcastss {x1}, [{x} + {x_stride}]",
                "vbroadcastss {x2}, [{x} + 2*{x_stride}]",
                "vbroadcastss {x3}, [{x} + {x_stride3}]",
                "lea {x}, [{x} + 4*{x_stride}]",
                "mov {line}, {lines}",
                "add {lines}, 16",
                lines!("s0"),
                lines!("s1"),
                lines!("s2"),
                lines!("s3"),
                "dec {left}",
                "jnz 2b",
                x0 = out(ymm_reg) _,
                x1 = out(ymm_reg) _,
                x2 = out(ymm_reg) _,
                x3 = out(ymm_reg) _,
                a = out(ymm_reg) _,
                b = out(ymm_reg) _,
                c = out(ymm_reg) _,
                d = out(ymm_reg) _,
                e = out(ymm_reg) _,
                s0 = inout(ymm_reg) s0,
                s1 = inout(ymm_reg) s1,
                s2 = inout(ymm_reg) s2,
                s3 = inout(ymm_reg) s3,
                x = inout(reg) x => _,
                x_stride = in(reg) 4 * x_stride,
                x_stride3 = in(reg) 12 * x_stride,
                lines = inout(reg) lines => _,
                line = out(reg) _,
                stride = in(reg) 4 * stride,
                stride3 = in(reg) 12 * stride,
                left = inout(reg) depths / 4 => _,
                options(nostack, readonly),
            );
        }
    }
    [s0, s1, s2, s3]
}

impl<const FUSED: bool, S: ProvesAvx2> Vector<f64, S> for F64<FUSED> {
    #[inline(always)]
    fn splat(_: S, value: f64) -> Self {
        // SAFETY: the token proves AVX2.
        unsafe { F64(_mm256_set1_pd(value), _mm256_set1_pd(value)) }
    }

    #[inline(always)]
    fn load(_: S, lanes: &[f64; LANES]) -> Self {
        // SAFETY: the token proves AVX2, and the array has the eight elements that are read.
        unsafe { F64(_mm256_loadu_pd(lanes.as_ptr()), _mm256_loadu_pd(lanes.as_ptr().add(4))) }
    }

    #[inline(always)]
    fn store(self, lanes: &mut [f64; LANES]) {
        // SAFETY: a value of this type proves AVX2, and the array has the eight elements that are written.
        unsafe {
            _mm256_storeu_pd(lanes.as_mut_ptr(), self.0);
            _mm256_storeu_pd(lanes.as_mut_ptr().add(4), self.1);
        }
    }

    #[inline(always)]
    fn to_array(self) -> [f64; LANES] {
        let mut lanes = [0.0; LANES];
        Vector::<_, S>::store(self, &mut lanes);
        lanes
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        if FUSED {
            // SAFETY: a value of this type exists only where a token proved FMA.
            unsafe {
                F64(_mm256_fmadd_pd(self.0, factor.0, term.0), _mm256_fmadd_pd(self.1, factor.1, term.1))
            }
        } else {
            self * factor + term
        }
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe { F64(_mm256_max_pd(self.0, other.0), _mm256_max_pd(self.1, other.1)) }
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe { F64(_mm256_min_pd(self.0, other.0), _mm256_min_pd(self.1, other.1)) }
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe { F64(_mm256_sqrt_pd(self.0), _mm256_sqrt_pd(self.1)) }
    }

    #[inline(always)]
    fn abs(self) -> Self {
        // SAFETY: a value of this type exists only where a token proved AVX2.
        unsafe {
            let sign = _mm256_set1_pd(-0.0);
            F64(_mm256_andnot_pd(sign, self.0), _mm256_andnot_pd(sign, self.1))
        }
    }

    #[inline(always)]
    fn if_less(self, other: Self, yes: Self, no: Self) -> Self {
        self.select::<_CMP_LT_OQ>(other, yes, no)
    }

    #[inline(always)]
    fn if_less_equal(self, other: Self, yes: Self, no: Self) -> Self {
        self.select::<_CMP_LE_OQ>(other, yes, no)
    }

    #[inline(always)]
    fn if_equal(self, other: Self, yes: Self, no: Self) -> Self {
        self.select::<_CMP_EQ_OQ>(other, yes, no)
    }
}
