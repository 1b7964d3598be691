//! Sums, means, extremes and products along one axis, in an order that the shape alone fixes.

use crate::parallel::{GRAIN, Parts, for_each_chunk, for_each_task};
use crate::require;
use crate::rows::{SHORT, fold, load_rows};
use crate::simd::{Element, LANES, Simd, SimdOp, Vector, is_plain, run};
use bantam_core::Context;

/// What a reduction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduce {
    /// The sum; 0 of nothing.
    Sum,
    /// The sum divided by the number of elements; NaN of nothing.
    Mean,
    /// The greatest; NaN if there is one; −∞ of nothing.
    Max,
    /// The least; NaN if there is one; ∞ of nothing.
    Min,
    /// The product; 1 of nothing.
    Product,
}

/// An associative way to join two numbers, and what it starts from.
pub(crate) trait Join<T: Element>: Copy + Sync {
    /// Whether the order makes no difference, not even to the last bit: then several joins can be under way.
    const ANY_ORDER: bool = false;
    fn start(self) -> T;
    fn join<S: Simd>(self, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S>;
    fn join_one(self, a: T, b: T) -> T;
}

#[derive(Clone, Copy)]
pub(crate) struct Sum;
#[derive(Clone, Copy)]
pub(crate) struct Max;
#[derive(Clone, Copy)]
struct Min;
#[derive(Clone, Copy)]
struct Product;

impl<T: Element> Join<T> for Sum {
    fn start(self) -> T {
        T::zero()
    }
    #[inline(always)]
    fn join<S: Simd>(self, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a + b
    }
    #[inline(always)]
    fn join_one(self, a: T, b: T) -> T {
        a + b
    }
}

impl<T: Element> Join<T> for Product {
    fn start(self) -> T {
        T::one()
    }
    #[inline(always)]
    fn join<S: Simd>(self, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a * b
    }
    #[inline(always)]
    fn join_one(self, a: T, b: T) -> T {
        a * b
    }
}

impl<T: Element> Join<T> for Max {
    const ANY_ORDER: bool = true;
    fn start(self) -> T {
        T::neg_infinity()
    }
    #[inline(always)]
    fn join<S: Simd>(self, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a.if_nan(a, a.max(b))
    }
    #[inline(always)]
    fn join_one(self, a: T, b: T) -> T {
        if a > b || a.is_nan() { a } else { b }
    }
}

impl<T: Element> Join<T> for Min {
    const ANY_ORDER: bool = true;
    fn start(self) -> T {
        T::infinity()
    }
    #[inline(always)]
    fn join<S: Simd>(self, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S> {
        a.if_nan(a, a.min(b))
    }
    #[inline(always)]
    fn join_one(self, a: T, b: T) -> T {
        if a < b || a.is_nan() { a } else { b }
    }
}

/// Reduces the middle axis of `x`, shape [outer, n, inner], into `out`, shape [outer, inner]; adds to what `out` holds
/// if `accumulate`.
///
/// The order of the additions depends on the shape alone. With inner = 1, element i goes to lane i mod 8, each lane
/// adds in order, and the lanes are joined by a fixed tree; rows beyond 32768 elements are cut into at most 64 pieces
/// whose results are joined in order. With inner > 1 elements are added in order of the middle axis.
#[allow(clippy::too_many_arguments, reason = "three lengths name the shape; a struct would only rename them")]
// Inlined, so that whoever names one kind brings only that one to a small flash.
#[inline(always)]
pub fn reduce<T: Element>(
    cx: &Context<'_>,
    kind: Reduce,
    outer: usize,
    n: usize,
    inner: usize,
    x: &[T],
    out: &mut [T],
    accumulate: bool,
) {
    require(x.len() == outer * n * inner && out.len() == outer * inner);
    let axis = Axis { n, inner, x, accumulate };
    match kind {
        Reduce::Sum => axis.reduce(cx, Sum, None, out),
        Reduce::Mean => axis.reduce(cx, Sum, Some(T::from_f64(n as f64)), out),
        Reduce::Max => axis.reduce(cx, Max, None, out),
        Reduce::Min => axis.reduce(cx, Min, None, out),
        Reduce::Product => axis.reduce(cx, Product, None, out),
    }
}

/// A reduction's shape and input.
#[derive(Clone, Copy)]
struct Axis<'a, T> {
    n: usize,
    inner: usize,
    x: &'a [T],
    accumulate: bool,
}

impl<T: Element> Axis<'_, T> {
    fn reduce(self, cx: &Context<'_>, join: impl Join<T>, divisor: Option<T>, out: &mut [T]) {
        let Axis { n, inner, x, accumulate } = self;
        let finish = |value: T, out: &mut T| {
            let value = divisor.map_or(value, |divisor| value / divisor);
            *out = if accumulate { *out + value } else { value };
        };
        if inner == 1 && out.len() == 1 {
            finish(
                pieces(cx, n, join, |start, len| run(cx, Row { x: &x[start..start + len], join })),
                &mut out[0],
            );
        } else if inner == 1 {
            // Whole rows per task. A long row is cut as it is when it is alone: the pieces depend on n only.
            let rows = (GRAIN / n.max(1)).max(1);
            if (1..=SHORT).contains(&n) && !is_plain(cx) {
                return for_each_chunk(cx, out, rows, |index, out| {
                    let x = &x[index * rows * n..][..out.len() * n];
                    run(cx, ShortRows { x, n, join, out, finish });
                });
            }
            for_each_chunk(cx, out, rows, |index, out| {
                let inline = Context { executor: &bantam_core::Inline, ..*cx };
                for (i, out) in out.iter_mut().enumerate() {
                    let row = &x[(index * rows + i) * n..][..n];
                    let piece = |start, len| run(cx, Row { x: &row[start..start + len], join });
                    finish(pieces(&inline, n, join, piece), out);
                }
            });
        } else {
            // Columns are independent: a task takes some of them, or some whole outer blocks.
            let width = (GRAIN / n.max(1)).next_multiple_of(STRIP).min(inner);
            let per_outer = inner.div_ceil(width.max(1));
            let outer = out.len().checked_div(inner).unwrap_or(0);
            let parts = Parts::new(out);
            for_each_task(cx, outer * per_outer, |task| {
                let (block, column) = (task / per_outer, task % per_outer * width);
                let len = width.min(inner - column);
                // SAFETY: every task has its own block or its own columns of it.
                let out = unsafe { parts.range(block * inner + column, len) };
                let x = &x[block * n * inner..][..n * inner];
                run(cx, Columns { x, n, inner, column, out, join, finish });
            });
        }
    }
}

