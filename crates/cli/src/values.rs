//! The values of settings that have a text form of their own: data sources and schedules; and the named choices.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where samples come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Data {
    /// The 1,797 handwritten digits of 8×8 pixels that are inside the program.
    Digits,
    /// The 150 irises that are inside the program.
    Iris,
    /// A CSV file with one sample per row and the class in the last column.
    Csv(PathBuf),
    /// A folder of IDX files, gzipped or not, named as MNIST and Fashion-MNIST name theirs.
    Idx(PathBuf),
}

impl Data {
    /// Whether samples are images: the models that convolve need them.
    pub fn is_images(&self) -> bool {
        matches!(self, Data::Digits | Data::Idx(_))
    }

    /// The pixel value that becomes 1.
    pub fn brightest(&self) -> f32 {
        if matches!(self, Data::Digits) { 16.0 } else { 255.0 }
    }

    /// A short name for folders: `digits`, `iris`, or the name of the file or folder.
    pub fn short_name(&self) -> String {
        match self {
            Data::Digits => "digits".to_owned(),
            Data::Iris => "iris".to_owned(),
            Data::Csv(path) | Data::Idx(path) => {
                let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
                let plain = |c: char| if c.is_alphanumeric() || "-_".contains(c) { c } else { '-' };
                name.chars().map(plain).collect()
            }
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::Digits => f.write_str("digits"),
            Data::Iris => f.write_str("iris"),
            Data::Csv(path) => write!(f, "csv:{}", path.display()),
            Data::Idx(path) => write!(f, "idx:{}", path.display()),
        }
    }
}

impl FromStr for Data {
    type Err = String;

    fn from_str(text: &str) -> Result<Data, String> {
        match text.split_once(':') {
            None if text == "digits" => Ok(Data::Digits),
            None if text == "iris" => Ok(Data::Iris),
            Some(("csv", path)) if !path.is_empty() => Ok(Data::Csv(path.into())),
            Some(("idx", path)) if !path.is_empty() => Ok(Data::Idx(path.into())),
            _ => Err(format!("expected `digits`, `iris`, `csv:FILE` or `idx:FOLDER`, found `{text}`")),
        }
    }
}

/// The networks to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// One linear layer.
    Perceptron,
    /// Linear layers with activations between them.
    Mlp,
    /// Convolutions with max-pooling, then linear layers.
    Cnn,
    /// Residual blocks of convolutions with batch normalisation.
    Resnet,
}

/// What stands between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// max(0, x).
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// 1 / (1 + e^-x).
    Sigmoid,
}

/// The update rules to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Gradient descent, with momentum if asked.
    Sgd,
    /// Adam; weight decay is added to the gradient.
    Adam,
    /// Adam; weight decay shrinks the weights directly.
    Adamw,
}

macro_rules! display_as_named {
    ($($choice:ty),*) => {$(
        impl fmt::Display for $choice {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.to_possible_value().map_or(Ok(()), |value| f.write_str(value.get_name()))
            }
        }
    )*};
}
display_as_named!(Model, Activation, Optimizer);

/// How the learning rate changes; all lengths are in epochs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Schedule {
    /// It does not.
    Constant,
    /// Times `factor` after every `every` epochs.
    Step {
        /// Epochs between two changes.
        every: f64,
        /// What the rate is multiplied with.
        factor: f64,
    },
    /// Times `factor` per epoch, a little at each step.
    Exponential {
        /// What the rate is multiplied with over one epoch.
        factor: f64,
    },
    /// Down to 0 along half a cosine wave over the whole run (Loshchilov and Hutter, 2017).
    Cosine,
    /// Up from a 25th of the rate to the rate in the first 30 % of the run, then down to almost nothing (Smith, 2018).
    OneCycle,
    /// One rate, then others from given epochs on.
    Piecewise {
        /// The first rate.
        first: f64,
        /// (epoch, the rate from then on), by epoch.
        then: Vec<(f64, f64)>,
    },
}

