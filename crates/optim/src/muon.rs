//! Muon: momentum whose matrices are made orthogonal before they are stepped by.

use crate::update::{
    Lanes, check, check_not_negative, check_rate, check_unit, decay_of, norm, pieces, split, square_root,
    walk,
};
use crate::{AdamW, ScaleByAdam, update::Step};
use bantam_core::{Context, InvalidSetting, Numerics, Optimizer, Schedule, Shape, UpdateContext};
use bantam_kernels::{Activation, Element, Gemm, Simd, Vector, gemm, gemm_scratch_anywhere};

/// Muon: matrices step along the orthogonal matrix that is nearest to their momentum, so that every direction of a layer
/// counts the same, strong ones and weak ones; everything else steps as in [`AdamW`].
///
/// > v ← μ·v + g,  u = g + μ·v (Nesterov)
/// >
/// > θ ← θ − η·(κ·√max(rows, columns) · orthogonal(u) + λ·θ)
///
/// `orthogonal` sets all singular values to about 1 (0.7 to 1.2) by five Newton-Schulz steps
/// X ← a·X + (b·A + c·A²)·X with A = X·Xᵀ, a = 3.4445, b = −4.775, c = 2.0315, from X = u/‖u‖.
///
/// * `rate` η: any schedule; 0.001 by default. The root makes a step as long as AdamW's, so AdamW's rates and decays fit,
///   and one rate serves both kinds of tensors.
/// * `momentum` μ: 0.95 by default; `nesterov`: on.
/// * `iterations`: 5 Newton-Schulz steps.
/// * `scale` κ: 0.2 by default, the usual size of AdamW's steps.
/// * `weight_decay` λ: 0.01 by default. Biases and gains are left out.
/// * `others`: β₁, β₂ and ε for tensors of rank 0 and 1.
///
/// A tensor of rank 3 or more is a matrix of its first axis by all others, as a convolution's kernels are. The first
/// (embedding) and the last layer are better off with [`AdamW`]: put them into a group of their own.
///
/// State of a matrix of r by c, s the lesser: r·c for the momentum, and as scratch r·c + 2·s² and what the products need
/// ([`gemm_scratch_anywhere`]), see [`matrix_state_len`](Muon::matrix_state_len); of a vector 2 numbers per parameter. A step costs about 20·s·r·c multiplications, so it is for
/// batches large enough that this does not show. The products run without fused multiply-adds, for the same bits
/// everywhere. Choose it for transformers and other nets of large matrices.
///
/// K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; size of steps and decay after
/// J. Liu et al., "Muon is scalable for LLM training", 2025, arXiv:2502.16982.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Muon<S = f32> {
    /// The learning rate η.
    pub rate: S,
    /// The momentum μ.
    pub momentum: f64,
    /// Whether to look ahead.
    pub nesterov: bool,
    /// Newton-Schulz steps.
    pub iterations: u32,
    /// The size κ of a step.
    pub scale: f64,
    /// The strength λ of the decay.
    pub weight_decay: f64,
    /// Whether tensors of rank 0 and 1 are decayed too.
    pub decay_biases: bool,
    /// How tensors of rank 0 and 1 are scaled.
    pub others: ScaleByAdam,
}

impl Default for Muon {
    fn default() -> Muon {
        Muon::new(0.001)
    }
}

impl<S> Muon<S> {
    /// The defaults with this learning rate.
    pub const fn new(rate: S) -> Muon<S> {
        Muon {
            rate,
            momentum: 0.95,
            nesterov: true,
            iterations: 5,
            scale: 0.2,
            weight_decay: 0.01,
            decay_biases: false,
            others: ScaleByAdam::DEFAULT,
        }
    }

    /// The strength λ of the decay.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> Muon<S> {
        self.weight_decay = weight_decay;
        self
    }

    /// How many numbers of state a tensor of these sides needs: its first axis, and all others together; the same on
    /// every target.
    pub const fn matrix_state_len(rows: usize, columns: usize) -> usize {
        Matrix { rows, columns }.state_len()
    }

    /// How much of the momentum stays.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Muon<S> {
        self.momentum = momentum;
        self
    }
}

