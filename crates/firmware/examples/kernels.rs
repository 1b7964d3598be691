//! What a multiply-add costs: products and a convolution of 64 × 64 and more, elementwise work, and a linear layer of odd sizes,
//! counted in ticks. For machines that count instructions.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam::core::random::{Key, Purpose, unit_f32};
use bantam::core::{Context, Numerics};
use bantam::kernels::{
    Activation, Arg, ConvShape, Gemm, Span, axpy, conv2d_forward, conv2d_forward_scratch, dot, functions,
    gemm, linear_backward, linear_forward, linear_update, map, zip_alike,
};
use bantam_firmware::training::{SEED, context, fnv};
use bantam_firmware::{Report, board};
use core::cell::UnsafeCell;

const N: usize = 64;

/// Operands, the result, and scratch memory of the convolution.
struct Memory(UnsafeCell<[[f32; N * N]; 4]>);

// SAFETY: one thread, and `run` is called once.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([[0.0; N * N]; 4]));

fn count(name: &str, work: impl FnOnce()) {
    let before = board::ticks();
    work();
    Report.number(name, u64::from(board::elapsed(before, board::ticks())));
}

fn run() -> u8 {
    // SAFETY: called once.
    let [a, b, c, scratch] = unsafe { &mut *MEMORY.0.get() };
    let mut stream = Key::new(SEED, Purpose::Generate).stream();
    a.iter_mut().chain(b.iter_mut()).for_each(|x| *x = unit_f32(&mut stream) - 0.5);
    let (cx, report) = (context(), Report);
    report.text("kernels");
    report.number("calibration", u64::from(board::calibrate()));
    let mut hash = None;
    // Batches of 64 and of 1: forward x·Wᵀ, the gradient of x dy·W, the gradient of W dyᵀ·x.
    for (name, m, k, a_strides, b_strides) in [
        ("forward, batch 64", N, N, [N, 1], [1, N]),
        ("gradient of x, batch 64", N, N, [N, 1], [N, 1]),
        ("gradient of W, batch 64", N, N, [1, N], [N, 1]),
        ("forward, batch 1", 1, N, [N, 1], [1, N]),
        ("gradient of x, batch 1", 1, N, [N, 1], [N, 1]),
        ("gradient of W, batch 1", N, 1, [1, N], [N, 1]),
    ] {
        let product = Gemm { m, n: N, k, a_strides, b_strides };
        let c = &mut c[..m * N];
        count(name, || gemm(&cx, &product, a, b, None, Activation::Identity, c, false, scratch));
        hash = Some(fnv(hash, c));
    }
    let shape = ConvShape {
        batch: 1,
        channels_in: 8,
        height: 16,
        width: 16,
        channels_out: 16,
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1],
        dilation: [1, 1],
        groups: 1,
    };
    if conv2d_forward_scratch(&shape, cx.numerics) > scratch.len() {
        return 1;
    }
    let (x, weight) = (&a[..8 * 16 * 16], &b[..16 * 8 * 9]);
    count("convolution", || conv2d_forward(&cx, &shape, x, weight, None, Activation::Identity, c, scratch));
    hash = Some(fnv(hash, c));

    // Work on each element, and a dot product.
    count("relu", || map(&cx, functions::Relu, Span::Separate(a, c)));
    hash = Some(fnv(hash, c));
    count("product", || zip_alike(&cx, &functions::Mul, Arg::In(a, &[]), Arg::In(b, &[]), c));
    hash = Some(fnv(hash, c));
    count("axpy", || axpy(&cx, 0.5, a, c));
    hash = Some(fnv(hash, c));
    let mut sum = [0.0];
    count("dot", || sum[0] = dot(&cx, a, b));
    hash = Some(fnv(hash, &sum));
    // What is fast has other bits elsewhere.
    count("dot, fast", || sum[0] = dot(&Context { numerics: Numerics::Fast, ..cx }, a, b));
    // The least numbers, every kind of zero, and what is none: they are the same everywhere too.
    let least = f32::from_bits(1);
    let odd = [least, -least, 0.0, -0.0, 1e-20, -1e-20, f32::NAN, -f32::NAN, f32::INFINITY, -f32::INFINITY];
    let odd: [f32; 40] = core::array::from_fn(|i| odd[i % odd.len()]);
    sum[0] = dot(&cx, &[1e-20; 40], &[1e-20; 40]);
    hash = Some(fnv(hash, &sum));
    let y = &mut c[..odd.len()];
    map(&cx, functions::Relu, Span::Separate(&odd, y));
    hash = Some(fnv(hash, y));
    zip_alike(&cx, &functions::ReluGrad, Arg::In(&[-1.0; 40], &[]), Arg::In(&odd, &[]), y);
    hash = Some(fnv(hash, y));

    // Neither rows nor columns fill the loops of a board.
    let (fan_in, fan_out) = (37, 11);
    let (weight, bias, x) = (&mut b[..fan_in * fan_out], &mut scratch[..fan_out], &a[..fan_in]);
    bias.fill(0.1);
    let (y, dy, dx) = (&mut c[..fan_out], &a[100..100 + fan_out], &mut [0.0; 37][..]);
    linear_forward(&cx, weight, bias, x, Activation::Relu, y);
    linear_backward(&cx, weight, dy, None, dx);
    hash = Some(fnv(hash, dx));
    linear_backward(&cx, weight, dy, Some(&*y), dx);
    hash = Some(fnv(hash, dx));
    linear_update(&cx, dy, Some(&*y), x, weight, bias);
    linear_update(&cx, dy, None, dx, weight, bias);
    for values in [&*y, weight, bias] {
        hash = Some(fnv(hash, values));
    }
    report.number("hash", fnv(hash, &[]));
    0
}

bantam_firmware::program!(run);
