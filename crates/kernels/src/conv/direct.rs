//! Convolution without panels: lanes are output channels, and the pixels are read where they lie.
//!
//! A tile is six rows by sixteen channels of sums in registers. Each step of a [`Walk`] adds six broadcast elements of the
//! padded planes times sixteen channels of a packed operand. Forward and for the gradient by the input, rows are pixels, the
//! walk goes over the taps and the packed operand is the weights; for the gradient by the weights, rows are taps, the walk goes
//! over the pixels and the packed operand is `dy` of one image. Widths, strides and dilations only change where rows begin.

use super::Window;
use crate::gemm::{is_wide, load, store};
use crate::require;
use crate::simd::{Element, LANES, Simd, SimdOp, Vector};
use bantam_core::Context;

/// Rows of a tile.
pub(super) const ROWS: usize = 6;
/// Channels of a tile, and of a row of what is packed.
pub(super) const CHANNELS: usize = 2 * LANES;
/// Rows of what is packed that are asked for ahead of time.
const AHEAD: usize = 12;
/// Elements of a tile.
pub(super) const TILE: usize = ROWS * CHANNELS;
/// Pixels that are computed before they are written: whole tiles and whole vectors.
const STRIP: usize = 4 * ROWS;

/// Places in a slice, from a beginning on: three nested loops, the outermost first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    counts: [usize; 3],
    steps: [usize; 3],
}

impl Walk {
    /// Loops that continue each other become one.
    pub(super) fn new(counts: [usize; 3], steps: [usize; 3]) -> Walk {
        let mut walk = Walk { counts: [1; 3], steps: [0; 3] };
        // From the innermost on; the loops that are left over run once.
        let mut last = 3;
        for axis in (0..3).rev().filter(|axis| counts[*axis] != 1) {
            if last < 3 && steps[axis] == walk.counts[last] * walk.steps[last] {
                walk.counts[last] *= counts[axis];
            } else {
                last -= 1;
                (walk.counts[last], walk.steps[last]) = (counts[axis], steps[axis]);
            }
        }
        walk
    }

    /// How many places there are.
    fn len(&self) -> usize {
        self.counts.iter().product()
    }

    /// The farthest place.
    fn reach(&self) -> usize {
        (0..3).map(|axis| self.counts[axis].saturating_sub(1) * self.steps[axis]).sum()
    }
}

/// Adds to each of the six rows of `sums` the products of its elements of `x` with the rows of `packed`, in order.
pub struct Tile<'a, 'b, T> {
    pub(super) x: &'a [T],
    /// Where each row's walk begins.
    pub(super) at: [usize; ROWS],
    pub(super) walk: Walk,
    /// A row of sixteen for each step of the walk.
    pub(super) packed: &'a [T],
    /// How many of the sixteen channels there are.
    pub(super) channels: usize,
    pub(super) sums: &'b mut [T; TILE],
}

impl<T: Element> SimdOp for Tile<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S) {
        let farthest = self.at.into_iter().fold(0, usize::max) + self.walk.reach();
        require(farthest < self.x.len() && self.packed.len() >= self.walk.len() * CHANNELS);
        // The guards are known when compiling: a level is spared the tiles that it has no registers for.
        if const { is_wide::<T, S>() } && self.channels > LANES {
            // SAFETY: both lengths were checked.
            unsafe { self.tile::<S, ROWS, 2>(simd, 0, 0) };
            return;
        }
        for lane in (0..self.channels).step_by(LANES) {
            if S::ACCUMULATORS >= ROWS {
                // SAFETY: both lengths were checked.
                unsafe { self.tile::<S, ROWS, 1>(simd, 0, lane) };
            } else {
                for row in (0..ROWS).step_by(2) {
                    // SAFETY: both lengths were checked.
                    unsafe { self.tile::<S, 2, 1>(simd, row, lane) };
                }
            }
        }
    }
}

/// A tile at the level of `cx`: one function that all convolutions share.
fn run_tile<T: Element>(cx: &Context<'_>, tile: Tile<'_, '_, T>) {
    T::run(cx, tile);
}

