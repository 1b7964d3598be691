//! What a multiply-add costs: products and a convolution of 64 × 64 and more, counted in ticks. For machines that count
//! instructions.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam::core::random::{Key, Purpose, unit_f32};
use bantam::kernels::{Activation, ConvShape, Gemm, conv2d_forward, conv2d_forward_scratch, gemm};
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
    if conv2d_forward_scratch(&shape) > scratch.len() {
        return 1;
    }
    let (x, weight) = (&a[..8 * 16 * 16], &b[..16 * 8 * 9]);
    count("convolution", || conv2d_forward(&cx, &shape, x, weight, None, Activation::Identity, c, scratch));
    report.number("hash", fnv(hash, c));
    0
}

bantam_firmware::program!(run);
