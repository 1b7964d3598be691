//! Two-dimensional convolution (cross-correlation, as the field calls it) and its two gradients.
//!
//! All three are matrix products whose B is never written out. With each channel of one image padded by zeros, the
//! element that tap (channel, ky, kx) sees at output pixel (y, x) lies at `tap offset + pixel offset`. Where there are
//! channels enough to fill vectors, they are the lanes and pixels are read where they lie (`direct.rs`); else pixels are
//! the lanes, and a panel of B is gathered from the padded image just before it is multiplied. With a kernel of one tap, B is the
//! image as it lies (`pointwise.rs`). Where rounding is free, 3×3 taps need a quarter of the products (`winograd.rs`). The
//! gradient by the input is the convolution of `dy`, with zeros between its pixels where the stride is above 1, with the weights turned by 180°.

pub mod depthwise;
pub mod direct;
mod plain;
mod pointwise;
pub mod winograd;

use crate::gemm::{
    Activation, Bias, Panel, Product, SHORT_PANEL_DEPTH, Source, TILE_COLUMNS, gemm_scratch, load, multiply,
    panel_depth, store,
};
use crate::parallel::{GRAIN, Parts, for_each_chunk, for_each_task};
use crate::require;
use crate::simd::{BASELINE_IS_PLAIN, Element, LANES, Simd, SimdOp, Vector, is_plain};
use bantam_core::{Context, Numerics};
use core::fmt;
use core::ops::Range;
use depthwise::{MOST_TAPS, Planes, Weights};
use direct::{CHANNELS, Finish, Part, ROWS, outputs, pack, packed_len, weight_sums};

/// The shape of a convolution. Inputs are [batch, channels_in, height, width], outputs [batch, channels_out,
/// out_height, out_width], weights [channels_out, channels_in / groups, kernel height, kernel width].
///
/// Pairs are (vertical, horizontal). `groups` divides both numbers of channels; strides and dilations are at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Number of images.
    pub batch: usize,
    /// Channels of the input.
    pub channels_in: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Channels of the output.
    pub channels_out: usize,
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// Steps of the kernel over the input.
    pub stride: [usize; 2],
    /// Zeros added on each side.
    pub padding: [usize; 2],
    /// Distance between the kernel's taps: 1 for an ordinary kernel.
    pub dilation: [usize; 2],
    /// How many independent convolutions share the channels: 1 for an ordinary one, `channels_in` for a depthwise one.
    pub groups: usize,
}

