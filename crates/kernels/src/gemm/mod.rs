//! Matrix products C = activation(A·B + bias), or added to what C holds.
//!
//! C is cut into blocks, one per task, and a block into tiles of at most 6 × 16 elements (14 × 32 with AVX-512) that are
//! held in registers while k runs (Goto and van de Geijn, 2008). B is copied panel by panel, so that a tile reads it in
//! order from the first-level cache; where rows of B are contiguous, by the first tile while it multiplies. If the block's rows of A
//! do not stay in the second-level cache meanwhile, four panels are copied together, and multiplied with some rows after
//! the other. A is read where it lies, because a tile broadcasts its elements one at a time; it is copied only where steps in k are
//! long strides, and few rows whose strides are multiples of a page.
//!
//! Only what has many operations per call is compiled for each instruction set: the tiles of a panel, and copies. What
//! walks over blocks and panels is compiled once.

pub mod batch;
pub mod tile;
pub mod vector;

use crate::parallel::{Parts, for_each_task};
use crate::simd::{BASELINE_IS_PLAIN, Element, LANES, Simd, SimdOp, Vector, is_plain};
use crate::strided::Transpose;
use crate::{plain, require};
use bantam_core::{Context, Numerics};
use core::mem::MaybeUninit;
use core::ops::Range;
pub(crate) use tile::is_wide;
use tile::{Next, PanelColumns, Start, Tiles};

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

/// What is applied to each element at the end. Longer functions are passes of their own: at the end of tiles they would save none,
/// and a board would hold them for networks that never ask for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// max(x, 0); NaN stays NaN.
    Relu,
}

/// Rows of a tile.
const TILE_ROWS: usize = 6;
/// The most columns of a tile: two vectors.
pub(crate) const TILE_COLUMNS: usize = 2 * LANES;
/// The longest stretch of k that a panel of B covers: 32 KiB of `f32`. Half of a usual first-level cache would be 256, but C is read and
/// written again for each stretch, and a panel comes in order from the second-level cache as well.
const PANEL_DEPTH: usize = 512;
/// The same for panels of 32 columns, and of convolutions.
pub(crate) const SHORT_PANEL_DEPTH: usize = 384;
/// The most rows of a block whose A is copied.
const MOST_ROWS: usize = 43 * TILE_ROWS;
/// Elements of a block's A, at the depths of a panel, that stay in a usual second-level cache: 256 KiB of `f32`.
const CACHED: usize = 64 << 10;
/// Rows of A that are multiplied with a group of panels, where a block has more than stay in the cache.
const ROWS_AT_ONCE: usize = 12 * TILE_ROWS;
/// Panels of a group: rows of B are read in four cache lines. One alone takes twice as long for each, because two come from the next cache.
const GROUP: usize = 4;
/// The fewest rows for which another row of blocks copies B.
const LEAST_ROWS: usize = 8 * TILE_ROWS;
/// Blocks for each lane, so that one that is slower does fewer.
const TASKS_OF_A_LANE: usize = 2;
/// Elements of a panel of B: 48 KiB of `f32`.
const PANEL: usize = SHORT_PANEL_DEPTH * 2 * TILE_COLUMNS;
/// Elements of a group of panels: 128 KiB of `f32`.
const PANELS: usize = GROUP * PANEL_DEPTH * TILE_COLUMNS;
/// Elements of the panel of a small product: 4 KiB of `f32`, a page.
const SMALL_PANEL: usize = 1 << 10;
/// Elements in a cache line of 64 bytes, if they are `f32`.
const LINE: usize = 16;
/// Elements of a page of 4 KiB, if they are `f32`. Rows whose strides are multiples of it have the same place in their pages, and start in
/// one set of the first-level cache.
const PAGE: usize = 1 << 10;
/// Multiply-adds that are worth a task of their own.
const TASK_WORK: usize = 1 << 18;
/// The most column groups and the most row blocks.
const MOST_TASKS: usize = 16;
/// The fewest depths of a column whose products are added in lanes: joining lanes takes as long as a few dozen.
const LONG_COLUMN: usize = 64;
/// An operand is read where it lies while it spans no more elements than this: 16 KiB of `f32`.
const SMALL: usize = 4 << 10;

