//! Matrix products C = activation(A·B + bias), or added to what C holds.
//!
//! C is cut into blocks, one per task, and a block into tiles of at most 6 × 16 elements (14 × 32 with AVX-512) that are
//! held in registers while k runs (Goto and van de Geijn, 2008). B is copied panel by panel, so that a tile reads it in
//! order from the first-level cache. A is read where it lies, because a tile broadcasts its elements one at a time; only
//! where steps in k are long strides is it copied too, and where rows of 2^n elements fall into a few sets of the cache,
//! which costs a fifth of the speed and more.

mod vector;
mod wide;

use crate::elementwise::{functions, map_line};
use crate::parallel::{Parts, for_each_task};
use crate::simd::{BASELINE_IS_PLAIN, Element, LANES, Simd, SimdOp, Vector, is_plain};
use crate::{plain, require};
use bantam_core::Context;
use core::ops::Range;

/// The shape of a product: A is m × k, B is k × n, C is m × n and row-major without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gemm {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B. 0 gives C = activation(bias).
    pub k: usize,
    /// How many elements lie between the rows and between the columns of A: [k, 1] if it is row-major, [1, m] if its
    /// transpose is.
    pub a_strides: [usize; 2],
    /// The same for B: [n, 1] if it is row-major, [1, k] if its transpose is.
    pub b_strides: [usize; 2],
}

