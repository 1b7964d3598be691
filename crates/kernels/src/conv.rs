//! Two-dimensional convolution (cross-correlation, as the field calls it) and its two gradients.

use crate::gemm::{Activation, activate};
use crate::require;
use crate::simd::Element;
use bantam_core::Context;

/// The shape of a convolution. Inputs are [batch, channels_in, height, width], outputs [batch, channels_out,
/// out_height, out_width], weights [channels_out, channels_in / groups, kernel height, kernel width].
///
/// Pairs are (vertical, horizontal). `groups` divides both numbers of channels; strides and dilations are at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Number of images.
    pub batch: usize,
    /// Channels of the input.
    pub channels_in: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Channels of the output.
    pub channels_out: usize,
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// Steps of the kernel over the input.
    pub stride: [usize; 2],
    /// Zeros added on each side.
    pub padding: [usize; 2],
    /// Distance between the kernel's taps: 1 for an ordinary kernel.
    pub dilation: [usize; 2],
    /// How many independent convolutions share the channels: 1 for an ordinary one, `channels_in` for a depthwise one.
    pub groups: usize,
}

/// How often a window fits: (len + 2·padding − dilation·(kernel − 1) − 1) / stride + 1, or 0.
pub(crate) fn out_len(len: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> usize {
    let window = dilation * (kernel - 1) + 1;
    let padded = len + 2 * padding;
    if padded < window { 0 } else { (padded - window) / stride + 1 }
}

impl ConvShape {
    /// Height of the output; 0 if the kernel does not fit.
    pub fn out_height(&self) -> usize {
        out_len(self.height, self.kernel[0], self.stride[0], self.padding[0], self.dilation[0])
    }

    /// Width of the output; 0 if the kernel does not fit.
    pub fn out_width(&self) -> usize {
        out_len(self.width, self.kernel[1], self.stride[1], self.padding[1], self.dilation[1])
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.channels_in * self.height * self.width
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.batch * self.channels_out * self.out_height() * self.out_width()
    }

    /// Elements of the weights.
    pub fn weight_len(&self) -> usize {
        self.channels_out * (self.channels_in / self.groups) * self.kernel[0] * self.kernel[1]
    }

    /// Calls `f(output index, input index, weight index)` for every product of the convolution: images and output
    /// channels outside, then input channels and taps, output pixels innermost.
    fn for_each_product(&self, mut f: impl FnMut(usize, usize, usize)) {
        let (out_height, out_width) = (self.out_height(), self.out_width());
        let (in_group, out_group) = (self.channels_in / self.groups, self.channels_out / self.groups);
        let position = |out: usize, tap: usize, axis: usize, len: usize| {
            let padded = out * self.stride[axis] + tap * self.dilation[axis];
            padded.checked_sub(self.padding[axis]).filter(|at| *at < len)
        };
        for image in 0..self.batch {
            for out_channel in 0..self.channels_out {
                for channel in 0..in_group {
                    let in_channel = out_channel / out_group * in_group + channel;
                    for tap in 0..self.kernel[0] * self.kernel[1] {
                        let weight =
                            (out_channel * in_group + channel) * self.kernel[0] * self.kernel[1] + tap;
                        let (tap_y, tap_x) = (tap / self.kernel[1], tap % self.kernel[1]);
                        for out_y in 0..out_height {
                            let Some(y) = position(out_y, tap_y, 0, self.height) else { continue };
                            for out_x in 0..out_width {
                                let Some(x) = position(out_x, tap_x, 1, self.width) else { continue };
                                let plane = image * self.channels_in + in_channel;
                                let out_plane = image * self.channels_out + out_channel;
                                f(
                                    (out_plane * out_height + out_y) * out_width + out_x,
                                    (plane * self.height + y) * self.width + x,
                                    weight,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How many elements of scratch [`conv2d_forward`] needs.
pub fn conv2d_forward_scratch(_shape: &ConvShape) -> usize {
    0
}

/// y = activation(x ∗ weight + bias); `bias` has one element per output channel.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn conv2d_forward<T: Element>(
    cx: &Context<'_>,
    shape: &ConvShape,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    activation: Activation,
    y: &mut [T],
    scratch: &mut [T],
) {
    require(
        x.len() == shape.input_len() && weight.len() == shape.weight_len() && y.len() == shape.output_len(),
    );
    require(
        scratch.len() >= conv2d_forward_scratch(shape) && bias.is_none_or(|b| b.len() == shape.channels_out),
    );
    let plane = shape.out_height() * shape.out_width();
    for (i, y) in y.chunks_exact_mut(plane.max(1)).enumerate() {
        y.fill(bias.map_or(T::zero(), |bias| bias[i % shape.channels_out]));
    }
    shape.for_each_product(|out, input, tap| y[out] += x[input] * weight[tap]);
    activate(cx, activation, y);
}

/// How many elements of scratch [`conv2d_backward_input`] needs.
pub fn conv2d_backward_input_scratch(_shape: &ConvShape) -> usize {
    0
}

/// The gradient by the input from `dy`; adds to what `dx` holds if `accumulate`.
pub fn conv2d_backward_input<T: Element>(
    _cx: &Context<'_>,
    shape: &ConvShape,
    dy: &[T],
    weight: &[T],
    dx: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    require(
        dx.len() == shape.input_len() && weight.len() == shape.weight_len() && dy.len() == shape.output_len(),
    );
    require(scratch.len() >= conv2d_backward_input_scratch(shape));
    if !accumulate {
        dx.fill(T::zero());
    }
    shape.for_each_product(|out, input, tap| dx[input] += dy[out] * weight[tap]);
}

/// How many elements of scratch [`conv2d_backward_weight`] needs.
pub fn conv2d_backward_weight_scratch(_shape: &ConvShape) -> usize {
    0
}

/// The gradient by the weights from `x` and `dy`; adds to what `dw` holds if `accumulate`.
pub fn conv2d_backward_weight<T: Element>(
    _cx: &Context<'_>,
    shape: &ConvShape,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    require(x.len() == shape.input_len() && dw.len() == shape.weight_len() && dy.len() == shape.output_len());
    require(scratch.len() >= conv2d_backward_weight_scratch(shape));
    if !accumulate {
        dw.fill(T::zero());
    }
    shape.for_each_product(|out, input, tap| dw[tap] += x[input] * dy[out]);
}
