//! Direct convolution with registers of sixteen lanes. The sums are those of `direct.rs`, to the bit.
//!
//! Two things are different from eight lanes. The addresses of as many rows as there are sums do not fit into the general
//! registers, so rows come in groups of neighbours with one address: pixels of a row of outputs, taps of a row of the kernel.
//! And a broadcast from memory takes as long as a multiplication, so each is multiplied with two vectors or three.

use super::direct::{AHEAD, CHANNELS, Finish, Part, Walk};
use crate::require;
use crate::simd::{Element, LANES, Simd, SimdOp, Vector, is_wide};
use bantam_core::Context;
use core::array::from_fn;

/// Lanes of a vector.
const WIDTH: usize = 16;
/// Pixels of a group of a [`Tile`], and its groups.
pub(super) const PIXELS: usize = 4;
pub(super) const PIXEL_GROUPS: usize = 3;
/// Rows of a [`Tile`], which is two vectors wide.
pub(super) const ROWS: usize = PIXEL_GROUPS * PIXELS;
/// Taps of a group of [`Taps`], and its groups.
pub(super) const TAPS: usize = 3;
const TAP_GROUPS: usize = 8;
/// Rows of [`Taps`].
pub(super) const TAP_ROWS: usize = TAP_GROUPS * TAPS;
/// Vectors of pixels that are computed together, for eight channels.
const VECTORS: usize = 3;

/// Whether the level of `cx` has such registers.
pub(super) fn fits<T: Element>(cx: &Context<'_>) -> bool {
    T::WIDE && is_wide(cx)
}

/// Whether vectors of pixels are worth it for rows of so many outputs: if at least three of four lanes are used.
pub(super) fn fills_vectors(row: usize) -> bool {
    4 * row >= 3 * row.next_multiple_of(WIDTH)
}

/// Whether a level has vectors of sixteen lanes: the others are spared what follows.
const fn has_width<T: Element, S: Simd>() -> bool {
    <T::Vector<S::Wide> as Vector<T, S::Wide>>::WIDTH == WIDTH
}

/// Lanes are 32 channels and rows are pixels: adds to each row of `sums` the products of its elements of `x` with the rows of
/// `packed`, in order.
pub struct Tile<'a, 'b, T> {
    pub(super) x: &'a [T],
    /// Where the walk of each group's first row begins.
    pub(super) at: [usize; PIXEL_GROUPS],
    pub(super) walk: Walk,
    /// Sixteen channels and sixteen more: a row for each step of the walk.
    pub(super) packed: [&'a [T]; 2],
    pub(super) sums: [&'b mut [[T; CHANNELS]; ROWS]; 2],
}

impl<T: Element> SimdOp for Tile<'_, '_, T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let farthest = self.at.into_iter().fold(0, usize::max) + self.walk.reach() + PIXELS - 1;
        require(farthest < self.x.len());
        require(self.packed.iter().all(|packed| packed.len() >= self.walk.len() * CHANNELS));
        if const { has_width::<T, S>() } {
            // SAFETY: the lengths were checked, and the vectors have as many lanes as a row has channels.
            unsafe { self.tile::<S::Wide>(simd.wide()) };
        } else {
            // Nobody asks a level that does not fit.
            require(false);
        }
    }
}

