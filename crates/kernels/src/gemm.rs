//! Matrix products C = activation(A·B + bias), or added to what C holds.
//!
//! C is cut into blocks, one per task, and a block into tiles of at most 6 × 16 elements that are held in registers
//! while k runs (Goto and van de Geijn, 2008). B is copied panel by panel, so that a tile reads it in order from the
//! first-level cache; A is read where it lies, because a tile broadcasts its elements one at a time and either of its
//! strides does for that. Copying A as well was tried and gained nothing at the shapes of training.

use crate::parallel::for_each_task;
use crate::require;
use crate::simd::{Element, LANES, Simd, SimdOp, Vector, run};
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
const TILE_COLUMNS: usize = 2 * LANES;
/// The longest stretch of k that a panel of B covers: 24 KiB of `f32`, half of a usual first-level cache.
const PANEL_DEPTH: usize = 384;
/// Rows of a block: with the depth of a panel, 288 KiB of A, which stays in a usual second-level cache.
const BLOCK_ROWS: usize = 32 * TILE_ROWS;
/// Multiply-adds that are worth a task of their own.
const TASK_WORK: usize = 1 << 19;
/// The most column groups and the most row blocks.
const MOST_TASKS: usize = 16;
/// B is read where it lies while it spans no more elements than this: 16 KiB of `f32`.
const SMALL_B: usize = 4 << 10;

/// How a product is cut into blocks: a function of its shape alone.
struct Blocks {
    rows: usize,
    columns: usize,
    row_blocks: usize,
    column_blocks: usize,
}

impl Gemm {
    fn blocks(&self) -> Blocks {
        let work = self.m.saturating_mul(self.n).saturating_mul(self.k);
        let tasks = (work / TASK_WORK).clamp(1, MOST_TASKS);
        let rows = (self.m / tasks.min(self.m.div_ceil(BLOCK_ROWS)).max(1)).next_multiple_of(TILE_ROWS);
        let row_blocks = self.m.div_ceil(rows);
        let columns = self.n.div_ceil(tasks.div_ceil(row_blocks)).next_multiple_of(TILE_COLUMNS);
        Blocks { rows, columns, row_blocks, column_blocks: self.n.div_ceil(columns) }
    }

    /// The length of the stretches into which k is cut.
    fn depth(&self) -> usize {
        self.k.div_ceil(self.k.div_ceil(PANEL_DEPTH).max(1))
    }

    /// Whether whole vectors of B may be read where they lie.
    fn reads_b_in_place(&self) -> bool {
        self.b_strides[1] == 1 && (self.m <= 2 * TILE_ROWS || self.k * self.b_strides[0] <= SMALL_B)
    }

    /// Whether some columns of B have to be copied.
    fn copies(&self) -> bool {
        self.m > TILE_ROWS && !(self.reads_b_in_place() && self.n.is_multiple_of(LANES))
    }

    /// The elements that a task copies at a time.
    fn panel_len(&self) -> usize {
        self.depth() * TILE_COLUMNS
    }

    /// One more than the greatest index that is read with these strides.
    fn reach(rows: usize, columns: usize, strides: [usize; 2]) -> usize {
        if rows == 0 || columns == 0 { 0 } else { (rows - 1) * strides[0] + (columns - 1) * strides[1] + 1 }
    }
}

/// How many elements of scratch [`gemm`] needs; 0 for small shapes.
pub fn gemm_scratch(gemm: &Gemm) -> usize {
    if gemm.m * gemm.n * gemm.k == 0 || !gemm.copies() {
        return 0;
    }
    let blocks = gemm.blocks();
    blocks.row_blocks * blocks.column_blocks * gemm.panel_len()
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
    require(c.len() == m * n && scratch.len() >= gemm_scratch(gemm));
    require(a.len() >= Gemm::reach(m, k, a_strides) && b.len() >= Gemm::reach(k, n, b_strides));
    require(match bias {
        Some(Bias::PerColumn(bias)) => bias.len() == n,
        Some(Bias::PerRow(bias)) => bias.len() == m,
        None => true,
    });
    if c.is_empty() {
        return;
    }
    let blocks = gemm.blocks();
    let panel_len = if scratch.is_empty() { 0 } else { gemm.panel_len() };
    let (c, scratch) = (Shared(c.as_mut_ptr()), Shared(scratch.as_mut_ptr()));
    for_each_task(cx, blocks.row_blocks * blocks.column_blocks, |task| {
        let (row, column) =
            (task % blocks.row_blocks * blocks.rows, task / blocks.row_blocks * blocks.columns);
        let rows = row..m.min(row + blocks.rows);
        let columns = column..n.min(column + blocks.columns);
        // SAFETY: `gemm_scratch` is this many panels for this many tasks, or 0, which is one empty slice for each.
        let panel =
            unsafe { core::slice::from_raw_parts_mut(scratch.get().add(task * panel_len), panel_len) };
        run(cx, Block { gemm, a, b, bias, activation, accumulate, c: c.get(), rows, columns, panel });
    });
}

/// A pointer through which tasks write to places of their own.
struct Shared<T>(*mut T);

