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
            dither[i] = scramble(words[i] ^ self.key ^ bits(gradient[i]).rotate_left(13));
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

    // Vectors and arrays of eight in plain loops, each of which becomes a few vector instructions.
    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> [f64; M] {
        let BlockWalk { key, first, slices, state, step } = self;
        let len = slices[0].len();
        let mut sums = [S::F64::splat(simd, 0.0); M];
        for (at, record) in state.chunks_mut(block_len(BLOCK)).enumerate() {
            let start = at * BLOCK;
            let block_len = BLOCK.min(len - start);
            let Some((scales, codes)) = record.split_first_chunk_mut::<2>() else { break };
            let words = codes.len() / 2;
            let (codes_m, codes_v) = codes.split_at_mut(words);
            let mut numbers = [[[T::zero(); LANES]; 2]; GROUPS];
            let mut most = [T::Vector::<S>::splat(simd, T::zero()); 2];
            for (group, [numbers_m, numbers_v]) in (0..GROUPS).zip(&mut numbers) {
                let from = start + group * LANES;
                let lanes = block_len.saturating_sub(group * LANES).min(LANES);
                if lanes == 0 {
                    break;
                }
                let (mut m, mut v) = ([T::zero(); LANES], [T::zero(); LANES]);
                let (group_m, group_v) = (group_codes(codes_m, group), group_codes(codes_v, group));
                for lane in 0..LANES {
                    // The sign's bit goes where an `f32` has it.
                    m[lane] = decode(group_m[lane] & 127, BASES[0], (group_m[lane] & 128) << 24, scales[0]);
                    v[lane] = decode(group_v[lane], BASES[1], 0, scales[1]);
                }
                let moments = [m, v].map(|x| T::Vector::<S>::load(simd, &x));
                let mut values = [T::Vector::<S>::splat(simd, T::zero()); M];
                for i in 0..M {
                    values[i] = T::Vector::<S>::load_partial(simd, &slices[i][from..from + lanes], T::zero());
                }
                let (values, moments) = step.next(simd, values, moments);
                values[0].store_partial(&mut slices[0][from..from + lanes]);
                if SUMS {
                    for i in 0..M {
                        let mut real = [T::zero(); LANES];
                        values[i].store_partial(&mut real[..lanes]);
                        let wide = T::widen(simd, T::Vector::<S>::load(simd, &real));
                        sums[i] = sums[i] + wide * wide;
                    }
                }
                for (i, numbers) in [numbers_m, numbers_v].into_iter().enumerate() {
                    moments[i].store(numbers);
                    // Not `most.max(…)`: NaN counts for nothing.
                    most[i] = moments[i].abs().max(most[i]);
                }
            }
            *scales = most.map(|most| most.tree(|a, b| if a > b { a } else { b }));
            let inverses = scales.map(inverse);
            let key = scramble(key ^ (first + at) as u32);
            for (group, [numbers_m, numbers_v]) in (0..words.div_ceil(2)).zip(&numbers) {
                let (mut bytes_m, mut bytes_v) = ([0_u8; LANES], [0_u8; LANES]);
                for lane in 0..LANES {
                    let dither = scramble(key ^ (group * LANES + lane) as u32);
                    let (m, v) = (numbers_m[lane], numbers_v[lane]);
                    let code = encode(share(m.abs(), inverses[0]), BASES[0], 127, dither);
                    bytes_m[lane] = (code | if m < T::zero() { 128 } else { 0 }) as u8;
                    let code = encode(share(v, inverses[1]), BASES[1], 255, dither.rotate_left(16));
                    bytes_v[lane] = if v > T::zero() { code.max(1) } else { code } as u8;
                }
                set_bytes(codes_m, group, bytes_m);
                set_bytes(codes_v, group, bytes_v);
            }
        }
        sums.map(|sum| sum.tree(|a, b| a + b))
    }
}

/// The number of a code.
#[inline(always)]
fn decode<T: Element>(code: u32, base: u32, sign: u32, scale: T) -> T {
    let number = number::<T>((code + base) << DROPPED | sign) * scale;
    if code == 0 { T::zero() } else { number }
}

/// The codes of a group of eight, four to a word; zeros beyond the end.
#[inline(always)]
fn group_codes<T: Element>(codes: &[T], group: usize) -> [u32; LANES] {
    let word = |index: usize| codes.get(index).map_or(0, |word| word.to_word());
    let [low, high] = [word(2 * group), word(2 * group + 1)];
    let mut lanes = [low, low, low, low, high, high, high, high];
    for (lane, code) in lanes.iter_mut().enumerate() {
        *code = *code >> (8 * (lane % CODES)) & 255;
    }
    lanes
}

/// Writes the codes of a group of eight, as far as there is room.
#[inline(always)]
fn set_bytes<T: Element>(codes: &mut [T], group: usize, bytes: [u8; LANES]) {
    let pair = u64::from_le_bytes(bytes);
    for (word, value) in codes.iter_mut().skip(2 * group).zip([pair as u32, (pair >> 32) as u32]) {
        *word = T::from_word(value);
    }
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
