//! What the program says: results on stdout, everything else on stderr. That nobody reads on (`| head`) is no mistake.

use crate::failure::Failure;
use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Writes the result of a command to stdout.
///
/// # Errors
/// Whatever the operating system says, except that the reader has gone.
pub fn result(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line to stderr. A training goes on without an audience.
pub fn note(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
