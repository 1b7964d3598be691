//! The level AVX-512: sixteen `f32` in a register where lanes do not meet, and the vectors of AVX2, with twice as many
//! registers for them, everywhere else.
//!
//! There is no unfused variant: [`run`](super::run) chooses AVX2 where roundings must not be fused.

use super::avx2::{self, ProvesAvx2};
use super::scalar::SQRT_HALF;
use super::{Exponent, LANES, Simd, SimdOp, Tile, TileLoop, Vector};
use bantam_core::{Level, LevelName};
use core::arch::{asm, x86_64::*};
use core::mem::offset_of;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// Lanes of a wide vector.
const WIDTH: usize = 16;

/// Proof that the CPU has AVX-512 F, BW, DQ and VL (and AVX2 and FMA). Its vectors are those of AVX2.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

/// The same proof, with vectors of sixteen `f32`.
#[derive(Clone, Copy, Debug)]
pub struct Avx512Wide(());

impl Avx512 {
    #[inline(always)]
    pub(super) fn new(level: Level) -> Self {
        debug_assert!(level.name() == LevelName::Avx512);
        Avx512(())
    }
}

impl ProvesAvx2 for Avx512 {}
impl ProvesAvx2 for Avx512Wide {}

/// Both tokens compile an algorithm for the same instructions.
macro_rules! token {
    ($token:ident, $vector:ty, $accumulators:literal) => {
        impl Simd for $token {
            const ACCUMULATORS: usize = $accumulators;
            type F32 = $vector;
            type F64 = avx2::F64<true>;
            type Wide = Avx512Wide;
            type Single = Self;

            #[inline(always)]
            fn wide(self) -> Avx512Wide {
                Avx512Wide(())
            }

            #[inline(always)]
            fn prefetch<T>(self, at: *const T) {
                avx2::prefetch(self, at);
            }

            #[inline(always)]
            fn prefetch_far<T>(self, at: *const T) {
                avx2::prefetch_far(self, at);
            }

            #[inline(always)]
            fn call<O: SimdOp>(self, op: O) -> O::Output {
                #[inline(never)]
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn compiled<O: SimdOp>(token: $token, op: O) -> O::Output {
                    op.eval(token)
                }
                // SAFETY: the token proves that the CPU has these features.
                unsafe { compiled(self, op) }
            }
        }
    };
}

// As many sums as AVX2 holds: what needs more asks for the wide vectors.
token!(Avx512, avx2::F32<true>, 12);
// Of 32 registers: 28, two for B, one for A.
token!(Avx512Wide, F32, 28);

/// Sixteen `f32` in a register. A value exists only where a token did.
#[derive(Clone, Copy, Debug)]
pub struct F32(__m512);

/// Intrinsics that touch no memory.
macro_rules! avx512 {
    ($value:expr) => {
        // SAFETY: a value of this type or a token exists only where a token proved AVX-512.
        unsafe { $value }
    };
}

/// The mask of the first `count` lanes.
#[inline(always)]
fn first_lanes(count: usize) -> __mmask16 {
    ((1_u32 << count.min(WIDTH)) - 1) as __mmask16
}

macro_rules! operator {
    ($operator:ident, $method:ident, $intrinsic:ident) => {
        impl $operator for F32 {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                F32(avx512!($intrinsic(self.0, other.0)))
            }
        }
    };
}

operator!(Add, add, _mm512_add_ps);
operator!(Sub, sub, _mm512_sub_ps);
operator!(Mul, mul, _mm512_mul_ps);
operator!(Div, div, _mm512_div_ps);

impl Neg for F32 {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        F32(avx512!(_mm512_xor_ps(self.0, _mm512_set1_ps(-0.0))))
    }
}

impl F32 {
    #[inline(always)]
    fn select<const COMPARISON: i32>(self, other: Self, yes: Self, no: Self) -> Self {
        F32(avx512!(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<COMPARISON>(self.0, other.0), no.0, yes.0)))
    }
}

impl Vector<f32, Avx512Wide> for F32 {
    const WIDTH: usize = WIDTH;
    const TILE: Option<TileLoop<f32>> = Some(TileLoop { rows: 14, compute: tile });

    #[inline(always)]
    unsafe fn read(_: Avx512Wide, from: *const f32) -> Self {
        // SAFETY: the caller's obligation, for sixteen elements; the token proves AVX-512.
        F32(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: the caller's obligation, for sixteen elements; a value of this type proves AVX-512.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn read_lanes(_: Avx512Wide, from: *const f32, lanes: u32) -> Self {
        // SAFETY: the caller's obligation; the token proves AVX-512.
        F32(unsafe { _mm512_maskz_loadu_ps(lanes as __mmask16, from) })
    }

    #[inline(always)]
    unsafe fn write_lanes(self, to: *mut f32, lanes: u32) {
        // SAFETY: the caller's obligation; a value of this type proves AVX-512.
        unsafe { _mm512_mask_storeu_ps(to, lanes as __mmask16, self.0) }
    }

    #[inline(always)]
    fn splat(_: Avx512Wide, value: f32) -> Self {
        F32(avx512!(_mm512_set1_ps(value)))
    }

    #[inline(always)]
    fn load(simd: Avx512Wide, lanes: &[f32; LANES]) -> Self {
        Self::load_partial(simd, lanes, 0.0)
    }

    #[inline(always)]
    fn store(self, lanes: &mut [f32; LANES]) {
        self.store_partial(lanes);
    }

    #[inline(always)]
    fn to_array(self) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        self.store(&mut lanes);
        lanes
    }

