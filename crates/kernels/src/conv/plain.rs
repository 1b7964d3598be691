//! Convolution for processors without vectors: one loop for forward and both gradients.
//!
//! All three are sums of one kind. Of each image, the result of a row and a lane adds `x[row + step] · w[lane + step]` over the
//! steps, where rows, steps and `x` are places in the padded planes and lanes are output channels (input channels for the gradient
//! by the input). Eight lanes of `w` are packed side by side and two rows are summed at a time; lanes that are left over are taken
//! one by one. Each result adds its products in the order of the vectors' methods, so the bits are theirs.

use super::{ConvMethod, ConvShape, Part, Window};
use crate::gemm::Activation;
use crate::require;
use crate::simd::{Element, LANES, Scalar, Vector};
use bantam_core::Numerics;

/// Three nested loops, the outermost first, over places in the planes and in another slice. Steps back wrap around.
#[derive(Clone, Copy)]
struct Nest {
    counts: [usize; 3],
    planes: [usize; 3],
    other: [usize; 3],
}

impl Nest {
    fn len(&self) -> usize {
        self.counts.iter().product()
    }

    /// The farthest place in the planes.
    fn reach(&self) -> usize {
        (0..3).map(|axis| self.counts[axis].saturating_sub(1) * self.planes[axis]).sum()
    }

    /// Calls `f` with the places in the planes and in the other slice, from these on.
    #[inline(always)]
    fn walk(&self, [planes, other]: [usize; 2], mut f: impl FnMut(usize, usize)) {
        let [outer, middle, inner] = self.counts;
        for i in 0..outer {
            for j in 0..middle {
                let mut at = planes + i * self.planes[0] + j * self.planes[1];
                let others = [i.wrapping_mul(self.other[0]), j.wrapping_mul(self.other[1])];
                let mut to = other.wrapping_add(others[0]).wrapping_add(others[1]);
                for _ in 0..inner {
                    f(at, to);
                    at += self.planes[2];
                    to = to.wrapping_add(self.other[2]);
                }
            }
        }
    }

    /// The same places one after the other.
    fn places(self, [mut planes, mut other]: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
        let mut at = [0; 3];
        (0..self.len()).map(move |_| {
            let place = [planes, other];
            for axis in (0..3).rev() {
                at[axis] += 1;
                planes = planes.wrapping_add(self.planes[axis]);
                other = other.wrapping_add(self.other[axis]);
                if at[axis] < self.counts[axis] {
                    break;
                }
                at[axis] = 0;
                planes = planes.wrapping_sub(self.counts[axis] * self.planes[axis]);
                other = other.wrapping_sub(self.counts[axis].wrapping_mul(self.other[axis]));
            }
            place
        })
    }
}

/// The sums of some outputs of an image, or of all weights.
#[derive(Clone, Copy)]
struct Sums {
    /// Where the first row lies in the planes and in `y`, and how rows follow.
    first: [usize; 2],
    rows: Nest,
    /// Where the first step lies in `w`, and how steps follow from a row's place.
    first_step: usize,
    steps: Nest,
}

/// What sums start from, and what is done with them.
#[derive(Clone, Copy)]
struct Finish<'a, T> {
    /// Of each lane, or none.
    bias: Option<&'a [T]>,
    /// Whether sums go on from what `y` holds.
    goes_on: bool,
    /// Whether negative sums become 0.
    relu: bool,
    /// Whether sums are added to what `y` holds.
    accumulate: bool,
}

impl Sums {
    /// Eight lanes of `w`, side by side for each step.
    fn pack<T: Element>(&self, w: &[T], lane_step: usize, packed: &mut [T]) {
        let mut eights = packed.chunks_exact_mut(LANES);
        self.steps.walk([0, self.first_step], |_, mut at| {
            for lane in eights.next().unwrap_or_default() {
                *lane = w[at];
                at += lane_step;
            }
        });
    }

