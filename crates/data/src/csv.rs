//! Tables from comma-separated text files.

use crate::InMemory;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bantam_tensor::Tensor;
use core::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A column of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Column {
    /// The last one.
    #[default]
    Last,
    /// The one at this place; the first is 0.
    Index(usize),
    /// The one that the header calls so.
    Name(String),
}

/// What the target column holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Names or numbers of classes.
    #[default]
    Classes,
    /// Numbers to predict.
    Values,
}

/// How a file is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The column to predict; the last by default. All others are features.
    pub target: Column,
    /// What that column holds; classes by default.
    pub kind: Kind,
    /// Whether the first line holds names. By default it does if not one of its features is a number.
    pub header: Option<bool>,
    /// What separates fields; a comma by default.
    pub delimiter: u8,
}

impl Default for Options {
    fn default() -> Options {
        Options { target: Column::Last, kind: Kind::Classes, header: None, delimiter: b',' }
    }
}

/// A file that cannot be read, and why.
#[derive(Debug)]
pub struct CsvError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; `None` if it is about the whole file.
    pub line: Option<u64>,
    /// The column, from 1, and its name if there is a header.
    pub column: Option<(usize, Option<String>)>,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system says no.
    Io(io::Error),
    /// Not UTF-8.
    Encoding,
    /// A line has more or fewer fields than the first.
    Fields {
        /// The fields of the first line.
        expected: usize,
        /// The fields of this line.
        found: usize,
    },
    /// A field is not a number.
    NotANumber(String),
    /// A field is NaN, infinite or too large for `f32`.
    NotFinite(String),
    /// The target field is empty.
    EmptyTarget,
    /// No lines of data.
    NoRows,
    /// No column but the target.
    NoFeatures,
    /// The target column is not there.
    NoColumn {
        /// The column asked for.
        wanted: Column,
        /// The names in the header, or the number of columns.
        present: String,
    },
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        match &self.column {
            Some((column, Some(name))) => write!(f, ", column {column} ({name})")?,
            Some((column, None)) => write!(f, ", column {column}")?,
            None => {}
        }
        f.write_str(": ")?;
        match &self.problem {
            Problem::Io(error) => write!(f, "{error}"),
            Problem::Encoding => f.write_str("expected UTF-8 text"),
            Problem::Fields { expected, found } => write!(f, "expected {expected} fields, found {found}"),
            Problem::NotANumber(text) => write!(f, "expected a number, found \"{text}\""),
            Problem::NotFinite(text) => write!(f, "expected a finite number, found \"{text}\""),
            Problem::EmptyTarget => f.write_str("expected a label, found nothing"),
            Problem::NoRows => f.write_str("expected at least one line of data, found none"),
            Problem::NoFeatures => f.write_str("expected features beside the target, found one column"),
            Problem::NoColumn { wanted: Column::Name(name), present } => {
                write!(f, "expected a column named \"{name}\", found {present}")
            }
            Problem::NoColumn { wanted: Column::Index(index), present } => {
                write!(f, "expected a column with index {index} (from 0), found {present}")
            }
            Problem::NoColumn { wanted: Column::Last, present } => {
                write!(f, "expected a last column, found {present}")
            }
        }
    }
}

impl core::error::Error for CsvError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.problem {
            Problem::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// Reads a file into memory.
///
/// Class labels may be any text. They are numbered in ascending order, of the numbers if all of them are integers, of
/// the text otherwise; the names are kept.
///
/// # Errors
/// What is wrong in which line and column.
pub fn read(path: impl AsRef<Path>, options: &Options) -> Result<InMemory, CsvError> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|error| CsvError {
        path: path.to_path_buf(),
        line: None,
        column: None,
        problem: Problem::Io(error),
    })?;
    parse(file, path, options)
}

/// Reads a table that has features only: samples to predict, shape [samples, features]. The target column of `options` does
/// not count.
///
/// # Errors
/// What is wrong in which line and column.
pub fn read_features(path: impl AsRef<Path>, options: &Options) -> Result<Tensor<f32>, CsvError> {
    let path = path.as_ref();
    let whole_file = |problem| CsvError { path: path.to_path_buf(), line: None, column: None, problem };
    let file = File::open(path).map_err(|error| whole_file(Problem::Io(error)))?;
    let table = parse_table(file, path, options, false)?;
    let rows = table.features.len() / table.columns.max(1);
    Tensor::from_vec(table.features, [rows, table.columns]).map_err(|_| whole_file(Problem::NoRows))
}

/// As [`read`], from anything that can be read; `path` is what errors call it.
///
/// # Errors
/// What is wrong in which line and column.
pub fn parse(source: impl Read, path: impl AsRef<Path>, options: &Options) -> Result<InMemory, CsvError> {
    let path = path.as_ref();
    let Table { features, columns, targets, names } = parse_table(source, path, options, true)?;
    collect(features, columns, targets).map(|table| table.with_feature_names(names)).map_err(|_| CsvError {
        path: path.to_path_buf(),
        line: None,
        column: None,
        problem: Problem::NoRows,
    })
}

/// What a file holds.
struct Table {
    features: Vec<f32>,
    /// Features per row.
    columns: usize,
    targets: Vec<Field>,
    /// The names of the features, if there is a header.
    names: Vec<String>,
}