impl<T: Element> Tile<'_, '_, T> {
    /// The part of the tile from `row` and `lane` on.
    ///
    /// # Safety
    /// Every place of every row's walk lies in `x`, `packed` has a row for each step, and the tile's rows and lanes exist.
    #[inline(always)]
    unsafe fn tile<S: Simd, const N: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        row: usize,
        lane: usize,
    ) {
        let Walk { counts, steps } = self.walk;
        let width = <T::Vector<S> as Vector<T, S>>::WIDTH;
        let tile = &mut self.sums[row * CHANNELS..][..N * CHANNELS];
        let mut sums = [[T::Vector::splat(simd, T::zero()); VECTORS]; N];
        for (i, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the row lies in the tile, and the lanes in the row.
                *sum = unsafe { T::Vector::read(simd, tile.as_ptr().add(i * CHANNELS + lane + v * width)) };
            }
        }
        let mut from = [self.x.as_ptr(); N];
        for (from, at) in from.iter_mut().zip(&self.at[row..]) {
            *from = from.wrapping_add(*at);
        }
        let mut packed = self.packed.as_ptr().wrapping_add(lane);
        for outer in 0..counts[0] {
            for middle in 0..counts[1] {
                let mut place = outer * steps[0] + middle * steps[1];
                for _ in 0..counts[2] {
                    // What is packed may lie in the second-level cache.
                    simd.prefetch(packed.wrapping_add(AHEAD * CHANNELS));
                    let mut vectors = [T::Vector::splat(simd, T::zero()); VECTORS];
                    for (v, vector) in vectors.iter_mut().enumerate() {
                        // SAFETY: the row of this step has sixteen elements, of which these are some.
                        *vector = unsafe { T::Vector::read(simd, packed.add(v * width)) };
                    }
                    for (from, sums) in from.iter().zip(&mut sums) {
                        // SAFETY: the walk's places lie in `x`.
                        let x = T::Vector::splat(simd, unsafe { *from.add(place) });
                        for (sum, vector) in sums.iter_mut().zip(vectors) {
                            *sum = x.mul_add(vector, *sum);
                        }
                    }
                    place += steps[2];
                    packed = packed.wrapping_add(CHANNELS);
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            for (v, sum) in sums.into_iter().enumerate() {
                // SAFETY: the row lies in the tile, and the lanes in the row.
                unsafe { sum.write(tile.as_mut_ptr().add(i * CHANNELS + lane + v * width)) };
            }
        }
    }
}

/// Elements of `channels` planes or kernels of `len` elements when they are packed.
pub(super) fn packed_len(channels: usize, len: usize) -> usize {
    channels.next_multiple_of(CHANNELS) * len
}

/// Packs planes of `len` elements: sixteen planes side by side, zeros where there are none. Eight by eight in registers.
#[inline(always)]
pub(super) fn pack<T: Element, S: Simd>(simd: S, planes: &[T], len: usize, packed: &mut [T]) {
    let zero = T::Vector::splat(simd, T::zero());
    for (sixteen, packed) in planes.chunks(CHANNELS * len).zip(packed.chunks_exact_mut(CHANNELS * len)) {
        for half in 0..2 {
            let eight = sixteen.get(half * LANES * len..).unwrap_or(&[]);
            for at in (0..len).step_by(LANES) {
                let count = LANES.min(len - at);
                let mut square = [zero; LANES];
                for (row, plane) in square.iter_mut().zip(eight.chunks_exact(len)) {
                    *row = load(simd, &plane[at..at + count]);
                }
                let square = T::Vector::transpose(simd, square);
                let rows = packed[at * CHANNELS..].chunks_exact_mut(CHANNELS);
                for (row, to) in square.into_iter().take(count).zip(rows) {
                    store(row, &mut to[half * LANES..][..LANES]);
                }
            }
        }
    }
}

/// Outputs that see the same taps: all of them, or those of a gradient by the input whose distance is the stride.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The first output, the distance between outputs, and how many there are; each vertical and horizontal.
    pub(super) first: [usize; 2],
    pub(super) step: [usize; 2],
    pub(super) count: [usize; 2],
    /// Where the first output's window lies in the padded planes, and the distance to the windows beside it.
    pub(super) corner: [usize; 2],
    pub(super) stride: [usize; 2],
    /// The first tap, and how many there are: taps are `step` apart.
    pub(super) tap: [usize; 2],
    pub(super) taps: [usize; 2],
    /// The distance of its taps in the padded planes.
    pub(super) dilation: [usize; 2],
}

/// What sums start from, and what is done with them.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a, T> {
    /// One element per channel, or none.
    pub(super) bias: Option<&'a [T]>,
    /// Whether negative sums become 0.
    pub(super) relu: bool,
    pub(super) accumulate: bool,
}