    /// Eight lanes of all rows.
    fn eight<T: Element>(
        &self,
        x: &[T],
        packed: &[T],
        y: &mut [T],
        lane_step: usize,
        first_lane: usize,
        finish: &Finish<'_, T>,
    ) {
        let (steps, reach, count) = (&self.steps, self.steps.reach(), self.steps.len());
        require(packed.len() >= count * LANES);
        let start: [T; LANES] = core::array::from_fn(|lane| match finish.bias {
            Some(bias) => bias[first_lane + lane],
            None => T::zero(),
        });
        let mut rows = self.rows.places(self.first);
        while let Some([from, to]) = rows.next() {
            // Of a single row two: nobody uses the second.
            let pair = [[from, to], rows.next().unwrap_or([from, to])];
            let mut sums = [start; 2];
            if finish.goes_on {
                for (sums, [_, mut to]) in sums.iter_mut().zip(pair) {
                    for sum in sums {
                        *sum = y[to];
                        to += lane_step;
                    }
                }
            }
            if count > 0 {
                require(pair[0][0].max(pair[1][0]) + reach < x.len());
                // SAFETY: both lengths were checked, and no count is 0.
                unsafe { add(&mut sums, pair.map(|[from, _]| x.as_ptr().add(from)), packed.as_ptr(), steps) };
            }
            // Of a single row once: what is added to `y` is added once.
            let rows = if pair[0] == pair[1] { 1 } else { 2 };
            for (sums, [_, mut to]) in sums.iter().zip(pair).take(rows) {
                for sum in sums {
                    finish.write(*sum, &mut y[to]);
                    to += lane_step;
                }
            }
        }
    }

    /// One lane of all rows.
    fn one<T: Element>(&self, x: &[T], w: &[T], y: &mut [T], lane: usize, finish: &Finish<'_, T>) {
        for [from, to] in self.rows.places(self.first) {
            let y = &mut y[to];
            let mut sum = match finish.bias {
                _ if finish.goes_on => *y,
                Some(bias) => bias[lane],
                None => T::zero(),
            };
            self.steps.walk([from, self.first_step], |from, step| sum += x[from] * w[step]);
            finish.write(sum, y);
        }
    }
}

impl<T: Element> Finish<'_, T> {
    #[inline(always)]
    fn write(&self, mut sum: T, y: &mut T) {
        // NaN stays.
        if self.relu && sum < T::zero() {
            sum = T::zero();
        }
        *y = if self.accumulate { *y + sum } else { sum };
    }
}

/// Adds to each row of `sums` the products of its elements of `x` with the eights of `packed`, in order.
///
/// # Safety
/// No count is 0, every step from each of `x` can be read, and `packed` has an eight for each step.
#[inline(never)]
unsafe fn add<T: Element>(sums: &mut [[T; LANES]; 2], x: [*const T; 2], packed: *const T, steps: &Nest) {
    #[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
    if size_of::<T>() == size_of::<f32>() {
        // SAFETY: the caller's; `T` is `f32`.
        return unsafe {
            add_with_fpu(sums.as_mut_ptr().cast(), x.map(<*const T>::cast), packed.cast(), steps)
        };
    }
    let Nest { counts, planes, .. } = *steps;
    // Four lanes of both rows at a time, each a variable of its own: compilers for small code leave arrays in memory.
    let [row_a, row_b] = sums;
    for (half, (a, b)) in
        row_a.as_chunks_mut::<4>().0.iter_mut().zip(row_b.as_chunks_mut::<4>().0).enumerate()
    {
        let ([mut a0, mut a1, mut a2, mut a3], [mut b0, mut b1, mut b2, mut b3]) = (*a, *b);
        let mut packed = packed.wrapping_add(4 * half);
        for outer in 0..counts[0] {
            for middle in 0..counts[1] {
                let place = outer * planes[0] + middle * planes[1];
                let (mut from_a, mut from_b) = (x[0].wrapping_add(place), x[1].wrapping_add(place));
                for _ in 0..counts[2] {
                    // SAFETY: the caller's.
                    let (a, b, [w0, w1, w2, w3]) = unsafe { (*from_a, *from_b, *packed.cast::<[T; 4]>()) };
                    (a0, b0) = (a0 + a * w0, b0 + b * w0);
                    (a1, b1) = (a1 + a * w1, b1 + b * w1);
                    (a2, b2) = (a2 + a * w2, b2 + b * w2);
                    (a3, b3) = (a3 + a * w3, b3 + b * w3);
                    (from_a, from_b) = (from_a.wrapping_add(planes[2]), from_b.wrapping_add(planes[2]));
                    packed = packed.wrapping_add(LANES);
                }
            }
        }
        (*a, *b) = ([a0, a1, a2, a3], [b0, b1, b2, b3]);
    }
}

