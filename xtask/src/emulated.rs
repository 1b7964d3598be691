//! Runs the tests of kernels, and 200 steps of training, with the vectors of other processors: NEON in an emulator, SIMD128 under
//! node. The hash at the end of the training is that of the host, since it stands in the test.

use crate::route::{Route, linker_variable};
use crate::stages::{Outcome, Stages};
use crate::workspace::Workspace;
use std::path::Path;

/// Another processor with an operating system, so that tests run as they are.
struct Target {
    /// What the stage is called.
    name: &'static str,
    /// The compiler's target.
    target: &'static str,
    /// The crates of the standard library that a compiler without the target builds.
    library: &'static str,
    /// What runs a program.
    runner: &'static [&'static str],
    /// Whether an installed target brings a linker and a C library of its own.
    self_contained: bool,
    /// A file that must be there, and its package on Debian, where the target does not bring it.
    linked: (&'static str, &'static str),
    /// The linker where the target does not bring one, and the compiler's flags then.
    linker: &'static str,
    flags: &'static [&'static str],
    /// Flags in any case.
    features: &'static str,
}

const TARGETS: [Target; 2] = [
    Target {
        name: "NEON, emulated",
        target: "aarch64-unknown-linux-gnu",
        library: "std,panic_unwind,test",
        runner: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
        self_contained: false,
        linked: ("/usr/aarch64-linux-gnu/lib/libc.so.6", "libc6-dev-arm64-cross gcc-aarch64-linux-gnu"),
        linker: "aarch64-linux-gnu-gcc",
        flags: &[],
        features: "",
    },
    Target {
        name: "SIMD128 of WebAssembly",
        target: "wasm32-wasip1",
        library: "std,panic_abort,test",
        runner: &["node", "--no-warnings", "xtask/src/wasi.mjs"],
        self_contained: true,
        linked: ("/usr/lib/wasm32-wasi/libc.a", "wasi-libc"),
        linker: "wasm-ld",
        // Functions of threads that Debian's library does not have: nothing calls them.
        flags: &[
            "-Clink-self-contained=no",
            "-L/usr/lib/wasm32-wasi",
            "-Clink-arg=/usr/lib/wasm32-wasi/crt1-command.o",
            "-Clink-arg=--unresolved-symbols=ignore-all",
        ],
        features: "-Ctarget-feature=+simd128",
    },
];

/// A stage for each.
pub(crate) fn run(workspace: &Workspace, stages: &mut Stages) {
    for target in &TARGETS {
        stages.run(format!("kernels with {}", target.name), || test(workspace, target));
    }
}

fn test(workspace: &Workspace, target: &Target) -> Outcome {
    let route = match Route::find(target.target) {
        Ok(route) => route,
        Err(why) => return Outcome::NotRun(why),
    };
    let needs_linker = route != Route::Installed || !target.self_contained;
    if needs_linker && !Path::new(target.linked.0).exists() {
        return Outcome::NotRun(format!("on Debian: `apt-get install {}`", target.linked.1));
    }
    let program = target.runner[0];
    if std::process::Command::new(program).arg("--version").output().is_err() {
        return Outcome::NotRun(format!(
            "{program} is missing; on Debian: `apt-get install qemu-user nodejs`"
        ));
    }
    // A test runs in the folder of its package.
    let runner: Vec<String> = target
        .runner
        .iter()
        .map(|word| match workspace.root.join(word) {
            path if word.starts_with("xtask/") => path.display().to_string(),
            _ => (*word).to_owned(),
        })
        .collect();
    let mut command = route.cargo(workspace, target.target, &["test"], target.library);
    command.arg("--config").arg(format!("target.{}.runner={runner:?}", target.target));
    let mut flags = vec![target.features];
    if needs_linker {
        command.env(linker_variable(target.target), target.linker);
        flags.extend(target.flags);
    }
    command.env("RUSTFLAGS", flags.join(" "));
    command.args(["--locked", "--target", target.target]);
    command.arg("--target-dir").arg(workspace.target.join("emulated"));
    command.args(["--package", "bantam-kernels", "--package", "bantam-nn"]);
    command.args(["--features", "bantam-kernels/portable", "--test", "battery", "--test", "levels"]);
    Outcome::of(&mut command)
}
