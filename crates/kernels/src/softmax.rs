//! Softmax, log-softmax and cross-entropy over the rows of a matrix, with their gradients.

use crate::elementwise::functions::{AddScalar, Mul, MulScalar};
use crate::elementwise::{MapFn, Span, ZipFn, map_one, map_slice, map_slice_in_place, zip_slices};
use crate::parallel::{GRAIN, for_each_chunk};
use crate::reduce::{Join, Max, Sum, fold_row};
use crate::require;
use crate::rows::{Columns, SHORT, fold, load_rows, store_rows};
use crate::simd::{Element, LANES, Simd, SimdOp, Vector, run};
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
    require(span.len() == rows * columns);
    let chunk = rows_per_task(columns) * columns;
    span.for_each_chunk(cx, chunk, |_, span| run(cx, SoftmaxOp { columns, span, logarithm: false }));
}

/// The logarithm of the softmax of each row: x − max − ln Σ e^(x − max), without the overflow and the lost digits of
/// taking the logarithm afterwards.
pub fn log_softmax<T: Element>(cx: &Context<'_>, rows: usize, columns: usize, span: Span<'_, T>) {
    require(span.len() == rows * columns);
    let chunk = rows_per_task(columns) * columns;
    span.for_each_chunk(cx, chunk, |_, span| run(cx, SoftmaxOp { columns, span, logarithm: true }));
}

struct SoftmaxOp<'a, T> {
    columns: usize,
    span: Span<'a, T>,
    logarithm: bool,
}

impl<T: Element> SimdOp for SoftmaxOp<'_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let SoftmaxOp { columns, span, logarithm } = self;
        if columns == 0 {
            return;
        }
        let short = columns <= SHORT && simd.single().is_none();
        let y = match span {
            Span::Separate(x, y) if !short => {
                for (x, y) in x.chunks_exact(columns).zip(y.chunks_exact_mut(columns)) {
                    y.copy_from_slice(x);
                    softmax_row(simd, y, logarithm);
                }
                return;
            }
            Span::Separate(x, y) => {
                y.copy_from_slice(x);
                y
            }
            Span::InPlace(y) => y,
        };
        if !short {
            y.chunks_exact_mut(columns).for_each(|y| softmax_row(simd, y, logarithm));
            return;
        }
        let mut block = [T::Vector::splat(simd, T::zero()); SHORT];
        for row in (0..y.len() / columns).step_by(LANES) {
            load_rows(simd, y, columns, row, &mut block);
            if logarithm {
                let (max, sum) = sums_of_exp::<T, S>(simd, &block, columns, None);
                let shift = max + T::ln_lanes(simd, sum);
                for x in &mut block[..columns] {
                    *x = *x - shift;
                }
            } else {
                let mut exponentials = block;
                let (_, sum) = sums_of_exp::<T, S>(simd, &block, columns, Some(&mut exponentials));
                for (x, exponential) in block.iter_mut().zip(exponentials).take(columns) {
                    *x = exponential / sum;
                }
            }
            store_rows(simd, &block, columns, row, y);
        }
    }
}

/// Of eight short rows: the greatest element and Σ e^(x − max); the exponentials too if there is a place for them.
#[inline(always)]
fn sums_of_exp<T: Element, S: Simd>(
    simd: S,
    block: &Columns<T, S>,
    columns: usize,
    to: Option<&mut Columns<T, S>>,
) -> (T::Vector<S>, T::Vector<S>) {
    let start = T::Vector::splat(simd, T::neg_infinity());
    let max = fold::<T, S>(&block[..columns], start, |a, b| Join::<T>::join::<S>(Max, a, b));
    let mut own = [start; SHORT];
    let exponentials = to.unwrap_or(&mut own);
    for (to, x) in exponentials.iter_mut().zip(&block[..columns]) {
        *to = T::exp_lanes(simd, *x - max);
    }
    let zero = T::Vector::splat(simd, T::zero());
    (max, fold::<T, S>(&exponentials[..columns], zero, |a, b| a + b))
}

