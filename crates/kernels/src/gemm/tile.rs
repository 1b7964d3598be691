//! The tiles of a product: some rows and one or two vectors of columns, whose sums stay in registers while k runs.
//!
//! Every level has two or three tiles, no more: each is compiled for each level. A high one fills the registers; the lower ones
//! serve fewer rows than they have, in no more time than lower ones still would take, since too few sums wait for each
//! other. The rows that do not exist are computed from the last one and not stored.

use super::Panel;
use crate::simd::{Element, LANES, Simd, SimdOp, Vector};
use core::array::from_fn;
use core::marker::PhantomData;

/// Rows of the highest tile of 32 columns: 28 sums, two vectors of B and one element of A fill 32 registers.
const MOST_ROWS: usize = 14;

/// Whether a row of a tile is two vectors: twelve sums, on a machine with 16 registers of eight `f32`.
pub(crate) const fn is_wide<T, S: Simd>() -> bool {
    S::ACCUMULATORS * size_of::<f32>() >= 12 * size_of::<T>()
}

/// Lanes of a vector.
const fn width<T: Element, S: Simd>() -> usize {
    <T::Vector<S> as Vector<T, S>>::WIDTH
}

/// Asks how many columns the widest tile of a level has.
#[derive(Default)]
pub struct PanelColumns<T>(PhantomData<T>);

impl<T: Element> SimdOp for PanelColumns<T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = usize;

    #[inline(always)]
    fn eval<S: Simd>(self, _: S) -> usize {
        width::<T, S::Wide>() * if is_wide::<T, S::Wide>() { 2 } else { 1 }
    }
}

/// What the sums start from.
#[derive(Clone, Copy)]
pub(super) enum Start<T> {
    Zero,
    /// Row i of the block from row i of a matrix with this stride: C itself, or with 0 one row for all.
    Rows(*const T, usize),
    /// Row i from number i.
    Numbers(*const T),
}

/// The tiles of all rows of a block over one panel.
pub struct Tiles<T> {
    /// The block's first row at the first depth, and the strides of rows and depths.
    pub(super) a: *const T,
    pub(super) a_strides: [usize; 2],
    pub(super) panel: Panel<T>,
    pub(super) depth: usize,
    pub(super) start: Start<T>,
    /// The least result: 0 or minus infinity.
    pub(super) floor: T,
    pub(super) c: *mut T,
    pub(super) c_stride: usize,
    pub(super) rows: usize,
}

impl<T: Element> SimdOp for Tiles<T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        self.walk(simd.wide());
    }
}

