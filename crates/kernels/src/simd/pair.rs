//! Vectors in pairs: where every lane is on its own, two that go through a function side by side wait less for each other's results,
//! and each constant is fetched for both.

use super::{Exponent, LANES, Simd, SimdOp, Vector};
use bantam_core::Real;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// The token for pairs of the vectors of `S`.
#[derive(Clone, Copy, Debug)]
pub struct Paired<S>(pub S);

/// Two vectors as one, with twice the lanes.
#[derive(Clone, Copy, Debug)]
pub struct Pair<V>(V, V);

impl<S: Simd> Simd for Paired<S> {
    const ACCUMULATORS: usize = S::ACCUMULATORS / 2;
    type F32 = Pair<S::F32>;
    type F64 = Pair<S::F64>;
    type Single = S::Single;
    type Wide = Self;

    #[inline(always)]
    fn wide(self) -> Self {
        self
    }

    #[inline(always)]
    fn call<O: SimdOp>(self, op: O) -> O::Output {
        op.eval(self)
    }
}

macro_rules! operator {
    ($operator:ident, $method:ident) => {
        impl<V: $operator<Output = V>> $operator for Pair<V> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Pair(self.0.$method(other.0), self.1.$method(other.1))
            }
        }
    };
}

operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);

impl<V: Neg<Output = V>> Neg for Pair<V> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Pair(-self.0, -self.1)
    }
}

impl<T: Real, S: Simd, V: Vector<T, S>> Vector<T, Paired<S>> for Pair<V> {
    const WIDTH: usize = 2 * V::WIDTH;

    #[inline(always)]
    unsafe fn read(simd: Paired<S>, from: *const T) -> Self {
        // SAFETY: the caller's obligation, for twice the lanes of a vector.
        unsafe { Pair(V::read(simd.0, from), V::read(simd.0, from.add(V::WIDTH))) }
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut T) {
        // SAFETY: the caller's obligation, for twice the lanes of a vector.
        unsafe {
            self.0.write(to);
            self.1.write(to.add(V::WIDTH));
        }
    }

    #[inline(always)]
    unsafe fn read_lanes(simd: Paired<S>, from: *const T, lanes: u32) -> Self {
        let more = lanes >> V::WIDTH;
        // SAFETY: the caller's obligation; lanes are the first ones, so where there are more, all of the first vector exist.
        unsafe {
            if more == 0 {
                Pair(V::read_lanes(simd.0, from, lanes), V::splat(simd.0, T::zero()))
            } else {
                Pair(V::read(simd.0, from), V::read_lanes(simd.0, from.add(V::WIDTH), more))
            }
        }
    }

    #[inline(always)]
    unsafe fn write_lanes(self, to: *mut T, lanes: u32) {
        let more = lanes >> V::WIDTH;
        // SAFETY: as for `read_lanes`.
        unsafe {
            if more == 0 {
                self.0.write_lanes(to, lanes);
            } else {
                self.0.write(to);
                self.1.write_lanes(to.add(V::WIDTH), more);
            }
        }
    }

    #[inline(always)]
    fn splat(simd: Paired<S>, value: T) -> Self {
        Pair(V::splat(simd.0, value), V::splat(simd.0, value))
    }

    #[inline(always)]
    fn load(simd: Paired<S>, lanes: &[T; LANES]) -> Self {
        Pair(V::load(simd.0, lanes), V::splat(simd.0, T::zero()))
    }

    #[inline(always)]
    fn store(self, lanes: &mut [T; LANES]) {
        self.0.store(lanes);
    }

    #[inline(always)]
    fn to_array(self) -> [T; LANES] {
        self.0.to_array()
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Pair(self.0.mul_add(factor.0, term.0), self.1.mul_add(factor.1, term.1))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Pair(self.0.max(other.0), self.1.max(other.1))
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Pair(self.0.min(other.0), self.1.min(other.1))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        Pair(self.0.sqrt(), self.1.sqrt())
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Pair(self.0.abs(), self.1.abs())
    }

    #[inline(always)]
    fn if_less(self, other: Self, yes: Self, no: Self) -> Self {
        Pair(self.0.if_less(other.0, yes.0, no.0), self.1.if_less(other.1, yes.1, no.1))
    }

    #[inline(always)]
    fn if_less_equal(self, other: Self, yes: Self, no: Self) -> Self {
        Pair(self.0.if_less_equal(other.0, yes.0, no.0), self.1.if_less_equal(other.1, yes.1, no.1))
    }

    #[inline(always)]
    fn if_equal(self, other: Self, yes: Self, no: Self) -> Self {
        Pair(self.0.if_equal(other.0, yes.0, no.0), self.1.if_equal(other.1, yes.1, no.1))
    }
}

impl<V: Exponent> Exponent for Pair<V> {
    #[inline(always)]
    fn times_exp2(self, rounded: Self) -> Self {
        Pair(self.0.times_exp2(rounded.0), self.1.times_exp2(rounded.1))
    }

    #[inline(always)]
    fn all_less_equal(self, other: Self) -> bool {
        self.0.all_less_equal(other.0) & self.1.all_less_equal(other.1)
    }

    #[inline(always)]
    fn split_exponent(self) -> (Self, Self) {
        let ((m, e), (other_m, other_e)) = (self.0.split_exponent(), self.1.split_exponent());
        (Pair(m, other_m), Pair(e, other_e))
    }
}
