//! One row times a matrix, a matrix times a vector, and products without depth: every element of B or C is used so few times that
//! the order of memory decides, and copying B into panels would cost more than it brings.
//!
//! Where columns are contiguous, squares of eight columns and eight depths are turned in registers, four of them side by
//! side: their sums hide each other's latency. Where rows are, eight of them at a time are added to whole rows of C.
//! A long column is multiplied in lanes, if the numerics let sums have another order.

use super::tile::Start;
use super::{Activation, Bias, LINE, Product, Strided, load, store};
use crate::simd::{Element, LANES, Simd, SimdOp, Vector};
use core::array::from_fn;

/// Squares side by side, as many as [`Vector::add_lines`] has sums.
const SQUARES: usize = 4;

/// A block of C with one row; B has neighbours in k.
pub struct RowTimesColumns<'a, 'b, T> {
    pub(super) product: &'a Product<'b, T>,
    pub(super) b: &'a Strided<'b, T>,
}

impl<T: Element> SimdOp for RowTimesColumns<'_, '_, T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    /// Whether the product is computed: not where turning a square in registers is expensive.
    type Output = bool;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> bool {
        if const { S::ACCUMULATORS < 12 } {
            return false;
        }
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
        true
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
        let a = &a[rows.start * a_strides[0]..][..(k - 1) * a_strides[1] + 1];
        let whole = k - k % LANES;
        if let Some(sums) = sums.first_chunk_mut::<SQUARES>() {
            let strides = [self.b.strides[1], a_strides[1]];
            // SAFETY: the row and each of the lines, which are a stride apart, have k elements.
            unsafe { *sums = T::Vector::add_lines(simd, *sums, [lines[0][0], a.as_ptr()], strides, whole) };
        } else {
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

/// The sums of a row, as many as hide the latency of a multiply-add if two rows are added at a time.
const SUMS: usize = 4;

/// Rows of C that is one column; A and B have neighbours in k. Depths are added in lanes, four vectors at a time.
pub struct RowsTimesColumn<'a, 'b, T> {
    pub(super) product: &'a Product<'b, T>,
    /// B, as long as k.
    pub(super) column: &'a [T],
}

impl<T: Element> SimdOp for RowsTimesColumn<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let rows = self.product.rows.clone();
        let mut row = rows.start;
        while row + 1 < rows.end {
            self.rows::<S, 2>(simd, row);
            row += 2;
        }
        if row < rows.end {
            self.rows::<S, 1>(simd, row);
        }
    }
}

#[allow(clippy::needless_range_loop, reason = "sums whose indices are known stay in registers")]
impl<T: Element> RowsTimesColumn<'_, '_, T> {
    /// `N` rows, each with the bits that it has alone.
    #[inline(always)]
    fn rows<S: Simd, const N: usize>(&self, simd: S, row: usize) {
        let Product { a, a_strides, bias, activation, accumulate, c, c_stride, .. } = *self.product;
        let x = self.column;
        let lines: [&[T]; N] = from_fn(|n| &a[(row + n) * a_strides[0]..][..x.len()]);
        let zero = T::Vector::splat(simd, T::zero());
        let mut sums = [[zero; SUMS]; N];
        let mut p = 0;
        while p + SUMS * LANES <= x.len() {
            for i in 0..SUMS {
                if i % (LINE / LANES) == 0 {
                    // The rows below: they are new to what the processor asks for by itself.
                    for n in 0..N {
                        simd.prefetch(lines[n].as_ptr().wrapping_add(N * a_strides[0] + p));
                    }
                }
                let x = load(simd, &x[p..p + LANES]);
                for n in 0..N {
                    sums[n][i] = load(simd, &lines[n][p..p + LANES]).mul_add(x, sums[n][i]);
                }
                p += LANES;
            }
        }
        let mut sums = sums.map(|[a, b, c, d]| (a + c) + (b + d));
        while p < x.len() {
            let end = x.len().min(p + LANES);
            let x = load(simd, &x[p..end]);
            for n in 0..N {
                sums[n] = load(simd, &lines[n][p..end]).mul_add(x, sums[n]);
            }
            p = end;
        }
        for (n, sum) in sums.into_iter().enumerate() {
            // SAFETY: this element lies in the block of C, which is this product's alone.
            let c = unsafe { &mut *c.add((row + n) * c_stride) };
            let mut sum = sum.tree(|a, b| a + b);
            match bias {
                Some(Bias::PerColumn(bias)) => sum += bias[0],
                Some(Bias::PerRow(bias)) => sum += bias[row + n],
                None => {}
            }
            if accumulate {
                sum += *c;
            }
            // A NaN stays one.
            *c = if activation == Activation::Relu && sum < T::zero() { T::zero() } else { sum };
        }
    }
}

