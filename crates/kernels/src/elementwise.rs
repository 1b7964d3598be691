//! Maps and zips: one function applied to every element, with broadcasting for two operands.

pub mod functions;

use crate::parallel::{GRAIN, for_each_chunk};
use crate::require;
use crate::simd::{Element, LANES, Simd, SimdOp, Vector, run};
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

    /// Cuts both sides into chunks and calls `task(index, part)` for each on the executor of `cx`.
    pub fn for_each_chunk(self, cx: &Context<'_>, chunk: usize, task: impl Fn(usize, Span<'_, T>) + Sync) {
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
    /// The function, lane by lane: no lane may depend on another.
    fn apply<S: Simd>(self, simd: S, x: T::Vector<S>) -> T::Vector<S>;
}

/// A function of two elements, on vectors. Mark `apply` with `#[inline(always)]`.
pub trait ZipFn<T: Element>: Copy + Sync {
    /// The function, lane by lane: no lane may depend on another.
    fn apply<S: Simd>(self, simd: S, a: T::Vector<S>, b: T::Vector<S>) -> T::Vector<S>;
}

/// y = f(x), element by element.
pub fn map<T: Element, F: MapFn<T>>(cx: &Context<'_>, f: F, span: Span<'_, T>) {
    span.for_each_chunk(cx, GRAIN, |_, span| run(cx, MapOp { f, span }));
}

struct MapOp<'a, T, F> {
    f: F,
    span: Span<'a, T>,
}

impl<T: Element, F: MapFn<T>> SimdOp for MapOp<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        match self.span {
            Span::Separate(x, y) => map_slice(simd, self.f, x, y),
            Span::InPlace(y) => map_slice_in_place(simd, self.f, y),
        }
    }
}

// The loops below take functions as types with an `apply` that is always inlined and not as closures: a closure is not
// compiled for the level's instructions until it is inlined, and a long one is not.

/// y = f(x) on the calling thread.
#[inline(always)]
pub(crate) fn map_slice<T: Element, S: Simd>(simd: S, f: impl MapFn<T>, x: &[T], y: &mut [T]) {
    let (x, x_tail) = x.as_chunks::<LANES>();
    let (y, y_tail) = y.as_chunks_mut::<LANES>();
    for (x, y) in x.iter().zip(y) {
        f.apply(simd, T::Vector::load(simd, x)).store(y);
    }
    if !y_tail.is_empty() {
        f.apply(simd, T::Vector::load_partial(simd, x_tail, T::zero())).store_partial(y_tail);
    }
}

/// y = f(y) on the calling thread.
#[inline(always)]
pub(crate) fn map_slice_in_place<T: Element, S: Simd>(simd: S, f: impl MapFn<T>, y: &mut [T]) {
    let (y, tail) = y.as_chunks_mut::<LANES>();
    for y in y {
        f.apply(simd, T::Vector::load(simd, y)).store(y);
    }
    if !tail.is_empty() {
        f.apply(simd, T::Vector::load_partial(simd, tail, T::zero())).store_partial(tail);
    }
}

