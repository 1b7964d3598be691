//! Small two-dimensional problems that no straight line solves, for examples and tests.

use crate::{Error, InMemory};
use alloc::vec::Vec;
use bantam_core::Real;
use bantam_core::random::{Key, Purpose, unit_f32};
use bantam_tensor::Tensor;
use core::f32::consts::PI;
use rand_core::Rng;

/// Two interleaving half circles; class 0 is the upper one. `noise` is the standard deviation that is added to every
/// coordinate, 0.1 is common.
///
/// # Errors
/// [`Error::NoRows`] with fewer than two samples, [`Error::NonFinite`] with a noise that is not finite.
pub fn moons(samples: usize, noise: f32, seed: u64) -> Result<InMemory, Error> {
    generate(samples, noise, seed, |class, t| {
        let (sine, cosine) = sine_cosine(PI * t);
        if class == 0 { [cosine, sine] } else { [1.0 - cosine, 0.5 - sine] }
    })
}

/// Two spirals that wind around each other one and a half times.
///
/// # Errors
/// [`Error::NoRows`] with fewer than two samples, [`Error::NonFinite`] with a noise that is not finite.
pub fn spirals(samples: usize, noise: f32, seed: u64) -> Result<InMemory, Error> {
    generate(samples, noise, seed, |class, t| {
        let (sine, cosine) = sine_cosine(3.0 * PI * t + PI * class as f32);
        let radius = 0.1 + 0.9 * t;
        [radius * cosine, radius * sine]
    })
}

/// Points of the square from −1 to 1; class 1 where the signs of the coordinates differ.
///
/// # Errors
/// [`Error::NoRows`] with fewer than two samples.
pub fn xor(samples: usize, seed: u64) -> Result<InMemory, Error> {
    let mut quadrant = Key::new(seed, Purpose::Generate).node(1).stream();
    generate(samples, 0.0, seed, move |class, t| {
        let y = 1.0 - unit_f32(&mut quadrant); // in (0, 1], so that no point lies on the border
        let x = 1.0 - t;
        let side = if quadrant.next_u32() >> 31 == 0 { 1.0 } else { -1.0 };
        if class == 0 { [side * x, side * y] } else { [side * x, -side * y] }
    })
}

/// Samples of class 0 and 1 in turn: the point of a class at a random place t in [0, 1), plus noise.
fn generate(
    samples: usize,
    noise: f32,
    seed: u64,
    mut point: impl FnMut(u32, f32) -> [f32; 2],
) -> Result<InMemory, Error> {
    if samples < 2 {
        return Err(Error::NoRows);
    }
    let mut rng = Key::new(seed, Purpose::Generate).stream();
    let labels: Vec<u32> = (0..samples as u32).map(|i| i % 2).collect();
    let mut features = Vec::with_capacity(2 * samples);
    for &class in &labels {
        let clean = point(class, unit_f32(&mut rng));
        let disturbance = normal_pair(&mut rng);
        features.extend(clean.iter().zip(disturbance).map(|(x, d)| x + noise * d));
    }
    let table = Tensor::from_vec(features, [samples, 2]).map_err(|_| Error::NoRows)?;
    InMemory::classification(table, labels, 2)
}

/// Two independent standard normal numbers (Box and Muller, 1958).
fn normal_pair(rng: &mut impl Rng) -> [f32; 2] {
    let radius = square_root(-2.0 * logarithm(1.0 - unit_f32(rng)));
    let (sine, cosine) = sine_cosine(2.0 * PI * unit_f32(rng));
    [radius * cosine, radius * sine]
}

// The functions that `core` does not have, through `Real`.
fn sine_cosine<T: Real>(x: T) -> (T, T) {
    x.sin_cos()
}
fn square_root<T: Real>(x: T) -> T {
    x.sqrt()
}
fn logarithm<T: Real>(x: T) -> T {
    x.ln()
}
