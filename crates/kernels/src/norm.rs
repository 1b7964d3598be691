//! Normalisation with statistics per channel, and its gradient.
//!
//! With inner > 1 a vector holds elements of one channel, with inner = 1 it holds one element of each of eight channels.

mod layer;

pub use layer::{RowStatistics, layer_norm, layer_norm_backward_affine, layer_norm_backward_input};

use crate::elementwise::Span;
use crate::gemm::{load, store};
use crate::parallel::{GRAIN, Parts, for_each_task};
use crate::require;
use crate::rows::fold;
use crate::simd::{BASELINE_IS_PLAIN, Element, LANES, Simd, SimdOp, Vector, run};
use bantam_core::Context;
use core::ops::Range;

/// The shape [batch, channels, inner] of what is normalised; statistics are per channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NormShape {
    /// Number of samples.
    pub batch: usize,
    /// Number of channels.
    pub channels: usize,
    /// Elements per sample and channel: 1 after a linear layer, height · width after a convolution.
    pub inner: usize,
}

impl NormShape {
    /// Elements of the input.
    #[allow(clippy::len_without_is_empty, reason = "a shape, not a container")]
    pub fn len(&self) -> usize {
        self.batch * self.channels * self.inner
    }

    /// Elements that lie together and belong to one channel, or to all channels in turn if `inner` is 1.
    fn line(&self) -> usize {
        if self.inner == 1 { self.channels } else { self.inner }
    }

    /// Channels per task: of eight, so that with inner = 1 tasks share no vector.
    fn channels_per_task(&self) -> usize {
        (GRAIN / (self.batch * self.inner).max(1)).max(1).next_multiple_of(LANES)
    }
}

/// What is summed over each channel.
trait Term<T: Element>: Copy + Sync {
    /// Whether dy counts.
    const PAIR: bool = false;
    /// Adds a term to each of two sums, from elements of x and dy and the channel's mean and rstd.
    fn add<S: Simd>(self, sums: [T::Vector<S>; 2], values: [T::Vector<S>; 4]) -> [T::Vector<S>; 2];
}

/// Σ x.
#[derive(Clone, Copy)]
struct Value;

impl<T: Element> Term<T> for Value {
    #[inline(always)]
    fn add<S: Simd>(self, [sum, unused]: [T::Vector<S>; 2], [x, ..]: [T::Vector<S>; 4]) -> [T::Vector<S>; 2] {
        [sum + x, unused]
    }
}

/// Σ (x − mean)².
#[derive(Clone, Copy)]
struct Deviation;

impl<T: Element> Term<T> for Deviation {
    #[inline(always)]
    fn add<S: Simd>(
        self,
        [sum, unused]: [T::Vector<S>; 2],
        [x, _, mean, _]: [T::Vector<S>; 4],
    ) -> [T::Vector<S>; 2] {
        let deviation = x - mean;
        [deviation.mul_add(deviation, sum), unused]
    }
}

/// Σ dy and Σ dy·x̂.
#[derive(Clone, Copy)]
struct Gradient;

impl<T: Element> Term<T> for Gradient {
    const PAIR: bool = true;

    #[inline(always)]
    fn add<S: Simd>(
        self,
        [sum, weighted]: [T::Vector<S>; 2],
        [x, dy, mean, rstd]: [T::Vector<S>; 4],
    ) -> [T::Vector<S>; 2] {
        [sum + dy, dy.mul_add((x - mean) * rstd, weighted)]
    }
}

