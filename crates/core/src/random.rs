//! Random numbers that can be drawn again: every stream is named by what it is for.
//!
//! A stream is keyed by `(seed, purpose, step, node)`. So a dropout mask is regenerated in the backward pass instead
//! of saved, a run that was interrupted draws the same numbers when it goes on, and adding a layer does not change the
//! numbers that the others draw. The values a key produces are part of the crate's promise: they change only with a
//! major version, and a test holds them.

use rand_core::SeedableRng;

/// The generator behind every stream: xoshiro128++ (Blackman and Vigna, 2019), 16 bytes of state, 32-bit arithmetic,
/// fast on a Cortex-M0 too. It implements [`rand_core::Rng`].
pub type Stream = rand_xoshiro::Xoshiro128PlusPlus;

/// What random numbers are used for; streams of different purposes never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum Purpose {
    /// Initial values of parameters; `node` is the parameter's index.
    Initialize = 1,
    /// The order of samples; `step` is the epoch.
    Shuffle = 2,
    /// Which samples go into which part of a data set.
    Split = 3,
    /// Dropout masks and other noise inside the network; `node` is the layer's own number.
    Dropout = 4,
    /// Random transforms of samples; `step` is the epoch, `node` the sample.
    Augment = 5,
    /// Generated data sets.
    Generate = 6,
    /// Anything that a user needs.
    User = 7,
    /// Noise in gradients and roundings of an optimizer; `node` is the parameter's index.
    Update = 8,
}

/// Names one stream of random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The run's seed.
    pub seed: u64,
    /// What the numbers are for.
    pub purpose: Purpose,
    /// The training step or epoch.
    pub step: u64,
    /// Which of the many users at that step.
    pub node: u64,
}

impl Key {
    /// A key at step 0 and node 0.
    pub const fn new(seed: u64, purpose: Purpose) -> Key {
        Key { seed, purpose, step: 0, node: 0 }
    }

    /// The same key at another step or epoch.
    #[must_use]
    pub const fn step(mut self, step: u64) -> Key {
        self.step = step;
        self
    }

    /// The same key for another node.
    #[must_use]
    pub const fn node(mut self, node: u64) -> Key {
        self.node = node;
        self
    }

    /// The start of the stream that this key names.
    ///
    /// ```
    /// use bantam_core::random::{Key, Purpose};
    /// use rand_core::Rng;
    /// let key = Key::new(42, Purpose::Dropout).step(7);
    /// assert_eq!(key.stream().next_u32(), key.stream().next_u32());
    /// assert_ne!(key.stream().next_u32(), key.step(8).stream().next_u32());
    /// ```
    pub fn stream(self) -> Stream {
        let mut state = mix(self.seed ^ GOLDEN);
        for word in [self.purpose as u64, self.step, self.node] {
            state = mix(state.wrapping_add(GOLDEN) ^ word);
        }
        // What `seed_from_u64` makes of the state, without another copy of `mix`.
        let mut seed = [0; 16];
        for half in seed.chunks_exact_mut(8) {
            state = state.wrapping_add(GOLDEN);
            half.copy_from_slice(&mix(state).to_le_bytes());
        }
        Stream::from_seed(seed)
    }
}

/// 2^64 divided by the golden ratio: what SplitMix64 adds to its state.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64 (Steele, Lea, Flood, 2014): every input bit reaches every output bit, one to one.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A uniform number in [0, 1) with 24 random bits, every value exact in `f32`.
pub fn unit_f32(rng: &mut impl rand_core::Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// A uniform index below `bound` without bias (Lemire, 2019: multiply, keep the high word, reject the short rest).
///
/// 0 for a `bound` of 0.
pub fn below(rng: &mut impl rand_core::Rng, bound: u32) -> u32 {
    if bound == 0 {
        return 0;
    }
    let mut product = u64::from(rng.next_u32()) * u64::from(bound);
    if (product as u32) < bound {
        let threshold = bound.wrapping_neg() % bound;
        while (product as u32) < threshold {
            product = u64::from(rng.next_u32()) * u64::from(bound);
        }
    }
    (product >> 32) as u32
}

/// Shuffles in place (Fisher and Yates, as given by Durstenfeld, 1964).
pub fn shuffle<T>(rng: &mut impl rand_core::Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last as u32 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::Rng;

    #[test]
    fn the_values_a_key_produces_are_a_promise() {
        let mut stream = Key::new(42, Purpose::Shuffle).step(3).node(1).stream();
        let drawn = [stream.next_u32(), stream.next_u32(), stream.next_u32()];
        assert_eq!(drawn, PROMISED);
    }

    #[test]
    fn a_stream_is_seeded_as_its_generator_seeds_itself() {
        let key = Key::new(42, Purpose::Shuffle).step(3).node(1);
        let mut state = mix(key.seed ^ GOLDEN);
        for word in [key.purpose as u64, key.step, key.node] {
            state = mix(state.wrapping_add(GOLDEN) ^ word);
        }
        assert_eq!(key.stream(), Stream::seed_from_u64(state));
    }

    const PROMISED: [u32; 3] = [2_259_583_927, 2_647_467_152, 1_791_399_522];

    #[test]
    fn neighbouring_keys_differ_in_about_half_of_their_bits() {
        let bits = |key: Key| key.stream().next_u64();
        let key = Key::new(1, Purpose::User);
        let mut differing = 0;
        for i in 0..256 {
            differing += (bits(key.step(i)) ^ bits(key.step(i + 1))).count_ones();
            differing += (bits(key.node(i)) ^ bits(key.node(i + 1))).count_ones();
        }
        // 512 draws of 64 fair coins: mean 16384, standard deviation 90.5; five of them on either side.
        assert!((15_930..16_840).contains(&differing), "{differing} of 32768 bits differ");
    }

    #[test]
    fn below_is_fair() {
        let mut rng = Key::new(5, Purpose::User).stream();
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[below(&mut rng, 6) as usize] += 1;
        }
        // Binomial(60000, 1/6): standard deviation 91; five of them.
        assert!(counts.iter().all(|c| (9_545..10_455).contains(c)), "{counts:?}");
    }
}