/// All channels of the outputs of one part, for one image and group; or of two whose outputs lie in turns in the same rows. A
/// part comes with its packed weights, and a plane of `y` has `size`.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub(super) fn outputs<T: Element, S: Simd>(
    cx: &Context<'_>,
    simd: S,
    window: &Window,
    parts: &[(Part, &[T])],
    planes: &[T],
    finish: Finish<'_, T>,
    y: &mut [T],
    [height, width]: [usize; 2],
) {
    let plane = height * width;
    let row = window.padded[1];
    let first = &parts[0].0;
    let pixels = first.count[0] * first.count[1];
    let layout = if parts.len() == 2 {
        Layout::Turns
    } else if first.step == [1, 1] && first.count == [height, width] {
        Layout::Neighbours
    } else {
        Layout::Apart
    };
    // Without taps there is nothing to add: where a gradient's distance is the stride, most of a 1×1 kernel's outputs.
    let empty = parts.iter().all(|(_, weight)| weight.is_empty());
    if pixels == 0 || empty && finish.accumulate && finish.bias.is_none() {
        return;
    }
    let second = &parts[parts.len() - 1].0;
    let walk = |part: &Part| {
        Walk::new(
            [window.channels, part.taps[0], part.taps[1]],
            [window.plane(), part.dilation[0] * row, part.dilation[1]],
        )
    };
    let walks = [walk(first), walk(second)];
    let mut sums = [[[T::zero(); CHANNELS]; STRIP]; 2];
    for (i, y) in y.chunks_mut(CHANNELS * plane).enumerate() {
        let channels = y.len() / plane;
        let mut start = [T::zero(); CHANNELS];
        if let Some(bias) = finish.bias {
            start[..channels].copy_from_slice(&bias[i * CHANNELS..][..channels]);
        }
        let mut places = [Places::new(first, row, width), Places::new(second, row, width)];
        let mut pixel = 0;
        while pixel < pixels {
            let count = STRIP.min(pixels - pixel);
            let mut to = [0; STRIP];
            for (p, (_, weight)) in parts.iter().enumerate() {
                let mut at = [0; STRIP];
                places[p].fill(&mut at, &mut to, count);
                sums[p].fill(start);
                if weight.is_empty() {
                    continue;
                }
                let walk = walks[p];
                let packed = &weight[i * walk.len() * CHANNELS..][..walk.len() * CHANNELS];
                let tiles = sums[p].as_flattened_mut().as_chunks_mut::<TILE>().0;
                for (sums, at) in tiles.iter_mut().zip(at.as_chunks::<ROWS>().0).take(count.div_ceil(ROWS)) {
                    run_tile(cx, Tile { x: planes, at: *at, walk, packed, channels, sums });
                }
            }
            write(simd, &sums, count, channels, finish, y, plane, layout, &to);
            pixel += count;
        }
    }
}

/// How the outputs of a strip lie in a plane.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Side by side, across the ends of rows too.
    Neighbours,
    /// Those of two parts in turns; their places are those of the second.
    Turns,
    /// Anyhow.
    Apart,
}

/// Where the outputs of a part see, and where they lie, in order.
struct Places {
    x: usize,
    width: usize,
    at: usize,
    to: usize,
    /// To the next pixel.
    right: [usize; 2],
    /// From behind the last pixel of a row to the first of the next; wrapping.
    down: [usize; 2],
}

impl Places {
    #[inline(always)]
    fn new(part: &Part, row: usize, width: usize) -> Places {
        let right = [part.stride[1], part.step[1]];
        Places {
            x: 0,
            width: part.count[1],
            at: part.corner[0] * row + part.corner[1],
            to: part.first[0] * width + part.first[1],
            right,
            down: [
                (part.stride[0] * row).wrapping_sub(part.count[1] * right[0]),
                (part.step[0] * width).wrapping_sub(part.count[1] * right[1]),
            ],
        }
    }

    /// Where the next `count` outputs see and lie. Beyond the last one it again: nobody uses the result.
    #[inline(always)]
    fn fill(&mut self, at: &mut [usize; STRIP], to: &mut [usize; STRIP], count: usize) {
        let [right_at, right_to] = self.right;
        let mut filled = 0;
        while filled < count {
            // To the end of the row: without conditions inside, the compiler computes several places at once.
            let run = (count - filled).min(self.width - self.x);
            let places = at[filled..].iter_mut().zip(&mut to[filled..]).take(run);
            for (i, (at, to)) in places.enumerate() {
                (*at, *to) = (self.at + i * right_at, self.to + i * right_to);
            }
            filled += run;
            (self.x, self.at, self.to) = (self.x + run, self.at + run * right_at, self.to + run * right_to);
            if self.x == self.width {
                self.x = 0;
                self.at = self.at.wrapping_add(self.down[0]);
                self.to = self.to.wrapping_add(self.down[1]);
            }
        }
        let last = (at[count - 1], to[count - 1]);
        at[count..].fill(last.0);
        to[count..].fill(last.1);
    }
}

