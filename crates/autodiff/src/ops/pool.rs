//! Pooling. The maximum is two ops, where it is and what it is: the second is linear, so its derivative is its
//! transpose, and only one byte per window is kept for the backward pass.

use super::{expect, reals};
use crate::{Element, Io, Kind, Op, OpError, StepContext, ValueType};
#[cfg(feature = "alloc")]
use crate::{Gradient, NodeRef, Var};
#[cfg(feature = "std")]
use alloc::{format, string::String};
#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};
use bantam_core::Shape;
use bantam_kernels::{
    PoolShape, avg_pool, avg_pool_backward, max_pool_argmax, max_pool_scatter, max_pool_select,
};

/// How the window moves over the image; each setting as `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2dOptions {
    /// The window's size.
    pub kernel: [usize; 2],
    /// The distance between neighbouring windows. Default: the window's size.
    pub stride: [usize; 2],
    /// Rows and columns around the image, on each side; at most half of the window. Default: 0.
    pub padding: [usize; 2],
    /// Whether an average counts the padding as zeros. Default: yes, as in PyTorch.
    pub count_include_pad: bool,
}

impl Pool2dOptions {
    /// A square window that moves by its own size.
    pub fn square(kernel: usize) -> Self {
        let both = [kernel; 2];
        Pool2dOptions { kernel: both, stride: both, padding: [0; 2], count_include_pad: true }
    }

    /// The same window at another stride.
    #[must_use]
    pub fn stride(mut self, stride: usize) -> Self {
        self.stride = [stride; 2];
        self
    }

    /// The same window with padding.
    #[must_use]
    pub fn padding(mut self, padding: usize) -> Self {
        self.padding = [padding; 2];
        self
    }

    fn shape(&self, op: &'static str, x: Shape) -> Result<PoolShape, OpError> {
        if x.rank() != 4 {
            return Err(OpError::Form { op, expected: "[batch, channels, height, width]", got: x });
        }
        for axis in 0..2 {
            let (kernel, padding) = (self.kernel[axis], self.padding[axis]);
            if kernel == 0 || self.stride[axis] == 0 {
                return Err(OpError::Setting { op, rule: "a window and a stride of at least 1", got: 0.0 });
            }
            if padding > kernel / 2 {
                let rule = "a padding of at most half of its window";
                return Err(OpError::Setting { op, rule, got: padding as f64 });
            }
            if kernel > x[2 + axis] + 2 * padding {
                let rule = "an image with its padding at least as large as the window, which has size";
                return Err(OpError::Setting { op, rule, got: kernel as f64 });
            }
        }
        Ok(PoolShape {
            planes: x[0] * x[1],
            height: x[2],
            width: x[3],
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
            dilation: [1; 2],
        })
    }
}

fn pooled(x: Shape, shape: &PoolShape) -> Shape {
    Shape::of([x[0], x[1], shape.out_height(), shape.out_width()])
}

/// Where in each window the maximum is.
#[derive(Clone, Copy, Debug)]
pub struct MaxPoolArgmax(
    /// How the window moves.
    pub Pool2dOptions,
);

impl<T: Element> Op<T> for MaxPoolArgmax {
    fn name(&self) -> &'static str {
        "max_pool2d_argmax"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x] = reals("max_pool2d", inputs)?;
        let shape = self.0.shape("max_pool2d", x)?;
        let elements = shape.kernel[0].saturating_mul(shape.kernel[1]);
        if elements > 256 {
            // A position inside a window is kept as a byte.
            let rule = "a window of at most 256 elements";
            return Err(OpError::Setting { op: "max_pool2d", rule, got: elements as f64 });
        }
        Ok(ValueType::byte(pooled(x, &shape)))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::MaxPoolArgmax(ops::{:?})", self.0))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let Ok(shape) = self.0.shape("max_pool2d", io.inputs.value(0).shape) else { return };
        max_pool_argmax(&cx.kernels, &shape, io.inputs.real(0), io.output.byte());
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, _node: &NodeRef<'_, 'g, T>, _dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![Gradient::Zero]
    }
}

/// The element of each window that an index names.
#[derive(Clone, Copy, Debug)]
pub struct MaxPoolSelect {
    /// The image's shape.
    pub image: Shape,
    /// How the window moves.
    pub options: Pool2dOptions,
}

#[cfg(feature = "std")]
impl MaxPoolSelect {
    fn literal(&self) -> String {
        let MaxPoolSelect { image, options } = self;
        format!("ops::MaxPoolSelect {{ image: Shape::of({image}), options: ops::{options:?} }}")
    }
}

