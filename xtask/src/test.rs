//! `cargo xtask test`: everything that can be checked on this machine.

use crate::bench::PEERS;
use crate::stages::{Outcome, Stages};
use crate::workspace::{Package, Workspace};
use crate::{bare, emulated, mcu, tidy};
use std::process::Command;

/// The cargo feature behind which a crate keeps tests that take minutes.
const LONG_TESTS: &str = "long-tests";

/// The fuzz targets are a workspace of their own.
const FUZZ: &str = "fuzz/Cargo.toml";

/// Runs all stages.
pub(crate) fn run(workspace: &Workspace, stages: &mut Stages, long: bool) {
    let cargo = |words: &[&str]| workspace.cargo(words.iter().copied());
    stages.run("format", || {
        with_component(workspace, "fmt", "rustfmt", || {
            let apart = |path: &str| cargo(&["fmt", "--manifest-path", path, "--check"]);
            vec![cargo(&["fmt", "--all", "--check"]), apart(FUZZ), apart(PEERS)]
        })
    });
    stages.run("tidy", || tidy::stage(workspace));
    stages.run("lints", || {
        with_component(workspace, "clippy", "clippy", || {
            let mut fuzz =
                cargo(&["clippy", "--manifest-path", FUZZ, "--all-targets", "--no-default-features"]);
            fuzz.args(["--", "-D", "warnings"]).env("CARGO_TARGET_DIR", workspace.target.join("fuzz"));
            vec![
                cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]),
                fuzz,
            ]
        })
    });
    stages.run("every feature alone", || Outcome::of_all(feature_matrix(workspace)));
    stages.run("tests", || {
        let mut command = cargo(&["test", "--workspace", "--no-fail-fast", "--features"]);
        command.arg(all_features(workspace.members.iter()));
        Outcome::of(&mut command)
    });
    stages.run("fuzz targets as tests", || fuzz(workspace));
    emulated::run(workspace, stages);
    stages.run("documentation", || {
        let mut command = cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
        Outcome::of(command.env("RUSTDOCFLAGS", "-D warnings"))
    });
    bare::run(workspace, stages, long);
    mcu::run(workspace, stages, !long, &[], &[]);
    if long {
        stages.run("kernels under AddressSanitizer", || sanitized(workspace));
        for package in &workspace.members {
            if package.features.iter().any(|feature| feature == LONG_TESTS) {
                stages.run(format!("long proofs of {}", package.name), || {
                    let mut command =
                        cargo(&["test", "--release", "--package", &package.name, "--all-features"]);
                    Outcome::of(&mut command)
                });
            }
        }
    }
}

/// Runs commands that need a component of the toolchain, if it is installed.
fn with_component(
    workspace: &Workspace,
    subcommand: &str,
    component: &str,
    commands: impl FnOnce() -> Vec<Command>,
) -> Outcome {
    let there =
        workspace.cargo([subcommand, "--version"]).output().is_ok_and(|output| output.status.success());
    if there {
        Outcome::of_all(commands())
    } else {
        Outcome::NotRun(format!("install it with `rustup component add {component}`"))
    }
}

/// Every feature of these packages except the long tests, as `package/feature,…`.
fn all_features<'a>(packages: impl Iterator<Item = &'a Package>) -> String {
    let mut features = Vec::new();
    for package in packages {
        let of_interest =
            package.features.iter().filter(|feature| !["default", LONG_TESTS].contains(&feature.as_str()));
        features.extend(of_interest.map(|feature| format!("{}/{feature}", package.name)));
    }
    features.join(",")
}

/// Each library with no feature and with each feature alone: whatever one switches on must compile by itself.
fn feature_matrix(workspace: &Workspace) -> Vec<Command> {
    let mut commands = Vec::new();
    for library in workspace.members.iter().filter(|package| package.is_library) {
        let alone = library.features.iter().filter(|feature| *feature != "default");
        for feature in core::iter::once(None).chain(alone.map(Some)) {
            let mut command = workspace.cargo([
                "clippy",
                "--quiet",
                "--lib",
                "--no-default-features",
                "--package",
                &library.name,
            ]);
            if let Some(feature) = feature {
                command.args(["--features", feature]);
            }
            command.args(["--", "-D", "warnings"]);
            commands.push(command);
        }
    }
    commands
}

/// The kernels' tests with every access to memory checked, which only the nightly compiler can.
fn sanitized(workspace: &Workspace) -> Outcome {
    let nightly = Command::new("rustc").args(["+nightly", "--print", "host-tuple"]).output();
    let Some(host) = nightly.ok().filter(|output| output.status.success()) else {
        return Outcome::NotRun(
            "install the nightly toolchain with `rustup toolchain install nightly`".into(),
        );
    };
    let host = String::from_utf8_lossy(&host.stdout).trim().to_owned();
    let mut command = Command::new("cargo");
    command.current_dir(&workspace.root).args([
        "+nightly",
        "test",
        "--locked",
        "--package",
        "bantam-kernels",
    ]);
    command.args(["--features", "portable", "--test", "battery", "--target", &host, "--target-dir"]);
    command.arg(workspace.target.join("sanitized"));
    // What rustup sets for the usual toolchain comes before `+nightly`.
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"] {
        command.env_remove(variable);
    }
    // Kernels allocate nothing; rayon forgets the handle of a thread that makes a pool and joins it.
    command.env("RUSTFLAGS", "-Zsanitizer=address").env("ASAN_OPTIONS", "detect_leaks=0");
    Outcome::of(&mut command)
}

/// The fuzz targets' bodies on seeded inputs, which needs no fuzzer.
fn fuzz(workspace: &Workspace) -> Outcome {
    let mut command = workspace.cargo(["test", "--locked", "--manifest-path", FUZZ, "--no-default-features"]);
    command.env("CARGO_TARGET_DIR", workspace.target.join("fuzz"));
    Outcome::of(&mut command)
}
