//! Settings: from flags, from a TOML file, or by default, in this order; and the complete list that a run folder keeps.

use crate::values::{Activation, Data, Model, Optimizer, Schedule};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// What a user set, by flags or in a file; everything else is `None`. The keys of a file are the names of the flags.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// digits, iris, csv:FILE (class in the last column), idx:FOLDER [default: digits]
    #[arg(long, help_heading = "Data", value_name = "DATA")]
    pub data: Option<Data>,

    /// Share held out to validate on; 0: the test files of idx [default: 0.2, idx: 0]
    #[arg(long, help_heading = "Data", value_name = "SHARE", allow_negative_numbers = true)]
    pub validation: Option<f64>,

    /// Decides all random numbers: the same seed, the same bits [default: 42]
    #[arg(long, help_heading = "Data", value_name = "N")]
    pub seed: Option<u64>,

    /// perceptron, mlp, cnn, resnet [default: cnn for images, mlp for rows]
    #[arg(long, help_heading = "Model", hide_possible_values = true)]
    pub model: Option<Model>,

    /// Widths of hidden linear layers [default: mlp 64,32 (iris 16, idx 512), cnn 128]
    #[arg(long, help_heading = "Model", value_name = "N,N", value_delimiter = ',')]
    pub hidden: Option<Vec<usize>>,

    /// Channels of convolutions [default: cnn 32,64, resnet 16,32]
    #[arg(long, help_heading = "Model", value_name = "N,N", value_delimiter = ',')]
    pub channels: Option<Vec<usize>>,

    /// relu, tanh, sigmoid [default: relu]
    #[arg(long, help_heading = "Model", hide_possible_values = true)]
    pub activation: Option<Activation>,

    /// Share of hidden values to drop while training [default: 0.5, not cnn: 0]
    #[arg(long, help_heading = "Model", value_name = "SHARE", allow_negative_numbers = true)]
    pub dropout: Option<f64>,

    /// Normalise hidden values over the batch [default: true, not cnn: false]
    #[arg(long, help_heading = "Model", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub batch_norm: Option<bool>,

    /// Keep only the results of layers, and compute the rest again in the backward pass: less memory, more time [default: false]
    #[arg(long, help_heading = "Model", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub recompute: Option<bool>,

    /// Times to go through the training data [default: 20, rows: 60]
    #[arg(long, help_heading = "Training", value_name = "N")]
    pub epochs: Option<usize>,

    /// Samples per batch [default: 32, idx: 64, rows: 16]
    #[arg(long, help_heading = "Training", value_name = "N")]
    pub batch: Option<usize>,

    /// Batches whose gradients are added up for one update [default: 1]
    #[arg(long, help_heading = "Training", value_name = "N")]
    pub accumulate: Option<usize>,

    /// sgd, momentum, adam, adamw, lion, muon, …: see `bantam compare` [default: adamw]
    #[arg(long, help_heading = "Training", value_name = "NAME")]
    pub optimizer: Option<Optimizer>,

    /// Learning rate, the highest if it changes [default: 0.003, rows: 0.01, sgd: 0.1, others: their own]
    #[arg(long, help_heading = "Training", value_name = "X", allow_negative_numbers = true)]
    pub rate: Option<f64>,

    /// 0.01, cosine, warmup(100, cosine), per_epoch(step(0.1, 0.5, 10)), … [default: onecycle]
    #[arg(long, help_heading = "Training", value_name = "SCHEDULE")]
    pub schedule: Option<Schedule>,

    /// Epochs in which the rate first rises from 0 [default: 0]
    #[arg(long, help_heading = "Training", value_name = "X", allow_negative_numbers = true)]
    pub warm_up: Option<f64>,

    /// Share of its last direction that an optimizer keeps [default: 0, momentum and its kin: 0.9]
    #[arg(long, help_heading = "Training", value_name = "SHARE", allow_negative_numbers = true)]
    pub momentum: Option<f64>,

    /// How strongly weights are pulled to 0 [default: 0.01, others than adamw: their own]
    #[arg(long, help_heading = "Training", value_name = "X", allow_negative_numbers = true)]
    pub weight_decay: Option<f64>,

    /// Shorten gradients that are longer than this (Euclidean norm) [default: off]
    #[arg(long, help_heading = "Training", value_name = "X", allow_negative_numbers = true)]
    pub clip_norm: Option<f64>,

    /// Stop after N epochs without a better validation loss, keep the best [default: off]
    #[arg(long, help_heading = "Training", value_name = "N")]
    pub patience: Option<usize>,

    /// How much lower a loss must be to count as better [default: 0]
    #[arg(long, help_heading = "Training", value_name = "X", allow_negative_numbers = true)]
    pub min_delta: Option<f64>,

    /// Results do not depend on it [default: all cores]
    #[arg(long, help_heading = "Run", value_name = "N")]
    pub threads: Option<usize>,
}