#[inline(always)]
fn softmax_row<T: Element, S: Simd>(simd: S, row: &mut [T], logarithm: bool) {
    let max = fold_row(simd, row, Max);
    if logarithm {
        let shift = max + ln(simd, sum_of_exp(simd, row, max));
        map_slice_in_place(simd, AddScalar(-shift), row);
    } else {
        map_slice_in_place(simd, ExpOfDifference(max), row);
        let sum = fold_row(simd, row, Sum);
        map_slice_in_place(simd, DivScalar(sum), row);
    }
}

/// e^(x − c).
#[derive(Clone, Copy)]
struct ExpOfDifference<T>(T);

impl<T: Element> MapFn<T> for ExpOfDifference<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        T::exp_lanes(simd, x - T::Vector::splat(simd, self.0))
    }
}

/// x / c.
#[derive(Clone, Copy)]
struct DivScalar<T>(T);

impl<T: Element> MapFn<T> for DivScalar<T> {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S> {
        x / T::Vector::splat(simd, self.0)
    }
}

/// Σ e^(x − max).
#[inline(always)]
fn sum_of_exp<T: Element, S: Simd>(simd: S, row: &[T], max: T) -> T {
    let f = ExpOfDifference(max);
    if let Some(single) = simd.single() {
        let mut lanes = [T::zero(); LANES];
        for (i, x) in row.iter().enumerate() {
            lanes[i % LANES] += map_one(single, f, *x);
        }
        return T::Vector::load(simd, &lanes).tree(|a, b| a + b);
    }
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
    match simd.single() {
        Some(single) => T::ln_lanes(single, T::Vector::splat(single, x)).first(),
        None => T::ln_lanes(simd, T::Vector::splat(simd, x)).first(),
    }
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
    let chunk = rows_per_task(columns) * columns;
    for_each_chunk(cx, out, chunk, |index, out| {
        let start = index * chunk;
        let (y, dy) = (&y[start..start + out.len()], &dy[start..start + out.len()]);
        run(cx, BackwardOp { columns, y, dy, out, logarithm });
    });
}

struct BackwardOp<'a, 'b, T> {
    columns: usize,
    y: &'a [T],
    dy: &'a [T],
    out: &'b mut [T],
    logarithm: bool,
}

impl<T: Element> SimdOp for BackwardOp<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let columns = self.columns.max(1);
        let rows = self.y.chunks_exact(columns).zip(self.dy.chunks_exact(columns));
        for ((y, dy), out) in rows.zip(self.out.chunks_exact_mut(columns)) {
            if self.logarithm {
                zip_slices(simd, LogSoftmaxGrad(fold_row(simd, dy, Sum)), y, dy, out);
            } else {
                zip_slices(simd, Mul, y, dy, out);
                zip_slices(simd, SoftmaxGrad(fold_row(simd, out, Sum)), y, dy, out);
            }
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
    let mut sums = [T::zero(); PIECES];
    let sums = &mut sums[..rows.div_ceil(piece)];
    for_each_chunk(cx, sums, 1, |index, sum| {
        let (start, end) = (index * piece, rows.min((index + 1) * piece));
        let logits = &logits[start * columns..end * columns];
        sum[0] = run(cx, CrossEntropyOp { columns, logits, labels: &labels[start..end] });
    });
    let total = sums.iter().fold(T::zero(), |a, b| a + *b);
    total / T::from_f64(rows as f64)
}

struct CrossEntropyOp<'a, T> {
    columns: usize,
    logits: &'a [T],
    labels: &'a [u32],
}