/// What the text form of a schedule may be.
const SCHEDULE_FORMS: &str = "`constant`, `step(EPOCHS, FACTOR)`, `exponential(FACTOR)`, `cosine`, `onecycle` or \
                              `piecewise(RATE, EPOCH: RATE, …)`";

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Constant => f.write_str("constant"),
            Schedule::Step { every, factor } => write!(f, "step({every}, {factor})"),
            Schedule::Exponential { factor } => write!(f, "exponential({factor})"),
            Schedule::Cosine => f.write_str("cosine"),
            Schedule::OneCycle => f.write_str("onecycle"),
            Schedule::Piecewise { first, then } => {
                write!(f, "piecewise({first}")?;
                then.iter().try_for_each(|(epoch, rate)| write!(f, ", {epoch}: {rate}"))?;
                f.write_str(")")
            }
        }
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Schedule, String> {
        let unknown = || format!("expected {SCHEDULE_FORMS}, found `{text}`");
        let (name, inside) = match text.trim().split_once('(') {
            None => (text.trim(), Vec::new()),
            Some((name, rest)) => {
                let inside =
                    rest.strip_suffix(')').ok_or_else(|| format!("`{text}` lacks its closing bracket"))?;
                (name.trim_end(), inside.split(',').map(str::trim).collect())
            }
        };
        match (name, inside.as_slice()) {
            ("constant", []) => Ok(Schedule::Constant),
            ("cosine", []) => Ok(Schedule::Cosine),
            ("onecycle", []) => Ok(Schedule::OneCycle),
            ("step", [every, factor]) => {
                Ok(Schedule::Step { every: positive(every)?, factor: positive(factor)? })
            }
            ("exponential", [factor]) => Ok(Schedule::Exponential { factor: positive(factor)? }),
            ("piecewise", [first, changes @ ..]) => {
                let mut then: Vec<(f64, f64)> = Vec::with_capacity(changes.len());
                for change in changes {
                    let (epoch, rate) = change
                        .split_once(':')
                        .ok_or_else(|| format!("expected `EPOCH: RATE`, found `{change}` in `{text}`"))?;
                    let epoch = positive(epoch.trim())?;
                    if then.last().is_some_and(|(before, _)| *before >= epoch) {
                        return Err(format!("the epochs of `{text}` do not grow"));
                    }
                    then.push((epoch, positive(rate.trim())?));
                }
                Ok(Schedule::Piecewise { first: positive(first)?, then })
            }
            _ => Err(unknown()),
        }
    }
}

/// A number above 0.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| format!("expected a number above 0, found `{text}`"))
}

macro_rules! convert_as_text {
    ($($value:ty),*) => {$(
        impl TryFrom<String> for $value {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$value> for String {
            fn from(value: $value) -> String {
                value.to_string()
            }
        }
    )*};
}
convert_as_text!(Data, Schedule);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_reads_what_it_prints() {
        for text in ["digits", "iris", "csv:a/b.csv", "idx:/data/mnist", "csv:with:colon.csv"] {
            assert_eq!(text.parse::<Data>().unwrap().to_string(), text);
        }
        for text in ["", "digit", "csv", "csv:", "idx:", "mnist:x"] {
            let error = text.parse::<Data>().unwrap_err();
            assert!(error.contains("`csv:FILE`") && error.ends_with(&format!("found `{text}`")), "{error}");
        }
    }

    #[test]
    fn folders_get_plain_names() {
        assert_eq!(Data::Csv("some where/my data.csv".into()).short_name(), "my-data");
        assert_eq!(Data::Idx("data/fashion-mnist/".into()).short_name(), "fashion-mnist");
        assert_eq!(Data::Digits.short_name(), "digits");
    }

    #[test]
    fn schedules_read_what_they_print() {
        for text in ["constant", "step(10, 0.5)", "exponential(0.95)", "cosine", "onecycle", "piecewise(0.1)"]
        {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        let three = "piecewise( 0.1,10 : 0.01, 20: 1e-3 )".parse::<Schedule>().unwrap();
        assert_eq!(three, Schedule::Piecewise { first: 0.1, then: vec![(10.0, 0.01), (20.0, 0.001)] });
        assert_eq!(three.to_string(), "piecewise(0.1, 10: 0.01, 20: 0.001)");
    }

    #[test]
    fn wrong_schedules_say_what_is_wrong() {
        let error = |text: &str| text.parse::<Schedule>().unwrap_err();
        for text in ["", "linear(1)", "cosine(3)", "step(10)", "exponential", "exponential()", "piecewise"] {
            let message = error(text);
            assert!(message.starts_with("expected"), "{message}");
        }
        assert_eq!(error("step(10, 0.5"), "`step(10, 0.5` lacks its closing bracket");
        assert_eq!(error("step(10, x)"), "expected a number above 0, found `x`");
        assert_eq!(error("exponential(-1)"), "expected a number above 0, found `-1`");
        assert_eq!(error("piecewise(nan)"), "expected a number above 0, found `nan`");
        assert_eq!(
            error("piecewise(0.1, 0.2)"),
            "expected `EPOCH: RATE`, found `0.2` in `piecewise(0.1, 0.2)`"
        );
        assert!(error("piecewise(0.1, 20: 1, 10: 2)").ends_with("do not grow"));
    }
}
