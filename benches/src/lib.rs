//! The tables of the benchmarks, for the program beside this file and for the one in `peers/`, which runs other frameworks
//! in the same rounds.
#![forbid(unsafe_code)]

extern crate alloc;

pub mod limits;
pub mod measure;
pub mod operations;
pub mod products;
pub mod record;
mod sequences;
pub mod steps;
pub mod tasks;
