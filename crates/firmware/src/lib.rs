//! The same training programs for bare metal and for the host.
//!
//! A program in `examples` trains a small network, evaluates it and reports loss, accuracy and a hash of the weights.
//! The hash is the same on every machine. Three ways to train, from the most comfortable to the smallest:
//!
//! | example | plan | needs an allocator |
//! |---|---|---|
//! | `plan_on_board` | made where the program runs | while it is made |
//! | `plan_in_flash` | made on a host by `cargo xtask plan`, in flash | no |
//! | `by_hand` | none: slices and kernels | no |
//!
//! `sgd_in_flash` is the network of `by_hand` from a plan, and `sgd_on_board` makes that plan where it runs; `streaming` learns from a signal while it comes; `digits_mlp` and
//! `digits_cnn` are plans in flash for the handwritten digits.
//!
//! `cargo run -p bantam-firmware --example …` runs one on the host; `cargo xtask mcu` runs them all on emulated boards.
//!
//! * [`board`]: start-up, output, exit, instruction counts and stack depth: everything that differs between machines.
//! * [`tasks`]: what is learned, and from which data.
//! * [`training`]: the loop, the same for every way.
//! * [`vibration`]: a signal that comes sample by sample.
//! * [`Report`]: what a program says about itself.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod board;
#[cfg(feature = "alloc")]
pub mod networks;
pub mod plans;
mod report;
pub mod tasks;
pub mod training;
pub mod vibration;

pub use report::Report;