/// How often a window fits: (len + 2·padding − dilation·(kernel − 1) − 1) / stride + 1, or 0.
pub(crate) fn out_len(len: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> usize {
    let window = dilation * (kernel - 1) + 1;
    let padded = len + 2 * padding;
    if padded < window { 0 } else { (padded - window) / stride + 1 }
}

/// The number of elements of these lengths; saturating, so that what does not fit into memory fits no slice.
fn product(lengths: [usize; 4]) -> usize {
    lengths.into_iter().fold(1, usize::saturating_mul)
}

impl ConvShape {
    /// Height of the output; 0 if the kernel does not fit.
    pub fn out_height(&self) -> usize {
        out_len(self.height, self.kernel[0], self.stride[0], self.padding[0], self.dilation[0])
    }

    /// Width of the output; 0 if the kernel does not fit.
    pub fn out_width(&self) -> usize {
        out_len(self.width, self.kernel[1], self.stride[1], self.padding[1], self.dilation[1])
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        product([self.batch, self.channels_in, self.height, self.width])
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        product([self.batch, self.channels_out, self.out_height(), self.out_width()])
    }

    /// Elements of the weights.
    pub fn weight_len(&self) -> usize {
        product([self.channels_out, self.channels_in / self.groups, self.kernel[0], self.kernel[1]])
    }

    /// Elements of one output plane.
    fn out_plane(&self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Taps of the kernel.
    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn in_group(&self) -> usize {
        self.channels_in / self.groups
    }

    fn out_group(&self) -> usize {
        self.channels_out / self.groups
    }

    /// Into how many tasks the images are divided, at most 16: a function of the shape alone.
    fn pieces(&self) -> usize {
        let work = self.output_len() * self.in_group() * self.taps();
        (work / TASK_WORK).clamp(1, MOST_PIECES).min(self.batch.max(1))
    }

    /// Into how many tasks the images of outputs are divided, which do not depend on it: one if there is one lane, whose scratch
    /// then stays in the cache.
    fn tasks(&self, cx: &Context<'_>) -> usize {
        if cx.executor.lanes() == 1 { 1 } else { self.pieces() }
    }

    /// The images of one of several pieces.
    fn images(&self, piece: usize, pieces: usize) -> Range<usize> {
        piece * self.batch / pieces..(piece + 1) * self.batch / pieces
    }

    /// Calls `compute` for each piece of the batch, as a task, with its images, what is theirs of `y`, and `len` elements of scratch
    /// of its own. There is a batch.
    fn for_each_piece<T: Element>(
        &self,
        cx: &Context<'_>,
        y: &mut [T],
        scratch: &mut [T],
        len: usize,
        compute: impl Fn(Range<usize>, &mut [T], &mut [T]) + Sync,
    ) {
        let (image, pieces) = (y.len() / self.batch, self.tasks(cx));
        let (y, scratch) = (Parts::new(y), Parts::new(scratch));
        for_each_task(cx, pieces, |piece| {
            let images = self.images(piece, pieces);
            // SAFETY: pieces have different images and each its own scratch.
            let (y, scratch) = unsafe {
                (y.range(images.start * image, images.len() * image), scratch.range(piece * len, len))
            };
            compute(images, y, scratch);
        });
    }

    fn is_depthwise(&self) -> bool {
        self.in_group() == 1 && self.out_group() == 1 && self.taps() <= MOST_TAPS
    }

    /// How [`conv2d_forward`] computes this shape.
    pub fn forward_method(&self, numerics: Numerics) -> ConvMethod {
        if numerics == Numerics::Fast && self.suits_squares() {
            return ConvMethod::Winograd;
        }
        if self.is_depthwise() {
            return ConvMethod::Depthwise;
        }
        if self.is_pointwise() {
            return ConvMethod::Product;
        }
        // With few products for each output, turning sixteen channels into planes costs more than it saves.
        if self.in_group() * self.taps() < 16 {
            ConvMethod::Panels
        } else {
            ConvMethod::for_lanes(self.out_group())
        }
    }

    /// How [`conv2d_backward_input`] computes this shape.
    pub fn backward_input_method(&self, numerics: Numerics) -> ConvMethod {
        if numerics == Numerics::Fast && self.suits_squares() {
            return ConvMethod::Winograd;
        }
        if self.is_depthwise() {
            return ConvMethod::Depthwise;
        }
        if self.is_pointwise() {
            return ConvMethod::Product;
        }
        let simple = |axis: usize| self.stride[axis] == 1 || self.dilation[axis] == 1;
        if simple(0) && simple(1) { ConvMethod::for_lanes(self.in_group()) } else { ConvMethod::Panels }
    }

    /// How [`conv2d_backward_weight`] computes this shape.
    pub fn backward_weight_method(&self, numerics: Numerics) -> ConvMethod {
        if numerics == Numerics::Fast && self.suits_squares() {
            return ConvMethod::Winograd;
        }
        if self.is_depthwise() {
            return ConvMethod::Depthwise;
        }
        if self.is_pointwise() {
            return ConvMethod::Product;
        }
        ConvMethod::for_lanes(self.out_group())
    }

    /// The gradient by the input as convolutions of `dy`: one for each distance of an input pixel from the stride's grid, with
    /// the taps that reach it, from the last to the first. For [`ConvMethod::Direct`].
    fn gradient_parts(&self) -> (Window, impl Iterator<Item = Part> + Clone) {
        let out = [self.out_height(), self.out_width()];
        let padded = [0, 1].map(|axis| {
            // The farthest output that a tap sees.
            let last = ([self.height, self.width][axis] + self.padding[axis]).div_ceil(self.stride[axis]);
            self.zeros(axis) + last.max(out[axis])
        });
        let window = Window {
            channels: self.out_group(),
            source: out,
            spread: [1; 2],
            before: [0, 1].map(|axis| self.zeros(axis) as isize),
            padded,
            kernel: self.kernel,
            dilation: self.dilation,
            step: [1; 2],
            out_width: self.width,
        };
        (window, self.parts(true))
    }

    /// The parts of a direct convolution: of the gradient by the input, or the whole of the outputs.
    fn parts(&self, gradient: bool) -> impl Iterator<Item = Part> + Clone {
        let [rows, columns] = if gradient { self.stride } else { [1; 2] };
        (0..rows * columns).map(move |i| match gradient {
            true => self.gradient_part([i / columns, i % columns]),
            false => self.whole(),
        })
    }

    /// The part of the gradient by the input whose pixels lie `phase` beside the stride's grid.
    fn gradient_part(&self, phase: [usize; 2]) -> Part {
        let len = [self.height, self.width];
        let mut part = Part {
            first: phase,
            step: self.stride,
            count: [0; 2],
            corner: [0; 2],
            stride: [1; 2],
            tap: [0; 2],
            taps: [0; 2],
            dilation: [1; 2],
        };
        for axis in 0..2 {
            let (stride, kernel, padding) = (self.stride[axis], self.kernel[axis], self.padding[axis]);
            part.count[axis] = len[axis].saturating_sub(phase[axis]).div_ceil(stride);
            part.dilation[axis] = self.dilation[axis];
            // The first tap that reaches this pixel, and the output that it comes from.
            part.tap[axis] = (phase[axis] + padding) % stride;
            part.taps[axis] = kernel.saturating_sub(part.tap[axis]).div_ceil(stride);
            // The last tap's output, behind the zeros.
            let reach = part.taps[axis].saturating_sub(1) * self.dilation[axis];
            part.corner[axis] = (phase[axis] + padding) / stride + self.zeros(axis) - reach;
        }
        part
    }

    /// Zeros before the outputs when the gradient by the input reads them.
    fn zeros(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1) / self.stride[axis]
    }

    /// All outputs and all taps.
    fn whole(&self) -> Part {
        Part {
            first: [0; 2],
            step: [1; 2],
            count: [self.out_height(), self.out_width()],
            corner: [0; 2],
            stride: self.stride,
            tap: [0; 2],
            taps: self.kernel,
            dilation: self.dilation,
        }
    }

    /// What forward and the gradient by the weights see of one group of an input image.
    fn input_window(&self) -> Window {
        Window {
            channels: self.in_group(),
            source: [self.height, self.width],
            spread: [1, 1],
            before: self.padding.map(|padding| padding as isize),
            padded: [self.height + 2 * self.padding[0], self.width + 2 * self.padding[1]],
            kernel: self.kernel,
            dilation: self.dilation,
            step: self.stride,
            out_width: self.out_width(),
        }
    }

    /// What the gradient by the input sees of one group of `dy`.
    fn gradient_window(&self) -> Window {
        let reach = |axis: usize| self.dilation[axis] * (self.kernel[axis] - 1);
        let padded = |axis: usize, len: usize| len + reach(axis);
        Window {
            channels: self.out_group(),
            source: [self.out_height(), self.out_width()],
            spread: self.stride,
            before: [0, 1].map(|axis| reach(axis) as isize - self.padding[axis] as isize),
            padded: [padded(0, self.height), padded(1, self.width)],
            kernel: self.kernel,
            dilation: self.dilation,
            step: [1, 1],
            out_width: self.width,
        }
    }
}

/// How a convolution or one of its gradients is computed: a function of the shape and of the numerics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConvMethod {
    /// Lanes are channels of the output; pixels are read where they lie.
    Direct,
    /// Lanes are pixels, copied panel by panel to where a matrix product reads them.
    Panels,
    /// One channel for each group: lanes are the pixels of a row, read where they lie.
    Depthwise,
    /// A kernel of one tap: a matrix product for each image, of the weights and the planes as they lie.
    Product,
    /// 3×3 taps with a quarter of the products, in another order: with [`Numerics::Fast`] only. Squares of 4×4 outputs are
    /// computed together, so that one input that is not finite spoils the whole square.
    Winograd,
}

impl ConvMethod {
    /// By the number of channels that would be lanes: if at least three of four lanes are used.
    fn for_lanes(channels: usize) -> ConvMethod {
        if 4 * channels >= 3 * channels.next_multiple_of(LANES) {
            ConvMethod::Direct
        } else {
            ConvMethod::Panels
        }
    }
}

impl fmt::Display for ConvMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConvMethod::Direct => "direct",
            ConvMethod::Panels => "panels",
            ConvMethod::Depthwise => "depthwise",
            ConvMethod::Product => "product",
            ConvMethod::Winograd => "Winograd",
        })
    }
}

