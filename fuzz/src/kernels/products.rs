//! Products of random shapes and strides, zero lengths included.

use super::{Operand, same_at_all_levels, stream};
use crate::{Choices, Outcome};
use bantam_kernels::{Activation, Bias, Gemm, gemm, gemm_scratch};

/// Reads the bytes as a kernel, its shape and how its operands are filled.
pub fn check(bytes: &[u8]) -> Outcome {
    let choices = &mut Choices::new(bytes);
    let random = &mut stream(choices);
    let [m, n, k] = [40, 80, 70].map(|most| choices.below(most));
    let mut strides = |rows: usize, columns: usize| match choices.below(3) {
        0 => [columns, 1],
        1 => [1, rows],
        _ => [columns + choices.below(9), 1],
    };
    let shape = Gemm { m, n, k, a_strides: strides(m, k), b_strides: strides(k, n) };
    let reach = |rows: usize, columns: usize, [down, across]: [usize; 2]| {
        if rows * columns == 0 { 0 } else { (rows - 1) * down + (columns - 1) * across + 1 }
    };
    let a = Operand::new(choices, random, reach(m, k, shape.a_strides));
    let b = Operand::new(choices, random, reach(k, n, shape.b_strides));
    let old = Operand::new(choices, random, m * n);
    let per_column = choices.below(2) == 0;
    let bias = Operand::new(choices, random, if per_column { n } else { m });
    let biased = choices.below(2) == 0;
    let accumulate = choices.below(2) == 0;
    let activation = [Activation::Identity, Activation::Relu][choices.below(2)];
    same_at_all_levels(&format!("{shape:?} {activation:?}"), |cx| {
        let mut scratch = vec![f32::NAN; gemm_scratch(&shape)];
        let per = if per_column { Bias::PerColumn(bias.get()) } else { Bias::PerRow(bias.get()) };
        let bias = biased.then_some(per);
        old.changed(|c| gemm(cx, &shape, a.get(), b.get(), bias, activation, c, accumulate, &mut scratch))
    })
}