/// How a product is cut into blocks. Its bits do not depend on them.
struct Blocks {
    rows: usize,
    columns: usize,
    row_blocks: usize,
    column_blocks: usize,
    /// Whether one comes after the other, so that all use the same scratch.
    sequential: bool,
}

impl Gemm {
    /// The blocks for so many threads: the fewer, the less is copied more than once.
    const fn blocks(&self, lanes: usize) -> Blocks {
        let work = self.m.saturating_mul(self.n).saturating_mul(self.k);
        let sequential = lanes == 1;
        // A power of two, so that a plan has few numbers of blocks to make room for.
        let blocks = (lesser(lanes, MOST_TASKS) * TASKS_OF_A_LANE).next_power_of_two();
        let most = if sequential { 1 } else { lesser(blocks, MOST_TASKS) };
        let tasks = greater(lesser(work / TASK_WORK, most), 1);
        // Each row of blocks copies B, and each column of blocks copies A too, reads it several times, or once from the cache.
        let a_cost = if self.copies_a() || !self.is_cached(self.m) { 1 } else { 4 };
        let (mut row_blocks, mut least) = (1, usize::MAX);
        let mut r = 1;
        while r <= tasks {
            let cost = (r * self.n).saturating_add(tasks / r * self.m / a_cost);
            if cost < least && (r == 1 || self.m / r >= LEAST_ROWS) {
                (row_blocks, least) = (r, cost);
            }
            r *= 2;
        }
        let column_blocks = greater(tasks / row_blocks, 1);
        let rows = self.m.div_ceil(row_blocks).next_multiple_of(TILE_ROWS);
        let rows = if self.copies_a() { lesser(rows, MOST_ROWS) } else { rows };
        let columns = self.n.div_ceil(column_blocks).next_multiple_of(2 * TILE_COLUMNS);
        Blocks {
            rows,
            columns,
            row_blocks: self.m.div_ceil(rows),
            column_blocks: self.n.div_ceil(columns),
            sequential,
        }
    }

    /// Whether whole vectors of B may be read where they lie.
    const fn reads_b_in_place(&self) -> bool {
        self.b_strides[1] == 1 && (self.m <= TILE_ROWS || self.k * self.b_strides[0] <= SMALL)
    }

    /// Whether so many rows of A, at the depths of a panel, stay in the cache.
    const fn is_cached(&self, rows: usize) -> bool {
        rows.saturating_mul(panel_depth(self.k, PANEL_DEPTH)) <= CACHED
    }

    /// Whether a block's rows of A are copied: where steps in k are long, and where all rows start in one set of the cache and many
    /// panels are multiplied with all of them.
    const fn copies_a(&self) -> bool {
        if self.a_strides[1] == 1 {
            let worth = self.m >= 64 && self.n >= 256 && self.k >= 128;
            return self.a_strides[0].is_multiple_of(PAGE) && worth && self.is_cached(self.m);
        }
        self.k * self.a_strides[1] > 2 * SMALL && self.m > TILE_ROWS && self.n > TILE_COLUMNS
    }

    /// Whether depths are added in lanes: those of a long column, which is one for a row alone and for many, so that a row's
    /// bits do not depend on the rows beside it.
    fn adds_in_lanes(&self, numerics: Numerics) -> bool {
        let neighbours = self.a_strides[1] == 1 && self.b_strides[0] == 1;
        numerics == Numerics::Fast && self.n == 1 && neighbours && self.k >= LONG_COLUMN
    }

    /// The elements of A that a task copies at a time.
    const fn copied_a(&self, blocks: &Blocks) -> usize {
        if self.copies_a() {
            copied_row(panel_depth(self.k, PANEL_DEPTH)) * lesser(blocks.rows, self.m)
        } else {
            0
        }
    }

