//! Convolution of each channel with a kernel of its own: lanes are the pixels of a row, read from the padded plane where they lie.

use super::Window;
use crate::gemm::{load, store};
use crate::simd::{Element, LANES, Simd, SimdOp, Vector};

/// Up to eight elements `step` apart.
#[inline(always)]
fn load_steps<T: Element, S: Simd>(simd: S, from: &[T], step: usize, count: usize) -> T::Vector<S> {
    match (step, from.first_chunk::<{ 2 * LANES }>()) {
        (1, Some(whole)) if count == LANES => {
            let halves = whole.as_chunks::<LANES>().0;
            T::Vector::load(simd, &halves[0])
        }
        (1, _) => load(simd, &from[..count]),
        (2, Some(whole)) if count == LANES => {
            let halves = whole.as_chunks::<LANES>().0;
            T::Vector::load(simd, &halves[0]).unzip(T::Vector::load(simd, &halves[1]), simd).0
        }
        _ => {
            let mut lanes = [T::zero(); LANES];
            for (lane, x) in lanes.iter_mut().take(count).zip(from.iter().step_by(step)) {
                *lane = *x;
            }
            T::Vector::load(simd, &lanes)
        }
    }
}

/// The outputs of some planes, the first of which is a first channel's.
pub(super) struct Planes<'a, 'b, T> {
    pub(super) window: &'a Window,
    pub(super) channels: usize,
    pub(super) x: &'a [T],
    /// A kernel for each channel.
    pub(super) weight: &'a [T],
    /// One element for each channel, or none.
    pub(super) bias: Option<&'a [T]>,
    pub(super) relu: bool,
    pub(super) accumulate: bool,
    pub(super) y: &'b mut [T],
    /// Elements of a plane of `y`.
    pub(super) plane: usize,
    pub(super) scratch: &'b mut [T],
}

impl<T: Element> SimdOp for Planes<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Planes { window, channels, x, weight, bias, relu, accumulate, y, plane, scratch } = self;
        let (source, taps) = (window.source[0] * window.source[1], window.taps());
        let (width, row) = (window.out_width, window.padded[1]);
        let zero = T::Vector::splat(simd, T::zero());
        for (i, y) in y.chunks_exact_mut(plane).enumerate() {
            let channel = i % channels;
            let planes = window.expand(simd, &x[i * source..][..source], scratch, i > 0);
            let kernel = &weight[channel * taps..][..taps];
            let start = T::Vector::splat(simd, bias.map_or(T::zero(), |bias| bias[channel]));
            for (out_y, y) in y.chunks_exact_mut(width).enumerate() {
                for (strip, y) in y.chunks_mut(LANES).enumerate() {
                    let corner = out_y * window.step[0] * row + strip * LANES * window.step[1];
                    let mut sum = start;
                    for (ky, kernel) in kernel.chunks_exact(window.kernel[1]).enumerate() {
                        let line = &planes[corner + ky * window.dilation[0] * row..];
                        for (kx, weight) in kernel.iter().enumerate() {
                            let x = &line[kx * window.dilation[1]..];
                            let x = load_steps::<T, S>(simd, x, window.step[1], y.len());
                            sum = x.mul_add(T::Vector::splat(simd, *weight), sum);
                        }
                    }
                    if relu {
                        sum = zero.max(sum);
                    }
                    if accumulate {
                        sum = load::<T, S>(simd, y) + sum;
                    }
                    store(sum, y);
                }
            }
        }
    }
}

/// Adds to `sums`, taps for each channel, the products of some planes of `x` with those of `dy`; the first is a first channel's.
///
/// Of each plane the products of pixel x of a row are added in lane x mod 8, row by row, and the lanes are joined by their tree.
pub(super) struct Weights<'a, 'b, T> {
    pub(super) window: &'a Window,
    pub(super) x: &'a [T],
    pub(super) dy: &'a [T],
    /// Elements of a plane of `dy`.
    pub(super) plane: usize,
    pub(super) sums: &'b mut [T],
    pub(super) scratch: &'b mut [T],
}

/// Taps that are summed together.
const TAPS: usize = 9;

impl<T: Element> SimdOp for Weights<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Weights { window, x, dy, plane, sums, scratch } = self;
        sums.fill(T::zero());
        let (source, taps) = (window.source[0] * window.source[1], window.taps());
        let (width, row, channels) = (window.out_width, window.padded[1], sums.len() / taps);
        for (i, dy) in dy.chunks_exact(plane).enumerate() {
            let planes = window.expand(simd, &x[i * source..][..source], scratch, i > 0);
            let sums = &mut sums[i % channels * taps..][..taps];
            for (part, sums) in sums.chunks_mut(TAPS).enumerate() {
                let mut places = [0; TAPS];
                for (place, at) in places.iter_mut().zip(window.taps_from(part * TAPS)).take(sums.len()) {
                    *place = at;
                }
                let mut lanes = [T::Vector::splat(simd, T::zero()); TAPS];
                for (out_y, dy) in dy.chunks_exact(width).enumerate() {
                    for (strip, dy) in dy.chunks(LANES).enumerate() {
                        let corner = out_y * window.step[0] * row + strip * LANES * window.step[1];
                        let gradient = load::<T, S>(simd, dy);
                        for (lanes, place) in lanes.iter_mut().zip(places) {
                            let x = &planes[corner + place..];
                            *lanes = load_steps::<T, S>(simd, x, window.step[1], dy.len())
                                .mul_add(gradient, *lanes);
                        }
                    }
                }
                for (sum, lanes) in sums.iter_mut().zip(lanes) {
                    *sum += lanes.tree(|a, b| a + b);
                }
            }
        }
    }
}
