//! Ctrl-C: the first one asks the run to stop at the next safe point, the second one ends the program at once.

use crate::print;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a program that a Ctrl-C ended, as shells know it.
pub const INTERRUPTED: i32 = 130;

/// Whether Ctrl-C was pressed; shared with the handler.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes over Ctrl-C for the rest of the program; at most once.
    ///
    /// # Errors
    /// The operating system refuses, or it was called before.
    pub fn install() -> Result<Interrupt, ctrlc::Error> {
        let interrupt = Interrupt::default();
        let shared = interrupt.clone();
        ctrlc::set_handler(move || {
            if shared.0.swap(true, Ordering::SeqCst) {
                std::process::exit(INTERRUPTED);
            }
            print::note("\nstopping after this batch with a checkpoint; press Ctrl-C again to stop at once");
        })?;
        Ok(interrupt)
    }

    /// Whether the run should stop.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
