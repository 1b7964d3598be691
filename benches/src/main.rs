//! What kernels and whole training steps reach of what the machine can do.
//!
//! `cargo run --release -p bantam-benches [-- --quick] [--record] [WORD…]`: all tables, or those whose title contains a
//! WORD. What is measured is compared with the last record of the same kind of machine in `records/`; `--record` writes
//! a new one, as a table and as a picture.
//! Tables are lists of [`Row`]s; a new one is a line in [`main`].
#![forbid(unsafe_code)]

use bantam_benches::measure::{Effort, Row, table};
use bantam_benches::{limits, operations, products, record, steps, tasks};
use bantam_core::{Context, Executor, Level};
use bantam_threads::Threads;
use std::process::ExitCode;

/// A title and what makes its rows.
type Table = (&'static str, fn(Context<'static>) -> Vec<Row>);

/// Every table that is measured on one thread.
const TABLES: &[Table] = &[
    ("matrix products", products::products),
    ("linear layers", products::linear),
    ("convolutions, batch 32", products::convolutions),
    ("maps of 2^20 elements", operations::maps),
    ("two operands, 2^20 elements", operations::zips),
    ("reductions", operations::reductions),
    ("other layers", operations::layers),
    ("optimizers, 10^7 parameters", operations::optimizers),
    ("training steps", steps::steps),
];

/// Asks for nothing but the memory of a training: in a process of its own, for everything else here takes memory too.
const MEMORY: &str = "--memory";

/// What training takes beside the arena that its plan promises.
fn memory() {
    let output =
        std::env::current_exe().and_then(|path| std::process::Command::new(path).arg(MEMORY).output());
    let told = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let numbers: Vec<usize> = told.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    println!("\nmemory of MLP 784-512-10, batch 128, SGD");
    match numbers[..] {
        [arena, process] if process > 0 => {
            let more = process as f64 - arena as f64;
            println!(
                "  arena {arena} B, whole process {process} B: {:.1} MiB more",
                more / f64::from(1 << 20)
            );
        }
        _ => println!("  this system does not tell how much a process takes"),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == [MEMORY] {
        let (arena, process) = steps::memory();
        println!("{arena} {}", process.unwrap_or(0));
        return ExitCode::SUCCESS;
    }
    let effort = if arguments.iter().any(|a| a == "--quick") { Effort::QUICK } else { Effort::FULL };
    let words: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let wanted = |title: &str| words.is_empty() || words.iter().any(|word| title.contains(word.as_str()));

    let cx = Context::default();
    println!("{}\none thread, {cx:?}", record::machine());
    let mut measured = Vec::new();
    for (title, rows) in TABLES {
        if wanted(title) {
            measured.extend(table(title, limits::all(cx), rows(cx), effort));
        }
    }
    if wanted("training steps") {
        memory();
    }
    if wanted("baseline level") {
        let cx = Context { level: Level::BASELINE, ..cx };
        measured.extend(table(
            "matrix products, baseline level",
            limits::all(cx),
            products::products(cx),
            effort,
        ));
    }
    let threads: &'static Threads = Box::leak(Box::default());
    if wanted("tasks") {
        let title = format!("tasks, threads: {}", threads.lanes());
        let rows = tasks::tasks(cx, Context { executor: threads, ..cx });
        measured.extend(table(&title, limits::all(cx), rows, effort));
    }
    if wanted("threads") {
        let cx = Context { executor: threads, ..cx };
        // The limits are those of one thread, so these may exceed 100 %.
        let title = format!("threads: {} of them, against the limit of one", threads.lanes());
        let rows = products::products(cx).into_iter().chain(products::convolutions(cx)).collect();
        measured.extend(table(&title, limits::all(cx), rows, effort));
        let title = format!("training steps, threads: {}", threads.lanes());
        measured.extend(table(&title, limits::all(cx), steps::steps(cx), effort));
    }
    let compared = record::last().map(|record| {
        if let Some(record) = record {
            record.compare(&measured);
        }
    });
    let written = match arguments.iter().any(|a| a == "--record") {
        true => {
            record::write(&measured).map(|paths| paths.iter().for_each(|path| println!("{}", path.display())))
        }
        false => Ok(()),
    };
    match compared.and(written) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
