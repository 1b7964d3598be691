//! Matrix products and convolutions.

use crate::measure::{Numbers, Row, Work};
use bantam_core::Context;
use bantam_kernels::{
    Activation, Bias, ConvShape, Gemm, conv2d_backward_input, conv2d_backward_input_scratch,
    conv2d_backward_weight, conv2d_backward_weight_scratch, conv2d_forward, conv2d_forward_scratch, gemm,
    gemm_scratch,
};
use core::hint::black_box;

/// One product; `a_t` and `b_t` say whether the operand is given as its transpose.
pub fn product(cx: Context<'static>, m: usize, n: usize, k: usize, a_t: bool, b_t: bool) -> Row {
    let shape = Gemm {
        m,
        n,
        k,
        a_strides: if a_t { [1, m] } else { [k, 1] },
        b_strides: if b_t { [1, k] } else { [n, 1] },
    };
    let (a, b, mut c) = (Numbers::new(m * k), Numbers::new(k * n), Numbers::new(m * n));
    let mut scratch = vec![0.0; gemm_scratch(&shape)];
    let name = |transposed: bool, rows: usize, columns: usize| match transposed {
        true => format!("({columns}×{rows})ᵀ"),
        false => format!("{rows}×{columns}"),
    };
    let name = format!("{} · {}", name(a_t, m, k), name(b_t, k, n));
    Row::new(name, Work::Flops(2.0 * (m * n * k) as f64), move || {
        gemm(&cx, &shape, &a, &b, None, Activation::Identity, &mut c, false, &mut scratch);
        black_box(&mut c);
    })
}

/// Square products, some that are not, and the three of a linear layer: forward (the weights are stored as outputs × inputs), the gradient
/// by the input, the gradient by the weights.
pub fn products(cx: Context<'static>) -> Vec<Row> {
    let mut rows = vec![];
    for n in [32, 64, 128, 256, 512, 1024] {
        rows.push(product(cx, n, n, n, false, false));
    }
    // Wide, tall and narrow, and without a depth.
    for (m, n, k) in
        [(128, 784, 512), (64, 288, 1024), (4096, 27, 32), (4, 784, 512), (512, 1, 784), (512, 784, 1)]
    {
        rows.push(product(cx, m, n, k, false, false));
    }
    for (batch, inputs, outputs) in
        [(128, 784, 512), (128, 512, 10), (32, 64, 64), (32, 16, 16), (32, 2, 16), (1, 784, 512)]
    {
        rows.push(product(cx, batch, outputs, inputs, false, true));
        rows.push(product(cx, batch, inputs, outputs, false, false));
        rows.push(product(cx, outputs, inputs, batch, true, false));
    }
    rows
}

/// Linear layers with bias and activation in the product's epilogue.
pub fn linear(cx: Context<'static>) -> Vec<Row> {
    [Activation::Identity, Activation::Relu]
        .map(|activation| {
            let (m, n, k) = (128, 256, 256);
            let shape = Gemm { m, n, k, a_strides: [k, 1], b_strides: [1, k] };
            let (a, b, bias, mut c) =
                (Numbers::new(m * k), Numbers::new(k * n), Numbers::new(n), Numbers::new(m * n));
            let mut scratch = vec![0.0; gemm_scratch(&shape)];
            let name = format!("linear 256 → 256, batch 128, {activation:?}");
            Row::new(name, Work::Flops(2.0 * (m * n * k) as f64), move || {
                let bias = Some(Bias::PerColumn(&bias[..]));
                gemm(&cx, &shape, &a, &b, bias, activation, &mut c, false, &mut scratch);
                black_box(&mut c);
            })
        })
        .into()
}

/// The convolutions of small networks for 28 × 28 and 32 × 32 images, forward and both gradients. Their work is that of the
/// definition: Winograd's do less and may seem to exceed the peak.
pub fn convolutions(cx: Context<'static>) -> Vec<Row> {
    let shape = |channels_in, size, channels_out, kernel: usize, groups| ConvShape {
        batch: 32,
        channels_in,
        height: size,
        width: size,
        channels_out,
        kernel: [kernel; 2],
        stride: [1; 2],
        padding: [kernel / 2; 2],
        dilation: [1; 2],
        groups,
    };
    let shapes = [
        shape(1, 28, 32, 3, 1),
        shape(32, 14, 64, 3, 1),
        shape(16, 32, 16, 3, 1),
        shape(32, 16, 32, 3, 1),
        shape(64, 8, 64, 3, 1),
        shape(64, 7, 64, 1, 1),
        shape(64, 14, 64, 1, 1),
        shape(32, 14, 32, 3, 32),
    ];
    let mut rows = vec![];
    for s in shapes {
        let work =
            Work::Flops(2.0 * (s.output_len() * s.channels_in / s.groups * s.kernel[0] * s.kernel[1]) as f64);
        let (x, weight, dy) =
            (Numbers::new(s.input_len()), Numbers::new(s.weight_len()), Numbers::new(s.output_len()));
        let name = format!(
            "conv {}×{}, {}×{}×{} → {}{}",
            s.kernel[0],
            s.kernel[1],
            s.channels_in,
            s.height,
            s.width,
            s.channels_out,
            if s.groups > 1 { " depthwise" } else { "" }
        );
        println!(
            "{name}: {}, by input {}, by weights {}",
            s.forward_method(cx.numerics),
            s.backward_input_method(cx.numerics),
            s.backward_weight_method(cx.numerics)
        );
        {
            let (x, weight, mut y) = (x.clone(), weight.clone(), dy.clone());
            let mut scratch = vec![0.0; conv2d_forward_scratch(&s, cx.numerics)];
            rows.push(Row::new(name.clone(), work, move || {
                conv2d_forward(&cx, &s, &x, &weight, None, Activation::Relu, &mut y, &mut scratch);
                black_box(&mut y);
            }));
        }
        {
            let (dy, weight, mut dx) = (dy.clone(), weight.clone(), x.clone());
            let mut scratch = vec![0.0; conv2d_backward_input_scratch(&s, cx.numerics)];
            rows.push(Row::new(format!("{name}, by input"), work, move || {
                conv2d_backward_input(&cx, &s, &dy, &weight, &mut dx, false, &mut scratch);
                black_box(&mut dx);
            }));
        }
        let mut dw = weight;
        let mut scratch = vec![0.0; conv2d_backward_weight_scratch(&s, cx.numerics)];
        rows.push(Row::new(format!("{name}, by weights"), work, move || {
            conv2d_backward_weight(&cx, &s, &x, &dy, &mut dw, false, &mut scratch);
            black_box(&mut dw);
        }));
    }
    rows
}