/// Writes the sums of a strip of pixels to the planes of their channels; the second ones if there are two parts.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
fn write<T: Element, S: Simd>(
    simd: S,
    sums: &[[[T; CHANNELS]; STRIP]; 2],
    count: usize,
    channels: usize,
    finish: Finish<'_, T>,
    y: &mut [T],
    plane: usize,
    layout: Layout,
    to: &[usize; STRIP],
) {
    let zero = T::Vector::splat(simd, T::zero());
    let floor = if finish.relu { zero } else { T::Vector::splat(simd, T::neg_infinity()) };
    for lane in (0..channels).step_by(LANES) {
        for first in (0..count).step_by(LANES) {
            let (len, rows) = (LANES.min(count - first), LANES.min(channels - lane));
            let square = turn(simd, &sums[0], first, lane);
            let to = &to[first..first + len];
            if layout == Layout::Neighbours && len == LANES && rows == LANES {
                let place = lane * plane + to[0];
                require(place + (LANES - 1) * plane + LANES <= y.len());
                let start = y.as_mut_ptr().wrapping_add(place);
                // Eight rows, so that the loop is unrolled and the square stays in registers.
                for (i, sum) in square.into_iter().enumerate() {
                    let row = start.wrapping_add(i * plane);
                    // SAFETY: the last of the rows ends in `y`, as was just checked.
                    unsafe {
                        let sum = floor.max(sum);
                        let sum = if finish.accumulate { T::Vector::read(simd, row) + sum } else { sum };
                        sum.write(row);
                    }
                }
                continue;
            }
            let planes = y[lane * plane..].chunks_exact_mut(plane);
            if layout != Layout::Turns {
                for (sum, row) in square.into_iter().zip(planes) {
                    let sum = floor.max(sum);
                    if layout == Layout::Neighbours {
                        let row = &mut row[to[0]..][..len];
                        store(if finish.accumulate { load(simd, row) + sum } else { sum }, row);
                    } else {
                        for (sum, to) in sum.to_array().into_iter().zip(to) {
                            row[*to] = if finish.accumulate { row[*to] + sum } else { sum };
                        }
                    }
                }
                continue;
            }
            let others = turn(simd, &sums[1], first, lane);
            for ((sum, other), row) in square.into_iter().zip(others).zip(planes) {
                let (left, right) = floor.max(sum).zip(floor.max(other), simd);
                if len == LANES && to[LANES - 1] - to[0] == 2 * (LANES - 1) {
                    let (eights, _) = row[to[0] - 1..][..2 * LANES].as_chunks_mut::<LANES>();
                    for (sum, y) in [left, right].into_iter().zip(eights) {
                        let sum = if finish.accumulate { T::Vector::load(simd, y) + sum } else { sum };
                        sum.store(y);
                    }
                } else {
                    let sums = [left.to_array(), right.to_array()];
                    for (pair, to) in sums.as_flattened().as_chunks::<2>().0.iter().zip(to) {
                        for (sum, y) in pair.iter().zip(&mut row[to - 1..][..2]) {
                            *y = if finish.accumulate { *y + *sum } else { *sum };
                        }
                    }
                }
            }
        }
    }
}

/// The sums of eight pixels and eight channels as a vector for each channel.
#[inline(always)]
fn turn<T: Element, S: Simd>(
    simd: S,
    sums: &[[T; CHANNELS]; STRIP],
    first: usize,
    lane: usize,
) -> [T::Vector<S>; LANES] {
    let mut square = [T::Vector::splat(simd, T::zero()); LANES];
    for (row, sums) in square.iter_mut().zip(&sums[first..]) {
        *row = load(simd, &sums[lane..lane + LANES]);
    }
    T::Vector::transpose(simd, square)
}

/// Adds the products of one image and group to `sums`: for each sixteen output channels a row of sixteen for each tap, taps
/// filled up to whole tiles. `dy` is packed.
#[inline(always)]
pub(super) fn weight_sums<T: Element>(
    cx: &Context<'_>,
    window: &Window,
    out_height: usize,
    channels: usize,
    planes: &[T],
    dy: &[T],
    sums: &mut [T],
) {
    let walk =
        Walk::new([1, out_height, window.out_width], [0, window.step[0] * window.padded[1], window.step[1]]);
    let (taps, rows) = (window.taps(), out_height * window.out_width * CHANNELS);
    let sixteens = dy.chunks_exact(rows).zip(sums.chunks_exact_mut(taps.next_multiple_of(ROWS) * CHANNELS));
    for (i, (dy, sums)) in sixteens.enumerate() {
        let channels = (channels - i * CHANNELS).min(CHANNELS);
        let mut places = window.taps_from(0);
        let mut last = 0;
        for (t, sums) in sums.as_chunks_mut::<TILE>().0.iter_mut().enumerate() {
            let mut at = [0; ROWS];
            for (i, at) in at.iter_mut().enumerate() {
                if t * ROWS + i < taps {
                    last = places.next().unwrap_or(last);
                }
                *at = last;
            }
            run_tile(cx, Tile { x: planes, at, walk, packed: dy, channels, sums });
        }
    }
}
