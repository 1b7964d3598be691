//! Max and average pooling over two axes.

use crate::conv::out_len;
use crate::gemm::{load, store};
use crate::parallel::{GRAIN, for_each_chunk};
use crate::require;
use crate::simd::{Element, LANES, Simd, SimdOp, Vector, is_plain};
use bantam_core::Context;
use core::ops::Range;

/// The shape of a pooling. Inputs are [planes, height, width] (planes = batch · channels), outputs [planes, out_height,
/// out_width].
///
/// Pairs are (vertical, horizontal). Strides and dilations are at least 1, padding is less than the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolShape {
    /// Number of images times number of channels.
    pub planes: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Size of the window.
    pub kernel: [usize; 2],
    /// Steps of the window over the input.
    pub stride: [usize; 2],
    /// Positions added on each side, which hold nothing.
    pub padding: [usize; 2],
    /// Distance between the window's taps: 1 for an ordinary window.
    pub dilation: [usize; 2],
}

impl PoolShape {
    /// Height of the output; 0 if the window does not fit.
    pub fn out_height(&self) -> usize {
        out_len(self.height, self.kernel[0], self.stride[0], self.padding[0], self.dilation[0])
    }

    /// Width of the output; 0 if the window does not fit.
    pub fn out_width(&self) -> usize {
        out_len(self.width, self.kernel[1], self.stride[1], self.padding[1], self.dilation[1])
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.planes * self.height * self.width
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.planes * self.out_height() * self.out_width()
    }

    /// The taps of the window at output position `out` that lie inside the input, along one axis.
    #[inline(always)]
    fn taps(&self, out: usize, axis: usize) -> Range<usize> {
        let (kernel, dilation) = (self.kernel[axis], self.dilation[axis]);
        let (start, before) = (out * self.stride[axis], self.padding[axis]);
        let after = before + [self.height, self.width][axis];
        // Most windows lie inside, and divisions are slow.
        if start >= before && start + (kernel - 1) * dilation < after {
            return 0..kernel;
        }
        let first = before.saturating_sub(start).div_ceil(dilation);
        let last = after.saturating_sub(start).div_ceil(dilation);
        first..last.min(kernel).max(first)
    }

    /// Where tap `tap` of output position `out` lies, along one axis; only for [`taps`](Self::taps).
    #[inline(always)]
    fn at(&self, out: usize, tap: usize, axis: usize) -> usize {
        out * self.stride[axis] + tap * self.dilation[axis] - self.padding[axis]
    }

    /// Calls `f(output index, tap, input index)` for one plane, row by row; indices are within the plane.
    #[inline(always)]
    fn for_each_output(&self, mut f: impl FnMut(usize, Range<usize>, Range<usize>, usize, usize)) {
        let out_width = self.out_width();
        for out_y in 0..self.out_height() {
            let rows = self.taps(out_y, 0);
            for out_x in 0..out_width {
                f(out_y * out_width + out_x, rows.clone(), self.taps(out_x, 1), out_y, out_x);
            }
        }
    }

    /// Planes per task.
    fn planes_per_task(&self) -> usize {
        let work = self.out_height() * self.out_width() * self.kernel[0] * self.kernel[1];
        (GRAIN / work.max(1)).max(1)
    }
}

/// Which element of its window each output takes: the row-major index inside the window, the first of equal greatest
/// ones. NaN counts as the greatest; padding is never taken; a window that holds only padding gives 0.
///
/// Windows have at most 256 elements.
pub fn max_pool_argmax<T: Element>(cx: &Context<'_>, shape: &PoolShape, x: &[T], index: &mut [u8]) {
    require(x.len() == shape.input_len() && index.len() == shape.output_len());
    require(shape.kernel[0] * shape.kernel[1] <= 256);
    let (plane, out_plane) = (shape.height * shape.width, shape.out_height() * shape.out_width());
    let planes = shape.planes_per_task();
    for_each_chunk(cx, index, planes * out_plane, |task, index| {
        let x = &x[task * planes * plane..][..index.len() / out_plane * plane];
        if is_plain(cx) {
            return shape.argmax_one_by_one(x, index);
        }
        T::run(cx, Argmax { shape, x, index });
    });
}

