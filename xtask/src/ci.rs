//! `cargo xtask ci`: what a newcomer does first, on top of the tests: build from nothing and type the README's command.

use crate::bench;
use crate::stages::{Outcome, Stages};
use crate::workspace::Workspace;
use std::fs;
use std::process::Command;

/// A clean release build of the program, then the first command of the README with what was built.
pub(crate) fn run(workspace: &Workspace, stages: &mut Stages) {
    let fresh = workspace.target.join("fresh");
    stages.run("clean release build", || {
        if fresh.exists() && fs::remove_dir_all(&fresh).is_err() {
            return Outcome::Failed(format!("{} cannot be removed", fresh.display()));
        }
        let mut command = workspace.cargo(["build", "--release", "--locked", "--package", "bantam-cli"]);
        Outcome::of(command.env("CARGO_TARGET_DIR", &fresh))
    });
    stages.run("every benchmark, briefly", || bench::stage(workspace, true));
    stages.run("the README's first command", || {
        let readme = fs::read_to_string(workspace.root.join("README.md")).unwrap_or_default();
        let Some(words) = first_command(&readme) else {
            return Outcome::Failed("README.md has no line that begins with `cargo`".to_owned());
        };
        let mut command = Command::new(words[0]);
        Outcome::of(command.args(&words[1..]).current_dir(&workspace.root).env("CARGO_TARGET_DIR", &fresh))
    });
}

/// The words of the first line that is a cargo command, whatever kind of block it stands in.
fn first_command(readme: &str) -> Option<Vec<&str>> {
    let line = readme.lines().map(str::trim).find(|line| line.starts_with("cargo "))?;
    Some(line.split(" #").next().unwrap_or(line).split_whitespace().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_command_is_found() {
        let readme =
            "# Title\nRun `cargo run`:\n\n    cargo run --release   # ten seconds\n    cargo xtask test\n";
        assert_eq!(first_command(readme), Some(vec!["cargo", "run", "--release"]));
        assert_eq!(first_command("```sh\ncargo run\n```\n"), Some(vec!["cargo", "run"]));
        assert_eq!(first_command("nothing"), None);
    }
}
