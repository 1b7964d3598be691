//! Learns to hear a damaged bearing from a vibration signal while it comes: an interrupt fills a small buffer, windows are
//! normalised by running moments, and each is a micro-batch of its own. Nothing is stored.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam_firmware::training::{Outcome, SEED};
use bantam_firmware::{board::Arena, plans, plans::VIBRATION, vibration};

static ARENA: Arena<{ VIBRATION.arena_bytes() + plans::GUARD }> = Arena::new();

fn run() -> u8 {
    VIBRATION.measure(ARENA.take(), |memory| {
        Outcome::finish(vibration::listen(&VIBRATION, memory, SEED), "streaming")
    })
}

bantam_firmware::program!(run);