/// Whole planes of one task.
pub struct Argmax<'a, 'b, T> {
    shape: &'a PoolShape,
    x: &'a [T],
    index: &'b mut [u8],
}

impl<T: Element> SimdOp for Argmax<'_, '_, T> {
    type Output = ();

    /// Plain loops over outputs, tap by tap, that compilers turn into vectors; but for quads.
    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Argmax { shape, x, index } = self;
        let (plane, out_width) = (shape.height * shape.width, shape.out_width());
        if let Some(quads) = shape.quads() {
            return quads.for_each(simd, x.len() / plane, true, QuadArgmax { x, index });
        }
        let planes = x.chunks_exact(plane).zip(index.chunks_exact_mut(shape.out_height() * out_width));
        for (x, index) in planes {
            for (out_y, index) in index.chunks_exact_mut(out_width).enumerate() {
                for (i, index) in index.chunks_mut(STRIP).enumerate() {
                    let strip = i * STRIP..i * STRIP + index.len();
                    shape.argmax_strip(x, out_y, strip, index);
                }
            }
        }
    }
}

/// Windows of 2×2 side by side, which most networks pool by: eight of them are two vectors above and two below.
#[derive(Clone, Copy)]
struct Quads {
    /// Height and width of the input and of the output.
    plane: [usize; 2],
    out: [usize; 2],
}

impl PoolShape {
    /// Whether the windows are quads.
    fn quads(&self) -> Option<Quads> {
        let are = (self.kernel, self.stride, self.padding, self.dilation) == ([2, 2], [2, 2], [0, 0], [1, 1]);
        let out = [self.out_height(), self.out_width()];
        (are && out[0] * out[1] > 0).then_some(Quads { plane: [self.height, self.width], out })
    }
}

/// What to do with quads: eight at a time or, unless `WHOLE`, fewer; of the output's and the input's places in their planes.
trait QuadFn<T: Element> {
    fn eight<S: Simd, const WHOLE: bool>(&mut self, simd: S, out: Range<usize>, upper: usize, lower: usize);
}

impl Quads {
    /// Calls `f` for all outputs of so many planes; for some of them twice, if that does no harm.
    #[inline(always)]
    fn for_each<T: Element, S: Simd>(self, simd: S, planes: usize, twice: bool, mut f: impl QuadFn<T>) {
        let ([height, width], [out_height, out_width]) = (self.plane, self.out);
        for plane in 0..planes {
            for out_y in 0..out_height {
                let out = (plane * out_height + out_y) * out_width;
                let upper = (plane * height + 2 * out_y) * width;
                let mut x = 0;
                while x < out_width {
                    if twice && out_width > LANES {
                        x = x.min(out_width - LANES);
                    }
                    if out_width - x >= LANES {
                        f.eight::<S, true>(
                            simd,
                            out + x..out + x + LANES,
                            upper + 2 * x,
                            upper + width + 2 * x,
                        );
                    } else {
                        f.eight::<S, false>(
                            simd,
                            out + x..out + out_width,
                            upper + 2 * x,
                            upper + width + 2 * x,
                        );
                    }
                    x += LANES;
                }
            }
        }
    }
}

impl Quads {
    /// What no window covers, the last row and column of odd planes, becomes 0 unless it is added to.
    #[inline(always)]
    fn clear_rest<T: Element>(&self, dx: &mut [T], accumulate: bool) {
        if !accumulate && self.plane != self.out.map(|len| 2 * len) {
            dx.fill(T::zero());
        }
    }

