//! The folder that a run leaves behind: its settings, its history, its metrics, its model, its pictures.

use crate::config::Settings;
use bantam::store::file::{FileError, write_atomic};
use serde::Serialize;
use std::fmt::{self, Write as _};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A run folder cannot be made, read or written.
#[derive(Debug)]
pub enum RunFolderError {
    /// The folder already holds a run.
    Taken(PathBuf),
    /// There is no run in the folder.
    NoRun(PathBuf),
    /// There is a file where the folder is to be.
    NotAFolder(PathBuf),
    /// A file cannot be written.
    Write(FileError),
    /// The operating system says no to something else.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

impl fmt::Display for RunFolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunFolderError::Taken(path) => {
                write!(
                    f,
                    "{} already holds a run: go on with --resume, or choose another --run",
                    path.display()
                )
            }
            RunFolderError::NoRun(path) => {
                write!(f, "{} holds no run: it has no config.toml", path.display())
            }
            RunFolderError::NotAFolder(path) => {
                write!(f, "{} is a file, expected a folder or a new name", path.display())
            }
            RunFolderError::Write(error) => error.fmt(f),
            RunFolderError::Io { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for RunFolderError {}

impl From<FileError> for RunFolderError {
    fn from(error: FileError) -> RunFolderError {
        RunFolderError::Write(error)
    }
}

/// The columns of `history.csv`.
const COLUMNS: [&str; 8] = [
    "epoch",
    "step",
    "rate",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "seconds",
];

/// What one epoch came to: a row of `history.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Epoch {
    /// The epoch, from 1.
    pub epoch: u64,
    /// The updates made so far.
    pub step: u64,
    /// The learning rate of the last update.
    pub rate: f64,
    /// The mean loss over the epoch's batches.
    pub train_loss: f64,
    /// The share of right answers over the epoch's batches.
    pub train_accuracy: f64,
    /// The mean loss on the samples held out.
    pub validation_loss: f64,
    /// The share of right answers on the samples held out.
    pub validation_accuracy: f64,
    /// How long the epoch took.
    pub seconds: f64,
}

impl Epoch {
    /// The row without its line end. Numbers are printed so that they read back as the same bits.
    fn to_row(self) -> String {
        format!(
            "{},{},{},{},{},{},{},{}",
            self.epoch,
            self.step,
            self.rate,
            self.train_loss,
            self.train_accuracy,
            self.validation_loss,
            self.validation_accuracy,
            self.seconds
        )
    }

    fn from_row(row: &str) -> Option<Epoch> {
        let mut cells = row.split(',');
        let mut next = || cells.next();
        let epoch = Epoch {
            epoch: next()?.parse().ok()?,
            step: next()?.parse().ok()?,
            rate: next()?.parse().ok()?,
            train_loss: next()?.parse().ok()?,
            train_accuracy: next()?.parse().ok()?,
            validation_loss: next()?.parse().ok()?,
            validation_accuracy: next()?.parse().ok()?,
            seconds: next()?.parse().ok()?,
        };
        cells.next().is_none().then_some(epoch)
    }
}

/// An existing folder that belongs to one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// A folder for a new run: `chosen`, or else the first of `runs/DATA-MODEL`, `runs/DATA-MODEL-2`, … that is free.
    /// It holds `config.toml` and the head of `history.csv` when this returns.
    ///
    /// # Errors
    /// `chosen` already holds a run, or the disk refuses.
    pub fn create(settings: &Settings, chosen: Option<&Path>) -> Result<RunFolder, RunFolderError> {
        RunFolder::create_below(Path::new("runs"), settings, chosen)
    }

    fn create_below(
        runs: &Path,
        settings: &Settings,
        chosen: Option<&Path>,
    ) -> Result<RunFolder, RunFolderError> {
        let path = match chosen {
            Some(path) => {
                make(path)?;
                path.to_owned()
            }
            None => {
                make(runs)?;
                first_free(&runs.join(format!("{}-{}", settings.data.short_name(), settings.model)))?
            }
        };
        let folder = RunFolder { path };
        if folder.config().exists() {
            return Err(RunFolderError::Taken(folder.path));
        }
        let written = folder
            .write(&folder.history(), format!("{}\n", COLUMNS.join(",")).as_bytes())
            // Last, for this file makes the folder a run.
            .and_then(|()| folder.write_config(settings));
        if let Err(error) = written {
            // Nothing stays of a run that could not begin; a folder with something else in it does.
            let _ = fs::remove_file(folder.history());
            let _ = fs::remove_dir(folder.path());
            return Err(error);
        }
        Ok(folder)
    }