impl<T> Shared<T> {
    fn get(&self) -> *mut T {
        self.0
    }
}

// SAFETY: tasks write to disjoint blocks of C and to their own part of the scratch.
unsafe impl<T: Send> Sync for Shared<T> {}

/// One task: some rows and columns of C.
struct Block<'a, 'b, T> {
    gemm: &'a Gemm,
    a: &'a [T],
    b: &'a [T],
    bias: Option<Bias<'a, T>>,
    activation: Activation,
    accumulate: bool,
    c: *mut T,
    rows: Range<usize>,
    columns: Range<usize>,
    panel: &'b mut [T],
}

/// Where a panel of B is read from: element (p, j) lies at `data + p * strides[0] + j * strides[1]`.
#[derive(Clone, Copy)]
struct Panel<T> {
    data: *const T,
    strides: [usize; 2],
    /// Columns that exist.
    width: usize,
    /// Whether columns are neighbours and full vectors of them can be read.
    vectors: bool,
}

impl<T: Element> SimdOp for Block<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S) {
        let Gemm { m, k, b_strides, .. } = *self.gemm;
        // Twelve accumulators are two vectors of f32 per row on a machine with 16 registers of 8, else one.
        let most =
            if S::ACCUMULATORS * size_of::<f32>() >= 12 * size_of::<T>() { TILE_COLUMNS } else { LANES };
        let (in_place, one_tile) = (self.gemm.reads_b_in_place(), m <= TILE_ROWS);
        let depth = self.gemm.depth().max(1);
        let mut start = 0;
        loop {
            let end = k.min(start + depth);
            let stage = Stage { depths: start..end, first: start == 0, last: end == k };
            let mut column = self.columns.start;
            while column < self.columns.end {
                let mut width = most.min(self.columns.end - column);
                let data = self.b.as_ptr().wrapping_add(start * b_strides[0] + column * b_strides[1]);
                let panel = if in_place && width >= LANES {
                    width -= width % LANES;
                    Panel { data, strides: b_strides, width, vectors: true }
                } else if one_tile {
                    width = width.min(LANES);
                    Panel { data, strides: b_strides, width, vectors: false }
                } else {
                    self.copy_panel(&stage.depths, column, width)
                };
                self.panel_of_tiles(simd, &stage, column, panel);
                column += width;
            }
            start = end;
            if stage.last {
                break;
            }
        }
        self.activate(simd);
    }
}

/// A stretch of k.
struct Stage {
    depths: Range<usize>,
    first: bool,
    last: bool,
}

impl<T: Element> Block<'_, '_, T> {
    /// Copies columns of B so that each row of the panel is one or two full vectors, filled up with 0.
    #[inline(always)]
    fn copy_panel(&mut self, depths: &Range<usize>, column: usize, width: usize) -> Panel<T> {
        let strides = self.gemm.b_strides;
        let padded = width.next_multiple_of(LANES);
        let rows = self.panel[..depths.len() * padded].chunks_exact_mut(padded);
        if strides[1] == 1 {
            for (p, row) in depths.clone().zip(rows) {
                row[..width].copy_from_slice(&self.b[p * strides[0] + column..][..width]);
                row[width..].fill(T::zero());
            }
        } else {
            for (p, row) in depths.clone().zip(rows) {
                let from = &self.b[p * strides[0] + column * strides[1]..];
                for (j, x) in row[..width].iter_mut().enumerate() {
                    *x = from[j * strides[1]];
                }
                row[width..].fill(T::zero());
            }
        }
        Panel { data: self.panel.as_ptr(), strides: [padded, 1], width, vectors: true }
    }

    /// All tiles of the block's rows over one panel.
    #[inline(always)]
    fn panel_of_tiles<S: Simd>(&self, simd: S, stage: &Stage, column: usize, panel: Panel<T>) {
        let mut row = self.rows.start;
        while row < self.rows.end {
            row += match (self.rows.end - row, panel.vectors, panel.width > LANES) {
                (6.., true, true) => self.tile::<S, 6, 2, true>(simd, stage, row, column, panel),
                (4.., true, true) => self.tile::<S, 4, 2, true>(simd, stage, row, column, panel),
                (2.., true, true) => self.tile::<S, 2, 2, true>(simd, stage, row, column, panel),
                (_, true, true) => self.tile::<S, 1, 2, true>(simd, stage, row, column, panel),
                (6.., true, false) => self.tile::<S, 6, 1, true>(simd, stage, row, column, panel),
                (4.., true, false) => self.tile::<S, 4, 1, true>(simd, stage, row, column, panel),
                (2.., true, false) => self.tile::<S, 2, 1, true>(simd, stage, row, column, panel),
                (_, true, false) => self.tile::<S, 1, 1, true>(simd, stage, row, column, panel),
                (2.., false, _) => self.tile::<S, 2, 1, false>(simd, stage, row, column, panel),
                (_, false, _) => self.tile::<S, 1, 1, false>(simd, stage, row, column, panel),
            };
        }
    }