/// What is added to each element of a product.
#[derive(Clone, Copy, Debug)]
pub enum Bias<'a, T> {
    /// One number per column of C: n elements. A linear layer's.
    PerColumn(&'a [T]),
    /// One number per row of C: m elements. A convolution's.
    PerRow(&'a [T]),
}

/// What is applied to each element at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// max(x, 0).
    Relu,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

/// Rows of a tile.
const TILE_ROWS: usize = 6;
/// The most columns of a tile: two vectors.
pub(crate) const TILE_COLUMNS: usize = 2 * LANES;
/// The longest stretch of k that a panel of B covers: 24 KiB of `f32`, half of a usual first-level cache.
const PANEL_DEPTH: usize = 384;
/// Rows of a block: with the depth of a panel, 288 KiB of A, which stays in a usual second-level cache.
const BLOCK_ROWS: usize = 32 * TILE_ROWS;
/// Rows of a block when there is one thread: with the depth of a panel, 384 KiB of A.
const MOST_ROWS: usize = 256;
/// Elements in a cache line of 64 bytes, if they are `f32`.
const LINE: usize = 16;
/// Rows whose length is a multiple of this start in at most four sets of a usual first-level cache.
const SETS: usize = 16 * LINE;
/// Multiply-adds that are worth a task of their own.
const TASK_WORK: usize = 1 << 20;
/// The most column groups and the most row blocks.
const MOST_TASKS: usize = 16;
/// An operand is read where it lies while it spans no more elements than this: 16 KiB of `f32`.
const SMALL: usize = 4 << 10;

/// How a product is cut into blocks: a function of its shape alone.
struct Blocks {
    rows: usize,
    columns: usize,
    row_blocks: usize,
    column_blocks: usize,
    /// Whether one comes after the other, so that all use the same scratch.
    sequential: bool,
}

impl Gemm {
    const fn blocks(&self) -> Blocks {
        let work = self.m.saturating_mul(self.n).saturating_mul(self.k);
        let tasks = greater(lesser(work / TASK_WORK, MOST_TASKS), 1);
        // Where A is copied, few and wide columns of blocks, since each of them copies A.
        let most = if self.copies_a() { self.m / 128 } else { self.m.div_ceil(BLOCK_ROWS) };
        let rows = (self.m / greater(lesser(tasks, most), 1)).next_multiple_of(TILE_ROWS);
        let row_blocks = self.m.div_ceil(rows);
        let least = if self.copies_a() { 16 * TILE_COLUMNS } else { 2 * TILE_COLUMNS };
        let columns =
            greater(self.n.div_ceil(tasks.div_ceil(row_blocks)), least).next_multiple_of(2 * TILE_COLUMNS);
        Blocks { rows, columns, row_blocks, column_blocks: self.n.div_ceil(columns), sequential: false }
    }

    /// The blocks for a single thread: the fewer, the less is copied twice.
    const fn sequential_blocks(&self) -> Blocks {
        let rows = lesser(self.m, MOST_ROWS);
        Blocks {
            rows,
            columns: self.n,
            row_blocks: self.m.div_ceil(rows),
            column_blocks: 1,
            sequential: true,
        }
    }

    /// Whether whole vectors of B may be read where they lie.
    const fn reads_b_in_place(&self) -> bool {
        self.b_strides[1] == 1 && (self.m <= 2 * TILE_ROWS || self.k * self.b_strides[0] <= SMALL)
    }

    /// Whether a block's rows of A are copied: where steps in k are long, and long rows that start in a few sets of the cache.
    const fn copies_a(&self) -> bool {
        if self.a_strides[1] == 1 {
            return self.a_strides[0].is_multiple_of(SETS) && self.m >= 64 && self.n >= 256 && self.k >= 128;
        }
        self.k * self.a_strides[1] > SMALL && self.m > TILE_ROWS && self.n > TILE_COLUMNS
    }

    /// Whether some columns of B have to be copied.
    const fn copies_b(&self) -> bool {
        self.m > TILE_ROWS && !(self.reads_b_in_place() && self.n.is_multiple_of(LANES))
    }

    /// The elements that a task copies at a time: of B, of A.
    const fn copied(&self, blocks: &Blocks) -> [usize; 2] {
        let depth = panel_depth(self.k);
        let b = if self.copies_b() { depth * TILE_COLUMNS } else { 0 };
        let row = if self.a_strides[1] == 1 { copied_row(depth) } else { depth };
        let a = if self.copies_a() { row * blocks.rows } else { 0 };
        [b, a]
    }

    const fn scratch(&self, blocks: &Blocks) -> usize {
        let [b, a] = self.copied(blocks);
        (b + a) * if blocks.sequential { 1 } else { blocks.row_blocks * blocks.column_blocks }
    }

    /// One more than the greatest index that is read with these strides.
    fn reach(rows: usize, columns: usize, strides: [usize; 2]) -> usize {
        if rows == 0 || columns == 0 {
            return 0;
        }
        // Saturating: what does not fit into memory must not seem to.
        let [down, across] =
            [(rows - 1).saturating_mul(strides[0]), (columns - 1).saturating_mul(strides[1])];
        down.saturating_add(across).saturating_add(1)
    }
}

/// The elements from one copied row of A to the next: an odd number of cache lines, so that rows do not share a set.
const fn copied_row(depth: usize) -> usize {
    (depth.div_ceil(LINE) | 1) * LINE
}

/// The length of the stretches into which k is cut: equal ones, as far as that is possible.
pub(crate) const fn panel_depth(k: usize) -> usize {
    k.div_ceil(greater(k.div_ceil(PANEL_DEPTH), 1))
}

/// How many elements of scratch [`gemm`] needs; 0 for small shapes, and where the processor has no vectors.
pub const fn gemm_scratch(gemm: &Gemm) -> usize {
    if BASELINE_IS_PLAIN { 0 } else { gemm_scratch_anywhere(gemm) }
}

/// What [`gemm_scratch`] is at most, on any processor: for state that goes from one to another.
pub const fn gemm_scratch_anywhere(gemm: &Gemm) -> usize {
    if gemm.m == 0 || gemm.n <= 1 || gemm.k == 0 {
        return 0;
    }
    greater(gemm.scratch(&gemm.blocks()), gemm.scratch(&gemm.sequential_blocks()))
}

// `Ord::max` is not for constants.
const fn greater(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

const fn lesser(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

/// C = activation(A·B + bias), or activation(C + bias + A·B) if `accumulate`.
///
/// Each element of C starts from 0, its bias, its old value or both, and adds its products in the order of k. So its
/// bits do not depend on where it lies, on block sizes or on threads.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn gemm<T: Element>(
    cx: &Context<'_>,
    gemm: &Gemm,
    a: &[T],
    b: &[T],
    bias: Option<Bias<'_, T>>,
    activation: Activation,
    c: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    let Gemm { m, n, k, a_strides, b_strides } = *gemm;
    require(Some(c.len()) == m.checked_mul(n) && scratch.len() >= gemm_scratch(gemm));
    require(a.len() >= Gemm::reach(m, k, a_strides) && b.len() >= Gemm::reach(k, n, b_strides));
    require(match bias {
        Some(Bias::PerColumn(bias)) => bias.len() == n,
        Some(Bias::PerRow(bias)) => bias.len() == m,
        None => true,
    });
    if c.is_empty() {
        return;
    }
    if is_plain(cx) {
        return plain::gemm(gemm, a, b, bias, activation, c, accumulate);
    }
    if n == 1 && m > 1 {
        // A column of C lies as a row does: Cᵀ = Bᵀ·Aᵀ, with the same products in the same order.
        let (a_strides, b_strides) = ([b_strides[1], b_strides[0]], [a_strides[1], a_strides[0]]);
        let transposed = Gemm { m: 1, n: m, k, a_strides, b_strides };
        let bias = bias.map(|bias| match bias {
            Bias::PerColumn(bias) => Bias::PerRow(bias),
            Bias::PerRow(bias) => Bias::PerColumn(bias),
        });
        return self::gemm(cx, &transposed, b, a, bias, activation, c, accumulate, scratch);
    }
    let blocks = if cx.executor.lanes() == 1 { gemm.sequential_blocks() } else { gemm.blocks() };
    let [b_len, a_len] = if k == 0 { [0, 0] } else { gemm.copied(&blocks) };
    let (c, scratch) = (Parts::new(c), Parts::new(scratch));
    let compute = |task: usize| {
        let (row, column) =
            (task % blocks.row_blocks * blocks.rows, task / blocks.row_blocks * blocks.columns);
        let product = Product {
            a,
            a_strides,
            k,
            bias,
            activation,
            accumulate,
            c: c.pointer(),
            c_stride: n,
            rows: row..m.min(row + blocks.rows),
            columns: column..n.min(column + blocks.columns),
        };
        let b =
            Strided { b, strides: b_strides, in_place: gemm.reads_b_in_place(), one_tile: m <= TILE_ROWS };
        let len = b_len + a_len;
        // One after the other, all use the same scratch.
        let place = if blocks.sequential { 0 } else { task * len };
        // SAFETY: each task has its own scratch, or a loop on this thread runs one at a time.
        let (b_buffer, a_buffer) = unsafe { scratch.range(place, len) }.split_at_mut(b_len);
        T::run(cx, Block { product, b, depth: panel_depth(k), b_buffer, a_buffer });
    };
    let tasks = blocks.row_blocks * blocks.column_blocks;
    if blocks.sequential { (0..tasks).for_each(compute) } else { for_each_task(cx, tasks, compute) }
}

/// A block of C and what it is computed from, but for B.
pub(crate) struct Product<'a, T> {
    /// A holds element (i, p) at `i * a_strides[0] + p * a_strides[1]`, for every i of `rows` and every p below `k`.
    pub(crate) a: &'a [T],
    pub(crate) a_strides: [usize; 2],
    pub(crate) k: usize,
    pub(crate) bias: Option<Bias<'a, T>>,
    pub(crate) activation: Activation,
    pub(crate) accumulate: bool,
    /// Element (i, j) of C lies at `i * c_stride + j`; nothing else touches it for i of `rows` and j of `columns`.
    pub(crate) c: *mut T,
    pub(crate) c_stride: usize,
    pub(crate) rows: Range<usize>,
    pub(crate) columns: Range<usize>,
}

/// Where the elements of B come from.
pub(crate) trait Source<T: Element> {
    /// The panel of B at these depths from `column` on, `most` columns wide or narrower. It either points into B or is
    /// copied to `buffer`.
    fn panel<S: Simd>(
        &self,
        simd: S,
        depths: &Range<usize>,
        column: usize,
        most: usize,
        buffer: &mut [T],
    ) -> Panel<T>;
}

/// Some columns of B at some depths: element (p, j) lies at `data + p * strides[0] + j * strides[1]`.
#[derive(Clone, Copy)]
pub(crate) struct Panel<T> {
    pub(crate) data: *const T,
    pub(crate) strides: [usize; 2],
    /// Columns that exist: 1 to 16 with whole vectors, else 1 to 8.
    pub(crate) width: usize,
    /// Whether columns are neighbours and whole vectors of them can be read.
    whole: bool,
}

impl<T: Element> Panel<T> {
    /// A panel that was copied to `buffer`, `width` columns in rows of whole vectors.
    pub(crate) fn copied(buffer: &[T], width: usize) -> Panel<T> {
        Panel { data: buffer.as_ptr(), strides: [width.next_multiple_of(LANES), 1], width, whole: true }
    }
}

/// A matrix with a stride for rows and one for columns.
struct Strided<'a, T> {
    b: &'a [T],
    strides: [usize; 2],
    /// Whether whole vectors are read where they lie.
    in_place: bool,
    /// Whether a panel is read only once, so that copying it is not worth it.
    one_tile: bool,
}

