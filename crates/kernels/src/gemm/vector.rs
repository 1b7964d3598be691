//! One row times a matrix whose columns are contiguous: a linear layer with a batch of one, or a matrix times a vector.
//!
//! Every element of B is used once, so that copying it into panels would cost more than it brings. Squares of eight columns
//! and eight depths are turned in registers instead, four of them side by side: their sums hide each other's latency.

use super::{Activation, Bias, Product, Strided, load, store};
use crate::simd::{Element, LANES, Simd, SimdOp, Vector};
use core::array::from_fn;

/// Squares side by side.
const SQUARES: usize = 4;

/// A block of C with one row; B has neighbours in k.
pub(super) struct RowTimesColumns<'a, 'b, T> {
    pub(super) product: &'a Product<'b, T>,
    pub(super) b: &'a Strided<'b, T>,
}

impl<T: Element> SimdOp for RowTimesColumns<'_, '_, T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let mut column = self.product.columns.start;
        while column < self.product.columns.end {
            let left = self.product.columns.end - column;
            if left >= SQUARES * LANES {
                self.columns::<S, SQUARES>(simd, column);
                column += SQUARES * LANES;
            } else {
                self.columns::<S, 1>(simd, column);
                column += left.min(LANES);
            }
        }
        self.product.activate(simd);
    }
}

impl<T: Element> RowTimesColumns<'_, '_, T> {
    /// `N` times eight columns, of which the last may be missing if N is 1.
    #[inline(always)]
    fn columns<S: Simd, const N: usize>(&self, simd: S, column: usize) {
        let Product { a, a_strides, k, bias, activation, accumulate, c, ref rows, ref columns, c_stride } =
            *self.product;
        let valid = (columns.end - column).min(N * LANES);
        // SAFETY: these columns of the row lie in the block of C, which is this product's alone.
        let c = unsafe { core::slice::from_raw_parts_mut(c.add(rows.start * c_stride + column), valid) };
        let mut sums = [T::Vector::splat(simd, T::zero()); N];
        for (sum, (i, c)) in sums.iter_mut().zip(c.chunks(LANES).enumerate()) {
            match bias {
                Some(Bias::PerColumn(bias)) => *sum = load(simd, &bias[column + i * LANES..][..c.len()]),
                Some(Bias::PerRow(bias)) => *sum = T::Vector::splat(simd, bias[rows.start]),
                None => {}
            }
            if accumulate {
                let old = load(simd, c);
                *sum = if bias.is_some() { old + *sum } else { old };
            }
        }
        // Beyond the last column the last one again: nobody uses the result.
        let line = |j: usize| &self.b.b[(column + j.min(valid - 1)) * self.b.strides[1]..][..k];
        let lines: [[*const T; LANES]; N] = from_fn(|n| from_fn(|j| line(n * LANES + j).as_ptr()));
        let a = &a[rows.start * a_strides[0]..];
        let whole = k - k % LANES;
        for p in (0..whole).step_by(LANES) {
            let x: [T; LANES] = from_fn(|i| a[(p + i) * a_strides[1]]);
            for (sum, lines) in sums.iter_mut().zip(&lines) {
                let rows = lines.map(|line| line.wrapping_add(p));
                // SAFETY: each line has k elements, of which eight start at p.
                let square = unsafe { T::Vector::read_transposed(simd, rows) };
                for (x, vector) in x.into_iter().zip(square) {
                    *sum = T::Vector::splat(simd, x).mul_add(vector, *sum);
                }
            }
        }
        for p in whole..k {
            let x = T::Vector::splat(simd, a[p * a_strides[1]]);
            for (sum, lines) in sums.iter_mut().zip(&lines) {
                // SAFETY: each line has k elements.
                let lanes = lines.map(|line| unsafe { *line.add(p) });
                *sum = x.mul_add(T::Vector::load(simd, &lanes), *sum);
            }
        }
        for (sum, c) in sums.into_iter().zip(c.chunks_mut(LANES)) {
            let relu = activation == Activation::Relu;
            store(if relu { T::Vector::splat(simd, T::zero()).max(sum) } else { sum }, c);
        }
    }
}
