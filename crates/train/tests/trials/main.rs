//! Trials of the training loop: what it promises about resuming, stopping, accumulating, order, threads and mistakes.

#![cfg(feature = "checkpoints")]

mod accumulating;
mod common;
mod frozen;
mod mistakes;
mod non_finite;
mod optimizers;
mod regression;
mod resuming;
mod schedules;
mod stopping;
