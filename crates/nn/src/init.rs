//! Initial values of parameters.
//!
//! A layer should neither amplify nor dampen what passes through it: with weights of variance v, an output is a sum of
//! `fan_in` terms, so its variance is `fan_in · v` times that of the input; the gradient has the same with `fan_out`.
//! The named rules choose v so that one of the two, or both on average, stay at 1.

use bantam_core::{Real, Shape, random::Stream};
use num_traits::Float;
use rand_distr::{Distribution, StandardNormal, StandardUniform};

/// How a parameter gets its first values.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Initializer {
    /// 0, the usual choice for biases.
    Zeros,
    /// The same number everywhere; 1 for gains.
    Constant(f64),
    /// Uniform in `[low, high)`.
    Uniform {
        /// The least value.
        low: f64,
        /// Just above the largest value.
        high: f64,
    },
    /// Normal.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        std: f64,
    },
    /// Uniform with variance 2 / (fan_in + fan_out): for tanh and sigmoid (Glorot and Bengio, 2010).
    GlorotUniform,
    /// Normal with variance 2 / (fan_in + fan_out): for tanh and sigmoid (Glorot and Bengio, 2010).
    GlorotNormal,
    /// Uniform with variance 2 / fan_in: for ReLU, which lets half of the variance through (He et al., 2015).
    HeUniform,
    /// Normal with variance 2 / fan_in: for ReLU, which lets half of the variance through (He et al., 2015). The
    /// default for weights.
    HeNormal,
    /// Uniform with variance 1 / fan_in: for linear units and SELU (LeCun et al., 1998).
    LecunUniform,
    /// Normal with variance 1 / fan_in: for linear units and SELU (LeCun et al., 1998).
    LecunNormal,
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
    /// Fills `values`, which have shape `shape`, with numbers from `stream`.
    pub fn fill<T: Real>(self, shape: Shape, stream: &mut Stream, values: &mut [T]) {
        let (fan_in, fan_out) = fans(shape);
        let (fan_in, fan_out) = (fan_in.max(1) as f64, fan_out.max(1) as f64);
        // A uniform number in [-a, a) has the variance a² / 3.
        let symmetric = |variance: f64| {
            let a = Float::sqrt(3.0 * variance);
            Initializer::Uniform { low: -a, high: a }
        };
        let normal = |variance: f64| Initializer::Normal { mean: 0.0, std: Float::sqrt(variance) };
        match self {
            Initializer::Zeros => values.fill(T::zero()),
            Initializer::Constant(value) => values.fill(T::from_f64(value)),
            Initializer::Uniform { low, high } => values.iter_mut().for_each(|value| {
                let unit: f64 = StandardUniform.sample(stream);
                *value = T::from_f64(low + (high - low) * unit);
            }),
            Initializer::Normal { mean, std } => values.iter_mut().for_each(|value| {
                let standard: f64 = StandardNormal.sample(stream);
                *value = T::from_f64(mean + std * standard);
            }),
            Initializer::GlorotUniform => symmetric(2.0 / (fan_in + fan_out)).fill(shape, stream, values),
            Initializer::GlorotNormal => normal(2.0 / (fan_in + fan_out)).fill(shape, stream, values),
            Initializer::HeUniform => symmetric(2.0 / fan_in).fill(shape, stream, values),
            Initializer::HeNormal => normal(2.0 / fan_in).fill(shape, stream, values),
            Initializer::LecunUniform => symmetric(1.0 / fan_in).fill(shape, stream, values),
            Initializer::LecunNormal => normal(1.0 / fan_in).fill(shape, stream, values),
        }
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
            (Initializer::GlorotUniform, 2.0 / (fan_in + fan_out)),
            (Initializer::GlorotNormal, 2.0 / (fan_in + fan_out)),
            (Initializer::HeUniform, 2.0 / fan_in),
            (Initializer::HeNormal, 2.0 / fan_in),
            (Initializer::LecunUniform, 1.0 / fan_in),
            (Initializer::LecunNormal, 1.0 / fan_in),
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
