//! Vectors of eight lanes at every level, and the door through which an algorithm reaches the CPU's instructions.
//!
//! An algorithm is written once, generic over a token [`Simd`], as a [`SimdOp`]; [`run`] picks the token from the
//! [`Context`] and compiles the algorithm for each instruction set. The number of lanes is the same everywhere, so the
//! order in which numbers are added is too. Another instruction set is one more thin file beside `avx2.rs`: a token
//! with a private field, its two vector types, and an arm in [`run`] and [`dispatch`].

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
mod pair;
#[cfg(any(feature = "portable", target_arch = "x86"))]
mod portable;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "wasm32", target_feature = "simd128")
))]
mod registers;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
#[cfg(target_arch = "x86_64")]
mod sse2;

use crate::compiled::CompiledKernels;
#[cfg(any(feature = "portable", debug_assertions, target_arch = "x86_64", target_arch = "aarch64"))]
use bantam_core::LevelName;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use bantam_core::Numerics;
use bantam_core::{Context, Real};
use core::array::from_fn;
use core::ops::{Add, Div, Mul, Neg, Sub};

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::{Avx512, Avx512Wide};
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub use neon::Neon;
pub use pair::Paired;
#[cfg(any(feature = "portable", target_arch = "x86"))]
pub use portable::Portable;
pub use scalar::Scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use simd128::Simd128;
#[cfg(target_arch = "x86_64")]
pub use sse2::Sse2;

/// The number of lanes of every vector, at every level and for both number types.
pub const LANES: usize = 8;

/// Proof that the CPU has an instruction set. Only [`run`] makes one.
pub trait Simd: Copy + Send + Sync + 'static {
    /// How many vectors of `f32` an inner loop can keep in registers as sums, beside its operands.
    const ACCUMULATORS: usize;
    /// Eight `f32`.
    type F32: Vector<f32, Self> + Exponent;
    /// Eight `f64`.
    type F64: Vector<f64, Self>;
    /// Whether functions of each lane take vectors in pairs ([`Paired`]): where a vector is one register, a long function waits for
    /// its own results.
    const PAIRS: bool = false;
    /// The token for one number at a time.
    type Single: Simd;

    /// One number at a time, where vectors of eight are eight numbers: loops over elements then take them one by one, which
    /// makes them an eighth as long in memory.
    #[inline(always)]
    fn single(self) -> Option<Self::Single> {
        None
    }

    /// The token for the widest registers: for functions of each lane, and for products, whose sums are lanes of their own.
    /// Mostly this one.
    type Wide: Simd;

    /// The token for the widest registers.
    fn wide(self) -> Self::Wide;

    /// Asks for the cache line at `at`, which may point anywhere.
    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        let _ = at;
    }

    /// The same, into the second-level cache: for what is needed after a while.
    #[inline(always)]
    fn prefetch_far<T>(self, at: *const T) {
        let _ = at;
    }

    /// Runs `op` as a function of its own: for long inner loops that several kernels share.
    fn call<O: SimdOp>(self, op: O) -> O::Output;

    /// The lanes as `f64`.
    #[inline(always)]
    fn widen(self, x: Self::F32) -> Self::F64 {
        Self::F64::load(self, &x.to_array().map(f64::from))
    }

    /// An elementary function of every lane.
    #[inline(always)]
    fn elementary<F: Elementary>(self, x: Self::F32) -> Self::F32 {
        F::eval(self, x)
    }
}

/// An elementary function of `f32`, written once for every level.
pub trait Elementary {
    /// The function, lane by lane.
    fn eval<S: Simd>(simd: S, x: S::F32) -> S::F32;
}

/// A loop in assembly over the depths of a tile.
#[derive(Debug)]
pub struct TileLoop<T> {
    /// Rows of the tile.
    pub rows: usize,
    /// Computes a tile, if every matrix has its rows and columns at all depths and nothing else touches C.
    pub compute: unsafe fn(&Tile<T>),
}

/// A tile of a product for a loop in assembly: some rows, and two vectors of columns. Distances are in bytes.
#[derive(Debug)]
#[repr(C)]
pub struct Tile<T> {
    /// The first row of A at the first depth; depths are neighbours.
    pub a: *const T,
    /// From a row of A to the next.
    pub a_stride: usize,
    /// Two whole vectors of columns at the first depth.
    pub b: *const T,
    /// From a depth of B to the next.
    pub b_stride: usize,
    /// How many products are added.
    pub depth: usize,
    /// What the sums of the first row start from.
    pub start: *const T,
    /// The same for the next row.
    pub start_stride: usize,
    /// The first row of C.
    pub c: *mut T,
    /// From a row of C to the next.
    pub c_stride: usize,
    /// The least result.
    pub floor: T,
    /// Which lanes of the two vectors exist in C, where vectors can be masked; else all do.
    pub lanes: [u32; 2],
}