impl<T: Element> Source<T> for Strided<'_, T> {
    #[inline(always)]
    fn panel<S: Simd>(
        &self,
        simd: S,
        depths: &Range<usize>,
        column: usize,
        most: usize,
        buffer: &mut [T],
    ) -> Panel<T> {
        let strides = self.strides;
        // Wrapping, because there is nothing to point at if k is 0.
        let data = self.b.as_ptr().wrapping_add(depths.start * strides[0] + column * strides[1]);
        if self.in_place && most >= LANES {
            return Panel { data, strides, width: most - most % LANES, whole: true };
        }
        if self.one_tile {
            return Panel { data, strides, width: most.min(LANES), whole: false };
        }
        let padded = most.next_multiple_of(LANES);
        let rows = buffer[..depths.len() * padded].chunks_exact_mut(padded);
        if strides[1] == 1 && most == TILE_COLUMNS {
            for (p, row) in depths.clone().zip(buffer.as_chunks_mut::<TILE_COLUMNS>().0) {
                if let Some(from) = self.b[p * strides[0] + column..].first_chunk() {
                    *row = *from;
                }
            }
        } else if strides[1] == 1 {
            for (p, row) in depths.clone().zip(rows) {
                row[..most].copy_from_slice(&self.b[p * strides[0] + column..][..most]);
                row[most..].fill(T::zero());
            }
        } else if strides[0] == 1 {
            self.transpose(simd, depths, column, [most, padded], &mut buffer[..depths.len() * padded]);
        } else {
            for (p, row) in depths.clone().zip(rows) {
                let from = &self.b[p * strides[0] + column * strides[1]..];
                for (j, x) in row[..most].iter_mut().enumerate() {
                    *x = from[j * strides[1]];
                }
                row[most..].fill(T::zero());
            }
        }
        Panel::copied(buffer, most)
    }
}

