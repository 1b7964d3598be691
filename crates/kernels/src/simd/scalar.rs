//! The scalar level: arrays of eight numbers and plain loops, the definition that the other levels must equal.

use super::{Elementary, Exponent, LANES, Simd, SimdOp, Vector};
use bantam_core::Real;
use core::array::from_fn;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// Plain loops; every CPU has them.
#[derive(Clone, Copy, Debug)]
pub struct Scalar(());

impl Scalar {
    #[cfg_attr(not(debug_assertions), allow(dead_code, reason = "optimised builds may have no use for it"))]
    #[inline(always)]
    pub(crate) fn new() -> Scalar {
        Scalar(())
    }
}

impl Simd for Scalar {
    // Of the 32 registers of a microcontroller: 16, eight for B and one for A.
    const ACCUMULATORS: usize = 2;
    type F32 = Lanes<f32>;
    type F64 = Lanes<f64>;
    type Wide = Self;

    #[inline(always)]
    fn wide(self) -> Self {
        self
    }

    type Single = Single;

    #[inline(always)]
    fn single(self) -> Option<Single> {
        Some(Single(()))
    }

    #[inline(never)]
    fn call<O: SimdOp>(self, op: O) -> O::Output {
        op.eval(self)
    }

    /// One lane after the other: unrolled for eight, every use of a polynomial would take kilobytes of a small flash.
    #[inline(always)]
    fn elementary<F: Elementary>(self, x: Self::F32) -> Self::F32 {
        x.map(one_lane::<F>)
    }
}

/// An elementary function of a single number: what all kernels share at this level.
#[inline(never)]
fn one_lane<F: Elementary>(x: f32) -> f32 {
    F::eval(Single(()), Lanes([x])).0[0]
}

/// One number at a time.
#[derive(Clone, Copy, Debug)]
pub struct Single(());

impl Simd for Single {
    const ACCUMULATORS: usize = 2;
    type F32 = Lanes<f32, 1>;
    type F64 = Lanes<f64, 1>;
    type Wide = Self;

    #[inline(always)]
    fn wide(self) -> Self {
        self
    }

    type Single = Single;

    #[inline(always)]
    fn single(self) -> Option<Single> {
        Some(self)
    }

    #[inline(always)]
    fn call<O: SimdOp>(self, op: O) -> O::Output {
        op.eval(self)
    }

    #[inline(always)]
    fn elementary<F: Elementary>(self, x: Self::F32) -> Self::F32 {
        x.map(one_lane::<F>)
    }
}

/// `N` numbers.
#[derive(Clone, Copy, Debug)]
pub struct Lanes<T, const N: usize = LANES>([T; N]);

impl<T: Real, const N: usize> Lanes<T, N> {
    /// Lane i is `f(i)`. One lane is no loop: a compiler that saves space unrolls none, and the shell of a loop is more than what
    /// is in it.
    #[inline(always)]
    fn each(f: impl Fn(usize) -> T) -> Self {
        if N == 1
            && let Some(one) = [f(0)].first_chunk::<N>()
        {
            return Lanes(*one);
        }
        Lanes(from_fn(f))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        Lanes::each(|i| f(self.0[i], other.0[i]))
    }

    #[inline(always)]
    fn map(self, f: impl Fn(T) -> T) -> Self {
        Lanes::each(|i| f(self.0[i]))
    }

    #[inline(always)]
    fn select(self, other: Self, yes: Self, no: Self, f: impl Fn(&T, &T) -> bool) -> Self {
        Lanes::each(|i| if f(&self.0[i], &other.0[i]) { yes.0[i] } else { no.0[i] })
    }
}

impl<T: Real, const N: usize> Add for Lanes<T, N> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl<T: Real, const N: usize> Sub for Lanes<T, N> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl<T: Real, const N: usize> Mul for Lanes<T, N> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
}