    const fn scratch(&self, blocks: &Blocks) -> usize {
        self.copied_a(blocks) * if blocks.sequential { 1 } else { blocks.row_blocks * blocks.column_blocks }
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

/// The length of the stretches into which k is cut: equal ones, as far as that is possible, and none beyond the longest.
pub(crate) const fn panel_depth(k: usize, longest: usize) -> usize {
    k.div_ceil(greater(k.div_ceil(longest), 1))
}

/// How many elements of scratch [`gemm`] needs; 0 for small shapes, and where the processor has no vectors.
pub const fn gemm_scratch(gemm: &Gemm) -> usize {
    if BASELINE_IS_PLAIN { 0 } else { gemm_scratch_anywhere(gemm) }
}

/// What [`gemm_scratch`] is at most, on any processor: for state that goes from one to another.
pub const fn gemm_scratch_anywhere(gemm: &Gemm) -> usize {
    // What copies nothing needs nothing, which a small product wants to know without a division.
    if gemm.m == 0 || gemm.n <= 1 || gemm.k == 0 || !gemm.copies_a() {
        return 0;
    }
    let (mut lanes, mut most) = (1, 0);
    while lanes <= MOST_TASKS {
        most = greater(most, gemm.scratch(&gemm.blocks(lanes)));
        lanes *= 2;
    }
    most
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
/// bits do not depend on where it lies, on block sizes or on threads. With `Numerics::Fast` there is one exception, a function of the
/// shape: where B is one column of 64 rows and more without gaps, and rows of A have none either, products are added in lanes.
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
    let in_lanes = gemm.adds_in_lanes(cx.numerics);
    if n == 1 && m > 1 && !in_lanes {
        // A column of C lies as a row does: Cᵀ = Bᵀ·Aᵀ, with the same products in the same order.
        let (a_strides, b_strides) = ([b_strides[1], b_strides[0]], [a_strides[1], a_strides[0]]);
        let transposed = Gemm { m: 1, n: m, k, a_strides, b_strides };
        let bias = bias.map(|bias| match bias {
            Bias::PerColumn(bias) => Bias::PerRow(bias),
            Bias::PerRow(bias) => Bias::PerColumn(bias),
        });
        return self::gemm(cx, &transposed, b, a, bias, activation, c, accumulate, scratch);
    }
    let blocks = gemm.blocks(cx.executor.lanes());
    let a_len = if k == 0 { 0 } else { gemm.copied_a(&blocks) };
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
        let b = Strided { b, strides: b_strides, in_place: gemm.reads_b_in_place(), in_lanes };
        // One after the other, all use the same scratch.
        let place = if blocks.sequential { 0 } else { task * a_len };
        // SAFETY: each task has its own scratch, or a loop on this thread runs one at a time.
        block(cx, &product, &b, unsafe { scratch.range(place, a_len) });
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

impl<'a, T: Element> Product<'a, T> {
    /// The tiles of all rows over one panel; `a` and its strides say where the first row is at the first depth.
    fn tiles(
        &self,
        depths: &Range<usize>,
        (a, a_strides): (*const T, [usize; 2]),
        column: usize,
        panel: Panel<T>,
    ) -> Tiles<T> {
        // Wrapping: there may be nothing to point at.
        let c = self.c.wrapping_add(self.rows.start * self.c_stride + column);
        let start = match self.bias {
            _ if depths.start > 0 || self.accumulate => Start::Rows(c, self.c_stride),
            Some(Bias::PerColumn(bias)) => Start::Rows(bias[column..].as_ptr(), 0),
            Some(Bias::PerRow(bias)) => Start::Numbers(bias[self.rows.start..].as_ptr()),
            None => Start::Zero,
        };
        let relu = depths.end == self.k && self.activation == Activation::Relu;
        let floor = if relu { T::zero() } else { T::neg_infinity() };
        let (rows, depth) = (self.rows.len(), depths.len());
        Tiles {
            a,
            a_strides,
            panel,
            depth,
            start,
            floor,
            c,
            c_stride: self.c_stride,
            rows,
            next: None,
            copy: None,
        }
    }

    /// The depths of panels of so many columns.
    fn depth(&self, columns: usize) -> usize {
        panel_depth(self.k, if columns > TILE_COLUMNS { SHORT_PANEL_DEPTH } else { PANEL_DEPTH })
    }

    /// Where A's first row is at one of the depths.
    fn a_in_place(&self, depth: usize) -> (*const T, [usize; 2]) {
        let first = self.rows.start * self.a_strides[0] + depth * self.a_strides[1];
        (self.a.as_ptr().wrapping_add(first), self.a_strides)
    }

    /// C += bias, if sums start from what C holds and a bias.
    fn add_bias(&self) {
        let Some(bias) = self.bias.filter(|_| self.accumulate) else { return };
        for i in self.rows.clone() {
            for j in self.columns.clone() {
                // SAFETY: the block of C is this product's alone.
                let c = unsafe { &mut *self.c.add(i * self.c_stride + j) };
                *c += match bias {
                    Bias::PerColumn(bias) => bias[j],
                    Bias::PerRow(bias) => bias[i],
                };
            }
        }
    }
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

/// Some columns of B at some depths: element (p, j) lies at `data + p * strides[0] + j`. Whole vectors can be read at every
/// depth.
#[derive(Clone, Copy)]
pub(crate) struct Panel<T> {
    pub(crate) data: *const T,
    pub(crate) strides: [usize; 2],
    /// Columns that exist.
    pub(crate) width: usize,
}

impl<T: Element> Panel<T> {
    /// A panel that was copied to `buffer`, up to 16 columns in rows of whole vectors of eight. The buffer has 16 elements
    /// for every depth: a wider vector reads beyond the last of eight.
    pub(crate) fn copied(buffer: &[T], width: usize) -> Panel<T> {
        Panel { data: buffer.as_ptr(), strides: [width.next_multiple_of(LANES), 1], width }
    }
}

/// A matrix with a stride for rows and one for columns.
struct Strided<'a, T> {
    b: &'a [T],
    strides: [usize; 2],
    /// Whether whole vectors are read where they lie.
    in_place: bool,
    /// [`Gemm::adds_in_lanes`].
    in_lanes: bool,
}

/// A panel on the stack, which is aligned and in the cache.
#[repr(align(64))]
struct Buffer<T, const LEN: usize>([MaybeUninit<T>; LEN]);

impl<T: Element> Strided<'_, T> {
    /// Copies the panel of these columns to `buffer`, in rows of whole vectors of so many lanes.
    fn copy(
        &self,
        cx: &Context<'_>,
        depths: &Range<usize>,
        column: usize,
        [width, lanes]: [usize; 2],
        buffer: &mut [MaybeUninit<T>],
    ) -> Panel<T> {
        let (stride, depth) = (width.next_multiple_of(lanes), depths.len());
        let to = buffer.as_mut_ptr().cast::<T>();
        let panel = Panel { data: to, strides: [stride, 1], width };
        require(stride * depth <= buffer.len());
        if depth == 0 {
            return panel;
        }
        let first = depths.start * self.strides[0] + column * self.strides[1];
        require(first + (depth - 1) * self.strides[0] + (width - 1) * self.strides[1] < self.b.len());
        let from = &self.b[first..];
        if self.strides[1] == 1 {
            T::run(
                cx,
                CopyRows { from: from.as_ptr(), from_stride: self.strides[0], width, depth, to, stride },
            );
            return panel;
        }
        if width < stride {
            // Columns that do not exist: nobody uses the result, but they are read.
            // SAFETY: the buffer has `depth` rows of `stride` elements.
            unsafe { to.write_bytes(0, depth * stride) };
        }
        if self.strides[0] == 1 {
            let x = &from[..(width - 1) * self.strides[1] + depth];
            T::run(
                cx,
                Transpose { x, stride: self.strides[1], count: depth, len: width, out: to, step: stride },
            );
        } else {
            for p in 0..depth {
                for j in 0..width {
                    // SAFETY: the buffer has `depth` rows of `stride` elements.
                    unsafe { *to.add(p * stride + j) = from[p * self.strides[0] + j * self.strides[1]] };
                }
            }
        }
        panel
    }

    /// Copies so many panels of [`TILE_COLUMNS`] whole columns to `buffer`, one after the other.
    fn copy_panels(
        &self,
        cx: &Context<'_>,
        depths: &Range<usize>,
        column: usize,
        count: usize,
        buffer: &mut [MaybeUninit<T>],
    ) -> [Panel<T>; GROUP] {
        let (depth, size) = (depths.len(), depths.len() * TILE_COLUMNS);
        require(count <= GROUP && count * size <= buffer.len());
        if self.strides[1] == 1 {
            let first = depths.start * self.strides[0] + column;
            require(first + (depth - 1) * self.strides[0] + count * TILE_COLUMNS <= self.b.len());
            let (from, to) = (self.b[first..].as_ptr(), buffer.as_mut_ptr().cast());
            T::run(cx, CopyPanels { from, from_stride: self.strides[0], depth, panels: count, to });
        } else {
            for i in 0..count {
                let widths = [TILE_COLUMNS, LANES];
                self.copy(cx, depths, column + i * TILE_COLUMNS, widths, &mut buffer[i * size..]);
            }
        }
        // Wrapping: groups that are not full leave the last ones out.
        core::array::from_fn(|i| {
            let data = buffer.as_ptr().cast::<T>().wrapping_add(i * size);
            Panel { data, strides: [TILE_COLUMNS, 1], width: TILE_COLUMNS }
        })
    }
}

/// Copies panels that lie side by side in B, each in rows of its own.
pub struct CopyPanels<T> {
    from: *const T,
    from_stride: usize,
    depth: usize,
    panels: usize,
    to: *mut T,
}

impl<T: Element> SimdOp for CopyPanels<T> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let CopyPanels { from, from_stride, depth, panels, to } = self;
        for p in 0..depth {
            for i in 0..panels {
                let from = from.wrapping_add(p * from_stride + i * TILE_COLUMNS);
                let to = to.wrapping_add((i * depth + p) * TILE_COLUMNS);
                for v in [0, LANES] {
                    // SAFETY: B has these rows and columns, and there is room for them, the caller says so.
                    unsafe { T::Vector::read(simd, from.wrapping_add(v)).write(to.wrapping_add(v)) };
                }
            }
        }
    }
}

