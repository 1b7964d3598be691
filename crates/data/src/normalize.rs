//! Shift and scale per feature, fitted on the training part only.

use crate::dataset::check_len;
use crate::{Dataset, Error, Target};
use alloc::vec;
use alloc::vec::Vec;
use bantam_core::{Real, Shape};

/// (x − shift) / scale for every feature.
///
/// Features of very different sizes make the loss a narrow valley in which gradient descent creeps; after
/// normalisation one learning rate fits all. The numbers are fitted on the **training part** and then applied to
/// every part: a network is judged on data of which nothing was known, not even its mean. So there is no way to fit
/// and apply in one go.
///
/// ```
/// # #[cfg(feature = "iris")]
/// # fn main() -> Result<(), bantam_data::Error> {
/// use bantam_data::{Dataset, Normalize, Stratified};
/// let [train, test] = bantam_data::iris().split(Stratified([0.8, 0.2]), 42)?;
/// let normalize = Normalize::standard(&train)?;
/// let (train, test) = (normalize.apply(train)?, normalize.apply(test)?);
/// # let _ = (train.len(), test.len());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "iris"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Normalize {
    shift: Vec<f32>,
    scale: Vec<f32>,
}

/// What one pass over a data set learns about a feature.
#[derive(Clone, Copy)]
struct Column {
    minimum: f32,
    maximum: f32,
    sum: f64,
}

impl Normalize {
    /// Mean 0 and standard deviation 1 over the training part (of the population: divided by n).
    ///
    /// A feature that is constant becomes 0, or what it differs by if it is not constant elsewhere.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::NonFinite`], and the data set's own.
    pub fn standard<D: Dataset + ?Sized>(train: &D) -> Result<Normalize, Error> {
        let columns = Self::columns(train)?;
        let rows = train.len() as f64;
        let means: Vec<f64> = columns.iter().map(|c| c.sum / rows).collect();
        // A second pass instead of Σx² − n·mean²: that difference has no digits left where the mean is large.
        let mut squares = vec![0.0_f64; columns.len()];
        each_row(train, |_, row| {
            for ((square, &x), mean) in squares.iter_mut().zip(row).zip(&means) {
                let deviation = f64::from(x) - mean;
                *square += deviation * deviation;
            }
            Ok(())
        })?;
        let scale =
            columns.iter().zip(&squares).map(|(c, s)| usable(c, square_root(s / rows) as f32)).collect();
        Ok(Normalize { shift: means.iter().map(|&mean| mean as f32).collect(), scale })
    }

    /// Mean 0 and standard deviation 1 over all features together: for images, whose pixels share a unit. Feature by feature
    /// the few grey levels of pixels that are nearly always black would be blown up.
    ///
    /// # Errors
    /// As for [`standard`](Self::standard).
    pub fn standard_together<D: Dataset + ?Sized>(train: &D) -> Result<Normalize, Error> {
        let columns = Self::columns(train)?;
        let count = (train.len() * columns.len()) as f64;
        let mean = columns.iter().map(|c| c.sum).sum::<f64>() / count;
        let mut square = 0.0;
        each_row(train, |_, row| {
            square += row.iter().map(|&x| (f64::from(x) - mean) * (f64::from(x) - mean)).sum::<f64>();
            Ok(())
        })?;
        let all = columns.iter().fold(columns[0], |all, c| Column {
            minimum: all.minimum.min(c.minimum),
            maximum: all.maximum.max(c.maximum),
            sum: all.sum,
        });
        let scale = usable(&all, square_root(square / count) as f32);
        Ok(Normalize { shift: vec![mean as f32; columns.len()], scale: vec![scale; columns.len()] })
    }

    /// Smallest value 0 and largest 1 over the training part. Other parts may leave that range a little.
    ///
    /// A feature that is constant becomes 0, or what it differs by if it is not constant elsewhere.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::NonFinite`], and the data set's own.
    pub fn min_max<D: Dataset + ?Sized>(train: &D) -> Result<Normalize, Error> {
        let columns = Self::columns(train)?;
        let scale = columns.iter().map(|c| usable(c, c.maximum - c.minimum)).collect();
        Ok(Normalize { shift: columns.iter().map(|c| c.minimum).collect(), scale })
    }

