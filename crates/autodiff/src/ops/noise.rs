//! Noise that regularises: dropout of whole groups, multiplied and added Gaussian noise, alpha dropout, zoneout.
//!
//! All of it is scaled while training, so that inference is the identity; all of it is drawn again in the backward pass
//! instead of saved.

#[cfg(feature = "alloc")]
use super::dropout::Dropout;
use super::reals;
use crate::{Element, Io, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, Mode, NodeRef, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::random::{Key, Purpose, unit_f32};
use bantam_core::{Numerics, Shape};
use bantam_kernels::{Span, dropout, functions, map};

/// Dropout of whole groups: each index of the first axes is set to zero with probability `rate`, with everything it
/// stands for, and the others are divided by 1 − `rate`.
#[derive(Clone, Copy, Debug)]
pub struct GroupDropout {
    /// The probability of zero, in [0, 1).
    pub rate: f32,
    /// How many axes, from the first, tell the groups apart: 1 for samples, 2 for the channels of samples.
    pub axes: usize,
    /// The number of the random stream.
    pub stream: u64,
}

impl GroupDropout {
    fn groups(&self, shape: Shape) -> usize {
        shape.dims().iter().take(self.axes).product()
    }
}

fn check_rate(op: &'static str, rate: f32) -> Result<(), OpError> {
    if (0.0..1.0).contains(&rate) {
        return Ok(());
    }
    Err(OpError::Setting { op, rule: "a rate in [0, 1)", got: f64::from(rate) })
}

impl<T: Element> Op<T> for GroupDropout {
    fn name(&self) -> &'static str {
        "group_dropout"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x] = reals("group_dropout", inputs)?;
        check_rate("group_dropout", self.rate)?;
        if x.rank() < self.axes {
            let expected = if self.axes == 1 { "[batch, ...]" } else { "[batch, channels, ...]" };
            return Err(OpError::Form { op: "group_dropout", expected, got: x });
        }
        Ok(ValueType::real(x))
    }

    fn scratch(&self, inputs: &[ValueType], _: Numerics) -> usize {
        self.groups(inputs[0].shape)
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let key = Key::new(cx.seed, Purpose::Dropout).step(cx.step).node(self.stream);
        let (in_place, x, factors) = (io.inputs.is_output(0), io.inputs.real(0), io.scratch);
        factors.fill(T::one());
        dropout(&cx.kernels, key, self.rate, Span::InPlace(factors));
        let y = io.output.real();
        if !in_place {
            y.copy_from_slice(x);
        }
        let size = y.len() / factors.len().max(1);
        for (group, factor) in y.chunks_exact_mut(size.max(1)).zip(factors) {
            group.iter_mut().for_each(|y| *y *= *factor);
        }
    }

    /// Linear, and its own transpose.
    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, _node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![dy.apply(*self).into()]
    }

    fn in_place(&self, _operand: usize) -> bool {
        true
    }
}

/// Gaussian noise z of mean 0 and standard deviation `std`: x·(1 + z), or x + z.
#[derive(Clone, Copy, Debug)]
pub struct GaussianNoise {
    /// The standard deviation, at least 0.
    pub std: f64,
    /// Whether it multiplies instead of being added.
    pub multiplies: bool,
    /// The number of the random stream.
    pub stream: u64,
}

impl GaussianNoise {
    fn op_name(&self) -> &'static str {
        if self.multiplies { "gaussian_dropout" } else { "gaussian_noise" }
    }
}

/// So many normal numbers are made at a time.
const BLOCK: usize = 256;

/// Standard normal numbers from pairs of uniform ones (Box and Muller, 1958), by the same kernels as everything else, so
/// that they are the same wherever those are. Uniform numbers have 24 bits, and so none is beyond √(48 ln 2) = 5.8.
fn normals<T: Element>(cx: &StepContext<'_>, draw: &mut impl FnMut() -> f32, z: &mut [T], angles: &mut [T]) {
    for (z, angle) in z.iter_mut().zip(&mut *angles) {
        *z = T::from_f64(1.0 - f64::from(draw()));
        *angle = T::from_f64(core::f64::consts::TAU * f64::from(draw()));
    }
    map(&cx.kernels, functions::Ln, Span::InPlace(z));
    map(&cx.kernels, functions::Cos, Span::InPlace(angles));
    for (z, cosine) in z.iter_mut().zip(angles) {
        *z = (T::from_f64(-2.0) * *z).max(T::zero()).sqrt() * *cosine;
    }
}

impl<T: Element> Op<T> for GaussianNoise {
    fn name(&self) -> &'static str {
        if self.multiplies { "gaussian_dropout" } else { "gaussian_noise" }
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x] = reals(self.op_name(), inputs)?;
        if !(self.std >= 0.0 && self.std.is_finite()) {
            let rule = "a finite standard deviation of at least 0";
            return Err(OpError::Setting { op: self.op_name(), rule, got: self.std });
        }
        Ok(ValueType::real(x))
    }

    fn scratch(&self, inputs: &[ValueType], _: Numerics) -> usize {
        2 * inputs[0].len().min(BLOCK)
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let mut rng = Key::new(cx.seed, Purpose::Dropout).step(cx.step).node(self.stream).stream();
        let mut draw = || unit_f32(&mut rng);
        let (in_place, x) = (io.inputs.is_output(0), io.inputs.real(0));
        let (z, angles) = io.scratch.split_at_mut(io.scratch.len() / 2);
        let y = io.output.real();
        if !in_place {
            y.copy_from_slice(x);
        }
        let std = T::from_f64(self.std);
        for y in y.chunks_mut(BLOCK) {
            let (z, angles) = (&mut z[..y.len()], &mut angles[..y.len()]);
            normals(cx, &mut draw, z, angles);
            for (y, z) in y.iter_mut().zip(z) {
                *y = if self.multiplies { *y + *y * (std * *z) } else { *y + std * *z };
            }
        }
    }

    /// What is multiplied is linear, and its own transpose; what is added changes no derivative.
    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, _node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![if self.multiplies { dy.apply(*self) } else { dy }.into()]
    }

    fn in_place(&self, _operand: usize) -> bool {
        true
    }
}