/// The numbers of a Newton-Schulz step: chosen by Jordan to lift small singular values as fast as possible.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// A tensor as a matrix, with the products that a step takes.
#[derive(Clone, Copy)]
struct Matrix {
    rows: usize,
    columns: usize,
}

impl Matrix {
    /// `None` for tensors of rank 0 and 1.
    fn of(shape: Shape) -> Option<Matrix> {
        let columns = crate::decay::unit_len(shape)?;
        let rows = shape.len() / columns;
        (rows > 0).then_some(Matrix { rows, columns })
    }

    const fn len(self) -> usize {
        self.rows * self.columns
    }

    /// The lesser side.
    const fn side(self) -> usize {
        if self.rows < self.columns { self.rows } else { self.columns }
    }

    /// A = X·Xᵀ, or Xᵀ·X if that is smaller.
    const fn square(self) -> Gemm {
        let Matrix { rows, columns } = self;
        if rows <= columns {
            Gemm { m: rows, n: rows, k: columns, a_strides: [columns, 1], b_strides: [1, columns] }
        } else {
            Gemm { m: columns, n: columns, k: rows, a_strides: [1, columns], b_strides: [columns, 1] }
        }
    }

    /// A·A.
    const fn fourth(self) -> Gemm {
        let s = self.side();
        Gemm { m: s, n: s, k: s, a_strides: [s, 1], b_strides: [s, 1] }
    }

    /// B·X, or X·B, whose left factor has rows of the lesser side in both cases.
    const fn product(self) -> Gemm {
        let (Matrix { rows, columns }, s) = (self, self.side());
        Gemm { m: rows, n: columns, k: s, a_strides: [s, 1], b_strides: [columns, 1] }
    }

    /// What each of the three products needs, all in the same place.
    const fn scratch(self) -> usize {
        let products = [self.square(), self.fourth(), self.product()];
        let mut most = 0;
        let mut i = 0;
        while i < products.len() {
            let scratch = gemm_scratch_anywhere(&products[i]);
            most = if scratch > most { scratch } else { most };
            i += 1;
        }
        most
    }

    const fn state_len(self) -> usize {
        2 * self.len() + 2 * self.side() * self.side() + self.scratch()
    }
}

impl<T: Element, S: Schedule> Optimizer<T> for Muon<S> {
    /// For a vector; a matrix needs more, see [`state_len_for`](Optimizer::state_len_for).
    fn state_len(&self, parameter_len: usize) -> usize {
        self.others.state_len(parameter_len)
    }

    fn state_len_for(&self, _index: usize, shape: Shape) -> usize {
        Matrix::of(shape).map_or_else(|| self.others.state_len(shape.len()), Matrix::state_len)
    }

    fn validate(&self) -> Result<(), InvalidSetting> {
        check_rate(&self.rate)?;
        check_unit("momentum", self.momentum)?;
        check_not_negative("scale", self.scale)?;
        check_not_negative("weight_decay", self.weight_decay)?;
        check("iterations", f64::from(self.iterations), "at least 1", self.iterations >= 1)?;
        self.others.check()
    }

    fn learning_rate(&self, step: u64) -> Option<f32> {
        Some(self.rate.at(step))
    }

    fn set_run_length(&mut self, steps: u64, steps_per_epoch: u64) {
        self.rate.set_run_length(steps, steps_per_epoch);
    }

    fn observe(&mut self, loss: f64) {
        self.rate.observe(loss);
    }

