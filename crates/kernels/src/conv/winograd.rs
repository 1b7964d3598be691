//! Convolutions of 3×3 taps with a quarter of the products (Winograd, 1980; Lavin and Gray, 2016).
//!
//! Sixteen outputs, a square of 4×4, see 6×6 inputs: 144 products for each pair of channels. As polynomials, a line of four
//! outputs of three taps is a product that six points determine, so that 6·6 = 36 products do: inputs and weights are
//! evaluated at the points, multiplied point by point and summed over the channels, and the sums are interpolated. For each
//! of the 36 pairs of points that is a matrix product over the channels, of many squares at once.
//!
//! With Bᵀ, G and Aᵀ as the matrices that take a line of inputs, of weights and of sums: y = Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A. The
//! gradient by the input is the same with turned weights, and the gradient by the weights, Gᵀ[Σ (A dy Aᵀ) ⊙ (Bᵀ x B)]G, is the
//! adjoint.
//!
//! The points are 0, ±5/8, ±3/2 and ∞. Against the usual 0, ±1, ±2 and ∞ they halve the error, to twice that of sums in order
//! (on how to choose points: Barabasz, Anderson, Soodhalter and Gregg, 2020). Other products in another order have other bits,
//! so this is for [`Numerics::Fast`](bantam_core::Numerics) alone.

use super::direct::{CHANNELS, Finish};
use super::{ConvMethod, ConvShape};
use crate::gemm::tile::{PanelColumns, Start, Tiles};
use crate::gemm::{Panel, load, store};
use crate::parallel::{Parts, for_each_chunk, for_each_task};
use crate::require;
use crate::simd::{Element, LANES, Simd, SimdOp, Vector};
use bantam_core::Context;

/// Outputs along one side of a square.
const OUTPUTS: usize = 4;
/// Taps along one side of a kernel.
const TAPS: usize = 3;
/// Points of evaluation along one axis, and inputs along one side of what a square sees.
const POINTS: usize = OUTPUTS + TAPS - 1;
/// Pairs of points: as many matrix products.
const PAIRS: usize = POINTS * POINTS;
/// The points besides 0 and ∞ are plus and minus these.
const NEAR: f64 = 0.625;
const FAR: f64 = 1.5;
const NEAR_2: f64 = NEAR * NEAR;
const FAR_2: f64 = FAR * FAR;

/// Squares that are computed at a time: enough rows for a product to pay, few enough for the second-level cache.
const SQUARES: usize = 48;
/// Elements of the operands of one block of the gradient by the weights.
const BLOCK: usize = 1 << 18;
/// The most columns of a tile. Whole vectors are read, also of a row that has fewer.
const WIDEST: usize = 2 * CHANNELS;
/// Multiply-adds that are worth a task of their own.
const TASK_WORK: usize = 1 << 18;
/// The most tasks that have scratch of their own.
const MOST_TASKS: usize = 16;

/// One of the matrices, as what it does with a line of N elements, each a vector of channels.
trait Lines<const N: usize, const M: usize> {
    fn apply<T: Element, S: Simd>(simd: S, line: [T::Vector<S>; N]) -> [T::Vector<S>; M];
}

/// Bᵀ: a line of inputs at the points.
struct Inputs;
/// G: a line of taps at the points.
struct Weights;
/// Aᵀ: from sums at the points to a line of outputs.
struct Outputs;
/// A: a line of gradients by the outputs at the points.
struct Gradients;
/// Gᵀ: from sums at the points to a line of gradients by the taps.
struct WeightGradients;

#[inline(always)]
fn constant<T: Element, S: Simd>(simd: S, value: f64) -> T::Vector<S> {
    T::Vector::splat(simd, T::from_f64(value))
}

/// `even + point·odd` and `even − point·odd`.
#[inline(always)]
fn both_signs<T: Element, S: Simd>(
    simd: S,
    point: f64,
    even: T::Vector<S>,
    odd: T::Vector<S>,
) -> [T::Vector<S>; 2] {
    [odd.mul_add(constant::<T, S>(simd, point), even), odd.mul_add(constant::<T, S>(simd, -point), even)]
}