/// Every setting of a run, complete: what `config.toml` in the run folder says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is documented where it is set, in Options")]
pub struct Settings {
    pub data: Data,
    pub validation: f64,
    pub seed: u64,
    pub model: Model,
    pub hidden: Vec<usize>,
    pub channels: Vec<usize>,
    pub activation: Activation,
    pub dropout: f64,
    pub batch_norm: bool,
    pub recompute: bool,
    pub epochs: usize,
    pub batch: usize,
    pub accumulate: usize,
    pub optimizer: Optimizer,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    pub schedule: Schedule,
    pub warm_up: f64,
    pub momentum: f64,
    pub weight_decay: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    pub min_delta: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// The settings that may change when a run goes on: they decide how long it is and how fast, not what it is.
const MAY_CHANGE: [&str; 4] = ["epochs", "patience", "min-delta", "threads"];

/// The widest layer that there can be: the weights between two of them take 4 GB.
const MOST_WIDTH: usize = 1 << 15;

/// What is wrong with settings.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigError {
    /// A flag has a value that makes no sense.
    Flag {
        /// The setting's name.
        key: &'static str,
        /// What was found and what was expected.
        message: String,
    },
    /// A line of a file is wrong.
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was found and what was expected.
        message: String,
    },
    /// The file cannot be read.
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        message: String,
    },
    /// Two settings do not go together.
    Conflict(String),
    /// The run that is to go on was made with another value.
    OtherRun {
        /// The run folder.
        folder: PathBuf,
        /// The setting's name.
        key: String,
        /// The value in the run folder.
        there: String,
        /// The value that was asked for.
        asked: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Flag { key, message } => write!(f, "--{key}: {message}"),
            ConfigError::Line { file, line, message } => write!(f, "{}:{line}: {message}", file.display()),
            ConfigError::Read { file, message } => write!(f, "{}: {message}", file.display()),
            ConfigError::Conflict(message) => f.write_str(message),
            ConfigError::OtherRun { folder, key, there, asked } => write!(
                f,
                "{}: this run was made with {key} = {there}, not {asked}; choose another folder with --run",
                folder.display()
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The complete settings for a new run: flags win over the file, the file over the defaults.
///
/// # Errors
/// A file that cannot be read, an unknown key, a wrong type or value, settings that do not go together.
pub fn settings(flags: Options, file: Option<&Path>) -> Result<Settings, ConfigError> {
    settings_with_defaults(flags, file, Options::default())
}

/// As [`settings`], with other defaults where neither a flag nor the file says something.
///
/// # Errors
/// As [`settings`].
pub fn settings_with_defaults(
    flags: Options,
    file: Option<&Path>,
    defaults: Options,
) -> Result<Settings, ConfigError> {
    let file = file.map(read).transpose()?;
    check_flags(&flags)?;
    resolve(flags.or(file.unwrap_or_default()).or(defaults))
}

/// The settings with which the run in `folder` goes on: those of its `config.toml`. Flags and a file may repeat them,
/// and may change how long the run is and how many threads it gets.
///
/// # Errors
/// As [`settings`], and any other value than the run was made with.
pub fn settings_to_resume(
    flags: Options,
    file: Option<&Path>,
    folder: &Path,
) -> Result<Settings, ConfigError> {
    let made_with = read(&folder.join("config.toml"))?;
    let before = table(&resolve(made_with.clone())?);
    let file = file.map(read).transpose()?;
    check_flags(&flags)?;
    let asked = flags.or(file.unwrap_or_default());
    for (key, value) in table(&asked) {
        if before.get(&key) != Some(&value) && !MAY_CHANGE.contains(&key.as_str()) {
            let there = before.get(&key).map_or("off".to_owned(), ToString::to_string);
            return Err(ConfigError::OtherRun {
                folder: folder.to_owned(),
                key,
                there,
                asked: value.to_string(),
            });
        }
    }
    resolve(asked.or(made_with))
}

/// What is set, by the names of the settings.
fn table(settings: &impl Serialize) -> toml::Table {
    toml::Table::try_from(settings).unwrap_or_default()
}

/// The complete settings that a run folder holds.
///
/// # Errors
/// The folder has no readable `config.toml`.
pub fn settings_of(folder: &Path) -> Result<Settings, ConfigError> {
    resolve(read(&folder.join("config.toml"))?)
}

impl Settings {
    /// The text of `config.toml`: every setting, one to a line, what is off as a comment; reads back as the same settings.
    pub fn to_toml(&self) -> String {
        let mut text =
            "# All settings of this run; `bantam train --config THIS_FILE` repeats it.\n".to_owned();
        for (key, value) in self.entries() {
            text += &if value.is_empty() { format!("# {key}: off\n") } else { format!("{key} = {value}\n") };
        }
        text
    }

    /// (name, value as TOML) of every setting in the order of declaration; an empty value where it is off.
    fn entries(&self) -> Vec<(String, String)> {
        let table = table(self);
        let keys = Options::keys();
        let value = |key: &String| table.get(key).map(ToString::to_string).unwrap_or_default();
        keys.into_iter().map(|key| (key.clone(), value(&key))).collect()
    }
}

impl Options {
    /// The names of all settings: the long flags.
    fn keys() -> Vec<String> {
        let command = Options::augment_args(clap::Command::new(""));
        command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned).collect()
    }

    /// These, and `other` where these say nothing.
    fn or(self, other: Options) -> Options {
        Options {
            data: self.data.or(other.data),
            validation: self.validation.or(other.validation),
            seed: self.seed.or(other.seed),
            model: self.model.or(other.model),
            hidden: self.hidden.or(other.hidden),
            channels: self.channels.or(other.channels),
            activation: self.activation.or(other.activation),
            dropout: self.dropout.or(other.dropout),
            batch_norm: self.batch_norm.or(other.batch_norm),
            recompute: self.recompute.or(other.recompute),
            epochs: self.epochs.or(other.epochs),
            batch: self.batch.or(other.batch),
            accumulate: self.accumulate.or(other.accumulate),
            optimizer: self.optimizer.or(other.optimizer),
            rate: self.rate.or(other.rate),
            schedule: self.schedule.or(other.schedule),
            warm_up: self.warm_up.or(other.warm_up),
            momentum: self.momentum.or(other.momentum),
            weight_decay: self.weight_decay.or(other.weight_decay),
            clip_norm: self.clip_norm.or(other.clip_norm),
            patience: self.patience.or(other.patience),
            min_delta: self.min_delta.or(other.min_delta),
            threads: self.threads.or(other.threads),
        }
    }

    /// The first value that makes no sense by itself: the setting's name and what is wrong.
    fn wrong_value(&self) -> Option<(&'static str, String)> {
        let counts = [
            ("epochs", self.epochs),
            ("batch", self.batch),
            ("accumulate", self.accumulate),
            ("patience", self.patience),
            ("threads", self.threads),
        ];
        for (key, value) in counts {
            // Steps are counted in 64 bits: epochs times batches stay far below. No machine has more threads.
            let most = if key == "threads" { 1024 } else { 1_000_000_000 };
            match value {
                Some(0) => return Some((key, "expected at least 1, found 0".to_owned())),
                Some(value) if value > most => {
                    return Some((key, format!("expected at most {most}, found {value}")));
                }
                _ => {}
            }
        }
        for (key, widths) in [("hidden", &self.hidden), ("channels", &self.channels)] {
            let wrong = widths.iter().flatten().find(|width| !(1..=MOST_WIDTH).contains(*width));
            if let Some(wrong) = wrong {
                return Some((key, format!("expected widths from 1 to {MOST_WIDTH}, found {wrong}")));
            }
        }
        for (key, value) in
            [("validation", self.validation), ("dropout", self.dropout), ("momentum", self.momentum)]
        {
            if let Some(value) = value.filter(|value| !(0.0..1.0).contains(value)) {
                return Some((key, format!("expected at least 0 and less than 1, found {value}")));
            }
        }
        for (key, value) in [("rate", self.rate), ("clip-norm", self.clip_norm)] {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
                return Some((key, format!("expected a number above 0, found {value}")));
            }
        }
        let amounts =
            [("weight-decay", self.weight_decay), ("min-delta", self.min_delta), ("warm-up", self.warm_up)];
        for (key, value) in amounts {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value >= 0.0)) {
                return Some((key, format!("expected 0 or more, found {value}")));
            }
        }
        // TOML's whole numbers have 63 bits and a sign, and `config.toml` must be able to hold it.
        if self.seed.is_some_and(|seed| i64::try_from(seed).is_err()) {
            return Some((
                "seed",
                format!("expected at most {}, found {}", i64::MAX, self.seed.unwrap_or(0)),
            ));
        }
        None
    }
}

