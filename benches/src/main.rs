//! What the kernels reach of what the machine can do.
//!
//! `cargo run --release -p bantam-benches [-- --quick] [WORD…]`: all tables, or those whose title contains a WORD.
//! Tables are lists of [`Row`]s; a new one is a line in [`main`].
#![forbid(unsafe_code)]

mod limits;
mod measure;
mod operations;
mod products;
mod steps;

use bantam_core::{Context, Executor, Level, LevelName};
use bantam_threads::Threads;
use measure::{Effort, Row, table};

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
    ("training steps over bare kernels", steps::steps),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let effort = if arguments.iter().any(|a| a == "--quick") { Effort::QUICK } else { Effort::FULL };
    let words: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let wanted = |title: &str| words.is_empty() || words.iter().any(|word| title.contains(word.as_str()));
    let limits = |cx| vec![limits::multiply_add(cx), limits::copy()];

    let cx = Context::default();
    println!("one thread, {cx:?}");
    for (title, rows) in TABLES {
        if wanted(title) {
            table(title, limits(cx), rows(cx), effort);
        }
    }
    if wanted("level Portable") {
        let cx = Context { level: Level::detect().at_most(LevelName::Portable), ..cx };
        table("matrix products, level Portable", limits(cx), products::products(cx), effort);
    }
    if wanted("threads") {
        let threads: &'static Threads = Box::leak(Box::default());
        let cx = Context { executor: threads, ..cx };
        // The limits are those of one thread, so these may exceed 100 %.
        let title = format!("threads: {} of them, against the limit of one", threads.lanes());
        let rows = products::products(cx).into_iter().chain(products::convolutions(cx)).collect();
        table(&title, limits(cx), rows, effort);
    }
}