fn parse_table(
    source: impl Read,
    path: &Path,
    options: &Options,
    has_target: bool,
) -> Result<Table, CsvError> {
    let mut place = Place { path: path.to_path_buf(), line: None, names: Vec::new() };
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(options.delimiter)
        .trim(::csv::Trim::All)
        .from_reader(source);

    let mut record = ::csv::StringRecord::new();
    let mut layout = None;
    let (mut features, mut targets) = (Vec::new(), Vec::new());
    while reader.read_record(&mut record).map_err(|error| place.broken(error))? {
        place.line = record.position().map(::csv::Position::line);
        let (columns, target) = match layout {
            Some(known) => known,
            None => {
                let (target, header) = place.first_line(&record, options, has_target)?;
                layout = Some((record.len(), target));
                if header {
                    continue;
                }
                (record.len(), target)
            }
        };
        if record.len() != columns {
            return Err(place.error(None, Problem::Fields { expected: columns, found: record.len() }));
        }
        for (column, field) in record.iter().enumerate().filter(|(column, _)| Some(*column) != target) {
            features.push(place.number(column, field)?);
        }
        let Some(target) = target else { continue };
        match (&record[target], options.kind) {
            ("", _) => return Err(place.error(Some(target), Problem::EmptyTarget)),
            (name, Kind::Classes) => targets.push(Field::Class(name.to_string())),
            (field, Kind::Values) => targets.push(Field::Value(place.number(target, field)?)),
        }
    }
    let Some((columns, target)) = layout else {
        return Err(CsvError { line: None, ..place.error(None, Problem::NoRows) });
    };
    let mut names = core::mem::take(&mut place.names);
    if let Some(target) = target
        && !names.is_empty()
    {
        names.remove(target);
    }
    Ok(Table { features, columns: columns - usize::from(target.is_some()), targets, names })
}

/// One field of the target column.
enum Field {
    Class(String),
    Value(f32),
}

/// The data set of features and targets, all of the same kind.
fn collect(features: Vec<f32>, columns: usize, targets: Vec<Field>) -> Result<InMemory, crate::Error> {
    let rows = targets.len();
    let table =
        |numbers, width: usize| Tensor::from_vec(numbers, [rows, width]).map_err(|_| crate::Error::NoRows);
    let features = table(features, columns)?;
    let (mut classes, mut values) = (Vec::new(), Vec::new());
    for target in targets {
        match target {
            Field::Class(name) => classes.push(name),
            Field::Value(value) => values.push(value),
        }
    }
    if !values.is_empty() {
        return InMemory::regression(features, table(values, 1)?);
    }
    let mut names = classes.clone();
    if names.iter().all(|name| name.parse::<i64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
    } else {
        names.sort_unstable();
    }
    names.dedup();
    let numbers: BTreeMap<&str, u32> = names.iter().map(String::as_str).zip(0..).collect();
    let labels = classes.iter().filter_map(|name| numbers.get(name.as_str()).copied()).collect();
    Ok(InMemory::classification(features, labels, names.len())?.with_class_names(names))
}

/// Where the reader is: what an error has to say.
struct Place {
    path: PathBuf,
    line: Option<u64>,
    names: Vec<String>,
}

impl Place {
    fn error(&self, column: Option<usize>, problem: Problem) -> CsvError {
        let column = column.map(|column| (column + 1, self.names.get(column).cloned()));
        CsvError { path: self.path.clone(), line: self.line, column, problem }
    }

    fn broken(&self, error: ::csv::Error) -> CsvError {
        let line = error.position().map(::csv::Position::line);
        let problem = match error.into_kind() {
            ::csv::ErrorKind::Io(error) => Problem::Io(error),
            _ => Problem::Encoding,
        };
        CsvError { line, ..self.error(None, problem) }
    }

    fn number(&self, column: usize, field: &str) -> Result<f32, CsvError> {
        match field.parse::<f32>() {
            Ok(number) if number.is_finite() => Ok(number),
            Ok(_) => Err(self.error(Some(column), Problem::NotFinite(field.to_string()))),
            Err(_) => Err(self.error(Some(column), Problem::NotANumber(field.to_string()))),
        }
    }

    /// Which column is the target, and whether the first line is a header; then its names are kept.
    fn first_line(
        &mut self,
        record: &::csv::StringRecord,
        options: &Options,
        has_target: bool,
    ) -> Result<(Option<usize>, bool), CsvError> {
        let columns = record.len();
        if columns < 1 + usize::from(has_target) {
            return Err(self.error(None, Problem::NoFeatures));
        }
        let header = options.header;
        let target = match &options.target {
            _ if !has_target => None,
            Column::Last => Some(columns - 1),
            Column::Index(index) => Some(*index).filter(|index| *index < columns),
            Column::Name(_) if header == Some(false) => None,
            Column::Name(name) => record.iter().position(|field| field == name),
        };
        if has_target && target.is_none() {
            let names: Vec<&str> = record.iter().collect();
            let present = match options.target {
                Column::Name(_) if header != Some(false) => names.join(", "),
                _ => alloc::format!("{columns} columns"),
            };
            return Err(self.error(None, Problem::NoColumn { wanted: options.target.clone(), present }));
        }
        let mut features = record.iter().enumerate().filter(|(column, _)| Some(*column) != target);
        let has_number = features.any(|(_, field)| field.parse::<f32>().is_ok());
        let named = has_target && matches!(options.target, Column::Name(_));
        let is_header = header.unwrap_or(named || !has_number);
        if is_header {
            self.names = record.iter().map(ToString::to_string).collect();
        }
        Ok((target, is_header))
    }
}
