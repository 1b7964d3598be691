//! The seam between samples and whoever trains on them.

use crate::Error;
use bantam_core::Shape;
use core::ops::Range;

/// What a network is to predict for each sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One class out of so many: classification.
    Classes(usize),
    /// Numbers of this shape: regression.
    Values(Shape),
}

/// Samples with a number, features and a target each.
///
/// A sample writes itself into a slice that the caller lends, which is a session's own input: there is no vector of
/// items and no copy in between, on a host and on a board. All samples have the same shape.
///
/// An implementation for class labels has [`label`](Self::label), one for values has
/// [`write_values`](Self::write_values).
pub trait Dataset {
    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one sample's features: `[n]` for a table, `[channels, height, width]` for images.
    fn features(&self) -> Shape;

    /// What is to be predicted.
    fn target(&self) -> Target;

    /// Writes the features of sample `index`, row-major, into `out`.
    ///
    /// # Errors
    /// [`Error::Index`]; [`Error::Length`] unless `out` has as many elements as [`features`](Self::features).
    fn write_features(&self, index: usize, out: &mut [f32]) -> Result<(), Error>;

    /// The class of sample `index`.
    ///
    /// # Errors
    /// [`Error::Index`]; [`Error::NoLabels`] if the targets are values.
    fn label(&self, index: usize) -> Result<u32, Error> {
        let _ = index;
        Err(Error::NoLabels)
    }

    /// Writes the target values of sample `index`, row-major, into `out`.
    ///
    /// # Errors
    /// [`Error::Index`]; [`Error::Length`]; [`Error::NoValues`] if the targets are classes.
    fn write_values(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        let _ = (index, out);
        Err(Error::NoValues)
    }

    /// The name of a class, if it has one.
    fn class_name(&self, class: u32) -> Option<&str> {
        let _ = class;
        None
    }

    /// The samples of `range` alone, as a data set.
    ///
    /// # Errors
    /// [`Error::Index`] if the range leaves the data set, [`Error::NoRows`] if it is empty.
    fn rows(self, range: Range<usize>) -> Result<Rows<Self>, Error>
    where
        Self: Sized,
    {
        Rows::new(self, range)
    }

    /// Splits the samples into parts, such as training and test.
    ///
    /// The parts share the data: split a reference (`(&data).split(…)`) or a data set over borrowed bytes, which is
    /// `Copy`.
    ///
    /// ```
    /// # #[cfg(feature = "iris")]
    /// # fn main() -> Result<(), bantam_data::Error> {
    /// use bantam_data::{Dataset, Stratified};
    /// let iris = bantam_data::iris();
    /// let [train, validation, test] = (&iris).split(Stratified([0.6, 0.2, 0.2]), 42)?;
    /// assert_eq!([train.len(), validation.len(), test.len()], [90, 30, 30]);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "iris"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// [`Error::NoRows`]; [`Error::Fraction`]; a part that would be empty; for a stratified split [`Error::NoLabels`]
    /// and a class that would be missing in a part.
    #[cfg(feature = "alloc")]
    fn split<const N: usize>(self, how: crate::Split<N>, seed: u64) -> Result<[crate::Subset<Self>; N], Error>
    where
        Self: Sized + Clone,
    {
        crate::split::split(self, how, seed)
    }

    /// Cross-validation: `folds` pairs of training and validation parts; every sample is in exactly one validation
    /// part.
    ///
    /// # Errors
    /// [`Error::Folds`] with fewer than 2 folds or more folds than samples.
    #[cfg(feature = "alloc")]
    fn k_fold(self, folds: usize, seed: u64) -> Result<alloc::vec::Vec<[crate::Subset<Self>; 2]>, Error>
    where
        Self: Sized + Clone,
    {
        crate::split::k_fold(self, folds, false, seed)
    }

    /// As [`k_fold`](Self::k_fold), with every class as frequent in each part as it is in all samples.
    ///
    /// # Errors
    /// As for `k_fold`, and [`Error::NoLabels`], [`Error::ClassTooSmall`] with fewer samples than folds.
    #[cfg(feature = "alloc")]
    fn stratified_k_fold(
        self,
        folds: usize,
        seed: u64,
    ) -> Result<alloc::vec::Vec<[crate::Subset<Self>; 2]>, Error>
    where
        Self: Sized + Clone,
    {
        crate::split::k_fold(self, folds, true, seed)
    }
}

macro_rules! through_pointer {
    ($($(#[$attribute:meta])* $pointer:ty),*) => {$(
        $(#[$attribute])*
        impl<D: Dataset + ?Sized> Dataset for $pointer {
            fn len(&self) -> usize {
                (**self).len()
            }

            fn features(&self) -> Shape {
                (**self).features()
            }

            fn target(&self) -> Target {
                (**self).target()
            }

            fn write_features(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
                (**self).write_features(index, out)
            }

            fn label(&self, index: usize) -> Result<u32, Error> {
                (**self).label(index)
            }

            fn write_values(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
                (**self).write_values(index, out)
            }

            fn class_name(&self, class: u32) -> Option<&str> {
                (**self).class_name(class)
            }
        }
    )*};
}
through_pointer!(
    &D,
    #[cfg(feature = "alloc")]
    alloc::boxed::Box<D>
);

/// `out` must have `expected` elements.
pub(crate) fn check_len(what: &'static str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found { Ok(()) } else { Err(Error::Length { what, expected, found }) }
}

/// A range of a data set's samples. Made by [`Dataset::rows`].
#[derive(Clone, Copy, Debug)]
pub struct Rows<D> {
    dataset: D,
    start: usize,
    len: usize,
}

impl<D: Dataset> Rows<D> {
    fn new(dataset: D, range: Range<usize>) -> Result<Rows<D>, Error> {
        let len = dataset.len();
        if range.end > len {
            return Err(Error::Index { index: range.end - 1, len });
        }
        if range.is_empty() {
            return Err(Error::NoRows);
        }
        Ok(Rows { dataset, start: range.start, len: range.end - range.start })
    }

    fn at(&self, index: usize) -> Result<usize, Error> {
        if index < self.len { Ok(self.start + index) } else { Err(Error::Index { index, len: self.len }) }
    }
}

impl<D: Dataset> Dataset for Rows<D> {
    fn len(&self) -> usize {
        self.len
    }

    fn features(&self) -> Shape {
        self.dataset.features()
    }

    fn target(&self) -> Target {
        self.dataset.target()
    }

    fn write_features(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.dataset.write_features(self.at(index)?, out)
    }

    fn label(&self, index: usize) -> Result<u32, Error> {
        self.dataset.label(self.at(index)?)
    }

    fn write_values(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.dataset.write_values(self.at(index)?, out)
    }

    fn class_name(&self, class: u32) -> Option<&str> {
        self.dataset.class_name(class)
    }
}