/// [`add`] for the FPU of a Cortex-M, which multiplies and adds in one instruction that rounds twice.
///
/// # Safety
/// As for [`add`]; `sums` points to twice eight.
#[cfg(all(target_arch = "arm", target_abi = "eabihf"))]
#[inline(always)]
unsafe fn add_with_fpu(sums: *mut f32, [a, b]: [*const f32; 2], packed: *const f32, steps: &Nest) {
    const BYTES: usize = size_of::<f32>();
    let Nest { counts, planes, .. } = *steps;
    // What is added at the end of the two inner loops, and their counts.
    let loops = [
        planes[1].wrapping_sub(counts[2] * planes[2]).wrapping_mul(BYTES),
        planes[0].wrapping_sub(counts[1] * planes[1]).wrapping_mul(BYTES),
        counts[1],
        counts[2],
    ];
    // SAFETY: reads an element of `a` and of `b` and eight of `packed` for each step, reads and writes sixteen sums.
    unsafe {
        core::arch::asm!(
            "vldmia {sums}, {{s16-s31}}",
            "2: ldr {middle}, [{loops}, #8]",
            "3: ldr {inner}, [{loops}, #12]",
            "4: vldmia {packed}!, {{s0-s7}}",
            "vldr s8, [{a}]",
            "vldr s9, [{b}]",
            "vmla.f32 s16, s8, s0; vmla.f32 s17, s8, s1; vmla.f32 s18, s8, s2; vmla.f32 s19, s8, s3",
            "vmla.f32 s20, s8, s4; vmla.f32 s21, s8, s5; vmla.f32 s22, s8, s6; vmla.f32 s23, s8, s7",
            "vmla.f32 s24, s9, s0; vmla.f32 s25, s9, s1; vmla.f32 s26, s9, s2; vmla.f32 s27, s9, s3",
            "vmla.f32 s28, s9, s4; vmla.f32 s29, s9, s5; vmla.f32 s30, s9, s6; vmla.f32 s31, s9, s7",
            "add {a}, {step}",
            "add {b}, {step}",
            "subs {inner}, {inner}, #1",
            "bne 4b",
            "ldr {inner}, [{loops}]",
            "add {a}, {inner}",
            "add {b}, {inner}",
            "subs {middle}, {middle}, #1",
            "bne 3b",
            "ldr {inner}, [{loops}, #4]",
            "add {a}, {inner}",
            "add {b}, {inner}",
            "subs {outer}, {outer}, #1",
            "bne 2b",
            "vstmia {sums}, {{s16-s31}}",
            sums = in(reg) sums,
            a = inout(reg) a => _,
            b = inout(reg) b => _,
            packed = inout(reg) packed => _,
            loops = in(reg) loops.as_ptr(),
            step = in(reg) planes[2] * BYTES,
            outer = inout(reg) counts[0] => _,
            middle = out(reg) _,
            inner = out(reg) _,
            out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _, out("s7") _,
            out("s8") _, out("s9") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _, out("s20") _,
            out("s21") _, out("s22") _, out("s23") _, out("s24") _, out("s25") _, out("s26") _, out("s27") _,
            out("s28") _, out("s29") _, out("s30") _, out("s31") _,
            options(nostack),
        );
    }
}

impl Window {
    /// Its taps: in the planes, and one after the other.
    fn tap_nest(&self) -> Nest {
        let [rows, columns] = self.kernel;
        Nest {
            counts: [self.channels, rows, columns],
            planes: [self.plane(), self.dilation[0] * self.padded[1], self.dilation[1]],
            other: [rows * columns, columns, 1],
        }
    }

    /// Its pixels: in the planes, and one after the other.
    fn pixel_nest(&self, out_height: usize) -> Nest {
        Nest {
            counts: [1, out_height, self.out_width],
            planes: [0, self.step[0] * self.padded[1], self.step[1]],
            other: [0, self.out_width, 1],
        }
    }
}