/// Six rows of A and two vectors of columns of B, with strides in elements.
pub struct Operands<T> {
    /// The first row of A at the first depth.
    pub a: *const T,
    /// From a row of A to the next.
    pub a_stride: usize,
    /// From a depth of A to the next.
    pub a_step: usize,
    /// The columns of B at the first depth.
    pub b: *const T,
    /// From a depth of B to the next.
    pub b_step: usize,
    /// How many depths there are.
    pub depth: usize,
}

/// Eight lanes of `T`, computed with the instructions that the token `S` stands for.
///
/// Every operation is correctly rounded and therefore gives the same bits at every level, except
/// [`mul_add`](Vector::mul_add), which a token for [`Numerics::Fast`] may fuse.
pub trait Vector<T, S>:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// The number of lanes: eight, except with a [`Simd::Wide`] token and in pairs. Of more lanes than eight, what takes or makes an
    /// array sees the first eight.
    const WIDTH: usize = LANES;

    /// A loop in assembly for the highest tile of products, where there is one.
    const TILE: Option<TileLoop<T>> = None;

    /// Whether [`add_products`](Vector::add_products) is there.
    const ADDS_PRODUCTS: bool = false;

    /// A loop in assembly that adds the products of all depths, one after the other, to the sums of six rows.
    ///
    /// # Safety
    /// 1. At every depth six elements of A and [`WIDTH`](Vector::WIDTH)·2 of B can be read.
    #[inline(always)]
    unsafe fn add_products(_: S, sums: &mut [[Self; 2]; 6], from: &Operands<T>) {
        let _ = (sums, from);
        unreachable!("only where ADDS_PRODUCTS");
    }

    /// Loads [`WIDTH`](Vector::WIDTH) elements.
    ///
    /// # Safety
    /// 1. They can be read.
    #[inline(always)]
    unsafe fn read(simd: S, from: *const T) -> Self {
        // SAFETY: 1., and the width is that of the array.
        Self::load(simd, unsafe { &*from.cast::<[T; LANES]>() })
    }

    /// Stores [`WIDTH`](Vector::WIDTH) elements.
    ///
    /// # Safety
    /// 1. They can be written.
    #[inline(always)]
    unsafe fn write(self, to: *mut T) {
        // SAFETY: 1., and the width is that of the array.
        self.store(unsafe { &mut *to.cast::<[T; LANES]>() });
    }

    /// Loads the first elements, those whose bits are set in `lanes`; the other lanes are 0.
    ///
    /// # Safety
    /// 1. They can be read.
    #[inline(always)]
    unsafe fn read_lanes(simd: S, from: *const T, lanes: u32) -> Self
    where
        T: Real,
    {
        let mut array = [T::zero(); LANES];
        // SAFETY: 1., and there are at most as many lanes as the array has.
        unsafe { copy_lanes(from, array.as_mut_ptr(), lanes) };
        Self::load(simd, &array)
    }

    /// Stores the first lanes, those whose bits are set in `lanes`.
    ///
    /// # Safety
    /// 1. They can be written.
    #[inline(always)]
    unsafe fn write_lanes(self, to: *mut T, lanes: u32)
    where
        T: Real,
    {
        // SAFETY: 1., and there are at most as many lanes as the array has.
        unsafe { copy_lanes(self.to_array().as_ptr(), to, lanes) };
    }

    /// All lanes the same.
    fn splat(simd: S, value: T) -> Self;

    /// The lanes, first to last.
    fn load(simd: S, lanes: &[T; LANES]) -> Self;

    /// Writes the lanes, first to last.
    fn store(self, lanes: &mut [T; LANES]);

    /// The lanes as an array.
    fn to_array(self) -> [T; LANES];

    /// The first lane.
    #[inline(always)]
    fn first(self) -> T
    where
        T: Copy,
    {
        self.to_array()[0]
    }

    /// `self * factor + term`; rounded once if the token fuses, else twice.
    fn mul_add(self, factor: Self, term: Self) -> Self;

    /// Lanes of `self` where they are greater, else those of `other`: `other` also where either is NaN.
    fn max(self, other: Self) -> Self;

    /// Lanes of `self` where they are less, else those of `other`: `other` also where either is NaN.
    fn min(self, other: Self) -> Self;

    /// Square root.
    fn sqrt(self) -> Self;

    /// Absolute value: the sign bit cleared.
    fn abs(self) -> Self;

    /// `yes` where `self < other`, else `no` (also for NaN).
    fn if_less(self, other: Self, yes: Self, no: Self) -> Self;

    /// `yes` where `self <= other`, else `no` (also for NaN).
    fn if_less_equal(self, other: Self, yes: Self, no: Self) -> Self;

    /// `yes` where `self == other`, else `no` (also for NaN).
    fn if_equal(self, other: Self, yes: Self, no: Self) -> Self;

    /// `yes` where `self` is NaN, else `no`.
    #[inline(always)]
    fn if_nan(self, yes: Self, no: Self) -> Self {
        self.if_equal(self, no, yes)
    }

    /// Up to [`WIDTH`](Vector::WIDTH) elements; the lanes beyond them are `fill`.
    #[inline(always)]
    fn load_partial(simd: S, from: &[T], fill: T) -> Self
    where
        T: Copy,
    {
        let mut lanes = [fill; LANES];
        for (lane, x) in lanes.iter_mut().zip(from) {
            *lane = *x;
        }
        Self::load(simd, &lanes)
    }

    /// Writes the first `to.len()` lanes, at most all.
    #[inline(always)]
    fn store_partial(self, to: &mut [T])
    where
        T: Copy,
    {
        for (x, lane) in to.iter_mut().zip(self.to_array()) {
            *x = lane;
        }
    }

    /// Of `self` followed by `other`, the lanes with even numbers and those with odd ones.
    #[inline(always)]
    fn unzip(self, other: Self, simd: S) -> (Self, Self)
    where
        T: Copy,
        S: Copy,
    {
        let lanes = [self.to_array(), other.to_array()];
        let lane = |i: usize| lanes[i / LANES][i % LANES];
        (Self::load(simd, &from_fn(|i| lane(2 * i))), Self::load(simd, &from_fn(|i| lane(2 * i + 1))))
    }

    /// The lanes of `self` and `other` in turns: the opposite of [`unzip`](Self::unzip).
    #[inline(always)]
    fn zip(self, other: Self, simd: S) -> (Self, Self)
    where
        T: Copy,
        S: Copy,
    {
        let lanes = [self.to_array(), other.to_array()];
        let lane = |i: usize| lanes[i % 2][i / 2];
        (Self::load(simd, &from_fn(lane)), Self::load(simd, &from_fn(|i| lane(LANES + i))))
    }

    /// Lane j of vector i becomes lane i of vector j.
    #[inline(always)]
    fn transpose(simd: S, rows: [Self; LANES]) -> [Self; LANES]
    where
        T: Copy,
        S: Copy,
    {
        let rows = rows.map(Self::to_array);
        from_fn(|i| Self::load(simd, &from_fn(|j| rows[j][i])))
    }

    /// The transpose of the eight rows of eight elements at these addresses.
    ///
    /// # Safety
    /// 1. They can be read.
    #[inline(always)]
    unsafe fn read_transposed(simd: S, rows: [*const T; LANES]) -> [Self; LANES]
    where
        T: Real,
        S: Copy,
    {
        let mut square = [Self::splat(simd, T::zero()); LANES];
        for (row, from) in square.iter_mut().zip(rows) {
            // SAFETY: 1.
            *row = Self::load(simd, unsafe { &*from.cast::<[T; LANES]>() });
        }
        Self::transpose(simd, square)
    }

    /// To lane l of sum n, the products of `x` and line 8·n + l are added in order: `depths` of them, a multiple of eight.
    ///
    /// # Safety
    /// 1. The first pointer leads to thirty-two lines of `depths` elements, the first stride apart.
    /// 2. The second leads to `depths` elements, the second stride apart.
    #[inline(always)]
    unsafe fn add_lines(
        simd: S,
        sums: [Self; 4],
        lines_and_x: [*const T; 2],
        strides: [usize; 2],
        depths: usize,
    ) -> [Self; 4]
    where
        T: Real,
        S: Copy,
    {
        // SAFETY: 1, 2.
        unsafe { add_squares(simd, sums, lines_and_x, strides, depths) }
    }

    /// Joins the lanes by a fixed tree: lane i with i + 4, then with i + 2, then with i + 1.
    #[inline(always)]
    fn tree(self, join: impl Fn(T, T) -> T) -> T
    where
        T: Copy,
    {
        let l = self.to_array();
        let quad = [join(l[0], l[4]), join(l[1], l[5]), join(l[2], l[6]), join(l[3], l[7])];
        join(join(quad[0], quad[2]), join(quad[1], quad[3]))
    }
}