/// The two sums of a [`Term`] over some channels.
struct Sums<'a, 'b, T, F> {
    shape: NormShape,
    term: F,
    x: &'a [T],
    dy: &'a [T],
    /// Mean and rstd of `channels`; empty if the term does not ask.
    parameters: [&'a [T]; 2],
    channels: Range<usize>,
    /// Of `channels`.
    first: &'b mut [T],
    /// Of `channels`, or empty.
    second: &'b mut [T],
}

impl<T: Element, F: Term<T>> SimdOp for Sums<'_, '_, T, F> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Sums { shape, term, x, dy, parameters, channels, first, second } = self;
        let NormShape { batch, channels: all, inner } = shape;
        let zero = T::Vector::splat(simd, T::zero());
        if inner == 1 {
            // A strip of channels at a time: samples are read in long pieces, and the sums stay close.
            for start in channels.clone().step_by(STRIP * LANES) {
                let strip = start..channels.end.min(start + STRIP * LANES);
                let mut totals = [[zero; 2]; STRIP];
                for sample in 0..batch {
                    let samples = sample * all + strip.start..sample * all + strip.end;
                    let (x, dy) = (&x[samples.clone()], &dy[samples]);
                    for (i, (x, dy)) in x.chunks(LANES).zip(dy.chunks(LANES)).enumerate() {
                        let at = strip.start - channels.start + i * LANES;
                        let eight = at..at + x.len();
                        let mean = parameters[0].get(eight.clone()).unwrap_or(&[]);
                        let rstd = parameters[1].get(eight).unwrap_or(&[]);
                        let values = [load(simd, x), load(simd, dy), load(simd, mean), load(simd, rstd)];
                        totals[i] = term.add(totals[i], values);
                    }
                }
                for (i, [total, other]) in totals.into_iter().take(strip.len().div_ceil(LANES)).enumerate() {
                    let at = strip.start - channels.start + i * LANES;
                    let at = at..channels.len().min(at + LANES);
                    store(total, &mut first[at.clone()]);
                    if let Some(second) = second.get_mut(at) {
                        store(other, second);
                    }
                }
            }
            return;
        }
        let parameters = |i: usize| parameters.map(|from| from.get(i).copied().unwrap_or(T::zero()));
        let line = |sample: usize, channel: usize| {
            let from = (sample * all + channel) * inner;
            [&x[from..from + inner], &dy[from..from + inner]]
        };
        // Of channels with few elements, eight are added up side by side.
        let side_by_side = simd.single().is_none() && batch * inner <= FEW;
        let eights = if side_by_side { channels.len() - channels.len() % LANES } else { 0 };
        for start in (0..eights).step_by(LANES) {
            let mut eight = [[T::zero(); LANES]; 2];
            for (i, at) in (start..start + LANES).enumerate() {
                [eight[0][i], eight[1][i]] = parameters(at);
            }
            let mut totals = [zero; 2];
            for sample in 0..batch {
                let from = (sample * all + channels.start + start) * inner;
                let lines = [x, dy].map(|of| &of[from..from + LANES * inner]);
                let lanes = sums_of_eight(simd, term, lines, &eight);
                for (total, lanes) in totals.iter_mut().zip(lanes).take(if F::PAIR { 2 } else { 1 }) {
                    let lanes = T::Vector::transpose(simd, lanes);
                    *total = *total + fold::<T, S>(&lanes, zero, |a, b| a + b);
                }
            }
            store(totals[0], &mut first[start..start + LANES]);
            if let Some(second) = second.get_mut(start..start + LANES) {
                store(totals[1], second);
            }
        }
        for (i, first) in first.iter_mut().enumerate().skip(eights) {
            let mut totals = [T::zero(); 2];
            for sample in 0..batch {
                // The next sample lies in other pages.
                let next = if F::PAIR { all * inner } else { 0 };
                let sums = sums(simd, term, line(sample, channels.start + i), parameters(i), next);
                totals[0] += sums[0].tree(|a, b| a + b);
                totals[1] += sums[1].tree(|a, b| a + b);
            }
            *first = totals[0];
            if let Some(second) = second.get_mut(i) {
                *second = totals[1];
            }
        }
    }
}

