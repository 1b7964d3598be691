//! The training loop: joins model, data, loss, optimizer and schedule, and is the only crate that sees them all.
//!
//! [`Trainer`] goes through the epochs, validates, stops early, accumulates gradients, writes checkpoints and resumes
//! from them with the same bits. [`Network`] is what comes out: a model with numbers, to evaluate and predict with.
//!
//! ```
//! # #[cfg(feature = "std")]
//! # fn main() -> Result<(), bantam_train::Error> {
//! use bantam_data::{Dataset, Stratified};
//! use bantam_nn::{Activation, Linear, Params, Sequential, loss::cross_entropy};
//! use bantam_optim::AdamW;
//! use bantam_train::Trainer;
//!
//! let iris = bantam_data::iris();
//! let [train, test] = (&iris).split(Stratified([0.8, 0.2]), 42)?;
//!
//! let mut params = Params::new();
//! let net = Sequential::new()
//!     .then(Linear::new(params.at("hidden"), 4, 16))
//!     .then(Activation::Tanh)
//!     .then(Linear::new(params.at("logits"), 16, 3));
//! let mut trained = Trainer::new(net, params)
//!     .loss(cross_entropy)
//!     .optimizer(AdamW::default().rate(0.02))
//!     .batch(16)
//!     .epochs(30)
//!     .fit(&train)?;
//! assert!(trained.network.evaluate(&test)?.accuracy.unwrap() > 0.9);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "std"))]
//! # fn main() {}
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "checkpoints")]
mod checkpoint;
#[cfg(feature = "alloc")]
mod error;
#[cfg(feature = "alloc")]
mod network;
#[cfg(feature = "alloc")]
mod progress;
#[cfg(feature = "alloc")]
mod trainer;

#[cfg(feature = "alloc")]
pub use error::Error;
#[cfg(feature = "alloc")]
pub use network::{Evaluation, LossFunction, Network};
#[cfg(feature = "alloc")]
pub use progress::{EpochRecord, Stop};
#[cfg(feature = "alloc")]
pub use trainer::{Event, Trained, Trainer};