impl Lines<POINTS, POINTS> for Inputs {
    #[inline(always)]
    fn apply<T: Element, S: Simd>(simd: S, d: [T::Vector<S>; POINTS]) -> [T::Vector<S>; POINTS] {
        // x − square · y
        let less =
            |x: T::Vector<S>, square: f64, y: T::Vector<S>| y.mul_add(constant::<T, S>(simd, -square), x);
        let (even, odd) = (less(d[4], FAR_2, d[2]), less(d[3], FAR_2, d[1]));
        let [near, minus_near] = both_signs::<T, S>(simd, NEAR, even, odd);
        let (even, odd) = (less(d[4], NEAR_2, d[2]), less(d[3], NEAR_2, d[1]));
        let [far, minus_far] = both_signs::<T, S>(simd, FAR, even, odd);
        // (x² − near²)(x² − far²) without its factor x, and with it instead of the point.
        let end = |d: [T::Vector<S>; 3]| {
            let high = less(d[2], NEAR_2 + FAR_2, d[1]);
            d[0].mul_add(constant::<T, S>(simd, NEAR_2 * FAR_2), high)
        };
        [end([d[0], d[2], d[4]]), near, minus_near, far, minus_far, end([d[1], d[3], d[5]])]
    }
}

/// 1 / Π (point − other points) for 0, ±near and ±far.
const AT_ZERO: f64 = 1.0 / (NEAR_2 * FAR_2);
const AT_NEAR: f64 = 1.0 / (2.0 * NEAR_2 * (NEAR_2 - FAR_2));
const AT_FAR: f64 = 1.0 / (2.0 * FAR_2 * (FAR_2 - NEAR_2));

impl Lines<TAPS, POINTS> for Weights {
    #[inline(always)]
    fn apply<T: Element, S: Simd>(simd: S, w: [T::Vector<S>; TAPS]) -> [T::Vector<S>; POINTS] {
        let scaled = |point_2: f64, by: f64| {
            let even = w[2].mul_add(constant::<T, S>(simd, point_2 * by), w[0] * constant::<T, S>(simd, by));
            (even, w[1] * constant::<T, S>(simd, by))
        };
        let (even, odd) = scaled(NEAR_2, AT_NEAR);
        let [near, minus_near] = both_signs::<T, S>(simd, NEAR, even, odd);
        let (even, odd) = scaled(FAR_2, AT_FAR);
        let [far, minus_far] = both_signs::<T, S>(simd, FAR, even, odd);
        [w[0] * constant::<T, S>(simd, AT_ZERO), near, minus_near, far, minus_far, w[2]]
    }
}

impl Lines<POINTS, TAPS> for WeightGradients {
    #[inline(always)]
    fn apply<T: Element, S: Simd>(simd: S, u: [T::Vector<S>; POINTS]) -> [T::Vector<S>; TAPS] {
        let (near, far) = (constant::<T, S>(simd, AT_NEAR), constant::<T, S>(simd, AT_FAR));
        let (even_near, odd_near) = ((u[1] + u[2]) * near, (u[1] - u[2]) * near);
        let (even_far, odd_far) = ((u[3] + u[4]) * far, (u[3] - u[4]) * far);
        let at = |point: f64| constant::<T, S>(simd, point);
        [
            u[0].mul_add(at(AT_ZERO), even_near + even_far),
            odd_near.mul_add(at(NEAR), odd_far * at(FAR)),
            even_near.mul_add(at(NEAR_2), even_far.mul_add(at(FAR_2), u[5])),
        ]
    }
}

impl Lines<POINTS, OUTPUTS> for Outputs {
    #[inline(always)]
    fn apply<T: Element, S: Simd>(simd: S, m: [T::Vector<S>; POINTS]) -> [T::Vector<S>; OUTPUTS] {
        let (even_near, odd_near) = (m[1] + m[2], m[1] - m[2]);
        let (even_far, odd_far) = (m[3] + m[4], m[3] - m[4]);
        let at = |point: f64| constant::<T, S>(simd, point);
        [
            m[0] + even_near + even_far,
            odd_near.mul_add(at(NEAR), odd_far * at(FAR)),
            even_near.mul_add(at(NEAR_2), even_far * at(FAR_2)),
            odd_near.mul_add(at(NEAR * NEAR_2), odd_far.mul_add(at(FAR * FAR_2), m[5])),
        ]
    }
}

impl Lines<OUTPUTS, POINTS> for Gradients {
    #[inline(always)]
    fn apply<T: Element, S: Simd>(simd: S, d: [T::Vector<S>; OUTPUTS]) -> [T::Vector<S>; POINTS] {
        let parts = |point_2: f64| {
            let square = constant::<T, S>(simd, point_2);
            (d[2].mul_add(square, d[0]), d[3].mul_add(square, d[1]))
        };
        let (even, odd) = parts(NEAR_2);
        let [near, minus_near] = both_signs::<T, S>(simd, NEAR, even, odd);
        let (even, odd) = parts(FAR_2);
        let [far, minus_far] = both_signs::<T, S>(simd, FAR, even, odd);
        [d[0], near, minus_near, far, minus_far, d[3]]
    }
}