    /// [`max_pool_scatter`] without vectors: as they do, 0 to those that are not taken.
    fn scatter_one_by_one<T: Element>(&self, dy: &[T], index: &[u8], dx: &mut [T], accumulate: bool) {
        self.clear_rest(dx, accumulate);
        let ([height, width], [out_height, out_width]) = (self.plane, self.out);
        let mut outputs = dy.iter().zip(index);
        for dx in dx.chunks_exact_mut(height * width) {
            for upper in (0..out_height).map(|out_y| 2 * out_y * width) {
                // Places come first: at the end of a row none of the outputs is lost.
                for (at, (dy, index)) in (upper..upper + 2 * out_width).step_by(2).zip(&mut outputs) {
                    for (tap, at) in [at, at + 1, at + width, at + width + 1].into_iter().enumerate() {
                        let new = if tap == usize::from(*index).min(3) { *dy } else { T::zero() };
                        dx[at] = if accumulate { dx[at] + new } else { new };
                    }
                }
            }
        }
    }
}

/// The left and the right elements of up to eight pairs.
#[inline(always)]
fn load_pairs<T: Element, S: Simd>(simd: S, from: &[T], at: usize, count: usize) -> [T::Vector<S>; 2] {
    let pairs = &from[at..at + 2 * count];
    let (first, second) = match pairs.first_chunk::<{ 2 * LANES }>() {
        Some(whole) => {
            let halves = whole.as_chunks::<LANES>().0;
            (T::Vector::load(simd, &halves[0]), T::Vector::load(simd, &halves[1]))
        }
        None => {
            let (first, second) = pairs.split_at(LANES.min(pairs.len()));
            (load::<T, S>(simd, first), load::<T, S>(simd, second))
        }
    };
    let (left, right) = first.unzip(second, simd);
    [left, right]
}

/// Indices as lanes that can be compared and blended, not computed with.
#[inline(always)]
fn load_taps<T: Element, S: Simd>(simd: S, from: &[u8]) -> T::Vector<S> {
    // The bytes of a short row are read one by one: what is written in bytes and read as a whole waits for memory.
    let Some(taps) = from.first_chunk::<LANES>() else {
        let mut lanes = [T::zero(); LANES];
        for (lane, tap) in lanes.iter_mut().zip(from) {
            *lane = T::from_word(u32::from(*tap));
        }
        return T::Vector::load(simd, &lanes);
    };
    let mut lanes = [T::zero(); LANES];
    for (lane, tap) in lanes.iter_mut().zip(taps) {
        *lane = T::from_word(u32::from(*tap));
    }
    T::Vector::load(simd, &lanes)
}

/// The index as a lane.
#[inline(always)]
fn tap<T: Element, S: Simd>(simd: S, tap: u32) -> T::Vector<S> {
    T::Vector::splat(simd, T::from_word(tap))
}

/// [`max_pool_argmax`] of quads: the winners of two pairs, and of them the winner. The earlier one yields to a greater one, and to
/// NaN unless it is NaN itself.
struct QuadArgmax<'a, 'b, T> {
    x: &'a [T],
    index: &'b mut [u8],
}

impl<T: Element> QuadFn<T> for QuadArgmax<'_, '_, T> {
    #[inline(always)]
    fn eight<S: Simd, const WHOLE: bool>(&mut self, simd: S, out: Range<usize>, upper: usize, lower: usize) {
        let count = if WHOLE { LANES } else { out.len() };
        let [a, b] = load_pairs::<T, S>(simd, self.x, upper, count);
        let [c, d] = load_pairs::<T, S>(simd, self.x, lower, count);
        let above = winner::<T, S>(a, b, a, b);
        let above_tap = winner::<T, S>(a, b, tap::<T, S>(simd, 0), tap::<T, S>(simd, 1));
        let below = winner::<T, S>(c, d, c, d);
        let below_tap = winner::<T, S>(c, d, tap::<T, S>(simd, 2), tap::<T, S>(simd, 3));
        let taken = winner::<T, S>(above, below, above_tap, below_tap).to_array();
        for (to, tap) in self.index[out].iter_mut().take(count).zip(taken) {
            *to = tap.to_word() as u8;
        }
    }
}

