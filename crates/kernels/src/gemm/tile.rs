//! The tiles of a product: some rows and one or two vectors of columns, whose sums stay in registers while k runs.
//!
//! The highest tiles, where nearly all of the time goes, are loops in assembly; see [`Vector::TILE`] and [`Vector::add_products`].
//! Beside them every level has two or three tiles, no more: each is compiled for each level. A high one fills the registers; the lower ones
//! serve fewer rows than they have, in no more time than lower ones still would take, since too few sums wait for each
//! other.

use super::{LINE, PAGE, Panel, TILE_COLUMNS, TILE_ROWS};
use crate::simd::{Element, LANES, Operands, Simd, SimdOp, Tile, TileLoop, Vector};
use core::array::from_fn;
use core::marker::PhantomData;
use core::mem::MaybeUninit;

/// Rows of a tile of 32 columns that the compiler keeps in registers without a loop in assembly.
const WIDE_ROWS: usize = 8;

/// Whether a row of a tile is two vectors: twelve sums, on a machine with 16 registers of eight `f32`.
pub(crate) const fn is_wide<T, S: Simd>() -> bool {
    S::ACCUMULATORS * size_of::<f32>() >= 12 * size_of::<T>()
}

/// Whether the first tile of a panel can copy it: twelve sums leave registers for it, and the loop is not in assembly.
const fn copies_panels<T, S: Simd>() -> bool {
    is_wide::<T, S>() && S::ACCUMULATORS < 2 * WIDE_ROWS
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
pub(crate) enum Start<T> {
    Zero,
    /// Row i of the block from row i of a matrix with this stride: C itself, or with 0 one row for all.
    Rows(*const T, usize),
    /// Row i from number i.
    Numbers(*const T),
}

/// Rows that will be copied next, and are asked for meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Next<T> {
    pub(crate) data: *const T,
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    /// Elements of a row.
    pub(crate) len: usize,
}

/// The tiles of all rows of a block over one panel.
#[derive(Clone, Copy)]
pub struct Tiles<T> {
    /// The block's first row at the first depth, and the strides of rows and depths.
    pub(crate) a: *const T,
    pub(crate) a_strides: [usize; 2],
    pub(crate) panel: Panel<T>,
    pub(crate) depth: usize,
    pub(crate) start: Start<T>,
    /// The least result: 0 or minus infinity.
    pub(crate) floor: T,
    pub(crate) c: *mut T,
    pub(crate) c_stride: usize,
    pub(crate) rows: usize,
    pub(crate) next: Option<Next<T>>,
    /// Where to the first of several tiles copies a panel of two whole vectors, which lies in B, for those below it; at levels that do
    /// so. Its multiplications hide what the copy takes.
    pub(crate) copy: Option<*mut T>,
}

impl<T: Element> SimdOp for Tiles<T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let simd = simd.wide();
        if const { copies_panels::<T, S::Wide>() }
            && let Some(to) = self.copy
        {
            let done = self.tile::<S::Wide, TILE_ROWS, 2, true>(simd, 0);
            let panel = Panel { data: to, strides: [TILE_COLUMNS, 1], ..self.panel };
            return Tiles { panel, copy: None, ..self.below(done) }.all(simd);
        }
        self.all(simd);
    }
}

/// Tiles whose sums start from rows of C that all have the same place in a page. Processors first compare a load with the stores before
/// it by these places, so each tile would wait for what the one above stores. Here its sums are loaded a tile earlier.
struct EarlyLoads<T>(Tiles<T>);

impl<T: Element> SimdOp for EarlyLoads<T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let EarlyLoads(tiles) = self;
        let Start::Rows(from, stride) = tiles.start else { return tiles.walk(simd) };
        let whole = tiles.rows - tiles.rows % TILE_ROWS;
        // What a tile starts from, and what the next one will.
        let mut copies = [MaybeUninit::<[T; TILE_ROWS * TILE_COLUMNS]>::uninit(); 2];
        let mut start = tiles.start;
        for row in (0..whole).step_by(TILE_ROWS) {
            let copy = copies[row / TILE_ROWS % 2].as_mut_ptr().cast::<T>();
            let next = row + TILE_ROWS;
            if next < whole {
                for i in 0..TILE_ROWS {
                    for v in [0, width::<T, S>()] {
                        let from = from.wrapping_add((next + i) * stride + v);
                        // SAFETY: C has these rows and columns, and the copy room for them.
                        unsafe { T::Vector::read(simd, from).write(copy.wrapping_add(i * TILE_COLUMNS + v)) };
                    }
                }
            }
            Tiles { start, rows: TILE_ROWS, ..tiles.below(row) }.tile::<S, TILE_ROWS, 2, false>(simd, 0);
            start = Start::Rows(copy, TILE_COLUMNS);
        }
        if whole < tiles.rows {
            tiles.below(whole).walk(simd);
        }
    }
}