    #[inline(always)]
    fn load_partial(_: Avx512Wide, from: &[f32], fill: f32) -> Self {
        // SAFETY: the token proves AVX-512, and the mask leaves out lanes beyond the slice, which are not read.
        F32(unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(fill), first_lanes(from.len()), from.as_ptr()) })
    }

    #[inline(always)]
    fn store_partial(self, to: &mut [f32]) {
        // SAFETY: a value of this type proves AVX-512, and the mask leaves out lanes beyond the slice.
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), first_lanes(to.len()), self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        F32(avx512!(_mm512_fmadd_ps(self.0, factor.0, term.0)))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        F32(avx512!(_mm512_max_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        F32(avx512!(_mm512_min_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        F32(avx512!(_mm512_sqrt_ps(self.0)))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        F32(avx512!(_mm512_abs_ps(self.0)))
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

impl Exponent for F32 {
    #[inline(always)]
    fn times_exp2(self, rounded: Self) -> Self {
        avx512!({
            let n = _mm512_slli_epi32::<23>(_mm512_castps_si512(rounded.0));
            F32(_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), n)))
        })
    }

    #[inline(always)]
    fn all_less_equal(self, other: Self) -> bool {
        avx512!(_mm512_cmp_ps_mask::<_CMP_LE_OQ>(self.0, other.0) == 0xffff)
    }

    /// A division takes the divider for sixteen cycles; an estimate of 14 bits and one of Newton's steps are four instructions.
    #[inline(always)]
    fn quotient<S: Simd<F32 = Self>>(self, _: S, divisor: Self) -> Self {
        avx512!({
            let estimate = _mm512_rcp14_ps(divisor.0);
            let error = _mm512_fnmadd_ps(divisor.0, estimate, _mm512_set1_ps(1.0));
            self * F32(_mm512_fmadd_ps(estimate, error, estimate))
        })
    }

    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        avx512!({
            let bias = _mm512_set1_epi32(SQRT_HALF as i32);
            let moved = _mm512_sub_epi32(_mm512_castps_si512(self.0), bias);
            let exponent = _mm512_cvtepi32_ps(_mm512_srai_epi32::<23>(moved));
            let mantissa = _mm512_add_epi32(_mm512_and_si512(moved, _mm512_set1_epi32(0x007f_ffff)), bias);
            (F32(_mm512_castsi512_ps(mantissa)), F32(exponent))
        })
    }
}

/// For each row of a tile of fourteen: `$line!(number, sums, base of its address, multiple of the stride)`, where the numbers of the sums are those
/// of their registers.
macro_rules! rows {
    ($line:ident) => {
        concat!(
            $line!("30", "0", "1", "{a0}"),
            $line!("31", "2", "3", "{a0} + {stride}"),
            $line!("30", "4", "5", "{a0} + 2*{stride}"),
            $line!("31", "6", "7", "{a3}"),
            $line!("30", "8", "9", "{a3} + {stride}"),
            $line!("31", "10", "11", "{a3} + 2*{stride}"),
            $line!("30", "12", "13", "{a6}"),
            $line!("31", "14", "15", "{a6} + {stride}"),
            $line!("30", "16", "17", "{a6} + 2*{stride}"),
            $line!("31", "18", "19", "{a9}"),
            $line!("30", "20", "21", "{a9} + {stride}"),
            $line!("31", "22", "23", "{a9} + 2*{stride}"),
            $line!("30", "24", "25", "{a12}"),
            $line!("31", "26", "27", "{a12} + {stride}"),
        )
    };
}

/// Two sums from memory.
macro_rules! load {
    ($number:literal, $left:literal, $right:literal, $at:literal) => {
        concat!(
            "vmovups zmm",
            $left,
            "{{k1}}{{z}}, [{a0}]\n",
            "vmovups zmm",
            $right,
            "{{k2}}{{z}}, [{a0} + 64]\n",
            "prefetcht0 [{a3}]\n",
            "prefetcht0 [{a3} + 64]\n",
            "add {a0}, {stride}\n",
            "add {a3}, {a6}\n",
        )
    };
}

/// Two sums to memory.
macro_rules! store {
    ($number:literal, $left:literal, $right:literal, $at:literal) => {
        concat!(
            "vmaxps zmm",
            $left,
            ", zmm28, zmm",
            $left,
            "\nvmaxps zmm",
            $right,
            ", zmm28, zmm",
            $right,
            "\nvmovups [{a0}]{{k1}}, zmm",
            $left,
            "\nvmovups [{a0} + 64]{{k2}}, zmm",
            $right,
            "\nadd {a0}, {stride}\n",
        )
    };
}

