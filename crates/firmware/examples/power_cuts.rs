//! One epoch of `plan_in_flash`, with a checkpoint in flash after every fourth step. Says which step it goes on from, and which it
//! has saved: `cargo xtask mcu` kills it at random instants and starts it again on the same flash.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam::store::flash::{Checkpoints, nor_flash::NorFlash};
use bantam_firmware::Report;
use bantam_firmware::plans::{GUARD, InFlash, PATTERNS_MLP};
use bantam_firmware::training::{self, Outcome, Recipe, Stopped, context};
use bantam_firmware::{board::Arena, tasks};

static ARENA: Arena<{ PATTERNS_MLP.arena_bytes() + GUARD }> = Arena::new();

/// Steps from one checkpoint to the next.
const EVERY: u64 = 4;

fn run() -> u8 {
    Outcome::finish(learn(flash()), "power-cuts")
}

fn learn<F: NorFlash>(flash: F) -> Result<Outcome, Stopped> {
    let recipe = Recipe { epochs: 1, ..training::PATTERNS_MLP };
    let bytes = flash.capacity() as u32;
    let mut checkpoints = Checkpoints::open(flash, 0, bytes).map_err(|_| Stopped::Flash)?;
    let mut network = InFlash::new(PATTERNS_MLP, ARENA.take(), context(), recipe.seed)?;
    let first = network.restore(&mut checkpoints)?;
    Report.number("resumed", first);
    let [train, test] = tasks::patterns();
    training::train_from(&mut network, &recipe, &train, &test, first, |network, step| {
        if step % EVERY != 0 {
            return Ok(());
        }
        network.save(&mut checkpoints)?;
        Report.number("saved", step);
        Ok(())
    })
}

/// The flash of the machine `virt`.
#[cfg(all(target_os = "none", any(target_arch = "riscv32", target_arch = "riscv64")))]
fn flash() -> impl NorFlash {
    // SAFETY: the only machine of this architecture that there is code for, and nothing else here takes the flash.
    unsafe { bantam_firmware::board::Nor::new() }
}

/// Elsewhere RAM, which forgets everything.
#[cfg(not(all(target_os = "none", any(target_arch = "riscv32", target_arch = "riscv64"))))]
fn flash() -> impl NorFlash {
    use bantam::store::flash::nor_flash::{ErrorType, NorFlashErrorKind, ReadNorFlash};

    const SECTOR: usize = 16 << 10;
    struct Ram([u8; 2 * SECTOR]);
    impl ErrorType for Ram {
        type Error = NorFlashErrorKind;
    }
    impl ReadNorFlash for Ram {
        const READ_SIZE: usize = 1;
        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
            bytes.copy_from_slice(&self.0[offset as usize..][..bytes.len()]);
            Ok(())
        }
        fn capacity(&self) -> usize {
            self.0.len()
        }
    }
    impl NorFlash for Ram {
        const WRITE_SIZE: usize = 4;
        const ERASE_SIZE: usize = SECTOR;
        fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
            self.0[from as usize..to as usize].fill(0xff);
            Ok(())
        }
        fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
            self.0[offset as usize..][..bytes.len()].copy_from_slice(bytes);
            Ok(())
        }
    }
    Ram([0xff; 2 * SECTOR])
}

bantam_firmware::program!(run);
