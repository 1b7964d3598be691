//! Trace once, plan once, then train without allocating.
//!
//! ```text
//! model code ──trace──▶ Graph ──differentiate──▶ Graph ──plan──▶ Plan ──bind to memory──▶ Session ──step, step, step…
//! ```
//!
//! * A [`Graph`] records what an ordinary Rust function does to its [`Var`]s. Recording computes nothing.
//! * [`Graph::differentiate`] asks every [`Op`] for its vector-Jacobian product, which records more nodes. Backward is
//!   therefore ordinary graph: it is planned, fused and executed like forward, and can be differentiated again.
//! * A [`Plan`] is plain data: what runs in which order, and where in one arena every byte lies. Its
//!   [`memory`](Plan::memory) is known before anything runs.
//! * A [`Session`] is a plan bound to memory. [`Session::step`] walks the instructions and allocates nothing.
//!
//! ```
//! use bantam_autodiff::{Graph, Session};
//! use bantam_core::Shape;
//!
//! let graph = Graph::<f64>::new();
//! let x = graph.input("x", Shape::of([3]));
//! let y = (x * x).sum_all();
//! let dx = graph.differentiate(y, &[x])?[0];
//! let plan = graph.planner().output("y", y).output("dx", dx).build()?;
//!
//! let mut session = Session::new(plan);
//! session.input(0).copy_from_slice(&[1.0, 2.0, 3.0]);
//! session.run();
//! assert_eq!(session.output(0), [14.0]);
//! assert_eq!(session.output(1), [2.0, 4.0, 6.0]);
//! # Ok::<(), bantam_autodiff::Error>(())
//! ```
//!
//! An op of your own, in your own crate, is one type that implements [`Op`] and is applied with [`Graph::apply`].
//!
//! Feature `alloc` records graphs and makes plans; without it the crate runs [plans in flash](static_plan) that were made
//! on a host.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;

#[cfg(feature = "alloc")]
mod differentiate;
mod engine;
mod error;
#[cfg(feature = "alloc")]
mod graph;
mod op;
pub mod ops;
#[cfg(feature = "alloc")]
mod plan;
#[cfg(feature = "alloc")]
mod session;
pub mod static_plan;
mod value;

#[cfg(feature = "alloc")]
pub use differentiate::{Gradient, NodeRef};
pub use error::{BindError, OpError};
#[cfg(feature = "alloc")]
pub use error::{Error, ErrorKind, Mistake};
#[cfg(feature = "alloc")]
pub use graph::{Graph, Mode, ParameterSpec, Scope, Var};
pub use op::{Inputs, Io, Op, Output, Slot, StepContext};
#[cfg(feature = "alloc")]
pub use plan::{DoesNotFit, Memory, Plan, Planner, UpdateOrder, VerifyError};
#[cfg(feature = "alloc")]
pub use session::{NonFinite, Session, StepError};
pub use static_plan::{
    Aligned, StaticParts, StaticPlan, StaticResident, StaticSession, StaticStep, StaticStepError,
};
pub use value::{Kind, ValueType};

#[cfg(not(feature = "alloc"))]
pub use bantam_kernels::Element;
#[cfg(feature = "alloc")]
pub use ops::Element;

/// A shared pointer: atomic where the target has compare-and-swap, so that plans can be sent to other threads; plain
/// on a Cortex-M0, which has neither threads nor compare-and-swap.
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub type Shared<T> = alloc::sync::Arc<T>;
/// A shared pointer: atomic where the target has compare-and-swap, so that plans can be sent to other threads; plain
/// on a Cortex-M0, which has neither threads nor compare-and-swap.
#[cfg(all(feature = "alloc", not(target_has_atomic = "ptr")))]
pub type Shared<T> = alloc::rc::Rc<T>;
