//! What walks over strides: functions of two operands, copies, and rows by index.

use super::{Operand, same_at_all_levels, stream};
use crate::{Choices, Outcome};
use bantam_core::Context;
use bantam_kernels::{
    Arg, ZipFn, add_strided, axpy, copy, copy_strided, fill, functions, gather_rows, scatter_add_rows, zip,
};

/// Reads the bytes as a kernel, its shape and how its operands are filled.
pub fn check(bytes: &[u8]) -> Outcome {
    let mut choices = Choices::new(bytes);
    match choices.below(3) {
        0 => pairs(&mut choices),
        1 => copies(&mut choices),
        _ => rows(&mut choices),
    }
}

/// Sizes of up to four axes, one of them longer than a vector.
fn sizes(choices: &mut Choices<'_>) -> Vec<usize> {
    let mut shape: Vec<usize> = (0..choices.below(5)).map(|_| 1 + choices.below(5)).collect();
    if !shape.is_empty() {
        let long = choices.below(shape.len());
        shape[long] = choices.below(40);
    }
    shape
}

/// Strides over axes in any order, some of them 0, with gaps or without; and how many elements they reach over.
fn walk(choices: &mut Choices<'_>, shape: &[usize]) -> (Vec<usize>, usize) {
    let mut axes: Vec<usize> = (0..shape.len()).rev().collect();
    if axes.len() > 1 {
        let swap = choices.below(axes.len());
        axes.swap(0, swap);
    }
    let mut strides = vec![0; shape.len()];
    let mut stride = 1 + choices.below(3) / 2;
    for axis in axes {
        if choices.below(4) > 0 {
            strides[axis] = stride;
            stride *= shape[axis].max(1);
        }
    }
    let reach =
        strides.iter().zip(shape).map(|(stride, size)| stride * size.saturating_sub(1)).sum::<usize>();
    (strides, reach + 1)
}

fn pairs(choices: &mut Choices<'_>) -> Outcome {
    let random = &mut stream(choices);
    let shape = sizes(choices);
    let (a_strides, a_reach) = walk(choices, &shape);
    let (b_strides, b_reach) = walk(choices, &shape);
    let a = Operand::new(choices, random, a_reach);
    let b = Operand::new(choices, random, b_reach).rounded();
    let old = Operand::new(choices, random, shape.iter().product());
    let (a_out, b_out) = (choices.below(4) == 0, choices.below(4) == 0);
    let way = choices.below(9);
    same_at_all_levels(&format!("{shape:?} {a_strides:?} {b_strides:?} {a_out} {b_out}, way {way}"), |cx| {
        let a = if a_out { Arg::Out } else { Arg::In(a.get(), &a_strides) };
        let b = if b_out { Arg::Out } else { Arg::In(b.get(), &b_strides) };
        old.changed(|out| match way {
            0 => join(cx, functions::Add, &shape, a, b, out),
            1 => join(cx, functions::Sub, &shape, a, b, out),
            2 => join(cx, functions::Mul, &shape, a, b, out),
            3 => join(cx, functions::Div, &shape, a, b, out),
            4 => join(cx, functions::Max, &shape, a, b, out),
            5 => join(cx, functions::Min, &shape, a, b, out),
            6 => join(cx, functions::Greater, &shape, a, b, out),
            7 => join(cx, functions::Equal, &shape, a, b, out),
            _ => join(cx, functions::ReluGrad, &shape, a, b, out),
        })
    })
}

fn join<F: ZipFn<f32>>(
    cx: &Context<'_>,
    f: F,
    shape: &[usize],
    a: Arg<'_, f32>,
    b: Arg<'_, f32>,
    out: &mut [f32],
) {
    zip(cx, f, shape, a, b, out);
}

fn copies(choices: &mut Choices<'_>) -> Outcome {
    let random = &mut stream(choices);
    let shape = sizes(choices);
    let (strides, reach) = walk(choices, &shape);
    // Some axes are walked backwards.
    let mut offset = choices.below(4);
    let mut signed = vec![];
    for (stride, size) in strides.iter().zip(&shape) {
        let back = choices.below(4) == 0;
        offset += if back { stride * size.saturating_sub(1) } else { 0 };
        signed.push(if back { -(*stride as isize) } else { *stride as isize });
    }
    let x = Operand::new(choices, random, offset + reach);
    let y = Operand::new(choices, random, shape.iter().product());
    let way = choices.below(2);
    same_at_all_levels(&format!("{shape:?} {signed:?}, way {way}"), |cx| match way {
        0 => y.changed(|out| copy_strided(cx, &shape, x.get(), offset, &signed, out)),
        _ => x.changed(|dx| add_strided(cx, &shape, y.get(), dx, offset, &signed)),
    })
}

fn rows(choices: &mut Choices<'_>) -> Outcome {
    let random = &mut stream(choices);
    let (count, width) = (choices.below(9), choices.below(30));
    let table = Operand::new(choices, random, count * width);
    let indices: Vec<u32> = (0..choices.below(12)).map(|_| choices.below(count + 2) as u32).collect();
    let out = Operand::new(choices, random, indices.len() * width);
    let more = Operand::new(choices, random, indices.len() * width);
    let accumulate = choices.below(2) == 0;
    let way = choices.below(5);
    same_at_all_levels(&format!("{count} rows of {width}, {indices:?}, way {way}"), |cx| match way {
        0 => out.changed(|out| gather_rows(cx, table.get(), width, &indices, out)),
        1 => table.changed(|dtable| scatter_add_rows(cx, &indices, width, out.get(), dtable, accumulate)),
        2 => out.changed(|out| axpy(cx, 0.3, more.get(), out)),
        3 => out.changed(|out| copy(cx, more.get(), out)),
        _ => out.changed(|out| fill(cx, 0.3, out)),
    })
}
