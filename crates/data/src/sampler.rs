//! In which order an epoch goes through the samples.

use bantam_core::random::{Key, Purpose};
use rand_core::Rng;

/// The order of samples as a pure function: nothing but the position (epoch, i) has to be saved to go on from it.
pub trait Sampler {
    /// Which sample comes at position `i` of epoch `epoch` in a data set of `len` samples; `i` is below `len`.
    fn index(&self, epoch: u64, i: usize, len: usize) -> usize;
}

/// The samples as they lie; for evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequential;

impl Sampler for Sequential {
    fn index(&self, _epoch: u64, i: usize, _len: usize) -> usize {
        i
    }
}

/// Another random order in every epoch, each sample once.
///
/// The order is computed, not stored, so it costs no memory: see [`Permutation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shuffled {
    /// The seed that names the orders.
    pub seed: u64,
}

impl Shuffled {
    /// The orders of this seed.
    pub const fn new(seed: u64) -> Shuffled {
        Shuffled { seed }
    }
}

impl Sampler for Shuffled {
    fn index(&self, epoch: u64, i: usize, len: usize) -> usize {
        Permutation::new(Key::new(self.seed, Purpose::Shuffle).step(epoch), len).at(i)
    }
}

/// How often each half of the number is mixed into the other. Four rounds make a Feistel network look random (Luby
/// and Rackoff, 1988); twice as many because the halves are small here.
const ROUNDS: usize = 8;

/// With halves of one bit, eight rounds leave some orders visibly more frequent than others; with two bits they do
/// not.
const LEAST_BITS: u32 = 4;

/// A random permutation of 0..len, 40 bytes for any length: any position is computed in constant time.
///
/// A Feistel network is a permutation of all numbers with a given number of bits, whatever its round function is:
/// each round adds a hash of one half to the other, which can be undone. The smallest power of two that holds `len`
/// is less than twice `len`, so when a number falls outside it is simply permuted again until it falls inside ("cycle
/// walking", Black and Rogaway, 2002), after less than two tries on average (more for fewer than 9 samples, which are
/// numbered with 4 bits).
///
/// The values a key produces are part of the crate's promise.
#[derive(Clone, Copy, Debug)]
pub struct Permutation {
    keys: [u32; ROUNDS],
    len: u64,
}

impl Permutation {
    /// The permutation of 0..`len` that `key` names.
    pub fn new(key: Key, len: usize) -> Permutation {
        let mut stream = key.stream();
        Permutation { keys: core::array::from_fn(|_| stream.next_u32()), len: len as u64 }
    }

    /// Where position `i` goes. A position outside 0..len stays where it is.
    pub fn at(&self, i: usize) -> usize {
        let mut x = i as u64;
        if x >= self.len {
            return i;
        }
        let bits = (u64::BITS - (self.len - 1).leading_zeros()).max(LEAST_BITS);
        let low_bits = bits.div_ceil(2);
        let low_mask = mask(low_bits);
        let high_mask = mask(bits - low_bits);
        loop {
            let (mut low, mut high) = (x as u32 & low_mask, (x >> low_bits) as u32 & high_mask);
            for pair in self.keys.chunks_exact(2) {
                low ^= hash(high ^ pair[0]) & low_mask;
                high ^= hash(low ^ pair[1]) & high_mask;
            }
            x = u64::from(high) << low_bits | u64::from(low);
            if x < self.len {
                return x as usize;
            }
        }
    }
}

/// The lowest `bits` bits set, for up to 32.
fn mask(bits: u32) -> u32 {
    u32::MAX.checked_shr(u32::BITS - bits).unwrap_or(0)
}

/// The finalizer of MurmurHash3 (Appleby, 2011), in 32-bit arithmetic for small processors.
fn hash(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}
