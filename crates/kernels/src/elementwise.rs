//! Maps and zips: one function applied to every element, with broadcasting for two operands.

pub mod functions;

use crate::parallel::{GRAIN, any_cut, for_each_chunk};
use crate::require;
use crate::simd::{Element, LANES, Paired, Simd, SimdOp, Vector, run};
use crate::streams::{in_streams, is_long};
use bantam_core::{Context, MAX_RANK};

/// Input and output of a map: two slices, or one that is overwritten.
#[derive(Debug)]
pub enum Span<'a, T> {
    /// From one slice into another of the same length.
    Separate(&'a [T], &'a mut [T]),
    /// Overwritten where it lies.
    InPlace(&'a mut [T]),
}

impl<T: Send + Sync> Span<'_, T> {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Span::Separate(_, y) | Span::InPlace(y) => y.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where it is read and where it is written.
    pub(crate) fn pointers(&mut self) -> (*const T, *mut T) {
        match self {
            Span::Separate(x, y) => (x.as_ptr(), y.as_mut_ptr()),
            Span::InPlace(y) => {
                let y = y.as_mut_ptr();
                (y.cast_const(), y)
            }
        }
    }

    /// Cuts both sides into chunks and calls `task(index, part)` for each on the executor of `cx`.
    pub fn for_each_chunk(self, cx: &Context<'_>, chunk: usize, task: impl Fn(usize, Span<'_, T>) + Sync) {
        // Not compiled once for each of the two.
        let task: &(dyn Fn(usize, Span<'_, T>) + Sync) = &task;
        match self {
            Span::Separate(x, y) => {
                require(x.len() == y.len());
                for_each_chunk(cx, y, chunk, |index, y| {
                    let start = index * chunk;
                    task(index, Span::Separate(&x[start..start + y.len()], y));
                });
            }
            Span::InPlace(y) => for_each_chunk(cx, y, chunk, |index, y| task(index, Span::InPlace(y))),
        }
    }
}

/// A function of one element, on vectors. Mark `apply` with `#[inline(always)]`.
pub trait MapFn<T: Element>: Copy + Sync {
    /// As [`SimdOp::FUSES`].
    const FUSES: bool = false;
    /// As [`SimdOp::WIDE`]; the function then meets vectors of more than eight lanes.
    const WIDE: bool = false;

    /// The function, lane by lane: no lane may depend on another.
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S>;

    /// The function for a whole line in the vectors of a Cortex-M (MVE), with the same bits, if it has such a loop; returns how many
    /// elements are done.
    ///
    /// # Safety
    /// As many elements can be read and written; `x` and `y` are one or apart.
    #[doc(hidden)]
    #[inline(always)]
    unsafe fn in_vectors(self, _x: *const T, _y: *mut T, _len: usize) -> usize {
        0
    }
}

/// A function of two elements, on vectors. Mark `apply` with `#[inline(always)]`.
pub trait ZipFn<T: Element>: Copy + Sync {
    /// As [`SimdOp::FUSES`].
    const FUSES: bool = false;
    /// As [`SimdOp::WIDE`]; the function then meets vectors of more than eight lanes.
    const WIDE: bool = false;

    /// The function, lane by lane: no lane may depend on another.
    fn apply<S: Simd>(self, simd: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S>;

    /// The function for a whole line in the vectors of a Cortex-M (MVE), with the same bits, if it has such a loop; returns how many
    /// elements are done.
    ///
    /// # Safety
    /// As many elements can be read and written; `out` is one of the operands or apart from it.
    #[doc(hidden)]
    #[inline(always)]
    unsafe fn in_vectors(self, _a: *const T, _b: *const T, _out: *mut T, _len: usize) -> usize {
        0
    }
}

/// y = f(x), element by element.
pub fn map<T: Element, F: MapFn<T>>(cx: &Context<'_>, f: F, span: Span<'_, T>) {
    span.for_each_chunk(cx, any_cut(GRAIN), |_, span| run(cx, MapOp { f, span }));
}

/// A map on the calling thread.
pub struct MapOp<'a, T, F> {
    pub(crate) f: F,
    pub(crate) span: Span<'a, T>,
}

impl<T: Element, F: MapFn<T>> SimdOp for MapOp<'_, T, F> {
    const FUSES: bool = F::FUSES;
    const WIDE: bool = F::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let f = self.f;
        let (x, y, len) = match self.span {
            Span::Separate(x, y) => (x.as_ptr(), y.as_mut_ptr(), x.len().min(y.len())),
            Span::InPlace(y) => {
                let start = y.as_mut_ptr();
                (start.cast_const(), start, y.len())
            }
        };
        // SAFETY: both slices have `len` elements, and they are separate or one.
        unsafe { map_line(simd, f, x, y, len) };
    }
}