impl<T: Real, const N: usize> Div for Lanes<T, N> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
}

impl<T: Real, const N: usize> Neg for Lanes<T, N> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|a| -a)
    }
}

/// The square root, by the FPU's instruction where there is one: `core` has none, and `libm` computes it in software.
#[inline(always)]
fn square_root<T: Real>(x: T) -> T {
    #[cfg(any(
        all(target_arch = "arm", target_abi = "eabihf"),
        all(target_arch = "riscv32", target_feature = "f"),
        target_arch = "riscv64"
    ))]
    if T::NAME == "f32" {
        let mut bits = x.to_word();
        // SAFETY: only a register changes.
        unsafe {
            #[cfg(target_arch = "arm")]
            core::arch::asm!(
                "vmov s0, {0}",
                "vsqrt.f32 s0, s0",
                "vmov {0}, s0",
                inout(reg) bits,
                out("s0") _,
                options(pure, nomem, nostack),
            );
            #[cfg(not(target_arch = "arm"))]
            {
                let mut number = f32::from_bits(bits);
                core::arch::asm!("fsqrt.s {0}, {0}", inout(freg) number, options(pure, nomem, nostack));
                bits = number.to_bits();
            }
        }
        return T::from_word(bits);
    }
    x.sqrt()
}

/// The bits of sqrt(1/2) as `f32`.
pub(super) const SQRT_HALF: u32 = 0x3f35_04f3;

/// See [`Exponent::times_exp2`].
#[inline(always)]
pub(super) fn times_exp2(x: f32, rounded: f32) -> f32 {
    f32::from_bits(x.to_bits().wrapping_add(rounded.to_bits() << 23))
}

/// See [`Exponent::split_exponent`].
#[inline(always)]
pub(super) fn split_exponent(x: f32) -> (f32, f32) {
    // Moving sqrt(1/2) to exponent 0 makes the exponent field the e that is wanted.
    let moved = x.to_bits().wrapping_sub(SQRT_HALF);
    let mantissa = f32::from_bits((moved & 0x007f_ffff).wrapping_add(SQRT_HALF));
    (mantissa, ((moved as i32) >> 23) as f32)
}

impl<const N: usize> Exponent for Lanes<f32, N> {
    #[inline(always)]
    fn times_exp2(self, rounded: Self) -> Self {
        self.zip(rounded, times_exp2)
    }

    #[inline(always)]
    fn all_less_equal(self, other: Self) -> bool {
        (0..N).all(|i| self.0[i] <= other.0[i])
    }

    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        (self.map(|x| split_exponent(x).0), self.map(|x| split_exponent(x).1))
    }
}

impl<T: Real, S, const N: usize> Vector<T, S> for Lanes<T, N> {
    #[inline(always)]
    fn splat(_: S, value: T) -> Self {
        Lanes::each(|_| value)
    }

    #[inline(always)]
    fn load(_: S, lanes: &[T; LANES]) -> Self {
        Lanes::each(|i| lanes[i])
    }

    #[inline(always)]
    fn store(self, lanes: &mut [T; LANES]) {
        lanes[..N].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn to_array(self) -> [T; LANES] {
        from_fn(|i| self.0[i.min(N - 1)])
    }

    #[inline(always)]
    fn first(self) -> T {
        self.0[0]
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        self * factor + term
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.select(other, self, other, T::gt)
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.select(other, self, other, T::lt)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(square_root)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.map(T::abs)
    }

    #[inline(always)]
    fn if_less(self, other: Self, yes: Self, no: Self) -> Self {
        self.select(other, yes, no, T::lt)
    }

    #[inline(always)]
    fn if_less_equal(self, other: Self, yes: Self, no: Self) -> Self {
        self.select(other, yes, no, T::le)
    }

    #[inline(always)]
    fn if_equal(self, other: Self, yes: Self, no: Self) -> Self {
        self.select(other, yes, no, T::eq)
    }
}
