//! What it costs to hand work to another thread, and from which size on that pays: what the kernels' `GRAIN` and `TASK_WORK` rest on.

use crate::measure::{Row, Work};
use bantam_core::Context;
use bantam_kernels::{
    Activation, Gemm, Span, for_each_chunk, for_each_chunk_of_two, for_each_task, functions, gemm,
    gemm_scratch, map,
};
use core::hint::black_box;

/// The same two tasks, one after the other and on two threads, from small to large: the second of a pair shows the gain.
pub fn tasks(one: Context<'static>, all: Context<'static>) -> Vec<Row> {
    let mut rows = vec![];
    for count in [2, 16] {
        // A start costs what a product of half a million operations does, or less.
        rows.push(Row::new(format!("{count} tasks that do nothing"), Work::Budget(5e-6), move || {
            for_each_task(&all, count, |index| {
                black_box(index);
            });
        }));
    }
    let lanes = [(one, "inline"), (all, "on threads")];
    for exponent in 14..=20 {
        for (cx, name) in lanes {
            rows.push(products(
                format!("2 products of 2^{exponent} multiply-adds, {name}"),
                one,
                cx,
                exponent,
            ));
        }
    }
    for exponent in 10..=17 {
        for (cx, name) in lanes {
            rows.push(chunks(format!("2 chunks of 2^{exponent} for tanh, {name}"), one, cx, exponent));
        }
        for (cx, name) in lanes {
            rows.push(copies(format!("2 chunks of 2^{exponent} for relu, {name}"), one, cx, exponent));
        }
    }
    rows
}

/// Two products of 2^exponent multiply-adds, each a task of its own that starts no others.
fn products(name: String, task: Context<'static>, cx: Context<'static>, exponent: u32) -> Row {
    let k = 1 << (exponent - 10);
    let shape = Gemm { m: 32, n: 32, k, a_strides: [k, 1], b_strides: [32, 1] };
    let (a, b, mut c) = (vec![0.5_f32; 32 * k], vec![0.25_f32; 32 * k], vec![0.0_f32; 2 * 32 * 32]);
    let own = gemm_scratch(&shape);
    let mut scratch = vec![0.0; 2 * own];
    Row::new(name, Work::Flops(4.0 * (32 * 32 * k) as f64), move || {
        for_each_chunk_of_two(&cx, [&mut c], 32 * 32, [&mut scratch], own, |_, [c], [scratch]| {
            gemm(&task, &shape, &a, &b, None, Activation::Identity, c, false, scratch);
        });
        black_box(&mut c);
    })
}

/// Two chunks of elements, for a function that computes.
fn chunks(name: String, task: Context<'static>, cx: Context<'static>, exponent: u32) -> Row {
    let (x, mut y) = (vec![0.5_f32; 2 << exponent], vec![0.0_f32; 2 << exponent]);
    Row::new(name, Work::Bytes(16.0 * f64::from(1 << exponent)), move || {
        for_each_chunk(&cx, &mut y, 1 << exponent, |index, y| {
            map(&task, functions::Tanh, Span::Separate(&x[index << exponent..][..y.len()], y));
        });
        black_box(&mut y);
    })
}

/// The same, for one that only moves.
fn copies(name: String, task: Context<'static>, cx: Context<'static>, exponent: u32) -> Row {
    let (x, mut y) = (vec![0.5_f32; 2 << exponent], vec![0.0_f32; 2 << exponent]);
    Row::new(name, Work::Bytes(16.0 * f64::from(1 << exponent)), move || {
        for_each_chunk(&cx, &mut y, 1 << exponent, |index, y| {
            map(&task, functions::Relu, Span::Separate(&x[index << exponent..][..y.len()], y));
        });
        black_box(&mut y);
    })
}