/// Multiply-adds that are worth a task of their own.
const TASK_WORK: usize = 1 << 19;
/// The most tasks of one call; each has its own scratch.
const MOST_PIECES: usize = 16;

/// Several planes of one image, padded and spread out, and the windows that slide over them.
#[derive(Clone, Copy)]
struct Window {
    channels: usize,
    /// Height and width of a plane as it is given.
    source: [usize; 2],
    /// The distance of its pixels in the padded plane: 1, or the stride of a convolution that is run backwards.
    spread: [usize; 2],
    /// Where its first pixel lies in the padded plane; negative if the first pixels are cut off.
    before: [isize; 2],
    /// Height and width of the padded plane.
    padded: [usize; 2],
    kernel: [usize; 2],
    dilation: [usize; 2],
    /// Steps of the windows over the padded plane.
    step: [usize; 2],
    /// Windows per row.
    out_width: usize,
}

impl Window {
    /// Whether the planes as they are given are the padded planes.
    fn is_plain(&self) -> bool {
        self.source == self.padded && self.spread == [1, 1] && self.before == [0, 0]
    }

    /// Elements from one padded plane to the next. Planes a multiple of 512 bytes apart would fall into a few sets of the
    /// cache.
    fn plane(&self) -> usize {
        let area = self.padded[0] * self.padded[1];
        if !self.is_plain() && area.is_multiple_of(128) { area + 2 * LANES } else { area }
    }

    /// Elements of scratch for the padded planes.
    fn scratch(&self) -> usize {
        if self.is_plain() { 0 } else { self.channels * self.plane() }
    }

    /// The padded planes: those of `x`, or copied to `scratch`, whose zeros are written only if it is not `used` already.
    #[inline(always)]
    fn expand<'a, T: Element, S: Simd>(
        &self,
        simd: S,
        x: &'a [T],
        scratch: &'a mut [T],
        used: bool,
    ) -> &'a [T] {
        if self.is_plain() {
            return x;
        }
        simd.call(Expand { window: self, x, scratch: &mut *scratch, used });
        scratch
    }

    /// Where the taps from number `first` on lie, seen from the window's corner, in the order (channel, ky, kx).
    #[inline(always)]
    fn taps_from(&self, first: usize) -> impl Iterator<Item = usize> {
        let (plane, width) = (self.plane(), self.padded[1]);
        let [[rows, columns], [dy, dx]] = [self.kernel, self.dilation];
        let (mut kx, mut ky) = (first % columns, first / columns % rows);
        let mut at = first / columns / rows * plane + ky * dy * width + kx * dx;
        // Walking is cheaper than three divisions for each.
        core::iter::from_fn(move || {
            let place = at;
            (kx, at) = (kx + 1, at + dx);
            if kx == columns {
                (kx, ky, at) = (0, ky + 1, at + dy * width - columns * dx);
                if ky == rows {
                    (ky, at) = (0, at + plane - rows * dy * width);
                }
            }
            Some(place)
        })
    }

    /// The corners of the windows from number `first` on.
    #[inline(always)]
    fn pixels(&self, first: usize) -> impl Iterator<Item = usize> {
        let (out_width, down, right) = (self.out_width, self.step[0] * self.padded[1], self.step[1]);
        let mut x = first % out_width;
        let mut at = first / out_width * down + x * right;
        core::iter::from_fn(move || {
            let place = at;
            (x, at) = (x + 1, at + right);
            if x == out_width {
                (x, at) = (0, at + down - out_width * right);
            }
            Some(place)
        })
    }

    /// Number of taps over all channels.
    fn taps(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }
}

/// Copies a row of an image, which is too short to call a function for: whole vectors, of which the last overlaps the one before.
#[inline(always)]
fn copy_row<T: Element, S: Simd>(simd: S, from: &[T], to: &mut [T]) {
    let (eights, rest) = from.as_chunks::<LANES>();
    for (from, to) in eights.iter().zip(to.as_chunks_mut::<LANES>().0) {
        T::Vector::load(simd, from).store(to);
    }
    if rest.is_empty() {
        return;
    }
    match (from.last_chunk(), to.last_chunk_mut()) {
        (Some(from), Some(to)) => T::Vector::load(simd, from).store(to),
        _ => {
            for (from, to) in from.iter().zip(to) {
                *to = *from;
            }
        }
    }
}

/// B of forward and of the gradient by the input: taps down, pixels across.
struct TapsByPixels<'a, T> {
    window: &'a Window,
    planes: &'a [T],
}

/// B of the gradient by the weights: pixels down, taps across.
struct PixelsByTaps<'a, T> {
    window: &'a Window,
    planes: &'a [T],
}

impl<T: Element> Source<T> for TapsByPixels<'_, T> {
    #[inline(always)]
    fn panel<S: Simd>(
        &self,
        simd: S,
        depths: &Range<usize>,
        column: usize,
        most: usize,
        buffer: &mut [T],
    ) -> Panel<T> {
        let padded = most.next_multiple_of(LANES);
        match Runs::new(most, self.window.pixels(column)) {
            // The number of copies is a constant of the loop over the rows.
            Some(runs) if runs.count <= 2 => runs.copy_rows::<2, T, S>(simd, self, depths, padded, buffer),
            Some(runs) if runs.count == 3 => runs.copy_rows::<3, T, S>(simd, self, depths, padded, buffer),
            Some(runs) => runs.copy_rows::<{ Runs::MOST }, T, S>(simd, self, depths, padded, buffer),
            None => {
                let offsets = Offsets::new(most, self.window.pixels(column));
                let rows = buffer[..depths.len() * padded].chunks_exact_mut(padded);
                for (row, tap) in rows.zip(self.window.taps_from(depths.start)) {
                    offsets.gather(simd, &self.planes[tap..], row);
                }
            }
        }
        Panel::copied(buffer, most)
    }
}

impl<T: Element> Source<T> for PixelsByTaps<'_, T> {
    #[inline(always)]
    fn panel<S: Simd>(
        &self,
        simd: S,
        depths: &Range<usize>,
        column: usize,
        most: usize,
        buffer: &mut [T],
    ) -> Panel<T> {
        let offsets = Offsets::new(most, self.window.taps_from(column));
        let padded = most.next_multiple_of(LANES);
        if self.window.step[1] == 1 && self.window.out_width >= LANES / 2 {
            self.transpose(simd, depths, &offsets, padded, buffer);
        } else {
            let rows = buffer[..depths.len() * padded].chunks_exact_mut(padded);
            for (row, pixel) in rows.zip(self.window.pixels(depths.start)) {
                offsets.gather(simd, &self.planes[pixel..], row);
            }
        }
        Panel::copied(buffer, most)
    }
}