/// What SELU tends to for very negative inputs, −λα, of Klambauer and others (2017): what alpha dropout drops to.
#[cfg(feature = "alloc")]
const SATURATION: f64 = -1.758_099_340_847_376_6;

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// Whether noise of this strength does anything here.
    fn is_noisy(self, strength: f64) -> bool {
        self.graph.mode() == Mode::Train && strength != 0.0
    }

    /// Spatial dropout when the graph is traced to [train](Mode::Train): drops whole channels of
    /// `[batch, channels, ...]` with probability `rate` (Tompson and others, 2014, arXiv:1411.4280). Neighbouring pixels
    /// of a channel say nearly the same, so dropping them one by one changes little.
    #[track_caller]
    pub fn spatial_dropout(self, rate: f32) -> Var<'g, T> {
        if !self.is_noisy(rate.into()) {
            return self;
        }
        let stream = self.graph.next_stream();
        self.apply(GroupDropout { rate, axes: 2, stream })
    }

    /// Drop-path, or stochastic depth, when the graph is traced to [train](Mode::Train): drops whole samples of
    /// `[batch, ...]` with probability `rate`. In the branch of a residual block the sample then takes the shortcut only
    /// (Huang and others, 2016, arXiv:1603.09382; Larsson and others, 2016, arXiv:1605.07648).
    #[track_caller]
    pub fn drop_path(self, rate: f32) -> Var<'g, T> {
        if !self.is_noisy(rate.into()) {
            return self;
        }
        let stream = self.graph.next_stream();
        self.apply(GroupDropout { rate, axes: 1, stream })
    }

    /// Alpha dropout when the graph is traced to [train](Mode::Train): sets each element to −λα = −1.758 with
    /// probability `rate`, then scales and shifts all so that mean 0 and variance 1 stay what they are. For networks
    /// with SELU (Klambauer and others, 2017, arXiv:1706.02515, section 3).
    #[track_caller]
    pub fn alpha_dropout(self, rate: f32) -> Var<'g, T> {
        if !self.is_noisy(rate.into()) {
            return self;
        }
        // Zeros stand for the saturation once it is the origin, so that plain dropout does the rest.
        let (drop, keep) = (f64::from(rate), 1.0 - f64::from(rate));
        let square = keep * (1.0 + SATURATION * SATURATION * drop);
        let scale = T::from_f64(1.0 / num_traits::Float::sqrt(square.max(f64::MIN_POSITIVE)));
        let saturation = T::from_f64(SATURATION);
        let stream = self.graph.next_stream();
        let kept = (self - saturation).apply(Dropout { rate, stream });
        let shift = T::from_f64(keep) * saturation * scale;
        kept * (scale * T::from_f64(keep)) + shift
    }

    /// Gaussian dropout when the graph is traced to [train](Mode::Train): multiplies each element by normal noise of
    /// mean 1 and variance rate/(1 − rate), the same mean and variance as the factors of
    /// [`dropout`](Self::dropout) (Srivastava and others, 2014, section 10).
    #[track_caller]
    pub fn gaussian_dropout(self, rate: f32) -> Var<'g, T> {
        if !self.is_noisy(rate.into()) {
            return self;
        }
        if let Err(error) = check_rate("gaussian_dropout", rate) {
            self.graph.fail_op(error);
            return self;
        }
        let (rate, stream) = (f64::from(rate), self.graph.next_stream());
        self.apply(GaussianNoise {
            std: num_traits::Float::sqrt(rate / (1.0 - rate)),
            multiplies: true,
            stream,
        })
    }

    /// Adds normal noise of mean 0 and standard deviation `std` when the graph is traced to [train](Mode::Train). On
    /// the inputs of a network it acts much like weight decay (Bishop, 1995).
    #[track_caller]
    pub fn gaussian_noise(self, std: f64) -> Var<'g, T> {
        if !self.is_noisy(std) {
            return self;
        }
        let stream = self.graph.next_stream();
        self.apply(GaussianNoise { std, multiplies: false, stream })
    }

    /// Zoneout when the graph is traced to [train](Mode::Train): the state of a recurrent network stays at `previous`
    /// with probability `rate` in each element, and moves by 1/(1 − rate) of what it would move otherwise.
    ///
    /// Krueger and others, 2016, arXiv:1606.01305, who do not scale the move and take the mean of both states in
    /// inference instead; scaled, the mean is the new state, and inference is the identity.
    #[track_caller]
    pub fn zoneout(self, previous: Var<'g, T>, rate: f32) -> Var<'g, T> {
        if !self.is_noisy(rate.into()) {
            return self;
        }
        previous + (self - previous).dropout(rate)
    }
}
