//! One battery for every level: each kernel against a naive oracle, on random shapes, with the same bits everywhere.

mod conv;
mod dropout;
mod edges;
mod elementwise;
#[cfg(feature = "long-tests")]
mod exhaustive;
mod gemm;
mod linear;
mod math;
mod norm;
mod pool;
mod reduce;
mod softmax;
mod streams;
mod strided;
mod support;
mod winograd;