impl<T: Element> Tile<'_, '_, T> {
    /// # Safety
    /// 1. Every place of every row's walk lies in `x`, and `packed` has a row for each step.
    /// 2. A vector has sixteen lanes.
    #[inline(always)]
    unsafe fn tile<S: Simd>(self, simd: S) {
        const N: usize = PIXEL_GROUPS;
        const M: usize = PIXELS;
        let sums_at = self.sums.map(|sums| sums.as_mut_ptr().cast::<T>());
        let mut sums = [[[T::Vector::splat(simd, T::zero()); 2]; M]; N];
        let mut from = [self.x.as_ptr(); N];
        for i in 0..N {
            for j in 0..M {
                for v in 0..2 {
                    // SAFETY: as many rows as groups have pixels; 2.
                    sums[i][j][v] = unsafe { T::Vector::read(simd, sums_at[v].add((i * M + j) * CHANNELS)) };
                }
            }
            from[i] = from[i].wrapping_add(self.at[i]);
        }
        let [mut left, mut right] = self.packed.map(<[T]>::as_ptr);
        let Walk { counts, steps } = self.walk;
        for outer in 0..counts[0] {
            for middle in 0..counts[1] {
                let mut place = outer * steps[0] + middle * steps[1];
                for _ in 0..counts[2] {
                    // What is packed may lie in the second-level cache.
                    simd.prefetch(left.wrapping_add(AHEAD * CHANNELS));
                    simd.prefetch(right.wrapping_add(AHEAD * CHANNELS));
                    // SAFETY: 1. and 2.
                    let vectors = unsafe { [T::Vector::read(simd, left), T::Vector::read(simd, right)] };
                    for i in 0..N {
                        for j in 0..M {
                            // SAFETY: 1.
                            let x = T::Vector::splat(simd, unsafe { *from[i].add(place + j) });
                            for v in 0..2 {
                                sums[i][j][v] = x.mul_add(vectors[v], sums[i][j][v]);
                            }
                        }
                    }
                    place += steps[2];
                    (left, right) = (left.wrapping_add(CHANNELS), right.wrapping_add(CHANNELS));
                }
            }
        }
        for i in 0..N {
            for j in 0..M {
                for v in 0..2 {
                    // SAFETY: as many rows as groups have pixels; 2.
                    unsafe { sums[i][j][v].write(sums_at[v].add((i * M + j) * CHANNELS)) };
                }
            }
        }
    }
}

/// Pixels that are taken together.
const TOGETHER: usize = 4;

/// Lanes are sixteen channels, rows are taps and the walk's steps are pixels that lie side by side: as [`Tile`] with one vector.
/// What one tap sees of a pixel, the tap before it sees of the next: four pixels and three taps share six broadcasts.
pub struct Taps<'a, 'b, T> {
    pub(super) x: &'a [T],
    /// Where the walk of each group's first tap begins.
    pub(super) at: [usize; TAP_GROUPS],
    /// Its innermost steps are 1.
    pub(super) walk: Walk,
    /// A row of sixteen for each step of the walk.
    pub(super) packed: &'a [T],
    pub(super) sums: &'b mut [[T; CHANNELS]; TAP_ROWS],
}

impl<T: Element> SimdOp for Taps<'_, '_, T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let farthest = self.at.into_iter().fold(0, usize::max) + self.walk.reach() + TAPS - 1;
        require(farthest < self.x.len() && self.packed.len() >= self.walk.len() * CHANNELS);
        require(self.walk.steps[2] == 1);
        if const { has_width::<T, S>() } {
            // SAFETY: the lengths and the step were checked, and the vectors have as many lanes as a row has channels.
            unsafe { self.tile::<S::Wide>(simd.wide()) };
        } else {
            // Nobody asks a level that does not fit.
            require(false);
        }
    }
}

