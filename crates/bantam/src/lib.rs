//! Train neural networks anywhere.
//!
//! This crate holds re-exports and nothing else, one feature per crate; `use bantam::prelude::*` brings in what most
//! programs need. Each part can be used alone.
//!
//! | module | crate | what it is |
//! |---|---|---|
//! | [`core`](mod@core) | `bantam-core` | the seams: shapes, executors, schedules, random streams |
//! | [`tensor`] | `bantam-tensor` | storage, layout, views |
//! | `kernels` | `bantam-kernels` | SIMD over slices |
//! | `autodiff` | `bantam-autodiff` | graph, differentiation, plan, session |
//! | `nn` | `bantam-nn` | layers, losses, initializers, parameter sets |
//! | `optim` | `bantam-optim` | optimizers |
//! | `schedule` | `bantam-schedule` | learning-rate schedules |
//! | `data` | `bantam-data` | data sets, splits, batches |
//! | `store` | `bantam-store` | saved parameters, checkpoints |
//! | `train` | `bantam-train` | the training loop |
//! | `threads` | `bantam-threads` | a thread pool for the kernels |
#![no_std]
#![forbid(unsafe_code)]

pub use bantam_core as core;
pub use bantam_tensor as tensor;

#[cfg(feature = "autodiff")]
pub use bantam_autodiff as autodiff;
#[cfg(feature = "data")]
pub use bantam_data as data;
#[cfg(feature = "kernels")]
pub use bantam_kernels as kernels;
#[cfg(feature = "nn")]
pub use bantam_nn as nn;
#[cfg(feature = "optim")]
pub use bantam_optim as optim;
#[cfg(feature = "schedule")]
pub use bantam_schedule as schedule;
#[cfg(feature = "store")]
pub use bantam_store as store;
#[cfg(feature = "threads")]
pub use bantam_threads as threads;
#[cfg(feature = "train")]
pub use bantam_train as train;

/// What most programs need.
pub mod prelude {
    #[cfg(all(feature = "autodiff", feature = "alloc"))]
    pub use bantam_autodiff::{Graph, Mode, Plan, Session, Var};
    pub use bantam_core::{Context, Executor, Optimizer, Schedule, Shape};
    #[cfg(feature = "data")]
    pub use bantam_data::{self as data, Dataset};
    #[cfg(all(feature = "data", feature = "alloc"))]
    pub use bantam_data::{Random, Stratified};
    #[cfg(all(feature = "nn", feature = "alloc"))]
    pub use bantam_nn::{
        Activation, AlphaDropout, AvgPool2d, BatchNorm, Concat, Conv2d, DropPath, Dropout, Embedding,
        Flatten, GaussianDropout, GaussianNoise, GlobalAvgPool2d, Initializer, Layer, LayerNorm, Linear,
        MaxPool2d, Params, Recompute, Residual, Scope, Sequential, SpatialDropout, Summary,
        loss::{cross_entropy, mean_squared_error, smoothed_cross_entropy},
        penalty,
    };
    #[cfg(feature = "optim")]
    pub use bantam_optim::{Adam, AdamW, ClipByGlobalNorm, ClipByValue, Sgd, chain};
    #[cfg(feature = "schedule")]
    pub use bantam_schedule::{
        Cosine, CosineRestarts, Exponential, Linear as LinearSchedule, MultiStep, OneCycle, PerEpoch,
        PiecewiseConstant, Plateau, Sequence, Step, WarmUp,
    };
    #[cfg(feature = "threads")]
    pub use bantam_threads::Threads;
    #[cfg(all(feature = "train", feature = "alloc"))]
    pub use bantam_train::{Error, Event, Network, Stop, Trained, Trainer};
}

/// The README's programs, compiled and run as documentation tests.
#[cfg(all(doctest, feature = "train", feature = "kernels", feature = "digits", feature = "std"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
