//! Layers: what they declare when they are made and what they record when they are traced.

use crate::{Initializer, Parameter, Scope};
use alloc::{boxed::Box, string::String, vec::Vec};
use bantam_autodiff::{
    Element, Graph, Mode, OpError, Var,
    ops::{Conv2dOptions, Pool2dOptions},
};
use core::fmt::Debug;

/// Something that turns one value into another: a layer, a block, a whole model.
///
/// `forward` runs once for every plan. It records what to compute and holds no state; a layer that behaves differently
/// in training asks its graph ([`Graph::mode`](bantam_autodiff::Graph::mode)).
pub trait Layer<T: Element = f32> {
    /// Records the layer's computation.
    #[track_caller]
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T>;
}

impl<T: Element, L: Layer<T> + ?Sized> Layer<T> for Box<L> {
    #[track_caller]
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        (**self).forward(x)
    }
}

/// Weight standardisation: each row of a weight `[fan_out, ...]`, that is what comes in at one unit or output channel,
/// less its mean and divided by √(variance + 1e-5).
///
/// What the layer computes no longer depends on the mean and the length of its rows, which smooths the loss; with
/// convolutions before a normalisation of groups or channels it makes small batches work (Qiao and others, 2019,
/// arXiv:1903.10520). The paper adds its 1e-5 to the standard deviation; here a row of equal weights has a gradient.
#[track_caller]
pub fn standardize_weight<'g, T: Element>(weight: Var<'g, T>) -> Var<'g, T> {
    let shape = weight.shape();
    let rows = weight.dim(0);
    let weight = weight.reshape([rows, shape.len() / rows.max(1)]);
    let centred = weight - weight.mean_keep(1);
    let scale = (centred.square().mean_keep(1) + T::from_f64(1e-5)).rsqrt();
    (centred * scale).reshape(shape)
}

/// A layer's weight as the layer uses it. Which way is part of the type: a program that standardises nothing holds none of it.
#[track_caller]
fn weight<T: Element, const STANDARDIZED: bool>(weight: Parameter, graph: &Graph<T>) -> Var<'_, T> {
    let weight = weight.var(graph);
    if STANDARDIZED { standardize_weight(weight) } else { weight }
}

/// A fully connected layer: `x · weightᵀ + bias`, `[..., fan_in]` to `[..., fan_out]`.
///
/// Parameters: `weight` `[fan_out, fan_in]` (default [`Initializer::HE_NORMAL`]) and `bias` `[fan_out]` (zeros).
#[derive(Clone, Debug)]
pub struct Linear<const STANDARDIZED: bool = false> {
    path: String,
    weight: Parameter,
    bias: Option<Parameter>,
}

impl Linear {
    /// With a bias and the default initializer.
    pub fn new(p: Scope<'_>, fan_in: usize, fan_out: usize) -> Self {
        Linear::with(p, fan_in, fan_out, Initializer::HE_NORMAL, true)
    }

    /// With the weight's initializer, with or without a bias.
    pub fn with(mut p: Scope<'_>, fan_in: usize, fan_out: usize, weight: Initializer, bias: bool) -> Self {
        Linear {
            path: p.path().into(),
            weight: p.parameter("weight", [fan_out, fan_in], weight),
            bias: bias.then(|| p.parameter("bias", [fan_out], Initializer::ZEROS)),
        }
    }

    /// Uses the [standardised](standardize_weight) weight.
    #[must_use]
    pub fn standardized(self) -> Linear<true> {
        let Linear { path, weight, bias } = self;
        Linear { path, weight, bias }
    }
}

impl<T: Element, const STANDARDIZED: bool> Layer<T> for Linear<STANDARDIZED> {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let graph = x.graph();
        let _scope = graph.enter(&self.path);
        x.linear(weight::<T, STANDARDIZED>(self.weight, graph), self.bias.map(|bias| bias.var(graph)))
    }
}

/// A convolution in two dimensions: `[batch, channels_in, height, width]` to `[batch, channels_out, …]`.
///
/// Parameters: `weight` `[channels_out, channels_in / groups, kernel, kernel]` (default [`Initializer::HE_NORMAL`]) and
/// `bias` `[channels_out]` (zeros).
#[derive(Clone, Debug)]
pub struct Conv2d<const STANDARDIZED: bool = false> {
    path: String,
    weight: Parameter,
    bias: Option<Parameter>,
    kernel: usize,
    options: Conv2dOptions,
}

