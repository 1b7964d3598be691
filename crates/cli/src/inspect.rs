//! `bantam inspect`: layers, parameters and memory, without training.

use crate::arguments::InspectArguments;
use crate::config;
use crate::failure::Failure;
use crate::print;
use crate::run_folder::RunFolder;
use crate::samples::Source;
use crate::train::{prepare, threads};

/// Prints the summary of a network and the memory that training it takes.
///
/// # Errors
/// The settings or the data make no network.
pub fn inspect(arguments: InspectArguments) -> Result<i32, Failure> {
    let settings = match &arguments.run {
        Some(folder) => config::settings_of(RunFolder::open(folder)?.path())?,
        None => config::settings(arguments.options, arguments.config.as_deref())?,
    };
    let source = Source::open(&settings.data)?;
    let parts = source.parts(&settings)?;
    let threads = threads(&settings)?;
    let network = prepare(&settings, &parts, &threads)?;
    print::result(&format!(
        "{}\n\ntraining with batches of {}:\n{}\n",
        network.summary()?,
        settings.batch.min(parts.train.len()),
        network.plan().memory()
    ))?;
    Ok(0)
}
