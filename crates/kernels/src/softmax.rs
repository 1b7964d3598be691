//! Softmax, log-softmax and cross-entropy over the rows of a matrix, with their gradients.

use crate::elementwise::functions::{AddScalar, Mul, MulScalar};
use crate::elementwise::{MapFn, Span, ZipFn, map_line, map_slice_in_place, zip_slices};
use crate::gemm::{is_wide, load, store};
use crate::parallel::{GRAIN, any_cut, for_each_chunk};
use crate::plain::tree;
use crate::reduce::{Join, MANY, Max, Sum, fold_row};
use crate::require;
use crate::rows::{Columns, SHORT, fold, load_rows, store_rows};
use crate::simd::{BASELINE_IS_PLAIN, Element, LANES, Paired, Simd, SimdOp, Vector};
use bantam_core::Context;

/// Rows per task.
fn rows_per_task(columns: usize) -> usize {
    // An exponential costs several times what `GRAIN` assumes.
    (GRAIN / 4 / columns.max(1)).max(1)
}

/// The softmax of each row: e^(x − max) / Σ e^(x − max).
///
/// A row that holds NaN or ∞, or nothing but −∞, becomes NaN.
pub fn softmax<T: Element>(cx: &Context<'_>, rows: usize, columns: usize, span: Span<'_, T>) {
    span_of_rows(cx, rows, columns, span, false);
}

/// The logarithm of the softmax of each row: x − max − ln Σ e^(x − max), without the overflow and the lost digits of
/// taking the logarithm afterwards.
pub fn log_softmax<T: Element>(cx: &Context<'_>, rows: usize, columns: usize, span: Span<'_, T>) {
    span_of_rows(cx, rows, columns, span, true);
}

fn span_of_rows<T: Element>(
    cx: &Context<'_>,
    rows: usize,
    columns: usize,
    span: Span<'_, T>,
    logarithm: bool,
) {
    require(span.len() == rows * columns);
    let chunk = any_cut(rows_per_task(columns) * columns);
    span.for_each_chunk(cx, chunk, |_, span| {
        let goal = if logarithm { Goal::Logarithm } else { Goal::Softmax };
        let (x, y) = match span {
            Span::Separate(x, y) => (Some(x), y),
            Span::InPlace(y) => (None, y),
        };
        T::run(cx, Rows { rows: y.len() / columns, columns, x, y, goal });
    });
}

/// Columns whose exponentials are computed at a time.
const PIECE: usize = 256;

/// What is made of the exponentials of a row.
enum Goal<'a, T> {
    /// e^(x − max) / Σ e^(x − max).
    Softmax,
    /// x − max − ln Σ e^(x − max).
    Logarithm,
    /// For one label of each row: the sum of the losses, if asked for, and the gradient times a factor.
    CrossEntropy { labels: &'a [u32], loss: bool, scale: Option<T> },
}

/// Rows of logits. One kernel for all that starts with their exponentials: the loops are many, and long to compile.
pub struct Rows<'a, 'b, T> {
    rows: usize,
    columns: usize,
    /// `None` where they lie in `y`.
    x: Option<&'a [T]>,
    /// Empty if nothing but a sum is wanted.
    y: &'b mut [T],
    goal: Goal<'a, T>,
}