/// Unrolls a loop over the rows of a tile: the compiler leaves one over so many alone, and then keeps no sum in a register.
macro_rules! rows {
    ($i:ident of $rows:ident $body:block) => {
        rows!($i of $rows $body 0 1 2 3 4 5 6 7)
    };
    ($i:ident of $rows:ident $body:block $($row:literal)*) => {{$(
        if const { $row < $rows } {
            let $i = $row;
            $body
        }
    )*}};
}

#[allow(
    clippy::needless_range_loop,
    reason = "indices that are known become registers, iterators take long to compile"
)]
impl<T: Element> Tiles<T> {
    /// Without the first `rows`.
    #[inline(always)]
    fn below(&self, rows: usize) -> Self {
        let start = match self.start {
            Start::Zero => Start::Zero,
            Start::Rows(from, stride) => Start::Rows(from.wrapping_add(rows * stride), stride),
            Start::Numbers(from) => Start::Numbers(from.wrapping_add(rows)),
        };
        let (a, c) =
            (self.a.wrapping_add(rows * self.a_strides[0]), self.c.wrapping_add(rows * self.c_stride));
        Tiles { a, c, start, rows: self.rows - rows, ..*self }
    }

    /// Computes all tiles, with early loads where they help.
    #[inline(always)]
    fn all<S: Simd>(self, simd: S) {
        if const { copies_panels::<T, S>() }
            && matches!(self.start, Start::Rows(_, stride) if stride > 0 && stride.is_multiple_of(PAGE))
            && self.panel.width == TILE_COLUMNS
        {
            return simd.call(EarlyLoads(self));
        }
        self.walk(simd);
    }

    #[inline(always)]
    fn walk<S: Simd>(&self, simd: S) {
        let two = self.panel.width > width::<T, S>();
        let mut row = match <T::Vector<S> as Vector<T, S>>::TILE {
            Some(tile) if two => self.high_tiles(simd, &tile),
            _ => 0,
        };
        while row < self.rows {
            let left = self.rows - row;
            // In `const`, so that a level is only compiled with its own tiles.
            row += if const { is_wide::<T, S>() && S::ACCUMULATORS >= 2 * WIDE_ROWS } {
                match two {
                    true if left >= WIDE_ROWS => self.tile::<S, WIDE_ROWS, 2, false>(simd, row),
                    true => self.tile::<S, 4, 2, false>(simd, row),
                    false => self.tile::<S, 8, 1, false>(simd, row),
                }
            } else if const { is_wide::<T, S>() } {
                match two {
                    true if left >= TILE_ROWS => self.tile::<S, TILE_ROWS, 2, false>(simd, row),
                    true => self.tile::<S, 4, 2, false>(simd, row),
                    false => self.tile::<S, 6, 1, false>(simd, row),
                }
            } else if const { S::ACCUMULATORS >= 6 } {
                match left {
                    3.. => self.tile::<S, 6, 1, false>(simd, row),
                    _ => self.tile::<S, 2, 1, false>(simd, row),
                }
            } else {
                self.tile::<S, 2, 1, false>(simd, row)
            };
        }
    }

    /// Computes as many whole tiles in assembly as there are, and returns how many rows that was.
    #[inline(always)]
    fn high_tiles<S: Simd>(&self, simd: S, tile: &TileLoop<T>) -> usize {
        let rows = tile.rows;
        let width = width::<T, S>();
        let [a_stride, k_stride] = self.a_strides;
        if k_stride != 1 {
            return 0;
        }
        let zeros = [T::zero(); 4 * LANES];
        let (start, stride) = match self.start {
            Start::Zero => (zeros.as_ptr(), 0),
            Start::Rows(from, stride) => (from, stride),
            Start::Numbers(_) => return 0,
        };
        let whole = self.rows - self.rows % rows;
        for row in (0..whole).step_by(rows) {
            if let Some(next) = self.next {
                for i in row * next.rows / whole..(row + rows) * next.rows / whole {
                    for j in (0..next.len).step_by(LINE) {
                        simd.prefetch_far(next.data.wrapping_add(i * next.stride + j));
                    }
                }
            }
            let tile_at = Tile {
                a: self.a.wrapping_add(row * a_stride),
                a_stride: a_stride * size_of::<T>(),
                b: self.panel.data,
                b_stride: self.panel.strides[0] * size_of::<T>(),
                depth: self.depth,
                start: start.wrapping_add(row * stride),
                start_stride: stride * size_of::<T>(),
                c: self.c.wrapping_add(row * self.c_stride),
                c_stride: self.c_stride * size_of::<T>(),
                floor: self.floor,
                lanes: [u32::MAX, ((1_u64 << (self.panel.width - width)) - 1) as u32],
            };
            // SAFETY: the token proves that the CPU has the instructions of its vectors; A, or its copy, has these rows at every
            // depth, the panel has its columns, and the block of C is this product's alone.
            unsafe { (tile.compute)(&tile_at) };
        }
        whole
    }

