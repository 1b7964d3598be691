//! The networks, as everybody writes them: layers, a forward function, and a plan for training and one for evaluation.

use crate::tasks::{CLASSES, FEATURES};
use crate::training::{DIGITS_CNN, DIGITS_MLP, HE_16_32, PATTERNS_MLP};
use crate::training::{Network, Stopped};
use crate::vibration::WINDOW;
use bantam::autodiff::{Error, Mode, Plan, Session, UpdateOrder, Var, ops::Conv2dOptions};
use bantam::core::{Context, Numerics, Optimizer, Shape};
use bantam::nn::{Conv2d, Initializer, Layer, Linear, Parameter, Params, Scope, loss::cross_entropy};
use bantam::optim::{Adam, Sgd};

/// The alignment of values in the programs' arenas: the smallest there is.
pub const ALIGNMENT: usize = 8;

/// The plans of a network, and its parameters.
#[derive(Debug)]
pub struct Plans {
    /// Trains.
    pub train: Plan,
    /// Computes class scores, in the same memory.
    pub evaluate: Plan,
    /// Names, shapes and initializers.
    pub params: Params,
}

/// How a network trains.
struct Way<O> {
    batch: usize,
    optimizer: O,
    order: UpdateOrder,
    micro_batches: bool,
}

/// With Adam, in batches.
fn adam(batch: usize) -> Way<Adam> {
    Way { batch, optimizer: Adam::new(0.001), order: UpdateOrder::AsReady, micro_batches: false }
}

/// Traces a network for batches of samples of this shape and plans training and evaluation.
fn plans<L: Layer>(
    way: Way<impl Optimizer<f32>>,
    sample: &[usize],
    new: impl FnOnce(&mut Params) -> L,
) -> Result<Plans, Error> {
    let Way { batch, optimizer, order, micro_batches } = way;
    let mut params = Params::new();
    let net = new(&mut params);
    let mut dims = [batch; 4];
    dims[1..=sample.len()].copy_from_slice(sample);
    let shape = Shape::new(&dims[..=sample.len()]).unwrap_or(Shape::SCALAR);

    let graph = params.graph(Mode::Train);
    let x = graph.input("features", shape);
    let labels = graph.indices("labels", Shape::of([batch]));
    let loss = cross_entropy(net.forward(x), labels);
    let planner =
        graph.planner().numerics(Numerics::Portable).alignment(ALIGNMENT).optimizer(&optimizer).update(order);
    let train = planner.micro_batches(micro_batches).loss(loss).build()?;

    let graph = params.graph(Mode::Infer);
    let x = graph.input("features", shape);
    let evaluate = graph
        .planner()
        .numerics(Numerics::Portable)
        .same_memory_as(&train)
        .output("logits", net.forward(x))
        .build()?;
    Ok(Plans { train, evaluate, params })
}

/// A hidden layer with ReLU and dropout, or without: part of the type, so that a board without holds none of it.
#[derive(Debug)]
pub struct Mlp<const DROPOUT: bool = true> {
    hidden: Linear,
    logits: Linear,
}

impl Mlp {
    /// Of these widths: inputs, hidden values, classes; with first weights by He's uniform rule.
    pub fn new(p: &mut Params, widths: [usize; 3]) -> Mlp {
        // Uniform: where the first weights are drawn on a board, normal ones would take their tables along.
        Mlp::with(p, widths, [Initializer::HE_UNIFORM; 2])
    }

    /// The same with other first weights of the two layers.
    pub fn with(p: &mut Params, widths: [usize; 3], weights: [Initializer; 2]) -> Mlp {
        let [inputs, hidden, classes] = widths;
        Mlp {
            hidden: Linear::with(p.at("hidden"), inputs, hidden, weights[0], true),
            logits: Linear::with(p.at("logits"), hidden, classes, weights[1], true),
        }
    }

    /// The same without dropout.
    #[must_use]
    pub fn without_dropout(self) -> Mlp<false> {
        let Mlp { hidden, logits } = self;
        Mlp { hidden, logits }
    }
}

impl<const DROPOUT: bool> Layer for Mlp<DROPOUT> {
    fn forward<'g>(&self, x: Var<'g>) -> Var<'g> {
        let x = self.hidden.forward(x.flatten()).relu();
        self.logits.forward(if DROPOUT { x.dropout(0.1) } else { x })
    }
}

/// Two convolutions over time and a linear layer over their means: hears what a machine sounds like.
#[derive(Debug)]
pub struct Listener {
    convolutions: [(Parameter, Parameter); 2],
    logits: Linear,
}

impl Listener {
    /// For windows of one channel, and two classes.
    pub fn new(p: &mut Params) -> Listener {
        let convolution = |mut p: Scope<'_>, channels_in: usize| {
            let weight = p.parameter("weight", [8, channels_in, 1, 9], Initializer::HE_NORMAL);
            (weight, p.parameter("bias", [8], Initializer::ZEROS))
        };
        Listener {
            convolutions: [convolution(p.at("conv1"), 1), convolution(p.at("conv2"), 8)],
            logits: Linear::new(p.at("logits"), 8, 2),
        }
    }
}