impl<T: Element> SimdOp for Rows<'_, '_, T> {
    const FUSES: bool = true;
    const WIDE: bool = T::WIDE;
    /// The sum of the losses.
    type Output = T;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> T {
        let Rows { rows, columns, x, y, goal } = self;
        let mut total = T::zero();
        // Of row `row`, whose exponentials add up to e^`logarithm`.
        let mut finish = |row: usize, y: &mut [T], max: T, logarithm: T| {
            let (Goal::CrossEntropy { labels, loss, scale }, Some(x)) = (&goal, x) else { return };
            let label = labels[row] as usize;
            if label >= columns {
                y.iter_mut().for_each(|y| *y = T::nan());
                total = T::nan();
                return;
            }
            if let (Some(scale), Some(y)) = (scale, y.get_mut(label)) {
                *y -= *scale;
            }
            if *loss {
                // (max − x) first: both are large where the logits are, and their difference is exact or nearly so.
                total += (max - x[row * columns + label]) + logarithm;
            }
        };
        let needs_logarithm = matches!(goal, Goal::Logarithm | Goal::CrossEntropy { loss: true, .. });
        let stride = if y.is_empty() { 0 } else { columns };
        if let Some(single) = simd.single() {
            for row in 0..rows {
                let y = &mut y[row * stride..][..stride];
                let x = x.map(|x| &x[row * columns..][..columns]);
                let (max, logarithm) = one_row(single, x, y, &goal, needs_logarithm);
                finish(row, y, max, logarithm);
            }
            return total;
        }
        // Lanes are rows where rows would fill no two vectors.
        if (1..=2 * LANES).contains(&columns) {
            let zero = T::Vector::splat(simd, T::zero());
            let (mut block, mut exponentials) = ([zero; SHORT], [zero; SHORT]);
            for first in (0..rows).step_by(LANES) {
                load_rows(simd, x.unwrap_or(y), columns, first, &mut block);
                let (max, sum) = sums_of_exp::<T, S>(simd, &block, columns, &mut exponentials);
                let logarithm = if needs_logarithm { T::ln_lanes(simd, sum) } else { zero };
                let result = match goal {
                    Goal::Logarithm => {
                        let shift = max + logarithm;
                        block[..columns].iter_mut().for_each(|x| *x = *x - shift);
                        &block
                    }
                    Goal::Softmax => {
                        // The sum is 1 at least.
                        let share = T::Vector::splat(simd, T::one()) / sum;
                        exponentials[..columns].iter_mut().for_each(|x| *x = *x * share);
                        &exponentials
                    }
                    Goal::CrossEntropy { scale: None, .. } => &exponentials,
                    Goal::CrossEntropy { scale: Some(scale), .. } => {
                        let share = T::Vector::splat(simd, scale) / sum;
                        exponentials[..columns].iter_mut().for_each(|x| *x = *x * share);
                        &exponentials
                    }
                };
                if stride > 0 {
                    store_rows(simd, result, columns, first, y);
                }
                let (max, logarithm) = (max.to_array(), logarithm.to_array());
                for (lane, row) in (first..rows.min(first + LANES)).enumerate() {
                    finish(row, &mut y[row * stride..][..stride], max[lane], logarithm[lane]);
                }
            }
            return total;
        }
        // Once more the whole loop: only where vectors are registers, so that an image for WebAssembly stays small.
        let eights = if const { is_wide::<T, S>() } && columns < MANY { rows - rows % LANES } else { 0 };
        let mut buffer = [T::zero(); LANES * MANY];
        for first in (0..eights).step_by(LANES) {
            let y = &mut y[first * stride..][..LANES * stride];
            let x = x.map(|x| &x[first * columns..][..LANES * columns]);
            let (max, logarithm) = eight_rows(simd, columns, x, y, &goal, needs_logarithm, &mut buffer);
            for lane in 0..LANES {
                finish(first + lane, &mut y[lane * stride..][..stride], max[lane], logarithm[lane]);
            }
        }
        for row in eights..rows {
            let y = &mut y[row * stride..][..stride];
            let x = x.map(|x| &x[row * columns..][..columns]);
            let max = fold_row(simd, x.unwrap_or(y), Max);
            let exponential = ExpOfDifference(max);
            let sum = if stride == 0 || matches!(goal, Goal::Logarithm) {
                sum_of_exp(simd, x.unwrap_or(y), exponential)
            } else {
                for (start, y) in (0..columns).step_by(PIECE).zip(y.chunks_mut(PIECE)) {
                    // The processor does not fetch ahead into the next page, where the next row may begin.
                    for line in (0..PIECE).step_by(16) {
                        simd.prefetch(y.as_ptr().wrapping_add(columns + line));
                        simd.prefetch(
                            x.map_or(y.as_ptr(), |x| x[start..].as_ptr()).wrapping_add(columns + line),
                        );
                    }
                    map_row(simd, exponential, x.map(|x| &x[start..columns.min(start + PIECE)]), y);
                }
                fold_row(simd, y, Sum)
            };
            let logarithm = if needs_logarithm { ln(simd, sum) } else { T::zero() };
            match goal {
                Goal::Logarithm => map_row(simd, AddScalar(-(max + logarithm)), x, y),
                Goal::Softmax => map_slice_in_place(simd, MulScalar(T::one() / sum), y),
                Goal::CrossEntropy { scale: Some(scale), .. } => {
                    map_slice_in_place(simd, MulScalar(scale / sum), y);
                }
                Goal::CrossEntropy { scale: None, .. } => {}
            }
            finish(row, y, max, logarithm);
        }
        total
    }
}