    /// Computes one tile of ROWS rows and VECTORS vectors of columns from this row on, copies the panel if it COPIES, and
    /// returns ROWS. If there are fewer rows, the upper and the lower half overlap: what both compute is stored twice.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize, const COPIES: bool>(
        &self,
        simd: S,
        row: usize,
    ) -> usize {
        let Tiles { panel, depth, .. } = *self;
        let width = width::<T, S>();
        let half = const { ROWS / 2 };
        let valid = ROWS.min(self.rows - row);
        // Where row i of the tile is in a matrix: the start of its half and the distance from there, which many rows share.
        let upper = valid.saturating_sub(half);
        let place =
            |i: usize, stride: usize| i / half * (upper * stride) + (i % half).min(valid - 1) * stride;
        // The columns of each vector that exist.
        let lanes: [u32; VECTORS] = from_fn(|v| ((1_u64 << (panel.width - v * width).min(width)) - 1) as u32);
        let zero = T::Vector::splat(simd, T::zero());
        let mut sums = [[zero; VECTORS]; ROWS];
        match self.start {
            Start::Zero => {}
            Start::Rows(from, stride) => rows!(i of ROWS {
                let from = from.wrapping_add(row * stride).wrapping_add(place(i, stride));
                for v in 0..VECTORS {
                    // SAFETY: the matrix has this row and these columns.
                    sums[i][v] = unsafe { T::Vector::read_lanes(simd, from.wrapping_add(v * width), lanes[v]) };
                }
            }),
            Start::Numbers(from) => rows!(i of ROWS {
                // SAFETY: there is a number for each row.
                sums[i] = [T::Vector::splat(simd, unsafe { *from.add(row + place(i, 1)) }); VECTORS];
            }),
        }
        // What the tile after the next starts from and what all tiles end in: so early that it can come from memory.
        let next = self.c.wrapping_add((row + 2 * ROWS) * self.c_stride);
        for i in 0..ROWS {
            for v in 0..VECTORS {
                simd.prefetch(next.wrapping_add(i * self.c_stride + v * width));
            }
        }

        let [row_stride, k_stride] = self.a_strides;
        let first = self.a.wrapping_add(row * row_stride);
        let in_assembly = const {
            ROWS == TILE_ROWS && VECTORS == 2 && !COPIES && <T::Vector<S> as Vector<T, S>>::ADDS_PRODUCTS
        };
        if in_assembly {
            let b_step = panel.strides[0];
            let from =
                Operands { a: first, a_stride: row_stride, a_step: k_stride, b: panel.data, b_step, depth };
            // SAFETY: sums are of just these numbers of rows and vectors; A, or its copy, has these rows at every depth, and whole
            // vectors of the panel can be read there.
            unsafe { T::Vector::add_products(simd, &mut *(&raw mut sums).cast(), &from) };
        }
        // A pointer for half of the rows: with one, compilers chain the addresses of a depth to those of the depth before, and
        // with one for each there are not registers enough.
        let mut a = [first, first.wrapping_add(upper * row_stride)];
        let offsets: [usize; ROWS] = from_fn(|i| place(i % half, row_stride));
        let mut b = panel.data;
        let mut copy = self.copy.unwrap_or(core::ptr::null_mut());
        for _ in 0..if in_assembly { 0 } else { depth } {
            let mut vectors = [zero; VECTORS];
            for v in 0..VECTORS {
                // SAFETY: whole vectors can be read at every depth.
                vectors[v] = unsafe { T::Vector::read(simd, b.add(v * width)) };
            }
            if COPIES {
                // The next panel lies beside this one, and is copied when all tiles of this are done.
                simd.prefetch_far(b.wrapping_add(VECTORS * width));
                for v in 0..VECTORS {
                    // SAFETY: who asks for the copy has room for the panel.
                    unsafe { vectors[v].write(copy.wrapping_add(v * width)) };
                }
                copy = copy.wrapping_add(VECTORS * width);
            }
            rows!(i of ROWS {
                // SAFETY: A, or its copy, has this row at every depth: the callers checked its length.
                let a = T::Vector::splat(simd, unsafe { *a[i / half].wrapping_add(offsets[i]) });
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
            for v in 0..VECTORS {
                sums[i][v] = floor.max(sums[i][v]);
            }
        });
        let c = self.c.wrapping_add(row * self.c_stride);
        let c = |i: usize, v: usize| c.wrapping_add(place(i, self.c_stride) + v * width);
        if whole {
            rows!(i of ROWS {
                for v in 0..VECTORS {
                    // SAFETY: these vectors lie in the block of C, which is this product's alone.
                    unsafe { sums[i][v].write(c(i, v)) };
                }
            });
        } else {
            rows!(i of ROWS {
                for v in 0..VECTORS {
                    // SAFETY: these lanes do.
                    unsafe { sums[i][v].write_lanes(c(i, v), lanes[v]) };
                }
            });
        }
        ROWS
    }
}