/// Copies `depth` rows of `width` elements to rows of `stride`, a multiple of eight; what is left of those becomes 0.
pub struct CopyRows<T> {
    from: *const T,
    from_stride: usize,
    width: usize,
    depth: usize,
    to: *mut T,
    stride: usize,
}

impl<T: Element> SimdOp for CopyRows<T> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let CopyRows { from, from_stride, width, depth, to, stride } = self;
        for p in 0..depth {
            let (from, to) = (from.wrapping_add(p * from_stride), to.wrapping_add(p * stride));
            for v in (0..stride).step_by(LANES) {
                let lanes = (1 << width.saturating_sub(v).min(LANES)) - 1;
                // SAFETY: both matrices have these rows, the caller says so; lanes without a column are not read.
                unsafe {
                    let vector = if v + LANES <= width {
                        T::Vector::read(simd, from.add(v))
                    } else {
                        T::Vector::read_lanes(simd, from.wrapping_add(v), lanes)
                    };
                    vector.write(to.add(v));
                }
            }
        }
    }
}

/// Computes a block of C. `a_buffer` has as many elements as [`Gemm::copied_a`] says: none if A is read where it lies.
fn block<T: Element>(cx: &Context<'_>, product: &Product<'_, T>, b: &Strided<'_, T>, a_buffer: &mut [T]) {
    let k = product.k;
    let one_row = product.rows.len() == 1 && k > 0 && b.strides[0] == 1;
    if b.in_lanes {
        T::run(cx, vector::RowsTimesColumn { product, column: &b.b[..k] });
    } else if k > 0 && b.strides[1] == 1 && (product.rows.len() == 1 || k == 1) {
        product.add_bias();
        let column = product.columns.start;
        // Wrapping: nothing is read through this panel.
        let panel = Panel { data: b.b.as_ptr().wrapping_add(column), strides: b.strides, width: 0 };
        let Tiles { a, a_strides, start, floor, c, c_stride, rows, .. } =
            product.tiles(&(0..k), product.a_in_place(0), column, panel);
        let (columns, b_stride) = (product.columns.len(), b.strides[0]);
        let b = panel.data;
        T::run(
            cx,
            vector::RowsTimesRows { a, a_strides, k, b, b_stride, start, floor, c, c_stride, rows, columns },
        );
    } else if !(one_row && T::run(cx, vector::RowTimesColumns { product, b })) {
        product.add_bias();
        let most = T::run(cx, PanelColumns::<T>::default());
        let (lanes, columns) = (LANES.max(most / 2), product.columns.len());
        if b.in_place && (columns.is_multiple_of(most) || columns == lanes) {
            multiply_panels(cx, product, b, a_buffer, [most, lanes], &mut []);
        } else {
            // Making room on the stack takes longer than a small product that needs little.
            let depth = product.depth(most);
            if depth * most <= SMALL_PANEL {
                with_buffer::<T, SMALL_PANEL>(cx, product, b, a_buffer, [most, lanes]);
            } else if most == TILE_COLUMNS && product.rows.len() * depth > CACHED {
                with_buffer::<T, PANELS>(cx, product, b, a_buffer, [most, lanes]);
            } else {
                with_buffer::<T, PANEL>(cx, product, b, a_buffer, [most, lanes]);
            }
        }
    }
}

