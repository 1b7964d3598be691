//! Learning rates, and anything else that changes with the step, as pure functions of the step.
//!
//! # Why the rate should change
//!
//! Gradient descent with a constant rate η meets two conflicting wishes. Far from a minimum a large rate covers
//! ground; close to it the noise of small batches keeps the parameters bouncing at a distance that grows with η.
//! Robbins and Monro (1951) showed what settles the conflict for stochastic descent: rates whose sum is infinite (any
//! distance can be covered) while the sum of their squares is finite (the noise dies out). In practice a training run
//! is finite, and what counts is: *large early, small at the end*, and often *small for the very first steps*, when
//! the gradients of a fresh network point anywhere.
//!
//! ```
//! use bantam_schedule::{Cosine, Schedule, WarmUp};
//! let rate = WarmUp::new(100, Cosine::new(0.1).steps(900)).start_factor(0.0);
//! assert_eq!(rate.at(50), 0.05); // rising
//! assert_eq!(rate.at(100), 0.1); // the top
//! assert_eq!(rate.at(1_000), 0.0); // the end; and it stays there
//! ```
//!
//! # Which one?
//!
//! Find the largest constant rate at which a short run does not diverge. Then: the length of the run is known →
//! [`Cosine`] from that rate, or [`OneCycle`] to three times of it if the run is short. The length is not known →
//! [`Exponential`], or [`Plateau`] with held-out data. Adam, large batches or a transformer → put a [`WarmUp`] before
//! it. The rest repeats recipes of others. The README of this crate compares all of them on one network.
//!
//! ## Falling, without knowing where the run ends
//!
//! | schedule | value at step t | choose it when |
//! |---|---|---|
//! | [`Constant`], or a number | η | a first attempt; an optimizer that adapts by itself |
//! | [`TimeBased`] | η₀/(1+kt) | data never end; convergence is to be proven |
//! | [`Power`] | η₀/(1+t/s)^c | the same, falling more slowly |
//! | [`Exponential`] | η₀·γ^(t/k), or η₀·e^(−λt) | the run has no known end |
//! | [`Step`] | η₀·γ^⌊t/k⌋ | you repeat a classic recipe ("divide by 10 every 30 epochs") |
//! | [`MultiStep`] | η₀·γ^(milestones reached) | the same with uneven stretches |
//! | [`PiecewiseConstant`] | the value of the stretch t lies in | you know the rates you want |
//! | [`Plateau`] | η₀·γ^(times that the loss stalled) | nobody knows how long it will go on getting better |
//! | [`Noam`] | rises, then a/√(d·(t+1)) | transformers, after their paper |
//!
//! ## Spanning the run
//!
//! | schedule | value at step t of n | choose it when |
//! |---|---|---|
//! | [`Linear`] | straight from η₀ to η₁ | fine-tuning; a good default with a known end |
//! | [`Polynomial`] | η₁ + (η₀−η₁)(1−t/n)^p, also in cycles | as linear, with more time at small rates |
//! | [`Cosine`] | half a cosine wave from η₀ to η₁ | the default for a run whose length is known |
//! | [`OneCycle`] | up, then far down | a short run that should get far |
//! | [`OneCycleMomentum`] | its mirror image for the momentum | together with it, for SGD |
//!
//! They need to know how long the run is. Say so with `.steps(n)`, or leave it to the trainer, which calls
//! [`Schedule::set_run_length`]. Until one of the two has happened, they stay at their first value. Past the end they
//! stay at their last.
//!
//! ## Up and down
//!
//! | schedule | course | choose it when |
//! |---|---|---|
//! | [`CosineRestarts`] | cosine falls, each longer than the one before | you want good networks on the way, or an ensemble |
//! | [`Cyclic`] | straight up and down, peaks the same or falling | you do not want to search for one good rate |
//!
//! ## Made of others
//!
//! | schedule | what it does |
//! |---|---|
//! | [`WarmUp`] | rises to the first value of any schedule, which then begins |
//! | [`Sequence`] | one schedule for so many steps, then another |
//! | [`Product`], [`Scaled`] | one schedule times another, or times a number |
//! | [`PerEpoch`] | asks a schedule once per epoch: its lengths count epochs |
//!
//! Any `Fn(u64) -> f32` is a schedule too, so what is missing here is one line away:
//!
//! ```
//! use bantam_schedule::Schedule;
//! let triangle = |step: u64| 0.1 * (1.0 - (step % 20).abs_diff(10) as f32 / 10.0);
//! assert_eq!([triangle.at(0), triangle.at(10), triangle.at(1_000_005)], [0.0, 0.1, 0.05]);
//! ```
//!
//! The same schedules serve a momentum, a weight decay or a dropout rate: nothing in them knows what the value is for.
//!
//! # What all of them promise
//!
//! * They are small plain values; no allocator is needed. All but [`Plateau`] are pure functions of the step:
//!   `at(1_000_000)` costs what `at(1)` costs, and a run is resumed from the step alone. The first step is 0.
//! * With valid settings every value is finite and not negative.
//! * [`at_f64`](Schedule::at_f64) has the digits of `f64`, a handful of its roundings away from the formula;
//!   [`at`](Schedule::at) is the same value rounded once to `f32`. Also where values get small: what is left of a run
//!   is counted in whole steps, and no small number comes about as the difference of two large ones.
//! * Settings that make no sense are found by [`validate`](Schedule::validate), which optimizers and trainers call
//!   before the first step. Nothing panics without it: where a length of 0 makes no sense it counts as 1.
//!
//! # As text
//!
//! With the feature `names`, `AnySchedule` reads all of them from text such as `onecycle(max=0.5, steps=1000)` and says
//! what is wrong, and where, if it cannot. `bantam schedule "onecycle(max=0.5, steps=1000)"` draws what it reads.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "names")]
extern crate alloc;

mod compose;
mod cycle;
mod decay;
mod number;
mod plateau;
mod span;
#[cfg(feature = "names")]
mod text;

pub use bantam_core::Schedule;
pub use compose::{PerEpoch, Product, Scaled, Sequence, WarmUp};
pub use cycle::{Annealing, CosineRestarts, Cyclic, CyclicMode, OneCycle, OneCycleMomentum};
pub use decay::{Constant, Exponential, MultiStep, Noam, PiecewiseConstant, Power, Step, TimeBased};
pub use plateau::{Plateau, PlateauState};
pub use span::{Cosine, Linear, Polynomial};
#[cfg(feature = "names")]
pub use text::{AnySchedule, ParseError, ParseErrorKind};

/// The README's programs, run as documentation tests.
#[cfg(all(doctest, feature = "names"))]
#[doc = include_str!("../README.md")]
struct Readme;
