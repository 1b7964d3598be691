//! Normalisation of rows by their own statistics, with a gain and a shift for each column, and its gradients.
//!
//! Eight rows at a time, so that the lanes of their sums are joined side by side.

use super::STRIP;
use crate::elementwise::Span;
use crate::gemm::{load, store};
use crate::parallel::{GRAIN, Parts, for_each_chunk, for_each_task};
use crate::require;
use crate::rows::fold;
use crate::simd::{Element, LANES, Simd, SimdOp, Vector, run};
use bantam_core::Context;

/// The statistics of rows, as [`norm_statistics`](super::norm_statistics) gives them for one sample with rows as channels.
#[derive(Clone, Copy, Debug)]
pub struct RowStatistics<'a, T> {
    /// The mean of each row.
    pub mean: &'a [T],
    /// The biased variance of each row.
    pub variance: &'a [T],
    /// What keeps the root of the variance away from 0.
    pub epsilon: T,
}

impl<'a, T: Element> RowStatistics<'a, T> {
    fn rows(&self, start: usize, len: usize) -> Self {
        let RowStatistics { mean, variance, epsilon } = *self;
        RowStatistics { mean: &mean[start..][..len], variance: &variance[start..][..len], epsilon }
    }

    /// Checks that `len` elements are rows of `width`, and of all that there are statistics.
    fn check(&self, len: usize, width: usize) {
        let rows = self.mean.len();
        require(self.variance.len() == rows && rows.checked_mul(width) == Some(len));
    }

    /// The mean and 1 / √(variance + ε) of up to eight rows from `first` on; other lanes hold anything.
    #[inline(always)]
    fn eight<S: Simd>(&self, simd: S, first: usize) -> [[T; LANES]; 2] {
        let eight = first..self.mean.len().min(first + LANES);
        let variance: T::Vector<S> = load(simd, &self.variance[eight.clone()]);
        let deviation = (variance + T::Vector::splat(simd, self.epsilon)).sqrt();
        [load::<T, S>(simd, &self.mean[eight]), T::Vector::splat(simd, T::one()) / deviation]
            .map(Vector::to_array)
    }
}

/// Rows per task: whole eights.
fn rows_per_task(width: usize) -> usize {
    (GRAIN / width.max(1)).max(1).next_multiple_of(LANES)
}

/// y = (x − mean) · rstd · gain + shift, row by row; rstd is 1 / √(variance + ε).
pub fn layer_norm<T: Element>(
    cx: &Context<'_>,
    statistics: RowStatistics<'_, T>,
    x: &[T],
    gain: &[T],
    shift: &[T],
    y: &mut [T],
) {
    let width = gain.len();
    statistics.check(x.len(), width);
    require(shift.len() == width && y.len() == x.len());
    let rows = rows_per_task(width);
    for_each_chunk(cx, y, rows * width, |task, y| {
        let x = &x[task * rows * width..][..y.len()];
        let statistics = statistics.rows(task * rows, y.len() / width);
        run(cx, Apply { statistics, x, gain, shift, y });
    });
}

struct Apply<'a, 'b, T> {
    statistics: RowStatistics<'a, T>,
    x: &'a [T],
    gain: &'a [T],
    shift: &'a [T],
    y: &'b mut [T],
}

impl<T: Element> SimdOp for Apply<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Apply { statistics, x, gain, shift, y } = self;
        let eight = LANES * gain.len();
        for (i, (x, y)) in x.chunks(eight).zip(y.chunks_mut(eight)).enumerate() {
            let [mean, rstd] = statistics.eight(simd, i * LANES);
            let rows = x.chunks_exact(gain.len()).zip(y.chunks_exact_mut(gain.len()));
            for (i, (x, y)) in rows.enumerate() {
                let [mean, rstd] = [mean[i], rstd[i]].map(|value| T::Vector::splat(simd, value));
                let [(x, x_tail), (gain, gain_tail), (shift, shift_tail)] =
                    [x, gain, shift].map(<[T]>::as_chunks::<LANES>);
                let (y, y_tail) = y.as_chunks_mut::<LANES>();
                for (((x, y), gain), shift) in x.iter().zip(y).zip(gain).zip(shift) {
                    let normal = (T::Vector::load(simd, x) - mean) * rstd;
                    normal.mul_add(T::Vector::load(simd, gain), T::Vector::load(simd, shift)).store(y);
                }
                if !x_tail.is_empty() {
                    let [x, gain, shift] =
                        [x_tail, gain_tail, shift_tail].map(|tail| load::<T, S>(simd, tail));
                    store(((x - mean) * rstd).mul_add(gain, shift), y_tail);
                }
            }
        }
    }
}