    /// The folder of a run that exists.
    ///
    /// # Errors
    /// There is no run in it.
    pub fn open(path: &Path) -> Result<RunFolder, RunFolderError> {
        let folder = RunFolder { path: path.to_owned() };
        if folder.config().exists() { Ok(folder) } else { Err(RunFolderError::NoRun(path.to_owned())) }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The complete settings.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// One row per epoch.
    pub fn history(&self) -> PathBuf {
        self.path.join("history.csv")
    }

    /// What the run came to.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.json")
    }

    /// The trained parameters.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// Everything that is needed to go on.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    /// A picture, such as `curves` for `curves.svg`.
    pub fn picture(&self, name: &str) -> PathBuf {
        self.path.join(name).with_extension("svg")
    }

    /// Replaces `config.toml`: a run that goes on may have become longer.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write_config(&self, settings: &Settings) -> Result<(), RunFolderError> {
        self.write(&self.config(), settings.to_toml().as_bytes())
    }

    /// Replaces `metrics.json`.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write_metrics(&self, metrics: &impl Serialize) -> Result<(), RunFolderError> {
        let path = self.metrics();
        let mut text = serde_json::to_string_pretty(metrics)
            .map_err(|error| RunFolderError::Io { path: path.clone(), error: error.into() })?;
        text.push('\n');
        self.write(&path, text.as_bytes())
    }

    /// Appends a row to `history.csv`.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn append(&self, epoch: Epoch) -> Result<(), RunFolderError> {
        let path = self.history();
        OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(format!("{}\n", epoch.to_row()).as_bytes()))
            .map_err(|error| RunFolderError::Io { path, error })
    }

    /// Makes `history.csv` say what the checkpoint says that the run goes on from: a program that was killed may have
    /// left out its last row, or written more, or half of one. How long an epoch took is only known by the file, and not
    /// a number where that is lost.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn rewind(&self, mut done: Vec<Epoch>) -> Result<Vec<Epoch>, RunFolderError> {
        let path = self.history();
        let text = fs::read_to_string(&path).unwrap_or_default();
        let rows: Vec<Epoch> = text.lines().filter_map(Epoch::from_row).collect();
        let mut rewritten = format!("{}\n", COLUMNS.join(","));
        for epoch in &mut done {
            let same = rows.iter().find(|row| row.epoch == epoch.epoch && row.step == epoch.step);
            epoch.seconds = same.map_or(f64::NAN, |row| row.seconds);
            let _ = writeln!(rewritten, "{}", epoch.to_row());
        }
        self.write(&path, rewritten.as_bytes())?;
        Ok(done)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), RunFolderError> {
        Ok(write_atomic(path, bytes)?)
    }
}

fn make(path: &Path) -> Result<(), RunFolderError> {
    if path.is_file() {
        return Err(RunFolderError::NotAFolder(path.to_owned()));
    }
    fs::create_dir_all(path).map_err(|error| RunFolderError::Io { path: path.to_owned(), error })
}