impl<T: Element> Strided<'_, T> {
    /// Copies columns that lie in rows, eight by eight.
    #[inline(always)]
    fn transpose<S: Simd>(
        &self,
        simd: S,
        depths: &Range<usize>,
        column: usize,
        [width, padded]: [usize; 2],
        buffer: &mut [T],
    ) {
        for first in (0..width).step_by(LANES) {
            let columns = LANES.min(width - first);
            let line = |j: usize| {
                // Beyond the last column the last one is repeated: nobody uses the result.
                let at = (column + first + j.min(columns - 1)) * self.strides[1];
                &self.b[at + depths.start..at + depths.end]
            };
            let lines: [&[T]; LANES] = core::array::from_fn(line);
            let whole = depths.len() - depths.len() % LANES;
            for p in (0..whole).step_by(LANES) {
                // SAFETY: each line is as long as there are depths, of which eight start at p.
                let square =
                    unsafe { T::Vector::read_transposed(simd, lines.map(|line| line.as_ptr().add(p))) };
                let rows = buffer[p * padded..][..LANES * padded].chunks_exact_mut(padded);
                for (row, to) in square.into_iter().zip(rows) {
                    store(row, &mut to[first..][..LANES]);
                }
            }
            for p in whole..depths.len() {
                for (x, line) in buffer[p * padded + first..][..LANES].iter_mut().zip(lines) {
                    *x = line[p];
                }
            }
        }
    }
}

