//! Moving data: strided copies and their transposes, rows by index, fill, copy and axpy.

use crate::elementwise::Span;
use crate::parallel::{GRAIN, Parts, any_cut, for_each_chunk, for_each_task};
use crate::simd::{Element, LANES, Simd, SimdOp, Vector, dispatch, is_plain};
use crate::streams::in_streams;
use crate::{plain, require};
use bantam_core::{Context, MAX_RANK};
use core::ops::Range;

/// Every element of `out` becomes `value`.
pub fn fill<T: Element>(cx: &Context<'_>, value: T, out: &mut [T]) {
    for_each_chunk(cx, out, any_cut(GRAIN), |_, out| out.fill(value));
}

/// out = x.
pub fn copy<T: Element>(cx: &Context<'_>, x: &[T], out: &mut [T]) {
    Span::Separate(x, out).for_each_chunk(cx, any_cut(GRAIN), |_, span| {
        if let Span::Separate(x, out) = span {
            out.copy_from_slice(x);
        }
    });
}

/// y += alpha · x, rounded twice at every level.
pub fn axpy<T: Element>(cx: &Context<'_>, alpha: T, x: &[T], y: &mut [T]) {
    if is_plain(cx) {
        require(x.len() == y.len());
        return plain::axpy(alpha, x, y);
    }
    Span::Separate(x, y).for_each_chunk(cx, GRAIN, |_, span| {
        dispatch(cx, || {
            if let Span::Separate(x, y) = span {
                for range in in_streams(y.len(), 2) {
                    for (x, y) in x[range.clone()].iter().zip(&mut y[range]) {
                        *y += alpha * *x;
                    }
                }
            }
        });
    });
}

/// Row i of `out` is row `indices[i]` of `table`, whose rows have `width` elements; an index that is no row gives NaN.
pub fn gather_rows<T: Element>(cx: &Context<'_>, table: &[T], width: usize, indices: &[u32], out: &mut [T]) {
    require(out.len() == indices.len() * width);
    let rows = (GRAIN / width.max(1)).max(1);
    for_each_chunk(cx, out, rows * width, |task, out| {
        for (out, index) in out.chunks_exact_mut(width).zip(&indices[task * rows..]) {
            match table.chunks_exact(width).nth(*index as usize) {
                Some(row) => out.copy_from_slice(row),
                None => out.fill(T::nan()),
            }
        }
    });
}

/// The transpose of [`gather_rows`]: adds row i of `dy` to row `indices[i]` of `dtable`, in order of i; an index that
/// is no row adds nothing. `dtable` starts from 0, or from what it holds if `accumulate`.
pub fn scatter_add_rows<T: Element>(
    cx: &Context<'_>,
    indices: &[u32],
    width: usize,
    dy: &[T],
    dtable: &mut [T],
    accumulate: bool,
) {
    require(dy.len() == indices.len() * width);
    if !accumulate {
        fill(cx, T::zero(), dtable);
    }
    if width == 0 {
        return;
    }
    for (dy, index) in dy.chunks_exact(width).zip(indices) {
        if let Some(row) = dtable.chunks_exact_mut(width).nth(*index as usize) {
            for (row, dy) in row.iter_mut().zip(dy) {
                *row += *dy;
            }
        }
    }
}

/// A strided view of at most [`MAX_RANK`] axes, walked row by row.
struct Walk<'a> {
    shape: &'a [usize],
    strides: &'a [isize],
    offset: usize,
}

impl Walk<'_> {
    /// Calls `f(index of the row, place of its first element)` for some rows; a row is the last axis.
    fn for_each_row(&self, rows: Range<usize>, mut f: impl FnMut(usize, isize)) {
        if rows.is_empty() {
            return; // An axis may have no length, and no remainder by it.
        }
        let outer = self.shape.len().saturating_sub(1);
        let mut at = [0; MAX_RANK];
        let mut place = self.offset as isize;
        let mut rest = rows.start;
        for axis in (0..outer).rev() {
            at[axis] = rest % self.shape[axis];
            rest /= self.shape[axis];
            place += at[axis] as isize * self.strides[axis];
        }
        for row in rows {
            f(row, place);
            for axis in (0..outer).rev() {
                at[axis] += 1;
                place += self.strides[axis];
                if at[axis] < self.shape[axis] {
                    break;
                }
                place -= self.strides[axis] * self.shape[axis] as isize;
                at[axis] = 0;
            }
        }
    }

    /// Length and stride of the last axis.
    fn row(&self) -> (usize, isize) {
        (self.shape.last().copied().unwrap_or(1), self.strides.last().copied().unwrap_or(1))
    }
}

