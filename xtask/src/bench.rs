//! `cargo xtask bench`: runs the benchmarks, optimised.

use crate::stages::Outcome;
use crate::workspace::Workspace;
use std::process::Command;

/// Runs the package `bantam-benches`; what it prints is the result.
pub(crate) fn stage(workspace: &Workspace, quick: bool) -> Outcome {
    let mut cargo = workspace.cargo(["run", "--release", "--package", "bantam-benches"]);
    Outcome::of(quickly(&mut cargo, quick))
}

/// Other frameworks, a workspace of their own.
pub(crate) const PEERS: &str = "benches/peers/Cargo.toml";

/// Runs Bantam and other frameworks side by side.
pub(crate) fn peers(workspace: &Workspace, quick: bool) -> Outcome {
    let mut cargo = workspace.cargo(["run", "--release", "--locked", "--manifest-path", PEERS]);
    cargo.env("CARGO_TARGET_DIR", workspace.target.join("peers"));
    Outcome::of(quickly(&mut cargo, quick))
}

fn quickly(cargo: &mut Command, quick: bool) -> &mut Command {
    if quick { cargo.args(["--", "--quick"]) } else { cargo }
}