/// A row, one element at a time: its greatest element, and the logarithm of its sum if that is needed. A loop over each lane of a
/// vector of one would be left standing by a compiler that saves space.
#[inline(always)]
fn one_row<T: Element, S: Simd>(
    single: S,
    x: Option<&[T]>,
    y: &mut [T],
    goal: &Goal<'_, T>,
    needs_logarithm: bool,
) -> (T, T) {
    let exp = |x| T::exp_lanes(single, T::Vector::splat(single, x)).first();
    // A NaN need not be the greatest: its own exponential makes the row NaN.
    let max = x.unwrap_or(y).iter().fold(T::neg_infinity(), |max, x| if *x > max { *x } else { max });
    let keeps = !matches!(goal, Goal::Logarithm);
    let mut lanes = [T::zero(); LANES];
    for i in 0..x.map_or(y.len(), <[T]>::len) {
        let new = exp(x.map_or_else(|| y[i], |x| x[i]) - max);
        // They go round, so that they can stay in registers: a tree has the same pairs wherever it begins.
        let [a, b, c, d, e, f, g, h] = lanes;
        lanes = [b, c, d, e, f, g, h, a + new];
        if let (true, Some(y)) = (keeps, y.get_mut(i)) {
            *y = new;
        }
    }
    // What is kept is added like any other row.
    let sum = if keeps && y.len() >= MANY { fold_row(single, y, Sum) } else { tree(lanes) };
    let logarithm = if needs_logarithm { ln(single, sum) } else { T::zero() };
    match goal {
        Goal::Logarithm => {
            let shift = -(max + logarithm);
            (0..y.len()).for_each(|i| y[i] = x.map_or_else(|| y[i], |x| x[i]) + shift);
        }
        Goal::Softmax => {
            let share = T::one() / sum;
            y.iter_mut().for_each(|y| *y *= share);
        }
        Goal::CrossEntropy { scale: Some(scale), .. } => {
            let share = *scale / sum;
            y.iter_mut().for_each(|y| *y *= share);
        }
        Goal::CrossEntropy { scale: None, .. } => {}
    }
    (max, logarithm)
}

/// Eight rows, whose lanes are joined side by side: their greatest elements, and the logarithms of their sums if those are needed.
/// Exponentials that y has no room for go to `buffer`.
#[inline(always)]
fn eight_rows<T: Element, S: Simd>(
    simd: S,
    columns: usize,
    x: Option<&[T]>,
    y: &mut [T],
    goal: &Goal<'_, T>,
    needs_logarithm: bool,
    buffer: &mut [T; LANES * MANY],
) -> ([T; LANES], [T; LANES]) {
    let zero = T::Vector::splat(simd, T::zero());
    let lanes = join_eight(simd, columns, x.unwrap_or(y), Max);
    let start = T::Vector::splat(simd, T::neg_infinity());
    let join = |a, b| Join::<T>::join::<S>(Max, a, b);
    let max = fold::<T, S>(&T::Vector::transpose(simd, lanes), start, join);
    let greatest = max.to_array();
    let keeps = !(y.is_empty() || matches!(goal, Goal::Logarithm));
    let (x_or_y, exponentials) = match x {
        _ if keeps => (x, &mut *y),
        Some(x) => (Some(x), &mut buffer[..]),
        None => (Some(&*y), &mut buffer[..]),
    };
    map_eight(simd, columns, greatest.map(ExpOfDifference), x_or_y, exponentials);
    let lanes = join_eight(simd, columns, exponentials, Sum);
    let sum = fold::<T, S>(&T::Vector::transpose(simd, lanes), zero, |a, b| a + b);
    let logarithm = if needs_logarithm { T::ln_lanes(simd, sum) } else { zero };
    let share = |scale: T| (T::Vector::splat(simd, scale) / sum).to_array().map(MulScalar);
    match goal {
        Goal::Logarithm => {
            let shift = (-(max + logarithm)).to_array();
            map_eight(simd, columns, shift.map(AddScalar), x, y);
        }
        Goal::Softmax => map_eight(simd, columns, share(T::one()), None, y),
        Goal::CrossEntropy { scale: Some(scale), .. } => map_eight(simd, columns, share(*scale), None, y),
        Goal::CrossEntropy { scale: None, .. } => {}
    }
    (greatest, logarithm.to_array())
}