/// Where the vectors of a square lie: the first, and the elements from one line to the next and from one column to the next.
#[derive(Clone, Copy)]
struct Place<P> {
    first: P,
    line: usize,
    column: usize,
}

/// A matrix from both sides, along the lines of a square and along its columns. From memory to memory, so that no array is copied.
///
/// # Safety
/// 1. Eight elements can be read at each of N × N places, and written at each of M × M.
#[inline(always)]
unsafe fn both_sides<T: Element, S: Simd, L: Lines<N, M>, const N: usize, const M: usize>(
    simd: S,
    from: Place<*const T>,
    to: Place<*mut T>,
) {
    let zero = T::Vector::splat(simd, T::zero());
    let mut half = [[zero; M]; N];
    for (i, half) in half.iter_mut().enumerate() {
        let first = from.first.wrapping_add(i * from.line);
        let mut line = [zero; N];
        for (j, x) in line.iter_mut().enumerate() {
            // SAFETY: 1.
            *x = unsafe { T::Vector::read(simd, first.add(j * from.column)) };
        }
        *half = L::apply::<T, S>(simd, line);
    }
    for j in 0..M {
        let mut column = [zero; N];
        for (x, half) in column.iter_mut().zip(&half) {
            *x = half[j];
        }
        let first = to.first.wrapping_add(j * to.column);
        for (i, x) in L::apply::<T, S>(simd, column).into_iter().enumerate() {
            // SAFETY: 1.
            unsafe { x.write(first.add(i * to.line)) };
        }
    }
}

/// Into how many tasks so many multiply-adds are divided.
fn tasks(lanes: usize, work: usize) -> usize {
    let most = if lanes == 1 { 1 } else { lanes.saturating_mul(2).min(MOST_TASKS) };
    (work / TASK_WORK).clamp(1, most)
}

/// Whole vectors of so many channels, in elements.
const fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// From one matrix of so many elements to the next: an odd number of cache lines, so that the 36 do not share a set.
const fn apart(len: usize) -> usize {
    (len.div_ceil(2 * LANES) | 1) * 2 * LANES
}

/// One operand of a convolution: images as planes, cut into squares.
#[derive(Clone, Copy)]
struct Images {
    channels: usize,
    /// Height and width of a plane.
    size: [usize; 2],
    /// Zeros before the first row and column.
    before: [usize; 2],
    /// Rows of squares of an image, and squares of a row.
    squares: [usize; 2],
}

impl Images {
    /// Elements of the rows of pixels that a row of squares sees, `side` pixels each: planes of vectors of channels.
    fn packed(&self, side: usize) -> usize {
        padded(self.channels) * side * self.row(side)
    }

    /// Pixels of such a row.
    fn row(&self, side: usize) -> usize {
        self.squares[1] * OUTPUTS + side - OUTPUTS
    }
}

/// How a convolution is computed in squares.
#[derive(Clone, Copy)]
pub(super) struct Squares {
    /// What is read: the input, or `dy` for the gradient by the input.
    x: Images,
    /// What is written, or `dy` for the gradient by the weights.
    y: Images,
    images: usize,
}

impl ConvShape {
    /// Whether squares of outputs are computed where rounding is free: with channels enough for whole vectors and for a matrix
    /// product to pay, and if at most every second output of a square is beyond the image.
    pub(super) fn suits_squares(&self) -> bool {
        let [height, width] = [self.out_height(), self.out_width()];
        let squares = height.div_ceil(OUTPUTS) * width.div_ceil(OUTPUTS) * OUTPUTS * OUTPUTS;
        let channels = |count: usize| ConvMethod::for_lanes(count) == ConvMethod::Direct && count >= CHANNELS;
        self.kernel == [TAPS; 2]
            && self.stride == [1; 2]
            && self.dilation == [1; 2]
            && self.groups == 1
            && self.padding.iter().all(|padding| *padding < TAPS)
            && channels(self.channels_in)
            && channels(self.channels_out)
            && self.height * self.width > 0
            && (1..=2 * height * width).contains(&squares)
    }