/// The gradients of gain and shift, with x̂ = (x − mean) · rstd: dgain = Σ dy·x̂ and dshift = Σ dy over the rows, in their order.
pub fn layer_norm_backward_affine<T: Element>(
    cx: &Context<'_>,
    statistics: RowStatistics<'_, T>,
    x: &[T],
    dy: &[T],
    dgain: &mut [T],
    dshift: &mut [T],
) {
    let width = dgain.len();
    statistics.check(x.len(), width);
    require(dshift.len() == width && dy.len() == x.len());
    // Columns are independent: a task takes some of them.
    let chunk = (GRAIN / statistics.mean.len().max(1)).next_multiple_of(STRIP * LANES);
    let (dgain, dshift) = (Parts::new(dgain), Parts::new(dshift));
    for_each_task(cx, width.div_ceil(chunk), |task| {
        let column = task * chunk;
        let len = chunk.min(width - column);
        // SAFETY: tasks have different columns.
        let [dgain, dshift] = unsafe { [dgain.range(column, len), dshift.range(column, len)] };
        run(cx, AffineGradient { statistics, width, column, x, dy, dgain, dshift });
    });
}

/// Of some columns.
struct AffineGradient<'a, 'b, T> {
    statistics: RowStatistics<'a, T>,
    width: usize,
    /// The first one.
    column: usize,
    x: &'a [T],
    dy: &'a [T],
    dgain: &'b mut [T],
    dshift: &'b mut [T],
}

impl<T: Element> SimdOp for AffineGradient<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let AffineGradient { statistics, width, column, x, dy, dgain, dshift } = self;
        // A strip of columns at a time: rows are read in long pieces, and the sums stay close.
        let strips = dgain.chunks_mut(STRIP * LANES).zip(dshift.chunks_mut(STRIP * LANES));
        for (i, (dgain, dshift)) in strips.enumerate() {
            let start = column + i * STRIP * LANES;
            let mut totals = [[T::Vector::splat(simd, T::zero()); 2]; STRIP];
            for (first, (x, dy)) in x.chunks(LANES * width).zip(dy.chunks(LANES * width)).enumerate() {
                let [mean, rstd] = statistics.eight(simd, first * LANES);
                for (i, (x, dy)) in x.chunks_exact(width).zip(dy.chunks_exact(width)).enumerate() {
                    let [mean, rstd] = [mean[i], rstd[i]].map(|value| T::Vector::splat(simd, value));
                    let [x, dy] = [x, dy].map(|line| line[start..][..dgain.len()].chunks(LANES));
                    for ([gain, shift], (x, dy)) in totals.iter_mut().zip(x.zip(dy)) {
                        let dy: T::Vector<S> = load(simd, dy);
                        *gain = dy.mul_add((load::<T, S>(simd, x) - mean) * rstd, *gain);
                        *shift = *shift + dy;
                    }
                }
            }
            let columns = dgain.chunks_mut(LANES).zip(dshift.chunks_mut(LANES));
            for ([gain, shift], (dgain, dshift)) in totals.into_iter().zip(columns) {
                store(gain, dgain);
                store(shift, dshift);
            }
        }
    }
}

/// The gradient of the input through statistics and normalisation together, with n columns and g = dy·gain:
/// dx = rstd · (g − Σ g / n − x̂ · Σ g·x̂ / n). From dy to dx, which may be where dy was; or added to what is in dx, which then
/// is apart.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn layer_norm_backward_input<T: Element>(
    cx: &Context<'_>,
    statistics: RowStatistics<'_, T>,
    x: &[T],
    gain: &[T],
    dy_to_dx: Span<'_, T>,
    accumulate: bool,
) {
    let width = gain.len();
    statistics.check(x.len(), width);
    require(dy_to_dx.len() == x.len());
    let rows = rows_per_task(width);
    dy_to_dx.for_each_chunk(cx, rows * width, |task, mut span| {
        let x = &x[task * rows * width..][..span.len()];
        let statistics = statistics.rows(task * rows, span.len() / width.max(1));
        let (dy, dx) = span.pointers();
        run(cx, InputGradient { statistics, x, gain, dy, dx, accumulate });
    });
}