    fn update(&self, cx: &UpdateContext<'_>, parameter: &mut [T], gradient: &mut [T], state: &mut [T]) {
        let rate = self.rate.at(cx.step);
        let (weight_decay, decay_biases) = (self.weight_decay, self.decay_biases);
        let Some(matrix) = Matrix::of(cx.shape) else {
            let others = AdamW { rate, scale: self.others, weight_decay, decay_biases };
            return others.update(cx, parameter, gradient, state);
        };
        let fits = parameter.len() == matrix.len() && gradient.len() == matrix.len();
        debug_assert!(fits, "the slices have another length than the shape");
        debug_assert!(
            state.len() == matrix.state_len(),
            "the state has another length than state_len_for says"
        );
        if !fits || state.len() < matrix.state_len() {
            return;
        }
        let (velocity, scratch) = split(state, matrix.len());
        let [factor, ahead] = [self.momentum, if self.nesterov { 1.0 } else { 0.0 }].map(T::from_f64);
        walk(cx, [&mut *gradient], [&mut *velocity], Look { factor, ahead });
        let longest = matrix.rows.max(matrix.columns) as f64;
        let size = T::from_f64(self.scale * square_root(longest));
        let decay = T::from_f64(decay_of(cx, weight_decay, decay_biases));
        let direction = orthogonalize(cx, matrix, self.iterations, gradient, scratch);
        walk(cx, [parameter, direction], [], Stride { rate: T::from_f64(f64::from(rate)), size, decay });
    }
}

/// v ← μ·v + g, g ← g + μ·v, or g ← v.
#[derive(Clone, Copy)]
struct Look<T> {
    factor: T,
    /// 1 for Nesterov's, else 0.
    ahead: T,
}

impl<T: Element> Step<T, 1, 1> for Look<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        [g]: Lanes<T, S, 1>,
        [v]: Lanes<T, S, 1>,
    ) -> (Lanes<T, S, 1>, Lanes<T, S, 1>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        let v = s(self.factor) * v + g;
        let none = s(T::zero());
        ([s(self.ahead).if_equal(none, v, g + s(self.factor) * v)], [v])
    }
}

/// θ ← θ − η·(size·direction + λ·θ).
#[derive(Clone, Copy)]
struct Stride<T> {
    rate: T,
    size: T,
    decay: T,
}

impl<T: Element> Step<T, 2, 0> for Stride<T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        [p, u]: Lanes<T, S, 2>,
        state: Lanes<T, S, 0>,
    ) -> (Lanes<T, S, 2>, Lanes<T, S, 0>) {
        let s = |x| T::Vector::<S>::splat(simd, x);
        ([p - s(self.rate) * (s(self.size) * u + s(self.decay) * p), u], state)
    }
}

/// The orthogonal matrix near `x`, in `x` or in the scratch.
fn orthogonalize<'a, T: Element>(
    cx: &UpdateContext<'_>,
    matrix: Matrix,
    iterations: u32,
    x: &'a mut [T],
    scratch: &'a mut [T],
) -> &'a mut [T] {
    let context = Context { numerics: Numerics::Portable, ..cx.context };
    let area = matrix.side() * matrix.side();
    let (mut other, scratch) = split(scratch, matrix.len());
    let (squares, work) = split(scratch, 2 * area);
    let [a, b] = pieces(squares, area);
    let mut x = x;
    // Not by less than the least normal f32, whose inverse is still finite.
    let factor = T::from_f64(1.0 / norm(cx, x).max(f64::from(f32::MIN_POSITIVE)));
    x.iter_mut().for_each(|x| *x *= factor);
    let [first, second, third] = COEFFICIENTS.map(T::from_f64);
    for _ in 0..iterations {
        let product = |shape: &Gemm, a: &[T], b: &[T], c: &mut [T], work: &mut [T]| {
            gemm(&context, shape, a, b, None, Activation::Identity, c, false, work);
        };
        product(&matrix.square(), x, x, a, work);
        product(&matrix.fourth(), a, a, b, work);
        for (b, a) in b.iter_mut().zip(&*a) {
            *b = second * *a + third * *b;
        }
        let (left, right): (&[T], &[T]) = if matrix.rows <= matrix.columns { (b, x) } else { (x, b) };
        product(&matrix.product(), left, right, other, work);
        bantam_kernels::axpy(&context, first, x, other);
        core::mem::swap(&mut x, &mut other);
    }
    // What a product leaves there depends on who ran it; saved state must not.
    work.fill(T::zero());
    x
}
