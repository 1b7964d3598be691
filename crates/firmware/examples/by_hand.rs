//! Way (c), slices and kernels by hand: a 16-32-4 network with ReLU, softmax cross-entropy and gradient descent, one sample
//! at a time. No graph, no plan, no allocator: the backward pass is written out.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam::core::Context;
use bantam::core::random::{Key, Purpose, unit_f32};
use bantam::data::{Dataset, Error, Sampler, Shuffled};
use bantam::kernels::{
    Activation, cross_entropy_with_gradient, linear_backward, linear_forward, linear_update,
};
use bantam_firmware::training::{Outcome, SEED, Stopped, context, fnv};
use bantam_firmware::{board, tasks};

const INPUTS: usize = tasks::FEATURES;
const HIDDEN: usize = 32;
const CLASSES: usize = tasks::CLASSES;
const EPOCHS: u64 = 4;
const RATE: f32 = 0.02;

/// Weights are `[fan_out, fan_in]`.
struct Net {
    hidden_weight: [f32; HIDDEN * INPUTS],
    hidden_bias: [f32; HIDDEN],
    logits_weight: [f32; CLASSES * HIDDEN],
    logits_bias: [f32; CLASSES],
    // The values of the last sample, and their gradients.
    hidden: [f32; HIDDEN],
    logits: [f32; CLASSES],
    dhidden: [f32; HIDDEN],
    dlogits: [f32; CLASSES],
}

impl Net {
    /// He's uniform initial weights, and zeros for the biases.
    fn new() -> Net {
        let mut net = Net {
            hidden_weight: [0.0; HIDDEN * INPUTS],
            hidden_bias: [0.0; HIDDEN],
            logits_weight: [0.0; CLASSES * HIDDEN],
            logits_bias: [0.0; CLASSES],
            hidden: [0.0; HIDDEN],
            logits: [0.0; CLASSES],
            dhidden: [0.0; HIDDEN],
            dlogits: [0.0; CLASSES],
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

    fn forward(&mut self, cx: &Context<'_>, x: &[f32]) {
        let Net { hidden_weight, hidden_bias, logits_weight, logits_bias, hidden, logits, .. } = self;
        linear_forward(cx, hidden_weight, hidden_bias, x, Activation::Relu, hidden);
        linear_forward(cx, logits_weight, logits_bias, hidden, Activation::Identity, logits);
    }

    /// Forward, backward, update. Returns the loss.
    fn step(&mut self, cx: &Context<'_>, x: &[f32], label: u32) -> f32 {
        self.forward(cx, x);
        let Net { hidden, logits, dhidden, dlogits, .. } = self;
        // The gradients carry the step −rate with them: what comes out of here is added to the parameters.
        let loss = cross_entropy_with_gradient(cx, 1, CLASSES, logits, &[label], -RATE, dlogits);
        linear_backward(cx, &self.logits_weight, dlogits, None, dhidden);
        linear_update(cx, dlogits, None, hidden, &mut self.logits_weight, &mut self.logits_bias);
        linear_update(cx, dhidden, Some(&*hidden), x, &mut self.hidden_weight, &mut self.hidden_bias);
        loss
    }
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
        test.write_features(sample, &mut x)?;
        net.forward(&cx, &x);
        let label = test.label(sample)? as usize;
        outcome.right += usize::from(net.logits.iter().all(|score| *score <= net.logits[label]));
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
