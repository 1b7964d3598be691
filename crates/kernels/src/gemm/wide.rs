//! Products where registers are wide and many: tiles of up to 14 rows and two wide vectors of columns.
//!
//! Only [`Avx512`](crate::simd::Avx512) has such registers. Twenty-eight sums, two vectors of B and one element of A fill
//! all 32; every depth takes 28 multiply-adds for 16 loads. Panels of B are copied to the stack, which is aligned and in the
//! cache; masks make whole tiles of partial ones.

use super::{Activation, Bias, Panel, Product, Strided};
use crate::simd::{Element, Simd, SimdOp, Vector};
use core::array::from_fn;
use core::mem::MaybeUninit;
use core::ops::Range;

/// Elements of a panel on the stack: 32 KiB of `f32`, which leaves a third of the first-level cache to A.
const PANEL: usize = 8 << 10;

/// Rows of the highest tile.
pub(super) const ROWS: usize = 14;

/// Vectors of a tile of one row, where B has as many neighbours.
const LONG: usize = 8;

/// A buffer at the start of a cache line.
#[repr(align(64))]
struct Buffer<T>(MaybeUninit<[T; PANEL]>);

/// Whether `multiply` is for this type at this level.
pub(super) const fn is_for<T: Element, S: Simd>() -> bool {
    width::<T, S>() > crate::simd::LANES
}

/// Lanes of a wide vector.
pub(super) const fn width<T: Element, S: Simd>() -> usize {
    <T::Vector<S::Wide> as Vector<T, S::Wide>>::WIDTH
}

/// The rows of the next tile when so many are left. Tiles of 4 rows and more have sums enough to hide the latency of an
/// addition.
pub(super) fn tile_rows(left: usize) -> usize {
    match left {
        16 => 8,
        ROWS.. => ROWS,
        8.. => 8,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// Computes a block of C. `a_buffer` has, for every row of the block, as many elements as [`super::panel_depth`] says, or it
/// is empty: then A is read where it lies.
#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd>(
    simd: S,
    product: &Product<'_, T>,
    b: &Strided<'_, T>,
    a_buffer: &mut [T],
) {
    let width = width::<T, S>();
    // Equal stretches of k, as far as that is possible.
    let depth = product.k.div_ceil(product.k.div_ceil(PANEL / (2 * width)).max(1));
    let mut buffer: Buffer<T> = Buffer(MaybeUninit::uninit());
    let mut start = 0;
    loop {
        let end = product.k.min(start + depth);
        let (a, a_strides) = product.place_a(start..end, a_buffer, tile_rows);
        let mut column = product.columns.start;
        while column < product.columns.end {
            let most = (product.columns.end - column).min(2 * width);
            let panel = if b.in_place {
                // Wrapping, as above.
                let data = b.b.as_ptr().wrapping_add(start * b.strides[0] + column * b.strides[1]);
                // One vector with a mask, or two without; eight for a single row, which are sums enough.
                let left = product.columns.end - column;
                let columns = match most {
                    _ if product.rows.len() == 1 && left >= LONG * width => LONG * width,
                    most if most < 2 * width => most.min(width),
                    most => most,
                };
                Panel { data, strides: b.strides, width: columns, whole: columns.is_multiple_of(width) }
            } else {
                copy_b(simd, b, start..end, column, most, &mut buffer)
            };
            simd.call(Tiles(super::Tiles { product, depths: start..end, a, a_strides, column, panel }));
            column += panel.width;
        }
        start = end;
        if end == product.k {
            break;
        }
    }
    product.activate(simd);
}

/// Copies a panel of B, in rows of whole wide vectors.
#[inline(always)]
fn copy_b<T: Element, S: Simd>(
    simd: S,
    b: &Strided<'_, T>,
    depths: Range<usize>,
    column: usize,
    columns: usize,
    buffer: &mut Buffer<T>,
) -> Panel<T> {
    let wide = simd.wide();
    let width = width::<T, S>();
    let stride = columns.next_multiple_of(width);
    let to = buffer.0.as_mut_ptr().cast::<T>();
    let zero = <T::Vector<S::Wide> as Vector<T, S::Wide>>::splat(wide, T::zero());
    if b.strides[1] == 1 {
        let lanes: [u32; 2] =
            from_fn(|v| ((1_u64 << columns.saturating_sub(v * width).min(width)) - 1) as u32);
        let last = depths.end.saturating_sub(1) * b.strides[0] + column + columns;
        crate::require(last <= b.b.len() || depths.is_empty());
        let from = b.b.as_ptr().wrapping_add(depths.start * b.strides[0] + column);
        for p in 0..depths.len() {
            let (from, to) = (from.wrapping_add(p * b.strides[0]), to.wrapping_add(p * stride));
            // SAFETY: the columns of this depth lie in B (the last ones do); the buffer has rows for all depths.
            unsafe {
                T::Vector::read_lanes(wide, from, lanes[0]).write(to);
                if stride > width {
                    T::Vector::read_lanes(wide, from.wrapping_add(width), lanes[1])
                        .write(to.wrapping_add(width));
                }
            }
        }
    } else {
        // What the loops below leave out.
        for at in (0..depths.len() * stride).step_by(width) {
            if !columns.is_multiple_of(width) {
                // SAFETY: the buffer has rows for all depths.
                unsafe { zero.write(to.wrapping_add(at)) };
            }
        }
        // SAFETY: the buffer has rows for all depths, and those are written above or before they are read.
        let buffer = unsafe { core::slice::from_raw_parts_mut(to, depths.len() * stride) };
        if b.strides[0] == 1 {
            b.transpose(simd, &depths, column, [columns, stride], buffer);
        } else {
            for (p, row) in depths.clone().zip(buffer.chunks_exact_mut(stride)) {
                let from = &b.b[p * b.strides[0] + column * b.strides[1]..];
                for (j, x) in row[..columns].iter_mut().enumerate() {
                    *x = from[j * b.strides[1]];
                }
            }
        }
    }
    Panel { data: to, strides: [stride, 1], width: columns, whole: true }
}

/// The tiles of all rows of a block over one panel.
pub(super) struct Tiles<'a, T>(pub(super) super::Tiles<'a, T>);