/// out = f(a, b) on the calling thread.
#[inline(always)]
pub(crate) fn zip_slices<T: Element, S: Simd>(simd: S, f: impl ZipFn<T>, a: &[T], b: &[T], out: &mut [T]) {
    let (a, a_tail) = a.as_chunks::<LANES>();
    let (b, b_tail) = b.as_chunks::<LANES>();
    let (out, out_tail) = out.as_chunks_mut::<LANES>();
    for ((a, b), out) in a.iter().zip(b).zip(out) {
        f.apply(simd, T::Vector::load(simd, a), T::Vector::load(simd, b)).store(out);
    }
    if !out_tail.is_empty() {
        let a = T::Vector::load_partial(simd, a_tail, T::zero());
        f.apply(simd, a, T::Vector::load_partial(simd, b_tail, T::zero())).store_partial(out_tail);
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
    require(shape.len() <= MAX_RANK && out.len() == shape.iter().product());
    if out.is_empty() {
        return;
    }
    let walk = Walk::new(shape, strides(&a), strides(&b));
    for_each_chunk(cx, out, GRAIN, |index, out| {
        run(cx, ZipOp { f, walk, start: index * GRAIN, a, b, out });
    });
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
}

struct ZipOp<'a, 'b, T, F> {
    f: F,
    walk: Walk,
    start: usize,
    a: Arg<'a, T>,
    b: Arg<'a, T>,
    out: &'b mut [T],
}

/// One operand along the innermost axis.
#[derive(Clone, Copy)]
enum Line<'a, T, V> {
    Contiguous(&'a [T]),
    Same(V),
    Strided(&'a [T], usize),
    Out,
}

impl<'a, T: Element, V> Line<'a, T, V> {
    #[inline(always)]
    fn new<S: Simd>(simd: S, arg: Arg<'a, T>, offset: usize, stride: usize, len: usize) -> Self
    where
        V: Vector<T, S>,
    {
        match arg {
            Arg::Out => Line::Out,
            Arg::In(x, _) if stride == 1 => Line::Contiguous(&x[offset..offset + len]),
            Arg::In(x, _) if stride == 0 => Line::Same(V::splat(simd, x[offset])),
            Arg::In(x, _) => Line::Strided(&x[offset..], stride),
        }
    }

    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, at: usize, out: &[T; LANES]) -> V
    where
        V: Vector<T, S>,
    {
        match self {
            Line::Contiguous(x) => V::load(simd, x[at..].first_chunk().unwrap_or(out)),
            Line::Same(v) => *v,
            Line::Strided(x, stride) => V::load(simd, &core::array::from_fn(|i| x[(at + i) * stride])),
            Line::Out => V::load(simd, out),
        }
    }

    #[inline(always)]
    fn load_partial<S: Simd>(&self, simd: S, at: usize, out: &[T]) -> V
    where
        V: Vector<T, S>,
    {
        match self {
            Line::Contiguous(x) => V::load_partial(simd, &x[at..], T::zero()),
            Line::Same(v) => *v,
            Line::Strided(x, stride) => {
                let mut lanes = [T::zero(); LANES];
                for (i, lane) in lanes.iter_mut().enumerate().take(out.len()) {
                    *lane = x[(at + i) * stride];
                }
                V::load(simd, &lanes)
            }
            Line::Out => V::load_partial(simd, out, T::zero()),
        }
    }
}

impl<T: Element, F: ZipFn<T>> SimdOp for ZipOp<'_, '_, T, F> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let ZipOp { f, walk, start, a, b, mut out } = self;
        let last = walk.rank - 1;
        // The coordinates of the first element of this chunk.
        let mut at = [0; MAX_RANK];
        let mut rest = start;
        for axis in (0..walk.rank).rev() {
            at[axis] = rest % walk.dims[axis];
            rest /= walk.dims[axis];
        }
        while !out.is_empty() {
            let offset = |strides: &[usize; MAX_RANK]| -> usize {
                (0..walk.rank).map(|axis| at[axis] * strides[axis]).sum()
            };
            let len = out.len().min(walk.dims[last] - at[last]);
            let (line, next) = out.split_at_mut(len);
            let a = Line::<T, T::Vector<S>>::new(simd, a, offset(&walk.a), walk.a[last], len);
            let b = Line::<T, T::Vector<S>>::new(simd, b, offset(&walk.b), walk.b[last], len);
            let (chunks, tail) = line.as_chunks_mut::<LANES>();
            let tail_at = chunks.len() * LANES;
            for (i, out) in chunks.iter_mut().enumerate() {
                f.apply(simd, a.load(simd, i * LANES, out), b.load(simd, i * LANES, out)).store(out);
            }
            if !tail.is_empty() {
                let (a, b) = (a.load_partial(simd, tail_at, tail), b.load_partial(simd, tail_at, tail));
                f.apply(simd, a, b).store_partial(tail);
            }
            out = next;
            at[last] = 0;
            for axis in (0..last).rev() {
                at[axis] += 1;
                if at[axis] < walk.dims[axis] {
                    break;
                }
                at[axis] = 0;
            }
        }
    }
}