pub struct Block<'a, 'b, T> {
    product: Product<'a, T>,
    b: Strided<'a, T>,
    depth: usize,
    b_buffer: &'b mut [T],
    a_buffer: &'b mut [T],
}

impl<T: Element> SimdOp for Block<'_, '_, T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        // Where turning a square in registers is cheap.
        let one_row = self.product.rows.len() == 1 && self.product.k > 0;
        if const { S::ACCUMULATORS >= 12 } && one_row && self.b.strides[0] == 1 {
            simd.call(vector::RowTimesColumns { product: &self.product, b: &self.b });
        } else if const { wide::is_for::<T, S>() } {
            wide::multiply(simd, &self.product, &self.b, self.a_buffer);
        } else {
            multiply(simd, &self.product, &self.b, self.depth, self.b_buffer, self.a_buffer);
        }
    }
}

/// Computes a block of C. `depth` is the longest stretch of k that is multiplied at a time. `b_buffer` has 16 elements
/// for each; `a_buffer` has as many as the block has rows, or is empty: then A is read where it lies.
#[inline(always)]
pub(crate) fn multiply<T: Element, S: Simd>(
    simd: S,
    product: &Product<'_, T>,
    b: &impl Source<T>,
    depth: usize,
    b_buffer: &mut [T],
    a_buffer: &mut [T],
) {
    if simd.single().is_some() {
        return plain::multiply(simd, product, b, depth, b_buffer);
    }
    let most = if wide::is_for::<T, S>() || is_wide::<T, S>() { TILE_COLUMNS } else { LANES };
    let columns = product.columns.clone();
    let mut start = 0;
    loop {
        let end = product.k.min(start + depth);
        let (a, a_strides) = product.place_a(start..end, a_buffer, tile_rows::<S>);
        let mut column = columns.start;
        while column < columns.end {
            let panel = b.panel(simd, &(start..end), column, most.min(columns.end - column), b_buffer);
            let tiles = Tiles { product, depths: start..end, a, a_strides, column, panel };
            // In `const`, so that only the levels that have such tiles are compiled with them.
            if const { wide::is_for::<T, S>() } {
                simd.call(wide::Tiles(tiles));
            } else {
                simd.call(tiles);
            }
            column += panel.width;
        }
        start = end;
        if end == product.k {
            break;
        }
    }
    product.activate(simd);
}

impl<T: Element> Product<'_, T> {
    /// What is too long for the end of every tile.
    #[inline(always)]
    fn activate<S: Simd>(&self, simd: S) {
        if matches!(self.activation, Activation::Sigmoid | Activation::Tanh) {
            simd.call(LongActivation { product: self });
        }
    }

    /// Where the block's first row is at the first of these depths, and with which strides, or copied tile by tile: each as
    /// `depths` rows of as many elements as the tile is high. An empty buffer leaves A where it lies.
    #[inline(always)]
    fn place_a(
        &self,
        depths: Range<usize>,
        buffer: &mut [T],
        tile_rows: impl Fn(usize) -> usize,
    ) -> (*const T, Option<[usize; 2]>) {
        let (rows, [row_stride, k_stride]) = (self.rows.clone(), self.a_strides);
        if buffer.is_empty() {
            // Wrapping, because there is nothing to point at if k is 0.
            let first = rows.start * row_stride + depths.start * k_stride;
            return (self.a.as_ptr().wrapping_add(first), Some(self.a_strides));
        }
        if k_stride == 1 {
            let stride = copied_row(depths.len());
            for (row, to) in rows.zip(buffer.chunks_exact_mut(stride)) {
                to[..depths.len()]
                    .copy_from_slice(&self.a[row * row_stride + depths.start..][..depths.len()]);
            }
            return (buffer.as_ptr(), Some([stride, 1]));
        }
        // Depth by depth, so that neighbours in memory are read one after the other.
        for (p, depth) in depths.clone().enumerate() {
            let from = &self.a[rows.start * row_stride + depth * k_stride..];
            let mut row = 0;
            while row < rows.len() {
                let height = tile_rows(rows.len() - row);
                let to = &mut buffer[row * depths.len() + p * height..];
                // Lengths that are known become whole registers.
                let from = &from[row * row_stride..];
                if row_stride != 1 {
                    for (to, from) in to[..height].iter_mut().zip(from.iter().step_by(row_stride)) {
                        *to = *from;
                    }
                } else if height == TILE_ROWS {
                    to[..TILE_ROWS].copy_from_slice(&from[..TILE_ROWS]);
                } else if height == wide::ROWS {
                    to[..wide::ROWS].copy_from_slice(&from[..wide::ROWS]);
                } else {
                    to[..height].copy_from_slice(&from[..height]);
                }
                row += height;
            }
        }
        (buffer.as_ptr(), None)
    }
}