impl Layer for Listener {
    fn forward<'g>(&self, mut x: Var<'g>) -> Var<'g> {
        let graph = x.graph();
        for (weight, bias) in &self.convolutions {
            let options = Conv2dOptions { stride: [1, 2], padding: [0, 4], ..Conv2dOptions::default() };
            x = x.conv2d(weight.var(graph), Some(bias.var(graph)), options).relu();
        }
        self.logits.forward(x.mean([2, 3]))
    }
}

/// Two convolutions with pooling and a linear layer.
#[derive(Debug)]
pub struct Cnn {
    conv1: Conv2d,
    conv2: Conv2d,
    logits: Linear,
}

impl Cnn {
    /// For images of 8 × 8 pixels.
    pub fn new(p: &mut Params) -> Cnn {
        Cnn {
            conv1: Conv2d::new(p.at("conv1"), 1, 8, 3).same(),
            conv2: Conv2d::new(p.at("conv2"), 8, 16, 3).same(),
            logits: Linear::new(p.at("logits"), 16 * 2 * 2, 10),
        }
    }
}

impl Layer for Cnn {
    fn forward<'g>(&self, x: Var<'g>) -> Var<'g> {
        let x = self.conv1.forward(x).relu().max_pool2d(2);
        let x = self.conv2.forward(x).relu().max_pool2d(2);
        self.logits.forward(x.flatten().dropout(0.1))
    }
}

/// 16-32-4, for [`Patterns`](crate::tasks::Patterns).
///
/// # Errors
/// The network makes no plan.
pub fn patterns_mlp(batch: usize) -> Result<Plans, Error> {
    plans(adam(batch), &[FEATURES], |p| Mlp::with(p, [FEATURES, 32, CLASSES], HE_16_32))
}

/// 64-32-10, for the handwritten digits.
///
/// # Errors
/// The network makes no plan.
pub fn digits_mlp(batch: usize) -> Result<Plans, Error> {
    plans(adam(batch), &[1, 8, 8], |p| Mlp::new(p, [64, 32, 10]))
}

/// Two convolutions with pooling and a linear layer, for the handwritten digits.
///
/// # Errors
/// The network makes no plan.
pub fn digits_cnn(batch: usize) -> Result<Plans, Error> {
    plans(adam(batch), &[1, 8, 8], Cnn::new)
}

/// 16-32-4 without dropout, for gradient descent with one sample at a time.
///
/// # Errors
/// The network makes no plan.
pub fn patterns_sgd() -> Result<Plans, Error> {
    let way = Way { batch: 1, optimizer: Sgd::new(0.1), order: UpdateOrder::InParts, micro_batches: false };
    plans(way, &[FEATURES], |p| Mlp::with(p, [FEATURES, 32, CLASSES], HE_16_32).without_dropout())
}

/// [`Listener`], for [`vibration`](crate::vibration): one window at a time, whose gradients are added up.
///
/// # Errors
/// The network makes no plan.
pub fn vibration() -> Result<Plans, Error> {
    plans(Way { micro_batches: true, ..adam(1) }, &[1, 1, WINDOW], Listener::new)
}

/// Every network with the name of its plans in flash.
///
/// # Errors
/// A network makes no plan.
pub fn all() -> Result<[(&'static str, Plans); 5], Error> {
    Ok([
        ("patterns_mlp", patterns_mlp(PATTERNS_MLP.batch)?),
        ("digits_mlp", digits_mlp(DIGITS_MLP.batch)?),
        ("digits_cnn", digits_cnn(DIGITS_CNN.batch)?),
        ("patterns_sgd", patterns_sgd()?),
        ("vibration", vibration()?),
    ])
}

/// A session over the plan for training, with its first weights.
pub fn first_session(plans: Plans, seed: u64) -> Session<'static> {
    let mut session = Session::new(plans.train);
    plans.params.initialize(&mut session, seed);
    session
}

/// Plans that were made where the program runs, bound to memory.
#[derive(Debug)]
pub struct Planned<'m> {
    session: Session<'m>,
    other: Plan,
    evaluates: bool,
}

impl<'m> Planned<'m> {
    /// Binds the plans and draws the first weights.
    ///
    /// # Errors
    /// The memory is too small or misaligned.
    pub fn new(
        plans: Plans,
        memory: &'m mut [u8],
        context: Context<'m>,
        seed: u64,
    ) -> Result<Planned<'m>, Stopped> {
        let session = Session::bind(plans.train, memory).map_err(|_| Stopped::Plan)?;
        let mut session = session.context(context).seed(seed);
        plans.params.initialize(&mut session, seed);
        Ok(Planned { session, other: plans.evaluate, evaluates: false })
    }
}

impl Network for Planned<'_> {
    fn features(&mut self) -> &mut [f32] {
        self.session.input(0)
    }

    fn labels(&mut self) -> &mut [u32] {
        self.session.indices(1)
    }

    fn step(&mut self, optimizer: &impl Optimizer<f32>) -> Result<f32, Stopped> {
        self.session.step(optimizer).map_err(|_| Stopped::NonFinite)
    }

    fn evaluate(&mut self, on: bool) -> Result<(), Stopped> {
        if on != self.evaluates {
            self.session.swap(&mut self.other).map_err(|_| Stopped::Plan)?;
            self.evaluates = on;
        }
        Ok(())
    }

    fn logits(&mut self) -> &[f32] {
        self.session.run();
        self.session.output(0)
    }

    fn parameters(&self, each: &mut dyn FnMut(&[f32])) {
        self.session.parameters().for_each(|(_, values)| each(values));
    }
}
