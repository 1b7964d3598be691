//! What can go wrong while a network is trained or used.

use alloc::string::String;
use bantam_autodiff::{BindError, NonFinite, StepError};
use bantam_core::{InvalidSetting, Shape};
use bantam_data::Target;
use core::fmt;

/// What can go wrong while a network is trained or used. Nothing is half-done when it is returned.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The data.
    Data(bantam_data::Error),
    /// The model does not fit its input, or cannot be differentiated.
    Graph(bantam_autodiff::Error),
    /// The loss stopped being a number.
    NonFinite(NonFinite),
    /// A plan for another optimizer; a bug.
    Step(StepError),
    /// Plans that do not belong together; a bug.
    Bind(BindError),
    /// The content of a checkpoint or of saved parameters.
    #[cfg(feature = "checkpoints")]
    Tensors(bantam_store::safetensors::Error),
    /// A file of them.
    #[cfg(all(feature = "checkpoints", feature = "std"))]
    File(bantam_store::file::FileError),
    /// What a checkpoint's receiver says.
    Sink(String),
    /// A setting outside its domain.
    Setting {
        /// The setting.
        name: &'static str,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A hyper-parameter of the optimizer outside its domain.
    Optimizer(InvalidSetting),
    /// The model's output does not fit the classes or values to be predicted.
    Output {
        /// What the data asks for.
        expected: Shape,
        /// What the model gives.
        got: Shape,
    },
    /// Another data set than the network was made for.
    Features {
        /// The shape of one sample that the network was made for.
        expected: Shape,
        /// The shape of one sample of the data.
        got: Shape,
    },
    /// Another kind of target than the network was made for.
    Target {
        /// What the network was made to predict.
        expected: Target,
        /// What the data asks for.
        got: Target,
    },
    /// The last batch of an epoch, which is smaller than the others, is too small for the model.
    LastBatch {
        /// The samples in it.
        rows: usize,
        /// What the model says to them.
        error: bantam_autodiff::Error,
    },
    /// Saved parameters that belong to another model.
    Mismatch {
        /// The path of the parameter.
        path: String,
        /// What the model has.
        expected: String,
        /// What was saved.
        got: String,
    },
    /// A checkpoint of a run with other settings.
    OtherRun {
        /// The setting.
        name: &'static str,
        /// Its value in this run.
        expected: String,
        /// Its value in the checkpoint.
        got: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Data(error) => error.fmt(f),
            Error::Graph(error) => error.fmt(f),
            Error::NonFinite(error) => error.fmt(f),
            Error::Step(error) => error.fmt(f),
            Error::Bind(error) => error.fmt(f),
            #[cfg(feature = "checkpoints")]
            Error::Tensors(error) => error.fmt(f),
            #[cfg(all(feature = "checkpoints", feature = "std"))]
            Error::File(error) => error.fmt(f),
            Error::Sink(message) => f.write_str(message),
            Error::Setting { name, rule } => write!(f, "{name} must be {rule}"),
            Error::Optimizer(error) => error.fmt(f),
            Error::Output { expected, got } => {
                write!(
                    f,
                    "the data needs an output of shape {expected} for each batch, the model gives {got}"
                )
            }
            Error::Features { expected, got } => {
                write!(f, "the network was made for samples of shape {expected}, the data has {got}")
            }
            Error::Target { expected, got } => {
                f.write_str("the network was made to predict ")?;
                predicted(expected, f)?;
                f.write_str(", the data asks for ")?;
                predicted(got, f)
            }
            Error::LastBatch { rows, error } => {
                write!(
                    f,
                    "{error}; the last batch of each epoch is left with {rows} sample{}: choose another batch size \
                     or drop the last batch",
                    if *rows == 1 { "" } else { "s" }
                )
            }
            Error::OtherRun { name, expected, got } => {
                write!(f, "this run has {name} {expected}, the checkpoint {got}; it belongs to another run")
            }
            Error::Mismatch { path, expected, got } => {
                write!(
                    f,
                    "{path}: the model has {expected}, but {got} was saved; they belong to different models"
                )
            }
        }
    }
}

fn predicted(target: &Target, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match target {
        Target::Classes(classes) => write!(f, "one of {classes} classes"),
        Target::Values(shape) => write!(f, "values of shape {shape}"),
    }
}

impl core::error::Error for Error {}

impl From<bantam_data::Error> for Error {
    fn from(error: bantam_data::Error) -> Self {
        Error::Data(error)
    }
}

impl From<InvalidSetting> for Error {
    fn from(error: InvalidSetting) -> Self {
        Error::Optimizer(error)
    }
}

impl From<bantam_autodiff::Error> for Error {
    fn from(error: bantam_autodiff::Error) -> Self {
        Error::Graph(error)
    }
}

impl From<NonFinite> for Error {
    fn from(error: NonFinite) -> Self {
        Error::NonFinite(error)
    }
}

impl From<StepError> for Error {
    fn from(error: StepError) -> Self {
        match error {
            StepError::NonFinite(error) => Error::NonFinite(error),
            other => Error::Step(other),
        }
    }
}

impl From<BindError> for Error {
    fn from(error: BindError) -> Self {
        Error::Bind(error)
    }
}

#[cfg(feature = "checkpoints")]
impl From<bantam_store::safetensors::Error> for Error {
    fn from(error: bantam_store::safetensors::Error) -> Self {
        Error::Tensors(error)
    }
}

#[cfg(all(feature = "checkpoints", feature = "std"))]
impl From<bantam_store::file::FileError> for Error {
    fn from(error: bantam_store::file::FileError) -> Self {
        Error::File(error)
    }
}
