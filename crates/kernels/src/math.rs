//! The elementary functions of both number types.

use crate::simd::{Element, Simd, Vector};

/// `f` lane by lane: for functions that are not worth a polynomial of their own.
#[inline(always)]
fn each<T: Element, S: Simd>(simd: S, x: T::Vector<S>, f: impl Fn(T) -> T) -> T::Vector<S> {
    T::Vector::load(simd, &x.to_array().map(f))
}

impl Element for f32 {
    type Vector<S: Simd> = S::F32;

    #[inline(always)]
    fn exp_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        each(simd, x, libm::expf)
    }

    #[inline(always)]
    fn ln_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        each(simd, x, libm::logf)
    }

    #[inline(always)]
    fn tanh_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        each(simd, x, libm::tanhf)
    }

    #[inline(always)]
    fn sigmoid_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        let one = S::F32::splat(simd, 1.0);
        one / (one + Self::exp_lanes(simd, -x))
    }

    #[inline(always)]
    fn sin_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        each(simd, x, libm::sinf)
    }

    #[inline(always)]
    fn cos_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        each(simd, x, libm::cosf)
    }

    #[inline(always)]
    fn erf_lanes<S: Simd>(simd: S, x: S::F32) -> S::F32 {
        each(simd, x, libm::erff)
    }

    #[inline(always)]
    fn pow_lanes<S: Simd>(simd: S, x: S::F32, y: S::F32) -> S::F32 {
        let (x, y) = (x.to_array(), y.to_array());
        S::F32::load(simd, &core::array::from_fn(|i| libm::powf(x[i], y[i])))
    }
}

impl Element for f64 {
    type Vector<S: Simd> = S::F64;

    #[inline(always)]
    fn exp_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::exp)
    }

    #[inline(always)]
    fn ln_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::log)
    }

    #[inline(always)]
    fn tanh_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::tanh)
    }

    #[inline(always)]
    fn sigmoid_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        let one = S::F64::splat(simd, 1.0);
        one / (one + Self::exp_lanes(simd, -x))
    }

    #[inline(always)]
    fn sin_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::sin)
    }

    #[inline(always)]
    fn cos_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::cos)
    }

    #[inline(always)]
    fn erf_lanes<S: Simd>(simd: S, x: S::F64) -> S::F64 {
        each(simd, x, libm::erf)
    }

    #[inline(always)]
    fn pow_lanes<S: Simd>(simd: S, x: S::F64, y: S::F64) -> S::F64 {
        let (x, y) = (x.to_array(), y.to_array());
        S::F64::load(simd, &core::array::from_fn(|i| libm::pow(x[i], y[i])))
    }
}
