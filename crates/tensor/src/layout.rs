//! Where the element with a given index lies: shape, strides, offset, and what can be done to them for free.

use bantam_core::{MAX_RANK, Shape};
use core::fmt;
use core::ops::Range;

/// Why a layout cannot be made. Axes count from 0, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The number of elements is not what the shape asks for.
    Length {
        /// The shape asked for.
        shape: Shape,
        /// How many elements there are.
        found: usize,
    },
    /// There is no such axis.
    Axis {
        /// The axis asked for.
        axis: usize,
        /// The number of axes.
        rank: usize,
    },
    /// The axes given are not each axis once.
    Permutation {
        /// The number of axes.
        rank: usize,
    },
    /// The range does not lie inside the axis.
    Range {
        /// The axis.
        axis: usize,
        /// Its length.
        len: usize,
        /// The first element asked for.
        start: usize,
        /// One past the last element asked for.
        end: usize,
    },
    /// A slice with step 0.
    ZeroStep {
        /// The axis.
        axis: usize,
    },
    /// The shape does not broadcast to the other by NumPy's rule.
    Broadcast {
        /// The shape there is.
        from: Shape,
        /// The shape asked for.
        to: Shape,
    },
    /// The shapes have different numbers of elements.
    Reshape {
        /// The shape there is.
        from: Shape,
        /// The shape asked for.
        to: Shape,
    },
    /// The elements are not contiguous and row-major, so they have to be copied first.
    NotContiguous {
        /// The shape of the view.
        shape: Shape,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Length { shape, found } => match element_count(*shape) {
                Some(len) => write!(f, "shape {shape} needs {len} elements, got {found}"),
                None => write!(f, "shape {shape} has more elements than can be addressed, got {found}"),
            },
            Error::Axis { axis, rank } => write!(f, "there is no axis {axis} in a tensor with {rank} axes"),
            Error::Permutation { rank } => {
                write!(f, "a permutation of {rank} axes names each of them exactly once")
            }
            Error::Range { axis, len, start, end } => {
                write!(f, "range {start}..{end} does not lie inside axis {axis} of length {len}")
            }
            Error::ZeroStep { axis } => write!(f, "the slice of axis {axis} has step 0"),
            Error::Broadcast { from, to } => write!(f, "shape {from} does not broadcast to {to}"),
            Error::Reshape { from, to } => {
                write!(f, "shape {from} cannot become {to}: the numbers of elements differ")
            }
            Error::NotContiguous { shape } => {
                write!(f, "the view of shape {shape} is not contiguous and has to be copied first")
            }
        }
    }
}

impl core::error::Error for Error {}

/// The number of elements of `shape`, or `None` if it does not fit a `usize`.
pub(crate) fn element_count(shape: Shape) -> Option<usize> {
    if shape.dims().contains(&0) {
        return Some(0);
    }
    shape.dims().iter().try_fold(1_usize, |n, &dim| n.checked_mul(dim))
}

/// Where the element with a given index lies: `offset + Σ index[axis] · stride[axis]`.
///
/// Every layout is made from a contiguous one by operations that only ever select elements, so all offsets stay
/// inside the storage that the first one described.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    shape: Shape,
    strides: [isize; MAX_RANK],
    offset: usize,
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} strides {:?} offset {}", self.shape, self.strides(), self.offset)
    }
}

impl Layout {
    /// Row-major, without gaps: the last axis has stride 1.
    pub fn contiguous(shape: Shape) -> Layout {
        let mut strides = [0; MAX_RANK];
        for (stride, n) in strides.iter_mut().zip(shape.strides().iter()) {
            *stride = *n as isize;
        }
        Layout { shape, strides, offset: 0 }
    }

    /// The lengths of the axes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// How far apart neighbours along each axis lie, in elements: negative after a flip, 0 where broadcast.
    pub fn strides(&self) -> &[isize] {
        &self.strides[..self.shape.rank()]
    }

