//! Max and average pooling over two axes.

use crate::conv::out_len;
use crate::parallel::{GRAIN, for_each_chunk};
use crate::require;
use crate::simd::Element;
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
        let (len, dilation) = ([self.height, self.width][axis], self.dilation[axis]);
        let start = out * self.stride[axis];
        let first = self.padding[axis].saturating_sub(start).div_ceil(dilation);
        let last = (len + self.padding[axis]).saturating_sub(start).div_ceil(dilation);
        first..last.min(self.kernel[axis]).max(first)
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
        for (i, index) in index.chunks_exact_mut(out_plane).enumerate() {
            let x = &x[(task * planes + i) * plane..][..plane];
            shape.for_each_output(|out, rows, columns, out_y, out_x| {
                let mut best = None;
                for tap_y in rows {
                    let row = &x[shape.at(out_y, tap_y, 0) * shape.width..];
                    for tap_x in columns.clone() {
                        let x = row[shape.at(out_x, tap_x, 1)];
                        if best.is_none_or(|(greatest, _): (T, usize)| {
                            !greatest.is_nan() && (x > greatest || x.is_nan())
                        }) {
                            best = Some((x, tap_y * shape.kernel[1] + tap_x));
                        }
                    }
                }
                index[out] = best.map_or(0, |(_, tap)| tap as u8);
            });
        }
    });
}

/// y = the element of `x` that `index` names in each window: linear in `x`. A named element outside the input is 0.
pub fn max_pool_select<T: Element>(cx: &Context<'_>, shape: &PoolShape, x: &[T], index: &[u8], y: &mut [T]) {
    require(x.len() == shape.input_len() && index.len() == shape.output_len() && y.len() == index.len());
    let (plane, out_plane) = (shape.height * shape.width, shape.out_height() * shape.out_width());
    let planes = shape.planes_per_task();
    for_each_chunk(cx, y, planes * out_plane, |task, y| {
        for (i, y) in y.chunks_exact_mut(out_plane).enumerate() {
            let plane_index = task * planes + i;
            let x = &x[plane_index * plane..][..plane];
            let index = &index[plane_index * out_plane..][..out_plane];
            for ((at, y), index) in y.iter_mut().enumerate().zip(index) {
                *y = shape.selected(at, *index).map_or(T::zero(), |at| x[at]);
            }
        }
    });
}

impl PoolShape {
    /// The place in the input plane that `index` names for the output at `out`, if it is inside.
    #[inline(always)]
    fn selected(&self, out: usize, index: u8) -> Option<usize> {
        let out_width = self.out_width();
        let tap = [usize::from(index) / self.kernel[1], usize::from(index) % self.kernel[1]];
        let at = |axis: usize, out: usize, len: usize| {
            (out * self.stride[axis] + tap[axis] * self.dilation[axis])
                .checked_sub(self.padding[axis])
                .filter(|at| *at < len)
        };
        let (y, x) = (at(0, out / out_width, self.height)?, at(1, out % out_width, self.width)?);
        Some(y * self.width + x)
    }
}

/// The transpose of [`max_pool_select`]: adds each element of `dy` to the element of `dx` that `index` names. `dx`
/// starts from 0, or from what it holds if `accumulate`.
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
        if !accumulate {
            dx.fill(T::zero());
        }
        for (i, dx) in dx.chunks_exact_mut(plane).enumerate() {
            let start = (task * planes + i) * out_plane;
            let outputs = dy[start..][..out_plane].iter().zip(&index[start..][..out_plane]);
            for (out, (dy, index)) in outputs.enumerate() {
                if let Some(at) = shape.selected(out, *index) {
                    dx[at] += *dy;
                }
            }
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
