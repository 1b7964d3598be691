//! Products of many small matrices that lie in larger ones, such as the heads of an attention.

use super::{Activation, Gemm, Product, Strided, TASK_WORK, block};
use crate::parallel::{Parts, for_each_task};
use crate::simd::{Element, is_plain};
use crate::{plain, require};
use bantam_core::Context;

/// Where the matrices of a batch lie: of an operand with `steps`, matrix (i, j) starts `i * steps[0] + j * steps[1]` elements from its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    /// How many there are along both axes.
    pub counts: [usize; 2],
    /// Steps of A.
    pub a_steps: [usize; 2],
    /// Steps of B.
    pub b_steps: [usize; 2],
    /// Steps of C.
    pub c_steps: [usize; 2],
    /// From one row of a matrix of C to the next; elements of a row are neighbours.
    pub c_stride: usize,
}

/// C = A·B for each matrix of a batch, or C + A·B if `accumulate`, with the bits of [`gemm`](super::gemm()). What lies between the
/// matrices of C is left alone; two that overlap are a mistake, and panic.
///
/// For small matrices: none is cut into blocks, several are one task.
pub fn batched_gemm<T: Element>(
    cx: &Context<'_>,
    gemm: &Gemm,
    batch: &Batch,
    a: &[T],
    b: &[T],
    c: &mut [T],
    accumulate: bool,
) {
    let Gemm { m, n, k, a_strides, b_strides } = *gemm;
    let Batch { counts, a_steps, b_steps, c_steps, c_stride } = *batch;
    let Some(count) = counts[0].checked_mul(counts[1]).filter(|count| count * m * n > 0) else { return };
    // Of a batch, the last matrix reaches the farthest.
    let reach = |rows: usize, columns: usize, strides: [usize; 2], steps: [usize; 2]| {
        let last =
            (counts[0] - 1).saturating_mul(steps[0]).saturating_add((counts[1] - 1).saturating_mul(steps[1]));
        match Gemm::reach(rows, columns, strides) {
            0 => 0,
            one => one.saturating_add(last),
        }
    };
    require(a.len() >= reach(m, k, a_strides, a_steps) && b.len() >= reach(k, n, b_strides, b_steps));
    require(c.len() >= reach(m, n, [c_stride, 1], c_steps));
    // Elements of C differ in their places if along each axis a step is longer than all shorter ones together reach.
    let mut axes = [(counts[0], c_steps[0]), (counts[1], c_steps[1]), (m, c_stride), (n, 1)];
    axes.sort_unstable_by_key(|(_, step)| *step);
    let mut reached = 0;
    for (len, step) in axes.into_iter().filter(|(len, _)| *len > 1) {
        require(step > reached);
        reached += (len - 1) * step;
    }

    let c = Parts::new(c);
    let multiply = |number: usize| {
        let place = |steps: [usize; 2]| number / counts[1] * steps[0] + number % counts[1] * steps[1];
        // Without depths there is nothing to read.
        let [a_start, b_start] = [a_steps, b_steps].map(|steps| if k == 0 { 0 } else { place(steps) });
        let (a, b) = (&a[a_start..], &b[b_start..]);
        // SAFETY: it reaches less far than C is long.
        let c = unsafe { c.pointer().add(place(c_steps)) };
        if is_plain(cx) {
            for i in 0..m {
                let row = Gemm { m: 1, ..*gemm };
                let a = &a[if k == 0 { 0 } else { i * a_strides[0] }..];
                // SAFETY: no other row, of this matrix or another, has an element of it, and each matrix is computed once.
                let c = unsafe { core::slice::from_raw_parts_mut(c.add(i * c_stride), n) };
                plain::gemm(&row, a, b, None, Activation::Identity, c, accumulate);
            }
            return;
        }
        let (rows, columns, activation) = (0..m, 0..n, Activation::Identity);
        let (in_place, in_lanes) = (gemm.reads_b_in_place(), gemm.adds_in_lanes(cx.numerics));
        let product =
            Product { a, a_strides, k, bias: None, activation, accumulate, c, c_stride, rows, columns };
        block(cx, &product, &Strided { b, strides: b_strides, in_place, in_lanes }, &mut []);
    };
    let together = (TASK_WORK / (m * n * k).max(1)).max(1);
    for_each_task(cx, count.div_ceil(together), |task| {
        (task * together..count.min((task + 1) * together)).for_each(multiply);
    });
}
