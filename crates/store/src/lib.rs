//! Parameters and checkpoints as bytes, and those bytes as files that survive a crash.
//!
//! * `safetensors` (feature of the same name): named tensors with text metadata, in the format that Python's `safetensors`
//!   reads and writes.
//! * [`checkpoint`]: a container that knows whether its content is whole: magic, version, length, content, checksum.
//!   Needs no allocator, so a board can keep one in flash.
//! * [`flash`]: checkpoints in two slots of a board's flash, of which one is always whole.
//! * `file` (feature `std`): writes a file so that there is always either the old one or the new one, complete, even
//!   if the program is killed or the power fails in the middle; reads checkpoints.
//!
//! ```
//! # #[cfg(all(feature = "std", feature = "safetensors"))]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use bantam_store::{file, safetensors::{Tensors, Writer}};
//! use bantam_core::Shape;
//!
//! let path = std::env::temp_dir().join("bantam-store-doc-example");
//! let mut writer = Writer::new();
//! writer.metadata("step", "120")?;
//! writer.tensor("hidden.weight", Shape::of([2, 2]), &[1.0_f32, 2.0, 3.0, 4.0])?;
//! file::write_checkpoint(&path, &writer.finish())?;
//!
//! let content = file::read_checkpoint(&path)?;
//! let tensors = Tensors::parse(&content)?;
//! let mut weight = [0.0_f32; 4];
//! tensors.read_into("hidden.weight", Shape::of([2, 2]), &mut weight)?;
//! assert_eq!((weight, tensors.metadata("step")), ([1.0, 2.0, 3.0, 4.0], Some("120")));
//! # std::fs::remove_file(&path)?;
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "std", feature = "safetensors")))]
//! # fn main() {}
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod checkpoint;
#[cfg(feature = "std")]
pub mod file;
pub mod flash;
#[cfg(feature = "safetensors")]
pub mod safetensors;
