//! A NOR flash with Intel's commands (CFI command set 0001), as the RISC-V machine `virt` has it: two chips of 16 bits side by side.

use bantam::store::flash::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

/// The same command to both chips.
const fn both(command: u32) -> u32 {
    command << 16 | command
}

const READ_ARRAY: u32 = both(0xff);
const CLEAR_STATUS: u32 = both(0x50);
const PROGRAM: u32 = both(0x40);
const ERASE: u32 = both(0x20);
const CONFIRM: u32 = both(0xd0);
/// The status bits for readiness and for a failure to erase or program, or a locked sector.
const READY: u32 = both(0x80);
const FAILED: u32 = both(0x32);

/// The flash that the emulator keeps in a file.
#[derive(Debug)]
pub struct Nor {
    start: *mut u32,
}

/// Bytes of a word.
const WORD: usize = size_of::<u32>();
/// Bytes of a sector: 128 KiB of each chip.
const SECTOR: usize = 256 << 10;
/// The sectors that are ours.
const SECTORS: usize = 2;

impl Nor {
    /// The first sectors of the second flash of `virt`.
    ///
    /// # Safety
    /// The program runs on that machine, and nobody else has this flash.
    pub unsafe fn new() -> Nor {
        Nor { start: 0x2200_0000 as *mut u32 }
    }

    /// A word of the flash, counted in bytes.
    fn word(&self, offset: usize) -> Result<*mut u32, NorFlashErrorKind> {
        if !offset.is_multiple_of(WORD) {
            return Err(NorFlashErrorKind::NotAligned);
        }
        if offset >= SECTORS * SECTOR {
            return Err(NorFlashErrorKind::OutOfBounds);
        }
        Ok(self.start.wrapping_add(offset / WORD))
    }

    /// Gives a command and what belongs to it, and waits until it is done. From then on the flash shows its status.
    fn command(&mut self, offset: usize, command: u32, argument: u32) -> Result<(), NorFlashErrorKind> {
        let word = self.word(offset)?;
        // SAFETY: a word of the flash, which takes commands where it is written and then gives its status.
        let status = unsafe {
            word.write_volatile(CLEAR_STATUS);
            word.write_volatile(command);
            word.write_volatile(argument);
            let mut status = word.read_volatile();
            while status & READY != READY {
                status = word.read_volatile();
            }
            status
        };
        if status & FAILED == 0 { Ok(()) } else { Err(NorFlashErrorKind::Other) }
    }

    /// Shows the content again.
    fn show(&mut self) {
        // SAFETY: the flash's first word, where it takes commands.
        unsafe { self.start.write_volatile(READ_ARRAY) };
    }
}

impl ErrorType for Nor {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Nor {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        for (at, byte) in (offset as usize..).zip(bytes) {
            let word = self.word(at - at % WORD)?;
            // SAFETY: a word of the flash, which shows its content.
            *byte = unsafe { word.read_volatile() }.to_le_bytes()[at % WORD];
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        SECTORS * SECTOR
    }
}

impl NorFlash for Nor {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = SECTOR;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let mut sectors = (from as usize..to as usize).step_by(SECTOR);
        let done = sectors.try_for_each(|at| self.command(at, ERASE, CONFIRM));
        self.show();
        done
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let (words, rest) = bytes.as_chunks();
        if !rest.is_empty() {
            return Err(NorFlashErrorKind::NotAligned);
        }
        let mut words = words.iter().zip((offset as usize..).step_by(WORD));
        let done = words.try_for_each(|(word, at)| self.command(at, PROGRAM, u32::from_le_bytes(*word)));
        self.show();
        done
    }
}