    /// The squares of the outputs, or of the inputs' gradients.
    pub(super) fn squares(&self, gradient: bool) -> Squares {
        let (mut read, mut written) = ([self.height, self.width], [self.out_height(), self.out_width()]);
        let (mut channels_in, mut channels_out, mut before) =
            (self.channels_in, self.channels_out, self.padding);
        if gradient {
            core::mem::swap(&mut read, &mut written);
            core::mem::swap(&mut channels_in, &mut channels_out);
            before = before.map(|padding| TAPS - 1 - padding);
        }
        let squares = written.map(|len| len.div_ceil(OUTPUTS));
        Squares {
            x: Images { channels: channels_in, size: read, before, squares },
            y: Images { channels: channels_out, size: written, before: [0; 2], squares },
            images: self.batch,
        }
    }
}

impl Squares {
    /// Rows of squares, of all images.
    fn rows(&self) -> usize {
        self.images * self.x.squares[0]
    }

    /// Rows of squares that one of so many tasks computes at a time.
    fn block_rows(&self, pieces: usize) -> usize {
        let most = self.images.div_ceil(pieces) * self.x.squares[0];
        SQUARES.div_ceil(self.x.squares[1]).min(most.max(1))
    }

    /// Multiply-adds of the matrix products of so many squares.
    fn work(&self, squares: usize) -> usize {
        PAIRS * squares * self.x.channels * self.y.channels
    }

    /// Into how many tasks the images are divided: two for each lane, since other things run too. No bit depends on it.
    fn pieces(&self, lanes: usize) -> usize {
        tasks(lanes, self.work(self.rows() * self.x.squares[1])).min(self.images.max(1))
    }

    /// From one matrix of the inputs, and of the sums, to the next, for so many squares.
    fn strides(&self, squares: usize) -> [usize; 2] {
        [self.x, self.y].map(|images| apart(squares * padded(images.channels) + WIDEST))
    }

    /// Elements of scratch of one of so many tasks of [`outputs`].
    fn task_scratch(&self, pieces: usize) -> usize {
        let [x, y] = self.strides(self.block_rows(pieces) * self.x.squares[1]);
        self.x.packed(POINTS) + PAIRS * (x + y)
    }

    /// Elements of the weights at all pairs of points.
    fn weights(&self) -> usize {
        PAIRS * self.x.channels * self.y.channels.next_multiple_of(WIDEST)
    }

    /// Elements of scratch for [`outputs`].
    pub(super) fn scratch(&self) -> usize {
        let tasks = (1..=self.pieces(usize::MAX)).map(|pieces| pieces * self.task_scratch(pieces));
        self.weights() + tasks.max().unwrap_or(0)
    }

    /// Rows of squares of a block of the gradient by the weights.
    fn gradient_rows(&self) -> usize {
        let row = PAIRS * self.x.squares[1] * (padded(self.x.channels) + padded(self.y.channels));
        (BLOCK / row.max(1)).max((2 * SQUARES).div_ceil(self.x.squares[1].max(1))).min(self.rows().max(1))
    }

    /// Into how many tasks the rows of a block of the gradient by the weights are divided.
    fn gradient_tasks(&self, lanes: usize) -> usize {
        let rows = self.gradient_rows();
        tasks(lanes, self.work(rows * self.x.squares[1])).min(rows.max(1))
    }

    /// Elements of the sums at all pairs of points.
    fn sums(&self) -> usize {
        PAIRS * self.x.channels * padded(self.y.channels)
    }

    /// Elements of the rows of pixels of a task of the gradient by the weights.
    fn packed(&self) -> usize {
        self.x.packed(POINTS) + self.y.packed(OUTPUTS)
    }

    /// Elements of scratch for [`weight_gradient`].
    pub(super) fn gradient_scratch(&self) -> usize {
        let [x, y] = self.strides(self.gradient_rows() * self.x.squares[1]);
        self.sums() + PAIRS * (x + y) + self.gradient_tasks(usize::MAX) * self.packed()
    }
}

/// A row of squares of an image at all pairs of points: what the squares see, N pixels each way.
pub struct Row<'a, 'b, T> {
    images: Images,
    /// Whether they are seen by weights, or are `dy`.
    seen: bool,
    /// The planes of the image.
    planes: &'a [T],
    /// Number of the row.
    row: usize,
    /// Rows of pixels as vectors of channels; zeros where nothing is written.
    packed: &'b mut [T],
    /// The row's first square in the first matrix.
    to: *mut T,
    /// Elements from one matrix to the next.
    stride: usize,
}

impl<T: Element> SimdOp for Row<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(mut self, simd: S) {
        if self.seen {
            self.pack::<S, POINTS>(simd);
            self.evaluate::<S, Inputs, POINTS>(simd);
        } else {
            self.pack::<S, OUTPUTS>(simd);
            self.evaluate::<S, Gradients, OUTPUTS>(simd);
        }
    }
}

