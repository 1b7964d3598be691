//! A layout over borrowed numbers.

use crate::layout::element_count;
use crate::{Error, Layout, Shape};
use core::ops::Range;

/// Numbers that lie somewhere else, looked at through a [`Layout`].
///
/// A view is `Copy`; every operation returns another view of the same numbers and moves none. Operations with a
/// counterpart on [`Layout`] have the same errors.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    data: &'a [T],
    layout: Layout,
}

impl<'a, T: Copy> View<'a, T> {
    /// A view of contiguous, row-major `data`.
    ///
    /// # Errors
    /// [`Error::Length`] unless `data` has as many elements as the shape.
    pub fn new(data: &'a [T], shape: impl Into<Shape>) -> Result<View<'a, T>, Error> {
        let shape = shape.into();
        if element_count(shape) != Some(data.len()) {
            return Err(Error::Length { shape, found: data.len() });
        }
        Ok(View::of_contiguous(data, shape))
    }

    /// As [`new`](Self::new), for a caller who knows that the lengths agree.
    pub(crate) fn of_contiguous(data: &'a [T], shape: Shape) -> View<'a, T> {
        View { data, layout: Layout::contiguous(shape) }
    }

    /// The lengths of the axes.
    pub fn shape(&self) -> Shape {
        self.layout.shape()
    }

    /// Where the elements lie in [`storage`](Self::storage).
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// All numbers that the layout selects from, in the order they lie in.
    pub fn storage(&self) -> &'a [T] {
        self.data
    }

    /// The number of elements.
    #[allow(
        clippy::len_without_is_empty,
        reason = "as for Shape: empty tensors are rejected where data enters"
    )]
    pub fn len(&self) -> usize {
        self.shape().len()
    }

    /// The element with this index; `None` if the index has another rank or leaves the shape.
    pub fn get(&self, index: &[usize]) -> Option<T> {
        self.data.get(self.layout.offset_of(index)?).copied()
    }

    /// All elements in row-major order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + 'a {
        let data = self.data;
        self.layout.offsets().map(move |at| data[at])
    }

    /// The elements as one slice, if they are contiguous and row-major.
    pub fn as_slice(&self) -> Option<&'a [T]> {
        let (start, len) = (self.layout.offset(), self.len());
        if self.layout.is_contiguous() { self.data.get(start..start + len) } else { None }
    }

    /// Writes all elements in row-major order into `out`.
    ///
    /// # Errors
    /// [`Error::Length`] unless `out` has as many elements as the view; nothing is written then.
    pub fn copy_to(&self, out: &mut [T]) -> Result<(), Error> {
        if out.len() != self.len() {
            return Err(Error::Length { shape: self.shape(), found: out.len() });
        }
        match self.as_slice() {
            Some(slice) => out.copy_from_slice(slice),
            None => out.iter_mut().zip(self.iter()).for_each(|(o, x)| *o = x),
        }
        Ok(())
    }

    fn with(self, layout: Result<Layout, Error>) -> Result<View<'a, T>, Error> {
        Ok(View { data: self.data, layout: layout? })
    }

    /// Axis `i` of the result is axis `axes[i]` of this view: [`Layout::permute`].
    ///
    /// # Errors
    /// [`Error::Permutation`].
    pub fn permute(self, axes: &[usize]) -> Result<View<'a, T>, Error> {
        self.with(self.layout.permute(axes))
    }

    /// Swaps the last two axes: [`Layout::transpose`].
    ///
    /// # Errors
    /// [`Error::Axis`].
    pub fn transpose(self) -> Result<View<'a, T>, Error> {
        self.with(self.layout.transpose())
    }

    /// Every `step`-th element of `range` along `axis`, from the range's end if `step` is negative:
    /// [`Layout::slice`].
    ///
    /// # Errors
    /// [`Error::Axis`], [`Error::Range`], [`Error::ZeroStep`].
    pub fn slice(self, axis: usize, range: Range<usize>, step: isize) -> Result<View<'a, T>, Error> {
        self.with(self.layout.slice(axis, range, step))
    }

    /// Reverses `axis`: [`Layout::flip`].
    ///
    /// # Errors
    /// [`Error::Axis`].
    pub fn flip(self, axis: usize) -> Result<View<'a, T>, Error> {
        self.with(self.layout.flip(axis))
    }

    /// The part with `index` along `axis`, which disappears: [`Layout::index`].
    ///
    /// # Errors
    /// [`Error::Axis`], [`Error::Range`].
    pub fn index(self, axis: usize, index: usize) -> Result<View<'a, T>, Error> {
        self.with(self.layout.index(axis, index))
    }

    /// Repeats the elements along new or length-1 axes by NumPy's rule: [`Layout::broadcast_to`].
    ///
    /// # Errors
    /// [`Error::Broadcast`].
    pub fn broadcast_to(self, to: impl Into<Shape>) -> Result<View<'a, T>, Error> {
        self.with(self.layout.broadcast_to(to.into()))
    }

    /// The same elements under another shape: [`Layout::reshape`].
    ///
    /// # Errors
    /// [`Error::Reshape`], [`Error::NotContiguous`].
    pub fn reshape(self, to: impl Into<Shape>) -> Result<View<'a, T>, Error> {
        self.with(self.layout.reshape(to.into()))
    }
}

/// Equal shapes and equal elements, wherever they lie.
impl<T: Copy + PartialEq> PartialEq for View<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape() && self.iter().eq(other.iter())
    }
}
