//! Initial values of parameters.
//!
//! A layer should neither amplify nor dampen what passes through it: with weights of variance v, an output is a sum of
//! `fan_in` terms, so its variance is `fan_in · v` times that of the input; the gradient has the same with `fan_out`.
//! The named rules choose v so that one of the two, or both on average, stay at 1.

use bantam_autodiff::{Element, StaticSession};
use bantam_core::{
    Real, Shape,
    random::{Key, Purpose, Stream},
};
use core::fmt;
use num_traits::Float;
use rand_distr::{Distribution, StandardNormal, StandardUniform};

/// How a parameter gets its first values: each is `offset + spread · z`, with numbers z that are drawn one by one.
///
/// It carries the functions that draw and that scale, so that a program holds only what its layers ask for: the tables behind normal
/// numbers take 6 kB of flash, a square root of `f64` 0.8 kB, and a sum of `f64` 0.7 kB.
#[derive(Clone, Copy)]
pub struct Initializer {
    name: &'static str,
    /// Draws a value, with this offset and spread.
    draw: fn(f64, f64, &mut Stream) -> f64,
    offset: f64,
    gain: f64,
    /// The spread that follows from gain and shape.
    spread: fn(f64, Shape) -> f64,
}

/// The gain, for every shape.
fn fixed(gain: f64, _: Shape) -> f64 {
    gain
}

/// √(gain / fan_in).
fn over_fan_in(gain: f64, shape: Shape) -> f64 {
    Float::sqrt(gain / fans(shape).0.max(1) as f64)
}

/// √(gain / (fan_in + fan_out)).
fn over_both_fans(gain: f64, shape: Shape) -> f64 {
    let (fan_in, fan_out) = fans(shape);
    Float::sqrt(gain / (fan_in.max(1) + fan_out.max(1)) as f64)
}

/// The offset.
fn constant(offset: f64, _: f64, _: &mut Stream) -> f64 {
    offset
}

/// With z in [0, 1).
fn unit(offset: f64, spread: f64, stream: &mut Stream) -> f64 {
    let z: f64 = StandardUniform.sample(stream);
    offset + spread * z
}

/// With z in [-1, 1), whose variance is 1/3, and without an offset: twice a number of [`unit`] less 1, which has 53 bits. In
/// integers it takes no sum of `f64`.
fn symmetric(_: f64, spread: f64, stream: &mut Stream) -> f64 {
    let bits: u64 = StandardUniform.sample(stream);
    let z = (bits >> 11) as i64 - (1 << 52);
    z as f64 * (spread / (1_u64 << 52) as f64)
}

/// With z of mean 0 and variance 1.
fn normal(offset: f64, spread: f64, stream: &mut Stream) -> f64 {
    let z: f64 = StandardNormal.sample(stream);
    offset + spread * z
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
        Initializer::scaled("Glorot uniform", symmetric, 3.0 * 2.0, over_both_fans);
    /// Normal with variance 2 / (fan_in + fan_out): for tanh and sigmoid (Glorot and Bengio, 2010).
    pub const GLOROT_NORMAL: Initializer = Initializer::scaled("Glorot normal", normal, 2.0, over_both_fans);
    /// Uniform with variance 2 / fan_in: for ReLU, which lets half of the variance through (He et al., 2015).
    pub const HE_UNIFORM: Initializer = Initializer::scaled("He uniform", symmetric, 3.0 * 2.0, over_fan_in);
    /// Normal with variance 2 / fan_in: for ReLU, which lets half of the variance through (He et al., 2015). The
    /// default for weights.
    pub const HE_NORMAL: Initializer = Initializer::scaled("He normal", normal, 2.0, over_fan_in);
    /// Uniform with variance 1 / fan_in: for linear units and SELU (LeCun et al., 1998).
    pub const LECUN_UNIFORM: Initializer = Initializer::scaled("LeCun uniform", symmetric, 3.0, over_fan_in);
    /// Normal with variance 1 / fan_in: for linear units and SELU (LeCun et al., 1998).
    pub const LECUN_NORMAL: Initializer = Initializer::scaled("LeCun normal", normal, 1.0, over_fan_in);

    /// The same number everywhere; 1 for gains.
    pub const fn constant(value: f64) -> Initializer {
        Initializer { name: "constant", draw: constant, offset: value, gain: 0.0, spread: fixed }
    }

    /// Uniform in `[low, high)`.
    pub const fn uniform(low: f64, high: f64) -> Initializer {
        Initializer { name: "uniform", draw: unit, offset: low, gain: high - low, spread: fixed }
    }

    /// Uniform in `[-bound, bound)`: the bits of a named uniform rule, with the bound that it finds for a shape.
    pub const fn symmetric(bound: f64) -> Initializer {
        Initializer::scaled("symmetric", symmetric, bound, fixed)
    }

    /// Normal with this mean and standard deviation.
    pub const fn normal(mean: f64, std: f64) -> Initializer {
        Initializer { name: "normal", draw: normal, offset: mean, gain: std, spread: fixed }
    }

    const fn scaled(
        name: &'static str,
        draw: fn(f64, f64, &mut Stream) -> f64,
        gain: f64,
        spread: fn(f64, Shape) -> f64,
    ) -> Initializer {
        Initializer { name, draw, offset: 0.0, gain, spread }
    }

    /// Fills `values`, which have shape `shape`, with numbers from `stream`.
    pub fn fill<T: Real>(self, shape: Shape, stream: &mut Stream, values: &mut [T]) {
        let spread = (self.spread)(self.gain, shape);
        for value in values {
            *value = T::from_f64((self.draw)(self.offset, spread, stream));
        }
    }
}

/// Gives every parameter and buffer of a plan in flash its first value, by the initializers in the order of declaration: the bits that
/// [`Params::initialize`](crate::Params::initialize) draws for a session. What is frozen stays as it is in flash.
pub fn initialize_static<T: Element>(
    session: &mut StaticSession<'_, T>,
    initializers: &[Initializer],
    seed: u64,
) {
    for (index, initializer) in initializers.iter().enumerate() {
        let shape = session.parameter_shape(index);
        initializer.fill(shape, &mut stream(seed, index), session.parameter_mut(index));
    }
}

/// Each parameter draws from a stream of its own, so adding a layer at the end does not change the numbers of those before it.
pub(crate) fn stream(seed: u64, index: usize) -> Stream {
    Key::new(seed, Purpose::Initialize).node(index as u64).stream()
}

impl fmt::Debug for Initializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Initializer {
    /// By name and numbers: the address of a function says little.
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.offset, self.gain) == (other.name, other.offset, other.gain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn symmetric_numbers_are_uniform_ones_on_both_sides_of_zero() {
        for bound in [0.1, 0.433_012_701_892_219_3, 3.0e7] {
            let [mut drawn, mut expected] = [(); 2].map(|()| Key::new(7, Purpose::Initialize).stream());
            for _ in 0..1000 {
                let z: f64 = StandardUniform.sample(&mut expected);
                let mut value = 0.0_f64;
                Initializer::symmetric(bound).fill(
                    Shape::SCALAR,
                    &mut drawn,
                    core::slice::from_mut(&mut value),
                );
                assert_eq!(value.to_bits(), (0.0 + bound * (2.0 * z - 1.0)).to_bits());
            }
        }
    }

    #[test]
    fn fans_follow_the_shape() {
        assert_eq!(fans(Shape::of([10, 20])), (20, 10));
        assert_eq!(fans(Shape::of([8, 4, 3, 3])), (36, 72));
        assert_eq!(fans(Shape::of([5])), (5, 5));
    }
}
