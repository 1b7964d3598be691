//! Whole training steps written by hand over the kernels: what is left of a budget for everything above them.

use crate::measure::{Row, Work};
use bantam_core::Context;
use bantam_kernels::{
    Activation, Arg, Bias, Gemm, Reduce, axpy, cross_entropy_backward, functions, gemm, gemm_scratch, reduce,
    zip,
};
use core::hint::black_box;

/// One linear layer with its gradients.
struct Layer {
    inputs: usize,
    outputs: usize,
    /// outputs × inputs.
    weight: Vec<f32>,
    bias: Vec<f32>,
    weight_gradient: Vec<f32>,
    bias_gradient: Vec<f32>,
    /// batch × outputs, and its gradient.
    y: Vec<f32>,
    dy: Vec<f32>,
}

/// A multi-layer perceptron with ReLU, softmax cross-entropy and SGD.
struct Perceptron {
    batch: usize,
    layers: Vec<Layer>,
    x: Vec<f32>,
    labels: Vec<u32>,
    scratch: Vec<f32>,
}

/// The three products of a layer.
fn products(batch: usize, inputs: usize, outputs: usize) -> [Gemm; 3] {
    [
        Gemm { m: batch, n: outputs, k: inputs, a_strides: [inputs, 1], b_strides: [1, inputs] },
        Gemm { m: outputs, n: inputs, k: batch, a_strides: [1, outputs], b_strides: [inputs, 1] },
        Gemm { m: batch, n: inputs, k: outputs, a_strides: [outputs, 1], b_strides: [inputs, 1] },
    ]
}

impl Perceptron {
    fn new(batch: usize, widths: &[usize]) -> Perceptron {
        let numbers = |len: usize, scale: f32| -> Vec<f32> {
            (0..len).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0 * scale).collect()
        };
        let layers: Vec<Layer> = widths
            .windows(2)
            .map(|pair| Layer {
                inputs: pair[0],
                outputs: pair[1],
                weight: numbers(pair[0] * pair[1], (pair[0] as f32).sqrt().recip()),
                bias: vec![0.0; pair[1]],
                weight_gradient: vec![0.0; pair[0] * pair[1]],
                bias_gradient: vec![0.0; pair[1]],
                y: vec![0.0; batch * pair[1]],
                dy: vec![0.0; batch * pair[1]],
            })
            .collect();
        let all = layers.iter().flat_map(|layer| products(batch, layer.inputs, layer.outputs));
        let scratch = vec![0.0; all.map(|product| gemm_scratch(&product)).max().unwrap_or(0)];
        let classes = widths.last().copied().unwrap_or(1) as u32;
        let labels = (0..batch as u32).map(|i| i % classes).collect();
        Perceptron { batch, x: numbers(batch * widths[0], 1.0), layers, labels, scratch }
    }

    fn step(&mut self, cx: &Context<'_>, rate: f32) {
        let Perceptron { batch, layers, x, labels, scratch } = self;
        let (batch, last) = (*batch, layers.len() - 1);
        for i in 0..=last {
            let (before, rest) = layers.split_at_mut(i);
            let input = before.last().map_or(&*x, |layer| &layer.y);
            let layer = &mut rest[0];
            let [product, ..] = products(batch, layer.inputs, layer.outputs);
            let activation = if i == last { Activation::Identity } else { Activation::Relu };
            let bias = Some(Bias::PerColumn(&layer.bias[..]));
            gemm(cx, &product, input, &layer.weight, bias, activation, &mut layer.y, false, scratch);
        }
        let logits = &mut layers[last];
        cross_entropy_backward(cx, batch, logits.outputs, &logits.y, labels, 1.0, &mut logits.dy);
        for i in (0..=last).rev() {
            let (before, rest) = layers.split_at_mut(i);
            let layer = &mut rest[0];
            let [_, by_weight, by_input] = products(batch, layer.inputs, layer.outputs);
            let input = before.last().map_or(&*x, |layer| &layer.y);
            let none = Activation::Identity;
            gemm(cx, &by_weight, &layer.dy, input, None, none, &mut layer.weight_gradient, false, scratch);
            reduce(cx, Reduce::Sum, 1, batch, layer.outputs, &layer.dy, &mut layer.bias_gradient, false);
            if let Some(before) = before.last_mut() {
                gemm(cx, &by_input, &layer.dy, &layer.weight, None, none, &mut before.dy, false, scratch);
                let shape = [before.dy.len()];
                zip(cx, functions::ReluGrad, &shape, Arg::Out, Arg::In(&before.y, &[1]), &mut before.dy);
            }
            axpy(cx, -rate, &layer.weight_gradient, &mut layer.weight);
            axpy(cx, -rate, &layer.bias_gradient, &mut layer.bias);
        }
    }
}

/// The nets of the README's table, against the time that a step may take.
pub fn steps(cx: Context<'static>) -> Vec<Row> {
    let step = |name: &str, batch: usize, widths: &[usize], budget: f64| {
        let mut net = Perceptron::new(batch, widths);
        Row::new(name, Work::Budget(budget), move || {
            net.step(&cx, 1e-6);
            black_box(&mut net.layers);
        })
    };
    vec![
        step("MLP 2-16-16-1, batch 32, SGD", 32, &[2, 16, 16, 1], 10e-6),
        step("MLP 64-64-32-10, batch 32, SGD", 32, &[64, 64, 32, 10], 40e-6),
        step("MLP 784-512-10, batch 128, SGD", 128, &[784, 512, 10], 2.8e-3),
    ]
}