// The loops below take functions as types with an `apply` that is always inlined and not as closures: a closure is not
// compiled for the level's instructions until it is inlined, and a long one is not. They take pointers, because one loop
// then serves what is overwritten and what is not: each of them is compiled for every function and every level.

/// y = f(y) on the calling thread.
#[inline(always)]
pub(crate) fn map_slice_in_place<T: Element, S: Simd>(simd: S, f: impl MapFn<T>, y: &mut [T]) {
    let start = y.as_mut_ptr();
    // SAFETY: the slice has as many elements.
    unsafe { map_line(simd, f, start.cast_const(), start, y.len()) };
}

/// out = f(a, b) on the calling thread.
#[inline(always)]
pub(crate) fn zip_slices<T: Element, S: Simd>(simd: S, f: impl ZipFn<T>, a: &[T], b: &[T], out: &mut [T]) {
    let len = a.len().min(b.len()).min(out.len());
    // SAFETY: all slices have as many elements, and the output is separate.
    unsafe { zip_line(simd, f, [a.as_ptr(), b.as_ptr()], [LANES; 2], out.as_mut_ptr(), len) };
}

/// # Safety
/// 1. `x` can be read and `y` written for `len` elements.
/// 2. Both start at the same address or they do not overlap.
#[inline(always)]
pub(crate) unsafe fn map_line<T: Element, S: Simd, F: MapFn<T>>(
    simd: S,
    f: F,
    x: *const T,
    y: *mut T,
    len: usize,
) {
    if let Some(single) = simd.single() {
        // SAFETY: 1. and 2.
        let done = unsafe { f.in_vectors(x, y, len) };
        for at in done..len {
            // SAFETY: 1. and 2.
            unsafe { *y.add(at) = map_one(single, f, *x.add(at)) };
        }
        return;
    }
    if const { F::WIDE && <T::Vector<S::Wide> as Vector<T, S::Wide>>::WIDTH > LANES } {
        // SAFETY: 1. and 2.
        return unsafe { map_wide(simd.wide(), f, x, y, len) };
    }
    if const { F::WIDE && S::PAIRS } {
        // SAFETY: 1. and 2.
        return unsafe { map_wide(Paired(simd), f, x, y, len) };
    }
    let whole = len - len % LANES;
    for range in in_streams(whole, 2) {
        for at in range.step_by(LANES) {
            // SAFETY: 1. and 2.; the elements are read before they are written.
            unsafe {
                let lanes = T::Vector::load(simd, &*x.add(at).cast::<[T; LANES]>());
                f.apply(simd, lanes).store(&mut *y.add(at).cast::<[T; LANES]>());
            }
        }
    }
    if whole < len {
        // SAFETY: as above, for fewer than eight elements.
        unsafe {
            let lanes = load_tail(simd, x.add(whole), len - whole);
            store_tail(f.apply(simd, lanes), y.add(whole), len - whole);
        }
    }
}

/// As [`map_line`], by vectors of more lanes than eight.
///
/// # Safety
/// As for [`map_line`].
#[inline(always)]
unsafe fn map_wide<T: Element, S: Simd>(simd: S, f: impl MapFn<T>, x: *const T, y: *mut T, len: usize) {
    let width = <T::Vector<S> as Vector<T, S>>::WIDTH;
    let whole = len - len % width;
    for range in in_streams(whole, 2) {
        let mut at = range.start;
        // Not `step_by`, which divides.
        while at < range.end {
            // SAFETY: 1. and 2. of `map_line`; the elements are read before they are written.
            unsafe { f.apply(simd, T::Vector::read(simd, x.add(at))).write(y.add(at)) };
            at += width;
        }
    }
    if whole < len {
        let lanes = (1 << (len - whole)) - 1;
        // SAFETY: as above, for fewer elements than a vector has.
        unsafe {
            let tail = T::Vector::read_lanes(simd, x.add(whole), lanes);
            f.apply(simd, tail).write_lanes(y.add(whole), lanes);
        }
    }
}

