//! What the fuzz targets check. Each module has a `check` that takes any bytes and panics if a promise is broken; the
//! fuzzer calls it (`cargo fuzz run plan`), and so does a seeded test (`cargo test --no-default-features`), which also proves
//! that inputs of every kind get through to it.
#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod csv;
pub mod idx;
pub mod kernels;
pub mod plan;
pub mod schedule;

/// What became of an input: a check that only ever rejects checks nothing, so the tests count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was valid, and everything that follows from that was checked.
    Accepted,
    /// It was not, and an error said so.
    Rejected,
}

/// Bytes as a source of choices; 0 when they are used up.
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// Chooses by these bytes.
    pub fn new(bytes: &'a [u8]) -> Choices<'a> {
        Choices(bytes)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A number below `bound`, which is from 1 to 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// Whether bytes are left.
    pub fn any_left(&self) -> bool {
        !self.0.is_empty()
    }

    /// The bytes that are left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod seeded {
    //! Random and mutated inputs from fixed seeds.

    use super::Outcome;
    use bantam_core::random::{Key, Purpose, Stream, below};
    use rand_core::Rng;

    /// Calls `check` with `rounds` inputs: mutations of `seeds` (no mutation at first), and returns how many were
    /// (accepted, rejected).
    pub fn mutations(seeds: &[Vec<u8>], rounds: u64, check: fn(&[u8]) -> Outcome) -> (usize, usize) {
        let mut counts = (0, 0);
        for round in 0..rounds {
            let mut rng = Key::new(1, Purpose::User).step(round).stream();
            let mut bytes = seeds[round as usize % seeds.len()].clone();
            for _ in 0..below(&mut rng, 4) {
                mutate(&mut rng, &mut bytes);
            }
            match check(&bytes) {
                Outcome::Accepted => counts.0 += 1,
                Outcome::Rejected => counts.1 += 1,
            }
        }
        counts
    }

    /// Flips a bit, replaces, inserts, removes, repeats or cuts off.
    fn mutate(rng: &mut Stream, bytes: &mut Vec<u8>) {
        let at = below(rng, bytes.len() as u32 + 1) as usize;
        let interesting = [0, 1, 0x7f, 0x80, 0xff, b',', b'"', b'\n', b'-', b'.', b'e'];
        match below(rng, 6) {
            0 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << below(rng, 8)),
            1 => bytes.get_mut(at).into_iter().for_each(|byte| *byte = rng.next_u32() as u8),
            2 => bytes.insert(at, interesting[below(rng, interesting.len() as u32) as usize]),
            3 if at < bytes.len() => _ = bytes.remove(at),
            4 => {
                let end = (at + 8).min(bytes.len());
                bytes.extend_from_within(at..end);
            }
            _ => bytes.truncate(at),
        }
    }

    /// Calls `check` with `rounds` inputs of up to `longest` random bytes; (accepted, rejected).
    pub fn random(longest: u32, rounds: u64, check: fn(&[u8]) -> Outcome) -> (usize, usize) {
        let mut counts = (0, 0);
        for round in 0..rounds {
            let mut rng = Key::new(2, Purpose::User).step(round).stream();
            let mut bytes = vec![0; below(&mut rng, longest + 1) as usize];
            rng.fill_bytes(&mut bytes);
            match check(&bytes) {
                Outcome::Accepted => counts.0 += 1,
                Outcome::Rejected => counts.1 += 1,
            }
        }
        counts
    }
}
