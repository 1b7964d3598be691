//! RISC-V in machine mode: start-up, semihosting and the count of retired instructions.

pub(super) use super::bare::{exit, peak_stack, write};
use core::arch::asm;
#[cfg(feature = "start")]
use core::arch::global_asm;

#[cfg(all(feature = "start", target_arch = "riscv32"))]
global_asm!(".macro load to, from", "lw \\to, 0(\\from)", ".endm");
#[cfg(all(feature = "start", target_arch = "riscv64"))]
global_asm!(".macro load to, from", "lwu \\to, 0(\\from)", ".endm");

#[cfg(feature = "start")]
global_asm!(
    ".section .text._start, \"ax\"",
    ".global _start",
    "_start:",
    "la sp, _stack_top",
    "la t0, fault",
    "csrw mtvec, t0",
    // mstatus.FS = initial: the floating-point unit is on.
    "li t0, 1 << 13",
    "csrs mstatus, t0",
    // Zero what starts as zero.
    "la t0, _sbss",
    "la t1, _ebss",
    "1: bgeu t0, t1, 2f",
    "sw zero, 0(t0)",
    "addi t0, t0, 4",
    "j 1b",
    // Copy what starts as something else from flash.
    "2: la t0, _sdata",
    "la t1, _edata",
    "la t2, _sidata",
    "3: bgeu t0, t1, 4f",
    "load t3, t2",
    "sw t3, 0(t0)",
    "addi t0, t0, 4",
    "addi t2, t2, 4",
    "j 3b",
    // Paint the rest up to the stack, so that its depth can be seen.
    "4: la t0, _ebss",
    "li t2, 0xa5a5a5a5 - (1 << 32)",
    "5: bgeu t0, sp, 6f",
    "sw t2, 0(t0)",
    "addi t0, t0, 4",
    "j 5b",
    "6: call program",
    ".balign 4",
    "fault: call trapped",
);

#[cfg(feature = "start")]
/// Any trap: a fault, since nothing enables an interrupt. A panic is one too where it is an illegal instruction, as in the images of
/// `cargo xtask mcu`.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
extern "C" fn trapped() -> ! {
    exit(102)
}

pub(super) fn ticks() -> u32 {
    let count: usize;
    // SAFETY: reads the counter of retired instructions, or its lower half.
    unsafe { asm!("csrr {0}, minstret", out(reg) count) };
    count as u32
}

pub(super) fn elapsed(before: u32, after: u32) -> u32 {
    after.wrapping_sub(before)
}

/// Two instructions a turn.
pub(super) fn spin(turns: u32) {
    // SAFETY: only a register changes.
    unsafe { asm!("2: addi {0}, {0}, -1", "bnez {0}, 2b", inout(reg) turns => _) };
}

/// # Safety
/// `argument` must be what the operation asks for.
pub(super) unsafe fn request(operation: usize, argument: usize) {
    // SAFETY: the three instructions that mark a request, uncompressed and in one page; the debugger or emulator takes
    // a0 and a1 and answers in a0; the caller vouches for the argument.
    unsafe {
        asm!(
            ".balign 16",
            ".option push",
            ".option norvc",
            "slli x0, x0, 0x1f",
            "ebreak",
            "srai x0, x0, 7",
            ".option pop",
            inout("a0") operation => _,
            in("a1") argument,
        );
    }
}