/// The most pieces that one row is cut into.
const PIECES: usize = 64;

/// Joins the results of `piece(start, len)` over a row of `n` elements in order; the cut depends on `n` alone.
fn pieces<T: Element>(
    cx: &Context<'_>,
    n: usize,
    join: impl Join<T>,
    piece: impl Fn(usize, usize) -> T + Sync,
) -> T {
    let len = n.div_ceil(PIECES).next_multiple_of(LANES).max(GRAIN);
    if n <= len {
        return piece(0, n);
    }
    let mut results = [join.start(); PIECES];
    let results = &mut results[..n.div_ceil(len)];
    for_each_chunk(cx, results, 1, |index, result| {
        let start = index * len;
        result[0] = piece(start, len.min(n - start));
    });
    results.iter().fold(join.start(), |a, b| join.join_one(a, *b))
}

/// Rows of at most [`SHORT`] elements.
struct ShortRows<'a, 'b, T, J, F> {
    x: &'a [T],
    n: usize,
    join: J,
    out: &'b mut [T],
    finish: F,
}

impl<T: Element, J: Join<T>, F: Fn(T, &mut T)> SimdOp for ShortRows<'_, '_, T, J, F> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let ShortRows { x, n, join, out, finish } = self;
        let start = T::Vector::splat(simd, join.start());
        let mut columns = [start; SHORT];
        for (i, out) in out.chunks_mut(LANES).enumerate() {
            load_rows(simd, x, n, i * LANES, &mut columns);
            let values = fold::<T, S>(&columns[..n], start, |a, b| join.join::<S>(a, b));
            for (out, value) in out.iter_mut().zip(values.to_array()) {
                finish(value, out);
            }
        }
    }
}

struct Row<'a, T, J> {
    x: &'a [T],
    join: J,
}

impl<T: Element, J: Join<T>> SimdOp for Row<'_, T, J> {
    type Output = T;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> T {
        fold_row(simd, self.x, self.join)
    }
}