/// The two sums over elements of one channel in eight lanes, from x and dy and the channel's mean and rstd. What lies `next` elements
/// further is asked for, if that is not 0.
#[inline(always)]
fn sums<T: Element, S: Simd, F: Term<T>>(
    simd: S,
    term: F,
    [x, dy]: [&[T]; 2],
    parameters: [T; 2],
    next: usize,
) -> [T::Vector<S>; 2] {
    let [mean, rstd] = parameters.map(|parameter| T::Vector::splat(simd, parameter));
    let ((x, x_tail), (dy, dy_tail)) = (x.as_chunks::<LANES>(), dy.as_chunks::<LANES>());
    let mut sums = [T::Vector::splat(simd, T::zero()); 2];
    for (x, dy) in x.iter().zip(dy) {
        if next > 0 {
            simd.prefetch(x.as_ptr().wrapping_add(next));
            simd.prefetch(dy.as_ptr().wrapping_add(next));
        }
        sums = term.add(sums, [T::Vector::load(simd, x), T::Vector::load(simd, dy), mean, rstd]);
    }
    if !x_tail.is_empty() {
        // Beyond the end x is its mean and dy is 0: they add nothing.
        let x = T::Vector::load_partial(simd, x_tail, parameters[0]);
        sums = term.add(sums, [x, load(simd, dy_tail), mean, rstd]);
    }
    sums
}

/// The same for eight channels whose elements lie one after the other: all go on together, a vector of each at a time, because each
/// alone is too short for a loop of its own.
#[inline(always)]
fn sums_of_eight<T: Element, S: Simd, F: Term<T>>(
    simd: S,
    term: F,
    [x, dy]: [&[T]; 2],
    parameters: &[[T; LANES]; 2],
) -> [[T::Vector<S>; LANES]; 2] {
    let len = x.len() / LANES;
    require(dy.len() == x.len());
    let whole = len - len % LANES;
    let mut lanes = [[T::Vector::splat(simd, T::zero()); LANES]; 2];
    let [means, rstds] = parameters.map(|of| of.map(|parameter| T::Vector::splat(simd, parameter)));
    for at in (0..whole).step_by(LANES) {
        for i in 0..LANES {
            // SAFETY: the channel has eight elements there, and all channels lie in both.
            let [x, dy] = unsafe { [x, dy].map(|of| T::Vector::read(simd, of.as_ptr().add(i * len + at))) };
            let sums = term.add([lanes[0][i], lanes[1][i]], [x, dy, means[i], rstds[i]]);
            [lanes[0][i], lanes[1][i]] = sums;
        }
    }
    if whole < len {
        for i in 0..LANES {
            let tail = i * len + whole..(i + 1) * len;
            // Beyond the end x is its mean and dy is 0: they add nothing.
            let x = T::Vector::load_partial(simd, &x[tail.clone()], parameters[0][i]);
            let sums = term.add([lanes[0][i], lanes[1][i]], [x, load(simd, &dy[tail]), means[i], rstds[i]]);
            [lanes[0][i], lanes[1][i]] = sums;
        }
    }
    lanes
}

/// Vectors of channels that are summed together if `inner` is 1.
const STRIP: usize = 16;

/// The most elements of a channel, of all samples, of which eight channels are summed side by side: they lie in a first-level cache.
const FEW: usize = 512;

/// Mean and biased variance (divided by the count) of each channel, in two passes.
///
/// Of each sample the elements of a channel are added in eight lanes, and the samples in order.
pub fn norm_statistics<T: Element>(
    cx: &Context<'_>,
    shape: &NormShape,
    x: &[T],
    mean: &mut [T],
    variance: &mut [T],
) {
    require(x.len() == shape.len() && mean.len() == shape.channels && variance.len() == shape.channels);
    let chunk = shape.channels_per_task();
    // Between the two passes a channel stays in the cache; where channels are lanes, some go together.
    let together = match shape.inner {
        1 => chunk,
        inner if !BASELINE_IS_PLAIN && shape.batch * inner <= FEW => LANES,
        _ => 1,
    };
    let (mean, variance) = (Parts::new(mean), Parts::new(variance));
    for_each_task(cx, shape.channels.div_ceil(chunk), |task| {
        let end = shape.channels.min((task + 1) * chunk);
        let channels = task * chunk..end;
        // SAFETY: tasks have different channels.
        let [mean, variance] =
            unsafe { [&mean, &variance].map(|of| of.range(channels.start, channels.len())) };
        run(cx, Statistics { shape: *shape, x, channels, together, mean, variance });
    });
}

/// Mean and variance of some channels.
struct Statistics<'a, 'b, T> {
    shape: NormShape,
    x: &'a [T],
    channels: Range<usize>,
    /// Of how many channels both are computed at a time.
    together: usize,
    /// Of `channels`.
    mean: &'b mut [T],
    /// Of `channels`.
    variance: &'b mut [T],
}

