//! From a data setting to samples: reading, splitting, normalising.

use crate::config::Settings;
use crate::failure::Failure;
use crate::values::Data;
use bantam::data::{self, Dataset, Normalize, Shape, Stratified, Target, csv, idx};

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
            let split = (&*self.all).split(shares, settings.seed);
            let [train, validation] = split.map_err(|error| self.explain(&settings.data, error))?;
            (Box::new(train), Box::new(validation))
        };
        self.normalized(train, validation)
    }

    /// The parts of cross-validation: each of `folds` parts is held out once while the others are learned.
    ///
    /// # Errors
    /// Fewer than 2 folds, or a class with fewer samples than folds.
    pub fn folds(&self, folds: usize, settings: &Settings) -> Result<Vec<Parts<'_>>, Failure> {
        let parts = (&*self.all).stratified_k_fold(folds, settings.seed);
        let parts = parts.map_err(|error| self.explain(&settings.data, error))?;
        parts.into_iter().map(|[train, held]| self.normalized(Box::new(train), Box::new(held))).collect()
    }

    /// Both parts with the normalisation that is fitted on the first.
    fn normalized<'s>(
        &self,
        train: AnyDataset<'s>,
        validation: AnyDataset<'s>,
    ) -> Result<Parts<'s>, Failure> {
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

    /// A class by its name, where the data only knows its number.
    fn explain(&self, data: &Data, error: data::Error) -> Failure {
        match error {
            data::Error::ClassTooSmall { class, rows, parts } => Failure::new(format!(
                "{data}: class {} has {rows} sample{}, expected at least {parts}, for each part needs one of every class",
                class_name(&*self.all, class),
                if rows == 1 { "" } else { "s" },
            )),
            error => Failure::new(format!("{data}: {error}")),
        }
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
    (0..classes(dataset) as u32).map(|class| class_name(dataset, class)).collect()
}

fn class_name(dataset: &dyn Dataset, class: u32) -> String {
    dataset.class_name(class).map_or_else(|| class.to_string(), str::to_owned)
}

/// Samples under the class numbers that a network learned: other data may have fewer classes, and counts only those
/// that it has.
pub struct Relabelled<'s> {
    samples: &'s dyn Dataset,
    /// The network's number of each of the samples' classes.
    numbers: Vec<u32>,
    names: &'s [String],
}

impl<'s> Relabelled<'s> {
    /// `samples` for a network that knows the classes `names`; `data` is what errors call the samples.
    ///
    /// # Errors
    /// The network does not know a class.
    pub fn new(samples: &'s dyn Dataset, names: &'s [String], data: &Data) -> Result<Self, Failure> {
        let number = |name: String| {
            names.iter().position(|known| *known == name).map(|number| number as u32).ok_or_else(|| {
                let known = names.join(", ");
                Failure::new(format!("{data}: the network knows no class `{name}`; it learned {known}"))
            })
        };
        let numbers = class_names(samples).into_iter().map(number).collect::<Result<_, _>>()?;
        Ok(Relabelled { samples, numbers, names })
    }
}

impl Dataset for Relabelled<'_> {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn features(&self) -> Shape {
        self.samples.features()
    }

    fn target(&self) -> Target {
        Target::Classes(self.names.len())
    }

    fn write_features(&self, index: usize, out: &mut [f32]) -> Result<(), data::Error> {
        self.samples.write_features(index, out)
    }

    fn label(&self, index: usize) -> Result<u32, data::Error> {
        let label = self.samples.label(index)?;
        let classes = self.numbers.len();
        self.numbers.get(label as usize).copied().ok_or(data::Error::Label { row: index, label, classes })
    }

    fn class_name(&self, class: u32) -> Option<&str> {
        self.names.get(class as usize).map(String::as_str)
    }
}
