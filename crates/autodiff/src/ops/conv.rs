//! Convolution in two dimensions. It is linear in both operands, so its two derivatives are convolutions again, and
//! the three ops are closed under differentiation.

use super::{check_kinds, reals};
use crate::{Element, Io, Kind, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Shared, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::{Numerics, Shape};
use bantam_kernels::{
    Activation, ConvShape, conv2d_backward_input, conv2d_backward_input_scratch, conv2d_backward_weight,
    conv2d_backward_weight_scratch, conv2d_forward, conv2d_forward_scratch,
};

/// How the kernel moves over the image; each setting as `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// The distance between neighbouring positions of the kernel. Default: 1.
    pub stride: [usize; 2],
    /// Rows and columns of zeros around the image, on each side. Default: 0.
    pub padding: [usize; 2],
    /// The distance between neighbouring taps of the kernel. Default: 1.
    pub dilation: [usize; 2],
    /// Channels are split into this many groups that do not see each other. Default: 1.
    pub groups: usize,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Conv2dOptions { stride: [1; 2], padding: [0; 2], dilation: [1; 2], groups: 1 }
    }
}

const FORM: &str = "[batch, channels, height, width]";

impl Conv2dOptions {
    /// The sizes of a convolution, or why there is none.
    fn shape(&self, x: Shape, weight: Shape) -> Result<ConvShape, OpError> {
        let op = "conv2d";
        if x.rank() != 4 {
            return Err(OpError::Form { op, expected: FORM, got: x });
        }
        if weight.rank() != 4 {
            let expected = "[channels_out, channels_in / groups, height, width] of its weight";
            return Err(OpError::Form { op, expected, got: weight });
        }
        for (rule, value) in [
            ("a stride of at least 1", self.stride[0].min(self.stride[1])),
            ("a dilation of at least 1", self.dilation[0].min(self.dilation[1])),
            ("at least 1 group", self.groups),
            ("a kernel of at least 1×1", weight[2].min(weight[3])),
        ] {
            if value == 0 {
                return Err(OpError::Setting { op, rule, got: 0.0 });
            }
        }
        let expected = weight[1].saturating_mul(self.groups);
        if x[1] != expected {
            return Err(OpError::Count { op, what: "channels", expected, got: x[1], shape: x });
        }
        if !weight[0].is_multiple_of(self.groups) {
            let rule = "a number of output channels that its groups divide";
            return Err(OpError::Setting { op, rule, got: weight[0] as f64 });
        }
        for axis in 0..2 {
            let reach = self.dilation[axis].saturating_mul(weight[2 + axis] - 1).saturating_add(1);
            if reach > self.padding[axis].saturating_mul(2).saturating_add(x[2 + axis]) {
                let rule = "an image with its padding at least as large as the kernel with its dilation, which reaches over";
                return Err(OpError::Setting { op, rule, got: reach as f64 });
            }
        }
        Ok(ConvShape {
            batch: x[0],
            channels_in: x[1],
            height: x[2],
            width: x[3],
            channels_out: weight[0],
            kernel: [weight[2], weight[3]],
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        })
    }
}

fn out_shape(shape: &ConvShape) -> Shape {
    Shape::of([shape.batch, shape.channels_out, shape.out_height(), shape.out_width()])
}

fn weight_shape(shape: &ConvShape) -> Shape {
    Shape::of([shape.channels_out, shape.channels_in / shape.groups, shape.kernel[0], shape.kernel[1]])
}

fn image_shape(shape: &ConvShape) -> Shape {
    Shape::of([shape.batch, shape.channels_in, shape.height, shape.width])
}

fn same(op: &'static str, expected: Shape, got: Shape) -> Result<(), OpError> {
    if expected == got { Ok(()) } else { Err(OpError::Shape { op, expected, got }) }
}

/// `activation(x ⋆ weight + bias)`: x `[batch, channels_in, height, width]`, weight
/// `[channels_out, channels_in / groups, height, width]`, bias `[channels_out]` or none. A cross-correlation, as
/// everywhere in the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvForward {
    /// How the kernel moves.
    pub options: Conv2dOptions,
    /// Applied to each element of the result; set by the planner.
    pub activation: Activation,
}