impl Conv2d {
    /// With a square kernel, a bias, stride 1 and no padding.
    pub fn new(p: Scope<'_>, channels_in: usize, channels_out: usize, kernel: usize) -> Self {
        Conv2d::with(p, [channels_in, channels_out], kernel, 1, Initializer::HE_NORMAL, true)
    }

    /// With groups, the weight's initializer, with or without a bias. Followed by a batch normalisation a bias does
    /// nothing.
    pub fn with(
        mut p: Scope<'_>,
        [channels_in, channels_out]: [usize; 2],
        kernel: usize,
        groups: usize,
        weight: Initializer,
        bias: bool,
    ) -> Self {
        let shape = [channels_out, channels_in / groups.max(1), kernel, kernel];
        Conv2d {
            path: p.path().into(),
            weight: p.parameter("weight", shape, weight),
            bias: bias.then(|| p.parameter("bias", [channels_out], Initializer::ZEROS)),
            kernel,
            options: Conv2dOptions { groups, ..Conv2dOptions::default() },
        }
    }

    /// Uses the [standardised](standardize_weight) weight.
    #[must_use]
    pub fn standardized(self) -> Conv2d<true> {
        let Conv2d { path, weight, bias, kernel, options } = self;
        Conv2d { path, weight, bias, kernel, options }
    }
}

impl<const STANDARDIZED: bool> Conv2d<STANDARDIZED> {
    /// Moves the kernel by `stride`.
    #[must_use]
    pub fn stride(mut self, stride: usize) -> Self {
        self.options.stride = [stride; 2];
        self
    }

    /// Adds `padding` rows and columns of zeros on each side.
    #[must_use]
    pub fn padding(mut self, padding: usize) -> Self {
        self.options.padding = [padding; 2];
        self
    }

    /// Spreads the kernel's taps `dilation` apart.
    #[must_use]
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.options.dilation = [dilation; 2];
        self
    }

    /// Pads so that at stride 1 the image keeps its size; for odd kernels, after [`dilation`](Self::dilation).
    #[must_use]
    pub fn same(mut self) -> Self {
        let reach = self.options.dilation[0] * (self.kernel.max(1) - 1);
        self.options.padding = [reach / 2; 2];
        self
    }
}

impl<T: Element, const STANDARDIZED: bool> Layer<T> for Conv2d<STANDARDIZED> {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let graph = x.graph();
        let _scope = graph.enter(&self.path);
        x.conv2d(
            weight::<T, STANDARDIZED>(self.weight, graph),
            self.bias.map(|bias| bias.var(graph)),
            self.options,
        )
    }
}

/// The maximum of each window, `[batch, channels, height, width]`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d(pub Pool2dOptions);

impl MaxPool2d {
    /// A square window that moves by its own size.
    pub fn new(kernel: usize) -> Self {
        MaxPool2d(Pool2dOptions::square(kernel))
    }
}

impl<T: Element> Layer<T> for MaxPool2d {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        x.max_pool2d_with(self.0)
    }
}

/// The average of each window, `[batch, channels, height, width]`.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool2d(pub Pool2dOptions);

impl AvgPool2d {
    /// A square window that moves by its own size.
    pub fn new(kernel: usize) -> Self {
        AvgPool2d(Pool2dOptions::square(kernel))
    }
}

impl<T: Element> Layer<T> for AvgPool2d {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        x.avg_pool2d_with(self.0)
    }
}

/// The average of each whole channel: `[batch, channels, height, width]` to `[batch, channels]`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GlobalAvgPool2d;

impl<T: Element> Layer<T> for GlobalAvgPool2d {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        x.mean([2, 3])
    }
}

/// Batch normalisation of `[batch, channels, ...]` (Ioffe and Szegedy, 2015).
///
/// In training each channel is normalised by the mean and variance of the batch, which also move the running averages;
/// in inference by the running averages.
///
/// Parameters: `weight` (gain, ones) and `bias` (shift, zeros), `[channels]`; buffers: `running_mean` (zeros) and
/// `running_var` (ones). Names and defaults are those of PyTorch.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    path: String,
    gain: Parameter,
    shift: Parameter,
    running_mean: Parameter,
    running_var: Parameter,
    /// Added to the variance. Default: 1e-5.
    pub epsilon: f64,
    /// The share of a new batch in the running averages. Default: 0.1.
    pub momentum: f64,
}

impl BatchNorm {
    /// For `channels` channels.
    pub fn new(mut p: Scope<'_>, channels: usize) -> Self {
        BatchNorm {
            path: p.path().into(),
            gain: p.parameter("weight", [channels], Initializer::constant(1.0)),
            shift: p.parameter("bias", [channels], Initializer::ZEROS),
            running_mean: p.buffer("running_mean", [channels], Initializer::ZEROS),
            running_var: p.buffer("running_var", [channels], Initializer::constant(1.0)),
            epsilon: 1e-5,
            momentum: 0.1,
        }
    }
}

