//! `cargo xtask bench`: runs the benchmarks, optimised.

use crate::stages::Outcome;
use crate::workspace::Workspace;

/// Runs the package `bantam-benches`; what it prints is the result.
pub(crate) fn stage(workspace: &Workspace, quick: bool) -> Outcome {
    let mut cargo = workspace.cargo(["run", "--release", "--package", "bantam-benches"]);
    if quick {
        cargo.args(["--", "--quick"]);
    }
    Outcome::of(&mut cargo)
}
