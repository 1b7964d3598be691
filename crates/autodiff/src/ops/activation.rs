//! Activations. Their derivatives need only their output, so that the input need not be kept; but for GELU, which falls before it
//! rises.

use super::elementwise::{Elementwise, ZipElementwise};
use crate::Element;
#[cfg(feature = "alloc")]
use crate::{Gradient, Var};
use bantam_kernels::{Activation, functions as f};

impl<T: Element> Elementwise<T> for f::Relu {
    const NAME: &'static str = "relu";
    const ACTIVATION: Option<Activation> = Some(Activation::Relu);
    #[cfg(feature = "alloc")]
    fn derivative<'g>(self, _: Var<'g, T>, y: Var<'g, T>, dy: Var<'g, T>) -> Gradient<'g, T> {
        dy.alike(y, f::ReluGrad).into()
    }
}

impl<T: Element> ZipElementwise<T> for f::ReluGrad {
    const NAME: &'static str = "relu_grad";
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        _: Var<'g, T>,
        y: Var<'g, T>,
        _: Var<'g, T>,
        g: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        [g.alike(y, f::ReluGrad).into(), Gradient::Zero]
    }
}

impl<T: Element> Elementwise<T> for f::Sigmoid {
    const NAME: &'static str = "sigmoid";
    #[cfg(feature = "alloc")]
    fn derivative<'g>(self, _: Var<'g, T>, y: Var<'g, T>, dy: Var<'g, T>) -> Gradient<'g, T> {
        dy.alike(y, f::SigmoidGrad).into()
    }
}

impl<T: Element> ZipElementwise<T> for f::SigmoidGrad {
    const NAME: &'static str = "sigmoid_grad";
    /// Of dy·y·(1 − y).
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        dy: Var<'g, T>,
        y: Var<'g, T>,
        _: Var<'g, T>,
        g: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        let slope = y * T::from_f64(-2.0) + T::one();
        [g.alike(y, f::SigmoidGrad).into(), (g * dy * slope).into()]
    }
}

impl<T: Element> Elementwise<T> for f::Tanh {
    const NAME: &'static str = "tanh";
    #[cfg(feature = "alloc")]
    fn derivative<'g>(self, _: Var<'g, T>, y: Var<'g, T>, dy: Var<'g, T>) -> Gradient<'g, T> {
        dy.alike(y, f::TanhGrad).into()
    }
}

impl<T: Element> ZipElementwise<T> for f::TanhGrad {
    const NAME: &'static str = "tanh_grad";
    /// Of dy·(1 − y²).
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        dy: Var<'g, T>,
        y: Var<'g, T>,
        _: Var<'g, T>,
        g: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        [g.alike(y, f::TanhGrad).into(), (g * dy * y * T::from_f64(-2.0)).into()]
    }
}

impl<T: Element> Elementwise<T> for f::Gelu {
    const NAME: &'static str = "gelu";
    #[cfg(feature = "alloc")]
    fn derivative<'g>(self, x: Var<'g, T>, y: Var<'g, T>, dy: Var<'g, T>) -> Gradient<'g, T> {
        (dy * x.alike(y, f::GeluSlope)).into()
    }
}

impl<T: Element> ZipElementwise<T> for f::GeluSlope {
    const NAME: &'static str = "gelu_slope";
    /// Of Φ(x) + x·φ(x): φ(x)·(2 − x²). What y adds to it is counted with x, of which y is a function.
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        x: Var<'g, T>,
        _: Var<'g, T>,
        _: Var<'g, T>,
        g: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        let square = x.square();
        let density = (square * T::from_f64(-0.5)).exp() * T::from_f64(0.398_942_280_401_432_7);
        [(g * density * (-square + T::from_f64(2.0))).into(), Gradient::Zero]
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// max(0, x) (Nair and Hinton, 2010); derivative 0 at 0.
    #[track_caller]
    pub fn relu(self) -> Var<'g, T> {
        self.unary(f::Relu)
    }

    /// The logistic function 1/(1 + e⁻ˣ).
    #[track_caller]
    pub fn sigmoid(self) -> Var<'g, T> {
        self.unary(f::Sigmoid)
    }

    /// The hyperbolic tangent.
    #[track_caller]
    pub fn tanh(self) -> Var<'g, T> {
        self.unary(f::Tanh)
    }

    /// x · Φ(x), where Φ is the normal distribution function (Hendrycks and Gimpel, 2016): by the error function, not by tanh.
    #[track_caller]
    pub fn gelu(self) -> Var<'g, T> {
        self.unary(f::Gelu)
    }
}