impl<T: Element> Op<T> for MaxPoolSelect {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&x, &index] = expect("max_pool2d", inputs, [Kind::Real, Kind::Byte])?;
        if x != self.image {
            return Err(OpError::Shape { op: "max_pool2d", expected: self.image, got: x });
        }
        Ok(ValueType::real(index))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(self.literal())
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let Ok(shape) = self.options.shape("max_pool2d", self.image) else { return };
        max_pool_select(&cx.kernels, &shape, io.inputs.real(0), io.inputs.byte(1), io.output.real());
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        let index = node.input(1);
        vec![dy.graph.record(MaxPoolScatter(*self), &[dy, index]).into(), Gradient::Zero]
    }
}

/// The transpose of [`MaxPoolSelect`].
#[derive(Clone, Copy, Debug)]
pub struct MaxPoolScatter(
    /// What it is the transpose of.
    pub MaxPoolSelect,
);

impl<T: Element> Op<T> for MaxPoolScatter {
    fn name(&self) -> &'static str {
        "max_pool2d_backward"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        expect("max_pool2d_backward", inputs, [Kind::Real, Kind::Byte])?;
        Ok(ValueType::real(self.0.image))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!("ops::MaxPoolScatter({})", self.0.literal()))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let Ok(shape) = self.0.options.shape("max_pool2d", self.0.image) else { return };
        let (dy, index) = (io.inputs.real(0), io.inputs.byte(1));
        max_pool_scatter(&cx.kernels, &shape, dy, index, io.output.real(), io.accumulate);
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![dy.graph.record(self.0, &[dy, node.input(1)]).into(), Gradient::Zero]
    }

    fn accumulates(&self) -> bool {
        true
    }
}

/// The average of each window, or its transpose.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool {
    /// The image's shape.
    pub image: Shape,
    /// How the window moves.
    pub options: Pool2dOptions,
    /// Whether it is the transpose.
    pub transposed: bool,
}

impl<T: Element> Op<T> for AvgPool {
    fn name(&self) -> &'static str {
        if self.transposed { "avg_pool2d_backward" } else { "avg_pool2d" }
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType, OpError> {
        let [&got] = reals("avg_pool2d", inputs)?;
        let shape = self.options.shape("avg_pool2d", self.image)?;
        let small = pooled(self.image, &shape);
        let (expected, out) = if self.transposed { (small, self.image) } else { (self.image, small) };
        if got != expected {
            return Err(OpError::Shape { op: "avg_pool2d", expected, got });
        }
        Ok(ValueType::real(out))
    }

    #[cfg(feature = "std")]
    fn to_rust(&self) -> Option<String> {
        Some(format!(
            "ops::AvgPool {{ image: Shape::of({}), options: ops::{:?}, transposed: {} }}",
            self.image, self.options, self.transposed
        ))
    }

    fn eval(&self, cx: &StepContext<'_>, io: Io<'_, T>) {
        let Ok(shape) = self.options.shape("avg_pool2d", self.image) else { return };
        let include = self.options.count_include_pad;
        let (x, y) = (io.inputs.real(0), io.output.real());
        if self.transposed {
            avg_pool_backward(&cx.kernels, &shape, include, x, y, io.accumulate);
        } else {
            avg_pool(&cx.kernels, &shape, include, x, y);
        }
    }

    #[cfg(feature = "alloc")]
    fn vjp<'g>(&self, _node: &NodeRef<'_, 'g, T>, dy: Var<'g, T>) -> Vec<Gradient<'g, T>> {
        vec![dy.apply(AvgPool { transposed: !self.transposed, ..*self }).into()]
    }

    fn accumulates(&self) -> bool {
        self.transposed
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// The maximum of each square window of images `[batch, channels, height, width]`.
    #[track_caller]
    pub fn max_pool2d(self, kernel: usize) -> Var<'g, T> {
        self.max_pool2d_with(Pool2dOptions::square(kernel))
    }

    /// The maximum of each window.
    ///
    /// The maximum of rectified numbers is the rectified maximum, and its gradient is the same: a ReLU right before is
    /// applied after the pooling instead, to a fraction of the numbers.
    #[track_caller]
    pub fn max_pool2d_with(self, options: Pool2dOptions) -> Var<'g, T> {
        if let Some(x) = self.rectified() {
            return x.max_pool2d_with(options).relu();
        }
        let index = self.apply(MaxPoolArgmax(options));
        if self.graph.check().is_err() {
            return self;
        }
        self.graph.record(MaxPoolSelect { image: self.shape(), options }, &[self, index])
    }

    /// The average of each square window of images `[batch, channels, height, width]`.
    #[track_caller]
    pub fn avg_pool2d(self, kernel: usize) -> Var<'g, T> {
        self.avg_pool2d_with(Pool2dOptions::square(kernel))
    }

    /// The average of each window.
    #[track_caller]
    pub fn avg_pool2d_with(self, options: Pool2dOptions) -> Var<'g, T> {
        self.apply(AvgPool { image: self.shape(), options, transposed: false })
    }
}
