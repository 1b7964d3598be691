//! The workspace as cargo sees it: its packages, their features and what they depend on.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package of this workspace or a third-party crate.
pub(crate) struct Package {
    /// The package's name, such as `bantam-core`.
    pub(crate) name: String,
    /// Its version, such as `0.1.0`.
    pub(crate) version: String,
    /// The folder that holds its `Cargo.toml`.
    pub(crate) folder: PathBuf,
    /// The names of its cargo features, sorted.
    pub(crate) features: Vec<String>,
    /// The names of the packages it depends on when it is built, dev-dependencies left out.
    pub(crate) dependencies: Vec<String>,
    /// The root source files of its libraries and programs, tests, benches and examples left out.
    pub(crate) roots: Vec<PathBuf>,
    /// Whether it has a library.
    pub(crate) is_library: bool,
    /// `rust-version`, if it is stated.
    pub(crate) rust_version: Option<String>,
    /// The native library that it says it links.
    pub(crate) links: Option<String>,
    /// `[package.metadata.bantam] host-only = true`: the crate needs an operating system, so it is not `no_std`.
    pub(crate) host_only: bool,
}

impl Package {
    /// The name without `bantam-`: the name of the folder.
    pub(crate) fn short_name(&self) -> &str {
        self.name.strip_prefix("bantam-").unwrap_or(&self.name)
    }
}

/// The whole workspace and everything that it depends on.
pub(crate) struct Workspace {
    /// The repository's top folder.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// The workspace's own packages, sorted by name.
    pub(crate) members: Vec<Package>,
    /// `rust-version` of the workspace.
    pub(crate) rust_version: String,
    third_party: Vec<Package>,
}

