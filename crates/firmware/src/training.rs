//! The loop: shuffled batches, a schedule, Adam; then the share of right answers on data that was held out.

use crate::board;
use crate::report::Report;
use bantam::core::{Context, Level, Numerics, Optimizer, UpdateContext};
use bantam::data::{Batches, Dataset, Sampler, Shuffled};
use bantam::nn::Initializer;
use bantam::optim::{Adam, Sgd};
use bantam::schedule::{Cosine, WarmUp};

/// How every program computes: portable numerics, at the highest level of this machine.
pub fn context() -> Context<'static> {
    Context { level: Level::detect(), numerics: Numerics::Portable, ..Context::default() }
}

/// What the loop needs of a network in training, wherever its plan lies and whoever computes it.
pub trait Network {
    /// The features of a batch, sample after sample, to be written before a step.
    fn features(&mut self) -> &mut [f32];
    /// The labels of a batch, to be written before a training step.
    fn labels(&mut self) -> &mut [u32];
    /// Forward, backward, update. Returns the loss.
    ///
    /// # Errors
    /// The step was not made.
    fn step(&mut self, optimizer: &impl Optimizer<f32>) -> Result<f32, Stopped>;
    /// From here on batches are evaluated, or trained on again.
    ///
    /// # Errors
    /// The two plans do not fit each other.
    fn evaluate(&mut self, on: bool) -> Result<(), Stopped>;
    /// The class scores of the batch in [`features`](Self::features), row by row.
    fn logits(&mut self) -> &[f32];
    /// Shows every parameter in turn.
    fn parameters(&self, each: &mut dyn FnMut(&[f32]));
}

/// The learning rate of the programs.
pub type Rate = WarmUp<Cosine>;

/// An optimizer that is made wherever it is applied. There the compiler sees its settings and leaves out what they rule out: of
/// Adam with its defaults, the largest scale so far, state in fewer bits and the decay of weights, 6 kB of flash.
#[derive(Clone, Copy, Debug)]
pub struct Made<F>(pub F);

impl<O: Optimizer<f32>, F: Fn() -> O> Optimizer<f32> for Made<F> {
    #[inline]
    fn state_len(&self, parameter_len: usize) -> usize {
        (self.0)().state_len(parameter_len)
    }

    #[inline]
    fn updates_parts(&self) -> bool {
        (self.0)().updates_parts()
    }

    #[inline]
    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [f32], gradient: &mut [f32], state: &mut [f32]) {
        (self.0)().update(cx, parameter, gradient, state);
    }
}

/// Why training ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The loss is infinite or not a number.
    NonFinite,
    /// The plan does not fit the memory, the weights, the optimizer or the other plan.
    Plan,
    /// A sample cannot be had, or does not fit the network.
    Data,
    /// The flash failed, or holds a checkpoint of another plan.
    Flash,
}

impl core::fmt::Display for Stopped {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Stopped::NonFinite => "the loss is not a finite number",
            Stopped::Plan => "the plan does not fit its memory, weights or optimizer",
            Stopped::Flash => "the flash failed or holds a checkpoint of another plan",
            Stopped::Data => "a sample cannot be had or does not fit the network",
        })
    }
}

impl core::error::Error for Stopped {}

impl From<bantam::data::Error> for Stopped {
    fn from(_: bantam::data::Error) -> Self {
        Stopped::Data
    }
}

/// How long and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Names the order of samples, the dropout masks and the first weights.
    pub seed: u64,
    /// Samples in a batch.
    pub batch: usize,
    /// How often every sample is seen.
    pub epochs: u64,
    /// The highest learning rate.
    pub rate: f32,
}

/// Names the order of samples, the dropout masks and the first weights of every program.
pub const SEED: u64 = 7;
/// He's uniform weights for 16 inputs and for 32, with the bounds √(6 / fan_in) worked out: a root of `f64` would take 0.9 kB of a
/// board's flash.
pub const HE_16_32: [Initializer; 2] =
    [Initializer::symmetric(0.612_372_435_695_794_5), Initializer::symmetric(0.433_012_701_892_219_3)];
/// How the 16-32-4 network learns the patterns.
pub const PATTERNS_MLP: Recipe = Recipe { seed: SEED, batch: 4, epochs: 8, rate: 0.02 };
/// How the 64-32-10 network learns the digits.
pub const DIGITS_MLP: Recipe = Recipe { seed: SEED, batch: 8, epochs: 2, rate: 0.01 };
/// How the convolutional network learns the digits.
pub const DIGITS_CNN: Recipe = Recipe { seed: SEED, batch: 8, epochs: 2, rate: 0.01 };

impl Recipe {
    /// Adam with a warm-up and half a cosine wave, over `steps` steps.
    pub fn optimizer(&self, steps: u64) -> impl Optimizer<f32> {
        let fall = Cosine::new(f64::from(self.rate)).steps(steps);
        let rate: Rate = WarmUp::new(steps / 16, fall);
        Made(move || Adam::new(rate))
    }
}

/// What came out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The loss of the last step.
    pub loss: f32,
    /// Samples of the test data that were classified correctly.
    pub right: usize,
    /// Samples of the test data.
    pub tested: usize,
    /// A hash of every bit of every parameter.
    pub hash: u64,
    /// Training steps.
    pub steps: u64,
    /// The ticks that all training steps took together.
    pub ticks: u64,
}

impl Outcome {
    /// Reports how a program ended, and gives its exit code.
    pub fn finish(outcome: Result<Outcome, Stopped>, program: &str) -> u8 {
        match outcome {
            Ok(outcome) => {
                outcome.report(program);
                0
            }
            Err(why) => {
                Report.number("stopped", why as u64);
                1
            }
        }
    }