/// `out[i, j, …] = x[offset + i·strides[0] + j·strides[1] + …]`; `out` has `shape` and is contiguous.
///
/// Strides count elements; negative ones walk backwards, 0 repeats. Permutation, slice, flip and broadcast are all
/// this.
pub fn copy_strided<T: Element>(
    cx: &Context<'_>,
    shape: &[usize],
    x: &[T],
    offset: usize,
    strides: &[isize],
    out: &mut [T],
) {
    require(shape.len() == strides.len() && shape.len() <= MAX_RANK && out.len() == shape.iter().product());
    let walk = Walk { shape, strides, offset };
    let (len, stride) = walk.row();
    if stride > 1 && len >= LANES && strides.iter().all(|stride| *stride >= 0) {
        let neighbours = |axis: &usize| strides[*axis] == 1 && shape[*axis] >= LANES;
        if let Some(axis) = (0..shape.len() - 1).find(neighbours) {
            return transpose(cx, walk, axis, x, out);
        }
    }
    let rows = (GRAIN / len.max(1)).max(1);
    for_each_chunk(cx, out, rows * len, |task, out| {
        let first = task * rows;
        walk.for_each_row(first..first + out.len() / len, |row, place| {
            let out = &mut out[(row - first) * len..][..len];
            match stride {
                1 => out.copy_from_slice(&x[place as usize..][..len]),
                0 => out.fill(x[place as usize]),
                _ => {
                    for (i, out) in out.iter_mut().enumerate() {
                        *out = x[(place + i as isize * stride) as usize];
                    }
                }
            }
        });
    });
}

/// A strided copy whose rows lie across those of `x`: along `axis` elements of `x` are neighbours. Eight by eight in registers.
fn transpose<T: Element>(cx: &Context<'_>, walk: Walk<'_>, axis: usize, x: &[T], out: &mut [T]) {
    let Walk { shape, strides, offset } = walk;
    let last = shape.len() - 1;
    // The farthest element that is read.
    let reach = shape.iter().zip(strides).map(|(len, stride)| (len - 1.min(*len)) * *stride as usize);
    require(out.is_empty() || offset + reach.sum::<usize>() < x.len());
    let inner: usize = shape[axis + 1..].iter().product();
    let planes = out.len() / (shape[axis] * shape[last]).max(1);
    let lines = shape[axis].div_ceil(SIDE);
    let parts = Parts::new(out);
    for_each_task(cx, planes * lines, |task| {
        let (plane, first) = (task / lines, task % lines * SIDE);
        // The other axes' places in `x` and in `out`.
        let (mut from, mut to, mut rest, mut step) = (offset, 0, plane, 1);
        for other in (0..=last).rev() {
            if other != axis && other != last {
                let at = rest % shape[other];
                rest /= shape[other];
                from += at * strides[other] as usize;
                to += at * step;
            }
            step *= shape[other];
        }
        let count = SIDE.min(shape[axis] - first);
        let (from, to) = (from + first, to + first * inner);
        // SAFETY: the rows of this line of the plane, from the first one's start to the last one's end, hold rows of other
        // planes between them, so only pointers are made of them until a row is written.
        let out = unsafe { parts.pointer().add(to) };
        T::run(
            cx,
            Transpose {
                x: &x[from..],
                stride: strides[last] as usize,
                count,
                len: shape[last],
                out,
                step: inner,
            },
        );
    });
}

/// Rows that are copied together: a line of the cache.
const SIDE: usize = 2 * LANES;

/// `count` rows of `len` elements, `step` apart: row i is `x[i]`, `x[i + stride]`, …
pub struct Transpose<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) stride: usize,
    pub(crate) count: usize,
    pub(crate) len: usize,
    /// Can be written, and is nobody else's.
    pub(crate) out: *mut T,
    pub(crate) step: usize,
}

impl<T: Element> SimdOp for Transpose<'_, T> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Transpose { x, stride, count, len, out, step } = self;
        require(len == 0 || count == 0 || (len - 1) * stride + count <= x.len());
        for j in (0..len).step_by(LANES) {
            let width = LANES.min(len - j);
            // Beyond the last column the last one again.
            let line = |column: usize| x.as_ptr().wrapping_add((j + column.min(width - 1)) * stride);
            let lines: [*const T; LANES] = [0, 1, 2, 3, 4, 5, 6, 7].map(line);
            // Whole squares in a loop of their own: with more in it, addresses do not stay in registers.
            let whole = if width == LANES { count - count % LANES } else { 0 };
            for i in (0..whole).step_by(LANES) {
                let to = out.wrapping_add(i * step + j);
                // SAFETY: `x` has eight elements of each line here, as was checked.
                let square =
                    unsafe { T::Vector::read_transposed(simd, lines.map(|line| line.wrapping_add(i))) };
                for (k, row) in square.into_iter().enumerate() {
                    // SAFETY: the caller's: there are rows up to `count`, of `len` elements.
                    unsafe { row.write(to.wrapping_add(k * step)) };
                }
            }
            for i in whole..count {
                for (column, line) in lines.iter().take(width).enumerate() {
                    // SAFETY: as above, one element at a time.
                    unsafe { *out.wrapping_add(i * step + j + column) = *line.wrapping_add(i) };
                }
            }
        }
    }
}

/// The transpose of [`copy_strided`]: `dx[offset + i·strides[0] + …] += dy[i, …]`, in order of `dy`.
pub fn add_strided<T: Element>(
    _cx: &Context<'_>,
    shape: &[usize],
    dy: &[T],
    dx: &mut [T],
    offset: usize,
    strides: &[isize],
) {
    require(shape.len() == strides.len() && shape.len() <= MAX_RANK && dy.len() == shape.iter().product());
    let walk = Walk { shape, strides, offset };
    let (len, stride) = walk.row();
    walk.for_each_row(0..dy.len() / len.max(1), |row, place| {
        let dy = &dy[row * len..][..len];
        if stride == 1 {
            let dx = &mut dx[place as usize..][..len];
            dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += *dy);
            return;
        }
        for (i, dy) in dy.iter().enumerate() {
            dx[(place + i as isize * stride) as usize] += *dy;
        }
    });
}