impl<T: Element> SimdOp for Tiles<'_, T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let simd = simd.wide();
        let width = width::<T, S>();
        let tiles = &self.0;
        let Range { start: mut row, end } = tiles.product.rows;
        // A row of a copied panel is as long as the vectors of its tile.
        let whole =
            tiles.panel.whole && (tiles.panel.width.is_multiple_of(width) || tiles.panel.strides[0] == width);
        if tiles.panel.width > 2 * width {
            return tile::<T, S::Wide, 1, LONG, true>(simd, tiles, row);
        }
        while row < end {
            let rows = tile_rows(end - row);
            match (rows, tiles.panel.width > width, whole) {
                (14, true, _) => tile::<T, S::Wide, 14, 2, true>(simd, tiles, row),
                (8, true, _) => tile::<T, S::Wide, 8, 2, true>(simd, tiles, row),
                (4, true, _) => tile::<T, S::Wide, 4, 2, true>(simd, tiles, row),
                (2, true, _) => tile::<T, S::Wide, 2, 2, true>(simd, tiles, row),
                (_, true, _) => tile::<T, S::Wide, 1, 2, true>(simd, tiles, row),
                (14, _, true) => tile::<T, S::Wide, 14, 1, true>(simd, tiles, row),
                (8, _, true) => tile::<T, S::Wide, 8, 1, true>(simd, tiles, row),
                (4, _, true) => tile::<T, S::Wide, 4, 1, true>(simd, tiles, row),
                (2, _, true) => tile::<T, S::Wide, 2, 1, true>(simd, tiles, row),
                (_, _, true) => tile::<T, S::Wide, 1, 1, true>(simd, tiles, row),
                (14, _, _) => tile::<T, S::Wide, 14, 1, false>(simd, tiles, row),
                (8, _, _) => tile::<T, S::Wide, 8, 1, false>(simd, tiles, row),
                (4, _, _) => tile::<T, S::Wide, 4, 1, false>(simd, tiles, row),
                (2, _, _) => tile::<T, S::Wide, 2, 1, false>(simd, tiles, row),
                _ => tile::<T, S::Wide, 1, 1, false>(simd, tiles, row),
            }
            row += rows;
        }
    }
}

