//! Initial values of parameters.
//!
//! A layer should neither amplify nor dampen what passes through it: with weights of variance v, an output is a sum of
//! `fan_in` terms, so its variance is `fan_in · v` times that of the input; the gradient has the same with `fan_out`.
//! The named rules choose v so that one of the two, or both on average, stay at 1.

use bantam_core::{Real, Shape, random::Stream};
use core::fmt;
use num_traits::Float;
use rand_distr::{Distribution, StandardNormal, StandardUniform};

/// How a parameter gets its first values: each is `offset + spread · z`, with numbers z that are drawn one by one.
///
/// It carries the function that draws, so that a program holds only what its layers ask for: the tables behind normal numbers take
/// 6 kB of flash.
#[derive(Clone, Copy)]
pub struct Initializer {
    name: &'static str,
    draw: fn(&mut Stream) -> f64,
    offset: f64,
    spread: Spread,
}

/// What drawn numbers are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    /// The same for every shape.
    Fixed(f64),
    /// √(this / fan_in).
    OverFanIn(f64),
    /// √(this / (fan_in + fan_out)).
    OverBothFans(f64),
}

/// In [0, 1).
fn unit(stream: &mut Stream) -> f64 {
    StandardUniform.sample(stream)
}

/// In [-1, 1): the variance is 1/3.
fn symmetric(stream: &mut Stream) -> f64 {
    2.0 * unit(stream) - 1.0
}

/// With mean 0 and variance 1.
fn normal(stream: &mut Stream) -> f64 {
    StandardNormal.sample(stream)
}

/// `(fan_in, fan_out)` of a weight `[fan_out, fan_in]` or `[channels_out, channels_in, kernel…]`: how many terms an
/// output sums, and how many outputs an input reaches. A vector has both of its length.
pub(crate) fn fans(shape: Shape) -> (usize, usize) {
    match shape.dims() {
        [] => (1, 1),
        [n] => (*n, *n),
        [out, inner, kernel @ ..] => {
            let taps: usize = kernel.iter().product();
            (inner * taps, out * taps)
        }
    }
}

impl Initializer {
    /// 0, the usual choice for biases.
    pub const ZEROS: Initializer = Initializer { name: "zeros", ..Initializer::constant(0.0) };
    /// Uniform with variance 2 / (fan_in + fan_out): for tanh and sigmoid (Glorot and Bengio, 2010).
    pub const GLOROT_UNIFORM: Initializer =
        Initializer::scaled("Glorot uniform", symmetric, Spread::OverBothFans(3.0 * 2.0));
    /// Normal with variance 2 / (fan_in + fan_out): for tanh and sigmoid (Glorot and Bengio, 2010).
    pub const GLOROT_NORMAL: Initializer =
        Initializer::scaled("Glorot normal", normal, Spread::OverBothFans(2.0));
    /// Uniform with variance 2 / fan_in: for ReLU, which lets half of the variance through (He et al., 2015).
    pub const HE_UNIFORM: Initializer =
        Initializer::scaled("He uniform", symmetric, Spread::OverFanIn(3.0 * 2.0));
    /// Normal with variance 2 / fan_in: for ReLU, which lets half of the variance through (He et al., 2015). The
    /// default for weights.
    pub const HE_NORMAL: Initializer = Initializer::scaled("He normal", normal, Spread::OverFanIn(2.0));
    /// Uniform with variance 1 / fan_in: for linear units and SELU (LeCun et al., 1998).
    pub const LECUN_UNIFORM: Initializer =
        Initializer::scaled("LeCun uniform", symmetric, Spread::OverFanIn(3.0));
    /// Normal with variance 1 / fan_in: for linear units and SELU (LeCun et al., 1998).
    pub const LECUN_NORMAL: Initializer = Initializer::scaled("LeCun normal", normal, Spread::OverFanIn(1.0));

    /// The same number everywhere; 1 for gains.
    pub const fn constant(value: f64) -> Initializer {
        Initializer { name: "constant", draw: |_| 0.0, offset: value, spread: Spread::Fixed(0.0) }
    }

    /// Uniform in `[low, high)`.
    pub const fn uniform(low: f64, high: f64) -> Initializer {
        Initializer { name: "uniform", draw: unit, offset: low, spread: Spread::Fixed(high - low) }
    }

    /// Normal with this mean and standard deviation.
    pub const fn normal(mean: f64, std: f64) -> Initializer {
        Initializer { name: "normal", draw: normal, offset: mean, spread: Spread::Fixed(std) }
    }

    const fn scaled(name: &'static str, draw: fn(&mut Stream) -> f64, spread: Spread) -> Initializer {
        Initializer { name, draw, offset: 0.0, spread }
    }

    /// Fills `values`, which have shape `shape`, with numbers from `stream`.
    pub fn fill<T: Real>(self, shape: Shape, stream: &mut Stream, values: &mut [T]) {
        let (fan_in, fan_out) = fans(shape);
        let (fan_in, fan_out) = (fan_in.max(1), fan_out.max(1));
        let over = |gain: f64, fan: usize| Float::sqrt(gain / fan as f64);
        let spread = match self.spread {
            Spread::Fixed(spread) => spread,
            Spread::OverFanIn(gain) => over(gain, fan_in),
            Spread::OverBothFans(gain) => over(gain, fan_in + fan_out),
        };
        for value in values {
            *value = T::from_f64(self.offset + spread * (self.draw)(stream));
        }
    }
}

impl fmt::Debug for Initializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Initializer {
    /// By name and numbers: the address of a function says little.
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.offset, self.spread) == (other.name, other.offset, other.spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bantam_core::random::{Key, Purpose};

    fn moments(initializer: Initializer, shape: Shape) -> (f64, f64) {
        let mut values = [0.0_f64; 40_000];
        let n = shape.len();
        let stream = &mut Key::new(7, Purpose::Initialize).stream();
        initializer.fill(shape, stream, &mut values[..n]);
        let mean = values[..n].iter().sum::<f64>() / n as f64;
        (mean, values[..n].iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64)
    }

    #[test]
    fn the_named_rules_have_the_variance_of_their_papers() {
        let shape = Shape::of([50, 80, 3, 3]);
        let (fan_in, fan_out) = (720.0, 450.0);
        for (rule, expected) in [
            (Initializer::GLOROT_UNIFORM, 2.0 / (fan_in + fan_out)),
            (Initializer::GLOROT_NORMAL, 2.0 / (fan_in + fan_out)),
            (Initializer::HE_UNIFORM, 2.0 / fan_in),
            (Initializer::HE_NORMAL, 2.0 / fan_in),
            (Initializer::LECUN_UNIFORM, 1.0 / fan_in),
            (Initializer::LECUN_NORMAL, 1.0 / fan_in),
        ] {
            let (mean, variance) = moments(rule, shape);
            // Of 36,000 draws: the mean's standard error is √(v/n), the variance's at most v·√(2/n) = 0.0075·v. Five each.
            assert!(mean.abs() < 5.0 * (expected / 36_000.0_f64).sqrt(), "{rule:?}: mean {mean}");
            assert!(
                (variance / expected - 1.0).abs() < 5.0 * 0.0075,
                "{rule:?}: {variance} instead of {expected}"
            );
        }
    }

    #[test]
    fn fans_follow_the_shape() {
        assert_eq!(fans(Shape::of([10, 20])), (20, 10));
        assert_eq!(fans(Shape::of([8, 4, 3, 3])), (36, 72));
        assert_eq!(fans(Shape::of([5])), (5, 5));
    }
}