impl<T: Element> SimdOp for Statistics<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Statistics { shape, x, channels, together, mean, variance } = self;
        let count = T::from_f64((shape.batch * shape.inner) as f64);
        let starts = channels.clone().step_by(together);
        for (start, (mean, variance)) in
            starts.zip(mean.chunks_mut(together).zip(variance.chunks_mut(together)))
        {
            let channels = start..start + mean.len();
            let (parameters, first) = ([&[][..]; 2], &mut *mean);
            let values = Sums {
                shape,
                term: Value,
                x,
                dy: x,
                parameters,
                channels: channels.clone(),
                first,
                second: &mut [],
            };
            values.eval(simd);
            mean.iter_mut().for_each(|mean| *mean /= count);
            let (parameters, first) = ([&*mean, &[]], &mut *variance);
            let term = Deviation;
            Sums { shape, term, x, dy: x, parameters, channels, first, second: &mut [] }.eval(simd);
            variance.iter_mut().for_each(|variance| *variance /= count);
        }
    }
}

/// y = (x − mean) · (rstd · gamma) + beta, channel by channel, and no less than 0 if `relu`; `rstd` is 1 / √(variance + ε).
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn norm_apply<T: Element>(
    cx: &Context<'_>,
    shape: &NormShape,
    x: &[T],
    mean: &[T],
    rstd: &[T],
    gamma: &[T],
    beta: &[T],
    relu: bool,
    y: &mut [T],
) {
    require(x.len() == shape.len() && y.len() == x.len());
    require([mean, rstd, gamma, beta].iter().all(|p| p.len() == shape.channels));
    lines(cx, shape, Apply { relu }, x, [mean, rstd, gamma, beta, beta, beta], Span::Separate(x, y));
}

/// The gradients of gain and shift, with x̂ = (x − mean) · rstd: dgamma = Σ dy·x̂ and dbeta = Σ dy over each channel. The
/// gradient of the input needs both sums too.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn norm_backward_affine<T: Element>(
    cx: &Context<'_>,
    shape: &NormShape,
    x: &[T],
    mean: &[T],
    rstd: &[T],
    dy: &[T],
    dgamma: &mut [T],
    dbeta: &mut [T],
) {
    require(x.len() == shape.len() && dy.len() == x.len());
    require([mean, rstd, &*dgamma, &*dbeta].iter().all(|p| p.len() == shape.channels));
    let chunk = shape.channels_per_task();
    let (dbeta, dgamma) = (Parts::new(dbeta), Parts::new(dgamma));
    for_each_task(cx, shape.channels.div_ceil(chunk), |task| {
        let channels = task * chunk..shape.channels.min((task + 1) * chunk);
        let parameters = [&mean[channels.clone()], &rstd[channels.clone()]];
        // SAFETY: tasks have different channels.
        let (first, second) = unsafe {
            (dbeta.range(channels.start, channels.len()), dgamma.range(channels.start, channels.len()))
        };
        run(cx, Sums { shape: *shape, term: Gradient, x, dy, parameters, channels, first, second });
    });
}

/// The gradient of the input through statistics and normalisation together, with n elements per channel:
/// dx = gamma · rstd · (dy − dbeta / n − x̂ · dgamma / n) (Ioffe and Szegedy, 2015), from the sums that
/// [`norm_backward_affine`] gives. From dy to dx, which may be where dy was.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn norm_backward_input<T: Element>(
    cx: &Context<'_>,
    shape: &NormShape,
    x: &[T],
    mean: &[T],
    rstd: &[T],
    gamma: &[T],
    dgamma: &[T],
    dbeta: &[T],
    dy_to_dx: Span<'_, T>,
) {
    require(x.len() == shape.len() && dy_to_dx.len() == x.len());
    require([mean, rstd, gamma, dgamma, dbeta].iter().all(|p| p.len() == shape.channels));
    let count = T::from_f64((shape.batch * shape.inner) as f64);
    let parameters = [mean, rstd, gamma, gamma, dbeta, dgamma];
    lines(cx, shape, InputGradient(T::one() / count), x, parameters, dy_to_dx);
}

