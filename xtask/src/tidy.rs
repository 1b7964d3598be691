//! `cargo xtask tidy`: the house rules that no compiler checks.

mod houses;
mod manifests;
mod text;

use crate::stages::Outcome;
use crate::workspace::Workspace;
use std::path::Path;
use std::{fs, io};

/// What the top folder may hold besides dotfiles and what builds and runs leave behind.
const TOP: [&str; 11] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "crates",
    "xtask",
    "benches",
    "fuzz",
];
/// May be there, too.
const TOP_OPTIONAL: [&str; 2] = ["target", "runs"];

/// Prints every complaint; fails if there is one.
pub(crate) fn stage(workspace: &Workspace) -> Outcome {
    let complaints = match complaints(workspace) {
        Ok(complaints) => complaints,
        Err(error) => return Outcome::Failed(error),
    };
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => Outcome::Ok,
        1 => Outcome::Failed("1 complaint".to_owned()),
        many => Outcome::Failed(format!("{many} complaints")),
    }
}

fn complaints(workspace: &Workspace) -> Result<Vec<String>, String> {
    let unreadable = |error: io::Error| format!("a folder or file of the workspace cannot be read: {error}");
    let mut complaints = top_level(&names(&workspace.root).map_err(unreadable)?);
    walk(&workspace.root, &workspace.root, &mut complaints).map_err(unreadable)?;
    complaints.extend(houses::check(workspace)?);
    Ok(complaints)
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The top folder holds what a visitor expects and nothing else.
fn top_level(names: &[String]) -> Vec<String> {
    let allowed = |name: &str| name.starts_with('.') || TOP.contains(&name) || TOP_OPTIONAL.contains(&name);
    let strangers = names.iter().filter(|name| !allowed(name));
    let missing = TOP.iter().filter(|name| !names.iter().any(|there| there == *name));
    strangers
        .map(|name| format!("{name}: does not belong at the top level"))
        .chain(missing.map(|name| format!("{name}: is missing at the top level")))
        .collect()
}

/// Reads every text file below `folder` and holds it against the rules for its kind.
fn walk(root: &Path, folder: &Path, complaints: &mut Vec<String>) -> io::Result<()> {
    for name in names(folder)? {
        let path = folder.join(&name);
        if path.is_dir() {
            if ![".git", "target", "runs", "corpus", "artifacts"].contains(&name.as_str()) {
                walk(root, &path, complaints)?;
            }
            continue;
        }
        // What is not UTF-8 is data.
        let Ok(content) = String::from_utf8(fs::read(&path)?) else { continue };
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let is_source =
            name.ends_with(".rs") || name.ends_with(".toml") || name.ends_with(".md") || name == "run";
        if is_source {
            complaints.extend(text::check(&shown, &content));
        }
        if name == "Cargo.toml" {
            complaints.extend(manifests::uncommented_features(&shown, &content));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_and_gaps_at_the_top_level_are_found() {
        let mut names: Vec<String> = TOP.iter().map(|name| (*name).to_owned()).collect();
        names.push(".gitignore".to_owned());
        assert_eq!(top_level(&names), [""; 0]);
        names.retain(|name| name != "LICENSE-MIT");
        names.push("notes.txt".to_owned());
        let expected =
            ["notes.txt: does not belong at the top level", "LICENSE-MIT: is missing at the top level"];
        assert_eq!(top_level(&names), expected);
    }
}