impl Workspace {
    /// Asks `cargo metadata`.
    pub(crate) fn load() -> Result<Workspace, String> {
        let output = Command::new(cargo_program())
            .args(["metadata", "--format-version", "1", "--all-features"])
            .output()
            .map_err(|error| format!("cargo metadata did not start: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("cargo metadata is not JSON: {error}"))?;
        Workspace::from_metadata(&metadata)
    }

    fn from_metadata(metadata: &Value) -> Result<Workspace, String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let member_ids: BTreeSet<String> = list(&metadata["workspace_members"]).map(text).collect();
        let (mut members, mut third_party) = (Vec::new(), Vec::new());
        for value in list(&metadata["packages"]) {
            let home = if member_ids.contains(&text(&value["id"])) { &mut members } else { &mut third_party };
            home.push(package(value));
        }
        members.sort_by(|a: &Package, b| a.name.cmp(&b.name));
        let rust_version = members.iter().find_map(|package| package.rust_version.clone());
        Ok(Workspace {
            root: PathBuf::from(text(&metadata["workspace_root"])),
            target: PathBuf::from(text(&metadata["target_directory"])),
            rust_version: rust_version.ok_or("no package of the workspace states its rust-version")?,
            members,
            third_party,
        })
    }

    /// The crates that promise to build without an operating system: every library below `crates` that does not say
    /// `host-only`. There is no second list of them anywhere.
    pub(crate) fn no_std_libraries(&self) -> impl Iterator<Item = &Package> {
        self.members
            .iter()
            .filter(|p| p.is_library && !p.host_only && p.folder.starts_with(self.root.join("crates")))
    }

    /// The member with this name.
    pub(crate) fn member(&self, name: &str) -> Option<&Package> {
        self.members.iter().find(|package| package.name == name)
    }

    /// All third-party crates that the named members need to be built with all their features on any platform. What only
    /// tests or other members ask for does not count: that is why cargo is asked for exactly these members.
    pub(crate) fn third_party_of<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<&Package>, String> {
        let mut command =
            self.cargo(["tree", "--all-features", "--edges", "normal,build", "--target", "all"]);
        command.args(["--prefix", "none", "--format", "{p}"]);
        for name in names {
            command.args(["--package", name]);
        }
        let output = command.output().map_err(|error| format!("cargo tree did not start: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
        }
        let needed = packages_of_tree(&String::from_utf8_lossy(&output.stdout));
        let is_needed =
            |package: &&Package| needed.contains(&(package.name.clone(), package.version.clone()));
        Ok(self.third_party.iter().filter(is_needed).collect())
    }

    /// A cargo command at the top of the workspace.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(cargo_program());
        command.current_dir(&self.root).args(arguments);
        command
    }
}

/// The cargo that runs us.
fn cargo_program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// (name, version) of every line `name v1.2.3 …`.
fn packages_of_tree(text: &str) -> BTreeSet<(String, String)> {
    let package = |line: &str| {
        let (name, rest) = line.split_once(" v")?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    };
    text.lines().filter_map(package).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn package(value: &Value) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kinds = |target: &Value| list(&target["kind"]).map(text).collect::<Vec<_>>();
    let is_library = |target: &Value| kinds(target).iter().any(|kind| kind == "lib" || kind == "proc-macro");
    let is_root = |target: &&Value| is_library(target) || kinds(target).iter().any(|kind| kind == "bin");
    Package {
        name: text(&value["name"]),
        version: text(&value["version"]),
        folder: Path::new(&text(&value["manifest_path"])).parent().unwrap_or(Path::new("")).to_owned(),
        features: value["features"].as_object().map(|f| f.keys().cloned().collect()).unwrap_or_default(),
        dependencies: list(&value["dependencies"])
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| text(&dependency["name"]))
            .collect(),
        roots: list(&value["targets"]).filter(is_root).map(|t| PathBuf::from(text(&t["src_path"]))).collect(),
        is_library: list(&value["targets"]).any(is_library),
        rust_version: value["rust_version"].as_str().map(str::to_owned),
        links: value["links"].as_str().map(str::to_owned),
        host_only: value["metadata"]["bantam"]["host-only"] == true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_dependencies_are_no_dependencies() {
        let metadata = r#"{
            "workspace_root": "/w", "target_directory": "/w/target", "workspace_members": ["a"],
            "packages": [
                {"id": "a", "name": "bantam-a", "manifest_path": "/w/crates/a/Cargo.toml", "rust_version": "1.89",
                 "features": {"std": [], "alloc": []}, "metadata": null, "links": null,
                 "targets": [{"kind": ["lib"], "src_path": "/w/crates/a/src/lib.rs"},
                             {"kind": ["test"], "src_path": "/w/crates/a/tests/t.rs"}],
                 "dependencies": [{"name": "b", "kind": null}, {"name": "c", "kind": "dev"}]},
                {"id": "b", "name": "b", "version": "2.0.1"}]}"#;
        let workspace = Workspace::from_metadata(&serde_json::from_str(metadata).unwrap()).unwrap();
        let a = workspace.member("bantam-a").unwrap();
        assert_eq!(a.short_name(), "a");
        assert_eq!(a.features, ["alloc", "std"]);
        assert_eq!(a.dependencies, ["b"]);
        assert_eq!(a.roots, [Path::new("/w/crates/a/src/lib.rs")]);
        assert_eq!(workspace.no_std_libraries().count(), 1);
        assert_eq!(workspace.third_party.len(), 1);
    }

    #[test]
    fn a_tree_is_read_line_by_line() {
        let text =
            "bantam-a v0.1.0 (/w/crates/a)\nb v2.0.1\n\nc v1.2.0+spec-1.1.0 (proc-macro)\nb v2.0.1 (*)\n";
        let packages = packages_of_tree(text);
        let expected = [("b", "2.0.1"), ("bantam-a", "0.1.0"), ("c", "1.2.0+spec-1.1.0")];
        assert!(packages.iter().map(|(name, version)| (name.as_str(), version.as_str())).eq(expected));
    }
}