/// [`multiply_panels`] with room for a panel of so many elements.
#[inline(never)]
fn with_buffer<T: Element, const LEN: usize>(
    cx: &Context<'_>,
    product: &Product<'_, T>,
    b: &Strided<'_, T>,
    a_buffer: &mut [T],
    widths: [usize; 2],
) {
    let mut buffer: Buffer<T, LEN> = Buffer([MaybeUninit::uninit(); LEN]);
    multiply_panels(cx, product, b, a_buffer, widths, &mut buffer.0);
}

/// The tiles of a block, panel by panel. `buffer` is for a panel, or a group of them; empty if all are read where they lie.
fn multiply_panels<T: Element>(
    cx: &Context<'_>,
    product: &Product<'_, T>,
    b: &Strided<'_, T>,
    a_buffer: &mut [T],
    [most, lanes]: [usize; 2],
    buffer: &mut [MaybeUninit<T>],
) {
    let (k, depth) = (product.k, product.depth(most));
    // Only a block whose A is not cached has room for a group.
    let grouped = buffer.len() >= PANELS;
    let mut start = 0;
    loop {
        let depths = start..k.min(start + depth);
        let a = if a_buffer.is_empty() {
            product.a_in_place(start)
        } else {
            copy_a(cx, product, &depths, a_buffer)
        };
        let mut column = product.columns.start;
        if grouped {
            column = multiply_groups(cx, product, b, &depths, a, buffer);
        }
        while column < product.columns.end {
            let left = product.columns.end - column;
            // One wide tile rather than two narrow ones.
            let in_place = left >= most || left == lanes || left > lanes && product.rows.len() <= LANES;
            let in_place = b.in_place && in_place;
            let copies = !in_place
                && b.strides[1] == 1
                && most == TILE_COLUMNS
                && left >= most
                && product.rows.len() > TILE_ROWS;
            let copy = copies.then(|| {
                require(most * depths.len() <= buffer.len());
                buffer.as_mut_ptr().cast::<T>()
            });
            let panel = if in_place || copies {
                // Wrapping, because there is nothing to point at if k is 0.
                let data = b.b.as_ptr().wrapping_add(start * b.strides[0] + column);
                Panel { data, strides: b.strides, width: most.min(left - left % lanes) }
            } else {
                b.copy(cx, &depths, column, [most.min(left), lanes], buffer)
            };
            column += panel.width;
            // What is copied next.
            let next = (!in_place && column < product.columns.end).then(|| {
                let data = b.b.as_ptr().wrapping_add(start * b.strides[0] + column * b.strides[1]);
                let columns = most.min(product.columns.end - column);
                let [rows, len] = match b.strides {
                    [_, 1] => [depths.len(), columns],
                    _ => [columns, depths.len()],
                };
                Next { data, stride: b.strides[0].max(b.strides[1]), rows, len }
            });
            T::run(cx, Tiles { next, copy, ..product.tiles(&depths, a, column - panel.width, panel) });
        }
        start = depths.end;
        if start == k {
            break;
        }
    }
}