/// A function of two elements and up to six parameters of their channel.
trait LineFn<T: Element>: Copy + Sync {
    fn apply<S: Simd>(
        self,
        simd: S,
        x: T::Vector<S>,
        other: T::Vector<S>,
        parameters: [T::Vector<S>; 6],
    ) -> T::Vector<S>;
}

#[derive(Clone, Copy)]
struct Apply {
    relu: bool,
}

impl<T: Element> LineFn<T> for Apply {
    #[inline(always)]
    fn apply<S: Simd>(
        self,
        simd: S,
        x: T::Vector<S>,
        _: T::Vector<S>,
        [mean, rstd, gamma, beta, ..]: [T::Vector<S>; 6],
    ) -> T::Vector<S> {
        let y = (x - mean).mul_add(rstd * gamma, beta);
        if self.relu { T::Vector::splat(simd, T::zero()).max(y) } else { y }
    }
}

/// With 1 / n.
#[derive(Clone, Copy)]
struct InputGradient<T>(T);

impl<T: Element> LineFn<T> for InputGradient<T> {
    #[inline(always)]
    fn apply<S: Simd>(
        self,
        simd: S,
        x: T::Vector<S>,
        dy: T::Vector<S>,
        [mean, rstd, gamma, _, dbeta, dgamma]: [T::Vector<S>; 6],
    ) -> T::Vector<S> {
        let share = T::Vector::splat(simd, self.0);
        let normal = (x - mean) * rstd;
        (gamma * rstd) * (dy - dbeta * share - normal * (dgamma * share))
    }
}

/// out = f(x, other, parameters of the channel), from other to out.
fn lines<T: Element>(
    cx: &Context<'_>,
    shape: &NormShape,
    f: impl LineFn<T>,
    x: &[T],
    parameters: [&[T]; 6],
    span: Span<'_, T>,
) {
    let line = shape.line().max(1);
    let chunk = (GRAIN / line).max(1);
    span.for_each_chunk(cx, chunk * line, |task, mut span| {
        let x = &x[task * chunk * line..][..span.len()];
        let (other, out) = span.pointers();
        run(cx, Lines { shape: *shape, f, first: task * chunk, x, other, parameters, out });
    });
}

struct Lines<'a, T, F> {
    shape: NormShape,
    f: F,
    /// The number of the first line.
    first: usize,
    x: &'a [T],
    /// As many elements as x, to read.
    other: *const T,
    parameters: [&'a [T]; 6],
    /// As many, to write: where `other` is or apart.
    out: *mut T,
}

impl<T: Element, F: LineFn<T>> SimdOp for Lines<'_, T, F> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Lines { shape, f, first, x, other, parameters, out } = self;
        let line = shape.line().max(1);
        for (i, x) in x.chunks_exact(line).enumerate() {
            let (other, out) = (other.wrapping_add(i * line), out.wrapping_add(i * line));
            let channel = (first + i) % shape.channels;
            let mut constants = [T::Vector::splat(simd, T::zero()); 6];
            for (constant, from) in constants.iter_mut().zip(parameters) {
                *constant = T::Vector::splat(simd, from[channel]);
            }
            for v in (0..line).step_by(LANES) {
                if shape.inner == 1 {
                    for (constant, from) in constants.iter_mut().zip(parameters) {
                        *constant = load(simd, &from[v..line.min(v + LANES)]);
                    }
                }
                // SAFETY: `other` and `out` have the elements of x.
                unsafe {
                    if v + LANES <= line {
                        let values =
                            [x.as_ptr().add(v), other.add(v)].map(|from| T::Vector::read(simd, from));
                        f.apply(simd, values[0], values[1], constants).write(out.add(v));
                    } else {
                        let old = load(simd, core::slice::from_raw_parts(other.add(v), line - v));
                        let new = f.apply(simd, load(simd, &x[v..]), old, constants);
                        store(new, core::slice::from_raw_parts_mut(out.add(v), line - v));
                    }
                }
            }
        }
    }
}