/// f(x) of one number.
#[inline(always)]
pub(crate) fn map_one<T: Element, S: Simd>(simd: S, f: impl MapFn<T>, x: T) -> T {
    f.apply(simd, T::Vector::splat(simd, x)).first()
}

/// Applies `f` to lines of `len` elements. An operand with a step of 8 is contiguous; one with a step of 0 repeats its
/// first [`WIDEST`].
///
/// # Safety
/// 1. `out` can be written for `len` elements; an operand with a step of 8 can be read for as many, one with a step of 0
///    for [`WIDEST`], or for one where elements are taken one by one.
/// 2. An operand starts at the same address as `out` or does not overlap with it.
#[inline(always)]
unsafe fn zip_line<T: Element, S: Simd, F: ZipFn<T>>(
    simd: S,
    f: F,
    [mut a, mut b]: [*const T; 2],
    [a_step, b_step]: [usize; 2],
    out: *mut T,
    len: usize,
) {
    if let Some(single) = simd.single() {
        // What is repeated is its first element.
        let mask = |step: usize| if step == 0 { 0 } else { usize::MAX };
        let (a_mask, b_mask) = (mask(a_step), mask(b_step));
        // SAFETY: 1.
        let one = |at: usize| unsafe {
            let left = T::Vector::splat(single, *a.add(at & a_mask));
            f.apply(single, left, T::Vector::splat(single, *b.add(at & b_mask))).first()
        };
        let contiguous = if (a_step, b_step) == (LANES, LANES) { len } else { 0 };
        // SAFETY: 1. and 2.
        let done = unsafe { f.in_vectors(a, b, out, contiguous) };
        for at in done..len {
            // SAFETY: 1. and 2.
            unsafe { *out.add(at) = one(at) };
        }
        return;
    }
    if const { F::WIDE && <T::Vector<S::Wide> as Vector<T, S::Wide>>::WIDTH > LANES } {
        // SAFETY: 1. and 2.
        return unsafe { zip_wide(simd.wide(), f, [a, b], [a_step, b_step], out, len) };
    }
    if const { F::WIDE && S::PAIRS } {
        // SAFETY: 1. and 2.
        return unsafe { zip_wide(Paired(simd), f, [a, b], [a_step, b_step], out, len) };
    }
    let whole = len - len % LANES;
    for at in (0..whole).step_by(LANES) {
        // SAFETY: 1. and 2.; the elements are read before they are written.
        unsafe {
            let left = T::Vector::load(simd, &*a.cast::<[T; LANES]>());
            let right = T::Vector::load(simd, &*b.cast::<[T; LANES]>());
            f.apply(simd, left, right).store(&mut *out.add(at).cast::<[T; LANES]>());
        }
        (a, b) = (a.wrapping_add(a_step), b.wrapping_add(b_step));
    }
    if whole < len {
        // SAFETY: as above, for fewer than eight elements.
        unsafe {
            let (left, right) = (load_tail(simd, a, len - whole), load_tail(simd, b, len - whole));
            store_tail(f.apply(simd, left, right), out.add(whole), len - whole);
        }
    }
}

/// The most lanes of a vector or a pair of them.
const WIDEST: usize = 2 * LANES;

/// As [`zip_line`], by vectors of more lanes than eight.
///
/// # Safety
/// As for [`zip_line`].
#[inline(always)]
unsafe fn zip_wide<T: Element, S: Simd>(
    simd: S,
    f: impl ZipFn<T>,
    [mut a, mut b]: [*const T; 2],
    [a_step, b_step]: [usize; 2],
    out: *mut T,
    len: usize,
) {
    let width = const {
        assert!(<T::Vector<S> as Vector<T, S>>::WIDTH <= WIDEST);
        <T::Vector<S> as Vector<T, S>>::WIDTH
    };
    let whole = len - len % width;
    let mut at = 0;
    // Not `step_by`, which divides.
    while at < whole {
        // SAFETY: 1. and 2. of `zip_line`; the elements are read before they are written.
        unsafe {
            let (left, right) = (T::Vector::read(simd, a), T::Vector::read(simd, b));
            f.apply(simd, left, right).write(out.add(at));
        }
        at += width;
        (a, b) = (a.wrapping_add(a_step / LANES * width), b.wrapping_add(b_step / LANES * width));
    }
    if whole < len {
        let lanes = (1 << (len - whole)) - 1;
        // SAFETY: as above, for fewer elements than a vector has.
        unsafe {
            let (left, right) =
                (T::Vector::read_lanes(simd, a, lanes), T::Vector::read_lanes(simd, b, lanes));
            f.apply(simd, left, right).write_lanes(out.add(whole), lanes);
        }
    }
}