/// Whether a row of a tile is two vectors: twelve sums, on a machine with 16 registers of eight `f32`.
pub(crate) const fn is_wide<T, S: Simd>() -> bool {
    S::ACCUMULATORS * size_of::<f32>() >= 12 * size_of::<T>()
}

/// The rows of the next tile when so many are left. Eight are two times four: a tile of two does not have enough sums to
/// hide the latency of an addition.
#[inline(always)]
fn tile_rows<S: Simd>(left: usize) -> usize {
    match left {
        8 if S::ACCUMULATORS >= 6 => 4,
        6.. if S::ACCUMULATORS >= 6 => 6,
        4.. if S::ACCUMULATORS >= 6 => 4,
        2.. => 2,
        _ => 1,
    }
}

/// The tiles of all rows of a block over one panel.
struct Tiles<'a, T> {
    product: &'a Product<'a, T>,
    depths: Range<usize>,
    /// The block's first row at the first depth; with strides, or copied tile by tile.
    a: *const T,
    a_strides: Option<[usize; 2]>,
    column: usize,
    panel: Panel<T>,
}

impl<T: Element> SimdOp for Tiles<'_, T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Range { start: mut row, end } = self.product.rows;
        while row < end {
            // The guards are known when compiling: a level is spared the tiles that it has no registers for.
            row += match (tile_rows::<S>(end - row), self.panel.whole, self.panel.width > LANES) {
                (6, true, true) if is_wide::<T, S>() => self.tile::<S, 6, 2, true>(simd, row),
                (4, true, true) if is_wide::<T, S>() => self.tile::<S, 4, 2, true>(simd, row),
                (2, true, true) if is_wide::<T, S>() => self.tile::<S, 2, 2, true>(simd, row),
                (_, true, true) if is_wide::<T, S>() => self.tile::<S, 1, 2, true>(simd, row),
                (6, true, _) if S::ACCUMULATORS >= 6 => self.tile::<S, 6, 1, true>(simd, row),
                (4, true, _) if S::ACCUMULATORS >= 6 => self.tile::<S, 4, 1, true>(simd, row),
                (2, true, _) => self.tile::<S, 2, 1, true>(simd, row),
                (_, true, _) => self.tile::<S, 1, 1, true>(simd, row),
                (4.., false, _) if S::ACCUMULATORS >= 6 => self.tile::<S, 4, 1, false>(simd, row),
                (_, false, _) => self.tile::<S, 1, 1, false>(simd, row),
            };
        }
    }
}