impl<T: Element> Taps<'_, '_, T> {
    /// # Safety
    /// 1. Every place of every row's walk lies in `x`, `packed` has a row for each step, and the innermost steps are 1.
    /// 2. A vector has sixteen lanes.
    #[inline(always)]
    unsafe fn tile<S: Simd>(self, simd: S) {
        let sums_at = self.sums.as_mut_ptr().cast::<T>();
        let mut sums = [[T::Vector::splat(simd, T::zero()); TAPS]; TAP_GROUPS];
        let mut from = [self.x.as_ptr(); TAP_GROUPS];
        for i in 0..TAP_GROUPS {
            for j in 0..TAPS {
                // SAFETY: as many rows as groups have taps; 2.
                sums[i][j] = unsafe { T::Vector::read(simd, sums_at.add((i * TAPS + j) * CHANNELS)) };
            }
            from[i] = from[i].wrapping_add(self.at[i]);
        }
        let mut packed = self.packed.as_ptr();
        let Walk { counts, steps } = self.walk;
        for outer in 0..counts[0] {
            for middle in 0..counts[1] {
                let mut place = outer * steps[0] + middle * steps[1];
                let end = place + counts[2];
                while end - place >= TOGETHER {
                    simd.prefetch(packed.wrapping_add(AHEAD * CHANNELS));
                    let mut vectors = [T::Vector::splat(simd, T::zero()); TOGETHER];
                    for (pixel, vector) in vectors.iter_mut().enumerate() {
                        // SAFETY: 1. and 2.
                        *vector = unsafe { T::Vector::read(simd, packed.add(pixel * CHANNELS)) };
                    }
                    for i in 0..TAP_GROUPS {
                        for j in 0..TOGETHER + TAPS - 1 {
                            // SAFETY: 1.; the last one is what the last tap sees of the last pixel.
                            let x = T::Vector::splat(simd, unsafe { *from[i].add(place + j) });
                            for tap in 0..TAPS {
                                if j >= tap && j - tap < TOGETHER {
                                    sums[i][tap] = x.mul_add(vectors[j - tap], sums[i][tap]);
                                }
                            }
                        }
                    }
                    place += TOGETHER;
                    packed = packed.wrapping_add(TOGETHER * CHANNELS);
                }
                while place < end {
                    // SAFETY: 1. and 2.
                    let vector = unsafe { T::Vector::read(simd, packed) };
                    for i in 0..TAP_GROUPS {
                        for tap in 0..TAPS {
                            // SAFETY: 1.
                            let x = T::Vector::splat(simd, unsafe { *from[i].add(place + tap) });
                            sums[i][tap] = x.mul_add(vector, sums[i][tap]);
                        }
                    }
                    place += 1;
                    packed = packed.wrapping_add(CHANNELS);
                }
            }
        }
        for i in 0..TAP_GROUPS {
            for j in 0..TAPS {
                // SAFETY: as many rows as groups have taps; 2.
                unsafe { sums[i][j].write(sums_at.add((i * TAPS + j) * CHANNELS)) };
            }
        }
    }
}

/// Lanes are pixels, sixteen neighbours in a row of outputs: all outputs of a part for up to sixteen channels.
pub struct Pixels<'a, 'b, T> {
    pub(super) part: &'a Part,
    pub(super) walk: Walk,
    pub(super) planes: &'a [T],
    /// Elements of a row of the padded planes.
    pub(super) row: usize,
    /// Packed: a row of sixteen channels for each step of the walk.
    pub(super) weight: &'a [T],
    /// What the sums of each channel start from.
    pub(super) start: [T; CHANNELS],
    pub(super) finish: Finish<'a, T>,
    /// A plane for each channel.
    pub(super) y: &'b mut [T],
    /// Elements of a plane of outputs, and of a row of it.
    pub(super) plane: usize,
    pub(super) width: usize,
}

/// Up to sixteen outputs that are neighbours.
#[derive(Clone, Copy, Default)]
struct Run {
    /// Where the first one's window lies in the padded planes; those of the others lie side by side.
    at: usize,
    /// Where the first one lies in its plane.
    to: usize,
    count: usize,
}

impl<T: Element> SimdOp for Pixels<'_, '_, T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S) {
        let part = self.part;
        let [rows, columns] = part.count;
        if rows * columns == 0 {
            return;
        }
        let (padded, width) = (self.row, self.width);
        let at = |row: usize, column: usize| {
            (part.corner[0] + row * part.stride[0]) * padded + part.corner[1] + column
        };
        let to = |row: usize, column: usize| {
            (part.first[0] + row * part.step[0]) * width + part.first[1] + column * part.step[1]
        };
        let reach = self.walk.reach();
        require(at(rows - 1, columns - 1) + reach < self.planes.len());
        require(to(rows - 1, columns - 1) < self.plane && self.y.len().is_multiple_of(self.plane));
        require(self.weight.len() >= self.walk.len() * CHANNELS && self.y.len() <= CHANNELS * self.plane);
        if const { has_width::<T, S>() } {
            let simd = simd.wide();
            let mut runs = [Run::default(); VECTORS];
            let vectors = columns.div_ceil(WIDTH);
            for first in (0..rows * vectors).step_by(VECTORS) {
                let mut inside = true;
                for (i, run) in runs.iter_mut().enumerate() {
                    // Behind the last one the last one again: nobody uses the result.
                    let index = (first + i).min(rows * vectors - 1);
                    let (row, column) = (index / vectors, index % vectors * WIDTH);
                    let count = if first + i == index { WIDTH.min(columns - column) } else { 0 };
                    *run = Run { at: at(row, column), to: to(row, column), count };
                    inside &= run.at + reach + WIDTH <= self.planes.len();
                }
                for channel in (0..self.y.len() / self.plane).step_by(LANES) {
                    // SAFETY: the farthest places were checked; without masks all lanes lie in the planes.
                    unsafe {
                        if inside {
                            self.tile::<S::Wide, false>(simd, channel, &runs);
                        } else {
                            self.tile::<S::Wide, true>(simd, channel, &runs);
                        }
                    }
                }
            }
        } else {
            // Nobody asks a level that does not fit.
            require(false);
        }
    }
}

