//! Arithmetic with broadcasting, and the elementary functions.

use super::elementwise::{Elementwise, ZipElementwise};
use crate::Element;
#[cfg(feature = "alloc")]
use crate::{Gradient, Graph, Var};
#[cfg(feature = "alloc")]
use bantam_core::Shape;
use bantam_kernels::functions as f;

impl<T: Element> ZipElementwise<T> for f::Add {
    const NAME: &'static str = "add";
    const IS_SUM: bool = true;
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        _: Var<'g, T>,
        _: Var<'g, T>,
        _: Var<'g, T>,
        dy: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        [dy.into(), dy.into()]
    }
}

impl<T: Element> ZipElementwise<T> for f::Sub {
    const NAME: &'static str = "sub";
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        _: Var<'g, T>,
        _: Var<'g, T>,
        _: Var<'g, T>,
        dy: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        [dy.into(), (-dy).into()]
    }
}

impl<T: Element> ZipElementwise<T> for f::Mul {
    const NAME: &'static str = "mul";
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        a: Var<'g, T>,
        b: Var<'g, T>,
        _: Var<'g, T>,
        dy: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        [(dy * b).into(), (dy * a).into()]
    }
}

impl<T: Element> ZipElementwise<T> for f::Div {
    const NAME: &'static str = "div";
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        _: Var<'g, T>,
        b: Var<'g, T>,
        y: Var<'g, T>,
        dy: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        let da = dy / b;
        [da.into(), (-(da * y)).into()]
    }
}

impl<T: Element> ZipElementwise<T> for f::Pow {
    const NAME: &'static str = "pow";
    /// For the exponent: dy · y · ln a, which is defined for positive bases only.
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        a: Var<'g, T>,
        b: Var<'g, T>,
        y: Var<'g, T>,
        dy: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        [(dy * b * a.pow(b - T::one())).into(), (dy * y * a.ln()).into()]
    }
}

impl<T: Element> ZipElementwise<T> for f::Max {
    const NAME: &'static str = "maximum";
    /// Where both are equal each gets half, as in PyTorch.
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        a: Var<'g, T>,
        b: Var<'g, T>,
        _: Var<'g, T>,
        dy: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        larger(a, b, dy)
    }
}

impl<T: Element> ZipElementwise<T> for f::Min {
    const NAME: &'static str = "minimum";
    /// Where both are equal each gets half, as in PyTorch.
    #[cfg(feature = "alloc")]
    fn derivatives<'g>(
        self,
        a: Var<'g, T>,
        b: Var<'g, T>,
        _: Var<'g, T>,
        dy: Var<'g, T>,
    ) -> [Gradient<'g, T>; 2] {
        // a is the smaller where b is the larger.
        larger(b, a, dy)
    }
}

#[cfg(feature = "alloc")]
fn larger<'g, T: Element>(a: Var<'g, T>, b: Var<'g, T>, dy: Var<'g, T>) -> [Gradient<'g, T>; 2] {
    let half = a.equal(b) * T::from_f64(0.5);
    [(dy * (a.greater(b) + half)).into(), (dy * (b.greater(a) + half)).into()]
}

/// Comparisons are flat wherever they are differentiable.
macro_rules! flat {
    ($($function:ty => $name:literal),*) => {$(
        impl<T: Element> ZipElementwise<T> for $function {
            const NAME: &'static str = $name;
            #[cfg(feature = "alloc")]
            fn derivatives<'g>(self, _: Var<'g, T>, _: Var<'g, T>, _: Var<'g, T>, _: Var<'g, T>) -> [Gradient<'g, T>; 2] {
                [Gradient::Zero, Gradient::Zero]
            }
        }
    )*};
}
flat!(f::Greater => "greater", f::GreaterEqual => "greater_equal", f::Equal => "equal");

/// One elementwise function: its name and its derivative as a formula in x, y and dy.
macro_rules! elementwise {
    ($($function:ty, $name:literal, |$self:ident, $x:ident, $y:ident, $dy:ident| $derivative:expr;)*) => {$(
        impl<T: Element> Elementwise<T> for $function {
            const NAME: &'static str = $name;
            #[cfg(feature = "alloc")]
            #[allow(unused_variables, reason = "most formulas need x or y, not both")]
            fn derivative<'g>($self, $x: Var<'g, T>, $y: Var<'g, T>, $dy: Var<'g, T>) -> Gradient<'g, T> {
                $derivative.into()
            }
        }
    )*};
}
elementwise! {
    f::Neg, "neg", |self, x, y, dy| -dy;
    f::Abs, "abs", |self, x, y, dy| dy * x.unary(f::Sign);
    f::Exp, "exp", |self, x, y, dy| dy * y;
    f::Ln, "ln", |self, x, y, dy| dy / x;
    f::Sqrt, "sqrt", |self, x, y, dy| dy / y * T::from_f64(0.5);
    f::Rsqrt, "rsqrt", |self, x, y, dy| dy * (y * y * y) * T::from_f64(-0.5);
    f::Recip, "recip", |self, x, y, dy| -(dy * y * y);
    f::Square, "square", |self, x, y, dy| dy * x * T::from_f64(2.0);
    f::Sin, "sin", |self, x, y, dy| dy * x.cos();
    f::Cos, "cos", |self, x, y, dy| -(dy * x.sin());
    f::Sign, "sign", |self, x, y, dy| Gradient::Zero;
    f::Step, "step", |self, x, y, dy| Gradient::Zero;
    f::AddScalar<T>, "add_scalar", |self, x, y, dy| dy;
    f::MulScalar<T>, "mul_scalar", |self, x, y, dy| dy * self.0;
    f::PowScalar<T>, "pow_scalar", |self, x, y, dy| dy * (x.powf(self.0 - T::one()) * self.0);
    f::Clamp<T>, "clamp", |self, x, y, dy| dy * x.equal(y);
}