/// What [`join_lanes`](crate::reduce::join_lanes) gives for each of eight rows of less than [`MANY`] elements. All rows go on together, a vector of each at a
/// time: they are too short for loops of their own.
#[inline(always)]
fn join_eight<T: Element, S: Simd, J: Join<T>>(
    simd: S,
    columns: usize,
    x: &[T],
    join: J,
) -> [T::Vector<S>; LANES] {
    require(x.len() >= LANES * columns);
    let mut lanes = [T::Vector::splat(simd, join.start()); LANES];
    let whole = columns - columns % LANES;
    for at in (0..whole).step_by(LANES) {
        for (i, lanes) in lanes.iter_mut().enumerate() {
            // SAFETY: row i has eight elements there, and all rows lie in x.
            let x = unsafe { T::Vector::read(simd, x.as_ptr().add(i * columns + at)) };
            *lanes = join.join::<S>(*lanes, x);
        }
    }
    if whole < columns {
        for (i, lanes) in lanes.iter_mut().enumerate() {
            let tail = &x[i * columns + whole..(i + 1) * columns];
            *lanes = join.join::<S>(*lanes, T::Vector::load_partial(simd, tail, join.start()));
        }
    }
    lanes
}

/// y = f(x) for eight rows with a function each, or f(y) where there is no x; all rows together, as in [`join_eight`].
#[inline(always)]
fn map_eight<T: Element, S: Simd, F: MapFn<T>>(
    simd: S,
    columns: usize,
    f: [F; LANES],
    x: Option<&[T]>,
    y: &mut [T],
) {
    let len = LANES * columns;
    require(y.len() >= len && x.is_none_or(|x| x.len() >= len));
    let to = y.as_mut_ptr();
    let from = x.map_or(to.cast_const(), <[T]>::as_ptr);
    if const { F::WIDE && <T::Vector<S::Wide> as Vector<T, S::Wide>>::WIDTH > LANES } {
        // SAFETY: both have as many elements, and they are separate or one.
        return unsafe { map_eight_by(simd.wide(), columns, f, from, to) };
    }
    if const { F::WIDE && S::PAIRS } {
        // SAFETY: as above.
        return unsafe { map_eight_by(Paired(simd), columns, f, from, to) };
    }
    // SAFETY: as above.
    unsafe { map_eight_by(simd, columns, f, from, to) };
}

/// [`map_eight`] by the vectors of `simd`.
///
/// # Safety
/// 1. `x` can be read and `y` written for eight rows; they are one or apart.
#[inline(always)]
unsafe fn map_eight_by<T: Element, S: Simd, F: MapFn<T>>(
    simd: S,
    columns: usize,
    f: [F; LANES],
    x: *const T,
    y: *mut T,
) {
    let width = <T::Vector<S> as Vector<T, S>>::WIDTH;
    let mut at = 0;
    // Not `step_by`, which divides.
    while at + width <= columns {
        for (i, f) in f.iter().enumerate() {
            let place = i * columns + at;
            // SAFETY: 1.; the elements are read before they are written.
            unsafe { f.apply(simd, T::Vector::read(simd, x.add(place))).write(y.add(place)) };
        }
        at += width;
    }
    if at < columns {
        let lanes = (1 << (columns - at)) - 1;
        for (i, f) in f.iter().enumerate() {
            let place = i * columns + at;
            // SAFETY: 1., for fewer elements than a vector has.
            unsafe {
                let tail = T::Vector::read_lanes(simd, x.add(place), lanes);
                f.apply(simd, tail).write_lanes(y.add(place), lanes);
            }
        }
    }
}