/// [`Vector::add_lines`] by squares of eight lines and eight depths.
///
/// # Safety
/// That of the trait's function.
#[inline(always)]
unsafe fn add_squares<T: Real, S: Copy, V: Vector<T, S>>(
    simd: S,
    mut sums: [V; 4],
    [lines, x]: [*const T; 2],
    [stride, x_stride]: [usize; 2],
    depths: usize,
) -> [V; 4] {
    for p in (0..depths).step_by(LANES) {
        for (n, sum) in sums.iter_mut().enumerate() {
            let rows = from_fn(|j| lines.wrapping_add((n * LANES + j) * stride + p));
            // SAFETY: 1.
            let square = unsafe { V::read_transposed(simd, rows) };
            for (i, line) in square.into_iter().enumerate() {
                // SAFETY: 2.
                let x = unsafe { *x.wrapping_add((p + i) * x_stride) };
                *sum = V::splat(simd, x).mul_add(line, *sum);
            }
        }
    }
    sums
}

/// Copies the first elements, as many as there are bits in `lanes`. A function of its own, because tiles call it for each row.
///
/// # Safety
/// They can be read and written.
#[inline(never)]
unsafe fn copy_lanes<T: Real>(from: *const T, to: *mut T, lanes: u32) {
    for i in 0..lanes.trailing_ones() as usize {
        // SAFETY: the caller's.
        unsafe { *to.add(i) = *from.add(i) };
    }
}