/// The `len < 8` elements at `from`, and zeros.
///
/// # Safety
/// 1. They can be read.
#[inline(always)]
unsafe fn load_tail<T: Element, S: Simd>(simd: S, from: *const T, len: usize) -> T::Vector<S> {
    let mut lanes = [T::zero(); LANES];
    for (i, lane) in lanes.iter_mut().enumerate() {
        if i < len {
            // SAFETY: 1.
            *lane = unsafe { *from.add(i) };
        }
    }
    T::Vector::load(simd, &lanes)
}

/// Writes the first `len < 8` lanes.
///
/// # Safety
/// 1. `to` can be written for as many elements.
#[inline(always)]
unsafe fn store_tail<T: Element, S: Simd>(vector: T::Vector<S>, to: *mut T, len: usize) {
    for (i, lane) in vector.to_array().into_iter().enumerate() {
        if i < len {
            // SAFETY: 1.
            unsafe { *to.add(i) = lane };
        }
    }
}

/// One operand of a [`zip`].
#[derive(Clone, Copy, Debug)]
pub enum Arg<'a, T> {
    /// A slice with one stride per axis, in elements; 0 repeats the element along the axis.
    In(&'a [T], &'a [usize]),
    /// The output itself, contiguous: its old content is the operand.
    Out,
}

/// out = f(a, b) over `shape`, at most [`MAX_RANK`] axes. `out` is contiguous.
pub fn zip<T: Element, F: ZipFn<T>>(
    cx: &Context<'_>,
    f: F,
    shape: &[usize],
    a: Arg<'_, T>,
    b: Arg<'_, T>,
    out: &mut [T],
) {
    zip_by(cx, &f, shape, a, b, out);
}

/// As [`zip`], for a function that the caller does not name: what is around the innermost loops is compiled once for all
/// functions.
pub fn zip_by<T: Element>(
    cx: &Context<'_>,
    f: &dyn ZipLines<T>,
    shape: &[usize],
    a: Arg<'_, T>,
    b: Arg<'_, T>,
    out: &mut [T],
) {
    require(shape.len() <= MAX_RANK && out.len() == shape.iter().product());
    if out.is_empty() {
        return;
    }
    let walk = Walk::new(shape, strides(&a), strides(&b));
    for (arg, strides) in [(&a, &walk.a), (&b, &walk.b)] {
        if let Arg::In(x, _) = arg {
            let reach = |axis: usize| (walk.dims[axis] - 1) * strides[axis];
            require(x.len() > (0..walk.rank).map(reach).sum());
        }
    }
    for_each_chunk(cx, out, any_cut(GRAIN), |index, out| walk.zip(cx, f, index * GRAIN, [a, b], out));
}

/// As [`zip_by`] for operands that lie as the output does; strides are not looked at.
pub fn zip_alike<T: Element>(
    cx: &Context<'_>,
    f: &dyn ZipLines<T>,
    a: Arg<'_, T>,
    b: Arg<'_, T>,
    out: &mut [T],
) {
    for_each_chunk(cx, out, any_cut(GRAIN), |index, out| {
        let (len, out) = (out.len(), out.as_mut_ptr());
        let line = |arg: Arg<'_, T>| match arg {
            Arg::Out => Line { start: out.cast_const(), step: LANES, next: 0 },
            Arg::In(x, _) => Line { start: x[index * GRAIN..][..len].as_ptr(), step: LANES, next: 0 },
        };
        f.line(cx, ZipLine { operands: [line(a), line(b)], out, len, count: 1 });
    });
}

