//! The parts of the program `bantam` that know nothing of networks: settings, run folders, pictures, progress, Ctrl-C.
#![forbid(unsafe_code)]
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "a host program: std is at home here"
)]

pub mod arguments;
pub mod config;
pub mod files;
pub mod interrupt;
pub mod pictures;
pub mod progress;
pub mod run_folder;
pub mod values;
