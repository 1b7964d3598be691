//! Numbers with an owner.

use crate::layout::element_count;
use crate::{Error, Shape, View};
use alloc::vec::Vec;

/// Owned numbers and their shape, contiguous and row-major.
///
/// ```
/// use bantam_tensor::Tensor;
/// let table = Tensor::from_fn([3, 4], |index| (index[0] + 1) * (index[1] + 1));
/// assert_eq!(table.view().get(&[2, 3]), Some(12));
/// assert_eq!(format!("{table}"), "[[ 1,  2,  3,  4],\n [ 2,  4,  6,  8],\n [ 3,  6,  9, 12]]");
/// ```
#[derive(Clone, PartialEq)]
pub struct Tensor<T> {
    data: Vec<T>,
    shape: Shape,
}

impl<T: Copy> Tensor<T> {
    /// A tensor over `data` in row-major order.
    ///
    /// # Errors
    /// [`Error::Length`] unless `data` has as many elements as the shape.
    pub fn from_vec(data: Vec<T>, shape: impl Into<Shape>) -> Result<Tensor<T>, Error> {
        let shape = shape.into();
        if element_count(shape) != Some(data.len()) {
            return Err(Error::Length { shape, found: data.len() });
        }
        Ok(Tensor { data, shape })
    }

    /// A tensor whose every element is `value`.
    pub fn full(shape: impl Into<Shape>, value: T) -> Tensor<T> {
        let shape = shape.into();
        Tensor { data: alloc::vec![value; shape.len()], shape }
    }

    /// A tensor of zeros (of the type's default value).
    pub fn zeros(shape: impl Into<Shape>) -> Tensor<T>
    where
        T: Default,
    {
        Tensor::full(shape, T::default())
    }

    /// A tensor whose element at `index` is `value(index)`; called in row-major order.
    pub fn from_fn(shape: impl Into<Shape>, mut value: impl FnMut(&[usize]) -> T) -> Tensor<T> {
        let shape = shape.into();
        let mut index = [0; crate::MAX_RANK];
        let mut data = Vec::with_capacity(shape.len());
        for _ in 0..shape.len() {
            data.push(value(&index[..shape.rank()]));
            for axis in (0..shape.rank()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Tensor { data, shape }
    }

    /// The lengths of the axes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The elements in row-major order.
    pub fn data(&self) -> &[T] {
        &self.data
    }

    /// The elements in row-major order, to change.
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// The elements in row-major order, without a copy.
    pub fn into_vec(self) -> Vec<T> {
        self.data
    }

    /// The tensor as a view, to transpose, slice or broadcast.
    pub fn view(&self) -> View<'_, T> {
        View::of_contiguous(&self.data, self.shape)
    }

    /// The same elements under another shape, without a copy.
    ///
    /// # Errors
    /// [`Error::Reshape`] if the numbers of elements differ.
    pub fn reshape(self, to: impl Into<Shape>) -> Result<Tensor<T>, Error> {
        let (from, to) = (self.shape, to.into());
        if element_count(to) != Some(self.data.len()) {
            return Err(Error::Reshape { from, to });
        }
        Ok(Tensor { data: self.data, shape: to })
    }
}

impl<T: Copy> View<'_, T> {
    /// A contiguous, row-major copy of the elements.
    pub fn to_tensor(&self) -> Tensor<T> {
        Tensor { data: self.to_vec(), shape: self.shape() }
    }

    /// A copy of the elements in row-major order.
    pub fn to_vec(&self) -> Vec<T> {
        match self.as_slice() {
            Some(slice) => slice.to_vec(),
            None => self.iter().collect(),
        }
    }
}
