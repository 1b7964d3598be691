//! One battery for every level: each kernel against a naive oracle, on random shapes, with the same bits everywhere.

mod conv;
mod gemm;
mod math;
mod support;
