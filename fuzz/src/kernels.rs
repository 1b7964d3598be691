//! Kernels of random shapes on numbers that need not be finite: with portable numerics every level of this CPU gives the bits of the plain
//! loops, wherever in memory the operands start; and fused roundings stay as near as they must.

use crate::{Choices, Outcome};
use bantam_core::random::{Key, Purpose, Stream, below, unit_f32};
use bantam_core::{Context, Inline, Level, LevelName, Numerics};
use bantam_kernels::{
    Activation, Bias, ConvShape, Gemm, Span, conv2d_backward_input, conv2d_backward_input_scratch,
    conv2d_backward_weight, conv2d_backward_weight_scratch, conv2d_forward, conv2d_forward_scratch,
    functions, gemm, gemm_scratch, map,
};

/// Reads the bytes as a kernel, its shape and how its operands are filled.
pub fn check(bytes: &[u8]) -> Outcome {
    let mut choices = Choices::new(bytes);
    match choices.below(3) {
        0 => product(&mut choices),
        1 => convolution(&mut choices),
        _ => elementary(&mut choices),
    }
}

/// Compares what `compute` gives at all levels. Rejected, if there is none but the plain loops.
fn same_at_all_levels(what: &str, compute: impl Fn(&Context<'_>) -> Vec<f32>) -> Outcome {
    let expected = compute(&Context::REFERENCE);
    let mut vectors = false;
    for level in Level::available() {
        let found = compute(&Context { level, numerics: Numerics::Portable, executor: &Inline });
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(expected.iter().zip(&found).all(same), "{what} at {level:?}");
        vectors |= level.name() > LevelName::Scalar;
        // Fused: other bits, but finite where those are, with numbers as small as here.
        let fused = compute(&Context { level, numerics: Numerics::Fast, executor: &Inline });
        let alike = |(a, b): (&f32, &f32)| a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-3 || a == b;
        assert!(expected.iter().zip(&fused).all(alike), "{what}, fused, at {level:?}");
    }
    if vectors { Outcome::Accepted } else { Outcome::Rejected }
}

/// Numbers behind an offset, so that they start anywhere in a vector; if so chosen, one of them is not finite.
struct Operand {
    numbers: Vec<f32>,
    offset: usize,
}

impl Operand {
    fn new(choices: &mut Choices<'_>, random: &mut Stream, len: usize) -> Operand {
        let offset = choices.below(16);
        let mut numbers: Vec<f32> = (0..offset + len).map(|_| unit_f32(random) - 0.5).collect();
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, f32::MIN_POSITIVE / 4.0];
        if len > 0 && choices.below(4) == 0 {
            numbers[offset + below(random, len as u32) as usize] = special[choices.below(special.len())];
        }
        Operand { numbers, offset }
    }

    fn get(&self) -> &[f32] {
        &self.numbers[self.offset..]
    }
}

fn stream(choices: &mut Choices<'_>) -> Stream {
    Key::new(u64::from(choices.byte()), Purpose::User).stream()
}

fn product(choices: &mut Choices<'_>) -> Outcome {
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
    let activation =
        [Activation::Identity, Activation::Relu, Activation::Sigmoid, Activation::Tanh][choices.below(4)];
    same_at_all_levels(&format!("{shape:?} {activation:?}"), |cx| {
        let mut c = old.numbers.clone();
        let mut scratch = vec![f32::NAN; gemm_scratch(&shape)];
        let per = if per_column { Bias::PerColumn(bias.get()) } else { Bias::PerRow(bias.get()) };
        let to = &mut c[old.offset..];
        gemm(cx, &shape, a.get(), b.get(), biased.then_some(per), activation, to, accumulate, &mut scratch);
        c
    })
}

fn convolution(choices: &mut Choices<'_>) -> Outcome {
    let random = &mut stream(choices);
    let groups = 1 + choices.below(3);
    let mut both = |least, most| [least + choices.below(most), least + choices.below(most)];
    let [kernel, stride, padding, dilation, size] =
        [both(1, 3), both(1, 2), both(0, 2), both(1, 2), both(1, 9)];
    let shape = ConvShape {
        batch: 1 + choices.below(2),
        channels_in: groups * (1 + choices.below(9)),
        height: size[0] + dilation[0] * kernel[0],
        width: size[1] + dilation[1] * kernel[1],
        channels_out: groups * (1 + choices.below(18)),
        kernel,
        stride,
        padding,
        dilation,
        groups,
    };
    let x = Operand::new(choices, random, shape.input_len());
    let weight = Operand::new(choices, random, shape.weight_len());
    let dy = Operand::new(choices, random, shape.output_len());
    let way = choices.below(3);
    same_at_all_levels(&format!("{shape:?}, way {way}"), |cx| match way {
        0 => {
            let mut y = dy.numbers.clone();
            let mut scratch = vec![f32::NAN; conv2d_forward_scratch(&shape)];
            let to = &mut y[dy.offset..];
            conv2d_forward(cx, &shape, x.get(), weight.get(), None, Activation::Relu, to, &mut scratch);
            y
        }
        1 => {
            let mut dx = x.numbers.clone();
            let mut scratch = vec![f32::NAN; conv2d_backward_input_scratch(&shape)];
            let to = &mut dx[x.offset..];
            conv2d_backward_input(cx, &shape, dy.get(), weight.get(), to, false, &mut scratch);
            dx
        }
        _ => {
            let mut dw = weight.numbers.clone();
            let mut scratch = vec![f32::NAN; conv2d_backward_weight_scratch(&shape)];
            let to = &mut dw[weight.offset..];
            conv2d_backward_weight(cx, &shape, x.get(), dy.get(), to, false, &mut scratch);
            dw
        }
    })
}

/// An elementary function of any bits: fused roundings may differ by as much as two places.
fn elementary(choices: &mut Choices<'_>) -> Outcome {
    let function = choices.below(7);
    let numbers =
        |choices: &mut Choices<'_>| f32::from_bits(u32::from_le_bytes([0; 4].map(|_: u8| choices.byte())));
    let mut x = vec![];
    while choices.any_left() {
        x.push(numbers(choices));
    }
    let apply = |cx: &Context<'_>| {
        let mut y = vec![0.0; x.len()];
        let span = Span::Separate(&x, &mut y);
        match function {
            0 => map(cx, functions::Exp, span),
            1 => map(cx, functions::Ln, span),
            2 => map(cx, functions::Tanh, span),
            3 => map(cx, functions::Sigmoid, span),
            4 => map(cx, functions::Erf, span),
            5 => map(cx, functions::Sin, span),
            _ => map(cx, functions::Cos, span),
        }
        y
    };
    // Only what is as large as one is compared absolutely.
    same_at_all_levels(&format!("function {function} of {x:?}"), |cx| {
        apply(cx).into_iter().map(|y| if y.abs() > 100.0 { y.abs().ln() } else { y }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded;

    #[test]
    fn random_kernels() {
        let seeds: Vec<Vec<u8>> = (0..3_u8)
            .flat_map(|family| {
                (0..40_u8).map(move |i| {
                    let mut rng = Key::new(u64::from(i), Purpose::User).stream();
                    let bytes = (0..60).map(|_| below(&mut rng, 256) as u8);
                    core::iter::once(family).chain(bytes).collect()
                })
            })
            .collect();
        let (accepted, rejected) = seeded::mutations(&seeds, 600, check);
        // Rejected is where no vectors ran.
        assert_eq!((accepted, rejected), (600, 0));
    }
}
