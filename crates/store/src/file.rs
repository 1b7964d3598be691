//! Files that are there as a whole or not at all.

use crate::checkpoint;
use alloc::vec::Vec;
use core::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that cannot be written or read, and why.
#[derive(Debug)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system says no.
    Io {
        /// What was being done, such as "write".
        action: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// The content is not a whole checkpoint.
    Checkpoint(checkpoint::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Io { action, error } => write!(f, "cannot {action} {}: {error}", self.path.display()),
            Problem::Checkpoint(error) => write!(f, "{}: {error}", self.path.display()),
        }
    }
}

impl core::error::Error for FileError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match &self.problem {
            Problem::Io { error, .. } => Some(error),
            Problem::Checkpoint(error) => Some(error),
        }
    }
}

/// Writes a file so that at any moment, also after a crash or a power failure, there is either the old file or the
/// new one, complete.
///
/// The content goes to a second file in the same folder, reaches the disk, and takes the name of the first in one
/// step of the file system. If anything fails before that step (a full disk, say), the old file is untouched and the
/// second one is removed. A killed program can leave the second one, `.NAME.partial`, behind; the next write replaces
/// it.
///
/// One program at a time may write a given file.
///
/// # Errors
/// What the operating system refused.
pub fn write_atomic(path: impl AsRef<Path>, content: &[u8]) -> Result<(), FileError> {
    write_atomic_with(path, |file| file.write_all(content))
}

/// As [`write_atomic`], with a function that writes the content piece by piece.
///
/// # Errors
/// What the operating system refused, or the function returned.
pub fn write_atomic_with(
    path: impl AsRef<Path>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let path = path.as_ref();
    let fail =
        |action| move |error| FileError { path: path.to_path_buf(), problem: Problem::Io { action, error } };
    let Some(name) = path.file_name() else {
        return Err(fail("write")(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this is not the path of a file",
        )));
    };
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut partial_name = std::ffi::OsString::from(".");
    partial_name.push(name);
    partial_name.push(".partial");
    let partial = folder.join(partial_name);

    let written = (|| {
        let mut file = File::create(&partial)?;
        content(&mut file)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    })();
    if let Err(error) = written {
        // If it cannot be removed either, the first error is the one to report.
        let _ = fs::remove_file(&partial);
        return Err(fail("write")(error));
    }
    sync_folder(folder).map_err(fail("save the folder entry of"))
}

/// The new name itself has to reach the disk too; on Unix a folder is synced like a file.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere folders cannot be opened, and renaming is as durable as the file system makes it.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Writes `content` as a checkpoint, atomically.
///
/// # Errors
/// What the operating system refused.
pub fn write_checkpoint(path: impl AsRef<Path>, content: &[u8]) -> Result<(), FileError> {
    let (head, tail) = checkpoint::frame(content);
    write_atomic_with(path, |file| {
        file.write_all(&head)?;
        file.write_all(content)?;
        file.write_all(&tail)
    })
}

/// The content of a checkpoint, checked.
///
/// # Errors
/// What the operating system refused, or what is wrong with the checkpoint.
pub fn read_checkpoint(path: impl AsRef<Path>) -> Result<Vec<u8>, FileError> {
    let path = path.as_ref();
    let fail = |problem| FileError { path: path.to_path_buf(), problem };
    let mut bytes = fs::read(path).map_err(|error| fail(Problem::Io { action: "read", error }))?;
    checkpoint::open(&bytes).map_err(|error| fail(Problem::Checkpoint(error)))?;
    bytes.truncate(bytes.len() - checkpoint::TAIL_LEN);
    bytes.drain(..checkpoint::HEAD_LEN);
    Ok(bytes)
}