/// Any [`ZipFn`].
pub trait ZipLines<T: Element>: Sync {
    /// Applies the function to one line.
    #[doc(hidden)]
    fn line(&self, cx: &Context<'_>, line: ZipLine<T>);
}

impl<T: Element, F: ZipFn<T>> ZipLines<T> for F {
    fn line(&self, cx: &Context<'_>, line: ZipLine<T>) {
        run(cx, LineOp { f: *self, line });
    }
}

/// Lines of the output, one after the other, and what they are computed from: [`Line`]s that can be read as far as they are
/// long. Only this module makes one.
#[derive(Debug)]
pub struct ZipLine<T> {
    operands: [Line<T>; 2],
    out: *mut T,
    len: usize,
    count: usize,
}

struct LineOp<T, F> {
    f: F,
    line: ZipLine<T>,
}

impl<T: Element, F: ZipFn<T>> SimdOp for LineOp<T, F> {
    const FUSES: bool = F::FUSES;
    const WIDE: bool = F::WIDE;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let ZipLine { operands, out, len, count } = self.line;
        let mut buffers = [[T::zero(); WIDEST]; 2];
        for i in 0..count {
            let [a, b] = &mut buffers;
            // SAFETY: 1. `Line::new` gave what can be read for `len` elements of each line, or for one with a step of 0,
            // which is repeated here. 2. An operand is the output itself, or a slice or buffer apart from it.
            unsafe {
                let out = out.add(i * len);
                let steps = [operands[0].step, operands[1].step];
                if simd.single().is_some() {
                    // One by one there is nothing to repeat, and nothing waits for memory.
                    zip_line(simd, self.f, [operands[0].line(i), operands[1].line(i)], steps, out, len);
                    continue;
                }
                let starts = [operands[0].start(i, a), operands[1].start(i, b)];
                // Three slices of no more than twice that lie in a second-level cache, and have nothing of streams.
                if is_long(len / 2) {
                    for range in in_streams(len, 3) {
                        let place = |operand: usize| range.start / LANES * steps[operand];
                        let starts = [starts[0].wrapping_add(place(0)), starts[1].wrapping_add(place(1))];
                        zip_line(simd, self.f, starts, steps, out.add(range.start), range.len());
                    }
                } else {
                    zip_line(simd, self.f, starts, steps, out, len);
                }
            }
        }
    }
}

fn strides<'a, T>(arg: &Arg<'a, T>) -> Option<&'a [usize]> {
    match arg {
        Arg::In(_, strides) => Some(strides),
        Arg::Out => None,
    }
}

/// The axes of a zip after those that lie as one in both operands were joined; the last is walked by vectors.
#[derive(Clone, Copy)]
struct Walk {
    dims: [usize; MAX_RANK],
    a: [usize; MAX_RANK],
    b: [usize; MAX_RANK],
    rank: usize,
}

impl Walk {
    fn new(shape: &[usize], a: Option<&[usize]>, b: Option<&[usize]>) -> Walk {
        let mut walk = Walk { dims: [1; MAX_RANK], a: [0; MAX_RANK], b: [0; MAX_RANK], rank: 0 };
        let stride = |strides: Option<&[usize]>, axis: usize| match strides {
            Some(strides) => strides[axis],
            None => shape[axis + 1..].iter().product(),
        };
        for (axis, &dim) in shape.iter().enumerate() {
            if dim == 1 {
                continue;
            }
            let (a, b) = (stride(a, axis), stride(b, axis));
            let joins = walk.rank > 0 && walk.a[walk.rank - 1] == a * dim && walk.b[walk.rank - 1] == b * dim;
            if !joins {
                walk.rank += 1;
            }
            let last = walk.rank - 1;
            walk.dims[last] = if joins { walk.dims[last] * dim } else { dim };
            (walk.a[last], walk.b[last]) = (a, b);
        }
        // A single element is one axis of length 1.
        walk.rank = walk.rank.max(1);
        walk
    }

    /// The coordinates of element `index`.
    fn coordinates(&self, index: usize) -> [usize; MAX_RANK] {
        let mut at = [0; MAX_RANK];
        let mut rest = index;
        for axis in (0..self.rank).rev() {
            at[axis] = rest % self.dims[axis];
            rest /= self.dims[axis];
        }
        at
    }

    /// Where the element at these coordinates lies in a and in b.
    fn offsets(&self, at: &[usize; MAX_RANK]) -> [usize; 2] {
        [&self.a, &self.b].map(|strides| at.iter().zip(strides).map(|(at, stride)| at * stride).sum())
    }

