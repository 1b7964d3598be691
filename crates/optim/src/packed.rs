//! Adam's state in 16 or 8 bits: how numbers are rounded, packed among the others, and found again.

use crate::adam::Moments;
use crate::update::{Kept, Lanes, PARTS, Rule, Step, chunk_len, total};
use bantam_core::random::{Key, Purpose};
use bantam_core::{Real, UpdateContext};
use bantam_kernels::parallel::GRAIN;
use bantam_kernels::simd::LANES;
use bantam_kernels::{Element, Simd, SimdOp, Vector, map_chunks_of_two, run};

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
/// Groups of eight in a block.
const GROUPS: usize = BLOCK / LANES;

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

/// The elements of state of a whole block.
const RECORD: usize = block_len(BLOCK);

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
    // What is infinite stays so. So does NaN: one that was computed has the upper bit of its fraction set.
    bits.wrapping_add(if bits & 0x7fff_ffff < 0x7f80_0000 { dither & 0xffff } else { 0 }) >> 16
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
            // The key alone makes the coin fair, step by step; the numbers' bits make neighbours' coins different. Of its
            // halves that of v meets m and that of m meets v.
            dither[i] = words[i] ^ self.key ^ bits(gradient[i]) << 13;
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
        map_chunks_of_two(&cx.context, slices, chunk, [state], per_task, wanted, |task, slices, [state]| {
            // Blocks are numbered through the whole tensor.
            let first = task * (chunk / BLOCK);
            run(&cx.context, BlockWalk::<_, _, M, SUMS> { key, first, slices, state, step })
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

/// Walks the blocks of a task.
struct BlockWalk<'a, T, X, const M: usize, const SUMS: bool> {
    key: u32,
    first: usize,
    slices: [&'a mut [T]; M],
    state: &'a mut [T],
    step: X,
}

impl<T: Element, X: Step<T, M, 2>, const M: usize, const SUMS: bool> SimdOp for BlockWalk<'_, T, X, M, SUMS> {
    type Output = [f64; M];

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> [f64; M] {
        let BlockWalk { key, first, mut slices, state, step } = self;
        let total = slices[0].len();
        let mut sums = [S::F64::splat(simd, 0.0); M];
        // The last block is filled up, so that there is one kind of them.
        let (mut values, mut copy) = ([[T::zero(); BLOCK]; M], [T::zero(); RECORD]);
        for (at, record) in state.chunks_mut(RECORD).enumerate() {
            let start = at * BLOCK;
            let len = BLOCK.min(total - start);
            let key = scramble(key ^ (first + at) as u32);
            let parts = slices.each_mut().map(|slice| &mut slice[start..start + len]);
            let words = len.div_ceil(CODES);
            if len < BLOCK {
                for (value, part) in values.iter_mut().zip(&parts) {
                    value[..len].copy_from_slice(part);
                }
                copy[..2 + words].copy_from_slice(&record[..2 + words]);
                copy[2 + BLOCK / CODES..][..words].copy_from_slice(&record[2 + words..]);
            }
            let mut filled = values.each_mut();
            let mut whole = &mut copy;
            for (filled, part) in filled.iter_mut().zip(parts) {
                if let Some(part) = part.first_chunk_mut() {
                    *filled = part;
                }
            }
            if let Some(record) = record.first_chunk_mut() {
                whole = record;
            }
            Self::block(simd, step, key, &mut filled, whole, len, &mut sums);
            if len < BLOCK {
                slices[0][start..].copy_from_slice(&values[0][..len]);
                record[..2 + words].copy_from_slice(&copy[..2 + words]);
                record[2 + words..].copy_from_slice(&copy[2 + BLOCK / CODES..][..words]);
            }
        }
        sums.map(|sum| sum.tree(|a, b| a + b))
    }
}

impl<T: Element, X: Step<T, M, 2>, const M: usize, const SUMS: bool> BlockWalk<'_, T, X, M, SUMS> {
    /// One block, of which the first `len` elements exist and the others are 0. Vectors, and arrays of eight in plain loops, each
    /// of which becomes a few vector instructions.
    #[inline(always)]
    fn block<S: Simd>(
        simd: S,
        step: X,
        key: u32,
        slices: &mut [&mut [T; BLOCK]; M],
        record: &mut [T; RECORD],
        len: usize,
        sums: &mut [S::F64; M],
    ) {
        let [scale_m, scale_v, codes @ ..] = record;
        let (codes_m, codes_v) = codes.as_chunks_mut::<2>().0.split_at_mut(GROUPS);
        let mut numbers = [[[T::zero(); LANES]; GROUPS]; 2];
        let mut most = [T::Vector::<S>::splat(simd, T::zero()); 2];
        for group in 0..GROUPS {
            let (mut m, mut v) = ([T::zero(); LANES], [T::zero(); LANES]);
            let (bytes_m, bytes_v) = (bytes(&codes_m[group]), bytes(&codes_v[group]));
            for lane in 0..LANES {
                let (code_m, code_v) = (u32::from(bytes_m[lane]), u32::from(bytes_v[lane]));
                // The sign's bit goes where an `f32` has it.
                m[lane] = decode(code_m & 127, BASES[0], (code_m & 128) << 24, *scale_m);
                v[lane] = decode(code_v, BASES[1], 0, *scale_v);
            }
            let moments = [m, v].map(|x| T::Vector::<S>::load(simd, &x));
            let mut values = [T::Vector::<S>::splat(simd, T::zero()); M];
            for i in 0..M {
                values[i] = T::Vector::<S>::load(simd, &slices[i].as_chunks().0[group]);
            }
            let (values, moments) = step.next(simd, values, moments);
            values[0].store(&mut slices[0].as_chunks_mut().0[group]);
            if SUMS {
                for i in 0..M {
                    let mut real = values[i].to_array();
                    for (lane, real) in real.iter_mut().enumerate() {
                        if group * LANES + lane >= len {
                            *real = T::zero();
                        }
                    }
                    let wide = T::widen(simd, T::Vector::<S>::load(simd, &real));
                    sums[i] = sums[i] + wide * wide;
                }
            }
            for i in 0..2 {
                moments[i].store(&mut numbers[i][group]);
                // Not `most.max(…)`: NaN counts for nothing.
                most[i] = moments[i].abs().max(most[i]);
            }
        }
        [*scale_m, *scale_v] = most.map(|most| most.tree(|a, b| if a > b { a } else { b }));
        let inverses = [inverse(*scale_m), inverse(*scale_v)];
        let [numbers_m, numbers_v] = &numbers;
        for group in 0..GROUPS {
            let (mut bytes_m, mut bytes_v) = ([0_u8; LANES], [0_u8; LANES]);
            for lane in 0..LANES {
                let dither = scramble(key ^ (group * LANES + lane) as u32);
                let (m, v) = (numbers_m[group][lane], numbers_v[group][lane]);
                let code = encode(share(m.abs(), inverses[0]), BASES[0], 127, dither);
                bytes_m[lane] = (code | if m < T::zero() { 128 } else { 0 }) as u8;
                let code = encode(share(v, inverses[1]), BASES[1], 255, dither << 16);
                bytes_v[lane] = if v > T::zero() { code.max(1) } else { code } as u8;
            }
            codes_m[group] = words(bytes_m);
            codes_v[group] = words(bytes_v);
        }
    }
}