    /// Computes one tile of ROWS rows and VECTORS vectors of columns and returns ROWS.
    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize, const WHOLE: bool>(
        &self,
        simd: S,
        stage: &Stage,
        row: usize,
        column: usize,
        panel: Panel<T>,
    ) -> usize {
        let n = self.gemm.n;
        let [row_stride, k_stride] = self.gemm.a_strides;
        let mut sums = [[T::Vector::splat(simd, T::zero()); VECTORS]; ROWS];
        // The columns of vector v that exist; at least one, since the panel's width decides VECTORS.
        let valid = |v: usize| (panel.width - v * LANES).min(LANES);
        // SAFETY: the block lies inside C (rows < m, columns < n) and no other task touches it.
        let c = |i: usize, v: usize| unsafe {
            core::slice::from_raw_parts_mut(self.c.add((row + i) * n + column + v * LANES), valid(v))
        };
        if stage.first {
            if let Some(Bias::PerColumn(bias)) = self.bias {
                for v in 0..VECTORS {
                    let bias = load(simd, &bias[column + v * LANES..][..valid(v)]);
                    sums.iter_mut().for_each(|sums| sums[v] = bias);
                }
            }
            if let Some(Bias::PerRow(bias)) = self.bias {
                for (sums, bias) in sums.iter_mut().zip(&bias[row..]) {
                    *sums = [T::Vector::splat(simd, *bias); VECTORS];
                }
            }
            if self.accumulate {
                for (i, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        let old = load(simd, c(i, v));
                        *sum = if self.bias.is_some() { old + *sum } else { old };
                    }
                }
            }
        } else {
            for (i, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = load(simd, c(i, v));
                }
            }
        }

        let mut a = self.a.as_ptr().wrapping_add(row * row_stride + stage.depths.start * k_stride);
        let mut b = panel.data;
        for _ in 0..stage.depths.len() {
            let mut vectors = [T::Vector::splat(simd, T::zero()); VECTORS];
            for (v, vector) in vectors.iter_mut().enumerate() {
                *vector = if WHOLE {
                    // SAFETY: the panel has whole vectors at every depth.
                    T::Vector::load(simd, unsafe { &*b.add(v * LANES).cast::<[T; LANES]>() })
                } else {
                    let mut lanes = [T::zero(); LANES];
                    for (j, lane) in lanes.iter_mut().enumerate().take(panel.width) {
                        // SAFETY: row `depth`, column `column + j` of B exists: `gemm` checked its reach.
                        *lane = unsafe { *b.add(j * panel.strides[1]) };
                    }
                    T::Vector::load(simd, &lanes)
                };
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                // SAFETY: row `row + i`, column `depth` of A exists: `gemm` checked its reach.
                let a = T::Vector::splat(simd, unsafe { *a.add(i * row_stride) });
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = a.mul_add(vector, *sum);
                }
            }
            (a, b) = (a.wrapping_add(k_stride), b.wrapping_add(panel.strides[0]));
        }

        let relu = stage.last && self.activation == Activation::Relu;
        for (i, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                let sum = if relu { T::Vector::splat(simd, T::zero()).max(sum) } else { sum };
                store(sum, c(i, v));
            }
        }
        ROWS
    }

    /// The activations that are too long for every tile's end, over the whole block.
    #[inline(always)]
    fn activate<S: Simd>(&self, simd: S) {
        if matches!(self.activation, Activation::Identity | Activation::Relu) {
            return;
        }
        for row in self.rows.clone() {
            // SAFETY: the block lies inside C (rows < m, columns < n) and no other task touches it.
            let row = unsafe {
                core::slice::from_raw_parts_mut(
                    self.c.add(row * self.gemm.n + self.columns.start),
                    self.columns.len(),
                )
            };
            for part in row.chunks_mut(LANES) {
                let x = load(simd, part);
                let y = if self.activation == Activation::Tanh {
                    T::tanh_lanes(simd, x)
                } else {
                    T::sigmoid_lanes(simd, x)
                };
                store(y, part);
            }
        }
    }
}

/// Up to eight elements.
#[inline(always)]
fn load<T: Element, S: Simd>(simd: S, from: &[T]) -> T::Vector<S> {
    match from.first_chunk() {
        Some(lanes) => T::Vector::load(simd, lanes),
        None => T::Vector::load_partial(simd, from, T::zero()),
    }
}

/// Up to eight elements.
#[inline(always)]
fn store<T: Element, S: Simd, V: Vector<T, S>>(vector: V, to: &mut [T]) {
    match to.first_chunk_mut() {
        Some(lanes) => vector.store(lanes),
        None => vector.store_partial(to),
    }
}

/// Applies an activation in place.
pub(crate) fn activate<T: Element>(cx: &Context<'_>, activation: Activation, c: &mut [T]) {
    use crate::elementwise::{Span, functions, map};
    match activation {
        Activation::Identity => {}
        Activation::Relu => map(cx, functions::Relu, Span::InPlace(c)),
        Activation::Sigmoid => map(cx, functions::Sigmoid, Span::InPlace(c)),
        Activation::Tanh => map(cx, functions::Tanh, Span::InPlace(c)),
    }
}