impl<T: Element> Row<'_, '_, T> {
    /// Copies the pixels that the row sees, eight channels side by side.
    #[inline(always)]
    fn pack<S: Simd, const SIDE: usize>(&mut self, simd: S) {
        let Images { channels, size: [height, width], before, .. } = self.images;
        let row = self.images.row(SIDE);
        require(self.packed.len() >= self.images.packed(SIDE) && before[1] + width <= row);
        require(self.planes.len() >= channels * height * width);
        let zero = T::Vector::splat(simd, T::zero());
        for (v, planes) in self.planes.chunks(LANES * height * width).enumerate() {
            for i in 0..SIDE {
                let to = self.packed.as_mut_ptr().wrapping_add((v * SIDE + i) * row * LANES);
                let y = (self.row * OUTPUTS + i).wrapping_sub(before[0]);
                if y >= height {
                    for x in 0..row {
                        // SAFETY: the row has so many vectors.
                        unsafe { zero.write(to.add(x * LANES)) };
                    }
                    continue;
                }
                let to = to.wrapping_add(before[1] * LANES);
                let (from, plane) = (&planes[y * width..], height * width);
                let whole = width >= LANES && planes.len() == LANES * plane;
                let mut x = 0;
                while x < width {
                    // The last eight pixels overlap the eight before.
                    let first = if width >= LANES { x.min(width - LANES) } else { 0 };
                    if whole {
                        let mut square = [zero; LANES];
                        for (i, line) in square.iter_mut().enumerate() {
                            // SAFETY: the plane has eight pixels of this row from here on, and there are eight planes.
                            *line = unsafe { T::Vector::read(simd, from.as_ptr().add(i * plane + first)) };
                        }
                        for (i, pixel) in T::Vector::transpose(simd, square).into_iter().enumerate() {
                            // SAFETY: the row has all pixels of the plane's.
                            unsafe { pixel.write(to.add((first + i) * LANES)) };
                        }
                    } else {
                        let count = LANES.min(width - first);
                        let mut square = [zero; LANES];
                        for (line, plane) in square.iter_mut().zip(planes.chunks_exact(plane)) {
                            *line = load(simd, &plane[y * width + first..][..count]);
                        }
                        let square = T::Vector::transpose(simd, square);
                        for (i, pixel) in square.into_iter().enumerate().take(count) {
                            // SAFETY: as above.
                            unsafe { pixel.write(to.add((first + i) * LANES)) };
                        }
                    }
                    x = first + LANES;
                }
            }
        }
    }

    #[inline(always)]
    fn evaluate<S: Simd, L: Lines<SIDE, POINTS>, const SIDE: usize>(&self, simd: S) {
        let (channels, row) = (padded(self.images.channels), self.images.row(SIDE));
        for square in 0..self.images.squares[1] {
            for v in 0..channels / LANES {
                let first = self.packed.as_ptr().wrapping_add((v * SIDE * row + square * OUTPUTS) * LANES);
                let from = Place { first, line: row * LANES, column: LANES };
                let first = self.to.wrapping_add(square * channels + v * LANES);
                let to = Place { first, line: POINTS * self.stride, column: self.stride };
                // SAFETY: `pack` checked that there are so many rows and pixels, and each matrix has a row for this square, with a vector
                // for these channels.
                unsafe { both_sides::<T, S, L, SIDE, POINTS>(simd, from, to) };
            }
        }
    }
}

/// Weights at all pairs of points: of packed kernels ([`super::direct::pack`]) sixteen of each input channel.
pub struct WeightsAtPoints<'a, T> {
    /// [channels, 9, 16].
    packed: &'a [T],
    /// [pairs, channels, columns], of which these are the first pair and sixteen of the columns.
    to: *mut T,
    columns: usize,
}

impl<T: Element> SimdOp for WeightsAtPoints<'_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let channels = self.packed.len() / (TAPS * TAPS * CHANNELS);
        for (channel, kernels) in self.packed.chunks_exact(TAPS * TAPS * CHANNELS).enumerate() {
            for lane in (0..CHANNELS).step_by(LANES) {
                let first = kernels.as_ptr().wrapping_add(lane);
                let from = Place { first, line: TAPS * CHANNELS, column: CHANNELS };
                let first = self.to.wrapping_add(channel * self.columns + lane);
                let pair = channels * self.columns;
                let to = Place { first, line: POINTS * pair, column: pair };
                // SAFETY: there are nine taps of sixteen kernels, and each pair of points has a row for this channel.
                unsafe { both_sides::<T, S, Weights, TAPS, POINTS>(simd, from, to) };
            }
        }
    }
}