impl<T: Element> PixelsByTaps<'_, T> {
    /// Copies what the taps see, eight pixels of eight taps at a time: a tap sees the pixels of a row side by side.
    ///
    /// An eight that reaches beyond its row of the image writes rows of the panel that the next row of the image
    /// overwrites.
    #[inline(always)]
    fn transpose<S: Simd>(
        &self,
        simd: S,
        depths: &Range<usize>,
        offsets: &Offsets,
        padded: usize,
        buffer: &mut [T],
    ) {
        let window = self.window;
        let rows = &mut buffer[..depths.len() * padded];
        let mut pixel = depths.start;
        while pixel < depths.end {
            let (y, x) = (pixel / window.out_width, pixel % window.out_width);
            let len = (window.out_width - x).min(depths.end - pixel);
            let start = y * window.step[0] * window.padded[1] + x;
            for first in (0..len).step_by(LANES) {
                let to = &mut rows[(pixel - depths.start + first) * padded..];
                for (v, taps) in offsets.at.as_chunks::<LANES>().0.iter().enumerate().take(padded / LANES) {
                    let from = start + first;
                    let mut square = [T::Vector::splat(simd, T::zero()); LANES];
                    for (line, tap) in square.iter_mut().zip(taps) {
                        *line = load(simd, &self.planes[(tap + from).min(self.planes.len())..]);
                    }
                    let columns = T::Vector::transpose(simd, square);
                    for (row, line) in to.chunks_exact_mut(padded).zip(columns) {
                        store(line, &mut row[v * LANES..][..LANES]);
                    }
                }
            }
            pixel += len;
        }
    }
}

/// The columns of a panel as a few stretches of neighbours in the padded planes, cut into eights: as windows one apart have
/// them.
struct Runs {
    /// Where each eight starts in the planes, where in the panel's row, and how much of it counts.
    runs: [[usize; 3]; Runs::MOST],
    count: usize,
}

impl Runs {
    const MOST: usize = 5;

    /// `None` if there are more than five.
    #[inline(always)]
    fn new(width: usize, places: impl Iterator<Item = usize>) -> Option<Runs> {
        let mut runs = Runs { runs: [[0; 3]; Runs::MOST], count: 0 };
        for (column, place) in places.take(width).enumerate() {
            match runs.runs[..runs.count].last_mut() {
                Some([start, _, len]) if *start + *len == place && *len < LANES => *len += 1,
                _ => {
                    *runs.runs.get_mut(runs.count)? = [place, column, 1];
                    runs.count += 1;
                }
            }
        }
        // Copying one twice does no harm.
        let last = runs.runs[runs.count.saturating_sub(1)];
        runs.runs[runs.count..].fill(last);
        Some(runs)
    }

    /// Copies the rows of a panel, `N` eights each. Whole vectors are copied where there is room: what they write too much
    /// is overwritten by the next run or the next row.
    #[inline(always)]
    fn copy_rows<const N: usize, T: Element, S: Simd>(
        &self,
        simd: S,
        source: &TapsByPixels<'_, T>,
        depths: &Range<usize>,
        padded: usize,
        buffer: &mut [T],
    ) {
        let planes = source.planes;
        // The first offsets that leave no room for a whole vector.
        let reach = |i: usize| self.runs.iter().map(|run| run[i]).max().unwrap_or(0) + LANES;
        let (from_end, to_end) = (planes.len().checked_sub(reach(0)), buffer.len().checked_sub(reach(1)));
        for (at, tap) in (0..depths.len() * padded).step_by(padded).zip(source.window.taps_from(depths.start))
        {
            if from_end.is_some_and(|end| tap <= end) && to_end.is_some_and(|end| at <= end) {
                for [start, column, _] in &self.runs[..N] {
                    // SAFETY: eight elements from `tap + start` and from `at + column` on lie inside both slices, since
                    // tap and at leave room for the run that reaches farthest.
                    unsafe {
                        let eight = planes.as_ptr().add(tap + start).cast::<[T; LANES]>();
                        T::Vector::load(simd, &*eight)
                            .store(&mut *buffer.as_mut_ptr().add(at + column).cast::<[T; LANES]>());
                    }
                }
            } else {
                for &[start, column, len] in &self.runs[..self.count] {
                    buffer[at + column..][..len].copy_from_slice(&planes[tap + start..][..len]);
                }
            }
        }
    }
}

/// Where the columns of a panel lie, from the place of its row.
struct Offsets {
    /// Beyond the last column, the last one again.
    at: [usize; TILE_COLUMNS],
    /// Which eights are neighbours.
    neighbours: [bool; TILE_COLUMNS / LANES],
}

impl Offsets {
    #[inline(always)]
    fn new(width: usize, mut places: impl Iterator<Item = usize>) -> Offsets {
        let mut at = [0; TILE_COLUMNS];
        let mut last = 0;
        for (j, at) in at.iter_mut().enumerate() {
            if j < width {
                last = places.next().unwrap_or(last);
            }
            *at = last;
        }
        let neighbours = core::array::from_fn(|v| {
            let eight = &at[v * LANES..][..LANES];
            eight.iter().enumerate().all(|(i, at)| *at == eight[0] + i)
        });
        Offsets { at, neighbours }
    }

    #[inline(always)]
    fn gather<T: Element, S: Simd>(&self, simd: S, from: &[T], row: &mut [T]) {
        let (eights, _) = row.as_chunks_mut::<LANES>();
        let (at, _) = self.at.as_chunks::<LANES>();
        for ((eight, at), neighbours) in eights.iter_mut().zip(at).zip(self.neighbours) {
            if neighbours && let Some(from) = from[at[0]..].first_chunk() {
                T::Vector::load(simd, from).store(eight);
            } else {
                for (x, at) in eight.iter_mut().zip(at) {
                    *x = from[*at];
                }
            }
        }
    }
}

/// How many elements of scratch a task needs: padded planes and a panel.
fn task_scratch(window: &Window, depth: usize) -> usize {
    window.scratch() + panel_depth(depth, SHORT_PANEL_DEPTH) * TILE_COLUMNS
}

