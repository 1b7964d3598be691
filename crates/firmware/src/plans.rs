//! Plans in flash, and the networks that they train.

#[rustfmt::skip]
pub mod digits_cnn;
#[rustfmt::skip]
pub mod digits_mlp;
#[rustfmt::skip]
pub mod patterns_mlp;
#[rustfmt::skip]
pub mod patterns_sgd;
#[rustfmt::skip]
pub mod vibration;

use crate::report::Report;
use crate::training::{HE_16_32, Network, Outcome, Recipe, Stopped, context, train};
use bantam::autodiff::{Aligned, BindError, StaticPlan, StaticSession, StaticStepError};
use bantam::core::{Context, Optimizer};
use bantam::data::Dataset;
use bantam::nn::{Initializer, initialize_static};
use bantam::store::flash::{Checkpoints, nor_flash::NorFlash};

/// What a network in flash consists of: the plans for training and evaluation, and the first weights.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// Trains with Adam.
    pub train: &'static StaticPlan,
    /// Computes class scores, in the same memory.
    pub evaluate: &'static StaticPlan,
    /// The first weights.
    pub first: First,
}

/// Where the first weights come from.
#[derive(Clone, Copy, Debug)]
pub enum First {
    /// They lie in flash.
    InFlash(&'static Aligned<[u8]>),
    /// They are drawn where the program runs, by these initializers.
    Drawn(&'static [Initializer]),
}

/// Weights and biases of both layers of the 16-32-4 network.
const FIRST_16_32_4: First =
    First::Drawn(&[HE_16_32[0], Initializer::ZEROS, HE_16_32[1], Initializer::ZEROS]);

/// 16-32-4, for [`Patterns`](crate::tasks::Patterns).
pub const PATTERNS_MLP: Parts =
    Parts { train: &patterns_mlp::TRAIN, evaluate: &patterns_mlp::EVALUATE, first: FIRST_16_32_4 };
/// 64-32-10, for the handwritten digits.
pub const DIGITS_MLP: Parts = Parts {
    train: &digits_mlp::TRAIN,
    evaluate: &digits_mlp::EVALUATE,
    first: First::InFlash(&Aligned(*include_bytes!("plans/digits_mlp.weights"))),
};
/// Two convolutions with pooling and a linear layer, for the handwritten digits.
pub const DIGITS_CNN: Parts = Parts {
    train: &digits_cnn::TRAIN,
    evaluate: &digits_cnn::EVALUATE,
    first: First::InFlash(&Aligned(*include_bytes!("plans/digits_cnn.weights"))),
};

/// 16-32-4 for gradient descent, one sample at a time; no gradient is ever whole.
pub const PATTERNS_SGD: Parts =
    Parts { train: &patterns_sgd::TRAIN, evaluate: &patterns_sgd::EVALUATE, first: FIRST_16_32_4 };
/// Convolutions over time, for windows that come one by one.
pub const VIBRATION: Parts = Parts {
    train: &vibration::TRAIN,
    evaluate: &vibration::EVALUATE,
    first: First::InFlash(&Aligned(*include_bytes!("plans/vibration.weights"))),
};

impl Parts {
    /// The bytes of arena that both plans fit into.
    pub const fn arena_bytes(&self) -> usize {
        let (train, evaluate) = (self.train.arena_bytes(), self.evaluate.arena_bytes());
        if train > evaluate { train } else { evaluate }
    }

    /// Binds the plan for training to memory. `seed` names the first weights, if they are drawn.
    ///
    /// # Errors
    /// The memory is too small or misaligned, or the weights belong to another plan.
    pub fn bind<'m>(&self, memory: &'m mut [u8], seed: u64) -> Result<StaticSession<'m>, BindError> {
        match self.first {
            First::InFlash(weights) => StaticSession::bind(self.train, memory, &weights.0),
            First::Drawn(initializers) => {
                let mut session = StaticSession::without_weights(self.train, memory)?;
                initialize_static(&mut session, initializers, seed);
                Ok(session)
            }
        }
    }

    /// Trains, evaluates and reports; the exit code of a program.
    pub fn learn(
        &self,
        program: &str,
        memory: &mut [u8],
        recipe: &Recipe,
        [training, test]: &[impl Dataset; 2],
    ) -> u8 {
        self.measure(memory, |memory| {
            let outcome = InFlash::new(*self, memory, context(), recipe.seed)
                .and_then(|mut network| train(&mut network, recipe, training, test));
            Outcome::finish(outcome, program)
        })
    }