    /// Where the element with index `[0, 0, …]` lies.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Whether the elements lie without gaps in row-major order. Strides of axes of length 1 do not matter.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&dim, &stride) in self.shape.dims().iter().zip(self.strides()).rev() {
            if dim > 1 && stride != expected {
                return self.shape.dims().contains(&0);
            }
            expected *= dim as isize;
        }
        true
    }

    /// Where the element with this index lies; `None` if the index has another rank or leaves the shape.
    pub fn offset_of(&self, index: &[usize]) -> Option<usize> {
        if index.len() != self.shape.rank() {
            return None;
        }
        let mut at = self.offset as isize;
        for ((&i, &dim), &stride) in index.iter().zip(self.shape.dims()).zip(self.strides()) {
            if i >= dim {
                return None;
            }
            at += i as isize * stride;
        }
        Some(at as usize)
    }

    /// The offsets of all elements in row-major order of their indices.
    pub fn offsets(&self) -> Offsets {
        Offsets { layout: *self, index: [0; MAX_RANK], at: self.offset as isize, left: self.shape.len() }
    }

    fn check_axis(&self, axis: usize) -> Result<(), Error> {
        let rank = self.shape.rank();
        if axis < rank { Ok(()) } else { Err(Error::Axis { axis, rank }) }
    }

    /// Axis `i` of the result is axis `axes[i]` of this layout, as in NumPy's `transpose(axes)`.
    ///
    /// # Errors
    /// [`Error::Permutation`] unless `axes` names each axis once.
    pub fn permute(&self, axes: &[usize]) -> Result<Layout, Error> {
        let rank = self.shape.rank();
        let mut seen = [false; MAX_RANK];
        let mut out = *self;
        if axes.len() != rank {
            return Err(Error::Permutation { rank });
        }
        for (to, &from) in axes.iter().enumerate() {
            if from >= rank || seen[from] {
                return Err(Error::Permutation { rank });
            }
            seen[from] = true;
            out.shape.dims_mut()[to] = self.shape[from];
            out.strides[to] = self.strides[from];
        }
        Ok(out)
    }

    /// Swaps the last two axes: a matrix is transposed, a batch of matrices one by one.
    ///
    /// # Errors
    /// [`Error::Axis`] with fewer than two axes.
    pub fn transpose(&self) -> Result<Layout, Error> {
        let rank = self.shape.rank();
        self.check_axis(1)?;
        let mut axes: [usize; MAX_RANK] = core::array::from_fn(|axis| axis);
        axes.swap(rank - 1, rank - 2);
        self.permute(&axes[..rank])
    }

    /// Every `step`-th element of `range` along `axis`. With a negative step the range is walked from its end: a step
    /// of -1 takes the same elements as 1 in reverse order.
    ///
    /// # Errors
    /// [`Error::Axis`], [`Error::Range`] if the range leaves the axis or ends before it starts, [`Error::ZeroStep`].
    pub fn slice(&self, axis: usize, range: Range<usize>, step: isize) -> Result<Layout, Error> {
        self.check_axis(axis)?;
        let len = self.shape[axis];
        let Range { start, end } = range;
        if start > end || end > len {
            return Err(Error::Range { axis, len, start, end });
        }
        if step == 0 {
            return Err(Error::ZeroStep { axis });
        }
        let mut out = *self;
        let taken = (end - start).div_ceil(step.unsigned_abs());
        out.shape.dims_mut()[axis] = taken;
        if taken > 0 {
            let first = if step > 0 { start } else { end - 1 };
            out.offset = (self.offset as isize + first as isize * self.strides[axis]) as usize;
        }
        // With at most one element left the stride is never walked, and multiplying by a huge step must not overflow.
        if taken > 1 {
            out.strides[axis] = self.strides[axis] * step;
        }
        Ok(out)
    }

    /// The elements along `axis` in reverse order.
    ///
    /// # Errors
    /// [`Error::Axis`].
    pub fn flip(&self, axis: usize) -> Result<Layout, Error> {
        self.check_axis(axis)?;
        self.slice(axis, 0..self.shape[axis], -1)
    }

    /// The part with `index` along `axis`; that axis disappears.
    ///
    /// # Errors
    /// [`Error::Axis`], [`Error::Range`].
    pub fn index(&self, axis: usize, index: usize) -> Result<Layout, Error> {
        self.check_axis(axis)?;
        let len = self.shape[axis];
        if index >= len {
            return Err(Error::Range { axis, len, start: index, end: index.saturating_add(1) });
        }
        let rank = self.shape.rank();
        let mut out = Layout { shape: Shape::SCALAR, strides: [0; MAX_RANK], offset: self.offset };
        out.offset = (self.offset as isize + index as isize * self.strides[axis]) as usize;
        let mut dims = [0; MAX_RANK];
        let mut kept = 0;
        for from in (0..rank).filter(|&from| from != axis) {
            dims[kept] = self.shape[from];
            out.strides[kept] = self.strides[from];
            kept += 1;
        }
        out.shape = Shape::new(&dims[..kept]).unwrap_or(Shape::SCALAR);
        Ok(out)
    }

    /// The same elements repeated along new or length-1 axes by NumPy's rule, with stride 0.
    ///
    /// # Errors
    /// [`Error::Broadcast`].
    pub fn broadcast_to(&self, to: Shape) -> Result<Layout, Error> {
        let from = self.shape;
        let added = to.rank().checked_sub(from.rank()).ok_or(Error::Broadcast { from, to })?;
        let mut out = Layout { shape: to, strides: [0; MAX_RANK], offset: self.offset };
        for axis in 0..from.rank() {
            if from[axis] == to[added + axis] {
                out.strides[added + axis] = self.strides[axis];
            } else if from[axis] != 1 {
                return Err(Error::Broadcast { from, to });
            }
        }
        Ok(out)
    }

    /// The same elements in the same row-major order under another shape.
    ///
    /// # Errors
    /// [`Error::Reshape`] if the numbers of elements differ, [`Error::NotContiguous`].
    pub fn reshape(&self, to: Shape) -> Result<Layout, Error> {
        if element_count(to) != Some(self.shape.len()) {
            return Err(Error::Reshape { from: self.shape, to });
        }
        if !self.is_contiguous() {
            return Err(Error::NotContiguous { shape: self.shape });
        }
        Ok(Layout { offset: self.offset, ..Layout::contiguous(to) })
    }
}

/// The offsets of a layout's elements in row-major order. Made by [`Layout::offsets`].
#[derive(Clone, Debug)]
pub struct Offsets {
    layout: Layout,
    index: [usize; MAX_RANK],
    at: isize,
    left: usize,
}

impl Iterator for Offsets {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let found = self.at as usize;
        for axis in (0..self.layout.shape.rank()).rev() {
            self.index[axis] += 1;
            self.at += self.layout.strides[axis];
            if self.index[axis] < self.layout.shape[axis] {
                break;
            }
            self.at -= self.layout.strides[axis] * self.index[axis] as isize;
            self.index[axis] = 0;
        }
        Some(found)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Offsets {}