/// Of two values for the earlier and the later element, that of the one that is taken.
#[inline(always)]
fn winner<T: Element, S: Simd>(
    earlier: T::Vector<S>,
    later: T::Vector<S>,
    of_earlier: T::Vector<S>,
    of_later: T::Vector<S>,
) -> T::Vector<S> {
    earlier.if_nan(of_earlier, later.if_less_equal(earlier, of_earlier, of_later))
}

/// [`max_pool_select`] of quads.
struct QuadSelect<'a, 'b, T> {
    x: &'a [T],
    index: &'a [u8],
    y: &'b mut [T],
}

impl<T: Element> QuadFn<T> for QuadSelect<'_, '_, T> {
    #[inline(always)]
    fn eight<S: Simd, const WHOLE: bool>(&mut self, simd: S, out: Range<usize>, upper: usize, lower: usize) {
        let count = if WHOLE { LANES } else { out.len() };
        let taken = load_taps::<T, S>(simd, &self.index[out.clone()]);
        let [a, b] = load_pairs::<T, S>(simd, self.x, upper, count);
        let [c, d] = load_pairs::<T, S>(simd, self.x, lower, count);
        // An index beyond the window names its last element.
        let y = taken.if_equal(tap::<T, S>(simd, 2), c, d);
        let y = taken.if_equal(tap::<T, S>(simd, 1), b, y);
        let y = taken.if_equal(tap::<T, S>(simd, 0), a, y);
        store(y, &mut self.y[out]);
    }
}

/// [`max_pool_scatter`] of quads.
struct QuadScatter<'a, 'b, T> {
    dy: &'a [T],
    index: &'a [u8],
    dx: &'b mut [T],
    accumulate: bool,
}

impl<T: Element> QuadFn<T> for QuadScatter<'_, '_, T> {
    #[inline(always)]
    fn eight<S: Simd, const WHOLE: bool>(&mut self, simd: S, out: Range<usize>, upper: usize, lower: usize) {
        let count = if WHOLE { LANES } else { out.len() };
        let taken = load_taps::<T, S>(simd, &self.index[out.clone()]);
        let dy = load::<T, S>(simd, &self.dy[out]);
        let zero = T::Vector::splat(simd, T::zero());
        let a = taken.if_equal(tap::<T, S>(simd, 0), dy, zero);
        let b = taken.if_equal(tap::<T, S>(simd, 1), dy, zero);
        let c = taken.if_equal(tap::<T, S>(simd, 2), dy, zero);
        let d = taken.if_less_equal(tap::<T, S>(simd, 2), zero, dy);
        for (at, (left, right)) in [(upper, a.zip(b, simd)), (lower, c.zip(d, simd))] {
            let (first, second) = self.dx[at..at + 2 * count].split_at_mut(LANES.min(2 * count));
            for (part, new) in [(first, left), (second, right)] {
                let new = if self.accumulate { load::<T, S>(simd, part) + new } else { new };
                store(new, part);
            }
        }
    }
}

/// [`max_pool_select`] over quads.
pub struct Select<'a, 'b, T> {
    quads: Quads,
    x: &'a [T],
    index: &'a [u8],
    y: &'b mut [T],
}

impl<T: Element> SimdOp for Select<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Select { quads, x, index, y } = self;
        let planes = x.len() / (quads.plane[0] * quads.plane[1]);
        quads.for_each(simd, planes, true, QuadSelect { x, index, y });
    }
}

/// [`max_pool_scatter`] over quads.
pub struct Scatter<'a, 'b, T> {
    quads: Quads,
    dy: &'a [T],
    index: &'a [u8],
    dx: &'b mut [T],
    accumulate: bool,
}