/// A block of C with one row or one depth; B has neighbours in a row.
pub struct RowsTimesRows<T> {
    /// The block's first row, and the strides of rows and depths.
    pub(super) a: *const T,
    pub(super) a_strides: [usize; 2],
    pub(super) k: usize,
    /// The block's first column, and the distance of depths.
    pub(super) b: *const T,
    pub(super) b_stride: usize,
    pub(super) start: Start<T>,
    /// The least result: 0 or minus infinity.
    pub(super) floor: T,
    pub(super) c: *mut T,
    pub(super) c_stride: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// Rows of B that are added at a time.
const DEPTHS: usize = 8;

impl<T: Element> SimdOp for RowsTimesRows<T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let simd = simd.wide();
        let whole = self.k - self.k % DEPTHS;
        for depth in (0..whole).step_by(DEPTHS) {
            self.add::<S::Wide, DEPTHS>(simd, depth);
        }
        for depth in whole..self.k {
            self.add::<S::Wide, 1>(simd, depth);
        }
    }
}

impl<T: Element> RowsTimesRows<T> {
    /// C += the products of `N` depths, or starts with them.
    #[inline(always)]
    fn add<S: Simd, const N: usize>(&self, simd: S, depth: usize) {
        let width = <T::Vector<S> as Vector<T, S>>::WIDTH;
        let floor = if depth + N == self.k { self.floor } else { T::neg_infinity() };
        let floor = T::Vector::splat(simd, floor);
        let b = self.b.wrapping_add(depth * self.b_stride);
        for i in 0..self.rows {
            let a = self.a.wrapping_add(i * self.a_strides[0] + depth * self.a_strides[1]);
            let mut factors = [floor; N];
            for (p, factor) in factors.iter_mut().enumerate() {
                // SAFETY: A has this row at all depths: the caller checked its length.
                *factor = T::Vector::splat(simd, unsafe { *a.wrapping_add(p * self.a_strides[1]) });
            }
            let c = self.c.wrapping_add(i * self.c_stride);
            let (from, number) = match self.start {
                _ if depth > 0 => (c.cast_const(), None),
                Start::Rows(from, stride) => (from.wrapping_add(i * stride), None),
                // SAFETY: there is a number for each row.
                Start::Numbers(numbers) => (c.cast_const(), Some(unsafe { *numbers.add(i) })),
                Start::Zero => (c.cast_const(), Some(T::zero())),
            };
            let numbers = T::Vector::splat(simd, number.unwrap_or(T::zero()));
            // SAFETY: the rows of B, C and what it starts from have these columns; this row of the block of C is this product's
            // alone.
            unsafe {
                let whole = self.columns - self.columns % width;
                for column in (0..whole).step_by(width) {
                    let at = |from: *const T| T::Vector::read(simd, from.wrapping_add(column));
                    let mut sum = if number.is_some() { numbers } else { at(from) };
                    for (p, factor) in factors.iter().enumerate() {
                        sum = factor.mul_add(at(b.wrapping_add(p * self.b_stride)), sum);
                    }
                    floor.max(sum).write(c.wrapping_add(column));
                }
                if whole < self.columns {
                    let lanes = (1_u32 << (self.columns - whole)) - 1;
                    let at = |from: *const T| T::Vector::read_lanes(simd, from.wrapping_add(whole), lanes);
                    let mut sum = if number.is_some() { numbers } else { at(from) };
                    for (p, factor) in factors.iter().enumerate() {
                        sum = factor.mul_add(at(b.wrapping_add(p * self.b_stride)), sum);
                    }
                    floor.max(sum).write_lanes(c.wrapping_add(whole), lanes);
                }
            }
        }
    }
}