    /// Reports it, line by line.
    pub fn report(&self, program: &str) {
        let report = Report;
        report.text(program);
        report.number("steps", self.steps);
        report.number("ticks", self.ticks);
        report.number("calibration", u64::from(board::calibrate()));
        report.number("right", self.right as u64);
        report.number("tested", self.tested as u64);
        report.float("loss", self.loss);
        report.number("hash", self.hash);
        report.number("stack", board::peak_stack() as u64);
    }
}

/// Trains on `train`, then evaluates on `test`.
///
/// # Errors
/// Why it ended early; the parameters are those of the last good step.
pub fn train<N: Network + ?Sized>(
    network: &mut N,
    recipe: &Recipe,
    train: &impl Dataset,
    test: &impl Dataset,
) -> Result<Outcome, Stopped> {
    train_from(network, recipe, train, test, 0, |_, _| Ok(()))
}

/// As [`train`], from step `first` on, where an earlier run stopped. Calls `after` with the number of steps made, after
/// each of them.
///
/// # Errors
/// Why it ended early; the parameters are those of the last good step.
pub fn train_from<N: Network + ?Sized>(
    network: &mut N,
    recipe: &Recipe,
    train: &impl Dataset,
    test: &impl Dataset,
    first: u64,
    mut after: impl FnMut(&mut N, u64) -> Result<(), Stopped>,
) -> Result<Outcome, Stopped> {
    let batches = Batches::new(Shuffled::new(recipe.seed), train.len(), recipe.batch)?.drop_last()?;
    let optimizer = recipe.optimizer(recipe.epochs * batches.per_epoch() as u64);
    let mut outcome = Outcome::default();
    // The position is a function of the step, so nothing else has to be saved. It is counted: dividing 64 bits takes 400 bytes.
    let mut step = 0;
    for epoch in 0..recipe.epochs {
        for batch in 0..batches.per_epoch() {
            step += 1;
            if step <= first {
                continue;
            }
            batches.write_features(train, epoch, batch, network.features())?;
            batches.write_labels(train, epoch, batch, network.labels())?;
            let before = board::ticks();
            outcome.loss = network.step(&optimizer)?;
            outcome.ticks += u64::from(board::elapsed(before, board::ticks()));
            outcome.steps += 1;
            after(network, step)?;
        }
    }
    (outcome.right, outcome.tested) = evaluate(network, recipe.batch, test)?;
    outcome.hash = hash(network);
    Ok(outcome)
}

/// How often gradient descent sees every sample, and its rate.
const DESCENT: (u64, f32) = (4, 0.02);

/// Trains with gradient descent, one sample at a time, and evaluates likewise.
///
/// # Errors
/// Why it ended early; the parameters are those of the last good step.
pub fn descend(network: &mut impl Network, [training, test]: &[impl Dataset; 2]) -> Result<Outcome, Stopped> {
    let (epochs, rate) = DESCENT;
    let (sgd, mut outcome) = (Made(|| -> Sgd { Sgd::new(rate) }), Outcome::default());
    for epoch in 0..epochs {
        for i in 0..training.len() {
            let sample = Shuffled::new(SEED).index(epoch, i, training.len());
            training.write_features(sample, network.features())?;
            network.labels()[0] = training.label(sample)?;
            let before = board::ticks();
            outcome.loss = network.step(&sgd)?;
            outcome.ticks += u64::from(board::elapsed(before, board::ticks()));
            outcome.steps += 1;
        }
    }
    network.evaluate(true)?;
    for sample in 0..test.len() {
        test.write_features(sample, network.features())?;
        let (logits, label) = (network.logits(), test.label(sample)? as usize);
        outcome.right += usize::from(is_largest(logits, label));
        outcome.tested += 1;
    }
    outcome.hash = hash(network);
    Ok(outcome)
}

/// How many samples of `test` are classified correctly, and how many there are. The last, incomplete batch is left
/// out.
///
/// # Errors
/// A sample cannot be had, or the plans do not fit.
pub fn evaluate(
    network: &mut (impl Network + ?Sized),
    batch: usize,
    test: &impl Dataset,
) -> Result<(usize, usize), Stopped> {
    network.evaluate(true)?;
    let (mut right, mut tested) = (0, 0);
    let width = test.features().len();
    while tested + batch <= test.len() {
        for (row, features) in network.features().chunks_exact_mut(width).enumerate().take(batch) {
            test.write_features(tested + row, features)?;
        }
        let logits = network.logits();
        let classes = logits.len() / batch;
        for (row, scores) in logits.chunks_exact(classes.max(1)).enumerate() {
            let label = test.label(tested + row)? as usize;
            right += usize::from(is_largest(scores, label));
        }
        tested += batch;
    }
    network.evaluate(false)?;
    Ok((right, tested))
}

/// Whether no number is larger than that at this place.
fn is_largest(scores: &[f32], place: usize) -> bool {
    scores.iter().all(|score| *score <= scores[place])
}

/// A hash of every bit of every parameter.
pub fn hash(network: &(impl Network + ?Sized)) -> u64 {
    let mut hash = None;
    network.parameters(&mut |values| hash = Some(fnv(hash, values)));
    fnv(hash, &[])
}

/// FNV-1a (Fowler, Noll, Vo, 1991) over the little-endian bytes of these numbers, going on from an earlier hash.
pub fn fnv(hash: Option<u64>, values: &[f32]) -> u64 {
    let bytes = values.iter().flat_map(|value| value.to_bits().to_le_bytes());
    bytes.fold(hash.unwrap_or(0xcbf2_9ce4_8422_2325), |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