impl<T: Element> Pixels<'_, '_, T> {
    /// Eight channels of three runs.
    ///
    /// # Safety
    /// 1. The windows of the runs' outputs lie in the planes; unless `MASKED`, those of sixteen neighbours do.
    /// 2. `weight` has a row for each step of the walk, and `channel` is 0 or 8.
    /// 3. The outputs lie in their planes.
    /// 4. A vector has sixteen lanes.
    #[inline(always)]
    unsafe fn tile<S: Simd, const MASKED: bool>(&mut self, simd: S, channel: usize, runs: &[Run; VECTORS]) {
        let Walk { counts, steps } = self.walk;
        let mut sums = [[T::Vector::splat(simd, T::zero()); VECTORS]; LANES];
        for (sums, start) in sums.iter_mut().zip(&self.start[channel..]) {
            *sums = [T::Vector::splat(simd, *start); VECTORS];
        }
        let from: [*const T; VECTORS] = from_fn(|v| self.planes.as_ptr().wrapping_add(runs[v].at));
        let lanes: [u32; VECTORS] = from_fn(|v| (1 << runs[v].count) - 1);
        let mut packed = self.weight.as_ptr().wrapping_add(channel);
        for outer in 0..counts[0] {
            for middle in 0..counts[1] {
                let mut place = outer * steps[0] + middle * steps[1];
                for _ in 0..counts[2] {
                    simd.prefetch(packed.wrapping_add(AHEAD * CHANNELS));
                    let mut x = [T::Vector::splat(simd, T::zero()); VECTORS];
                    for v in 0..VECTORS {
                        // SAFETY: 1. and 4.
                        x[v] = unsafe {
                            if MASKED {
                                T::Vector::read_lanes(simd, from[v].add(place), lanes[v])
                            } else {
                                T::Vector::read(simd, from[v].add(place))
                            }
                        };
                    }
                    for i in 0..LANES {
                        // SAFETY: 2.
                        let weight = T::Vector::splat(simd, unsafe { *packed.add(i) });
                        for v in 0..VECTORS {
                            sums[i][v] = weight.mul_add(x[v], sums[i][v]);
                        }
                    }
                    place += steps[2];
                    packed = packed.wrapping_add(CHANNELS);
                }
            }
        }
        let zero = T::Vector::splat(simd, T::zero());
        let planes = self.y.chunks_exact_mut(self.plane).skip(channel);
        for (plane, sums) in planes.zip(sums) {
            for v in 0..VECTORS {
                let (run, mut sum) = (runs[v], sums[v]);
                if run.count == 0 {
                    continue;
                }
                if self.finish.relu {
                    sum = zero.max(sum);
                }
                if self.part.step[1] == 1 {
                    let to = plane.as_mut_ptr().wrapping_add(run.to);
                    // SAFETY: 3. and 4.
                    unsafe {
                        if self.finish.accumulate {
                            sum = T::Vector::read_lanes(simd, to, lanes[v]) + sum;
                        }
                        sum.write_lanes(to, lanes[v]);
                    }
                } else {
                    let mut elements = [T::zero(); WIDTH];
                    // SAFETY: 4.
                    unsafe { sum.write(elements.as_mut_ptr()) };
                    let to = plane[run.to..].iter_mut().step_by(self.part.step[1]);
                    for (to, sum) in to.zip(&elements[..run.count]) {
                        *to = if self.finish.accumulate { *to + *sum } else { *sum };
                    }
                }
            }
        }
    }
}