impl<T: Element> Layer<T> for BatchNorm {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let graph = x.graph();
        let _scope = graph.enter(&self.path);
        let (gain, shift) = (self.gain.var(graph), self.shift.var(graph));
        let (mean, variance) = (self.running_mean.var(graph), self.running_var.var(graph));
        let (shape, channels) = (x.shape(), gain.dim(0));
        if shape.rank() < 2 || shape[1] != channels {
            graph.fail_op(OpError::Count {
                op: "batch_norm",
                what: "channels",
                expected: channels,
                got: x.dim(1),
                shape,
            });
            return x;
        }
        if graph.mode() == Mode::Infer {
            return x.batch_norm_with(mean, variance, gain, shift, self.epsilon);
        }
        let (y, statistics) = x.batch_norm(gain, shift, self.epsilon);
        if graph.check().is_ok() {
            // The variance of the batch estimates that of the population without bias once it is divided by n − 1.
            let n = (shape.len() / channels) as f64;
            let momentum = self.momentum;
            let keep = T::from_f64(1.0 - momentum);
            let of = |row: usize| statistics.slice(0, row..row + 1).reshape(gain.shape());
            graph.assign(self.running_mean.index(), mean * keep + of(0) * T::from_f64(momentum));
            let unbiased = T::from_f64(momentum * n / (n - 1.0));
            graph.assign(self.running_var.index(), variance * keep + of(1) * unbiased);
        }
        y
    }
}

/// Layer normalisation of the rows of `[..., width]` (Ba and others, 2016, arXiv:1607.06450): each is normalised by its own mean and
/// variance, in training and in inference, and then its columns are scaled and shifted.
///
/// Parameters: `weight` (gain, ones) and `bias` (shift, zeros), `[width]`. Names and defaults are those of PyTorch.
///
/// ```
/// use bantam_autodiff::{Mode, Session, Var};
/// use bantam_core::Shape;
/// use bantam_nn::{Layer, LayerNorm, Params};
/// let mut params = Params::new();
/// let norm = LayerNorm::new(params.at("norm"), 4);
/// let graph = params.graph(Mode::Infer);
/// let x: Var<'_> = graph.input("x", Shape::of([2, 1, 4]));
/// let mut session = Session::new(graph.planner().output("y", norm.forward(x)).build()?);
/// params.initialize(&mut session, 1);
/// session.input(0).copy_from_slice(&[1.0, 1.0, 3.0, 3.0, 0.0, 0.0, 0.0, 50.0]);
/// session.run();
/// let expected = [-1.0, -1.0, 1.0, 1.0, -0.577, -0.577, -0.577, 1.732];
/// assert!(session.output(0).iter().zip(expected).all(|(y, expected)| (y - expected).abs() < 1e-3));
/// # Ok::<(), bantam_autodiff::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LayerNorm {
    path: String,
    gain: Parameter,
    shift: Parameter,
    /// Added to the variance. Default: 1e-5.
    pub epsilon: f64,
}

impl LayerNorm {
    /// For rows of `width` numbers.
    pub fn new(mut p: Scope<'_>, width: usize) -> Self {
        LayerNorm {
            path: p.path().into(),
            gain: p.parameter("weight", [width], Initializer::constant(1.0)),
            shift: p.parameter("bias", [width], Initializer::ZEROS),
            epsilon: 1e-5,
        }
    }
}

impl<T: Element> Layer<T> for LayerNorm {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let graph = x.graph();
        let _scope = graph.enter(&self.path);
        x.layer_norm(self.gain.var(graph), self.shift.var(graph), self.epsilon)
    }
}

/// A table of learned vectors: indices `[...]` to `[..., width]`.
///
/// Parameter: `weight` `[rows, width]`, standard normal.
#[derive(Clone, Debug)]
pub struct Embedding {
    path: String,
    weight: Parameter,
}

impl Embedding {
    /// `rows` vectors of `width` numbers.
    pub fn new(mut p: Scope<'_>, rows: usize, width: usize) -> Self {
        let standard = Initializer::normal(0.0, 1.0);
        Embedding { path: p.path().into(), weight: p.parameter("weight", [rows, width], standard) }
    }
}

impl<T: Element> Layer<T> for Embedding {
    fn forward<'g>(&self, indices: Var<'g, T>) -> Var<'g, T> {
        let graph = indices.graph();
        let _scope = graph.enter(&self.path);
        self.weight.var(graph).gather_rows(indices)
    }
}

