//! Data sets that own their numbers.

use crate::dataset::check_len;
use crate::{Dataset, Error, Target};
use alloc::string::String;
use alloc::vec::Vec;
use bantam_core::Shape;
use bantam_tensor::Tensor;

/// Features as `f32`, one row per sample, with class labels or target values.
///
/// ```
/// use bantam_data::{Dataset, InMemory};
/// use bantam_tensor::Tensor;
/// let features = Tensor::from_vec(vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [4, 2]).unwrap();
/// let xor = InMemory::classification(features, vec![0, 1, 1, 0], 2)?;
/// assert_eq!(xor.label(2)?, 1);
/// # Ok::<(), bantam_data::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct InMemory {
    features: Tensor<f32>,
    sample: Shape,
    targets: Targets,
    class_names: Vec<String>,
    feature_names: Vec<String>,
}

#[derive(Clone, Debug)]
enum Targets {
    Labels { labels: Vec<u32>, classes: usize },
    Values { values: Tensor<f32>, sample: Shape },
    Unknown(Target),
}

/// Splits the shape of a whole table into the number of samples and the shape of one; all numbers must be finite.
fn check_table(table: &Tensor<f32>) -> Result<(usize, Shape), Error> {
    let shape = table.shape();
    let (&rows, sample) = shape.dims().split_first().ok_or(Error::NoRows)?;
    if rows == 0 {
        return Err(Error::NoRows);
    }
    let width = table.data().len() / rows;
    if width == 0 {
        return Err(Error::NoFeatures);
    }
    if let Some(at) = table.data().iter().position(|x| !x.is_finite()) {
        return Err(Error::NonFinite { row: at / width, column: at % width });
    }
    // One axis fewer than a shape that exists.
    Ok((rows, Shape::new(sample).unwrap_or(Shape::SCALAR)))
}

impl InMemory {
    /// Samples along the first axis of `features`, with one label below `classes` each.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::NoFeatures`], [`Error::NonFinite`], [`Error::Length`] with more or fewer labels
    /// than samples, [`Error::Label`].
    pub fn classification(
        features: Tensor<f32>,
        labels: Vec<u32>,
        classes: usize,
    ) -> Result<InMemory, Error> {
        let (rows, sample) = check_table(&features)?;
        check_len("labels", rows, labels.len())?;
        if let Some(row) = labels.iter().position(|&label| label as usize >= classes) {
            return Err(Error::Label { row, label: labels[row], classes });
        }
        let targets = Targets::Labels { labels, classes };
        Ok(InMemory { features, sample, targets, class_names: Vec::new(), feature_names: Vec::new() })
    }

    /// Samples along the first axis of `features`, with the values along the first axis of `values`.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::NoFeatures`], [`Error::NonFinite`], [`Error::Length`] with different numbers of
    /// samples.
    pub fn regression(features: Tensor<f32>, values: Tensor<f32>) -> Result<InMemory, Error> {
        let (rows, sample) = check_table(&features)?;
        let (value_rows, value_sample) = check_table(&values)?;
        check_len("rows of target values", rows, value_rows)?;
        let targets = Targets::Values { values, sample: value_sample };
        Ok(InMemory { features, sample, targets, class_names: Vec::new(), feature_names: Vec::new() })
    }

    /// Samples along the first axis of `features` whose targets are not known: to predict. `target` says what there is to
    /// predict.
    ///
    /// # Errors
    /// [`Error::NoRows`], [`Error::NoFeatures`], [`Error::NonFinite`].
    pub fn without_targets(features: Tensor<f32>, target: Target) -> Result<InMemory, Error> {
        let (_, sample) = check_table(&features)?;
        let targets = Targets::Unknown(target);
        Ok(InMemory { features, sample, targets, class_names: Vec::new(), feature_names: Vec::new() })
    }

    /// Gives the classes names, in the order of their labels.
    #[must_use]
    pub fn with_class_names(mut self, names: Vec<String>) -> InMemory {
        self.class_names = names;
        self
    }

    /// Gives the features names, in the order of their columns.
    #[must_use]
    pub fn with_feature_names(mut self, names: Vec<String>) -> InMemory {
        self.feature_names = names;
        self
    }

    /// The names of the features, in the order of their columns; empty if they have none.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// The names of the classes, in the order of their labels; empty if they have none.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// All features, shape [samples, …].
    pub fn table(&self) -> &Tensor<f32> {
        &self.features
    }
}

/// Row `index` of a table.
fn write_row(
    table: &Tensor<f32>,
    rows: usize,
    index: usize,
    what: &'static str,
    out: &mut [f32],
) -> Result<(), Error> {
    if index >= rows {
        return Err(Error::Index { index, len: rows });
    }
    let width = table.data().len() / rows;
    check_len(what, width, out.len())?;
    out.copy_from_slice(&table.data()[index * width..(index + 1) * width]);
    Ok(())
}

impl Dataset for InMemory {
    fn len(&self) -> usize {
        self.features.shape()[0]
    }

    fn features(&self) -> Shape {
        self.sample
    }

    fn target(&self) -> Target {
        match &self.targets {
            Targets::Labels { classes, .. } => Target::Classes(*classes),
            Targets::Values { sample, .. } => Target::Values(*sample),
            Targets::Unknown(target) => *target,
        }
    }

    fn write_features(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        write_row(&self.features, self.len(), index, "features", out)
    }

    fn label(&self, index: usize) -> Result<u32, Error> {
        match &self.targets {
            Targets::Labels { labels, .. } => {
                labels.get(index).copied().ok_or(Error::Index { index, len: labels.len() })
            }
            Targets::Values { .. } | Targets::Unknown(_) => Err(Error::NoLabels),
        }
    }

    fn write_values(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        match &self.targets {
            Targets::Values { values, .. } => write_row(values, self.len(), index, "target values", out),
            Targets::Labels { .. } | Targets::Unknown(_) => Err(Error::NoValues),
        }
    }

    fn class_name(&self, class: u32) -> Option<&str> {
        self.class_names.get(class as usize).map(String::as_str)
    }
}