/// What is done to `f32` by its bits, and what levels do in ways of their own.
pub trait Exponent: Sized {
    /// `self * 2^n` for lanes of `rounded` that are 3·2^22 + n, n an integer from -128 to 127: the exponent is added to. Unspecified
    /// unless `self` and the result are normal.
    fn times_exp2(self, rounded: Self) -> Self;

    /// Whether every lane of `self` is at most that of `other`: not if one is NaN.
    fn all_less_equal(self, other: Self) -> bool;

    /// `self / divisor`, at most 2 ulp wrong, where the reciprocal of the divisor is normal. Other lanes are unspecified, but NaN
    /// stays NaN.
    #[inline(always)]
    fn quotient<S: Simd<F32 = Self>>(self, simd: S, divisor: Self) -> Self
    where
        Self: Vector<f32, S>,
    {
        let _ = simd;
        self / divisor
    }

    /// Splits into (m, e) with `self = m * 2^e`, e an integer and m from sqrt(1/2) to sqrt(2), for lanes that are
    /// positive, normal and finite. Other lanes are unspecified.
    fn split_exponent(self) -> (Self, Self);
}

/// `f32` and `f64`, with their vectors and elementary functions. Sealed.
pub trait Element: Real + sealed::Sealed + CompiledKernels<Self> {
    /// Whether there are 512-bit kernels for this type; see [`SimdOp::WIDE`].
    const WIDE: bool;
    /// Eight lanes of this type at the level `S`.
    type Vector<S: Simd>: Vector<Self, S>;

    /// The lanes as `f64`.
    fn widen<S: Simd>(simd: S, x: Self::Vector<S>) -> S::F64;

    /// eˣ. `f32`: at most 1.01 ulp wrong; `f64`: `libm` lane by lane.
    fn exp_lanes<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// eˣ for x ≤ 0 or NaN, with the bits of [`exp_lanes`](Self::exp_lanes): faster where some of the lanes are far below 0.
    fn exp_below_0_lanes<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// Natural logarithm. `f32`: at most 1 ulp wrong; `f64`: `libm`.
    fn ln_lanes<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// Hyperbolic tangent. `f32`: at most 1.5 ulp wrong; `f64`: `libm`.
    fn tanh_lanes<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// Logistic function 1 / (1 + e⁻ˣ). `f32`: at most 1.5 ulp wrong; `f64`: `libm`.
    fn sigmoid_lanes<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// Sine. `f32`: at most 1.5 ulp wrong; `f64`: `libm`. Only for vectors of eight lanes.
    fn sin_lanes<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// Cosine. `f32`: at most 1 ulp wrong; `f64`: `libm`. Only for vectors of eight lanes.
    fn cos_lanes<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// The error function. `f32`: at most 1.5 ulp wrong; `f64`: `libm`.
    fn erf_lanes<S: Simd>(simd: S, x: Self::Vector<S>) -> Self::Vector<S>;
    /// `x` to the power of `y`, from `libm` lane by lane.
    fn pow_lanes<S: Simd>(simd: S, x: Self::Vector<S>, y: Self::Vector<S>) -> Self::Vector<S>;
}

