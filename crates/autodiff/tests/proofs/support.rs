//! What several proofs need: random numbers, parameter lists, a plain optimizer, central differences.

use bantam_autodiff::ParameterSpec;
use bantam_core::random::{Key, Purpose, Stream, below, shuffle, unit_f32};
use bantam_core::{Optimizer, Shape, UpdateContext};

/// Where random operands are taken from, so that no difference quotient reaches over a kink or a pole.
#[derive(Clone, Copy, Debug)]
pub enum Domain {
    /// [−2, 2].
    Any,
    /// [0.4, 2.5].
    Positive,
    /// Between 0.5 and 1.5, with either sign.
    AwayFromZero,
    /// Odd multiples of 0.05, each once, in random order: no two are closer than 0.1, none is closer than 0.05 to 0
    /// or to another multiple of 0.1.
    Distinct,
}

pub fn rng(seed: u64) -> Stream {
    Key::new(seed, Purpose::User).stream()
}

pub fn draw(domain: Domain, count: usize, rng: &mut Stream) -> Vec<f64> {
    let mut unit = || f64::from(unit_f32(rng));
    match domain {
        Domain::Any => (0..count).map(|_| 4.0 * unit() - 2.0).collect(),
        Domain::Positive => (0..count).map(|_| 0.4 + 2.1 * unit()).collect(),
        Domain::AwayFromZero => {
            (0..count).map(|_| (0.5 + unit()) * if unit() < 0.5 { -1.0 } else { 1.0 }).collect()
        }
        Domain::Distinct => {
            let mut order: Vec<usize> = (0..count).collect();
            shuffle(rng, &mut order);
            order.iter().map(|&k| 0.1 * (k as f64 - (count / 2) as f64) + 0.05).collect()
        }
    }
}

/// Up to `most` of the numbers below `count`, without repetition.
pub fn choose(count: usize, most: usize, rng: &mut Stream) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    for at in 0..most.min(count) {
        let other = at + below(rng, (count - at) as u32) as usize;
        all.swap(at, other);
    }
    all.truncate(most);
    all
}

/// The derivative of `f` at 0 by differences of fourth order: (8(f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h.
///
/// Its error is about h⁴·f⁽⁵⁾/30 from what it leaves out and ε·|f|/h from rounding; both are smallest together at
/// h = ε^(1/5) ≈ 7.4e-4, where each is about 3e-13 of a function whose derivatives are around 1. That leaves six
/// digits for harder functions before an error of 1e-6 would be the quotient's own.
pub fn derivative(scale: f64, mut f: impl FnMut(f64) -> f64) -> f64 {
    let h = f64::EPSILON.powf(0.2) * scale.max(1.0);
    let near = f(h) - f(-h);
    let far = f(2.0 * h) - f(-2.0 * h);
    (8.0 * near - far) / (12.0 * h)
}

pub fn parameter(path: &str, dims: &[usize]) -> ParameterSpec {
    ParameterSpec { path: path.into(), shape: Shape::new(dims).unwrap(), trainable: true, buffer: false }
}

pub fn frozen(path: &str, dims: &[usize]) -> ParameterSpec {
    ParameterSpec { trainable: false, ..parameter(path, dims) }
}

pub fn buffer(path: &str, dims: &[usize]) -> ParameterSpec {
    ParameterSpec { trainable: false, buffer: true, ..parameter(path, dims) }
}

/// Gradient descent with momentum: as much state as parameters, and it scribbles over the gradient as it may.
pub struct Momentum {
    pub rate: f64,
    pub momentum: f64,
}

impl<T: bantam_autodiff::Element> Optimizer<T> for Momentum {
    fn state_len(&self, parameter_len: usize) -> usize {
        parameter_len
    }

    fn update(&self, _: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]) {
        assert!(parameter.len() == gradient.len() && parameter.len() == state.len());
        for ((p, g), v) in parameter.iter_mut().zip(gradient).zip(state) {
            *v = *v * T::from_f64(self.momentum) + *g;
            *p -= *v * T::from_f64(self.rate);
            *g = T::nan();
        }
    }
}