fn check_flags(flags: &Options) -> Result<(), ConfigError> {
    flags.wrong_value().map_or(Ok(()), |(key, message)| Err(ConfigError::Flag { key, message }))
}

/// Fills in the defaults, which depend on the data, the model and the optimizer, and looks for contradictions.
fn resolve(options: Options) -> Result<Settings, ConfigError> {
    let conflict = |message: String| Err(ConfigError::Conflict(message));
    let data = options.data.unwrap_or(Data::Digits);
    let is_idx = matches!(data, Data::Idx(_));
    let is_images = data.is_images();
    let model = options.model.unwrap_or(if data.is_images() { Model::Cnn } else { Model::Mlp });
    let convolves = matches!(model, Model::Cnn | Model::Resnet);
    if convolves && !data.is_images() {
        return conflict(format!(
            "--model {model} needs images, and {data} has rows of numbers: try --model mlp"
        ));
    }
    let has_hidden = matches!(model, Model::Mlp | Model::Cnn);
    if !has_hidden && options.hidden.as_ref().is_some_and(|hidden| !hidden.is_empty()) {
        return conflict(format!(
            "--hidden does not go with --model {model}, which has no hidden linear layers"
        ));
    }
    if !convolves && options.channels.as_ref().is_some_and(|channels| !channels.is_empty()) {
        return conflict(format!("--channels does not go with --model {model}, which has no convolutions"));
    }
    if convolves && options.channels.as_ref().is_some_and(Vec::is_empty) {
        return conflict(format!("--model {model} needs at least one number of --channels"));
    }
    if model == Model::Perceptron && options.batch_norm == Some(true) {
        return conflict(
            "--batch-norm does not go with --model perceptron, which has nothing hidden".to_owned(),
        );
    }
    if model == Model::Perceptron && options.dropout.is_some_and(|share| share > 0.0) {
        return conflict(
            "--dropout does not go with --model perceptron, which has nothing hidden".to_owned(),
        );
    }
    let optimizer = options.optimizer.unwrap_or_default();
    let rule = optimizer.0;
    if rule.momentum.is_none() && options.momentum.is_some_and(|share| share > 0.0) {
        return conflict(format!(
            "--momentum does not go with --optimizer {optimizer}, which has none to set"
        ));
    }
    if rule.weight_decay.is_none() && options.weight_decay.is_some_and(|decay| decay > 0.0) {
        return conflict(format!("--weight-decay does not go with --optimizer {optimizer}, which has none"));
    }
    let validation = options.validation.unwrap_or(if is_idx { 0.0 } else { 0.2 });
    if validation == 0.0 && !is_idx {
        return conflict(format!(
            "--validation 0 needs data with test files of its own, and {data} has none"
        ));
    }
    let min_delta = options.min_delta.unwrap_or(0.0);
    if min_delta > 0.0 && options.patience.is_none() {
        return conflict("--min-delta goes with --patience".to_owned());
    }
    let schedule = options.schedule.unwrap_or_else(Schedule::one_cycle);
    let rate = match options.rate {
        Some(rate) if schedule.states_rate() => {
            return conflict(format!(
                "{schedule} says its rates itself, and --rate is {rate}: leave out --rate"
            ));
        }
        None if schedule.states_rate() => None,
        Some(rate) => Some(rate),
        // Small networks learn faster than the usual rates are made for.
        None if ["adam", "adamw"].contains(&rule.name) => Some(if is_images { 0.003 } else { 0.01 }),
        None => Some(as_written(rule.rate)),
    };
    let hidden = match (model, &data) {
        (Model::Perceptron | Model::Resnet, _) => vec![],
        (Model::Cnn, _) => vec![128],
        (Model::Mlp, Data::Iris) => vec![16],
        (Model::Mlp, Data::Idx(_)) => vec![512],
        (Model::Mlp, _) => vec![64, 32],
    };
    let channels = match model {
        Model::Cnn => vec![32, 64],
        Model::Resnet => vec![16, 32],
        Model::Perceptron | Model::Mlp => Vec::new(),
    };
    // Tables have few rows: small batches and more epochs make enough steps of it.
    let batch = match (is_images, is_idx) {
        (true, true) => 64,
        (true, false) => 32,
        (false, _) => 16,
    };
    // Convolutional networks gain from both, small networks on rows do not: see the results in the README.
    let is_cnn = model == Model::Cnn;
    let dropout = if is_cnn { 0.5 } else { 0.0 };
    Ok(Settings {
        validation,
        seed: options.seed.unwrap_or(42),
        model,
        hidden: options.hidden.unwrap_or(hidden),
        channels: options.channels.unwrap_or(channels),
        activation: options.activation.unwrap_or(Activation::Relu),
        dropout: options.dropout.unwrap_or(dropout),
        batch_norm: options.batch_norm.unwrap_or(is_cnn),
        recompute: options.recompute.unwrap_or(false),
        epochs: options.epochs.unwrap_or(if is_images { 20 } else { 60 }),
        batch: options.batch.unwrap_or(batch),
        accumulate: options.accumulate.unwrap_or(1),
        rate,
        schedule,
        warm_up: options.warm_up.unwrap_or(0.0),
        momentum: options.momentum.or(rule.momentum).unwrap_or(0.0),
        weight_decay: options.weight_decay.or(rule.weight_decay).unwrap_or(0.0),
        optimizer,
        clip_norm: options.clip_norm,
        patience: options.patience,
        min_delta,
        threads: options.threads,
        data,
    })
}