impl ConvShape {
    /// The sums of a part of the gradient by the input. Its taps go from the last to the first.
    fn gradient_sums(&self, window: &Window, part: &Part) -> Sums {
        let (row, columns) = (window.padded[1], self.kernel[1]);
        let last = |axis: usize| part.tap[axis] + part.taps[axis].saturating_sub(1) * part.step[axis];
        Sums {
            first: [part.corner[0] * row + part.corner[1], part.first[0] * self.width + part.first[1]],
            rows: Nest {
                counts: [1, part.count[0], part.count[1]],
                planes: [0, row * part.stride[0], part.stride[1]],
                other: [0, part.step[0] * self.width, part.step[1]],
            },
            first_step: last(0) * columns + last(1),
            steps: Nest {
                counts: [window.channels, part.taps[0], part.taps[1]],
                planes: [window.plane(), part.dilation[0] * row, part.dilation[1]],
                other: [
                    self.in_group() * self.taps(),
                    (part.step[0] * columns).wrapping_neg(),
                    part.step[1].wrapping_neg(),
                ],
            },
        }
    }
}

/// As [`super::conv2d_forward`], which calls it.
pub(super) fn forward<T: Element>(
    shape: &ConvShape,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    activation: Activation,
    y: &mut [T],
    scratch: &mut [T],
) {
    let window = shape.input_window();
    let sums = Sums {
        first: [0; 2],
        rows: window.pixel_nest(shape.out_height()),
        first_step: 0,
        steps: window.tap_nest(),
    };
    let finish = Finish { bias, goes_on: false, relu: activation == Activation::Relu, accumulate: false };
    let lanes = [shape.out_group(), window.taps(), shape.out_plane()];
    images(shape.groups, &window, core::iter::once(sums), lanes, x, weight, y, finish, scratch);
}

/// As [`super::conv2d_backward_input`], which calls it.
pub(super) fn backward_input<T: Element>(
    shape: &ConvShape,
    dy: &[T],
    weight: &[T],
    dx: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    let method = shape.backward_input_method(Numerics::Portable);
    let goes_on = accumulate && matches!(method, ConvMethod::Panels | ConvMethod::Product);
    let finish = Finish { bias: None, goes_on, relu: false, accumulate: accumulate && !goes_on };
    let lanes = [shape.in_group(), shape.taps(), shape.height * shape.width];
    let direct = method == ConvMethod::Direct;
    let window = if direct { shape.gradient_parts().0 } else { shape.gradient_window() };
    let whole = Part { count: [shape.height, shape.width], stride: [1; 2], ..shape.whole() };
    let parts =
        shape.parts(direct).map(|part| shape.gradient_sums(&window, if direct { &part } else { &whole }));
    images(shape.groups, &window, parts, lanes, dy, weight, dx, finish, scratch);
}

/// The sums of all images and groups. `lanes` says how many there are in a group, and their distance in `w` and in `y`.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
fn images<T: Element>(
    groups: usize,
    window: &Window,
    parts: impl Iterator<Item = Sums> + Clone,
    [lanes, w_step, y_step]: [usize; 3],
    x: &[T],
    w: &[T],
    y: &mut [T],
    finish: Finish<'_, T>,
    scratch: &mut [T],
) {
    if y.is_empty() {
        return;
    }
    let source = window.channels * window.source[0] * window.source[1];
    let (planes, buffer) = scratch.split_at_mut(window.scratch());
    let steps: usize = parts.clone().map(|sums| sums.steps.len()).sum();
    let mut used = false;
    for group in 0..groups {
        let w = &w[group * (w.len() / groups)..];
        let mut lane = 0;
        while lane < lanes {
            // Without room for packed weights one by one.
            let eight = lanes - lane >= LANES && steps * LANES <= buffer.len();
            let w = w.get(lane * w_step..).unwrap_or(&[]);
            if eight {
                let mut rest = &mut *buffer;
                for sums in parts.clone() {
                    let packed;
                    (packed, rest) = rest.split_at_mut(sums.steps.len() * LANES);
                    sums.pack(w, w_step, packed);
                }
            }
            for (image, y) in y.chunks_exact_mut(groups * lanes * y_step).enumerate() {
                let x = &x[(image * groups + group) * source..][..source];
                let planes = window.expand(Scalar::new(), x, planes, used);
                used = true;
                let y = &mut y[(group * lanes + lane) * y_step..];
                let mut packed = &*buffer;
                for sums in parts.clone() {
                    let first_lane = group * lanes + lane;
                    if eight {
                        let (these, others) = packed.split_at(sums.steps.len() * LANES);
                        sums.eight(planes, these, y, y_step, first_lane, &finish);
                        packed = others;
                    } else {
                        sums.one(planes, w, y, first_lane, &finish);
                    }
                }
            }
            lane += if eight { LANES } else { 1 };
        }
    }
}