/// How many elements of scratch [`conv2d_forward`] needs. Enough for [`Numerics::Fast`] is enough for both.
pub fn conv2d_forward_scratch(shape: &ConvShape, numerics: Numerics) -> usize {
    for_both(numerics, |numerics| forward_scratch(shape, shape.forward_method(numerics)))
}

/// The most that is needed with these numerics and with portable ones.
fn for_both(numerics: Numerics, needed: impl Fn(Numerics) -> usize) -> usize {
    let portable = needed(Numerics::Portable);
    // Processors without vectors have one method.
    if BASELINE_IS_PLAIN { portable } else { portable.max(needed(numerics)) }
}

/// The numerics that choose a method: those of `cx` if there is scratch enough.
fn numerics_for(
    cx: &Context<'_>,
    scratch: usize,
    needed: fn(&ConvShape, Numerics) -> usize,
    shape: &ConvShape,
) -> Numerics {
    if scratch < needed(shape, cx.numerics) { Numerics::Portable } else { cx.numerics }
}

fn forward_scratch(shape: &ConvShape, method: ConvMethod) -> usize {
    let window = shape.input_window();
    let packed = shape.groups * packed_len(shape.out_group(), window.taps());
    match method {
        ConvMethod::Direct => packed + shape.pieces() * window.scratch(),
        ConvMethod::Winograd => packed + shape.squares(false).scratch(),
        ConvMethod::Panels => shape.pieces() * task_scratch(&window, window.taps()),
        ConvMethod::Depthwise => shape.pieces() * window.scratch(),
        ConvMethod::Product => {
            shape.pieces() * gemm_scratch(&shape.forward_product()) + LANES * window.taps()
        }
    }
}

/// y = activation(x ∗ weight + bias); `bias` has one element per output channel.
///
/// Each output adds its products in the order (input channel, ky, kx), starting from the bias; but see [`ConvMethod::Winograd`], which
/// is taken if `scratch` is enough for it.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn conv2d_forward<T: Element>(
    cx: &Context<'_>,
    shape: &ConvShape,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    activation: Activation,
    y: &mut [T],
    scratch: &mut [T],
) {
    require(
        x.len() == shape.input_len() && weight.len() == shape.weight_len() && y.len() == shape.output_len(),
    );
    require(
        scratch.len() >= conv2d_forward_scratch(shape, Numerics::Portable)
            && bias.is_none_or(|b| b.len() == shape.channels_out),
    );
    if is_plain(cx) {
        return plain::forward(shape, x, weight, bias, activation, y, scratch);
    }
    let window = shape.input_window();
    let method = shape.forward_method(numerics_for(cx, scratch.len(), conv2d_forward_scratch, shape));
    if method == ConvMethod::Product {
        return pointwise::forward(cx, shape, x, weight, bias, activation, y, scratch);
    }
    if !matches!(method, ConvMethod::Direct | ConvMethod::Winograd) {
        return correlate(cx, shape, &window, x, weight, bias, activation, y, false, scratch);
    }
    let (kernels, kernels_packed) = (shape.out_group(), packed_len(shape.out_group(), window.taps()));
    let (packed, scratch) = scratch.split_at_mut(shape.groups * kernels_packed);
    let taps = window.taps();
    if taps > 0 && kernels > 0 {
        let groups = weight.chunks_exact(kernels * taps).zip(packed.chunks_exact_mut(kernels_packed));
        groups.for_each(|(planes, packed)| T::run(cx, Pack { planes, len: taps, packed }));
    }
    let finish = Finish { bias, relu: activation == Activation::Relu, accumulate: false };
    if method == ConvMethod::Winograd {
        winograd::outputs(cx, &shape.squares(false), x, packed, finish, y, scratch);
    } else {
        let size = [shape.out_height(), shape.out_width()];
        direct(cx, shape, &window, false, x, packed, finish, y, size, scratch);
    }
}

/// [`pack`] as an algorithm of its own.
pub struct Pack<'a, 'b, T> {
    planes: &'a [T],
    len: usize,
    packed: &'b mut [T],
}

impl<T: Element> SimdOp for Pack<'_, '_, T> {
    // It does not, but the tiles do: one version of what all kinds share is then enough. The same below.
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        pack(simd, self.planes, self.len, self.packed);
    }
}

/// How many elements of scratch [`conv2d_backward_input`] needs. Enough for [`Numerics::Fast`] is enough for both.
pub fn conv2d_backward_input_scratch(shape: &ConvShape, numerics: Numerics) -> usize {
    for_both(numerics, |numerics| backward_input_scratch(shape, shape.backward_input_method(numerics)))
}

fn backward_input_scratch(shape: &ConvShape, method: ConvMethod) -> usize {
    let packed = shape.groups * packed_len(shape.in_group(), shape.out_group() * shape.taps());
    let turned = shape.weight_len() / shape.groups;
    match method {
        ConvMethod::Direct => turned + packed + shape.pieces() * shape.gradient_parts().0.scratch(),
        ConvMethod::Winograd => turned + packed + shape.squares(true).scratch(),
        ConvMethod::Panels => {
            let window = shape.gradient_window();
            shape.weight_len() + shape.pieces() * task_scratch(&window, window.taps())
        }
        ConvMethod::Depthwise => shape.weight_len() + shape.pieces() * shape.gradient_window().scratch(),
        ConvMethod::Product => {
            shape.pieces() * gemm_scratch(&shape.input_product()) + LANES * shape.out_group()
        }
    }
}