/// The number that was written for an `f32`: 0.1, and not 0.10000000149.
pub fn as_written(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// Reads a TOML file of settings.
fn read(file: &Path) -> Result<Options, ConfigError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConfigError::Read { file: file.to_owned(), message: error.to_string() })?;
    parse(file, &text)
}

fn parse(file: &Path, text: &str) -> Result<Options, ConfigError> {
    let at = |offset: usize, message: String| ConfigError::Line {
        file: file.to_owned(),
        line: text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1,
        message,
    };
    let syntax =
        |error: toml::de::Error| at(error.span().map_or(0, |span| span.start), error.message().to_owned());
    let table = toml::de::DeTable::parse(text).map_err(syntax)?;
    let keys = Options::keys();
    for key in table.get_ref().keys() {
        let name: &str = key.get_ref();
        if !keys.iter().any(|known| known == name) {
            return Err(at(key.span().start, unknown_key(name, &keys)));
        }
    }
    let entry_at = |offset: usize| table.get_ref().iter().find(|(_, value)| value.span().contains(&offset));
    let options: Options = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let message = in_plain_words(error.message());
        match entry_at(offset) {
            Some((key, _)) => at(offset, format!("{}: {message}", key.get_ref())),
            None => at(offset, message),
        }
    })?;
    match options.wrong_value() {
        None => Ok(options),
        Some((key, message)) => {
            let offset = table.get_ref().get_key_value(key).map_or(0, |(key, _)| key.span().start);
            Err(at(offset, format!("{key}: {message}")))
        }
    }
}