macro_rules! operators {
    ($($trait:ident, $method:ident, $function:expr, |$x:ident, $s:ident| $scalar:expr;)*) => {$(
        #[cfg(feature = "alloc")]
        impl<'g, T: Element> core::ops::$trait for Var<'g, T> {
            type Output = Var<'g, T>;
            #[track_caller]
            fn $method(self, other: Var<'g, T>) -> Var<'g, T> {
                self.binary(other, $function)
            }
        }
        #[cfg(feature = "alloc")]
        impl<'g, T: Element> core::ops::$trait<T> for Var<'g, T> {
            type Output = Var<'g, T>;
            #[track_caller]
            fn $method(self, $s: T) -> Var<'g, T> {
                let $x = self;
                $scalar
            }
        }
    )*};
}
operators! {
    Add, add, f::Add, |x, s| x.unary(f::AddScalar(s));
    Sub, sub, f::Sub, |x, s| x.unary(f::AddScalar(-s));
    Mul, mul, f::Mul, |x, s| x.unary(f::MulScalar(s));
    Div, div, f::Div, |x, s| x.unary(f::MulScalar(T::one() / s));
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> core::ops::Neg for Var<'g, T> {
    type Output = Var<'g, T>;
    #[track_caller]
    fn neg(self) -> Var<'g, T> {
        self.unary(f::Neg)
    }
}

#[cfg(feature = "alloc")]
impl<T: Element> Graph<T> {
    /// A single number that never changes.
    #[track_caller]
    pub fn constant(&self, value: T) -> Var<'_, T> {
        self.full(Shape::SCALAR, value)
    }
}

#[cfg(feature = "alloc")]
impl<'g, T: Element> Var<'g, T> {
    /// |x|; derivative 0 at 0.
    #[track_caller]
    pub fn abs(self) -> Var<'g, T> {
        self.unary(f::Abs)
    }

    /// eˣ.
    #[track_caller]
    pub fn exp(self) -> Var<'g, T> {
        self.unary(f::Exp)
    }

    /// The natural logarithm.
    #[track_caller]
    pub fn ln(self) -> Var<'g, T> {
        self.unary(f::Ln)
    }

    /// √x.
    #[track_caller]
    pub fn sqrt(self) -> Var<'g, T> {
        self.unary(f::Sqrt)
    }

    /// 1/√x.
    #[track_caller]
    pub fn rsqrt(self) -> Var<'g, T> {
        self.unary(f::Rsqrt)
    }

    /// 1/x.
    #[track_caller]
    pub fn recip(self) -> Var<'g, T> {
        self.unary(f::Recip)
    }

    /// x².
    #[track_caller]
    pub fn square(self) -> Var<'g, T> {
        self.unary(f::Square)
    }

    /// sin x, x in radians.
    #[track_caller]
    pub fn sin(self) -> Var<'g, T> {
        self.unary(f::Sin)
    }

    /// cos x, x in radians.
    #[track_caller]
    pub fn cos(self) -> Var<'g, T> {
        self.unary(f::Cos)
    }

    /// x to a fixed power.
    #[track_caller]
    pub fn powf(self, exponent: T) -> Var<'g, T> {
        self.unary(f::PowScalar(exponent))
    }

    /// x to the power of another value, with broadcasting. The gradient of the exponent exists for positive bases.
    #[track_caller]
    pub fn pow(self, exponent: Var<'g, T>) -> Var<'g, T> {
        self.binary(exponent, f::Pow)
    }

    /// The larger of two, with broadcasting.
    #[track_caller]
    pub fn maximum(self, other: Var<'g, T>) -> Var<'g, T> {
        self.binary(other, f::Max)
    }

    /// The smaller of two, with broadcasting.
    #[track_caller]
    pub fn minimum(self, other: Var<'g, T>) -> Var<'g, T> {
        self.binary(other, f::Min)
    }

    /// x limited to `[low, high]`; the gradient passes where x is inside.
    #[track_caller]
    pub fn clamp(self, low: T, high: T) -> Var<'g, T> {
        self.unary(f::Clamp { low, high })
    }

    /// 1 where x > other, else 0. Its derivative is 0.
    #[track_caller]
    pub fn greater(self, other: Var<'g, T>) -> Var<'g, T> {
        self.binary(other, f::Greater)
    }

    /// 1 where both are equal, else 0. Its derivative is 0.
    #[track_caller]
    pub fn equal(self, other: Var<'g, T>) -> Var<'g, T> {
        self.binary(other, f::Equal)
    }
}