    /// Numbers that were fitted earlier, as a stored model has them.
    ///
    /// # Errors
    /// [`Error::Length`] with different lengths; [`Error::NonFinite`] if a number is not finite or a scale is 0 (row
    /// 0 is the shift, row 1 the scale).
    pub fn from_parts(shift: Vec<f32>, scale: Vec<f32>) -> Result<Normalize, Error> {
        check_len("scales", shift.len(), scale.len())?;
        if let Some(column) = shift.iter().position(|x| !x.is_finite()) {
            return Err(Error::NonFinite { row: 0, column });
        }
        if let Some(column) = scale.iter().position(|x| !x.is_finite() || *x == 0.0) {
            return Err(Error::NonFinite { row: 1, column });
        }
        Ok(Normalize { shift, scale })
    }

    /// What is subtracted from each feature.
    pub fn shift(&self) -> &[f32] {
        &self.shift
    }

    /// What each feature is then divided by.
    pub fn scale(&self) -> &[f32] {
        &self.scale
    }

    /// The data set with normalised features; each sample is computed as it is written.
    ///
    /// # Errors
    /// [`Error::Length`] if it has another number of features than the training part.
    pub fn apply<D: Dataset>(&self, dataset: D) -> Result<Normalized<D>, Error> {
        check_len("features", self.shift.len(), dataset.features().len())?;
        Ok(Normalized { dataset, normalize: self.clone() })
    }

    /// Normalises the features of one sample in place.
    ///
    /// # Errors
    /// [`Error::Length`] with another number of features.
    pub fn apply_to(&self, features: &mut [f32]) -> Result<(), Error> {
        check_len("features", self.shift.len(), features.len())?;
        for ((x, shift), scale) in features.iter_mut().zip(&self.shift).zip(&self.scale) {
            *x = (*x - shift) / scale;
        }
        Ok(())
    }

    fn columns<D: Dataset + ?Sized>(train: &D) -> Result<Vec<Column>, Error> {
        if train.is_empty() {
            return Err(Error::NoRows);
        }
        let nothing = Column { minimum: f32::INFINITY, maximum: f32::NEG_INFINITY, sum: 0.0 };
        let mut columns = vec![nothing; train.features().len()];
        each_row(train, |row_index, row| {
            for (column, (c, &x)) in columns.iter_mut().zip(row).enumerate() {
                if !x.is_finite() {
                    return Err(Error::NonFinite { row: row_index, column });
                }
                *c = Column {
                    minimum: c.minimum.min(x),
                    maximum: c.maximum.max(x),
                    sum: c.sum + f64::from(x),
                };
            }
            Ok(())
        })?;
        Ok(columns)
    }
}

/// Calls `f` with the number and the features of every sample.
fn each_row<D: Dataset + ?Sized>(
    dataset: &D,
    mut f: impl FnMut(usize, &[f32]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut row = vec![0.0; dataset.features().len()];
    for index in 0..dataset.len() {
        dataset.write_features(index, &mut row)?;
        f(index, &row)?;
    }
    Ok(())
}

/// The scale to divide by: 1 for a constant feature, whose spread is 0 or nothing but rounding.
fn usable(column: &Column, scale: f32) -> f32 {
    let divides = column.minimum < column.maximum && scale.is_normal();
    if divides { scale } else { 1.0 }
}

/// `f64::sqrt` is not in `core`; through [`Real`] it is.
fn square_root<T: Real>(x: T) -> T {
    x.sqrt()
}

/// A data set whose features are normalised as they are written. Made by [`Normalize::apply`].
#[derive(Clone, Debug)]
pub struct Normalized<D> {
    dataset: D,
    normalize: Normalize,
}

impl<D: Dataset> Dataset for Normalized<D> {
    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn features(&self) -> Shape {
        self.dataset.features()
    }

    fn target(&self) -> Target {
        self.dataset.target()
    }

    fn write_features(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.dataset.write_features(index, out)?;
        self.normalize.apply_to(out)
    }

    fn label(&self, index: usize) -> Result<u32, Error> {
        self.dataset.label(index)
    }

    fn write_values(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.dataset.write_values(index, out)
    }

    fn class_name(&self, class: u32) -> Option<&str> {
        self.dataset.class_name(class)
    }
}
