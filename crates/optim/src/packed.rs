//! Adam's state in 16 or 8 bits: how numbers are rounded, packed among the others, and found again.

use crate::adam::Moments;
use crate::update::{Kept, Lanes, PARTS, Rule, Step, chunk_len, total, walk_summing};
use bantam_core::random::{Key, Purpose};
use bantam_core::{Context, Inline, Real, UpdateContext};
use bantam_kernels::parallel::GRAIN;
use bantam_kernels::simd::LANES;
use bantam_kernels::{Element, Simd, Vector, dispatch, map_chunks_of_two};
use core::array::from_fn;
use rand_core::Rng;

/// How precisely Adam keeps its two averages.
///
/// | | state per parameter | what is kept |
/// |---|---|---|
/// | `Full` | 8 bytes | two numbers of the parameters' type |
/// | `Bf16` | 4 bytes | two numbers with 8 significant bits and the range of `f32` |
/// | `Blocks8` | 2.1 bytes | two numbers with 4 significant bits, relative to the largest of each 64 |
///
/// Bytes are for `f32`; with `f64` they are twice as many. The state is still a slice of the parameters' type, of which
/// [`state_len`](crate::Adam::state_len) says the length; its elements hold bits and mean nothing as numbers, but can be
/// copied and saved.
///
/// Numbers are rounded up or down at random, in proportion to where they lie between two that can be kept: rounding to
/// the nearest would never let v fall, since β₂ = 0.999 changes it by less than half of the last bit. The coin is drawn
/// from the step, the tensor and the numbers' own bits or places, so a run repeats and resumes to the same bits.
///
/// Blocks with a common scale as in T. Dettmers, M. Lewis, S. Shleifer, L. Zettlemoyer, "8-bit optimizers via block-wise
/// quantization", 2021, arXiv:2110.02861, with small floating-point numbers in place of its table: 7 bits below the sign
/// reach 16 octaves down for m, 8 bits 32 octaves for v. A v above 0 is never kept as 0, which would be divided by. Where
/// the largest square of a block overflows, the whole block stands still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatePrecision {
    /// Everything.
    #[default]
    Full,
    /// Two of 16 bits in the place of one number.
    Bf16,
    /// Blocks of 64 with a scale each and 8 bits for every number.
    Blocks8,
}

/// Parameters that share a scale.
const BLOCK: usize = 64;
/// Codes in a word.
const CODES: usize = 4;

impl StatePrecision {
    /// How many elements of state two averages of `len` parameters take.
    pub(crate) const fn state_len(self, len: usize) -> usize {
        match self {
            StatePrecision::Full => 2 * len,
            StatePrecision::Bf16 => len,
            StatePrecision::Blocks8 => len / BLOCK * block_len(BLOCK) + block_len(len % BLOCK),
        }
    }
}

/// The elements of state of a block: two scales, the codes of m, the codes of v.
const fn block_len(len: usize) -> usize {
    if len == 0 { 0 } else { 2 + 2 * len.div_ceil(CODES) }
}

/// A number that no two steps or tensors share.
fn key(cx: &UpdateContext<'_>) -> u32 {
    Key::new(0, Purpose::Update).step(cx.step).node(cx.index as u64).stream().next_u32()
}

/// Every input bit reaches every output bit (the constants are C. Wellons's, 2018).
#[inline(always)]
fn scramble(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// Adam's rule over words of two bf16: m above, v below.
#[derive(Clone, Copy)]
pub(crate) struct Halves<T> {
    moments: Moments<T>,
    key: u32,
}

impl<T> Halves<T> {
    pub(crate) fn new(cx: &UpdateContext<'_>, moments: Moments<T>) -> Halves<T> {
        Halves { moments, key: key(cx) }
    }
}

/// The upper half of a number's bits, rounded up with the probability that `dither` is large enough.
#[inline(always)]
fn to_bf16(bits: u32, dither: u32) -> u32 {
    let size = bits & 0x7fff_ffff;
    // What is infinite stays so, and NaN must not lose the bits that make it one.
    let rounded = bits.wrapping_add(if size < 0x7f80_0000 { dither & 0xffff } else { 0 });
    (rounded >> 16) | if size > 0x7f80_0000 { 0x40 } else { 0 }
}

impl<T: Element> Rule<T, 1> for Halves<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        g: T::Vector<S>,
        [words]: Lanes<T, S, 1>,
    ) -> (T::Vector<S>, Lanes<T, S, 1>) {
        // Array by array in plain loops and not element by element, so that each loop is a few vector instructions.
        let (stored, gradient) = (words.to_array(), g.to_array());
        let (mut words, mut dither) = ([0_u32; LANES], [0_u32; LANES]);
        let (mut m, mut v) = ([T::zero(); LANES], [T::zero(); LANES]);
        for i in 0..LANES {
            words[i] = stored[i].to_word();
            m[i] = number(words[i] & 0xffff_0000);
            v[i] = number(words[i] << 16);
            dither[i] = scramble(scramble(words[i] ^ self.key) ^ bits(gradient[i]));
        }
        let [m, v] = [m, v].map(|x| T::Vector::<S>::load(simd, &x));
        let (update, [m, v]) = self.moments.next(simd, g, [m, v]);
        let (m, v, mut packed) = (m.to_array(), v.to_array(), [T::zero(); LANES]);
        for i in 0..LANES {
            let [high, low] = [to_bf16(bits(m[i]), dither[i]), to_bf16(bits(v[i]), dither[i] >> 16)];
            packed[i] = T::from_word((high << 16) | low);
        }
        (update, [T::Vector::<S>::load(simd, &packed)])
    }
}