/// Unrolls a loop over the rows of a tile: the compiler leaves one over so many alone, and then keeps no sum in a register.
macro_rules! rows {
    ($i:ident of $rows:ident $body:block) => {
        rows!($i of $rows $body 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    ($i:ident of $rows:ident $body:block $($row:literal)*) => {{$(
        if const { $row < $rows } {
            let $i = $row;
            $body
        }
    )*}};
}

impl<T: Element> Tiles<T> {
    #[inline(always)]
    fn walk<S: Simd>(&self, simd: S) {
        let two = self.panel.width > width::<T, S>();
        let mut row = 0;
        while row < self.rows {
            let left = self.rows - row;
            // In `const`, so that a level is only compiled with its own tiles.
            row += if const { is_wide::<T, S>() && S::ACCUMULATORS >= 2 * MOST_ROWS } {
                match two {
                    true if left >= MOST_ROWS => self.tile::<S, MOST_ROWS, 2, 3>(simd, row),
                    true if left >= 8 => self.tile::<S, 8, 2, 3>(simd, row),
                    true => self.tile::<S, 4, 2, 1>(simd, row),
                    false => self.tile::<S, 8, 1, 1>(simd, row),
                }
            } else if const { is_wide::<T, S>() } {
                match two {
                    true if left >= 6 => self.tile::<S, 6, 2, 3>(simd, row),
                    true => self.tile::<S, 4, 2, 1>(simd, row),
                    false => self.tile::<S, 6, 1, 1>(simd, row),
                }
            } else if const { S::ACCUMULATORS >= 6 } {
                match left {
                    3.. => self.tile::<S, 6, 1, 1>(simd, row),
                    _ => self.tile::<S, 2, 1, 1>(simd, row),
                }
            } else {
                self.tile::<S, 2, 1, 1>(simd, row)
            };
        }
    }

    /// Computes one tile of ROWS rows and VECTORS vectors of columns and returns ROWS. Of A there is a pointer for SHARE rows,
    /// whose addresses are then a base and a multiple of one register; if it is 1, rows may be missing.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize, const SHARE: usize>(
        &self,
        simd: S,
        row: usize,
    ) -> usize {
        let Tiles { panel, c_stride, .. } = *self;
        let [row_stride, k_stride] = self.a_strides;
        let width = width::<T, S>();
        let last = self.rows - 1;
        let row_at = |i: usize| if SHARE == 1 { last.min(row + i) } else { row + i };
        // The columns of each vector that exist.
        let lanes: [u32; VECTORS] = from_fn(|v| ((1_u64 << (panel.width - v * width).min(width)) - 1) as u32);
        let zero = T::Vector::splat(simd, T::zero());
        let mut sums = [[zero; VECTORS]; ROWS];
        match self.start {
            Start::Zero => {}
            Start::Rows(from, stride) => rows!(i of ROWS {
                let from = from.wrapping_add(row_at(i) * stride);
                for v in 0..VECTORS {
                    // SAFETY: the matrix has this row and these columns.
                    sums[i][v] = unsafe { T::Vector::read_lanes(simd, from.wrapping_add(v * width), lanes[v]) };
                }
            }),
            Start::Numbers(from) => rows!(i of ROWS {
                // SAFETY: there is a number for each row.
                sums[i] = [T::Vector::splat(simd, unsafe { *from.add(row_at(i)) }); VECTORS];
            }),
        }

        // What the next tile starts from and what all tiles end in.
        if SHARE > 1 {
            let next = self.c.wrapping_add((row + ROWS) * c_stride);
            for i in 0..ROWS {
                for v in 0..VECTORS {
                    simd.prefetch(next.wrapping_add(i * c_stride + v * width));
                }
            }
        }

        let mut a: [*const T; ROWS] = from_fn(|i| self.a.wrapping_add(row_at(SHARE * i) * row_stride));
        let mut b = panel.data;
        for _ in 0..self.depth {
            let mut vectors = [zero; VECTORS];
            for v in 0..VECTORS {
                // SAFETY: the panel has `width` columns at every depth, and whole vectors of eight.
                vectors[v] = unsafe {
                    let from = b.add(v * width);
                    if const { <T::Vector<S> as Vector<T, S>>::WIDTH > LANES } {
                        T::Vector::read_lanes(simd, from, lanes[v])
                    } else {
                        T::Vector::read(simd, from)
                    }
                };
            }
            rows!(i of ROWS {
                // SAFETY: A, or its copy, has this row at every depth: the callers checked its length.
                let a = unsafe { *a[i / SHARE].wrapping_add(i % SHARE * row_stride) };
                let a = T::Vector::splat(simd, a);
                for v in 0..VECTORS {
                    sums[i][v] = a.mul_add(vectors[v], sums[i][v]);
                }
            });
            // Wrapping, because the last step may leave both matrices.
            a = a.map(|a| a.wrapping_add(k_stride));
            b = b.wrapping_add(panel.strides[0]);
        }

        let floor = T::Vector::splat(simd, self.floor);
        let whole = panel.width == VECTORS * width;
        rows!(i of ROWS {
            if SHARE > 1 || row + i <= last {
                let c = self.c.wrapping_add((row + i) * c_stride);
                for v in 0..VECTORS {
                    let (sum, c) = (floor.max(sums[i][v]), c.wrapping_add(v * width));
                    // SAFETY: these lanes lie in the block of C, which is this product's alone.
                    unsafe { if whole { sum.write(c) } else { sum.write_lanes(c, lanes[v]) } };
                }
            }
        });
        ROWS
    }
}
