//! Way (c), slices and kernels by hand: a 16-32-4 network with ReLU, softmax cross-entropy and gradient descent, one sample
//! at a time. No graph, no plan, no allocator: the backward pass is written out.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam::core::Context;
use bantam::core::random::{Key, Purpose, unit_f32};
use bantam::data::{Dataset, Error, Sampler, Shuffled};
use bantam::kernels::{Activation, Bias, Gemm, axpy, cross_entropy_with_gradient, gemm};
use bantam_firmware::training::{Outcome, SEED, Stopped, context, fnv};
use bantam_firmware::{board, tasks};

const INPUTS: usize = tasks::FEATURES;
const HIDDEN: usize = 32;
const CLASSES: usize = tasks::CLASSES;
const EPOCHS: u64 = 4;
const RATE: f32 = 0.02;

/// x · weightᵀ for one sample; weights are `[fan_out, fan_in]`.
const fn dense(fan_in: usize, fan_out: usize) -> Gemm {
    Gemm { m: 1, n: fan_out, k: fan_in, a_strides: [fan_in, 1], b_strides: [1, fan_in] }
}
/// dlogits · weight: the gradient of the hidden values.
const BACK: Gemm = Gemm { m: 1, n: HIDDEN, k: CLASSES, a_strides: [CLASSES, 1], b_strides: [HIDDEN, 1] };

struct Net {
    hidden_weight: [f32; HIDDEN * INPUTS],
    hidden_bias: [f32; HIDDEN],
    logits_weight: [f32; CLASSES * HIDDEN],
    logits_bias: [f32; CLASSES],
}

impl Net {
    /// He's uniform initial weights, and zeros for the biases.
    fn new() -> Net {
        let mut net = Net {
            hidden_weight: [0.0; HIDDEN * INPUTS],
            hidden_bias: [0.0; HIDDEN],
            logits_weight: [0.0; CLASSES * HIDDEN],
            logits_bias: [0.0; CLASSES],
        };
        let mut stream = Key::new(SEED, Purpose::Initialize).stream();
        // In [-a, a) the variance is a²/3: a = √(6 / fan_in) makes it 2 / fan_in.
        let mut fill = |weights: &mut [f32], a: f32| {
            weights.iter_mut().for_each(|weight| *weight = a * (2.0 * unit_f32(&mut stream) - 1.0));
        };
        fill(&mut net.hidden_weight, 0.612_372_4);
        fill(&mut net.logits_weight, 0.433_012_7);
        net
    }

    fn forward(&self, cx: &Context<'_>, x: &[f32], hidden: &mut [f32], logits: &mut [f32]) {
        let (spec, bias) = (dense(INPUTS, HIDDEN), Some(Bias::PerColumn(&self.hidden_bias[..])));
        gemm(cx, &spec, x, &self.hidden_weight, bias, Activation::Relu, hidden, false, &mut []);
        let (spec, bias) = (dense(HIDDEN, CLASSES), Some(Bias::PerColumn(&self.logits_bias[..])));
        gemm(cx, &spec, hidden, &self.logits_weight, bias, Activation::Identity, logits, false, &mut []);
    }

    /// Forward, backward, update. Returns the loss.
    fn step(&mut self, cx: &Context<'_>, x: &[f32], label: u32) -> f32 {
        let (mut hidden, mut logits) = ([0.0; HIDDEN], [0.0; CLASSES]);
        self.forward(cx, x, &mut hidden, &mut logits);

        // The gradients carry the step −rate with them: what comes out of here is added to the parameters.
        let (mut dlogits, mut dhidden) = ([0.0; CLASSES], [0.0; HIDDEN]);
        let loss = cross_entropy_with_gradient(cx, 1, CLASSES, &logits, &[label], -RATE, &mut dlogits);
        let weight = &self.logits_weight;
        gemm(cx, &BACK, &dlogits, weight, None, Activation::Identity, &mut dhidden, false, &mut []);
        for (dy, y) in dhidden.iter_mut().zip(&hidden) {
            if *y <= 0.0 {
                *dy = 0.0;
            }
        }
        descend(cx, &dlogits, &hidden, &mut self.logits_weight, &mut self.logits_bias);
        descend(cx, &dhidden, x, &mut self.hidden_weight, &mut self.hidden_bias);
        loss
    }
}

/// weight += step ⊗ x, and bias += step: the gradient of a weight takes no memory.
fn descend(cx: &Context<'_>, step: &[f32], x: &[f32], weight: &mut [f32], bias: &mut [f32]) {
    let outer = Gemm { m: step.len(), n: x.len(), k: 1, a_strides: [1, 1], b_strides: [x.len(), 1] };
    gemm(cx, &outer, step, x, None, Activation::Identity, weight, true, &mut []);
    axpy(cx, 1.0, step, bias);
}

fn learn() -> Result<Outcome, Error> {
    let (cx, mut net, [training, test]) = (context(), Net::new(), tasks::patterns());
    let mut outcome = Outcome::default();
    let mut x = [0.0; INPUTS];
    for epoch in 0..EPOCHS {
        for i in 0..training.len() {
            let sample = Shuffled::new(SEED).index(epoch, i, training.len());
            training.write_features(sample, &mut x)?;
            let before = board::ticks();
            outcome.loss = net.step(&cx, &x, training.label(sample)?);
            outcome.ticks += u64::from(board::elapsed(before, board::ticks()));
            outcome.steps += 1;
        }
    }
    for sample in 0..test.len() {
        let (mut hidden, mut logits) = ([0.0; HIDDEN], [0.0; CLASSES]);
        test.write_features(sample, &mut x)?;
        net.forward(&cx, &x, &mut hidden, &mut logits);
        let label = test.label(sample)? as usize;
        outcome.right += usize::from(logits.iter().all(|score| *score <= logits[label]));
        outcome.tested += 1;
    }
    let parameters: [&[f32]; 4] =
        [&net.hidden_weight, &net.hidden_bias, &net.logits_weight, &net.logits_bias];
    outcome.hash = parameters.into_iter().fold(fnv(None, &[]), |hash, values| fnv(Some(hash), values));
    Ok(outcome)
}

fn run() -> u8 {
    Outcome::finish(learn().map_err(Stopped::from), "by-hand")
}

bantam_firmware::program!(run);