/// Unrolls a loop over the rows of a tile: the compiler leaves one over so many alone, and then keeps no sum in a register.
macro_rules! rows {
    ($i:ident of $rows:ident $body:block) => {
        rows!($i of $rows $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    ($i:ident of $rows:ident $body:block $($row:literal)*) => {$(
        if $row < $rows {
            let $i = $row;
            $body
        }
    )*};
}

/// Computes one tile of ROWS rows and VECTORS vectors of columns. WHOLE: B has whole vectors at every depth.
#[inline(always)]
fn tile<T: Element, S: Simd, const ROWS: usize, const VECTORS: usize, const WHOLE: bool>(
    simd: S,
    tiles: &super::Tiles<'_, T>,
    row: usize,
) {
    let super::Tiles { product, panel, column, .. } = tiles;
    let width = <T::Vector<S> as Vector<T, S>>::WIDTH;
    let (skipped, [row_stride, k_stride]) = match tiles.a_strides {
        Some(strides) => ((row - product.rows.start) * strides[0], strides),
        None => ((row - product.rows.start) * tiles.depths.len(), [1, ROWS]),
    };
    // The columns of each vector that exist.
    let lanes: [u32; VECTORS] = from_fn(|v| ((1_u64 << (panel.width - v * width).min(width)) - 1) as u32);
    let c = product.c.wrapping_add(row * product.c_stride + column);
    let c_at = |i: usize, v: usize| c.wrapping_add(i * product.c_stride + v * width);
    let zero = T::Vector::splat(simd, T::zero());
    let mut sums = [[zero; VECTORS]; ROWS];
    if tiles.depths.start > 0 {
        rows!(i of ROWS {
            for v in 0..VECTORS {
                // SAFETY: these lanes lie in the block of C, which is this product's alone.
                sums[i][v] = unsafe { T::Vector::read_lanes(simd, c_at(i, v), lanes[v]) };
            }
        });
    } else {
        match product.bias {
            Some(Bias::PerColumn(bias)) => {
                for v in 0..VECTORS {
                    let bias = &bias[column + v * width..product.columns.end];
                    let bias = T::Vector::load_partial(simd, bias, T::zero());
                    rows!(i of ROWS { sums[i][v] = bias; });
                }
            }
            Some(Bias::PerRow(bias)) => {
                rows!(i of ROWS { sums[i] = [T::Vector::splat(simd, bias[row + i]); VECTORS]; });
            }
            None => {}
        }
        if product.accumulate {
            let biased = product.bias.is_some();
            rows!(i of ROWS {
                for v in 0..VECTORS {
                    // SAFETY: as above.
                    let old = unsafe { T::Vector::read_lanes(simd, c_at(i, v), lanes[v]) };
                    sums[i][v] = if biased { old + sums[i][v] } else { old };
                }
            });
        }
    }
    // What the next tile starts from and what all tiles end in.
    if row + ROWS < product.rows.end {
        for i in 0..ROWS {
            for v in 0..VECTORS {
                simd.prefetch(c_at(ROWS + i, v));
            }
        }
    }

    // A pointer for three rows, whose addresses are then a base and a multiple of one register.
    let mut a: [*const T; 5] = [0, 3, 6, 9, 12].map(|i| tiles.a.wrapping_add(skipped + i * row_stride));
    let mut b = panel.data;
    for _ in 0..tiles.depths.len() {
        let mut vectors = [zero; VECTORS];
        for (v, vector) in vectors.iter_mut().enumerate() {
            // SAFETY: the panel has `width` columns at every depth, or whole vectors of them.
            *vector = unsafe {
                let from = b.add(v * width);
                if WHOLE { T::Vector::read(simd, from) } else { T::Vector::read_lanes(simd, from, lanes[v]) }
            };
        }
        rows!(i of ROWS {
            // SAFETY: A, or its copy, has row `row + i` at every depth: the callers of `multiply` checked its length.
            let a = T::Vector::splat(simd, unsafe { *a[i / 3].wrapping_add(i % 3 * row_stride) });
            for v in 0..VECTORS {
                sums[i][v] = a.mul_add(vectors[v], sums[i][v]);
            }
        });
        // Wrapping, because the last step may leave both matrices.
        a = a.map(|a| a.wrapping_add(k_stride));
        b = b.wrapping_add(panel.strides[0]);
    }

    let relu = tiles.depths.end == product.k && product.activation == Activation::Relu;
    rows!(i of ROWS {
        for v in 0..VECTORS {
            let sum = if relu { zero.max(sums[i][v]) } else { sums[i][v] };
            // SAFETY: as above.
            unsafe { sum.write_lanes(c_at(i, v), lanes[v]) };
        }
    });
}
