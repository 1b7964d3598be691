//! What is learned: data sets that a board can have without memory for them, and the networks for them.

use bantam::core::Shape;
use bantam::core::random::{Key, Purpose, unit_f32};
use bantam::data::{Dataset, Error, Rows, Target, idx::IdxDataset};
use rand_core::Rng;

/// The number of features of [`Patterns`].
pub const FEATURES: usize = 16;
/// The number of classes of [`Patterns`].
pub const CLASSES: usize = 4;

/// Noisy patterns: each class is a corner of a cube in 16 dimensions, each sample a corner plus noise in every feature.
///
/// Samples are computed when they are asked for, from the seed and their number, so a data set takes no memory.
#[derive(Clone, Copy, Debug)]
pub struct Patterns {
    /// The seed of corners and noise.
    pub seed: u64,
    /// How many samples there are.
    pub len: usize,
    /// The number of the first sample, so that training and test data differ.
    pub first: usize,
}

impl Patterns {
    fn check(&self, index: usize) -> Result<usize, Error> {
        if index < self.len { Ok(self.first + index) } else { Err(Error::Index { index, len: self.len }) }
    }
}

impl Dataset for Patterns {
    fn len(&self) -> usize {
        self.len
    }

    fn features(&self) -> Shape {
        Shape::of([FEATURES])
    }

    fn target(&self) -> Target {
        Target::Classes(CLASSES)
    }

    fn write_features(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        let sample = self.check(index)?;
        if out.len() != FEATURES {
            return Err(Error::Length { what: "features", expected: FEATURES, found: out.len() });
        }
        let key = Key::new(self.seed, Purpose::Generate);
        let mut corner = key.step(1).node((sample % CLASSES) as u64).stream();
        let mut noise = key.node(sample as u64).stream();
        for x in out {
            let side = if corner.next_u32() < 1 << 31 { -0.5 } else { 0.5 };
            // The sum of three uniform numbers is nearly normal, with a standard deviation of 1/2.
            let bell = (0..3).map(|_| unit_f32(&mut noise)).sum::<f32>() - 1.5;
            *x = side + 1.2 * bell;
        }
        Ok(())
    }

    fn label(&self, index: usize) -> Result<u32, Error> {
        Ok((self.check(index)? % CLASSES) as u32)
    }
}

/// 256 [`Patterns`] to train on and 128 others to test with.
pub fn patterns() -> [Patterns; 2] {
    [Patterns { seed: 3, len: 256, first: 0 }, Patterns { seed: 3, len: 128, first: 256 }]
}

/// The handwritten digits: four fifths to train on, and the rest, by other writers, to test with.
///
/// # Errors
/// None: the data set has as many samples.
pub fn digits() -> Result<[Rows<IdxDataset<&'static [u8]>>; 2], Error> {
    let split = 1437;
    let all = bantam::data::digits();
    Ok([all.rows(0..split)?, bantam::data::digits().rows(split..1797)?])
}