struct InputGradient<'a, T> {
    statistics: RowStatistics<'a, T>,
    x: &'a [T],
    gain: &'a [T],
    /// As many elements as x, to read.
    dy: *const T,
    /// As many, to write: where `dy` is or apart.
    dx: *mut T,
    accumulate: bool,
}

impl<T: Element> SimdOp for InputGradient<'_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let InputGradient { statistics, x, gain, dy, dx, accumulate } = self;
        let width = gain.len();
        let zero = T::Vector::splat(simd, T::zero());
        let share = T::Vector::splat(simd, T::one() / T::from_f64(width as f64));
        for (first, x) in x.chunks(LANES * width).enumerate() {
            let (dy, dx) = (dy.wrapping_add(first * LANES * width), dx.wrapping_add(first * LANES * width));
            let [mean, rstd] = statistics.eight(simd, first * LANES);
            // Lanes of Σ g and Σ g·x̂, of each row.
            let mut lanes = [[zero; LANES]; 2];
            for (i, x) in x.chunks_exact(width).enumerate() {
                let [mean, rstd] = [mean[i], rstd[i]].map(|value| T::Vector::splat(simd, value));
                // SAFETY: `dy` has the elements of x, and nobody writes them meanwhile.
                let dy = unsafe { core::slice::from_raw_parts(dy.add(i * width), width) };
                let [(x, x_tail), (dy, dy_tail), (gain, gain_tail)] =
                    [x, dy, gain].map(<[T]>::as_chunks::<LANES>);
                let mut sums = [zero; 2];
                for ((x, dy), gain) in x.iter().zip(dy).zip(gain) {
                    let g = T::Vector::load(simd, dy) * T::Vector::load(simd, gain);
                    let normal = (T::Vector::load(simd, x) - mean) * rstd;
                    sums = [sums[0] + g, g.mul_add(normal, sums[1])];
                }
                if !x_tail.is_empty() {
                    // Beyond the end g is 0: it adds nothing.
                    let [x, dy, gain] = [x_tail, dy_tail, gain_tail].map(|tail| load::<T, S>(simd, tail));
                    let g = dy * gain;
                    sums = [sums[0] + g, g.mul_add((x - mean) * rstd, sums[1])];
                }
                [lanes[0][i], lanes[1][i]] = sums;
            }
            let mut shares = [[T::zero(); LANES]; 2];
            for (shares, lanes) in shares.iter_mut().zip(lanes) {
                let sums = fold::<T, S>(&T::Vector::transpose(simd, lanes), zero, |a, b| a + b);
                *shares = (sums * share).to_array();
            }
            for (i, x) in x.chunks_exact(width).enumerate() {
                let [mean, rstd, even, sloped] = [mean[i], rstd[i], shares[0][i], -shares[1][i]]
                    .map(|value| T::Vector::splat(simd, value));
                let [(x, x_tail), (gain, gain_tail)] = [x, gain].map(<[T]>::as_chunks::<LANES>);
                let (mut dy, mut dx) = (dy.wrapping_add(i * width), dx.wrapping_add(i * width));
                for (x, gain) in x.iter().zip(gain) {
                    let normal = (T::Vector::load(simd, x) - mean) * rstd;
                    // SAFETY: `dy` and `dx` have the elements of x, and they are read before they are written.
                    unsafe {
                        let g = T::Vector::read(simd, dy) * T::Vector::load(simd, gain);
                        let new = normal.mul_add(sloped, g - even) * rstd;
                        let new = if accumulate { T::Vector::read(simd, dx) + new } else { new };
                        new.write(dx);
                    }
                    (dy, dx) = (dy.wrapping_add(LANES), dx.wrapping_add(LANES));
                }
                if !x_tail.is_empty() {
                    let (x, gain) = (load::<T, S>(simd, x_tail), load::<T, S>(simd, gain_tail));
                    // SAFETY: as above, for as many elements as x has here; what is borrowed is read before it is written.
                    let dy = load::<T, S>(simd, unsafe { core::slice::from_raw_parts(dy, x_tail.len()) });
                    let new = ((x - mean) * rstd).mul_add(sloped, dy * gain - even) * rstd;
                    // SAFETY: as above.
                    let dx = unsafe { core::slice::from_raw_parts_mut(dx, x_tail.len()) };
                    store(if accumulate { load::<T, S>(simd, dx) + new } else { new }, dx);
                }
            }
        }
    }
}
