//! Normalisation with statistics per channel, and its gradient.

use crate::require;
use crate::simd::Element;
use bantam_core::Context;

/// The shape [batch, channels, inner] of what is normalised; statistics are per channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NormShape {
    /// Number of samples.
    pub batch: usize,
    /// Number of channels.
    pub channels: usize,
    /// Elements per sample and channel: 1 after a linear layer, height · width after a convolution.
    pub inner: usize,
}

impl NormShape {
    /// Elements of the input.
    #[allow(clippy::len_without_is_empty, reason = "a shape, not a container")]
    pub fn len(&self) -> usize {
        self.batch * self.channels * self.inner
    }

    /// The elements of one channel, by their index.
    fn channel(&self, channel: usize) -> impl Iterator<Item = usize> {
        let NormShape { batch, channels, inner } = *self;
        (0..batch).flat_map(move |sample| {
            let start = (sample * channels + channel) * inner;
            start..start + inner
        })
    }
}

/// Mean and biased variance (divided by the count) of each channel, in two passes.
pub fn norm_statistics<T: Element>(
    _cx: &Context<'_>,
    shape: &NormShape,
    x: &[T],
    mean: &mut [T],
    variance: &mut [T],
) {
    require(x.len() == shape.len() && mean.len() == shape.channels && variance.len() == shape.channels);
    let count = T::from_f64((shape.batch * shape.inner) as f64);
    for (channel, (mean, variance)) in mean.iter_mut().zip(variance).enumerate() {
        *mean = shape.channel(channel).fold(T::zero(), |sum, i| sum + x[i]) / count;
        let square = |i: usize| (x[i] - *mean) * (x[i] - *mean);
        *variance = shape.channel(channel).fold(T::zero(), |sum, i| sum + square(i)) / count;
    }
}

/// y = (x − mean) · rstd · gamma + beta, channel by channel; `rstd` is 1 / √(variance + ε).
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn norm_apply<T: Element>(
    _cx: &Context<'_>,
    shape: &NormShape,
    x: &[T],
    mean: &[T],
    rstd: &[T],
    gamma: &[T],
    beta: &[T],
    y: &mut [T],
) {
    require(x.len() == shape.len() && y.len() == x.len());
    for channel in 0..shape.channels {
        let scale = rstd[channel] * gamma[channel];
        for i in shape.channel(channel) {
            y[i] = (x[i] - mean[channel]) * scale + beta[channel];
        }
    }
}

/// The gradients of gain and shift, with x̂ = (x − mean) · rstd: dgamma = Σ dy·x̂, dbeta = Σ dy over each channel. The
/// gradient of the input needs both sums too.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn norm_backward_affine<T: Element>(
    _cx: &Context<'_>,
    shape: &NormShape,
    x: &[T],
    mean: &[T],
    rstd: &[T],
    dy: &[T],
    dgamma: &mut [T],
    dbeta: &mut [T],
) {
    require(x.len() == shape.len() && dy.len() == x.len());
    for channel in 0..shape.channels {
        let normal = |i: usize| (x[i] - mean[channel]) * rstd[channel];
        dbeta[channel] = shape.channel(channel).fold(T::zero(), |sum, i| sum + dy[i]);
        dgamma[channel] = shape.channel(channel).fold(T::zero(), |sum, i| sum + dy[i] * normal(i));
    }
}

/// The gradient of the input through statistics and normalisation together, with n elements per channel:
/// dx = gamma · rstd / n · (n·dy − dbeta − x̂·dgamma) (Ioffe and Szegedy, 2015), from the sums that
/// [`norm_backward_affine`] gives.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn norm_backward_input<T: Element>(
    _cx: &Context<'_>,
    shape: &NormShape,
    x: &[T],
    mean: &[T],
    rstd: &[T],
    gamma: &[T],
    dy: &[T],
    dgamma: &[T],
    dbeta: &[T],
    dx: &mut [T],
) {
    require(x.len() == shape.len() && dy.len() == x.len() && dx.len() == x.len());
    let count = T::from_f64((shape.batch * shape.inner) as f64);
    for channel in 0..shape.channels {
        let normal = |i: usize| (x[i] - mean[channel]) * rstd[channel];
        let scale = gamma[channel] * rstd[channel];
        for i in shape.channel(channel) {
            dx[i] = scale * (dy[i] - dbeta[channel] / count - normal(i) * (dgamma[channel] / count));
        }
    }
}
