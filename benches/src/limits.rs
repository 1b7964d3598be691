//! What the machine can do: fused multiply-adds in registers, and a copy through main memory.

use crate::measure::{Row, Work};
use bantam_core::Context;
use bantam_kernels::{Element, Simd, SimdOp, Vector, run};
use core::hint::black_box;

/// Multiply-adds on as many sums as an inner loop can hold.
struct MultiplyAdd {
    rounds: usize,
}

/// Sums: ten are enough to hide the latency of two units with five cycles each.
const SUMS: usize = 12;

impl SimdOp for MultiplyAdd {
    const FUSES: bool = true;
    type Output = f32;

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> f32 {
        let factor = <f32 as Element>::Vector::<S>::splat(simd, black_box(0.5));
        let mut sums = [factor; SUMS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, factor);
            }
        }
        sums.iter().map(|sum| sum.tree(|a, b| a + b)).sum()
    }
}

/// The limits that the rows of a table are compared with.
pub fn all(cx: Context<'static>) -> Vec<Row> {
    vec![multiply_add(cx), copy()]
}

/// The peak of multiplications and additions of `f32` at the level of `cx`, on one thread.
pub fn multiply_add(cx: Context<'static>) -> Row {
    let rounds = 20_000;
    let flops = (rounds * SUMS * bantam_kernels::simd::LANES * 2) as f64;
    Row::new("limit: multiply-adds in registers", Work::Flops(flops), move || {
        black_box(run(&cx, MultiplyAdd { rounds }));
    })
}

/// A copy of 64 MiB, more than a last-level cache holds.
pub fn copy() -> Row {
    let from = vec![1.0_f32; 16 << 20];
    let mut to = vec![0.0_f32; from.len()];
    Row::new("limit: copy in main memory", Work::Bytes(8.0 * from.len() as f64), move || {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    })
}
