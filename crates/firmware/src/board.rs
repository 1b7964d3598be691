//! What differs between machines: start-up, output, exit, instruction counts, stack depth.
//!
//! [`program!`](crate::program) makes a program out of a function. On bare metal it talks to the emulator or the
//! debugger through semihosting (Arm, "Semihosting for AArch32 and AArch64", 2.0); under WebAssembly it asks its host.

#[cfg(all(target_os = "none", target_arch = "arm"))]
#[path = "board/arm.rs"]
mod machine;
#[cfg(all(target_os = "none", any(target_arch = "riscv32", target_arch = "riscv64")))]
#[path = "board/riscv.rs"]
mod machine;
#[cfg(target_family = "wasm")]
#[path = "board/wasm.rs"]
mod machine;
#[cfg(not(any(target_os = "none", target_family = "wasm")))]
#[path = "board/host.rs"]
mod machine;

mod arena;
#[cfg(target_os = "none")]
mod bare;
#[cfg(all(feature = "alloc", any(target_os = "none", target_family = "wasm")))]
mod heap;
#[cfg(all(target_os = "none", any(target_arch = "riscv32", target_arch = "riscv64")))]
mod nor;

pub use arena::Arena;
#[cfg(all(feature = "alloc", any(target_os = "none", target_family = "wasm")))]
pub use heap::Heap;
#[cfg(all(target_os = "none", any(target_arch = "riscv32", target_arch = "riscv64")))]
pub use nor::Nor;

/// Writes bytes to whoever watches: the emulator's standard error, the host's standard output.
pub fn write(bytes: &[u8]) {
    machine::write(bytes);
}

/// Ends the program. 0 is success.
pub fn exit(code: u8) -> ! {
    machine::exit(code)
}

/// A counter that runs with the instructions; 0 where there is none. It counts up or down and wraps around: see
/// [`elapsed`].
pub fn ticks() -> u32 {
    machine::ticks()
}

/// The ticks between two readings that are less than one turn of the counter apart.
pub fn elapsed(before: u32, after: u32) -> u32 {
    machine::elapsed(before, after)
}

/// Runs exactly this many instructions, to learn how many of them a tick is.
pub const CALIBRATION: u32 = 1 << 17;

/// The ticks of [`CALIBRATION`] instructions; 0 where nothing counts.
pub fn calibrate() -> u32 {
    let before = ticks();
    machine::spin(CALIBRATION / 2);
    elapsed(before, ticks())
}

/// The most bytes of stack that were in use since the start; 0 where the stack is not ours.
pub fn peak_stack() -> usize {
    machine::peak_stack()
}

/// Makes `fn() -> u8` the program: what it returns is the exit code, and 0 is success.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[cfg(not(any(target_os = "none", target_family = "wasm")))]
        fn main() {
            $crate::board::exit($main())
        }

        /// Where start-up arrives.
        #[cfg(any(target_os = "none", target_family = "wasm"))]
        // SAFETY: nothing else in a program has this name.
        #[unsafe(no_mangle)]
        extern "C" fn program() -> ! {
            $crate::board::exit($main())
        }
    };
}
