//! Way (a) at its smallest: what `sgd_in_flash` does, with graph, plan and first weights made where the program runs.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam_firmware::training::{Outcome, SEED, Stopped, context, descend};
use bantam_firmware::{Report, board::Arena, networks, tasks};

/// What graph and plan may take while they are made.
#[cfg(any(target_os = "none", target_family = "wasm"))]
#[global_allocator]
static HEAP: bantam_firmware::board::Heap<{ 48 << 10 }> = bantam_firmware::board::Heap::new();

/// What the plan places everything in.
static ARENA: Arena<{ 8 << 10 }> = Arena::new();

fn learn() -> Result<Outcome, Stopped> {
    let plans = networks::patterns_sgd().map_err(|_| Stopped::Plan)?;
    Report.number("arena", plans.train.arena_bytes() as u64);
    descend(&mut networks::Planned::new(plans, ARENA.take(), context(), SEED)?, &tasks::patterns())
}

fn run() -> u8 {
    let code = Outcome::finish(learn(), "sgd-on-board");
    #[cfg(any(target_os = "none", target_family = "wasm"))]
    Report.number("heap", HEAP.peak() as u64);
    code
}

bantam_firmware::program!(run);
