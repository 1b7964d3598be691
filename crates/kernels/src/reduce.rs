//! Sums, means, extremes and products along one axis, in an order that the shape alone fixes.

use crate::parallel::{GRAIN, Parts, any_cut, for_each_chunk, for_each_task};
use crate::rows::{SHORT, fold, load_rows};
use crate::simd::{Element, LANES, Simd, SimdOp, Vector, is_plain};
use crate::streams::in_streams;
use crate::{plain, require};
use bantam_core::{Context, Numerics};

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
/// adds in order, and the lanes are joined by a fixed tree. Rows of 128 elements and more have 32 lanes for as many whole
/// thirty-twos as there are, and long ones are walked [`in_streams`]; rows beyond 32768 elements are cut into at most 64 pieces
/// whose results are joined in order. With inner > 1 elements are added in order of the middle axis.
#[allow(clippy::too_many_arguments, reason = "three lengths name the shape; a struct would only rename them")]
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
    let divisor = (kind == Reduce::Mean).then(|| T::from_f64(n as f64));
    let finish = Finish { divisor, accumulate };
    if inner == 1 && out.len() == 1 {
        finish.store(
            pieces(cx, n, kind, |start, len| T::run(cx, Row { x: &x[start..start + len], kind })),
            &mut out[0],
        );
    } else if inner == 1 {
        // Whole rows per task. A long row is cut as it is when it is alone: the pieces depend on n only.
        let rows = (GRAIN / n.max(1)).max(1);
        for_each_chunk(cx, out, rows, |index, out| {
            if (1..=SHORT).contains(&n) && !is_plain(cx) {
                let x = &x[index * rows * n..][..out.len() * n];
                return T::run(cx, ShortRows { x, n, kind, out, finish });
            }
            let inline = Context { executor: &bantam_core::Inline, ..*cx };
            for (i, out) in out.iter_mut().enumerate() {
                let row = &x[(index * rows + i) * n..][..n];
                let piece = |start, len| T::run(cx, Row { x: &row[start..start + len], kind });
                finish.store(pieces(&inline, n, kind, piece), out);
            }
        });
    } else {
        columns(cx, kind, n, inner, x, out, finish);
    }
}

/// The sums of the columns of a matrix, each in the order of the rows, into `out`; adds to what `out` holds if `accumulate`. The bits
/// of [`reduce`] wherever there is more than one column.
pub fn column_sums<T: Element>(cx: &Context<'_>, rows: usize, x: &[T], out: &mut [T], accumulate: bool) {
    require(x.len() == rows * out.len());
    let width = out.len();
    columns(cx, Reduce::Sum, rows, width, x, out, Finish { divisor: None, accumulate });
}

/// [`reduce`] where columns are reduced.
fn columns<T: Element>(
    cx: &Context<'_>,
    kind: Reduce,
    n: usize,
    inner: usize,
    x: &[T],
    out: &mut [T],
    finish: Finish<T>,
) {
    // Columns are independent: a task takes some of them, or some whole outer blocks.
    let width = any_cut((GRAIN / n.max(1)).next_multiple_of(STRIP));
    let per_outer = inner.div_ceil(width);
    let outer = out.len().checked_div(inner).unwrap_or(0);
    let parts = Parts::new(out);
    for_each_task(cx, outer * per_outer, |task| {
        let (block, column) = (task / per_outer, task % per_outer * width);
        let len = width.min(inner - column);
        // SAFETY: every task has its own block or its own columns of it.
        let out = unsafe { parts.range(block * inner + column, len) };
        let x = &x[block * n * inner..][..n * inner];
        T::run(cx, Columns { x, n, inner, column, kind, out, finish });
    });
}

/// What becomes of a result.
#[derive(Clone, Copy)]
struct Finish<T> {
    divisor: Option<T>,
    accumulate: bool,
}

impl<T: Element> Finish<T> {
    #[inline(always)]
    fn store(self, value: T, out: &mut T) {
        let value = self.divisor.map_or(value, |divisor| value / divisor);
        *out = if self.accumulate { *out + value } else { value };
    }
}