/// The number that these bits of an `f32` are.
#[inline(always)]
fn number<T: Element>(bits: u32) -> T {
    T::from_f64(f64::from(f32::from_bits(bits)))
}

/// The bits of a number as an `f32`.
#[inline(always)]
fn bits<T: Element>(x: T) -> u32 {
    (Real::to_f64(x) as f32).to_bits()
}

/// State in blocks of 8-bit codes.
pub(crate) struct Blocks<'a, T> {
    pub state: &'a mut [T],
}

impl<T: Element> Kept<T, 2> for Blocks<'_, T> {
    fn elements(&self, n: usize) -> usize {
        let needed = StatePrecision::Blocks8.state_len(n);
        debug_assert!(self.state.len() == needed, "the state has another length than state_len says");
        // As many as lie in whole blocks.
        if self.state.len() >= needed { n } else { self.state.len() / block_len(BLOCK) * BLOCK }
    }

    #[inline(always)]
    fn walk<const M: usize, const SUMS: bool>(
        self,
        cx: &UpdateContext<'_>,
        slices: [&mut [T]; M],
        step: impl Step<T, M, 2>,
    ) -> [f64; M] {
        const { assert!(GRAIN.is_multiple_of(BLOCK)) };
        let key = key(cx);
        let n = slices[0].len();
        let state = &mut self.state[..StatePrecision::Blocks8.state_len(n)];
        let chunk = chunk_len(n, SUMS, BLOCK);
        let per_task = chunk / BLOCK * block_len(BLOCK);
        let mut parts = [[0.0; M]; PARTS];
        let wanted = if SUMS { &mut parts[..] } else { &mut [] };
        // What is inside of a task runs where the task runs.
        let inside = UpdateContext { context: Context { executor: &Inline, ..cx.context }, ..*cx };
        map_chunks_of_two(&cx.context, slices, chunk, [state], per_task, wanted, |task, slices, [state]| {
            let (mut rest, mut sums) = (slices, [0.0; M]);
            for (at, record) in state.chunks_mut(block_len(BLOCK)).enumerate() {
                let len = rest[0].len().min(BLOCK);
                let block = rest.each_mut().map(|slice| {
                    let (block, after) = core::mem::take(slice).split_at_mut(len);
                    *slice = after;
                    block
                });
                let key = scramble(key ^ ((task * (chunk / BLOCK) + at) as u32));
                let mut numbers = [[T::zero(); BLOCK]; 2];
                let [m, v] = &mut numbers;
                let (m, v) = (&mut m[..len], &mut v[..len]);
                dispatch(&inside.context, || unpack(record, m, v));
                let squares = walk_summing::<T, M, 2, SUMS>(&inside, block, [&mut *m, &mut *v], step);
                sums = from_fn(|i| sums[i] + squares[i]);
                dispatch(&inside.context, || pack(key, record, m, v));
            }
            sums
        });
        if SUMS { total(&parts) } else { [0.0; M] }
    }
}

/// Bits of an `f32` that are dropped: 3 of 23 below the point stay.
const DROPPED: u32 = 20;
/// What is left of 1.0, the largest number of a block.
const ONE: u32 = 0x3f80_0000 >> DROPPED;
/// One less than the least code that stands for a number; m has 7 bits, v 8.
const BASES: [u32; 2] = [ONE - 127, ONE - 255];

