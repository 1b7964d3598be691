//! The handwritten digits (64-32-10), with plan, first weights and data in flash.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam_firmware::{board::Arena, plans, tasks, training};

static ARENA: Arena<{ plans::DIGITS_MLP.arena_bytes() + plans::GUARD }> = Arena::new();

fn run() -> u8 {
    let Ok(data) = tasks::digits() else { return 1 };
    plans::DIGITS_MLP.learn("digits-mlp", ARENA.take(), &training::DIGITS_MLP, &data)
}

bantam_firmware::program!(run);
