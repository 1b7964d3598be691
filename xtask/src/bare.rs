//! Builds every `no_std` library for bare-metal targets, with an installed target or with one built from source.

use crate::stages::{Outcome, Stages};
use crate::workspace::Workspace;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The targets, and whether a normal test run builds them. Together the short ones cover: no atomic compare-and-swap and
/// no floating point (M0), an FPU (M4F), another architecture (RISC-V), and WebAssembly.
const TARGETS: [(&str, bool); 8] = [
    ("thumbv6m-none-eabi", true),
    ("thumbv7m-none-eabi", false),
    ("thumbv7em-none-eabihf", true),
    ("thumbv8m.main-none-eabihf", false),
    ("riscv32imac-unknown-none-elf", true),
    ("riscv32imafc-unknown-none-elf", false),
    ("riscv64gc-unknown-none-elf", false),
    ("wasm32-unknown-unknown", true),
];

/// A stage for each target: with no features, and with `alloc`.
pub(crate) fn run(workspace: &Workspace, stages: &mut Stages, long: bool) {
    for (target, _) in TARGETS.into_iter().filter(|(_, short)| long || *short) {
        stages.run(format!("no_std on {target}"), || match Route::find(target) {
            Ok(route) => Outcome::of_all([false, true].map(|alloc| route.build(workspace, target, alloc))),
            Err(why) => Outcome::NotRun(why),
        });
    }
}

/// How to reach a target.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    /// The usual toolchain has the target's `core`.
    Installed,
    /// This compiler, with the standard library's source beside it, builds `core` and `alloc` itself.
    FromSource { bin: PathBuf },
}

impl Route {
    fn find(target: &str) -> Result<Route, String> {
        let installed = sysroot(Path::new("rustc"))
            .is_some_and(|sysroot| sysroot.join("lib/rustlib").join(target).join("lib").exists());
        if installed { Ok(Route::Installed) } else { from_source(Path::new("/usr/bin"), target) }
    }

    fn build(&self, workspace: &Workspace, target: &str, alloc: bool) -> Command {
        let mut command = match self {
            Route::Installed => workspace.cargo(["build"]),
            Route::FromSource { bin } => {
                let mut command = Command::new(bin.join("cargo"));
                command.current_dir(&workspace.root).args(["build", "-Zbuild-std=core,alloc"]);
                command.env("RUSTC", bin.join("rustc")).env("RUSTC_BOOTSTRAP", "1");
                // What rustup sets for the usual toolchain would lead this one to the wrong libraries.
                for variable in ["CARGO", "LD_LIBRARY_PATH", "RUSTUP_TOOLCHAIN", "RUSTDOC", "RUSTC_WRAPPER"] {
                    command.env_remove(variable);
                }
                command
            }
        };
        // A folder of its own: two compilers in one would throw away each other's work.
        command
            .arg("--locked")
            .arg("--target")
            .arg(target)
            .arg("--target-dir")
            .arg(workspace.target.join("bare"));
        let mut features = Vec::new();
        for library in workspace.no_std_libraries() {
            command.args(["--package", &library.name]);
            if alloc && library.features.iter().any(|feature| feature == "alloc") {
                features.push(format!("{}/alloc", library.name));
            }
        }
        command.arg("--no-default-features");
        if alloc {
            command.arg("--features").arg(features.join(","));
        }
        command
    }
}

/// The compiler in `bin`, if it and its sources are there; otherwise what to install.
fn from_source(bin: &Path, target: &str) -> Result<Route, String> {
    let source = |sysroot: PathBuf| sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").exists();
    let parts = [
        ("rustc-web", bin.join("rustc").exists()),
        ("cargo-web", bin.join("cargo").exists()),
        ("rust-web-src", sysroot(&bin.join("rustc")).is_some_and(source)),
    ];
    let missing: Vec<_> = parts.iter().filter(|(_, there)| !there).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(Route::FromSource { bin: bin.to_owned() });
    }
    Err(format!(
        "install it with `rustup target add {target}`, or on Debian with `apt-get install {}`",
        missing.join(" ")
    ))
}

/// Where the compiler `rustc` has its libraries; `None` if it does not run.
fn sysroot(rustc: &Path) -> Option<PathBuf> {
    let mut command = Command::new(rustc);
    if rustc.is_absolute() {
        command.env_remove("LD_LIBRARY_PATH");
    }
    let output =
        command.args(["--print", "sysroot"]).output().ok().filter(|output| output.status.success())?;
    Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_compiler_it_says_what_to_install() {
        let error = from_source(Path::new("/nowhere"), "thumbv6m-none-eabi").unwrap_err();
        assert!(error.contains("rustup target add thumbv6m-none-eabi"), "{error}");
        assert!(error.contains("apt-get install rustc-web cargo-web rust-web-src"), "{error}");
    }
}
