//! The program `bantam`.
#![forbid(unsafe_code)]

use bantam_cli::arguments::Arguments;
use clap::Parser;

fn main() {
    let _ = Arguments::parse();
}