/// The gradient by the input from `dy`; adds to what `dx` holds if `accumulate`.
///
/// Each element adds its products in the order (output channel, ky, kx), the last tap first; but see [`ConvMethod::Winograd`], which is
/// taken if `scratch` is enough for it.
pub fn conv2d_backward_input<T: Element>(
    cx: &Context<'_>,
    shape: &ConvShape,
    dy: &[T],
    weight: &[T],
    dx: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    require(
        dx.len() == shape.input_len() && weight.len() == shape.weight_len() && dy.len() == shape.output_len(),
    );
    require(scratch.len() >= conv2d_backward_input_scratch(shape, Numerics::Portable));
    if is_plain(cx) {
        return plain::backward_input(shape, dy, weight, dx, accumulate, scratch);
    }
    let method =
        shape.backward_input_method(numerics_for(cx, scratch.len(), conv2d_backward_input_scratch, shape));
    if method == ConvMethod::Product {
        return pointwise::backward_input(cx, shape, dy, weight, dx, accumulate, scratch);
    }
    let (taps, inputs, outputs) = (shape.taps(), shape.in_group(), shape.out_group());
    if !matches!(method, ConvMethod::Direct | ConvMethod::Winograd) {
        let (turned, scratch) = scratch.split_at_mut(shape.weight_len());
        // [groups, out, in, taps] becomes [groups, in, out, taps from last to first].
        for (i, kernel) in weight.chunks_exact(taps).enumerate() {
            let (group, output, input) = (i / inputs / outputs, i / inputs % outputs, i % inputs);
            let to = &mut turned[((group * inputs + input) * outputs + output) * taps..][..taps];
            for (to, weight) in to.iter_mut().rev().zip(kernel) {
                *to = *weight;
            }
        }
        let window = shape.gradient_window();
        return correlate(
            cx,
            shape,
            &window,
            dy,
            turned,
            None,
            Activation::Identity,
            dx,
            accumulate,
            scratch,
        );
    }
    let group_packed = packed_len(inputs, outputs * taps);
    let (turned, scratch) = scratch.split_at_mut(inputs * outputs * taps);
    let (packed, scratch) = scratch.split_at_mut(shape.groups * group_packed);
    let (window, parts) = shape.gradient_parts();
    for (group, packed) in packed.chunks_exact_mut(group_packed.max(1)).enumerate() {
        let weight = &weight[group * inputs * outputs * taps..];
        let mut rest = packed;
        for part in parts.clone() {
            let [rows, columns] = part.taps;
            let len = outputs * rows * columns;
            if len == 0 {
                continue;
            }
            // [out, in, ky, kx] becomes [in, out, the part's taps from last to first].
            for (i, to) in turned[..inputs * len].chunks_exact_mut(columns).enumerate() {
                let (ky, output, input) = (i % rows, i / rows % outputs, i / rows / outputs);
                let ky = part.tap[0] + (rows - 1 - ky) * part.step[0];
                let row = ((output * inputs + input) * shape.kernel[0] + ky) * shape.kernel[1];
                let kernel = weight[row..][..shape.kernel[1]].iter().skip(part.tap[1]).step_by(part.step[1]);
                for (to, weight) in to.iter_mut().rev().zip(kernel) {
                    *to = *weight;
                }
            }
            let (packed, others) = rest.split_at_mut(packed_len(inputs, len));
            T::run(cx, Pack { planes: &turned[..inputs * len], len, packed });
            rest = others;
        }
    }
    let finish = Finish { bias: None, relu: false, accumulate };
    if method == ConvMethod::Winograd {
        winograd::outputs(cx, &shape.squares(true), dy, packed, finish, dx, scratch);
    } else {
        direct(cx, shape, &window, true, dy, packed, finish, dx, [shape.height, shape.width], scratch);
    }
}

/// The outputs of all parts of all images, with packed weights: of each group the parts one after the other. A plane of `y` has
/// `size`.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
fn direct<T: Element>(
    cx: &Context<'_>,
    shape: &ConvShape,
    window: &Window,
    gradient: bool,
    x: &[T],
    packed: &[T],
    finish: Finish<'_, T>,
    y: &mut [T],
    size: [usize; 2],
    scratch: &mut [T],
) {
    if y.is_empty() {
        return;
    }
    let (image, len) = (y.len() / shape.batch, window.scratch());
    let x_image = x.len() / shape.batch;
    shape.for_each_piece(cx, y, scratch, len, |images, y, scratch| {
        let x = &x[images.start * x_image..images.end * x_image];
        T::run(cx, Direct { cx, shape, window, gradient, x, packed, finish, y, image, size, scratch });
    });
}

/// Copies planes to where zeros surround them; see [`Window::expand`].
struct Expand<'a, 'b, T> {
    window: &'a Window,
    x: &'a [T],
    scratch: &'b mut [T],
    used: bool,
}

impl<T: Element> SimdOp for Expand<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Expand { window, x, scratch, used } = self;
        if !used {
            scratch.fill(T::zero());
        }
        let [height, width] = window.source;
        if height * width == 0 {
            return;
        }
        // Where pixel `at` of an axis goes, if it is not cut off.
        let place = |axis: usize, at: usize| {
            usize::try_from((at * window.spread[axis]) as isize + window.before[axis])
                .ok()
                .filter(|at| *at < window.padded[axis])
        };
        // The pixels of an axis that are kept.
        let kept = |axis: usize| {
            let len = window.source[axis];
            let first = (0..len).find(|at| place(axis, *at).is_some()).unwrap_or(len);
            first..(first..len).find(|at| place(axis, *at).is_none()).unwrap_or(len)
        };
        let (rows, columns) = (kept(0), kept(1));
        let (Some(top), Some(left)) = (place(0, rows.start), place(1, columns.start)) else { return };
        let planes = x.chunks_exact(height * width).zip(scratch.chunks_exact_mut(window.plane()));
        for (plane, padded) in planes {
            let plane = &plane[rows.start * width..rows.end * width];
            let padded = padded[top * window.padded[1]..].chunks_mut(window.spread[0] * window.padded[1]);
            for (row, padded) in plane.chunks_exact(width).zip(padded) {
                let (row, padded) = (&row[columns.clone()], &mut padded[left..]);
                if window.spread[1] == 1 {
                    copy_row(simd, row, &mut padded[..row.len()]);
                } else {
                    for (padded, x) in padded.iter_mut().step_by(window.spread[1]).zip(row) {
                        *padded = *x;
                    }
                }
            }
        }
    }
}

/// The images of one task of [`direct`].
pub struct Direct<'a, 'b, T> {
    cx: &'a Context<'a>,
    shape: &'a ConvShape,
    window: &'a Window,
    gradient: bool,
    x: &'a [T],
    packed: &'a [T],
    finish: Finish<'a, T>,
    y: &'b mut [T],
    /// Elements of one image of `y`.
    image: usize,
    size: [usize; 2],
    scratch: &'b mut [T],
}

