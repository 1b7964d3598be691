//! Convolution of each channel with a kernel of its own: lanes are the pixels of a row, read from the padded plane where they lie.

use super::Window;
use crate::gemm::{load, store};
use crate::require;
use crate::simd::{Element, LANES, Simd, SimdOp, Vector};

/// Eight elements from `at` on, neighbours if `NEAR`, else `step` apart; unless `WHOLE`, the first `count` of them and zeros.
///
/// # Safety
/// Eight neighbours from `at` on lie in `x` if `WHOLE` and `NEAR`.
#[inline(always)]
unsafe fn load_steps<T: Element, S: Simd, const WHOLE: bool, const NEAR: bool>(
    simd: S,
    x: &[T],
    at: usize,
    step: usize,
    count: usize,
) -> T::Vector<S> {
    if NEAR && WHOLE {
        // SAFETY: they lie in `x`.
        return T::Vector::load(simd, unsafe { &*x.as_ptr().add(at).cast::<[T; LANES]>() });
    }
    if NEAR {
        return load(simd, &x[at..at + count]);
    }
    if WHOLE && step == 2 && at + 2 * LANES <= x.len() {
        return load::<T, S>(simd, &x[at..at + LANES]).unzip(load(simd, &x[at + LANES..]), simd).0;
    }
    let mut lanes = [T::zero(); LANES];
    for (lane, x) in lanes.iter_mut().take(count).zip(x[at..].iter().step_by(step)) {
        *lane = *x;
    }
    T::Vector::load(simd, &lanes)
}

/// `sum` and the products of the taps of `count` windows side by side; nine taps are a loop that is rolled out.
#[inline(always)]
fn add_taps<T: Element, S: Simd, const NEAR: bool>(
    simd: S,
    mut sum: T::Vector<S>,
    (planes, at): (&[T], usize),
    step: usize,
    count: usize,
    (places, kernel): (&[usize], &[T]),
) -> T::Vector<S> {
    let last = places.last().copied().unwrap_or(0);
    require(at + last + (count - 1) * step < planes.len());
    if count < LANES {
        for (place, weight) in places.iter().zip(kernel) {
            // SAFETY: not whole.
            let x = unsafe { load_steps::<T, S, false, NEAR>(simd, planes, at + place, step, count) };
            sum = x.mul_add(T::Vector::splat(simd, *weight), sum);
        }
    } else if let (Ok(places), Ok(kernel)) = (<&[usize; 9]>::try_from(places), <&[T; 9]>::try_from(kernel)) {
        for (place, weight) in places.iter().zip(kernel) {
            // SAFETY: the last tap's eight elements lie in the planes, and the others lie before it.
            let x = unsafe { load_steps::<T, S, true, NEAR>(simd, planes, at + place, step, LANES) };
            sum = x.mul_add(T::Vector::splat(simd, *weight), sum);
        }
    } else {
        for (place, weight) in places.iter().zip(kernel) {
            // SAFETY: as above.
            let x = unsafe { load_steps::<T, S, true, NEAR>(simd, planes, at + place, step, LANES) };
            sum = x.mul_add(T::Vector::splat(simd, *weight), sum);
        }
    }
    sum
}

/// The most taps of a kernel.
pub(super) const MOST_TAPS: usize = 64;

/// Where the taps lie, seen from the window's corner.
#[inline(always)]
fn places(window: &Window) -> [usize; MOST_TAPS] {
    let mut places = [0; MOST_TAPS];
    for (place, at) in places.iter_mut().zip(window.taps_from(0)).take(window.taps()) {
        *place = at;
    }
    places
}

/// The outputs of some planes, the first of which is a first channel's.
pub struct Planes<'a, 'b, T> {
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
        let places = &places(window)[..taps];
        let step = window.step[1];
        for (i, y) in y.chunks_exact_mut(plane).enumerate() {
            let channel = i % channels;
            let planes = window.expand(simd, &x[i * source..][..source], scratch, i > 0);
            let kernel = &weight[channel * taps..][..taps];
            let start = T::Vector::splat(simd, bias.map_or(T::zero(), |bias| bias[channel]));
            for (out_y, y) in y.chunks_exact_mut(width).enumerate() {
                let corner = out_y * window.step[0] * row;
                let mut first = 0;
                while first < width {
                    if !accumulate && width >= LANES {
                        // Some outputs twice, so that vectors are whole.
                        first = first.min(width - LANES);
                    }
                    let y = &mut y[first..width.min(first + LANES)];
                    let at = corner + first * step;
                    let (from, taps) = ((planes, at), (places, kernel));
                    let mut sum = if step == 1 {
                        add_taps::<T, S, true>(simd, start, from, 1, y.len(), taps)
                    } else {
                        add_taps::<T, S, false>(simd, start, from, step, y.len(), taps)
                    };
                    if relu {
                        sum = zero.max(sum);
                    }
                    if accumulate {
                        sum = load::<T, S>(simd, y) + sum;
                    }
                    store(sum, y);
                    first += LANES;
                }
            }
        }
    }
}

/// Adds to `sums`, taps for each channel, the products of some planes of `x` with those of `dy`; the first is a first channel's.
///
/// Of each plane the products of pixel x of a row are added in lane x mod 8, row by row, and the lanes are joined by their tree.
pub struct Weights<'a, 'b, T> {
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
        let all = &places(window)[..taps];
        let step = window.step[1];
        for (i, dy) in dy.chunks_exact(plane).enumerate() {
            let planes = window.expand(simd, &x[i * source..][..source], scratch, i > 0);
            let sums = &mut sums[i % channels * taps..][..taps];
            for (sums, places) in sums.chunks_mut(TAPS).zip(all.chunks(TAPS)) {
                // Beyond the last tap the first one again: nobody uses the result.
                let mut lanes = [T::Vector::splat(simd, T::zero()); TAPS];
                let mut nine = [places[0]; TAPS];
                nine[..places.len()].copy_from_slice(places);
                let farthest = nine.into_iter().fold(0, usize::max);
                for (out_y, dy) in dy.chunks_exact(width).enumerate() {
                    let corner = out_y * window.step[0] * row;
                    require(corner + farthest + (width - 1) * step < planes.len());
                    for first in (0..width).step_by(LANES) {
                        let at = corner + first * step;
                        let count = LANES.min(width - first);
                        let gradient = load::<T, S>(simd, &dy[first..first + count]);
                        for (lanes, place) in lanes.iter_mut().zip(nine) {
                            // SAFETY: the row's last element of the farthest tap lies in the planes.
                            let x = unsafe {
                                match (step, count) {
                                    (1, LANES) => {
                                        load_steps::<T, S, true, true>(simd, planes, at + place, 1, count)
                                    }
                                    (1, _) => {
                                        load_steps::<T, S, false, true>(simd, planes, at + place, 1, count)
                                    }
                                    _ => load_steps::<T, S, false, false>(
                                        simd,
                                        planes,
                                        at + place,
                                        step,
                                        count,
                                    ),
                                }
                            };
                            *lanes = x.mul_add(gradient, *lanes);
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