/// Reads a block: word i holds the codes of the numbers i, i + words, i + 2·words and i + 3·words, so that plain loops
/// vectorise.
#[inline(always)]
fn unpack<T: Element>(record: &[T], m: &mut [T], v: &mut [T]) {
    let words = m.len().div_ceil(CODES);
    let Some(([scale_m, scale_v], codes)) = record.split_first_chunk::<2>() else { return };
    let (codes_m, codes_v) = codes.split_at(words.min(codes.len()));
    for (quarter, m) in m.chunks_mut(words.max(1)).enumerate() {
        for (m, word) in m.iter_mut().zip(codes_m) {
            let code = word.to_word() >> (8 * quarter);
            let size = decode(code & 127, BASES[0], *scale_m);
            *m = if code & 128 == 0 { size } else { -size };
        }
    }
    for (quarter, v) in v.chunks_mut(words.max(1)).enumerate() {
        for (v, word) in v.iter_mut().zip(codes_v) {
            *v = decode(word.to_word() >> (8 * quarter) & 255, BASES[1], *scale_v);
        }
    }
}

/// The number of a code.
#[inline(always)]
fn decode<T: Element>(code: u32, base: u32, scale: T) -> T {
    let size = number::<T>((code + base) << DROPPED) * scale;
    if code == 0 { T::zero() } else { size }
}

/// Writes a block.
#[inline(always)]
fn pack<T: Element>(key: u32, record: &mut [T], m: &[T], v: &[T]) {
    let words = m.len().div_ceil(CODES);
    let Some((scales, codes)) = record.split_first_chunk_mut::<2>() else { return };
    let (codes_m, codes_v) = codes.split_at_mut(words.min(codes.len()));
    *scales = [largest(m), largest(v)];
    let mut bytes = [0_u32; BLOCK];
    for (i, (byte, m)) in bytes.iter_mut().zip(m).enumerate() {
        let code = encode(share(m.abs(), scales[0]), BASES[0], 127, scramble(key ^ i as u32));
        *byte = code | if *m < T::zero() { 128 } else { 0 };
    }
    join(&bytes[..m.len()], codes_m);
    for (i, (byte, v)) in bytes.iter_mut().zip(v).enumerate() {
        let code = encode(share(*v, scales[1]), BASES[1], 255, scramble(!key ^ i as u32));
        *byte = if *v > T::zero() { code.max(1) } else { code };
    }
    join(&bytes[..v.len()], codes_v);
}

/// The largest absolute value; NaN counts for nothing.
#[inline(always)]
fn largest<T: Element>(x: &[T]) -> T {
    let mut lanes = [T::zero(); LANES];
    for x in x.chunks(LANES) {
        for (most, x) in lanes.iter_mut().zip(x) {
            *most = if x.abs() > *most { x.abs() } else { *most };
        }
    }
    lanes.into_iter().fold(T::zero(), |most, x| if x > most { x } else { most })
}

/// What part of the largest number this one is, from 0 to 1.
#[inline(always)]
fn share<T: Element>(x: T, scale: T) -> f32 {
    // Infinite by infinite is the largest there is.
    let y = if x == scale { 1.0 } else { Real::to_f64(x / scale) as f32 };
    if y > 0.0 { y } else { 0.0 }
}

/// Four codes into each word.
#[inline(always)]
fn join<T: Element>(bytes: &[u32], words: &mut [T]) {
    let mut joined = [0_u32; BLOCK / CODES];
    for (quarter, bytes) in bytes.chunks(words.len().max(1)).enumerate() {
        for (word, byte) in joined.iter_mut().zip(bytes) {
            *word |= byte << (8 * quarter);
        }
    }
    for (word, joined) in words.iter_mut().zip(joined) {
        *word = T::from_word(joined);
    }
}

/// The code of a number from 0 to 1, rounded up with the probability that `dither` is large enough.
#[inline(always)]
fn encode(y: f32, base: u32, most: u32, dither: u32) -> u32 {
    let bits = y.to_bits().wrapping_add(dither >> (32 - DROPPED)) >> DROPPED;
    let least = f32::from_bits((base + 1) << DROPPED);
    let below = if (dither >> 8) as f32 * (1.0 / 16_777_216.0) * least < y { 1 } else { 0 };
    if y < least { below } else { bits.wrapping_sub(base).min(most) }
}