/// y = f(x), or f(y) where there is no x. One loop for both, as [`map_line`] wants it.
#[inline(always)]
fn map_row<T: Element, S: Simd>(simd: S, f: impl MapFn<T>, x: Option<&[T]>, y: &mut [T]) {
    let (len, to) = (x.map_or(y.len(), |x| x.len().min(y.len())), y.as_mut_ptr());
    let from = x.map_or(to.cast_const(), <[T]>::as_ptr);
    // SAFETY: both have `len` elements, and they are separate or one.
    unsafe { map_line(simd, f, from, to, len) };
}

/// Of eight short rows: their exponentials e^(x − max), the greatest elements, and the sums of the exponentials.
#[inline(always)]
fn sums_of_exp<T: Element, S: Simd>(
    simd: S,
    block: &Columns<T, S>,
    columns: usize,
    exponentials: &mut Columns<T, S>,
) -> (T::Vector<S>, T::Vector<S>) {
    let start = T::Vector::splat(simd, T::neg_infinity());
    let max = fold::<T, S>(&block[..columns], start, |a, b| Join::<T>::join::<S>(Max, a, b));
    for (to, x) in exponentials.iter_mut().zip(&block[..columns]) {
        *to = T::exp_lanes(simd, *x - max);
    }
    let zero = T::Vector::splat(simd, T::zero());
    (max, fold::<T, S>(&exponentials[..columns], zero, |a, b| a + b))
}

/// e^(x − c).
#[derive(Clone, Copy)]
struct ExpOfDifference<T>(T);

impl<T: Element> MapFn<T> for ExpOfDifference<T> {
    const WIDE: bool = T::WIDE;

    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::exp_below_0_lanes(simd, x - T::Vector::splat(simd, self.0))
    }
}

/// Σ e^(x − max).
#[inline(always)]
fn sum_of_exp<T: Element, S: Simd>(simd: S, row: &[T], f: ExpOfDifference<T>) -> T {
    let (chunks, tail) = row.as_chunks::<LANES>();
    let mut sum = T::Vector::splat(simd, T::zero());
    for x in chunks {
        sum = sum + f.apply(simd, T::Vector::load(simd, x));
    }
    if !tail.is_empty() {
        sum = sum + f.apply(simd, T::Vector::load_partial(simd, tail, T::neg_infinity()));
    }
    sum.tree(|a, b| a + b)
}

#[inline(always)]
fn ln<T: Element, S: Simd>(simd: S, x: T) -> T {
    T::ln_lanes(simd, T::Vector::splat(simd, x)).first()
}

/// The gradient through [`softmax`] from its output `y` and `dy`: y · (dy − Σ y·dy), row by row.
pub fn softmax_backward<T: Element>(
    cx: &Context<'_>,
    rows: usize,
    columns: usize,
    y: &[T],
    dy: &[T],
    out: &mut [T],
) {
    backward(cx, rows, columns, y, dy, out, false);
}

/// The gradient through [`log_softmax`] from its output `y` and `dy`: dy − e^y · Σ dy, row by row.
pub fn log_softmax_backward<T: Element>(
    cx: &Context<'_>,
    rows: usize,
    columns: usize,
    y: &[T],
    dy: &[T],
    out: &mut [T],
) {
    backward(cx, rows, columns, y, dy, out, true);
}

fn backward<T: Element>(
    cx: &Context<'_>,
    rows: usize,
    columns: usize,
    y: &[T],
    dy: &[T],
    out: &mut [T],
    logarithm: bool,
) {
    let len = rows * columns;
    require(y.len() == len && dy.len() == len && out.len() == len);
    let chunk = any_cut(rows_per_task(columns) * columns);
    for_each_chunk(cx, out, chunk, |index, out| {
        let start = index * chunk;
        let (y, dy) = (&y[start..start + out.len()], &dy[start..start + out.len()]);
        T::run(cx, Backward { columns, y, dy, out, logarithm });
    });
}

