//! Way (b), without an allocator: plan and first weights lie in flash, everything that changes in one static arena.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam_firmware::{board::Arena, plans, tasks, training};

static ARENA: Arena<{ plans::PATTERNS_MLP.arena_bytes() + plans::GUARD }> = Arena::new();

fn run() -> u8 {
    plans::PATTERNS_MLP.learn("patterns-mlp", ARENA.take(), &training::PATTERNS_MLP, &tasks::patterns())
}

bantam_firmware::program!(run);
