//! Way (b) at its smallest: the 16-32-4 network with gradient descent, one sample at a time, from a plan in flash that never
//! holds a whole gradient.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam_firmware::plans::{GUARD, InFlash, PATTERNS_SGD};
use bantam_firmware::training::{Outcome, SEED, Stopped, context, descend};
use bantam_firmware::{board::Arena, tasks};

static ARENA: Arena<{ PATTERNS_SGD.arena_bytes() + GUARD }> = Arena::new();

fn learn(memory: &mut [u8]) -> Result<Outcome, Stopped> {
    descend(&mut InFlash::new(PATTERNS_SGD, memory, context(), SEED)?, &tasks::patterns())
}

fn run() -> u8 {
    PATTERNS_SGD.measure(ARENA.take(), |memory| Outcome::finish(learn(memory), "sgd-in-flash"))
}

bantam_firmware::program!(run);