impl<T: Element> SimdOp for Scatter<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Scatter { quads, dy, index, dx, accumulate } = self;
        quads.clear_rest(dx, accumulate);
        let planes = dx.len() / (quads.plane[0] * quads.plane[1]);
        quads.for_each(simd, planes, !accumulate, QuadScatter { dy, index, dx, accumulate });
    }
}

/// Where x is greater than the best so far, it is the best, and `tap` is taken.
#[inline(always)]
fn take_greater<'a, T: Element>(best: &mut [T], taken: &mut [u32], tap: u32, x: impl Iterator<Item = &'a T>) {
    for ((best, taken), x) in best.iter_mut().zip(taken).zip(x) {
        let take = (*x > *best) | (x.is_nan() & !best.is_nan());
        *best = if take { *x } else { *best };
        *taken = if take { tap } else { *taken };
    }
}

/// Outputs of a row that are computed together.
const STRIP: usize = 32;

impl PoolShape {
    /// Those outputs of `strip` in a row whose tap `tap` lies inside the input.
    #[inline(always)]
    fn outputs(&self, tap: usize, strip: &Range<usize>) -> Range<usize> {
        let (stride, at) = (self.stride[1], tap * self.dilation[1]);
        let (before, after) = (self.padding[1], self.padding[1] + self.width);
        if strip.start * stride + at >= before && (strip.end - 1) * stride + at < after {
            return strip.clone();
        }
        let first = before.saturating_sub(at).div_ceil(stride).max(strip.start);
        first..after.saturating_sub(at).div_ceil(stride).min(strip.end).max(first)
    }

    /// The indices for the outputs `strip` of row `out_y`.
    #[inline(always)]
    fn argmax_strip<T: Element>(&self, x: &[T], out_y: usize, strip: Range<usize>, index: &mut [u8]) {
        let stride = self.stride[1];
        let mut best = [T::neg_infinity(); STRIP];
        let mut taken = [0_u32; STRIP];
        let rows = self.taps(out_y, 0);
        if !rows.is_empty() {
            // If nothing is greater than −∞, the first tap that is inside.
            for (taken, out_x) in taken.iter_mut().zip(strip.clone()) {
                let columns = self.taps(out_x, 1);
                *taken =
                    if columns.is_empty() { 0 } else { rows.start * self.kernel[1] + columns.start } as u32;
            }
        }
        for tap_y in rows {
            let row = &x[self.at(out_y, tap_y, 0) * self.width..][..self.width];
            for tap_x in 0..self.kernel[1] {
                let outputs = self.outputs(tap_x, &strip);
                if outputs.is_empty() {
                    continue;
                }
                let tap = (tap_y * self.kernel[1] + tap_x) as u32;
                let row = &row[self.at(outputs.start, tap_x, 1)..];
                let outputs = outputs.start - strip.start..outputs.end - strip.start;
                let (best, taken) = (&mut best[outputs.clone()], &mut taken[outputs]);
                match stride {
                    1 => take_greater(best, taken, tap, row.iter()),
                    2 => {
                        // Pairs, and perhaps half a pair at the end of the row.
                        let (pairs, rest) = row.as_chunks::<2>();
                        let whole = pairs.len().min(best.len());
                        take_greater(
                            &mut best[..whole],
                            &mut taken[..whole],
                            tap,
                            pairs.iter().map(|[x, _]| x),
                        );
                        take_greater(&mut best[whole..], &mut taken[whole..], tap, rest.iter());
                    }
                    _ => take_greater(best, taken, tap, row.iter().step_by(stride)),
                }
            }
        }
        for (index, taken) in index.iter_mut().zip(taken) {
            *index = taken as u8;
        }
    }

