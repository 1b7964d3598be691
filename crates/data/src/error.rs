//! What can be wrong with data in memory. Files have errors of their own, which also say where.

use core::fmt;

/// What can be wrong with a data set, a split or a batch. Rows and columns count from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// There is no such sample.
    Index {
        /// The sample asked for.
        index: usize,
        /// How many there are.
        len: usize,
    },
    /// No samples at all.
    NoRows,
    /// Samples without features, or targets without values.
    NoFeatures,
    /// A slice has the wrong length.
    Length {
        /// What the slice holds, such as "labels".
        what: &'static str,
        /// The length it needs.
        expected: usize,
        /// The length it has.
        found: usize,
    },
    /// A label is not below the number of classes.
    Label {
        /// The sample.
        row: usize,
        /// Its label.
        label: u32,
        /// The number of classes.
        classes: usize,
    },
    /// NaN or an infinity.
    NonFinite {
        /// The sample.
        row: usize,
        /// The feature, or the value if the target is meant.
        column: usize,
    },
    /// Labels are asked of a data set whose targets are values.
    NoLabels,
    /// Target values are asked of a data set that has labels.
    NoValues,
    /// A batch of no samples.
    ZeroBatch,
    /// More samples in a batch than there are, and incomplete batches are dropped.
    BatchTooLarge {
        /// Samples in a batch.
        batch: usize,
        /// Samples in the data set.
        rows: usize,
    },
    /// A fraction is not in (0, 1), or all of them do not add up to 1.
    Fraction {
        /// The fraction, or the sum.
        found: f64,
    },
    /// There are too few samples to have one in every part.
    PartTooSmall {
        /// How many samples there are.
        rows: usize,
        /// How many parts.
        parts: usize,
    },
    /// A class has too few samples to have one in every part.
    ClassTooSmall {
        /// The class.
        class: u32,
        /// Its samples.
        rows: usize,
        /// How many parts.
        parts: usize,
    },
    /// Fewer than two folds, or more than there are samples.
    Folds {
        /// How many folds were asked for.
        folds: usize,
        /// How many samples there are.
        rows: usize,
    },
    /// A data set of the user's own has something else to say.
    Custom(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Index { index, len } => write!(f, "there is no sample {index} in a data set of {len}"),
            Error::NoRows => f.write_str("the data set has no samples"),
            Error::NoFeatures => f.write_str("the samples have no features"),
            Error::Length { what, expected, found } => write!(f, "expected {expected} {what}, got {found}"),
            Error::Label { row, label, classes } => {
                write!(f, "sample {row} has label {label}, but there are only {classes} classes")
            }
            Error::NonFinite { row, column } => {
                write!(f, "sample {row}, column {column} is NaN or infinite; every number must be finite")
            }
            Error::NoLabels => f.write_str("the targets of this data set are values, not class labels"),
            Error::NoValues => f.write_str("the targets of this data set are class labels, not values"),
            Error::ZeroBatch => f.write_str("a batch needs at least one sample, got a batch size of 0"),
            Error::BatchTooLarge { batch, rows } => {
                write!(f, "a batch of {batch} samples is never complete with {rows} samples")
            }
            Error::Fraction { found } => {
                write!(f, "fractions lie between 0 and 1 and add up to 1, got {found}")
            }
            Error::PartTooSmall { rows, parts } => {
                write!(f, "{rows} samples are too few to have one in each of {parts} parts")
            }
            Error::ClassTooSmall { class, rows, parts } => {
                write!(f, "class {class} has {rows} samples, too few to have one in each of {parts} parts")
            }
            Error::Folds { folds, rows } => {
                write!(f, "cross-validation needs 2 to {rows} folds (one sample each), got {folds}")
            }
            Error::Custom(message) => f.write_str(message),
        }
    }
}

impl core::error::Error for Error {}