impl<T: Element> SimdOp for Direct<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Direct { cx, shape, window, gradient, x, packed, finish, y, image, size, scratch } = self;
        let groups = shape.groups;
        let group_y = image / groups;
        let channels = group_y / (size[0] * size[1]);
        let source = window.channels * window.source[0] * window.source[1];
        let paired = gradient && shape.stride[1] == 2 && shape.width.is_multiple_of(2);
        let accumulate = finish.accumulate;
        for (i, y) in y.chunks_exact_mut(group_y).enumerate() {
            let group = i % groups;
            let planes = window.expand(simd, &x[i * source..][..source], scratch, i > 0);
            let bias = finish.bias.map(|bias| &bias[group * channels..][..channels]);
            let finish = Finish { bias, ..finish };
            let mut packed = &packed[group * (packed.len() / groups)..];
            let mut parts = shape.parts(gradient).map(|part| {
                let len = packed_len(channels, window.channels * part.taps[0] * part.taps[1]);
                let (weight, others) = packed.split_at(len);
                packed = others;
                (part, weight)
            });
            while let Some(part) = parts.next() {
                // Pixels of two parts lie in turns: written together, their lines are written once.
                let other = if paired { parts.next() } else { None };
                let both = [part, other.unwrap_or(part)];
                if other.is_some() && !(accumulate && both.iter().any(|(_, weight)| weight.is_empty())) {
                    outputs(cx, simd, window, &both, planes, finish, y, size);
                } else {
                    for part in both.chunks(1).take(1 + other.iter().len()) {
                        outputs(cx, simd, window, part, planes, finish, y, size);
                    }
                }
            }
        }
    }
}

/// The correlation of images, seen through `window`, with `weight`: forward, or backward with turned weights.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
fn correlate<T: Element>(
    cx: &Context<'_>,
    shape: &ConvShape,
    window: &Window,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    activation: Activation,
    y: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    if y.is_empty() {
        return;
    }
    let image = y.len() / shape.batch;
    let depthwise = shape.is_depthwise();
    let len = if depthwise { window.scratch() } else { task_scratch(window, window.taps()) };
    shape.for_each_piece(cx, y, scratch, len, |images, y, scratch| {
        let x_image = window.channels * shape.groups * window.source[0] * window.source[1];
        let x = &x[images.start * x_image..images.end * x_image];
        if depthwise {
            let (channels, relu) = (shape.groups, activation == Activation::Relu);
            let plane = image / channels;
            return T::run(
                cx,
                Planes { window, channels, x, weight, bias, relu, accumulate, y, plane, scratch },
            );
        }
        T::run(
            cx,
            Correlate {
                window,
                groups: shape.groups,
                x,
                weight,
                bias,
                activation,
                y,
                image,
                accumulate,
                scratch,
            },
        );
    });
}

/// The images of one task.
pub struct Correlate<'a, 'b, T> {
    window: &'a Window,
    groups: usize,
    x: &'a [T],
    weight: &'a [T],
    bias: Option<&'a [T]>,
    activation: Activation,
    y: &'b mut [T],
    /// Elements of one image of `y`.
    image: usize,
    accumulate: bool,
    scratch: &'b mut [T],
}

impl<T: Element> SimdOp for Correlate<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let window = self.window;
        let taps = window.taps();
        // Output channels of a group, and pixels of an output plane.
        let rows = self.weight.len() / taps / self.groups;
        let pixels = self.image / rows / self.groups;
        let source = window.channels * window.source[0] * window.source[1];
        let (planes, buffer) = self.scratch.split_at_mut(window.scratch());
        for (i, y) in self.y.chunks_exact_mut(rows * pixels).enumerate() {
            let group = i % self.groups;
            let planes = window.expand(simd, &self.x[i * source..][..source], planes, i > 0);
            let product = Product {
                a: &self.weight[group * rows * taps..][..rows * taps],
                a_strides: [taps, 1],
                k: taps,
                bias: self.bias.map(|bias| Bias::PerRow(&bias[group * rows..][..rows])),
                activation: self.activation,
                accumulate: self.accumulate,
                c: y.as_mut_ptr(),
                c_stride: pixels,
                rows: 0..rows,
                columns: 0..pixels,
            };
            multiply(
                simd,
                &product,
                &TapsByPixels { window, planes },
                panel_depth(taps, SHORT_PANEL_DEPTH),
                buffer,
            );
        }
    }
}

/// How many elements of scratch [`conv2d_backward_weight`] needs. Enough for [`Numerics::Fast`] is enough for both.
pub fn conv2d_backward_weight_scratch(shape: &ConvShape, numerics: Numerics) -> usize {
    for_both(numerics, |numerics| match shape.backward_weight_method(numerics) {
        ConvMethod::Winograd => shape.squares(false).gradient_scratch(),
        method => shape.pieces() * (shape.sums_len(method) + shape.weight_task_scratch(method)),
    })
}

impl ConvShape {
    /// Elements of the sums of a piece of the gradient by the weights.
    fn sums_len(&self, method: ConvMethod) -> usize {
        match method {
            ConvMethod::Direct => {
                let taps = self.in_group() * self.taps();
                self.groups * packed_len(self.out_group(), taps.next_multiple_of(ROWS))
            }
            _ => self.weight_len(),
        }
    }

    /// Elements of scratch of a task of the gradient by the weights, beside its sums.
    fn weight_task_scratch(&self, method: ConvMethod) -> usize {
        let window = self.input_window();
        match method {
            ConvMethod::Direct => window.scratch() + packed_len(self.out_group(), self.out_plane()),
            ConvMethod::Panels => task_scratch(&window, self.out_plane()),
            ConvMethod::Depthwise => window.scratch(),
            ConvMethod::Product => gemm_scratch(&self.weight_product()).max(LANES * self.out_plane()),
            ConvMethod::Winograd => 0,
        }
    }
}

