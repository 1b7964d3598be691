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
//! | schedule | value at step t | choose it when |
//! |---|---|---|
//! | a number, such as `0.01` | η | a first attempt; Adam on a small problem |
//! | [`Step`] | η · γ^⌊t/k⌋ | you reproduce a classic recipe ("divide by 10 every 30 epochs") |
//! | [`MultiStep`] | η · γ^(milestones reached) | the same with uneven stretches |
//! | [`PiecewiseConstant`] | the value of the stretch t lies in | you know the rates you want |
//! | [`Exponential`] | η · γ^(t/k) | the run has no known end |
//! | [`Linear`] | straight from η₀ to η₁ | fine-tuning; a good default with a known end |
//! | [`Polynomial`] | η₁ + (η₀−η₁)(1−t/n)^p | as linear, with more time at small rates |
//! | [`Cosine`] | half a cosine wave from η₀ to η₁ | the default for a run whose length is known |
//! | [`OneCycle`] | up, then far down, each half a cosine wave | a short run that should get far |
//! | [`WarmUp`] | a straight rise, then another schedule | before any of these, with Adam or large batches |
//! | [`PerEpoch`] | another schedule, asked once per epoch | a recipe that is stated in epochs |
//!
//! ```
//! use bantam_schedule::{Cosine, Schedule, WarmUp};
//! let rate = WarmUp::new(100, Cosine::new(0.1).steps(900)).start_factor(0.0);
//! assert_eq!(rate.at(50), 0.05); // rising
//! assert_eq!(rate.at(100), 0.1); // the top
//! assert_eq!(rate.at(1_000), 0.0); // the end; and it stays there
//! ```
//!
//! # What all of them promise
//!
//! * They are small plain `Copy` values without state: `at(1_000_000)` costs what `at(1)` costs, and a run is resumed
//!   from the step alone. The first step is 0. No allocator is needed.
//! * With finite parameters that are not negative (and factors of at most 1) every value is finite and not negative.
//! * Values are within a few units of the last `f32` digit of the formula, also where it gets small: what is left of
//!   a run is counted in integers, and no small number comes about as the difference of two large ones.
//! * There are no invalid schedules, only edges, and each is stated: where a length of 0 makes no sense it counts as
//!   1.
//!
//! # Schedules that span the run
//!
//! [`Linear`], [`Polynomial`], [`Cosine`] and [`OneCycle`] need to know how long the run is. Say so with `.steps(n)`,
//! or leave it to the trainer, which calls [`Schedule::set_run_length`]. Until one of the two has happened, they stay
//! at their first value. Past the end they stay at their last.
//!
//! # More
//!
//! Any `Fn(u64) -> f32` is a schedule too, so what is missing here is one line away:
//!
//! ```
//! use bantam_schedule::Schedule;
//! let inverse_time = |step: u64| 0.1 / (1.0 + 0.001 * step as f32);
//! assert_eq!(inverse_time.at(1_000), 0.05);
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod compose;
mod decay;
mod span;

pub use bantam_core::Schedule;
pub use compose::{PerEpoch, WarmUp};
pub use decay::{Exponential, MultiStep, PiecewiseConstant, Step};
pub use span::{Cosine, Linear, OneCycle, Polynomial};