/// A row of squares of an image from the sums at all pairs of points.
pub struct OutputRow<'a, 'b, T> {
    images: Images,
    /// The row's first square in the first matrix, and elements from one matrix to the next.
    sums: *const T,
    stride: usize,
    finish: Finish<'a, T>,
    /// The planes of the image.
    y: &'b mut [T],
    /// Number of the row.
    row: usize,
}

impl<T: Element> SimdOp for OutputRow<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let Images { channels, size: [height, width], squares, .. } = self.images;
        let zero = T::Vector::splat(simd, T::zero());
        let floor = if self.finish.relu { zero } else { T::Vector::splat(simd, T::neg_infinity()) };
        let (across, plane) = (padded(channels), height * width);
        let top = self.row * OUTPUTS;
        let rows = OUTPUTS.min(height - top);
        // Four lines of eight pixels, each a vector of channels.
        let mut lines = [[[T::zero(); LANES]; LANES]; OUTPUTS];
        for lane in (0..channels).step_by(LANES) {
            let count = LANES.min(channels - lane);
            let bias = match self.finish.bias {
                Some(bias) => load(simd, &bias[lane..lane + count]),
                None => zero,
            };
            for pair in (0..squares[1]).step_by(2) {
                for (half, square) in (pair..squares[1].min(pair + 2)).enumerate() {
                    let first = self.sums.wrapping_add(square * across + lane);
                    let from = Place { first, line: POINTS * self.stride, column: self.stride };
                    let first = lines.as_flattened_mut().as_flattened_mut().as_mut_ptr();
                    let first = first.wrapping_add(half * OUTPUTS * LANES);
                    let to = Place { first, line: LANES * LANES, column: LANES };
                    // SAFETY: each matrix has a row for this square, with a vector for these channels, and a line has room for
                    // two squares.
                    unsafe { both_sides::<T, S, Outputs, POINTS, OUTPUTS>(simd, from, to) };
                }
                let left = pair * OUTPUTS;
                let len = LANES.min(width - left);
                for (i, line) in lines.iter().enumerate().take(rows) {
                    let mut square = [zero; LANES];
                    for (pixel, line) in square.iter_mut().zip(line) {
                        *pixel = floor.max(T::Vector::load(simd, line) + bias);
                    }
                    let square = T::Vector::transpose(simd, square);
                    let first = lane * plane + (top + i) * width + left;
                    if count == LANES && len == LANES {
                        require(first + (LANES - 1) * plane + LANES <= self.y.len());
                        let first = self.y.as_mut_ptr().wrapping_add(first);
                        for (i, sums) in square.into_iter().enumerate() {
                            let row = first.wrapping_add(i * plane);
                            // SAFETY: the last of the rows ends in `y`, as was just checked.
                            unsafe {
                                let sums = if self.finish.accumulate {
                                    T::Vector::read(simd, row) + sums
                                } else {
                                    sums
                                };
                                sums.write(row);
                            }
                        }
                        continue;
                    }
                    let planes = self.y[first..].chunks_mut(plane);
                    for (sums, row) in square.into_iter().zip(planes).take(count) {
                        let row = &mut row[..len];
                        store(if self.finish.accumulate { load(simd, row) + sums } else { sums }, row);
                    }
                }
            }
        }
    }
}

/// Columns of a tile: sixteen or 32 or, where registers are few, eight.
fn tile_columns<T: Element>(cx: &Context<'_>) -> usize {
    T::run(cx, PanelColumns::default()).min(WIDEST)
}

