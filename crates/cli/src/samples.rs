//! From a data setting to samples: reading, splitting, normalising.

use crate::config::Settings;
use crate::failure::Failure;
use crate::values::Data;
use bantam::data::{self, Dataset, Normalize, Stratified, Target, csv, idx};

/// All samples that a setting names.
pub struct Source {
    /// What is split into a training and a validation part.
    all: Box<dyn Dataset>,
    /// Samples that the source itself sets apart for testing.
    test: Option<Box<dyn Dataset>>,
    /// Whether all features share a unit, as pixels do.
    is_images: bool,
}

type AnyDataset<'s> = Box<dyn Dataset + 's>;

/// The samples of a run.
pub struct Parts<'s> {
    /// What is learned.
    pub train: AnyDataset<'s>,
    /// What was held out.
    pub validation: AnyDataset<'s>,
    /// What was fitted on the training part and applied to both: features have mean 0 and deviation 1.
    pub normalize: Normalize,
}

impl Source {
    /// Reads what `data` names.
    ///
    /// # Errors
    /// The file at fault, where in it, and what is wrong.
    pub fn open(data: &Data) -> Result<Source, Failure> {
        let is_images = data.is_images();
        let source = |all: Box<dyn Dataset>| Source { all, test: None, is_images };
        Ok(match data {
            Data::Digits => source(Box::new(data::digits())),
            Data::Iris => source(Box::new(data::iris())),
            Data::Csv(path) => source(Box::new(csv::read(path, &csv::Options::default())?)),
            Data::Idx(path) => {
                let folder = idx::read_folder(path, idx::Options::default())?;
                let test = folder.test.map(|test| Box::new(test) as Box<dyn Dataset>);
                Source { all: Box::new(folder.train), test, is_images }
            }
        })
    }

    /// The training and the validation part. With a share of 0 the source's own test samples are held out.
    ///
    /// # Errors
    /// A part would be empty, a class would be missing in one, or there are no test samples.
    pub fn parts(&self, settings: &Settings) -> Result<Parts<'_>, Failure> {
        let (train, validation): (AnyDataset<'_>, AnyDataset<'_>) = if settings.validation == 0.0 {
            let test = self.test.as_deref().ok_or_else(|| {
                Failure::new(
                    "--validation 0 needs test files beside the training files, as idx: folders have them",
                )
            })?;
            (Box::new(&*self.all), Box::new(test))
        } else {
            let shares = Stratified([1.0 - settings.validation, settings.validation]);
            let [train, validation] = (&*self.all).split(shares, settings.seed)?;
            (Box::new(train), Box::new(validation))
        };
        let normalize = if self.is_images {
            Normalize::standard_together(&*train)?
        } else {
            Normalize::standard(&*train)?
        };
        Ok(Parts {
            train: Box::new(normalize.apply(train)?),
            validation: Box::new(normalize.apply(validation)?),
            normalize,
        })
    }

    /// All samples but those set apart for testing.
    pub fn all(&self) -> &dyn Dataset {
        &*self.all
    }
}

/// The number of classes.
pub fn classes(dataset: &dyn Dataset) -> usize {
    match dataset.target() {
        Target::Classes(classes) => classes,
        Target::Values(shape) => shape.len(),
    }
}

/// The names of all classes; their numbers where they have none.
pub fn class_names(dataset: &dyn Dataset) -> Vec<String> {
    let name =
        |class: usize| dataset.class_name(class as u32).map_or_else(|| class.to_string(), str::to_owned);
    (0..classes(dataset)).map(name).collect()
}