    /// Runs a program in this memory, which should be [`GUARD`] larger than the arena, and holds the bytes that it touched
    /// against those that the plan promised. The exit code is the program's, or 3 if they differ.
    pub fn measure(&self, memory: &mut [u8], program: impl FnOnce(&mut [u8]) -> u8) -> u8 {
        memory.fill(PAINT);
        let code = program(memory);
        let touched = memory.iter().rposition(|byte| *byte != PAINT).map_or(0, |last| last + 1);
        Report.number("arena", self.arena_bytes() as u64);
        Report.number("touched", touched as u64);
        if code == 0 && touched != self.arena_bytes() { 3 } else { code }
    }
}

/// Bytes behind an arena that must stay as they are.
pub const GUARD: usize = 64;

/// What memory is filled with to see what is touched. The last byte of a value is the highest of a number: none that occurs
/// here has this one, which would be below 10⁻¹⁵ in magnitude and negative.
const PAINT: u8 = 0xa5;

/// The bytes of a checkpoint before the state: the plan's id, steps and updates.
const HEAD: usize = 24;

/// Plans in flash, bound to memory.
#[derive(Debug)]
pub struct InFlash<'m> {
    session: StaticSession<'m>,
    parts: Parts,
}

impl<'m> InFlash<'m> {
    /// Binds the plan for training, with the first weights. `seed` names dropout masks, and first weights that are drawn.
    ///
    /// # Errors
    /// The memory is too small or misaligned, or the weights belong to another plan.
    pub fn new(
        parts: Parts,
        memory: &'m mut [u8],
        context: Context<'m>,
        seed: u64,
    ) -> Result<InFlash<'m>, Stopped> {
        let session = parts.bind(memory, seed).map_err(|_| Stopped::Plan)?;
        Ok(InFlash { session: session.context(context).seed(seed), parts })
    }

    /// Saves everything that training goes on from.
    ///
    /// # Errors
    /// The flash fails or is too small.
    pub fn save<F: NorFlash>(&self, checkpoints: &mut Checkpoints<F>) -> Result<(), Stopped> {
        let head = [self.parts.train.id(), self.session.steps(), self.session.updates()];
        let state = self.session.state();
        let mut write = || {
            let mut writer = checkpoints.writer((HEAD + state.len()) as u32)?;
            head.iter().try_for_each(|word| writer.write(&word.to_le_bytes()))?;
            writer.write(state)?;
            writer.finish()
        };
        write().map(|_| ()).map_err(|_: bantam::store::flash::Error<F::Error>| Stopped::Flash)
    }

    /// Goes on from the last complete checkpoint, if there is one. Returns the number of steps made.
    ///
    /// # Errors
    /// The flash fails, or the checkpoint is that of another plan or seed.
    pub fn restore<F: NorFlash>(&mut self, checkpoints: &mut Checkpoints<F>) -> Result<u64, Stopped> {
        if checkpoints.newest().is_none() {
            return Ok(0);
        }
        let mut reader = checkpoints.reader().map_err(|_| Stopped::Flash)?;
        let mut head = [0; 3];
        for word in &mut head {
            let mut bytes = [0; 8];
            reader.read(&mut bytes).map_err(|_| Stopped::Flash)?;
            *word = u64::from_le_bytes(bytes);
        }
        let state = self.session.state_mut();
        if head[0] != self.parts.train.id() || reader.left() as usize != state.len() {
            return Err(Stopped::Flash);
        }
        reader.read(state).map_err(|_| Stopped::Flash)?;
        self.session.resume_at(head[1], head[2]);
        Ok(head[1])
    }
}

impl Network for InFlash<'_> {
    fn features(&mut self) -> &mut [f32] {
        self.session.input(0)
    }

    fn labels(&mut self) -> &mut [u32] {
        self.session.indices(1)
    }

    fn step(&mut self, optimizer: &impl Optimizer<f32>) -> Result<f32, Stopped> {
        self.session.step(optimizer).map_err(|error| match error {
            StaticStepError::NonFinite { .. } => Stopped::NonFinite,
            _ => Stopped::Plan,
        })
    }

    fn evaluate(&mut self, on: bool) -> Result<(), Stopped> {
        let plan = if on { self.parts.evaluate } else { self.parts.train };
        self.session.swap(plan).map_err(|_| Stopped::Plan)
    }

    fn logits(&mut self) -> &[f32] {
        self.session.run();
        self.session.output(0)
    }

    fn parameters(&self, each: &mut dyn FnMut(&[f32])) {
        self.session.parameters().for_each(each);
    }
}