pub struct Backward<'a, 'b, T> {
    columns: usize,
    y: &'a [T],
    dy: &'a [T],
    out: &'b mut [T],
    logarithm: bool,
}

impl<T: Element> SimdOp for Backward<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let columns = self.columns.max(1);
        let whole = if const { is_wide::<T, S>() } && columns < MANY && !self.logarithm {
            self.y.len() - self.y.len() % (LANES * columns)
        } else {
            0
        };
        let (y, y_rest) = self.y.split_at(whole);
        let (dy, dy_rest) = self.dy.split_at(whole);
        let (out, out_rest) = self.out.split_at_mut(whole);
        let eight = LANES * columns;
        for ((y, dy), out) in y.chunks(eight).zip(dy.chunks(eight)).zip(out.chunks_mut(eight)) {
            backward_of_eight(simd, columns, y, dy, out);
        }
        let rows = y_rest.chunks_exact(columns).zip(dy_rest.chunks_exact(columns));
        for ((y, dy), out) in rows.zip(out_rest.chunks_exact_mut(columns)) {
            if self.logarithm {
                zip_slices(simd, LogSoftmaxGrad(fold_row(simd, dy, Sum)), y, dy, out);
            } else {
                zip_slices(simd, Mul, y, dy, out);
                zip_slices(simd, SoftmaxGrad(fold_row(simd, out, Sum)), y, dy, out);
            }
        }
    }
}

/// y · (dy − Σ y·dy) for eight rows of less than [`MANY`] elements, all together as in [`join_eight`].
#[inline(always)]
fn backward_of_eight<T: Element, S: Simd>(simd: S, columns: usize, y: &[T], dy: &[T], out: &mut [T]) {
    let len = LANES * columns;
    require(y.len() >= len && dy.len() >= len && out.len() >= len);
    let whole = columns - columns % LANES;
    let mut lanes = [T::Vector::splat(simd, T::zero()); LANES];
    for at in (0..whole).step_by(LANES) {
        for (row, lanes) in lanes.iter_mut().enumerate() {
            // SAFETY: the row has eight elements there, and all rows lie in both.
            let [y, dy] = unsafe {
                [
                    T::Vector::read(simd, y.as_ptr().add(row * columns + at)),
                    T::Vector::read(simd, dy.as_ptr().add(row * columns + at)),
                ]
            };
            *lanes = *lanes + y * dy;
        }
    }
    let tail = |row: usize| row * columns + whole..(row + 1) * columns;
    if whole < columns {
        for (row, lanes) in lanes.iter_mut().enumerate() {
            *lanes = *lanes + load::<T, S>(simd, &y[tail(row)]) * load(simd, &dy[tail(row)]);
        }
    }
    let zero = T::Vector::splat(simd, T::zero());
    let sums = fold::<T, S>(&T::Vector::transpose(simd, lanes), zero, |a, b| a + b).to_array();
    for at in (0..whole).step_by(LANES) {
        for (row, sum) in sums.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe {
                let [y, dy] = [
                    T::Vector::read(simd, y.as_ptr().add(row * columns + at)),
                    T::Vector::read(simd, dy.as_ptr().add(row * columns + at)),
                ];
                SoftmaxGrad(sum).apply(simd, y, dy).write(out.as_mut_ptr().add(row * columns + at));
            }
        }
    }
    if whole < columns {
        for (row, sum) in sums.into_iter().enumerate() {
            let (y, dy) = (load(simd, &y[tail(row)]), load(simd, &dy[tail(row)]));
            store(SoftmaxGrad(sum).apply(simd, y, dy), &mut out[tail(row)]);
        }
    }
}

/// From (y, dy) and Σ y·dy: y · (dy − Σ).
#[derive(Clone, Copy)]
struct SoftmaxGrad<T>(T);

impl<T: Element> ZipFn<T> for SoftmaxGrad<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, y: T::Vector<S>, dy: T::Vector<S>) -> T::Vector<S> {
        y * (dy - T::Vector::splat(simd, self.0))
    }
}