/// The number of a code.
#[inline(always)]
fn decode<T: Element>(code: u32, base: u32, sign: u32, scale: T) -> T {
    let number = number::<T>((code + base) << DROPPED | sign) * scale;
    if code == 0 { T::zero() } else { number }
}

/// The codes of a group of eight, four to a word.
#[inline(always)]
fn bytes<T: Element>([low, high]: &[T; 2]) -> [u8; LANES] {
    (u64::from(high.to_word()) << 32 | u64::from(low.to_word())).to_le_bytes()
}

/// The words of a group of eight codes.
#[inline(always)]
fn words<T: Element>(bytes: [u8; LANES]) -> [T; 2] {
    let pair = u64::from_le_bytes(bytes);
    [pair as u32, (pair >> 32) as u32].map(T::from_word)
}

/// What the numbers of a block are multiplied with to lie between 0 and 1; 0 where there is no such number, which makes
/// the least of all numbers of them.
#[inline(always)]
fn inverse<T: Element>(scale: T) -> T {
    let inverse = T::one() / scale;
    if inverse.is_finite() { inverse } else { T::zero() }
}

/// What part of the largest number this one is, from 0 to 1.
#[inline(always)]
fn share<T: Element>(x: T, inverse: T) -> f32 {
    let y = x * inverse;
    Real::to_f64(if y > T::zero() { y } else { T::zero() }) as f32
}

/// The code of a number from 0 to 1, rounded up with the probability that `dither` is large enough.
#[inline(always)]
fn encode(y: f32, base: u32, most: u32, dither: u32) -> u32 {
    let bits = y.to_bits().wrapping_add(dither >> (32 - DROPPED)) >> DROPPED;
    let least = f32::from_bits((base + 1) << DROPPED);
    let below = if (dither >> 8) as f32 * (1.0 / 16_777_216.0) * least < y { 1 } else { 0 };
    if y < least { below } else { bits.wrapping_sub(base).min(most) }
}