/// Joins the elements of a row on the calling thread: element i in lane i mod 8, and the lanes by their tree.
#[inline(always)]
pub(crate) fn fold_row<T: Element, S: Simd, J: Join<T>>(simd: S, x: &[T], join: J) -> T {
    if simd.single().is_some() {
        let mut lanes = [join.start(); LANES];
        for (i, x) in x.iter().enumerate() {
            lanes[i % LANES] = join.join_one(lanes[i % LANES], *x);
        }
        return T::Vector::load(simd, &lanes).tree(|a, b| join.join_one(a, b));
    }
    let (mut chunks, tail) = x.as_chunks::<LANES>();
    let mut lanes = T::Vector::splat(simd, join.start());
    if J::ANY_ORDER {
        let (fours, rest) = chunks.as_chunks::<4>();
        let mut four = [lanes; 4];
        for x in fours {
            for (lanes, x) in four.iter_mut().zip(x) {
                *lanes = join.join::<S>(*lanes, T::Vector::load(simd, x));
            }
        }
        let [a, b, c, d] = four;
        lanes = join.join::<S>(join.join::<S>(a, b), join.join::<S>(c, d));
        chunks = rest;
    }
    for x in chunks {
        lanes = join.join::<S>(lanes, T::Vector::load(simd, x));
    }
    if !tail.is_empty() {
        lanes = join.join::<S>(lanes, T::Vector::load_partial(simd, tail, join.start()));
    }
    lanes.tree(|a, b| join.join_one(a, b))
}

struct Columns<'a, 'b, T, J, F> {
    x: &'a [T],
    n: usize,
    inner: usize,
    column: usize,
    out: &'b mut [T],
    join: J,
    finish: F,
}

impl<T: Element, J: Join<T>, F: Fn(T, &mut T)> SimdOp for Columns<'_, '_, T, J, F> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Columns { x, n, inner, column, out, join, finish } = self;
        // A strip of columns at a time: rows are read in long pieces, and the strip stays in the first-level cache.
        for (i, out) in out.chunks_mut(STRIP).enumerate() {
            let start = column + i * STRIP;
            let mut sums = [join.start(); STRIP];
            let sums = &mut sums[..out.len()];
            for row in 0..n {
                let line = &x[row * inner + start..][..out.len()];
                let (eights, tail) = sums.as_chunks_mut::<LANES>();
                let (line, line_tail) = line.as_chunks::<LANES>();
                for (sums, line) in eights.iter_mut().zip(line) {
                    join.join::<S>(T::Vector::load(simd, sums), T::Vector::load(simd, line)).store(sums);
                }
                for (sum, x) in tail.iter_mut().zip(line_tail) {
                    *sum = join.join_one(*sum, *x);
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                finish(*sum, out);
            }
        }
    }
}

/// Columns that are reduced together.
const STRIP: usize = 128;

/// The index of the first greatest element along the middle axis of `x`, shape [outer, n, inner], into `out`, shape
/// [outer, inner]. The first NaN counts as the greatest; 0 if `n` is 0.
pub fn argmax<T: Element>(cx: &Context<'_>, outer: usize, n: usize, inner: usize, x: &[T], out: &mut [u32]) {
    require(x.len() == outer * n * inner && out.len() == outer * inner);
    let chunk = (GRAIN / n.max(1)).max(1);
    for_each_chunk(cx, out, chunk, |index, out| {
        for (i, out) in out.iter_mut().enumerate() {
            let at = index * chunk + i;
            let line = &x[at / inner * n * inner + at % inner..];
            let mut best = 0;
            for i in 1..n {
                let (x, greatest) = (line[i * inner], line[best * inner]);
                if !greatest.is_nan() && (x > greatest || x.is_nan()) {
                    best = i;
                }
            }
            *out = best as u32;
        }
    });
}

/// Σ a·b, in the order of [`reduce`] with inner = 1 (with fused multiply-adds under `Numerics::Fast`).
pub fn dot<T: Element>(cx: &Context<'_>, a: &[T], b: &[T]) -> T {
    require(a.len() == b.len());
    pieces(cx, a.len(), Sum, |start, len| {
        run(cx, Dot { a: &a[start..start + len], b: &b[start..start + len] })
    })
}

/// Σ x², in the order of [`dot`].
pub fn sum_of_squares<T: Element>(cx: &Context<'_>, x: &[T]) -> T {
    dot(cx, x, x)
}

struct Dot<'a, T> {
    a: &'a [T],
    b: &'a [T],
}

impl<T: Element> SimdOp for Dot<'_, T> {
    const FUSES: bool = true;
    type Output = T;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> T {
        let (a, a_tail) = self.a.as_chunks::<LANES>();
        let (b, b_tail) = self.b.as_chunks::<LANES>();
        let mut sum = T::Vector::splat(simd, T::zero());
        for (a, b) in a.iter().zip(b) {
            sum = T::Vector::load(simd, a).mul_add(T::Vector::load(simd, b), sum);
        }
        if !a_tail.is_empty() {
            let a = T::Vector::load_partial(simd, a_tail, T::zero());
            sum = a.mul_add(T::Vector::load_partial(simd, b_tail, T::zero()), sum);
        }
        sum.tree(|a, b| a + b)
    }
}