impl<T: Element> Op<T> for ConvForward {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        check_kinds("conv2d", inputs, &[Kind::Real; 3][..inputs.len().clamp(2, 3)])?;
        let shape = self.options.shape(inputs[0].shape, inputs[1].shape)?;
        if let Some(bias) = inputs.get(2) {
            same("conv2d", Shape::of([shape.channels_out]), bias.shape)?;
        }
        Ok(ValueType::real(out_shape(&shape)))
    }

    fn scratch(&self, inputs: &[ValueType], numerics: Numerics) -> usize {
        let shape = self.options.shape(inputs[0].shape, inputs[1].shape);
        shape.map_or(0, |shape| conv2d_forward_scratch(&shape, numerics))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!(
            "ops::ConvForward {{ options: ops::{:?}, activation: Activation::{:?} }}",
            self.options, self.activation
        ))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (x, weight) = (io.inputs.value(0), io.inputs.value(1));
        let Ok(shape) = self.options.shape(x.shape, weight.shape) else { return };
        let bias = (io.inputs.len() > 2).then(|| io.inputs.real(2));
        let (x, weight) = (io.inputs.real(0), io.inputs.real(1));
        conv2d_forward(&cx.kernels, &shape, x, weight, bias, self.activation, io.output.real(), io.scratch);
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (x, weight) = (node.input(0), node.input(1));
        let Ok(shape) = self.options.shape(x.shape(), weight.shape()) else { return Vec::new() };
        let graph = node.graph();
        let dx = graph.record(ConvBackwardInput { shape }, &[dy, weight]);
        let dweight = graph.record(ConvBackwardWeight { shape }, &[x, dy]);
        let mut flows = vec![dx.into(), dweight.into()];
        if node.inputs().len() > 2 {
            flows.push(dy.sum([0, 2, 3]).into());
        }
        flows
    }

    #[cfg(feature = "alloc")]
    fn with_activation(&self, activation: Activation) -> Option<Shared<dyn Op<T>>> {
        let fused = ConvForward { activation, ..*self };
        (self.activation == Activation::Identity).then(|| T::share(fused))
    }
}

#[cfg(feature = "alloc")]
fn options(shape: &ConvShape) -> Conv2dOptions {
    Conv2dOptions {
        stride: shape.stride,
        padding: shape.padding,
        dilation: shape.dilation,
        groups: shape.groups,
    }
}

#[cfg(feature = "alloc")]
fn forward<'g, T: Element>(shape: &ConvShape, x: Var<'g, T>, weight: Var<'g, T>) -> Var<'g, T> {
    let op = ConvForward { options: options(shape), activation: Activation::Identity };
    x.graph.record(op, &[x, weight])
}

/// The gradient of a convolution's input, from the output's gradient and the weight: a transposed convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvBackwardInput {
    /// The sizes of the forward convolution.
    pub shape: ConvShape,
}

impl<T: Element> Op<T> for ConvBackwardInput {
    fn name(&self) -> &'static str {
        "conv2d_backward_input"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&dy, &weight] = reals("conv2d_backward_input", inputs)?;
        same("conv2d_backward_input", out_shape(&self.shape), dy)?;
        same("conv2d_backward_input", weight_shape(&self.shape), weight)?;
        Ok(ValueType::real(image_shape(&self.shape)))
    }

    fn scratch(&self, _: &[ValueType], numerics: Numerics) -> usize {
        conv2d_backward_input_scratch(&self.shape, numerics)
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (dy, weight) = (io.inputs.real(0), io.inputs.real(1));
        conv2d_backward_input(
            &cx.kernels,
            &self.shape,
            dy,
            weight,
            io.output.real(),
            io.accumulate,
            io.scratch,
        );
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, g: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (dy, weight) = (node.input(0), node.input(1));
        let dweight = g.graph.record(ConvBackwardWeight { shape: self.shape }, &[g, dy]);
        vec![forward(&self.shape, g, weight).into(), dweight.into()]
    }

    fn accumulates(&self) -> bool {
        true
    }
}

/// The gradient of a convolution's weight, from the input and the output's gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvBackwardWeight {
    /// The sizes of the forward convolution.
    pub shape: ConvShape,
}

impl<T: Element> Op<T> for ConvBackwardWeight {
    fn name(&self) -> &'static str {
        "conv2d_backward_weight"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x, &dy] = reals("conv2d_backward_weight", inputs)?;
        same("conv2d_backward_weight", image_shape(&self.shape), x)?;
        same("conv2d_backward_weight", out_shape(&self.shape), dy)?;
        Ok(ValueType::real(weight_shape(&self.shape)))
    }

    fn scratch(&self, _: &[ValueType], numerics: Numerics) -> usize {
        conv2d_backward_weight_scratch(&self.shape, numerics)
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::{self:?}"))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let (x, dy) = (io.inputs.real(0), io.inputs.real(1));
        conv2d_backward_weight(&cx.kernels, &self.shape, x, dy, io.output.real(), io.accumulate, io.scratch);
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, g: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let (x, dy) = (node.input(0), node.input(1));
        let dx = g.graph.record(ConvBackwardInput { shape: self.shape }, &[dy, g]);
        vec![dx.into(), forward(&self.shape, x, g).into()]
    }

    fn accumulates(&self) -> bool {
        true
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// The convolution (cross-correlation) of images `[batch, channels_in, height, width]` with a weight
    /// `[channels_out, channels_in / groups, height, width]`, plus a bias `[channels_out]`.
    #[track_caller]
    pub fn conv2d(self, weight: Var<'g, T>, bias: Option<Var<'g, T>>, options: Conv2dOptions) -> Var<'g, T> {
        let op = ConvForward { options, activation: Activation::Identity };
        match bias {
            Some(bias) => self.graph.record(op, &[self, weight, bias]),
            None => self.graph.record(op, &[self, weight]),
        }
    }
}