/// The gradient by the weights from `x` and `dy`; adds to what `dw` holds if `accumulate`.
///
/// The images are cut into at most 16 pieces by the shape alone. A piece adds its products in the order (image, y, x),
/// and the pieces are added in order; but see [`ConvMethod::Winograd`], which is taken if `scratch` is enough for it.
pub fn conv2d_backward_weight<T: Element>(
    cx: &Context<'_>,
    shape: &ConvShape,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    require(x.len() == shape.input_len() && dw.len() == shape.weight_len() && dy.len() == shape.output_len());
    require(scratch.len() >= conv2d_backward_weight_scratch(shape, Numerics::Portable));
    if dw.is_empty() {
        return;
    }
    if shape.batch == 0 {
        if !accumulate {
            dw.fill(T::zero());
        }
        return;
    }
    if is_plain(cx) {
        return plain::backward_weight(shape, x, dy, dw, accumulate, scratch);
    }
    let method =
        shape.backward_weight_method(numerics_for(cx, scratch.len(), conv2d_backward_weight_scratch, shape));
    if method == ConvMethod::Winograd {
        return winograd::weight_gradient(cx, &shape.squares(false), x, dy, dw, accumulate, scratch);
    }
    let (window, pieces, sums_len) = (shape.input_window(), shape.pieces(), shape.sums_len(method));
    let (sums, scratch) = scratch.split_at_mut(pieces * sums_len);
    let len = shape.weight_task_scratch(method);
    let piece_sums = |piece: usize, sum: &mut [T], scratch: &mut [T], used: bool| {
        let images = shape.images(piece, pieces);
        let window = &window;
        match method {
            ConvMethod::Direct => {
                T::run(cx, DirectWeightGradient { cx, shape, window, x, dy, images, sum, scratch, used })
            }
            ConvMethod::Panels => T::run(cx, WeightGradient { shape, window, x, dy, images, sum, scratch }),
            ConvMethod::Product => pointwise::weight_sums(cx, shape, x, dy, images, sum, scratch),
            ConvMethod::Depthwise => {
                let (x_image, image, plane) =
                    (x.len() / shape.batch, dy.len() / shape.batch, shape.out_plane());
                let (x, dy) = (
                    &x[images.start * x_image..images.end * x_image],
                    &dy[images.start * image..images.end * image],
                );
                // Without outputs there are no products.
                T::run(cx, Weights { window, x, dy, plane: plane.max(1), sums: sum, scratch });
            }
            ConvMethod::Winograd => {}
        }
    };
    if cx.executor.lanes() == 1 {
        // One piece after the other in the same memory, which stays in the cache.
        let (sum, other) = sums.split_at_mut(sums_len);
        piece_sums(0, sum, &mut scratch[..len], false);
        for piece in 1..pieces {
            let other = &mut other[..sums_len];
            piece_sums(piece, other, &mut scratch[..len], true);
            sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += *other);
        }
    } else {
        let tasks = Parts::new(scratch);
        for_each_chunk(cx, sums, sums_len, |piece, sum| {
            // SAFETY: each piece has its own scratch.
            piece_sums(piece, sum, unsafe { tasks.range(piece * len, len) }, false);
        });
        // The sums of all pieces into those of the first.
        let (sum, others) = sums.split_at_mut(sums_len);
        for_each_chunk(cx, sum, GRAIN / MOST_PIECES, |chunk, sum| {
            for other in others.chunks_exact(sums_len) {
                for (sum, other) in sum.iter_mut().zip(&other[chunk * (GRAIN / MOST_PIECES)..]) {
                    *sum += *other;
                }
            }
        });
    }
    let sum = &sums[..sums_len];
    let give = |dw: &mut T, sum: T| *dw = if accumulate { *dw + sum } else { sum };
    if method != ConvMethod::Direct {
        dw.iter_mut().zip(sum).for_each(|(dw, sum)| give(dw, *sum));
        return;
    }
    // [groups, sixteens, taps, 16] becomes [groups, out, taps].
    let (taps, outputs) = (window.taps(), shape.out_group());
    let sixteen = taps.next_multiple_of(ROWS) * CHANNELS;
    for (i, dw) in dw.chunks_exact_mut(taps).enumerate() {
        let (group, output) = (i / outputs, i % outputs);
        let start = (group * outputs.div_ceil(CHANNELS) + output / CHANNELS) * sixteen + output % CHANNELS;
        for (dw, sum) in dw.iter_mut().zip(sum[start..].iter().step_by(CHANNELS)) {
            give(dw, *sum);
        }
    }
}

/// The sum over the images of one piece, as [`weight_sums`] leaves it.
pub struct DirectWeightGradient<'a, 'b, T> {
    cx: &'a Context<'a>,
    shape: &'a ConvShape,
    window: &'a Window,
    x: &'a [T],
    dy: &'a [T],
    images: Range<usize>,
    sum: &'b mut [T],
    scratch: &'b mut [T],
    /// Whether the zeros in `scratch` are written already.
    used: bool,
}

impl<T: Element> SimdOp for DirectWeightGradient<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let DirectWeightGradient { cx, shape, window, x, dy, images, sum, scratch, mut used } = self;
        let (channels, pixels) = (shape.out_group(), shape.out_plane());
        let source = window.channels * window.source[0] * window.source[1];
        let (planes, packed) = scratch.split_at_mut(window.scratch());
        sum.fill(T::zero());
        if pixels == 0 {
            return;
        }
        for image in images {
            for (group, sum) in sum.chunks_exact_mut(sum.len() / shape.groups).enumerate() {
                let i = image * shape.groups + group;
                let planes = window.expand(simd, &x[i * source..][..source], planes, used);
                used = true;
                let planes_of_dy = &dy[i * channels * pixels..][..channels * pixels];
                simd.call(Pack { planes: planes_of_dy, len: pixels, packed: &mut *packed });
                weight_sums(cx, window, shape.out_height(), channels, planes, packed, sum);
            }
        }
    }
}

/// The sum over the images of one piece.
pub struct WeightGradient<'a, 'b, T> {
    shape: &'a ConvShape,
    window: &'a Window,
    x: &'a [T],
    dy: &'a [T],
    images: Range<usize>,
    sum: &'b mut [T],
    scratch: &'b mut [T],
}

impl<T: Element> SimdOp for WeightGradient<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let WeightGradient { shape, window, x, dy, images, sum, scratch } = self;
        let (taps, rows, pixels) = (window.taps(), shape.out_group(), shape.out_plane());
        let source = window.channels * window.source[0] * window.source[1];
        let (planes, buffer) = scratch.split_at_mut(window.scratch());
        if images.is_empty() || pixels == 0 {
            sum.fill(T::zero());
            return;
        }
        for image in images.clone() {
            for (group, sum) in sum.chunks_exact_mut(rows * taps).enumerate() {
                let i = image * shape.groups + group;
                let used = i > images.start * shape.groups;
                let planes = window.expand(simd, &x[i * source..][..source], planes, used);
                let product = Product {
                    a: &dy[i * rows * pixels..][..rows * pixels],
                    a_strides: [pixels, 1],
                    k: pixels,
                    bias: None,
                    activation: Activation::Identity,
                    accumulate: image > images.start,
                    c: sum.as_mut_ptr(),
                    c_stride: taps,
                    rows: 0..rows,
                    columns: 0..taps,
                };
                multiply(
                    simd,
                    &product,
                    &PixelsByTaps { window, planes },
                    panel_depth(pixels, SHORT_PANEL_DEPTH),
                    buffer,
                );
            }
        }
    }
}