/// An activation as a layer, for [`Sequential`] and for settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// max(0, x).
    #[default]
    Relu,
    /// 1/(1 + e⁻ˣ).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

impl<T: Element> Layer<T> for Activation {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        match self {
            Activation::Relu => x.relu(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Tanh => x.tanh(),
        }
    }
}

/// All axes but the first become one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flatten;

impl<T: Element> Layer<T> for Flatten {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        x.flatten()
    }
}

/// Layers one after the other.
///
/// ```
/// use bantam_nn::{Activation, Linear, Params, Sequential};
/// let mut params = Params::new();
/// let net: Sequential = Sequential::new()
///     .then(Linear::new(params.at("0"), 64, 32))
///     .then(Activation::Relu)
///     .then(Linear::new(params.at("1"), 32, 10));
/// ```
#[derive(Default)]
pub struct Sequential<T: Element = f32> {
    layers: Vec<Box<dyn Layer<T> + Send + Sync>>,
}

impl<T: Element> Debug for Sequential<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Sequential").field("layers", &self.layers.len()).finish()
    }
}

impl<T: Element> Sequential<T> {
    /// No layers: the identity.
    pub fn new() -> Self {
        Sequential { layers: Vec::new() }
    }

    /// Adds a layer at the end.
    #[must_use]
    pub fn then(mut self, layer: impl Layer<T> + Send + Sync + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }
}

impl<T: Element> Layer<T> for Sequential<T> {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        self.layers.iter().fold(x, |x, layer| layer.forward(x))
    }
}

/// A layer of whose values only the result is kept for the backward pass; the others are computed again there. See
/// [`Var::recompute`].
///
/// Worth it around whatever makes large values for a small result: a convolution with normalisation and pooling.
#[derive(Clone, Debug)]
pub struct Recompute<L>(
    /// The layer.
    pub L,
);

impl<T: Element, L: Layer<T>> Layer<T> for Recompute<L> {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        x.recompute(|x| self.0.forward(x))
    }
}

/// Layers that see the same values, and their results side by side along axis 1: the channels of images, the features of
/// rows.
///
/// With one of them frozen, only a part of a layer's channels trains, and only that part has gradients and optimizer state:
///
/// ```
/// use bantam_nn::{Concat, Linear, Params};
/// let mut params = Params::new();
/// // Of 32 outputs the last 8 train.
/// let hidden: Concat = Concat::new()
///     .with(Linear::new(params.at("hidden.frozen"), 64, 24))
///     .with(Linear::new(params.at("hidden.trained"), 64, 8));
/// params.freeze("hidden.frozen.*")?;
/// # Ok::<(), bantam_nn::NoMatch>(())
/// ```
#[derive(Default)]
pub struct Concat<T: Element = f32> {
    layers: Vec<Box<dyn Layer<T> + Send + Sync>>,
}

impl<T: Element> Debug for Concat<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Concat").field("layers", &self.layers.len()).finish()
    }
}

impl<T: Element> Concat<T> {
    /// No layers; without one the result is the input.
    pub fn new() -> Self {
        Concat { layers: Vec::new() }
    }

    /// Adds a layer behind the others.
    #[must_use]
    pub fn with(mut self, layer: impl Layer<T> + Send + Sync + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }
}

impl<T: Element> Layer<T> for Concat<T> {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        let results: Vec<Var<'g, T>> = self.layers.iter().map(|layer| layer.forward(x)).collect();
        match results.as_slice() {
            [] => x,
            _ => x.graph().concat(&results, 1),
        }
    }
}

/// `body(x) + shortcut(x)` (He et al., 2016); the shortcut is the identity unless the body changes the shape.
#[derive(Clone, Debug)]
pub struct Residual<B, S = ()> {
    body: B,
    shortcut: S,
}

impl<B> Residual<B> {
    /// With the identity as shortcut.
    pub fn new(body: B) -> Self {
        Residual { body, shortcut: () }
    }

    /// With a shortcut of its own, such as a 1×1 convolution.
    pub fn shortcut<S>(self, shortcut: S) -> Residual<B, S> {
        Residual { body: self.body, shortcut }
    }
}

/// Nothing: the identity.
impl<T: Element> Layer<T> for () {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        x
    }
}

impl<T: Element, B: Layer<T>, S: Layer<T>> Layer<T> for Residual<B, S> {
    fn forward<'g>(&self, x: Var<'g, T>) -> Var<'g, T> {
        self.body.forward(x) + self.shortcut.forward(x)
    }
}
