//! Layers, losses, initializers and parameter sets.
//!
//! A model is a plain struct of layers. Making it declares names, shapes and initializers in a [`Params`] and computes
//! nothing; its `forward` runs once for each plan and records what to compute:
//!
//! ```
//! use bantam_autodiff::{Mode, Session, Var};
//! use bantam_core::Shape;
//! use bantam_nn::{Layer, Linear, Params};
//!
//! struct Net { hidden: Linear, logits: Linear }
//!
//! impl Net {
//!     fn new(p: &mut Params) -> Self {
//!         Net { hidden: Linear::new(p.at("hidden"), 4, 16), logits: Linear::new(p.at("logits"), 16, 3) }
//!     }
//! }
//!
//! impl Layer for Net {
//!     fn forward<'g>(&self, x: Var<'g>) -> Var<'g> {
//!         self.logits.forward(self.hidden.forward(x).relu())
//!     }
//! }
//!
//! let mut params = Params::new();
//! let net = Net::new(&mut params);
//! assert_eq!(params.count(), 4 * 16 + 16 + 16 * 3 + 3);
//!
//! let graph = params.graph(Mode::Infer);
//! let x = graph.input("x", Shape::of([1, 4]));
//! let plan = graph.planner().output("logits", net.forward(x)).build()?;
//! let mut session = Session::new(plan);
//! params.initialize(&mut session, 42);
//! session.run();
//! assert_eq!(session.output(0).len(), 3);
//! # Ok::<(), bantam_autodiff::Error>(())
//! ```
//!
//! # Against learning by heart
//!
//! A network with more parameters than it needs can learn its samples by heart. What keeps it from that stands in three
//! places, and in inference none of it does anything:
//!
//! | where | what |
//! |---|---|
//! | between layers | noise: [`Dropout`], [`SpatialDropout`], [`AlphaDropout`], [`GaussianDropout`], [`GaussianNoise`], [`DropPath`]; [`zoneout`](bantam_autodiff::Var::zoneout) between states |
//! | in the loss | [`penalty`]: L1, L2, both, orthogonality; [`smoothed_cross_entropy`](loss::smoothed_cross_entropy) |
//! | in a layer | [`Conv2d::standardized`], [`Linear::standardized`]: weights without mean and length |
//!
//! Weight decay, norms of weights and noise in gradients belong to the optimizer; stopping early to the trainer. Begin
//! with more data, then weight decay, then dropout after the widest layer.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod init;
#[cfg(feature = "alloc")]
mod layers;
#[cfg(feature = "alloc")]
pub mod loss;
#[cfg(feature = "alloc")]
mod noise;
#[cfg(feature = "alloc")]
mod params;
#[cfg(feature = "alloc")]
pub mod penalty;
#[cfg(feature = "alloc")]
mod summary;

pub use init::{Initializer, initialize_static};
#[cfg(feature = "alloc")]
pub use layers::{
    Activation, AvgPool2d, BatchNorm, Concat, Conv2d, Embedding, Flatten, GlobalAvgPool2d, Layer, LayerNorm,
    Linear, MaxPool2d, Recompute, Residual, Sequential, standardize_weight,
};
#[cfg(feature = "alloc")]
pub use noise::{AlphaDropout, DropPath, Dropout, GaussianDropout, GaussianNoise, SpatialDropout};
#[cfg(feature = "alloc")]
pub use params::{NoMatch, Parameter, Params, Scope};
#[cfg(feature = "alloc")]
pub use summary::{Summary, SummaryRow};