/// The tiles of a block whose rows of A do not stay in the cache while one panel after the other is multiplied with all of them: a group of panels
/// is copied, and multiplied with some rows after the other. Returns the first column that is left for a narrower panel.
fn multiply_groups<T: Element>(
    cx: &Context<'_>,
    product: &Product<'_, T>,
    b: &Strided<'_, T>,
    depths: &Range<usize>,
    (a, a_strides): (*const T, [usize; 2]),
    buffer: &mut [MaybeUninit<T>],
) -> usize {
    let Range { start, end } = product.rows;
    let parts = product.rows.len().div_ceil(ROWS_AT_ONCE);
    let rows_at_once = product.rows.len().div_ceil(parts).next_multiple_of(TILE_ROWS);
    let mut column = product.columns.start;
    loop {
        let count = ((product.columns.end - column) / TILE_COLUMNS).min(GROUP);
        if count == 0 {
            return column;
        }
        let panels = b.copy_panels(cx, depths, column, count, buffer);
        for row in (start..end).step_by(rows_at_once) {
            let (rows, columns) = (row..end.min(row + rows_at_once), product.columns.clone());
            let part = Product { rows, columns, ..*product };
            let a = a.wrapping_add((row - start) * a_strides[0]);
            for (i, panel) in panels[..count].iter().enumerate() {
                T::run(cx, part.tiles(depths, (a, a_strides), column + i * TILE_COLUMNS, *panel));
            }
        }
        column += count * TILE_COLUMNS;
    }
}