/// The products of a row at a depth, and at the one after it.
macro_rules! first {
    ($number:literal, $left:literal, $right:literal, $at:literal) => {
        concat!(
            "vbroadcastss zmm",
            $number,
            ", dword ptr [",
            $at,
            "]\nvfmadd231ps zmm",
            $left,
            ", zmm28, zmm",
            $number,
            "\nvfmadd231ps zmm",
            $right,
            ", zmm29, zmm",
            $number,
            "\n",
        )
    };
}

macro_rules! second {
    ($number:literal, $left:literal, $right:literal, $at:literal) => {
        concat!(
            "vbroadcastss zmm",
            $number,
            ", dword ptr [",
            $at,
            " + 4]\nvfmadd231ps zmm",
            $left,
            ", zmm28, zmm",
            $number,
            "\nvfmadd231ps zmm",
            $right,
            ", zmm29, zmm",
            $number,
            "\n",
        )
    };
}

/// Fourteen rows and 32 columns: 28 sums, two vectors of B and two elements of A fill the 32 registers. Compilers chain
/// the fourteen addresses to each other or spill them, either of which costs a tenth of the speed and more.
///
/// # Safety
/// The CPU has AVX-512 F; every matrix of the tile has its rows and columns at all depths, and nothing else touches C.
#[target_feature(enable = "avx512f")]
unsafe fn tile(tile: &Tile<f32>) {
    // SAFETY: the caller's obligation: nothing else is read, but for prefetches, which never fault.
    unsafe {
        asm!(
            "kmovw k1, word ptr [{tile} + {lanes}]",
            "kmovw k2, word ptr [{tile} + {lanes} + 4]",
            // What the sums start from; and the next tile of C.
            "mov {a6}, [{tile} + {c_stride}]",
            "imul {a3}, {a6}, 14",
            "add {a3}, [{tile} + {c}]",
            "mov {a0}, [{tile} + {start}]",
            "mov {stride}, [{tile} + {start_stride}]",
            rows!(load),
            "mov {a0}, [{tile} + {a}]",
            "mov {stride}, [{tile} + {a_stride}]",
            "lea {a3}, [{a0} + 2*{stride}]",
            "add {a3}, {stride}",
            "lea {a6}, [{a3} + 2*{stride}]",
            "add {a6}, {stride}",
            "lea {a9}, [{a6} + 2*{stride}]",
            "add {a9}, {stride}",
            "lea {a12}, [{a9} + 2*{stride}]",
            "add {a12}, {stride}",
            "mov {b}, [{tile} + {b_start}]",
            "mov {b_stride}, [{tile} + {b_distance}]",
            "mov {pairs}, [{tile} + {depth}]",
            "shr {pairs}",
            "jz 3f",
            ".p2align 5",
            "2:",
            "vmovups zmm28, [{b}]",
            "vmovups zmm29, [{b} + 64]",
            rows!(first),
            "vmovups zmm28, [{b} + {b_stride}]",
            "vmovups zmm29, [{b} + {b_stride} + 64]",
            rows!(second),
            "lea {b}, [{b} + 2*{b_stride}]",
            "add {a0}, 8",
            "add {a3}, 8",
            "add {a6}, 8",
            "add {a9}, 8",
            "add {a12}, 8",
            "dec {pairs}",
            "jnz 2b",
            "3:",
            "test byte ptr [{tile} + {depth}], 1",
            "jz 4f",
            "vmovups zmm28, [{b}]",
            "vmovups zmm29, [{b} + 64]",
            rows!(first),
            "4:",
            "vbroadcastss zmm28, dword ptr [{tile} + {floor}]",
            "mov {a0}, [{tile} + {c}]",
            "mov {stride}, [{tile} + {c_stride}]",
            rows!(store),
            tile = in(reg) tile,
            a0 = out(reg) _,
            a3 = out(reg) _,
            a6 = out(reg) _,
            a9 = out(reg) _,
            a12 = out(reg) _,
            stride = out(reg) _,
            b = out(reg) _,
            b_stride = out(reg) _,
            pairs = out(reg) _,
            lanes = const offset_of!(Tile<f32>, lanes),
            c = const offset_of!(Tile<f32>, c),
            c_stride = const offset_of!(Tile<f32>, c_stride),
            start = const offset_of!(Tile<f32>, start),
            start_stride = const offset_of!(Tile<f32>, start_stride),
            a = const offset_of!(Tile<f32>, a),
            a_stride = const offset_of!(Tile<f32>, a_stride),
            b_start = const offset_of!(Tile<f32>, b),
            b_distance = const offset_of!(Tile<f32>, b_stride),
            depth = const offset_of!(Tile<f32>, depth),
            floor = const offset_of!(Tile<f32>, floor),
            out("k1") _, out("k2") _,
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _,
            out("zmm4") _, out("zmm5") _, out("zmm6") _, out("zmm7") _,
            out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
            out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _,
            out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
            out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
            out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _,
            out("zmm28") _, out("zmm29") _, out("zmm30") _, out("zmm31") _,
            options(nostack),
        );
    }
}