impl Reduce {
    /// What joining starts from.
    fn start<T: Element>(self) -> T {
        match self {
            Reduce::Sum | Reduce::Mean => Join::<T>::start(Sum),
            Reduce::Max => Join::<T>::start(Max),
            Reduce::Min => Join::<T>::start(Min),
            Reduce::Product => Join::<T>::start(Product),
        }
    }

    fn join_one<T: Element>(self, a: T, b: T) -> T {
        match self {
            Reduce::Sum | Reduce::Mean => Sum.join_one(a, b),
            Reduce::Max => Max.join_one(a, b),
            Reduce::Min => Min.join_one(a, b),
            Reduce::Product => Product.join_one(a, b),
        }
    }
}

/// The most pieces that one row is cut into.
const PIECES: usize = 64;

/// Joins the results of `piece(start, len)` over a row of `n` elements in order; the cut depends on `n` alone.
fn pieces<T: Element>(
    cx: &Context<'_>,
    n: usize,
    kind: Reduce,
    piece: impl Fn(usize, usize) -> T + Sync,
) -> T {
    let len = n.div_ceil(PIECES).next_multiple_of(LANES).max(GRAIN);
    if n <= len {
        return piece(0, n);
    }
    let mut results = [kind.start(); PIECES];
    let results = &mut results[..n.div_ceil(len)];
    for_each_chunk(cx, results, 1, |index, result| {
        let start = index * len;
        result[0] = piece(start, len.min(n - start));
    });
    results.iter().fold(kind.start(), |a, b| kind.join_one(a, *b))
}

// The kernels below take the kind as a value: one function for all kinds at each level, and one walk around them.

/// Rows of at most [`SHORT`] elements.
pub struct ShortRows<'a, 'b, T> {
    x: &'a [T],
    n: usize,
    kind: Reduce,
    out: &'b mut [T],
    finish: Finish<T>,
}

impl<T: Element> SimdOp for ShortRows<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let ShortRows { x, n, kind, out, finish } = self;
        let mut columns = [T::Vector::splat(simd, kind.start()); SHORT];
        for (i, out) in out.chunks_mut(LANES).enumerate() {
            load_rows(simd, x, n, i * LANES, &mut columns);
            let columns = &columns[..n];
            let values = match kind {
                Reduce::Sum | Reduce::Mean => fold_columns::<T, S>(simd, columns, Sum),
                Reduce::Max => fold_columns::<T, S>(simd, columns, Max),
                Reduce::Min => fold_columns::<T, S>(simd, columns, Min),
                Reduce::Product => fold_columns::<T, S>(simd, columns, Product),
            };
            for (out, value) in out.iter_mut().zip(values.to_array()) {
                finish.store(value, out);
            }
        }
    }
}

#[inline(always)]
fn fold_columns<T: Element, S: Simd>(simd: S, columns: &[T::Vector<S>], join: impl Join<T>) -> T::Vector<S> {
    fold::<T, S>(columns, T::Vector::splat(simd, join.start()), |a, b| join.join::<S>(a, b))
}

pub struct Row<'a, T> {
    x: &'a [T],
    kind: Reduce,
}

impl<T: Element> SimdOp for Row<'_, T> {
    type Output = T;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> T {
        match self.kind {
            Reduce::Sum | Reduce::Mean => fold_row(simd, self.x, Sum),
            Reduce::Max => fold_row(simd, self.x, Max),
            Reduce::Min => fold_row(simd, self.x, Min),
            Reduce::Product => fold_row(simd, self.x, Product),
        }
    }
}

/// Vectors that a row is joined in, so that an addition need not wait for the one before it.
pub(crate) const SUMS: usize = 4;

/// Elements from which on a row is joined in [`SUMS`] vectors.
pub(crate) const MANY: usize = 128;

/// How many elements of a row are joined in [`SUMS`] vectors: those before the rest, which is joined in one.
pub(crate) fn joined_in_four(len: usize) -> usize {
    if len < MANY { 0 } else { len - len % (SUMS * LANES) }
}

/// The four vectors as one.
#[inline(always)]
pub(crate) fn one_of_four<V: Copy>([a, b, c, d]: [V; SUMS], join: impl Fn(V, V) -> V) -> V {
    join(join(a, b), join(c, d))
}