/// From (y, dy) and Σ dy: dy − e^y · Σ.
#[derive(Clone, Copy)]
struct LogSoftmaxGrad<T>(T);

impl<T: Element> ZipFn<T> for LogSoftmaxGrad<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, y: T::Vector<S>, dy: T::Vector<S>) -> T::Vector<S> {
        dy - T::exp_lanes(simd, y) * T::Vector::splat(simd, self.0)
    }
}

/// The most pieces that the rows of a [`cross_entropy`] are cut into.
const PIECES: usize = 64;

/// The mean over the rows of `−ln softmax(logits)[label]`.
///
/// `logits` has shape [rows, columns], `labels` one class per row. A label that is no column gives NaN, and so do no
/// rows at all.
pub fn cross_entropy<T: Element>(
    cx: &Context<'_>,
    rows: usize,
    columns: usize,
    logits: &[T],
    labels: &[u32],
) -> T {
    require(logits.len() == rows * columns && labels.len() == rows);
    // Rows are added in order within a piece, and then the pieces: both fixed by the shape.
    let piece = rows_per_task(columns).max(rows.div_ceil(PIECES));
    let pieces = rows.div_ceil(piece);
    let sum = |index: usize| {
        let (start, end) = (index * piece, rows.min((index + 1) * piece));
        let x = Some(&logits[start * columns..end * columns]);
        let goal = Goal::CrossEntropy { labels: &labels[start..end], loss: true, scale: None };
        T::run(cx, Rows { rows: end - start, columns, x, y: &mut [], goal })
    };
    let total = if BASELINE_IS_PLAIN {
        (0..pieces).fold(T::zero(), |total, index| total + sum(index))
    } else {
        let mut sums = [T::zero(); PIECES];
        for_each_chunk(cx, &mut sums[..pieces], 1, |index, place| place[0] = sum(index));
        sums[..pieces].iter().fold(T::zero(), |a, b| a + *b)
    };
    total / T::from_f64(rows as f64)
}

/// The gradient of [`cross_entropy`] by the logits: (softmax − one-hot) · dloss / rows. The row of a label that is no
/// column is NaN.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn cross_entropy_backward<T: Element>(
    cx: &Context<'_>,
    rows: usize,
    columns: usize,
    logits: &[T],
    labels: &[u32],
    dloss: T,
    out: &mut [T],
) {
    require(logits.len() == rows * columns && labels.len() == rows && out.len() == logits.len());
    let scale = dloss / T::from_f64(rows as f64);
    let rows_per_task = rows_per_task(columns);
    for_each_chunk(cx, out, any_cut(rows_per_task * columns), |index, out| {
        let (start, rows) = (index * rows_per_task, out.len() / columns);
        let x = Some(&logits[start * columns..][..out.len()]);
        let labels = &labels[start..][..rows];
        let goal = Goal::CrossEntropy { labels, loss: false, scale: Some(scale) };
        T::run(cx, Rows { rows, columns, x, y: out, goal });
    });
}

/// [`cross_entropy`] and [`cross_entropy_backward`] at once, with the same bits: the exponentials are computed once. Returns
/// the loss and writes its gradient by the logits, times `dloss`.
pub fn cross_entropy_with_gradient<T: Element>(
    cx: &Context<'_>,
    rows: usize,
    columns: usize,
    logits: &[T],
    labels: &[u32],
    dloss: T,
    out: &mut [T],
) -> T {
    require(logits.len() == rows * columns && labels.len() == rows && out.len() == logits.len());
    let scale = dloss / T::from_f64(rows as f64);
    // The pieces of `cross_entropy`, one after the other: for the small batches that this is for.
    let piece = rows_per_task(columns).max(rows.div_ceil(PIECES));
    let mut total = T::zero();
    for first in (0..rows).step_by(piece) {
        let end = rows.min(first + piece);
        let x = Some(&logits[first * columns..end * columns]);
        let y = &mut out[first * columns..end * columns];
        let goal = Goal::CrossEntropy { labels: &labels[first..end], loss: true, scale: Some(scale) };
        total += T::run(cx, Rows { rows: end - first, columns, x, y, goal });
    }
    total / T::from_f64(rows as f64)
}
