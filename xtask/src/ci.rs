//! `cargo xtask ci`: what a newcomer does first, on top of the tests: build from nothing and type the README's command.

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
    stages.run("the README's first command", || {
        let readme = fs::read_to_string(workspace.root.join("README.md")).unwrap_or_default();
        let Some(words) = first_command(&readme) else {
            return Outcome::Failed("README.md has no block of shell commands".to_owned());
        };
        let mut command = Command::new(words[0]);
        Outcome::of(command.args(&words[1..]).current_dir(&workspace.root).env("CARGO_TARGET_DIR", &fresh))
    });
}

/// The words of the first command line in the first fenced `sh` block.
fn first_command(readme: &str) -> Option<Vec<&str>> {
    let mut lines = readme.lines().map(str::trim).skip_while(|line| *line != "```sh").skip(1);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let words: Vec<_> = line.split(" #").next().unwrap_or("").split_whitespace().collect();
    (!line.starts_with("```") && !words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_command_is_found() {
        let readme = "# Title\n```rust\nlet x = 1;\n```\n```sh\n# build\ncargo run --release   # ten seconds\nls\n```\n";
        assert_eq!(first_command(readme), Some(vec!["cargo", "run", "--release"]));
        assert_eq!(first_command("# Title\n```sh\n```\n"), None);
        assert_eq!(first_command("nothing"), None);
    }
}
