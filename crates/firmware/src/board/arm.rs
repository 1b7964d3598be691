//! Cortex-M: vector table, start-up, semihosting and the SysTick counter.

pub(super) use super::bare::{exit, peak_stack, write};
use core::arch::asm;
#[cfg(feature = "start")]
use core::arch::global_asm;

#[cfg(feature = "start")]
global_asm!(
    // The stack, the start, and every exception ends the program.
    ".section .vector_table, \"a\"",
    ".word _stack_top",
    ".word _start",
    ".rept 14",
    ".word fault",
    ".endr",
    ".section .text._start, \"ax\"",
    ".global _start",
    ".type _start, %function",
    ".thumb_func",
    "_start:",
    // Zero what starts as zero.
    "ldr r0, =_sbss",
    "ldr r1, =_ebss",
    "movs r2, #0",
    "1: cmp r0, r1",
    "bhs 2f",
    "stm r0!, {{r2}}",
    "b 1b",
    // Copy what starts as something else from flash.
    "2: ldr r0, =_sdata",
    "ldr r1, =_edata",
    "ldr r3, =_sidata",
    "3: cmp r0, r1",
    "bhs 4f",
    "ldm r3!, {{r2}}",
    "stm r0!, {{r2}}",
    "b 3b",
    // Paint the rest up to the stack, so that its depth can be seen.
    "4: ldr r0, =_ebss",
    "mov r1, sp",
    "ldr r2, =0xa5a5a5a5",
    "5: cmp r0, r1",
    "bhs 6f",
    "stm r0!, {{r2}}",
    "b 5b",
    "6: bl start",
    ".pool",
);

#[cfg(feature = "start")]
unsafe extern "C" {
    /// Made by `program!`.
    fn program() -> !;
}

#[cfg(feature = "start")]
/// SysTick's control, reload and current value (Armv7-M Architecture Reference Manual, B3.3).
const SYST_CSR: *mut u32 = 0xe000_e010 as *mut u32;
#[cfg(feature = "start")]
const SYST_RVR: *mut u32 = 0xe000_e014 as *mut u32;
const SYST_CVR: *mut u32 = 0xe000_e018 as *mut u32;
/// It has 24 bits.
const SYST_MASK: u32 = 0x00ff_ffff;

#[cfg(feature = "start")]
/// Switches on what the program needs; a function of its own so that nothing before it touches the FPU.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    #[cfg(target_abi = "eabihf")]
    // SAFETY: gives full access to coprocessors 10 and 11, the FPU and MVE, in the Coprocessor Access Control Register.
    unsafe {
        let cpacr = 0xe000_ed88 as *mut u32;
        cpacr.write_volatile(cpacr.read_volatile() | 0xf << 20);
        asm!("dsb", "isb");
    }
    // SAFETY: the timer's registers; it counts the processor's clock and raises no interrupt.
    unsafe {
        SYST_RVR.write_volatile(SYST_MASK);
        SYST_CVR.write_volatile(0);
        SYST_CSR.write_volatile(0b101);
        program()
    }
}

#[cfg(feature = "start")]
/// Any exception: a fault, since nothing enables an interrupt. A panic is one too where it is an illegal instruction, as in the
/// images of `cargo xtask mcu`.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn fault() -> ! {
    exit(102)
}

pub(super) fn ticks() -> u32 {
    // SAFETY: reading the timer changes nothing that anybody relies on.
    unsafe { SYST_CVR.read_volatile() }
}

/// It counts down.
pub(super) fn elapsed(before: u32, after: u32) -> u32 {
    before.wrapping_sub(after) & SYST_MASK
}

/// Two instructions a turn.
pub(super) fn spin(turns: u32) {
    // SAFETY: only a register changes.
    unsafe { asm!("2: subs {0}, {0}, #1", "bne 2b", inout(reg) turns => _) };
}

/// # Safety
/// `argument` must be what the operation asks for.
pub(super) unsafe fn request(operation: usize, argument: usize) {
    // SAFETY: the debugger or emulator takes r0 and r1 and answers in r0; the caller vouches for the argument.
    unsafe { asm!("bkpt 0xab", inout("r0") operation => _, in("r1") argument) };
}