    /// The indices of whole planes without vectors.
    fn argmax_one_by_one<T: Element>(&self, x: &[T], index: &mut [u8]) {
        let planes = x.chunks_exact(self.height * self.width);
        let out_plane = self.out_height() * self.out_width();
        for (x, index) in planes.zip(index.chunks_exact_mut(out_plane)) {
            self.for_each_output(|out, rows, columns, out_y, out_x| {
                let (mut best, mut taken) = (T::zero(), None);
                for tap_y in rows {
                    let row = &x[self.at(out_y, tap_y, 0) * self.width..];
                    for tap_x in columns.clone() {
                        let x = row[self.at(out_x, tap_x, 1)];
                        // Greater, or NaN where the best is none.
                        let stays = x <= best || best.is_nan();
                        if taken.is_none() || !stays {
                            (best, taken) = (x, Some(tap_y * self.kernel[1] + tap_x));
                        }
                    }
                }
                index[out] = taken.unwrap_or(0) as u8;
            });
        }
    }

    /// Calls `f(output index, input index)` for every output of a plane whose named element is inside the input.
    #[inline(always)]
    fn for_each_selected(&self, index: &[u8], mut f: impl FnMut(usize, usize)) {
        let (out_height, out_width, columns) = (self.out_height(), self.out_width(), self.kernel[1] as u32);
        let last = self.kernel[0] as u32 * columns - 1;
        let inside = |at: usize, tap: u32, axis: usize, len: usize| {
            (at + tap as usize * self.dilation[axis]).checked_sub(self.padding[axis]).filter(|at| *at < len)
        };
        for out_y in 0..out_height {
            for out_x in 0..out_width {
                let out = out_y * out_width + out_x;
                let tap = u32::from(index[out]).min(last);
                // A division by a constant is a multiplication.
                let (tap_y, tap_x) = match columns {
                    2 => (tap / 2, tap % 2),
                    3 => (tap / 3, tap % 3),
                    _ => (tap / columns, tap % columns),
                };
                let y = inside(out_y * self.stride[0], tap_y, 0, self.height);
                let x = inside(out_x * self.stride[1], tap_x, 1, self.width);
                if let (Some(y), Some(x)) = (y, x) {
                    f(out, y * self.width + x);
                }
            }
        }
    }
}

/// y = the element of `x` that `index` names in each window: linear in `x`. A named element outside the input is 0; an
/// index beyond the window names its last element.
pub fn max_pool_select<T: Element>(cx: &Context<'_>, shape: &PoolShape, x: &[T], index: &[u8], y: &mut [T]) {
    require(x.len() == shape.input_len() && index.len() == shape.output_len() && y.len() == index.len());
    let (plane, out_plane) = (shape.height * shape.width, shape.out_height() * shape.out_width());
    let planes = shape.planes_per_task();
    for_each_chunk(cx, y, planes * out_plane, |task, y| {
        if let Some(quads) = shape.quads().filter(|_| !is_plain(cx)) {
            let index = &index[task * planes * out_plane..][..y.len()];
            let x = &x[task * planes * plane..][..y.len() / out_plane * plane];
            return T::run(cx, Select { quads, x, index, y });
        }
        y.fill(T::zero());
        for (i, y) in y.chunks_exact_mut(out_plane).enumerate() {
            let at = task * planes + i;
            let x = &x[at * plane..][..plane];
            shape.for_each_selected(&index[at * out_plane..][..out_plane], |out, input| y[out] = x[input]);
        }
    });
}