/// Copies the block's rows of A at these depths, one after the other. Returns where and with which strides.
fn copy_a<T: Element>(
    cx: &Context<'_>,
    product: &Product<'_, T>,
    depths: &Range<usize>,
    buffer: &mut [T],
) -> (*const T, [usize; 2]) {
    let (rows, depth, [row_stride, k_stride]) = (product.rows.len(), depths.len(), product.a_strides);
    let stride = copied_row(depth);
    let from = &product.a[product.rows.start * row_stride + depths.start * k_stride..];
    require(buffer.len() >= rows * stride);
    if k_stride == 1 {
        for (i, to) in buffer.chunks_exact_mut(stride).take(rows).enumerate() {
            to[..depth].copy_from_slice(&from[i * row_stride..][..depth]);
        }
    } else if row_stride == 1 {
        let x = &from[..(depth - 1) * k_stride + rows];
        let out = buffer.as_mut_ptr();
        T::run(cx, Transpose { x, stride: k_stride, count: rows, len: depth, out, step: stride });
    } else {
        for (i, to) in buffer.chunks_exact_mut(stride).take(rows).enumerate() {
            for (p, to) in to[..depth].iter_mut().enumerate() {
                *to = from[i * row_stride + p * k_stride];
            }
        }
    }
    (buffer.as_ptr(), [stride, 1])
}

/// Computes a block of C from panels of another source, for convolutions; not its sigmoid or tanh. `depth` is the longest stretch of k
/// that is multiplied at a time. `buffer` has 16 elements for each.
#[inline(always)]
pub(crate) fn multiply<T: Element, S: Simd>(
    simd: S,
    product: &Product<'_, T>,
    b: &impl Source<T>,
    depth: usize,
    buffer: &mut [T],
) {
    product.add_bias();
    let most = if is_wide::<T, S>() { TILE_COLUMNS } else { LANES };
    let mut start = 0;
    loop {
        let depths = start..product.k.min(start + depth);
        let mut column = product.columns.start;
        while column < product.columns.end {
            let panel = b.panel(simd, &depths, column, most.min(product.columns.end - column), buffer);
            simd.call(product.tiles(&depths, product.a_in_place(start), column, panel));
            column += panel.width;
        }
        start = depths.end;
        if start == product.k {
            break;
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