/// The types of a message by the names that a reader of TOML knows.
fn in_plain_words(message: &str) -> String {
    let words = [
        ("usize", "a whole number"),
        ("u64", "a whole number"),
        ("f64", "a number"),
        ("a sequence", "a list"),
    ];
    words.iter().fold(message.to_owned(), |message, (rust, plain)| message.replace(rust, plain))
}

/// Says that there is no such key, and which ones the user may have meant: all if none is close.
fn unknown_key(name: &str, keys: &[String]) -> String {
    let mut close: Vec<(usize, &str)> = keys
        .iter()
        .map(|key| (distance(name, key), key.as_str()))
        .filter(|(distance, key)| {
            *distance <= 2.max(key.len() / 3) || key.contains(name) || name.contains(*key)
        })
        .collect();
    close.sort();
    let names: Vec<&str> = close.iter().take(3).map(|(_, key)| *key).collect();
    if names.is_empty() {
        format!("there is no setting `{name}`; there are: {}", keys.join(", "))
    } else {
        format!("there is no setting `{name}`; did you mean {}?", names.join(", "))
    }
}

/// The number of characters to insert, delete or replace to get from one word to the other (Levenshtein, 1966).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in (1..).zip(from.chars()) {
        let mut diagonal = core::mem::replace(&mut row[0], i);
        for (j, b) in (1..).zip(&to) {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j];
            row[j] = replaced.min(diagonal + 1).min(row[j - 1] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_file(text: &str) -> Result<Settings, ConfigError> {
        resolve(parse(Path::new("my.toml"), text)?)
    }

    fn error(text: &str) -> String {
        from_file(text).unwrap_err().to_string()
    }

    /// One value that is not the default for every key.
    const ALL: &str = r#"
        data = "idx:some/folder"
        validation = 0.1
        seed = 7
        model = "cnn"
        hidden = [10, 20]
        channels = [4]
        activation = "tanh"
        dropout = 0.5
        batch-norm = true
        recompute = true
        epochs = 3
        batch = 8
        accumulate = 2
        optimizer = "sgd"
        rate = 0.1
        schedule = "piecewise(10: 0.01, 20: 0.001)"
        warm-up = 1.5
        momentum = 0.9
        weight-decay = 1e-4
        clip-norm = 1
        patience = 5
        min-delta = 0.001
        threads = 2
    "#;

    #[test]
    fn every_key_can_be_set_and_comes_back() {
        let settings = from_file(ALL).unwrap();
        let keys = Options::keys();
        assert_eq!(keys.len(), 23);
        for key in &keys {
            assert!(
                ALL.lines().any(|line| line.trim().starts_with(&format!("{key} ="))),
                "{key} is not tested"
            );
        }
        let defaults = from_file("").unwrap();
        let iris = from_file("data = 'iris'").unwrap();
        for ((key, here), (_, default)) in settings.entries().into_iter().zip(iris.entries()) {
            assert_ne!(here, default, "{key} does not arrive");
        }
        assert_eq!(from_file(&settings.to_toml()).unwrap(), settings);
        assert_eq!(from_file(&defaults.to_toml()).unwrap(), defaults);
    }

    #[test]
    fn defaults_follow_data_model_and_optimizer() {
        let digits = from_file("").unwrap();
        assert_eq!(
            (digits.model, digits.hidden.as_slice(), digits.rate),
            (Model::Cnn, &[128][..], Some(0.003))
        );
        let iris = from_file("data = 'iris'\noptimizer = 'sgd'").unwrap();
        assert_eq!((iris.model, iris.hidden.as_slice(), iris.rate), (Model::Mlp, &[16][..], Some(0.1)));
        let fashion = from_file("data = 'idx:f'\nschedule = 'piecewise(0.2)'").unwrap();
        assert_eq!((fashion.validation, fashion.rate, fashion.channels), (0.0, None, vec![32, 64]));
        assert_eq!(from_file("optimizer = 'adam'").unwrap().weight_decay, 0.0);
        let lion = from_file("optimizer = 'lion'").unwrap();
        assert_eq!((lion.rate, lion.weight_decay, lion.momentum), (Some(0.0003), 0.1, 0.0));
    }

    #[test]
    fn flags_win_over_the_file() {
        let flags = Options { epochs: Some(9), batch_norm: Some(false), ..Options::default() };
        let file = parse(Path::new("my.toml"), "epochs = 3\nbatch = 5\nbatch-norm = true").unwrap();
        let settings = resolve(flags.or(file)).unwrap();
        assert_eq!((settings.epochs, settings.batch, settings.batch_norm), (9, 5, false));
    }

    #[test]
    fn unknown_keys_name_file_line_and_what_may_be_meant() {
        assert_eq!(
            error("epochs = 3\n\nepoch = 4"),
            "my.toml:3: there is no setting `epoch`; did you mean epochs?"
        );
        assert_eq!(error("dropuot = 0"), "my.toml:1: there is no setting `dropuot`; did you mean dropout?");
        assert_eq!(error("decay = 0"), "my.toml:1: there is no setting `decay`; did you mean weight-decay?");
        assert_eq!(
            error("batch_norm = true"),
            "my.toml:1: there is no setting `batch_norm`; did you mean batch-norm, batch?"
        );
        assert!(error("zzzzzzzz = 1").contains("there are: data, validation, seed, model, "));
        assert!(error("[train]\nepochs = 1").starts_with("my.toml:1: there is no setting `train`"));
    }

    #[test]
    fn wrong_types_name_line_and_key() {
        let wrong = |text: &str, message: &str| {
            assert_eq!(error(&format!("\n{text}")), format!("my.toml:2: {message}"))
        };
        wrong("epochs = 'many'", "epochs: invalid type: string \"many\", expected a whole number");
        wrong("epochs = 1.5", "epochs: invalid type: floating point `1.5`, expected a whole number");
        wrong("epochs = -1", "epochs: invalid value: integer `-1`, expected a whole number");
        wrong("rate = true", "rate: invalid type: boolean `true`, expected a number");
        wrong("batch-norm = 1", "batch-norm: invalid type: integer `1`, expected a boolean");
        wrong("hidden = 64", "hidden: invalid type: integer `64`, expected a list");
        wrong("hidden = [64, 'x']", "hidden: invalid type: string \"x\", expected a whole number");
        wrong("data = 3", "data: invalid type: integer `3`, expected a string");
        wrong("data = 'cifar'", "data: expected `digits`, `iris`, `csv:FILE` or `idx:FOLDER`, found `cifar`");
        wrong(
            "schedule = 'step(1)'",
            &"step(1)".parse::<Schedule>().map_err(|e| format!("schedule: {e}")).unwrap_err(),
        );
        assert!(
            error("model = 'vgg'")
                .contains("my.toml:1: model: unknown variant `vgg`, expected one of `perceptron`")
        );
        assert!(
            error("optimizer = 'adamv'").contains("there is no optimizer `adamv`; close names are: adam")
        );
        assert!(error("activation = 'gelu'").contains("`sigmoid`"));
    }

    #[test]
    fn wrong_syntax_names_the_line() {
        assert!(error("epochs = 3\nbatch 4\n").starts_with("my.toml:2: "));
        assert!(error("epochs = 3\nepochs = 4\n").starts_with("my.toml:2: duplicate key"));
    }

    #[test]
    fn wrong_values_name_line_or_flag() {
        for key in ["epochs", "batch", "accumulate", "patience", "threads"] {
            assert_eq!(
                error(&format!("\n{key} = 0")),
                format!("my.toml:2: {key}: expected at least 1, found 0")
            );
        }
        assert_eq!(
            error("epochs = 1000000001"),
            "my.toml:1: epochs: expected at most 1000000000, found 1000000001"
        );
        assert_eq!(error("threads = 5000"), "my.toml:1: threads: expected at most 1024, found 5000");
        assert!(error("channels = [3, 40000]").contains("widths from 1 to 32768, found 40000"));
        for key in ["validation", "dropout", "momentum"] {
            for value in ["1.0", "-0.1", "nan"] {
                let message = error(&format!("{key} = {value}"));
                assert!(
                    message.starts_with(&format!("my.toml:1: {key}: expected at least 0 and less")),
                    "{message}"
                );
            }
        }
        for key in ["rate", "clip-norm"] {
            for value in ["0.0", "-1.0", "inf", "nan"] {
                assert!(
                    error(&format!("{key} = {value}"))
                        .starts_with(&format!("my.toml:1: {key}: expected a number above"))
                );
            }
        }
        for key in ["weight-decay", "min-delta", "warm-up"] {
            assert!(
                error(&format!("{key} = -1.0"))
                    .starts_with(&format!("my.toml:1: {key}: expected 0 or more, found"))
            );
        }
        assert_eq!(error("hidden = [3, 0]"), "my.toml:1: hidden: expected widths from 1 to 32768, found 0");
        let flags = Options { batch: Some(0), ..Options::default() };
        assert_eq!(settings(flags, None).unwrap_err().to_string(), "--batch: expected at least 1, found 0");
        let flags = Options { seed: Some(u64::MAX), ..Options::default() };
        assert!(settings(flags, None).unwrap_err().to_string().starts_with("--seed: expected at most"));
    }

    #[test]
    fn contradictions_name_both_sides() {
        for (text, words) in [
            ("data = 'iris'\nmodel = 'cnn'", "--model cnn needs images"),
            ("data = 'csv:x.csv'\nmodel = 'resnet'", "try --model mlp"),
            ("model = 'perceptron'\nhidden = [3]", "--hidden does not go with --model perceptron"),
            ("model = 'resnet'\nhidden = [3]", "--hidden does not go with --model resnet"),
            ("model = 'mlp'\nchannels = [3]", "--channels does not go with --model mlp"),
            ("channels = []", "--model cnn needs at least one number of --channels"),
            ("model = 'perceptron'\nbatch-norm = true", "--batch-norm does not go with"),
            ("model = 'perceptron'\ndropout = 0.5", "--dropout does not go with"),
            ("momentum = 0.9", "--momentum does not go with --optimizer adamw"),
            ("optimizer = 'rprop'\nweight-decay = 0.1", "--weight-decay does not go with --optimizer rprop"),
            ("validation = 0", "--validation 0 needs data with test files"),
            ("min-delta = 0.1", "--min-delta goes with --patience"),
            ("rate = 0.2\nschedule = 'piecewise(0.1)'", "leave out --rate"),
        ] {
            let message = error(text);
            assert!(message.contains(words), "{text:?} gives {message:?}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = settings(Options::default(), Some(Path::new("no/such.toml"))).unwrap_err().to_string();
        assert!(error.starts_with("no/such.toml: "), "{error}");
    }

    #[test]
    fn words_are_as_far_apart_as_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn the_help_tells_the_defaults_that_are_used() {
        let defaults = from_file("").unwrap().entries();
        let command = Options::augment_args(clap::Command::new(""));
        let mut compared = 0;
        for argument in command.get_arguments() {
            let (Some(key), Some(help)) = (argument.get_long(), argument.get_help()) else { continue };
            let help = help.to_string();
            let told = help.split("[default: ").nth(1).and_then(|rest| rest.strip_suffix(']'));
            let told = told.unwrap_or_else(|| panic!("--{key} tells no default: {help}"));
            let used =
                defaults.iter().find(|(name, _)| name == key).map(|(_, value)| value.trim_matches('"'));
            let first = told.split([',', ' ']).next().unwrap_or_default();
            match (used.unwrap_or_default(), first) {
                ("", "off" | "all") => {}
                // Lists and what depends on the model are told in words.
                (used, _) if used.starts_with('[') => {}
                (used, first) => {
                    let same = used == first || used.parse::<f64>().ok() == first.parse::<f64>().ok();
                    assert!(same, "--{key} tells {told}, used is {used}");
                    compared += 1;
                }
            }
        }
        assert!(compared >= 15, "{compared}");
    }
}
