//! The project's own commands: `cargo xtask test`, `tidy`, `plan`, `mcu`, `bench` and `ci`.
#![forbid(unsafe_code)]
#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "a host program: std is at home here"
)]

mod bare;
mod bench;
mod ci;
mod emulated;
mod mcu;
mod power;
mod route;
mod stages;
mod test;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use stages::Stages;
use std::process::ExitCode;
use workspace::Workspace;

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that can be checked on this machine: format, lints, tidy, tests, documentation, bare-metal builds.
    Test {
        /// Also the long proofs (feature `long-tests`, optimised) and every bare-metal target.
        #[arg(long)]
        long: bool,
        /// A stage that could not run is a failure, too.
        #[arg(long)]
        require_all: bool,
    },
    /// The house rules that no compiler checks.
    Tidy,
    /// Measures speed and memory, optimised.
    Bench {
        /// Fewer repetitions.
        #[arg(long)]
        quick: bool,
        /// Side by side with the crates gemm, matrixmultiply, candle and burn, which are built first, and with PyTorch if
        /// it is installed.
        #[arg(long)]
        peers: bool,
    },
    /// Writes the firmware's plans in flash, and their first weights, after a network has changed.
    Plan,
    /// Trains on every machine, emulated, and prints what it takes; all must end with the same bits.
    Mcu {
        /// Only these programs of `crates/firmware/examples`; may be given again.
        #[arg(long, value_name = "NAME")]
        program: Vec<String>,
        /// Only machines whose name contains this, such as M4F or host; may be given again.
        #[arg(long, value_name = "NAME")]
        machine: Vec<String>,
        /// Writes what came out into the README's table and `crates/firmware/sizes.txt`.
        #[arg(long, conflicts_with_all = ["program", "machine"])]
        record: bool,
    },
    /// What continuous integration runs: `test --require-all`, a clean release build, the README's first command.
    Ci,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let workspace = match Workspace::load() {
        Ok(workspace) => workspace,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(2);
        }
    };
    let mut stages = Stages::new();
    match arguments.command {
        Command::Test { long, require_all } => {
            test::run(&workspace, &mut stages, long);
            stages.finish(require_all)
        }
        Command::Tidy => {
            stages.run("tidy", || tidy::stage(&workspace));
            stages.finish(true)
        }
        Command::Bench { quick, peers } => {
            stages.run("bench", || match peers {
                true => bench::peers(&workspace, quick),
                false => bench::stage(&workspace, quick),
            });
            stages.finish(true)
        }
        Command::Plan => {
            stages.run("plans in flash", || mcu::write_plans(&workspace));
            stages.finish(true)
        }
        Command::Mcu { program, machine, record } => {
            let rows = mcu::run(&workspace, &mut stages, false, &program, &machine);
            if record {
                stages.run("record", || mcu::record(&workspace, &rows));
            }
            stages.finish(true)
        }
        Command::Ci => {
            test::run(&workspace, &mut stages, false);
            ci::run(&workspace, &mut stages);
            stages.finish(true)
        }
    }
}