impl<T: Element> Tiles<'_, T> {
    /// Computes one tile of ROWS rows and VECTORS vectors of columns and returns ROWS.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize, const WHOLE: bool>(
        &self,
        simd: S,
        row: usize,
    ) -> usize {
        let Tiles { product, panel, column, .. } = self;
        let (skipped, [row_stride, k_stride]) = match self.a_strides {
            Some(strides) => ((row - product.rows.start) * strides[0], strides),
            None => ((row - product.rows.start) * self.depths.len(), [1, ROWS]),
        };
        let mut sums = [[T::Vector::splat(simd, T::zero()); VECTORS]; ROWS];
        // The columns of vector v that exist; at least one, since the panel's width decides VECTORS.
        let valid = |v: usize| (panel.width - v * LANES).min(LANES);
        // SAFETY: (row + i, column) lies in the block of C, which is this product's alone.
        let c = |i: usize, v: usize| unsafe {
            let start = product.c.add((row + i) * product.c_stride + column + v * LANES);
            core::slice::from_raw_parts_mut(start, valid(v))
        };
        if self.depths.start > 0 {
            for (i, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = load(simd, c(i, v));
                }
            }
        } else {
            match product.bias {
                Some(Bias::PerColumn(bias)) => {
                    for v in 0..VECTORS {
                        let bias = load(simd, &bias[column + v * LANES..][..valid(v)]);
                        sums.iter_mut().for_each(|sums| sums[v] = bias);
                    }
                }
                Some(Bias::PerRow(bias)) => {
                    for (sums, bias) in sums.iter_mut().zip(&bias[row..]) {
                        *sums = [T::Vector::splat(simd, *bias); VECTORS];
                    }
                }
                None => {}
            }
            if product.accumulate {
                for (i, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        let old = load(simd, c(i, v));
                        *sum = if product.bias.is_some() { old + *sum } else { old };
                    }
                }
            }
        }

        // Two pointers, for the upper and the lower rows: with one, compilers chain the addresses of a depth to those of
        // the depth before, and that chain is as long as the multiplications take.
        let mut upper = self.a.wrapping_add(skipped);
        let mut lower = upper.wrapping_add(3 * row_stride);
        let mut b = panel.data;
        for _ in 0..self.depths.len() {
            let mut vectors = [T::Vector::splat(simd, T::zero()); VECTORS];
            for (v, vector) in vectors.iter_mut().enumerate() {
                *vector = if WHOLE {
                    // SAFETY: the panel has whole vectors at every depth.
                    T::Vector::load(simd, unsafe { &*b.add(v * LANES).cast::<[T; LANES]>() })
                } else {
                    // Beyond the last column the last one again: nobody uses the result. A loop of known length becomes
                    // insertions into a register.
                    let mut lanes = [T::zero(); LANES];
                    for (j, lane) in lanes.iter_mut().enumerate() {
                        // SAFETY: the panel has `width` columns, at least one, at every depth.
                        *lane = unsafe { *b.add(j.min(panel.width - 1) * panel.strides[1]) };
                    }
                    T::Vector::load(simd, &lanes)
                };
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = if i < 3 {
                    upper.wrapping_add(i * row_stride)
                } else {
                    lower.wrapping_add((i - 3) * row_stride)
                };
                // SAFETY: A, or its copy, has row `row + i` at every depth: the callers of `multiply` checked its length.
                let a = T::Vector::splat(simd, unsafe { *a });
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = a.mul_add(vector, *sum);
                }
            }
            // Wrapping, because the last step may leave both matrices.
            (upper, lower) = (upper.wrapping_add(k_stride), lower.wrapping_add(k_stride));
            b = b.wrapping_add(panel.strides[0]);
        }

        let relu = self.depths.end == product.k && product.activation == Activation::Relu;
        for (i, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                let sum = if relu { T::Vector::splat(simd, T::zero()).max(sum) } else { sum };
                store(sum, c(i, v));
            }
        }
        ROWS
    }
}

/// The activations that are too long for the end of every tile, over a whole block.
struct LongActivation<'a, T> {
    product: &'a Product<'a, T>,
}

impl<T: Element> SimdOp for LongActivation<'_, T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Product { rows, columns, c, c_stride, activation, .. } = self.product;
        for row in rows.clone() {
            let row = c.wrapping_add(row * c_stride + columns.start);
            // SAFETY: the block of C is this product's alone.
            unsafe {
                match activation {
                    Activation::Tanh => map_line(simd, functions::Tanh, row, row, columns.len()),
                    _ => map_line(simd, functions::Sigmoid, row, row, columns.len()),
                }
            }
        }
    }
}

/// Up to eight elements.
#[inline(always)]
pub(crate) fn load<T: Element, S: Simd>(simd: S, from: &[T]) -> T::Vector<S> {
    match from.first_chunk() {
        Some(lanes) => T::Vector::load(simd, lanes),
        None => T::Vector::load_partial(simd, from, T::zero()),
    }
}

/// Up to eight elements.
#[inline(always)]
pub(crate) fn store<T: Element, S: Simd, V: Vector<T, S>>(vector: V, to: &mut [T]) {
    match to.first_chunk_mut() {
        Some(lanes) => vector.store(lanes),
        None => vector.store_partial(to),
    }
}