/// The transpose of [`max_pool_select`]: adds each element of `dy` to the element of `dx` that `index` names, in order.
/// `dx` starts from 0, or from what it holds if `accumulate`.
pub fn max_pool_scatter<T: Element>(
    cx: &Context<'_>,
    shape: &PoolShape,
    dy: &[T],
    index: &[u8],
    dx: &mut [T],
    accumulate: bool,
) {
    require(dx.len() == shape.input_len() && index.len() == shape.output_len() && dy.len() == index.len());
    let (plane, out_plane) = (shape.height * shape.width, shape.out_height() * shape.out_width());
    let planes = shape.planes_per_task();
    for_each_chunk(cx, dx, planes * plane, |task, dx| {
        if let Some(quads) = shape.quads() {
            let outputs = task * planes * out_plane..(task * planes + dx.len() / plane) * out_plane;
            let (dy, index) = (&dy[outputs.clone()], &index[outputs]);
            if is_plain(cx) {
                return quads.scatter_one_by_one(dy, index, dx, accumulate);
            }
            return T::run(cx, Scatter { quads, dy, index, dx, accumulate });
        }
        if !accumulate {
            dx.fill(T::zero());
        }
        for (i, dx) in dx.chunks_exact_mut(plane).enumerate() {
            let at = (task * planes + i) * out_plane;
            let dy = &dy[at..][..out_plane];
            shape.for_each_selected(&index[at..][..out_plane], |out, input| dx[input] += dy[out]);
        }
    });
}

/// By what a window's sum is divided.
#[inline(always)]
fn divisor(shape: &PoolShape, count_include_pad: bool, rows: &Range<usize>, columns: &Range<usize>) -> usize {
    if count_include_pad { shape.kernel[0] * shape.kernel[1] } else { rows.len() * columns.len() }
}

/// The mean of each window: of all its positions with padding as 0 if `count_include_pad`, else of those inside the
/// input (NaN if there are none).
pub fn avg_pool<T: Element>(
    cx: &Context<'_>,
    shape: &PoolShape,
    count_include_pad: bool,
    x: &[T],
    y: &mut [T],
) {
    require(x.len() == shape.input_len() && y.len() == shape.output_len());
    let (plane, out_plane) = (shape.height * shape.width, shape.out_height() * shape.out_width());
    let planes = shape.planes_per_task();
    for_each_chunk(cx, y, planes * out_plane, |task, y| {
        for (i, y) in y.chunks_exact_mut(out_plane).enumerate() {
            let x = &x[(task * planes + i) * plane..][..plane];
            shape.for_each_output(|out, rows, columns, out_y, out_x| {
                let divisor = divisor(shape, count_include_pad, &rows, &columns);
                let mut sum = T::zero();
                for tap_y in rows {
                    let row = &x[shape.at(out_y, tap_y, 0) * shape.width..];
                    for tap_x in columns.clone() {
                        sum += row[shape.at(out_x, tap_x, 1)];
                    }
                }
                y[out] = sum / T::from_f64(divisor as f64);
            });
        }
    });
}

/// The gradient through [`avg_pool`]: spreads each element of `dy` evenly over its window. `dx` starts from 0, or from
/// what it holds if `accumulate`.
pub fn avg_pool_backward<T: Element>(
    cx: &Context<'_>,
    shape: &PoolShape,
    count_include_pad: bool,
    dy: &[T],
    dx: &mut [T],
    accumulate: bool,
) {
    require(dx.len() == shape.input_len() && dy.len() == shape.output_len());
    let (plane, out_plane) = (shape.height * shape.width, shape.out_height() * shape.out_width());
    let planes = shape.planes_per_task();
    for_each_chunk(cx, dx, planes * plane, |task, dx| {
        if !accumulate {
            dx.fill(T::zero());
        }
        for (i, dx) in dx.chunks_exact_mut(plane).enumerate() {
            let dy = &dy[(task * planes + i) * out_plane..][..out_plane];
            shape.for_each_output(|out, rows, columns, out_y, out_x| {
                let share = dy[out] / T::from_f64(divisor(shape, count_include_pad, &rows, &columns) as f64);
                for tap_y in rows {
                    let row = &mut dx[shape.at(out_y, tap_y, 0) * shape.width..];
                    for tap_x in columns.clone() {
                        row[shape.at(out_x, tap_x, 1)] += share;
                    }
                }
            });
        }
    });
}
