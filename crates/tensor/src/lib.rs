//! Storage, layout and views: how numbers lie in memory and how they are looked at without moving them.
//!
//! * [`Layout`] is the arithmetic: a shape, a stride per axis and an offset. Transposing, slicing, flipping and
//!   broadcasting change those few numbers and no data.
//! * [`View`] is a layout over a borrowed slice. It needs no allocator, so it works over an array in flash as well.
//! * `Tensor` (feature `alloc`) owns its numbers, always contiguous and row-major.
//!
//! ```
//! use bantam_tensor::View;
//! let numbers = [1, 2, 3, 4, 5, 6];
//! let matrix = View::new(&numbers, [2, 3])?;
//! let turned = matrix.transpose()?;
//! assert_eq!(turned.shape(), [3, 2]);
//! assert!(turned.iter().eq([1, 4, 2, 5, 3, 6]));
//! assert_eq!(turned.get(&[2, 1]), Some(6));
//! # Ok::<(), bantam_tensor::Error>(())
//! ```
//!
//! The element type is any `Copy` type: `f32` and `f64` for values, `u32` for labels and token ids, `u8` for pixels
//! and masks. Nothing here computes; the arithmetic is in `bantam-kernels`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod layout;
#[cfg(feature = "alloc")]
mod owned;
mod print;
mod view;

pub use bantam_core::{MAX_RANK, RankError, Shape};
pub use layout::{Error, Layout, Offsets};
#[cfg(feature = "alloc")]
pub use owned::Tensor;
pub use view::View;
