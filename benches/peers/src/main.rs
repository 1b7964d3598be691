//! Other frameworks on the same machine, in the same run and in turns with Bantam: matrix products, whole training steps
//! and optimizers, with one thread and with all.
//!
//! `cargo run --release [--no-default-features --features candle,…] [-- WORD…]` in this folder, or `cargo xtask bench
//! --peers`: all tables, or those whose title contains a WORD. PyTorch takes part if `python3 -c "import torch"` works.

#[cfg(feature = "burn")]
mod burn_peer;
#[cfg(feature = "candle")]
mod candle_peer;
#[cfg(any(feature = "gemm", feature = "matrixmultiply"))]
mod multiply;
mod torch;

use bantam_benches::measure::{Effort, Row, table};
use bantam_benches::{limits, operations, products, steps};
use bantam_core::Context;
use bantam_threads::Threads;
use std::process::{Command, ExitCode};

/// One call of a workload.
type Call = Box<dyn FnMut()>;

/// Another crate: what it does of a training step, by its key in [`STEPS`], and of a product of m×k by k×n.
struct Peer {
    name: &'static str,
    step: fn(&str) -> Option<Call>,
    product: fn([usize; 3], usize) -> Option<Call>,
}

const PEERS: &[Peer] = &[
    #[cfg(feature = "gemm")]
    Peer { name: "gemm", step: |_| None, product: multiply::gemm },
    #[cfg(feature = "matrixmultiply")]
    Peer { name: "matrixmultiply", step: |_| None, product: multiply::matrixmultiply },
    #[cfg(feature = "candle")]
    Peer { name: "candle", step: candle_peer::step, product: |_, _| None },
    #[cfg(feature = "burn")]
    Peer { name: "burn", step: burn_peer::step, product: |_, _| None },
];

/// The training steps: what peers call them, and how the row of Bantam's table begins.
const STEPS: &[(&str, &str)] = &[
    ("mlp_tiny", "MLP 2-16-16-1"),
    ("mlp_digits", "MLP 64-64-32-10"),
    ("mlp_mnist_sgd", "MLP 784-512-10, batch 128, SGD"),
    ("mlp_mnist_adam", "MLP 784-512-10, batch 128, Adam"),
    ("cnn", "CNN"),
    ("resnet8", "ResNet-8"),
    ("lstm", "LSTM"),
    ("transformer", "Transformer"),
];

/// Rows, columns and what is summed over: squares, tall, flat and thin ones, one row, one column.
const PRODUCTS: &[[usize; 3]] = &[
    [32, 32, 32],
    [64, 64, 64],
    [128, 128, 128],
    [256, 256, 256],
    [512, 512, 512],
    [1024, 1024, 1024],
    [128, 512, 784],
    [64, 1024, 288],
    [4096, 32, 27],
    [1, 512, 784],
    [512, 1, 784],
    [512, 512, 1],
    [8, 2048, 64],
    [2048, 8, 64],
];

/// Says how many threads a run may use; the peers take it from their own variable.
const THREADS: &str = "--threads=";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads = arguments.iter().find_map(|argument| argument.strip_prefix(THREADS)?.parse::<usize>().ok());
    let Some(threads) = threads else { return each_number_of_threads(&arguments) };
    if threads == 1 {
        // Some peers compute on a pool beside the thread that calls them, and so on two cores after all.
        if let Some(core) = core_affinity::get_core_ids().and_then(|ids| ids.last().copied()) {
            core_affinity::set_for_current(core);
        }
    }
    let words: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    let wanted = |title: &str| words.is_empty() || words.iter().any(|word| title.contains(word.as_str()));
    let one = Context::default();
    let all: &'static Threads = Box::leak(Box::default());
    let cx = if threads == 1 { one } else { Context { executor: all, ..one } };
    let torch = torch::Torch::start(threads);
    match &torch {
        Some(torch) => println!("{}", torch.version),
        None => println!("no PyTorch: `python3 -c \"import torch\"` does not work"),
    }
    let with = |count: usize| if count == 1 { "one thread".into() } else { format!("{count} threads") };
    let lanes = with(cx.executor.lanes());
    let tables = [("products", product_rows as fn(_, _, &_) -> _), ("training steps", step_rows)];
    for (title, rows) in tables {
        if wanted(title) {
            table(&format!("{title}, {lanes}"), limits::all(one), rows(cx, threads, &torch), effort);
        }
    }
    if wanted("optimizers") && threads == 1 {
        table("optimizers, 10^7 parameters", limits::all(one), optimizer_rows(cx, &torch), effort);
    }
    ExitCode::SUCCESS
}

/// Runs this program once for every number of threads: the peers' pools are made once in a process.
fn each_number_of_threads(arguments: &[String]) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let numbers = if cores == 1 { vec![1] } else { vec![1, cores] };
    for number in numbers {
        let program = std::env::current_exe();
        let status = program.and_then(|program| {
            let mut command = Command::new(program);
            command.env("RAYON_NUM_THREADS", number.to_string());
            command.arg(format!("{THREADS}{number}")).args(arguments).status()
        });
        match status {
            Ok(status) if status.success() => {}
            Ok(_) => return ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Our row, and the peers' after it.
fn with_peers(
    rows: &mut Vec<Row>,
    ours: Row,
    calls: impl Fn(&Peer) -> Option<Call>,
    torch: &Option<torch::Torch>,
    key: &str,
) {
    let work = ours.work;
    rows.push(ours);
    for peer in PEERS {
        if let Some(call) = calls(peer) {
            rows.push(Row::new(format!("  {}", peer.name), work, call).peer());
        }
    }
    if let Some(torch) = torch {
        rows.push(torch.row(key, work));
    }
}

fn product_rows(cx: Context<'static>, threads: usize, torch: &Option<torch::Torch>) -> Vec<Row> {
    let mut rows = vec![];
    for &shape in PRODUCTS {
        let [m, n, k] = shape;
        let ours = products::product(cx, m, n, k, false, false);
        let key = format!("product:{m}:{n}:{k}");
        with_peers(&mut rows, ours, |peer| (peer.product)(shape, threads), torch, &key);
    }
    rows
}

fn step_rows(cx: Context<'static>, _threads: usize, torch: &Option<torch::Torch>) -> Vec<Row> {
    let mut rows = vec![];
    for ours in steps::steps(cx) {
        let Some((key, _)) = STEPS.iter().find(|(_, name)| ours.name.starts_with(name)) else { continue };
        with_peers(&mut rows, ours, |peer| (peer.step)(key), torch, key);
    }
    rows
}

/// Every optimizer that PyTorch has too, against its loop over tensors.
fn optimizer_rows(cx: Context<'static>, torch: &Option<torch::Torch>) -> Vec<Row> {
    let mut rows = vec![];
    let Some(torch) = torch else { return rows };
    for ours in operations::optimizers(cx) {
        if torch::OPTIMIZERS.contains(&ours.name.as_str()) {
            let (key, work) = (format!("optimizer:{}", ours.name), ours.work);
            rows.extend([ours, torch.row(&key, work)]);
        }
    }
    rows
}

/// Numbers of ordinary size, for tensors that others make.
#[cfg(any(feature = "burn", feature = "candle"))]
fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect()
}