/// Joins the elements of a row on the calling thread, in the order that [`reduce`] names.
#[inline(always)]
pub(crate) fn fold_row<T: Element, S: Simd, J: Join<T>>(simd: S, x: &[T], join: J) -> T {
    if simd.single().is_some() {
        return plain::fold_row(x, join.start(), &|a, b| join.join_one(a, b));
    }
    join_lanes(simd, x, join).tree(|a, b| join.join_one(a, b))
}

/// What [`fold_row`] joins at the end: lane i of elements i, i + 8, …
#[inline(always)]
pub(crate) fn join_lanes<T: Element, S: Simd, J: Join<T>>(simd: S, x: &[T], join: J) -> T::Vector<S> {
    let many = joined_in_four(x.len());
    let mut lanes = T::Vector::splat(simd, join.start());
    if many > 0 {
        let mut four = [lanes; SUMS];
        for range in in_streams(many, 1) {
            for x in x[range].as_chunks::<LANES>().0.as_chunks::<SUMS>().0 {
                for i in 0..SUMS {
                    four[i] = join.join::<S>(four[i], T::Vector::load(simd, &x[i]));
                }
            }
        }
        lanes = one_of_four(four, |a, b| join.join::<S>(a, b));
    }
    let (chunks, tail) = x[many..].as_chunks::<LANES>();
    for x in chunks {
        lanes = join.join::<S>(lanes, T::Vector::load(simd, x));
    }
    if !tail.is_empty() {
        lanes = join.join::<S>(lanes, T::Vector::load_partial(simd, tail, join.start()));
    }
    lanes
}

pub struct Columns<'a, 'b, T> {
    x: &'a [T],
    n: usize,
    inner: usize,
    column: usize,
    kind: Reduce,
    out: &'b mut [T],
    finish: Finish<T>,
}

impl<T: Element> SimdOp for Columns<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        match self.kind {
            Reduce::Sum | Reduce::Mean => self.join(simd, Sum),
            Reduce::Max => self.join(simd, Max),
            Reduce::Min => self.join(simd, Min),
            Reduce::Product => self.join(simd, Product),
        }
    }
}

impl<T: Element> Columns<'_, '_, T> {
    #[inline(always)]
    fn join<S: Simd>(self, simd: S, join: impl Join<T>) {
        let Columns { x, n, inner, column, out, finish, .. } = self;
        if simd.single().is_some() {
            for (i, out) in out.iter_mut().enumerate() {
                let column = (0..n).map(|row| x[row * inner + column + i]);
                finish.store(column.fold(join.start(), |sum, x| join.join_one(sum, x)), out);
            }
            return;
        }
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
                finish.store(*sum, out);
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
    pieces(cx, a.len(), Reduce::Sum, |start, len| {
        let (a, b) = (&a[start..start + len], &b[start..start + len]);
        if is_plain(cx) { plain::dot(a, b, cx.numerics == Numerics::Fast) } else { T::run(cx, Dot { a, b }) }
    })
}

/// Σ x², in the order of [`dot`].
pub fn sum_of_squares<T: Element>(cx: &Context<'_>, x: &[T]) -> T {
    dot(cx, x, x)
}

pub struct Dot<'a, T> {
    a: &'a [T],
    b: &'a [T],
}

impl<T: Element> SimdOp for Dot<'_, T> {
    const FUSES: bool = true;
    type Output = T;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> T {
        let many = joined_in_four(self.a.len());
        let mut four = [T::Vector::splat(simd, T::zero()); SUMS];
        for range in in_streams(many, 2) {
            let [a, b] =
                [self.a, self.b].map(|x| x[range.clone()].as_chunks::<LANES>().0.as_chunks::<SUMS>().0);
            for (a, b) in a.iter().zip(b) {
                for i in 0..SUMS {
                    four[i] = T::Vector::load(simd, &a[i]).mul_add(T::Vector::load(simd, &b[i]), four[i]);
                }
            }
        }
        let mut sum = one_of_four(four, |a, b| a + b);
        let (a, a_tail) = self.a[many..].as_chunks::<LANES>();
        let (b, b_tail) = self.b[many..].as_chunks::<LANES>();
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