/// Creates `base`, or `base-2`, `base-3`, …: whichever is the first that nobody made before.
fn first_free(base: &Path) -> Result<PathBuf, RunFolderError> {
    let mut path = base.to_owned();
    let mut number = 1_u64;
    loop {
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                number += 1;
                let mut name = base.as_os_str().to_owned();
                name.push(format!("-{number}"));
                path = name.into();
            }
            Err(error) => return Err(RunFolderError::Io { path, error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Options};
    use crate::test_folder::TestFolder;

    fn settings() -> Settings {
        config::settings(Options::default(), None).unwrap()
    }

    fn epoch(epoch: u64) -> Epoch {
        Epoch {
            epoch,
            step: 23 * epoch,
            rate: 0.1 + 0.2,
            train_loss: 1.0 / 3.0,
            train_accuracy: 0.5,
            validation_loss: 1e-30,
            validation_accuracy: 1.0,
            seconds: 0.25,
        }
    }

    #[test]
    fn folders_are_numbered() {
        let folder = TestFolder::new("numbered");
        let runs = folder.0.join("runs");
        for name in ["digits-cnn", "digits-cnn-2", "digits-cnn-3"] {
            let run = RunFolder::create_below(&runs, &settings(), None).unwrap();
            assert_eq!(run.path(), runs.join(name));
            assert_eq!(config::settings_of(run.path()).unwrap(), settings());
        }
    }

    #[test]
    fn a_run_that_cannot_begin_leaves_nothing() {
        let folder = TestFolder::new("refused");
        let file = folder.0.join("file");
        fs::write(&file, "x").unwrap();
        let error = RunFolder::create(&settings(), Some(&file)).unwrap_err().to_string();
        assert!(error.ends_with("file is a file, expected a folder or a new name"), "{error}");
        // A folder where the file of settings is to be: writing it fails.
        let chosen = folder.0.join("run");
        fs::create_dir_all(chosen.join("history.csv")).unwrap();
        assert!(RunFolder::create(&settings(), Some(&chosen)).is_err());
        assert!(!chosen.join("config.toml").exists());
    }

    #[test]
    fn a_chosen_folder_is_taken_once() {
        let folder = TestFolder::new("taken");
        let chosen = folder.0.join("some/where");
        RunFolder::create(&settings(), Some(&chosen)).unwrap();
        let error = RunFolder::create(&settings(), Some(&chosen)).unwrap_err();
        assert!(error.to_string().contains("already holds a run"), "{error}");
        assert_eq!(RunFolder::open(&chosen).unwrap().path(), chosen);
        assert!(matches!(RunFolder::open(&folder.0), Err(RunFolderError::NoRun(_))));
    }

    #[test]
    fn a_run_goes_on_only_with_its_own_model() {
        let folder = TestFolder::new("own");
        let run = RunFolder::create(&settings(), Some(&folder.0.join("run"))).unwrap();
        let resume = |options: Options| config::settings_to_resume(options, None, run.path());
        assert_eq!(resume(Options::default()).unwrap(), settings());
        assert_eq!(resume(Options { epochs: Some(99), ..Options::default() }).unwrap().epochs, 99);
        assert!(resume(Options { batch: Some(settings().batch), ..Options::default() }).is_ok());
        let error = resume(Options { batch: Some(7), ..Options::default() }).unwrap_err().to_string();
        assert!(error.ends_with("made with batch = 32, not 7; choose another folder with --run"), "{error}");
        let error = resume(Options { hidden: Some(vec![3]), ..Options::default() }).unwrap_err().to_string();
        assert!(error.contains("hidden = [128], not [3]"), "{error}");
    }

    #[test]
    fn history_becomes_what_the_checkpoint_says() {
        let folder = TestFolder::new("history");
        let run = RunFolder::create(&settings(), Some(&folder.0)).unwrap();
        (1..=3).for_each(|n| run.append(epoch(n)).unwrap());
        let whole = fs::read_to_string(run.history()).unwrap();
        assert_eq!(
            whole.lines().next(),
            Some("epoch,step,rate,train_loss,train_accuracy,validation_loss,validation_accuracy,seconds")
        );
        let unknown = |n| Epoch { seconds: f64::NAN, ..epoch(n) };
        // Killed in the middle of a row that the checkpoint knows nothing of.
        fs::write(run.history(), whole.clone() + "4,92,0.3,0.").unwrap();
        assert_eq!(run.rewind(vec![unknown(1), unknown(2)]).unwrap(), [epoch(1), epoch(2)]);
        run.append(epoch(3)).unwrap();
        assert_eq!(fs::read_to_string(run.history()).unwrap(), whole);
        // Killed in the middle of a row that the checkpoint knows, or before it.
        for lost in [whole.len() - 5, whole.trim_end().rfind('\n').unwrap() + 1] {
            fs::write(run.history(), &whole[..lost]).unwrap();
            let done = run.rewind((1..=3).map(unknown).collect()).unwrap();
            assert_eq!(done[..2], [epoch(1), epoch(2)]);
            assert!(done[2].seconds.is_nan() && done[2].train_loss == epoch(3).train_loss);
            let text = fs::read_to_string(run.history()).unwrap();
            assert_eq!(text, whole.trim_end_matches("0.25\n").to_owned() + "NaN\n");
        }
    }

    #[test]
    fn metrics_are_json() {
        let folder = TestFolder::new("metrics");
        let run = RunFolder::create(&settings(), Some(&folder.0)).unwrap();
        run.write_metrics(&epoch(5)).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&fs::read(run.metrics()).unwrap()).unwrap();
        assert_eq!(value["epoch"], 5);
        assert_eq!(value["train_loss"], 1.0 / 3.0);
    }
}
