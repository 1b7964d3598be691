//! How to build for a target without an operating system: an installed one, or one whose `core` is built from source.

use crate::workspace::Workspace;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How to reach a target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The usual toolchain has the target's `core`.
    Installed,
    /// This compiler, with the standard library's source beside it, builds `core` and `alloc` itself.
    FromSource { bin: PathBuf },
}

impl Route {
    /// The way there is, or what to install.
    pub(crate) fn find(target: &str) -> Result<Route, String> {
        let installed = sysroot(Path::new("rustc"))
            .is_some_and(|sysroot| sysroot.join("lib/rustlib").join(target).join("lib").exists());
        if installed { Ok(Route::Installed) } else { from_source(Path::new("/usr/bin"), target) }
    }

    /// The way to the smallest images, or what to install: a library that is built with the program is as small as the program asks
    /// for, and one that is installed was made to be fast.
    pub(crate) fn to_small_images(target: &str) -> Result<Route, String> {
        from_source(Path::new("/usr/bin"), target).or_else(|_| Route::find(target))
    }

    /// `cargo build` for `target` without default features, in a target folder called `folder`: two compilers, or two
    /// sets of flags, in one would throw away each other's work.
    pub(crate) fn build(&self, workspace: &Workspace, target: &str, folder: &str) -> Command {
        let mut command = self.cargo(workspace, target, &["build"], "core,alloc");
        command.args(["--locked", "--no-default-features", "--target", target]);
        command.arg("--target-dir").arg(workspace.target.join(folder));
        command
    }

    /// A cargo command whose compiler makes code for `target`, out of these crates of the standard library where it has to
    /// build them.
    pub(crate) fn cargo(
        &self,
        workspace: &Workspace,
        target: &str,
        words: &[&str],
        library: &str,
    ) -> Command {
        match self {
            Route::Installed => workspace.cargo(words.iter().copied()),
            Route::FromSource { bin } => {
                let mut command = Command::new(bin.join("cargo"));
                command.current_dir(&workspace.root).args(words).arg(format!("-Zbuild-std={library}"));
                command.env("RUSTC", bin.join("rustc")).env("RUSTC_BOOTSTRAP", "1");
                // What rustup sets for the usual toolchain would lead this one to the wrong libraries.
                for variable in ["CARGO", "LD_LIBRARY_PATH", "RUSTUP_TOOLCHAIN", "RUSTDOC", "RUSTC_WRAPPER"] {
                    command.env_remove(variable);
                }
                // This compiler comes without a linker of its own.
                let linker = if target.starts_with("wasm") { "wasm-ld" } else { "ld.lld" };
                command.env(linker_variable(target), linker);
                command
            }
        }
    }
}

/// The environment variable that tells cargo a target's linker.
pub(crate) fn linker_variable(target: &str) -> String {
    format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace(['-', '.'], "_"))
}

/// The compiler in `bin`, if it and its sources are there; otherwise what to install.
fn from_source(bin: &Path, target: &str) -> Result<Route, String> {
    let source = |sysroot: PathBuf| sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").exists();
    let parts = [
        ("rustc-web", bin.join("rustc").exists()),
        ("cargo-web", bin.join("cargo").exists()),
        ("rust-web-src", sysroot(&bin.join("rustc")).is_some_and(source)),
        ("lld", bin.join("ld.lld").exists()),
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
    fn variables_are_named_as_cargo_wants_them() {
        assert_eq!(
            linker_variable("thumbv8m.main-none-eabihf"),
            "CARGO_TARGET_THUMBV8M_MAIN_NONE_EABIHF_LINKER"
        );
    }

    #[test]
    fn without_a_compiler_it_says_what_to_install() {
        let error = from_source(Path::new("/nowhere"), "thumbv6m-none-eabi").unwrap_err();
        assert!(error.contains("rustup target add thumbv6m-none-eabi"), "{error}");
        assert!(error.contains("apt-get install rustc-web cargo-web rust-web-src lld"), "{error}");
    }
}