impl<T: Element> SimdOp for CrossEntropyOp<'_, T> {
    const FUSES: bool = true;
    type Output = T;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> T {
        let mut total = T::zero();
        if (1..=SHORT).contains(&self.columns) && simd.single().is_none() {
            let mut block = [T::Vector::splat(simd, T::zero()); SHORT];
            for (i, labels) in self.labels.chunks(LANES).enumerate() {
                load_rows(simd, self.logits, self.columns, i * LANES, &mut block);
                let (max, sum) = sums_of_exp::<T, S>(simd, &block, self.columns, None);
                let (max, logarithm) = (max.to_array(), T::ln_lanes(simd, sum).to_array());
                for (lane, &label) in labels.iter().enumerate() {
                    let logits = &self.logits[(i * LANES + lane) * self.columns..][..self.columns];
                    let loss = |&x: &T| (max[lane] - x) + logarithm[lane];
                    total += logits.get(label as usize).map_or(T::nan(), loss);
                }
            }
            return total;
        }
        for (row, &label) in self.labels.iter().enumerate() {
            let logits = &self.logits[row * self.columns..][..self.columns];
            let max = fold_row(simd, logits, Max);
            let logarithm = ln(simd, sum_of_exp(simd, logits, max));
            // (max − x) first: both are large where the logits are, and their difference is exact or nearly so.
            total += logits.get(label as usize).map_or(T::nan(), |&x| (max - x) + logarithm);
        }
        total
    }
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
    for_each_chunk(cx, out, rows_per_task * columns, |index, out| {
        let start = index * rows_per_task;
        let logits = &logits[start * columns..][..out.len()];
        let labels = &labels[start..][..out.len() / columns];
        run(cx, CrossEntropyBackwardOp { columns, logits, labels, scale, out });
    });
}

struct CrossEntropyBackwardOp<'a, 'b, T> {
    columns: usize,
    logits: &'a [T],
    labels: &'a [u32],
    scale: T,
    out: &'b mut [T],
}

impl<T: Element> SimdOp for CrossEntropyBackwardOp<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let CrossEntropyBackwardOp { columns, logits, labels, scale, out } = self;
        if columns <= SHORT && simd.single().is_none() {
            let mut block = [T::Vector::splat(simd, T::zero()); SHORT];
            for row in (0..labels.len()).step_by(LANES) {
                load_rows(simd, logits, columns, row, &mut block);
                let mut exponentials = block;
                let (_, sum) = sums_of_exp::<T, S>(simd, &block, columns, Some(&mut exponentials));
                let share = T::Vector::splat(simd, scale) / sum;
                for exponential in &mut exponentials[..columns] {
                    *exponential = *exponential * share;
                }
                store_rows(simd, &exponentials, columns, row, out);
            }
            for (out, &label) in out.chunks_exact_mut(columns).zip(labels) {
                match out.get_mut(label as usize) {
                    Some(x) => *x -= scale,
                    None => out.fill(T::nan()),
                }
            }
            return;
        }
        let rows = logits.chunks_exact(columns).zip(out.chunks_exact_mut(columns));
        for ((logits, out), &label) in rows.zip(labels) {
            map_slice(simd, ExpOfDifference(fold_row(simd, logits, Max)), logits, out);
            map_slice_in_place(simd, MulScalar(scale / fold_row(simd, out, Sum)), out);
            match out.get_mut(label as usize) {
                Some(x) => *x -= scale,
                None => out.fill(T::nan()),
            }
        }
    }
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
        let (logits, labels) = (&logits[first * columns..end * columns], &labels[first..end]);
        let out = &mut out[first * columns..end * columns];
        total += run(cx, WithGradientOp { columns, logits, labels, scale, out });
    }
    total / T::from_f64(rows as f64)
}

struct WithGradientOp<'a, 'b, T> {
    columns: usize,
    logits: &'a [T],
    labels: &'a [u32],
    scale: T,
    out: &'b mut [T],
}

impl<T: Element> SimdOp for WithGradientOp<'_, '_, T> {
    const FUSES: bool = true;
    type Output = T;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> T {
        let WithGradientOp { columns, logits, labels, scale, out } = self;
        let mut total = T::zero();
        let rows = logits.chunks_exact(columns).zip(out.chunks_exact_mut(columns));
        for ((logits, out), &label) in rows.zip(labels) {
            let max = fold_row(simd, logits, Max);
            map_slice(simd, ExpOfDifference(max), logits, out);
            let sum = fold_row(simd, out, Sum);
            map_slice_in_place(simd, MulScalar(scale / sum), out);
            match (out.get_mut(label as usize), logits.get(label as usize)) {
                (Some(out), Some(&x)) => {
                    *out -= scale;
                    total += (max - x) + ln(simd, sum);
                }
                _ => {
                    out.fill(T::nan());
                    total = T::nan();
                }
            }
        }
        total
    }
}