pub(crate) mod sealed {
    /// Keeps [`Element`](super::Element) to the two types that the kernels are written for.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// An algorithm that is written once and compiled for every instruction set.
///
/// Implementations mark `eval` with `#[inline(always)]`, and so every helper that handles vectors: only what is inlined
/// into [`run`]'s arm is compiled for the arm's instructions.
pub trait SimdOp {
    /// Whether it multiplies and adds in one rounding where that is allowed. If not, its bits do not depend on
    /// [`Context::numerics`]. If so, [`Numerics::Portable`] takes the target's baseline: the same bits from vectors half as
    /// wide, and one version less to compile.
    const FUSES: bool = false;
    /// Whether it computes more than it waits for memory, so that compiling it once more for 512-bit registers pays. Only
    /// where a multiply and an add are fused too.
    const WIDE: bool = false;
    /// What it returns.
    type Output;
    /// The algorithm.
    fn eval<S: Simd>(self, simd: S) -> Self::Output;
}

/// What every CPU of the target has.
#[cfg(target_arch = "x86_64")]
type Baseline = Sse2;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
type Baseline = Neon<false>;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
type Baseline = Simd128;
#[cfg(target_arch = "x86")]
type Baseline = Portable;
#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "wasm32", target_feature = "simd128"),
    target_arch = "x86"
)))]
type Baseline = Scalar;

/// Whether the target's processors have no vectors, as microcontrollers: there is nothing but plain loops, on one core.
pub const BASELINE_IS_PLAIN: bool = cfg!(not(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_feature = "neon"),
    all(target_arch = "wasm32", target_feature = "simd128"),
    target_arch = "x86"
)));

/// Runs `op` with the token that `cx` names.
///
/// Not every level is compiled into every build: the portable one only with the feature `portable`, plain loops
/// beside another level only without optimisation, as in tests. What is missing is run by the target's baseline, which
/// gives the same bits.
#[inline]
pub fn run<O: SimdOp>(cx: &Context<'_>, op: O) -> O::Output {
    match cx.level.name() {
        #[cfg(target_arch = "x86_64")]
        LevelName::Avx512 if O::FUSES && O::WIDE && cx.numerics == Numerics::Fast => {
            Avx512::new(cx.level).call(op)
        }
        #[cfg(target_arch = "x86_64")]
        LevelName::Avx2 | LevelName::Avx512 if O::FUSES && cx.numerics == Numerics::Fast => {
            Avx2::<true>::new(cx.level).call(op)
        }
        #[cfg(target_arch = "x86_64")]
        LevelName::Avx2 | LevelName::Avx512 if !O::FUSES => Avx2::<false>::new(cx.level).call(op),
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        LevelName::Neon if O::FUSES && cx.numerics == Numerics::Fast => Neon::<true>::new().call(op),
        #[cfg(feature = "portable")]
        LevelName::Portable => op.eval(Portable::new()),
        #[cfg(debug_assertions)]
        LevelName::Scalar => op.eval(Scalar::new()),
        // As a function of its own where it is long: inlined, it would be optimised once more with every caller around it.
        _ if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) => Baseline::new().call(op),
        _ => op.eval(Baseline::new()),
    }
}

/// Whether [`run`] takes plain loops: asked by kernels that have an algorithm of their own for processors without
/// vectors.
#[inline(always)]
#[cfg_attr(not(debug_assertions), allow(unused_variables, reason = "optimised builds have one answer"))]
pub(crate) fn is_plain(cx: &Context<'_>) -> bool {
    #[cfg(debug_assertions)]
    if cx.level.name() == LevelName::Scalar {
        return true;
    }
    BASELINE_IS_PLAIN
}

/// Runs a closure compiled for the level of `cx`, so that plain loops over slices vectorise for it.
///
/// A multiply and an add are never fused here: the bits are the same at every level. For long loops only, since the
/// closure is compiled once more for each instruction set.
#[inline]
#[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables, reason = "there is one level"))]
pub fn dispatch<R>(cx: &Context<'_>, f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if cx.level.name() >= LevelName::Avx2 {
        return avx2::dispatch(Avx2::<false>::new(cx.level), f);
    }
    f()
}