    /// Goes on by `len` elements, at most to the end of the line.
    fn advance(&self, at: &mut [usize; MAX_RANK], len: usize) {
        at[self.rank - 1] += len;
        for axis in (1..self.rank).rev() {
            if at[axis] < self.dims[axis] {
                return;
            }
            at[axis] = 0;
            at[axis - 1] += 1;
        }
    }
}

/// Elements of a strided operand that are collected at a time.
const COLLECTED: usize = 8 * LANES;

/// One operand along the innermost axis, as [`zip_line`] takes it, but that a single element is not repeated yet.
#[derive(Debug)]
struct Line<T> {
    start: *const T,
    step: usize,
    /// The distance to the next line.
    next: usize,
}

impl<T: Element> Line<T> {
    /// The `len` elements of `arg` from `offset` on. What does not lie as [`zip_line`] wants it is collected in
    /// `buffer`; `out` is the line of the output.
    #[inline(never)]
    fn new(
        arg: Arg<'_, T>,
        offset: usize,
        [next, stride]: [usize; 2],
        out: *const T,
        len: usize,
        buffer: &mut [T; COLLECTED],
    ) -> Self {
        let x = match arg {
            Arg::Out => return Line { start: out, step: LANES, next },
            Arg::In(x, _) => &x[offset..],
        };
        // Of the other lines, `zip_by` has checked that they lie in the slice.
        require(x.len() >= if stride == 0 { 1 } else { (len - 1) * stride + 1 });
        match stride {
            1 => Line { start: x.as_ptr(), step: LANES, next },
            0 => Line { start: x.as_ptr(), step: 0, next },
            _ => {
                for (to, from) in buffer[..len].iter_mut().zip(x.iter().step_by(stride)) {
                    *to = *from;
                }
                Line { start: buffer.as_ptr(), step: LANES, next }
            }
        }
    }

    /// Where line `i` starts.
    #[inline(always)]
    fn line(&self, i: usize) -> *const T {
        self.start.wrapping_add(i * self.next)
    }

    /// Where line `i` starts, or `buffer` filled with its only element.
    ///
    /// # Safety
    /// 1. There is such a line.
    #[inline(always)]
    unsafe fn start(&self, i: usize, buffer: &mut [T; WIDEST]) -> *const T {
        let start = self.line(i);
        if self.step == 0 {
            // SAFETY: 1.
            buffer.fill(unsafe { *start });
            return buffer.as_ptr();
        }
        start
    }
}

impl Walk {
    /// Computes the elements from number `start` on, as many as `out` has.
    fn zip<T: Element>(
        &self,
        cx: &Context<'_>,
        f: &dyn ZipLines<T>,
        start: usize,
        [a, b]: [Arg<'_, T>; 2],
        mut out: &mut [T],
    ) {
        let last = self.rank - 1;
        let collects = [self.a[last], self.b[last]].iter().any(|&stride| stride > 1);
        let most = if collects { COLLECTED } else { usize::MAX };
        // The distance between lines, and between elements.
        let steps = |strides: &[usize]| [if last > 0 { strides[last - 1] } else { 0 }, strides[last]];
        let mut at = self.coordinates(start);
        let mut buffers = [[T::zero(); COLLECTED]; 2];
        while !out.is_empty() {
            let len = out.len().min(self.dims[last] - at[last]).min(most);
            // Whole lines that lie where they are read from are handed over together, as far as one axis goes: short ones
            // would be outweighed by the calls.
            let count = if last > 0 && len == self.dims[last] && !collects {
                (self.dims[last - 1] - at[last - 1]).min(out.len() / len)
            } else {
                1
            };
            let (lines, next) = out.split_at_mut(count * len);
            let [a_offset, b_offset] = self.offsets(&at);
            let lines = lines.as_mut_ptr();
            let [a_buffer, b_buffer] = &mut buffers;
            let operands = [
                Line::new(a, a_offset, steps(&self.a), lines, len, a_buffer),
                Line::new(b, b_offset, steps(&self.b), lines, len, b_buffer),
            ];
            f.line(cx, ZipLine { operands, out: lines, len, count });
            out = next;
            if last > 0 {
                at[last - 1] += count - 1;
            }
            self.advance(&mut at, len);
        }
    }
}