/// As [`super::conv2d_backward_weight`], which calls it; there is an output.
pub(super) fn backward_weight<T: Element>(
    shape: &ConvShape,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    let window = shape.input_window();
    let (total, scratch) = scratch.split_at_mut(dw.len());
    let sum = |piece: usize, sums: &mut [T], scratch: &mut [T]| {
        sums.fill(T::zero());
        let images = shape.images(piece, shape.pieces());
        for image in images.clone() {
            weight_sums(shape, &window, image, x, dy, sums, scratch, image > images.start);
        }
    };
    sum(0, total, scratch);
    for piece in 1..shape.pieces() {
        let (sums, scratch) = scratch.split_at_mut(dw.len());
        sum(piece, sums, scratch);
        total.iter_mut().zip(sums).for_each(|(total, sum)| *total += *sum);
    }
    for (dw, total) in dw.iter_mut().zip(total) {
        *dw = if accumulate { *dw + *total } else { *total };
    }
}

/// Adds the products of one image.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
fn weight_sums<T: Element>(
    shape: &ConvShape,
    window: &Window,
    image: usize,
    x: &[T],
    dy: &[T],
    sums: &mut [T],
    scratch: &mut [T],
    used: bool,
) {
    let (taps, pixels, lanes) = (window.taps(), shape.out_plane(), shape.out_group());
    let source = window.channels * window.source[0] * window.source[1];
    let (planes, buffer) = scratch.split_at_mut(window.scratch());
    let (tap_nest, pixel_nest) = (window.tap_nest(), window.pixel_nest(shape.out_height()));
    let all = Sums { first: [0; 2], rows: tap_nest, first_step: 0, steps: pixel_nest };
    let finish = Finish { bias: None, goes_on: true, relu: false, accumulate: false };
    for group in 0..shape.groups {
        let i = image * shape.groups + group;
        let planes = window.expand(Scalar::new(), &x[i * source..][..source], planes, used || group > 0);
        let mut lane = 0;
        while lane < lanes {
            let first_lane = group * lanes + lane;
            let dy = &dy[(i * lanes + lane) * pixels..];
            let sums = &mut sums[first_lane * taps..];
            if shape.is_depthwise() {
                depthwise_sums(&all, planes, dy, sums);
            } else if lanes - lane >= LANES && pixels * LANES <= buffer.len() {
                let packed = &mut buffer[..pixels * LANES];
                all.pack(dy, pixels, packed);
                all.eight(planes, packed, sums, taps, first_lane, &finish);
                lane += LANES;
                continue;
            } else {
                all.one(planes, dy, sums, first_lane, &finish);
            }
            lane += 1;
        }
    }
}

/// Adds the products of one channel with a kernel of its own: those of column x in lane x mod 8, and the lanes by their tree.
fn depthwise_sums<T: Element>(all: &Sums, planes: &[T], dy: &[T], sums: &mut [T]) {
    let columns = all.steps.counts[2];
    for [from, to] in all.rows.places([0; 2]) {
        let (mut lanes, mut column) = ([T::zero(); LANES], 0);
        all.steps.walk([from, 0], |from, pixel| {
            lanes[column % LANES] += planes[from] * dy[pixel];
            column = if column + 1 == columns { 0 } else { column + 1 };
        });
        sums[to] += <T::Vector<Scalar> as Vector<T, Scalar>>::load(Scalar::new(), &lanes).tree(|a, b| a + b);
    }
}