/// The outputs of all images, from kernels as [`super::direct::pack`] leaves them.
pub(super) fn outputs<T: Element>(
    cx: &Context<'_>,
    squares: &Squares,
    x: &[T],
    packed: &[T],
    finish: Finish<'_, T>,
    y: &mut [T],
    scratch: &mut [T],
) {
    if y.is_empty() {
        return;
    }
    let Squares { x: read, y: written, images } = *squares;
    let (weights, scratch) = scratch.split_at_mut(squares.weights());
    // [panels, pairs, channels, columns of a panel], of which each task makes sixteen columns.
    let columns = tile_columns::<T>(cx);
    let panel = columns.max(CHANNELS);
    let matrix = read.channels * panel;
    let (sixteen, to) = (TAPS * TAPS * read.channels * CHANNELS, Parts::new(weights));
    for_each_task(cx, written.channels.div_ceil(CHANNELS), |i| {
        let column = i * CHANNELS;
        let to = to.pointer().wrapping_add(column / panel * PAIRS * matrix + column % panel);
        T::run(cx, WeightsAtPoints { packed: &packed[i * sixteen..][..sixteen], to, columns: panel });
    });
    let weights = &*weights;
    let (x_image, y_image) = (x.len() / images, y.len() / images);
    let pieces = squares.pieces(cx.executor.lanes());
    let rows = squares.block_rows(pieces);
    let [x_stride, y_stride] = squares.strides(rows * read.squares[1]);
    let (y, scratch) = (Parts::new(y), Parts::new(scratch));
    for_each_task(cx, pieces, |piece| {
        let images = piece * images / pieces..(piece + 1) * images / pieces;
        let len = squares.task_scratch(pieces);
        // SAFETY: pieces have different images and each its own scratch.
        let (y, scratch) = unsafe {
            (y.range(images.start * y_image, images.len() * y_image), scratch.range(piece * len, len))
        };
        let x = &x[images.start * x_image..images.end * x_image];
        let (row_buffer, scratch) = scratch.split_at_mut(read.packed(POINTS));
        let (inputs, sums) = scratch.split_at_mut(PAIRS * x_stride);
        row_buffer.fill(T::zero());
        let all = images.len() * read.squares[0];
        for first in (0..all).step_by(rows) {
            let block = first..all.min(first + rows);
            for row in block.clone() {
                let (image, i) = (row / read.squares[0], row % read.squares[0]);
                T::run(
                    cx,
                    Row {
                        images: read,
                        seen: true,
                        planes: &x[image * x_image..][..x_image],
                        row: i,
                        packed: &mut *row_buffer,
                        to: inputs[(row - first) * read.squares[1] * padded(read.channels)..].as_mut_ptr(),
                        stride: x_stride,
                    },
                );
            }
            let count = block.len() * read.squares[1];
            for pair in 0..PAIRS {
                for column in (0..padded(written.channels)).step_by(columns) {
                    let width = columns.min(padded(written.channels) - column);
                    let weights =
                        &weights[(column / panel * PAIRS + pair) * matrix..][column % panel..matrix];
                    T::run(
                        cx,
                        Tiles {
                            a: inputs[pair * x_stride..].as_ptr(),
                            a_strides: [padded(read.channels), 1],
                            panel: Panel { data: weights.as_ptr(), strides: [panel, 1], width },
                            depth: read.channels,
                            start: Start::Zero,
                            floor: T::neg_infinity(),
                            c: sums[pair * y_stride + column..].as_mut_ptr(),
                            c_stride: padded(written.channels),
                            rows: count,
                            next: None,
                            copy: None,
                        },
                    );
                }
            }
            for row in block {
                let (image, i) = (row / read.squares[0], row % read.squares[0]);
                T::run(
                    cx,
                    OutputRow {
                        images: written,
                        sums: sums[(row - first) * read.squares[1] * padded(written.channels)..].as_ptr(),
                        stride: y_stride,
                        finish,
                        y: &mut y[image * y_image..][..y_image],
                        row: i,
                    },
                );
            }
        }
    });
}

/// Eight rows of the gradient by the weights from the sums at all pairs of points.
pub struct WeightRows<'a, 'b, T> {
    /// [pairs, channels, outputs], from the eight outputs on; elements from one pair to the next and from one channel to the next.
    sums: &'a [T],
    strides: [usize; 2],
    accumulate: bool,
    /// [outputs, channels, 9]: eight outputs or fewer.
    dw: &'b mut [T],
    channels: usize,
}

impl<T: Element> SimdOp for WeightRows<'_, '_, T> {
    const FUSES: bool = true;
    type Output = ();

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let zero = T::Vector::splat(simd, T::zero());
        let [pair, channel_step] = self.strides;
        let last = (PAIRS - 1) * pair + (self.channels - 1) * channel_step;
        require(self.sums.len() >= last + LANES);
        let kernel = TAPS * TAPS;
        for channel in 0..self.channels {
            let first = self.sums[channel * channel_step..].as_ptr();
            let from = Place { first, line: POINTS * pair, column: pair };
            let mut taps = [[[T::zero(); LANES]; TAPS]; TAPS];
            let first = taps.as_flattened_mut().as_flattened_mut().as_mut_ptr();
            let to = Place { first, line: TAPS * LANES, column: LANES };
            // SAFETY: each pair of points has eight outputs of this channel, as was checked.
            unsafe { both_sides::<T, S, WeightGradients, POINTS, TAPS>(simd, from, to) };
            let taps = taps.as_flattened();
            let mut square = [zero; LANES];
            for (line, taps) in square.iter_mut().zip(taps) {
                *line = T::Vector::load(simd, taps);
            }
            let (square, last) = (T::Vector::transpose(simd, square), taps[LANES]);
            let rows = self.dw.chunks_exact_mut(self.channels * kernel);
            for ((eight, last), row) in square.into_iter().zip(last).zip(rows) {
                let row = &mut row[channel * kernel..][..kernel];
                let (old, old_last) =
                    if self.accumulate { (load(simd, row), row[LANES]) } else { (zero, T::zero()) };
                store(old + eight, row);
                row[LANES] = old_last + last;
            }
        }
    }
}

