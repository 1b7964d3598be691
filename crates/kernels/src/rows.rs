//! Rows that are too short to fill vectors, eight of them side by side: lanes are rows.
//!
//! What is computed of a row has the bits that it has when elements are lanes: element i belongs to lane i mod 8, and the lanes
//! are joined by [`Vector::tree`]'s order.

use crate::gemm::{load, store};
use crate::simd::{Element, LANES, Simd, Vector};

/// The most columns of a short row.
pub(crate) const SHORT: usize = 4 * LANES;

/// Eight rows; vector i holds column i of each.
pub(crate) type Columns<T, S> = [<T as Element>::Vector<S>; SHORT];

/// The columns of up to eight rows of `columns` elements from `row` on; the last row again where there are fewer. Vectors beyond
/// the last column hold anything.
#[inline(always)]
pub(crate) fn load_rows<T: Element, S: Simd>(
    simd: S,
    x: &[T],
    columns: usize,
    row: usize,
    to: &mut Columns<T, S>,
) {
    let last = x.len() / columns - 1;
    for (block, to) in to.chunks_exact_mut(LANES).enumerate().take(columns.div_ceil(LANES)) {
        let mut square = [T::Vector::splat(simd, T::zero()); LANES];
        for (i, line) in square.iter_mut().enumerate() {
            // What lies behind the row does no harm.
            let at = (row + i).min(last) * columns + block * LANES;
            *line = load(simd, &x[at..x.len().min(at + LANES)]);
        }
        for (to, column) in to.iter_mut().zip(T::Vector::transpose(simd, square)) {
            *to = column;
        }
    }
}

/// Writes the columns to up to eight rows from `row` on.
#[inline(always)]
pub(crate) fn store_rows<T: Element, S: Simd>(
    simd: S,
    from: &Columns<T, S>,
    columns: usize,
    row: usize,
    y: &mut [T],
) {
    let rows = (y.len() / columns - row).min(LANES);
    let mut squares = [[T::Vector::splat(simd, T::zero()); LANES]; SHORT / LANES];
    let blocks = columns.div_ceil(LANES);
    for (block, square) in squares.iter_mut().enumerate().take(blocks) {
        for (to, from) in square.iter_mut().zip(&from[block * LANES..]) {
            *to = *from;
        }
        *square = T::Vector::transpose(simd, *square);
    }
    for i in 0..rows {
        for (block, square) in squares.iter().enumerate().take(blocks) {
            let at = (row + i) * columns + block * LANES;
            // Whole vectors reach into the next row, which is written next; what lies behind the last one is not ours.
            let end = if i + 1 < rows { at + LANES } else { (row + i + 1) * columns };
            store(square[i], &mut y[at..end.min(at + LANES).min((row + rows) * columns)]);
        }
    }
}

/// Joins the columns in the order of a row's lanes: each lane from `start` on, and the lanes by their tree.
#[inline(always)]
pub(crate) fn fold<T: Element, S: Simd>(
    columns: &[T::Vector<S>],
    start: T::Vector<S>,
    join: impl Fn(T::Vector<S>, T::Vector<S>) -> T::Vector<S>,
) -> T::Vector<S> {
    let mut lanes = [start; LANES];
    for part in columns.chunks(LANES) {
        for (lane, column) in lanes.iter_mut().zip(part) {
            *lane = join(*lane, *column);
        }
    }
    let quad = [
        join(lanes[0], lanes[4]),
        join(lanes[1], lanes[5]),
        join(lanes[2], lanes[6]),
        join(lanes[3], lanes[7]),
    ];
    join(join(quad[0], quad[2]), join(quad[1], quad[3]))
}