/// The gradient by the weights, block of squares by block; adds to what `dw` holds if `accumulate`.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub(super) fn weight_gradient<T: Element>(
    cx: &Context<'_>,
    squares: &Squares,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    accumulate: bool,
    scratch: &mut [T],
) {
    let Squares { x: inputs, y: outputs, images } = *squares;
    let (across, rows, row) = (squares.x.squares[1], squares.gradient_rows(), inputs.squares[0]);
    let [x_stride, y_stride] = squares.strides(rows * across);
    let [x_len, y_len] = [inputs, outputs].map(|images| padded(images.channels));
    let columns = tile_columns::<T>(cx);
    let (sums, scratch) = scratch.split_at_mut(squares.sums());
    let (x_points, scratch) = scratch.split_at_mut(PAIRS * x_stride);
    let (y_points, scratch) = scratch.split_at_mut(PAIRS * y_stride);
    let (x_image, y_image) = (x.len() / images, dy.len() / images);
    let buffer = squares.packed();
    let lanes = cx.executor.lanes();
    let row_tasks = squares.gradient_tasks(lanes);
    let scratch = &mut scratch[..row_tasks * buffer];
    scratch.fill(T::zero());
    for first in (0..squares.rows()).step_by(rows) {
        let block = first..squares.rows().min(first + rows);
        let (x_to, y_to, buffers) = (Parts::new(x_points), Parts::new(y_points), Parts::new(scratch));
        for_each_task(cx, row_tasks, |task| {
            // SAFETY: each task has its own scratch.
            let packed = unsafe { buffers.range(task * buffer, buffer) };
            let (x_packed, y_packed) = packed.split_at_mut(inputs.packed(POINTS));
            let part = |task: usize| first + task * block.len() / row_tasks;
            for (seen, images, planes, image, packed, to, len, stride) in [
                (true, inputs, x, x_image, x_packed, &x_to, x_len, x_stride),
                (false, outputs, dy, y_image, y_packed, &y_to, y_len, y_stride),
            ] {
                for i in part(task)..part(task + 1) {
                    let planes = &planes[i / row * image..][..image];
                    let to = to.pointer().wrapping_add((i - first) * across * len);
                    let packed = &mut *packed;
                    T::run(cx, Row { images, seen, planes, row: i % row, packed, to, stride });
                }
            }
        });
        let count = block.len() * across;
        let pairs = PAIRS.div_ceil(tasks(lanes, squares.work(count)));
        for_each_chunk(cx, sums, pairs * inputs.channels * y_len, |task, sums| {
            for (i, sums) in sums.chunks_exact_mut(inputs.channels * y_len).enumerate() {
                let pair = task * pairs + i;
                for column in (0..y_len).step_by(columns) {
                    let c = sums[column..].as_mut_ptr();
                    let data = y_points[pair * y_stride + column..].as_ptr();
                    let width = columns.min(y_len - column);
                    T::run(
                        cx,
                        Tiles {
                            a: x_points[pair * x_stride..].as_ptr(),
                            a_strides: [1, x_len],
                            panel: Panel { data, strides: [y_len, 1], width },
                            depth: count,
                            start: if first == 0 { Start::Zero } else { Start::Rows(c, y_len) },
                            floor: T::neg_infinity(),
                            c,
                            c_stride: y_len,
                            rows: inputs.channels,
                            next: None,
                            copy: None,
                        },
                    );
                }
            }
        });
    }
    let sums = &*sums;
    let eight = LANES * inputs.channels * TAPS * TAPS;
    for_each_chunk(cx, dw, eight, |i, dw| {
        let strides = [inputs.channels * y_len, y_len];
        let sums = &sums[i * LANES..];
        T::run(cx, WeightRows { sums, strides, accumulate, dw, channels: inputs.channels });
    });
}
