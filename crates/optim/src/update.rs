//! What the rules share: walking slices once, eight elements at a time; cutting state; checking settings.

use bantam_core::{InvalidSetting, Real, Schedule, UpdateContext};
use bantam_kernels::parallel::GRAIN;
use bantam_kernels::simd::{BASELINE_IS_PLAIN, LANES};
use bantam_kernels::{
    Element, Simd, SimdOp, Vector, dispatch, for_each_chunk, for_each_chunk_of, in_streams,
    map_chunks_of_two, run,
};
use core::array::from_fn;

/// Eight elements of each of N slices, at the level `S`.
pub(crate) type Lanes<T, S, const N: usize> = [<T as Element>::Vector<S>; N];

/// A rule in which every element is on its own: takes a gradient and K numbers of state, gives an update (which points
/// uphill) and the state after it. Eight elements at a time.
pub(crate) trait Rule<T: Element, const K: usize>: Copy + Send + Sync {
    fn next<S: Simd>(
        &self,
        simd: S,
        gradient: T::Vector<S>,
        state: Lanes<T, S, K>,
    ) -> (T::Vector<S>, Lanes<T, S, K>);
}

/// What a [`Rule`] is used for: to move parameters or to turn updates.
pub(crate) trait Job<T: Element>: Sized {
    fn run<const K: usize>(self, cx: &UpdateContext<'_>, rule: impl Rule<T, K>, state: impl Kept<T, K>);
}

/// How K pieces of state are kept: as they are in a slice, or packed.
pub(crate) trait Kept<T: Element, const K: usize>: Sized {
    /// How many of `n` parameters there is state for.
    fn elements(&self, n: usize) -> usize;

    /// Walks slices and state once. Returns the sums of the squares of what the step made of each slice, if `SUMS`.
    fn walk<const M: usize, const SUMS: bool>(
        self,
        cx: &UpdateContext<'_>,
        slices: [&mut [T]; M],
        step: impl Step<T, M, K>,
    ) -> [f64; M];
}

impl<T: Element, const K: usize> Kept<T, K> for &mut [T] {
    fn elements(&self, n: usize) -> usize {
        debug_assert!(self.len() == K * n, "the state has another length than state_len says");
        n.min(self.len().checked_div(K).unwrap_or(n))
    }

    #[inline(always)]
    fn walk<const M: usize, const SUMS: bool>(
        self,
        cx: &UpdateContext<'_>,
        slices: [&mut [T]; M],
        step: impl Step<T, M, K>,
    ) -> [f64; M] {
        let n = slices[0].len();
        walk_summing::<T, M, K, SUMS>(cx, slices, pieces(self, n), step)
    }
}

/// Moves parameters by a rule's updates in one pass over memory: g ← g + l2·θ, then
/// θ ← (θ − rate · (rule(g) + decoupled·θ)) · shrink.
pub(crate) struct Descend<'a, T> {
    pub parameter: &'a mut [T],
    pub gradient: &'a mut [T],
    pub rate: T,
    pub l2: T,
    pub decoupled: T,
    pub shrink: T,
}

impl<T: Element> Job<T> for Descend<'_, T> {
    #[inline(always)]
    fn run<const K: usize>(self, cx: &UpdateContext<'_>, rule: impl Rule<T, K>, state: impl Kept<T, K>) {
        let Descend { parameter, gradient, rate, l2, decoupled, shrink } = self;
        let n = state.elements(both(parameter, gradient));
        let step = Descent { rule, rate, l2, decoupled, shrink };
        state.walk::<2, false>(cx, [&mut parameter[..n], &mut gradient[..n]], step);
    }
}

#[derive(Clone, Copy)]
struct Descent<R, T> {
    rule: R,
    rate: T,
    l2: T,
    decoupled: T,
    shrink: T,
}

impl<T: Element, R: Rule<T, K>, const K: usize> Step<T, 2, K> for Descent<R, T> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        [p, g]: Lanes<T, S, 2>,
        state: Lanes<T, S, K>,
    ) -> (Lanes<T, S, 2>, Lanes<T, S, K>) {
        let v = |x| T::Vector::<S>::splat(simd, x);
        let (update, state) = self.rule.next(simd, g + v(self.l2) * p, state);
        let p = (p - v(self.rate) * (update + v(self.decoupled) * p)) * v(self.shrink);
        ([p, g], state)
    }
}

/// Turns updates by a rule, in one pass over memory.
pub(crate) struct Turn<'a, T> {
    pub updates: &'a mut [T],
}

impl<T: Element> Job<T> for Turn<'_, T> {
    #[inline(always)]
    fn run<const K: usize>(self, cx: &UpdateContext<'_>, rule: impl Rule<T, K>, state: impl Kept<T, K>) {
        let n = state.elements(self.updates.len());
        state.walk::<1, false>(cx, [&mut self.updates[..n]], Turned(rule));
    }
}

#[derive(Clone, Copy)]
struct Turned<R>(R);

impl<T: Element, R: Rule<T, K>, const K: usize> Step<T, 1, K> for Turned<R> {
    #[inline(always)]
    fn next<S: Simd>(
        &self,
        simd: S,
        [u]: Lanes<T, S, 1>,
        state: Lanes<T, S, K>,
    ) -> (Lanes<T, S, 1>, Lanes<T, S, K>) {
        let (u, state) = self.0.next(simd, u, state);
        ([u], state)
    }
}

/// What happens to eight elements of each of M slices and of K pieces of state. Of the slices only the first is
/// written back.
pub(crate) trait Step<T: Element, const M: usize, const K: usize>: Copy + Send + Sync {
    fn next<S: Simd>(
        &self,
        simd: S,
        values: Lanes<T, S, M>,
        state: Lanes<T, S, K>,
    ) -> (Lanes<T, S, M>, Lanes<T, S, K>);
}

/// Walks slices of one length once, on the executor and compiled for the level of `cx`.
#[inline(always)]
pub(crate) fn walk<T: Element, const M: usize, const K: usize>(
    cx: &UpdateContext<'_>,
    slices: [&mut [T]; M],
    state: [&mut [T]; K],
    step: impl Step<T, M, K>,
) {
    walk_summing::<T, M, K, false>(cx, slices, state, step);
}

/// The most parts that a sum over a tensor is made of.
pub(crate) const PARTS: usize = 16;

/// How many elements a task walks over: with a sum so many that the parts have a place, whose number depends on the
/// length alone. A multiple of `multiple`.
pub(crate) const fn chunk_len(len: usize, sums: bool, multiple: usize) -> usize {
    let most = len.div_ceil(PARTS).next_multiple_of(multiple);
    if sums && most > GRAIN { most } else { GRAIN }
}

/// Adds parts up, in their order.
pub(crate) fn total<const M: usize>(parts: &[[f64; M]]) -> [f64; M] {
    from_fn(|i| parts.iter().map(|part| part[i]).sum())
}

/// As [`walk`]. If `SUMS`, it returns for every slice the sum of the squares of what the step made of it, in f64, in an
/// order that the length alone fixes: a norm does not cost another pass over memory.
#[inline(always)]
pub(crate) fn walk_summing<T: Element, const M: usize, const K: usize, const SUMS: bool>(
    cx: &UpdateContext<'_>,
    slices: [&mut [T]; M],
    state: [&mut [T]; K],
    step: impl Step<T, M, K>,
) -> [f64; M] {
    // What has no vectors has one core too, and need not hold what cuts slices into chunks.
    if BASELINE_IS_PLAIN && !SUMS {
        return run(&cx.context, Walk::<_, _, M, K, SUMS> { slices, state, step });
    }
    let chunk = chunk_len(slices[0].len(), SUMS, LANES);
    let mut parts = [[0.0; M]; PARTS];
    let wanted = if SUMS { &mut parts[..] } else { &mut [] };
    map_chunks_of_two(&cx.context, slices, chunk, state, chunk, wanted, |_, slices, state| {
        run(&cx.context, Walk::<_, _, M, K, SUMS> { slices, state, step })
    });
    if SUMS { total(&parts) } else { [0.0; M] }
}

struct Walk<'a, T, X, const M: usize, const K: usize, const SUMS: bool> {
    slices: [&'a mut [T]; M],
    state: [&'a mut [T]; K],
    step: X,
}

impl<T: Element, X: Step<T, M, K>, const M: usize, const K: usize, const SUMS: bool> SimdOp
    for Walk<'_, T, X, M, K, SUMS>
{
    type Output = [f64; M];

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> [f64; M] {
        let Walk { slices, mut state, step } = self;
        if let (false, Some(single)) = (SUMS, simd.single()) {
            for at in 0..slices[0].len() {
                let number = |x: T| T::Vector::splat(single, x);
                let values = few(number(T::zero()), |i| number(slices[i][at]));
                let kept = few(number(T::zero()), |i| number(state[i][at]));
                let (values, kept) = step.next(single, values, kept);
                slices[0][at] = values[0].first();
                let kept = few::<_, K>(T::zero(), |i| kept[i].first());
                put(&mut state, &kept, 0, at);
                put(&mut state, &kept, 1, at);
                put(&mut state, &kept, 2, at);
                for i in 3..K {
                    put(&mut state, &kept, i, at);
                }
            }
            return [0.0; M];
        }
        let mut sums = [S::F64::splat(simd, 0.0); M];
        let mut slices = slices.map(|slice| slice.as_chunks_mut::<LANES>());
        let mut state = state.map(|slice| slice.as_chunks_mut::<LANES>());
        for range in in_streams(slices[0].0.len() * LANES, M + K) {
            let range = range.start / LANES..range.end / LANES;
            let slices = slices.each_mut().map(|slice| &mut slice.0[range.clone()]);
            let state = state.each_mut().map(|slice| &mut slice.0[range.clone()]);
            for at in 0..range.len() {
                let values = from_fn(|i| T::Vector::<S>::load(simd, &slices[i][at]));
                let kept = from_fn(|i| T::Vector::<S>::load(simd, &state[i][at]));
                let (values, kept) = step.next(simd, values, kept);
                if SUMS {
                    for i in 0..M {
                        let wide = T::widen(simd, values[i]);
                        sums[i] = sums[i] + wide * wide;
                    }
                }
                values[0].store(&mut slices[0][at]);
                for i in 0..K {
                    kept[i].store(&mut state[i][at]);
                }
            }
        }
        if !slices[0].1.is_empty() {
            let values = from_fn(|i| T::Vector::<S>::load_partial(simd, slices[i].1, T::zero()));
            let kept = from_fn(|i| T::Vector::<S>::load_partial(simd, state[i].1, T::zero()));
            let (values, kept) = step.next(simd, values, kept);
            if SUMS {
                for i in 0..M {
                    // The lanes beyond the end may hold anything.
                    let mut lanes = [T::zero(); LANES];
                    values[i].store_partial(&mut lanes[..slices[0].1.len()]);
                    let wide = T::widen(simd, T::Vector::<S>::load(simd, &lanes));
                    sums[i] = sums[i] + wide * wide;
                }
            }
            values[0].store_partial(slices[0].1);
            for i in 0..K {
                kept[i].store_partial(state[i].1);
            }
        }
        sums.map(|sum| sum.tree(|a, b| a + b))
    }
}

/// `f(0)`, `f(1)` and so on. Up to three without a loop: a compiler that saves space unrolls none, and on a board the shell of one is
/// more than what is in it.
#[inline(always)]
fn few<X: Copy, const N: usize>(filling: X, f: impl Fn(usize) -> X) -> [X; N] {
    let at = |i: usize| if i < N { f(i) } else { filling };
    if N > 3 {
        return from_fn(f);
    }
    match [at(0), at(1), at(2)].first_chunk::<N>() {
        Some(few) => *few,
        None => from_fn(f),
    }
}

/// Sets element `at` of piece `i`, if there is that piece. No closure: where space is saved, one that is called three times is not
/// inlined, and a call for every element takes longer than its step.
#[inline(always)]
fn put<T: Copy>(state: &mut [&mut [T]], kept: &[T], i: usize, at: usize) {
    if let (Some(piece), Some(value)) = (state.get_mut(i), kept.get(i)) {
        piece[at] = *value;
    }
}

/// −1, 0 or 1; NaN of NaN.
#[inline(always)]
pub(crate) fn sign<T: Element, S: Simd>(simd: S, x: T::Vector<S>) -> T::Vector<S> {
    let v = |x| T::Vector::<S>::splat(simd, x);
    let (zero, one) = (v(T::zero()), v(T::one()));
    let sign = zero.if_less(x, one, x.if_less(zero, -one, zero));
    x.if_nan(x, sign)
}

/// How many elements can be updated: all of them if the lengths are right. `pieces` is how many elements of state
/// belong to one of a parameter.
pub(crate) fn common_len<T>(parameter: &[T], gradient: &[T], state: &[T], pieces: usize) -> usize {
    let n = both(parameter, gradient);
    debug_assert!(state.len() == pieces * n, "the state has another length than state_len says");
    n.min(state.len().checked_div(pieces).unwrap_or(n))
}

/// How many elements parameter and gradient both have.
pub(crate) fn both<T>(parameter: &[T], gradient: &[T]) -> usize {
    debug_assert!(gradient.len() == parameter.len(), "the gradient has another length than the parameter");
    parameter.len().min(gradient.len())
}

/// The state as `K` pieces of `n` elements.
pub(crate) fn pieces<T, const K: usize>(state: &mut [T], n: usize) -> [&mut [T]; K] {
    let mut rest = state;
    from_fn(|_| {
        let (piece, after) = core::mem::take(&mut rest).split_at_mut(n);
        rest = after;
        piece
    })
}

/// The first `len` elements, or as many as there are, and the rest.
pub(crate) fn split<T>(state: &mut [T], len: usize) -> (&mut [T], &mut [T]) {
    let len = len.min(state.len());
    state.split_at_mut(len)
}

/// [`split`] of state that is only read.
pub(crate) fn split_ref<T>(state: &[T], len: usize) -> (&[T], &[T]) {
    state.split_at(len.min(state.len()))
}

/// Calls `body` for pieces of the slices, which all have the same length, on the executor and compiled for the level
/// of `cx`. `body` treats every element on its own.
#[inline(always)]
pub(crate) fn for_each<T: Element, const N: usize>(
    cx: &UpdateContext<'_>,
    slices: [&mut [T]; N],
    body: impl Fn([&mut [T]; N]) + Sync,
) {
    for_each_chunk_of(&cx.context, slices, GRAIN, |chunk| dispatch(&cx.context, || body(chunk)));
}

/// The Euclidean norm, summed in f64, where squares of `f32` cannot overflow, in an order that the length alone fixes.
pub(crate) fn norm<T: Element>(cx: &UpdateContext<'_>, x: &[T]) -> f64 {
    let [squares] = sums_of_squares(cx, [x], T::zero());
    square_root(squares)
}

/// The norms of θ and of u + decay·θ, as [`norm`] has them, in one pass.
pub(crate) fn norms<T: Element>(
    cx: &UpdateContext<'_>,
    parameter: &[T],
    updates: &[T],
    decay: T,
) -> [f64; 2] {
    sums_of_squares(cx, [parameter, updates], decay).map(square_root)
}

/// The sums of the squares of the first slice, and of the others plus decay · the first. All are as long as the first.
fn sums_of_squares<T: Element, const N: usize>(
    cx: &UpdateContext<'_>,
    slices: [&[T]; N],
    decay: T,
) -> [f64; N] {
    let len = slices.iter().map(|slice| slice.len()).min().unwrap_or(0);
    let chunk = chunk_len(len, true, LANES);
    let mut parts = [[0.0; N]; PARTS];
    let parts = &mut parts[..len.div_ceil(chunk)];
    for_each_chunk(&cx.context, parts, 1, |index, part| {
        let range = index * chunk..((index + 1) * chunk).min(len);
        let slices = slices.map(|slice| &slice[range.clone()]);
        part.fill(run(&cx.context, SumsOfSquares { slices, decay }));
    });
    total(parts)
}

struct SumsOfSquares<'a, T, const N: usize> {
    slices: [&'a [T]; N],
    decay: T,
}

impl<T: Element, const N: usize> SimdOp for SumsOfSquares<'_, T, N> {
    type Output = [f64; N];

    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) -> [f64; N] {
        let slices = self.slices.map(|slice| slice.as_chunks::<LANES>());
        let decay = T::Vector::<S>::splat(simd, self.decay);
        let mut sums = [S::F64::splat(simd, 0.0); N];
        for range in in_streams(slices[0].0.len() * LANES, N) {
            let range = range.start / LANES..range.end / LANES;
            let slices = slices.map(|slice| &slice.0[range.clone()]);
            for (at, first) in slices[0].iter().enumerate() {
                let first = T::Vector::<S>::load(simd, first);
                for i in 0..N {
                    let x = T::Vector::<S>::load(simd, &slices[i][at]);
                    let wide = T::widen(simd, if i == 0 { x } else { x + decay * first });
                    sums[i] = sums[i] + wide * wide;
                }
            }
        }
        let first = T::Vector::<S>::load_partial(simd, slices[0].1, T::zero());
        for i in 0..N {
            let x = T::Vector::<S>::load_partial(simd, slices[i].1, T::zero());
            let wide = T::widen(simd, if i == 0 { x } else { x + decay * first });
            sums[i] = sums[i] + wide * wide;
        }
        sums.map(|sum| sum.tree(|a, b| a + b))
    }
}

/// `f64::sqrt` is not in `core`; through its trait it is.
pub(crate) fn square_root<T: Real>(x: T) -> T {
    x.sqrt()
}

/// eˣ, which is not in `core` either.
pub(crate) fn exponential<T: Real>(x: T) -> T {
    x.exp()
}

/// The natural logarithm.
pub(crate) fn logarithm<T: Real>(x: T) -> T {
    x.ln()
}

/// base to the power of exponent, by squaring: without `libm`, whose `pow` is large.
pub(crate) fn power(mut base: f64, mut exponent: u64) -> f64 {
    let mut result = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    result
}

/// 1 / (1 − βᵗ): undoes the bias of an average that started at 0. Not in its callers: on a board, each operation of `f64` is a call.
#[inline(never)]
pub(crate) fn correction(beta: f64, updates: u64) -> f64 {
    1.0 / (1.0 - power(beta, updates))
}

/// The rate of weight decay for this tensor: none for biases and gains, unless they are asked for.
pub(crate) fn decay_of(cx: &UpdateContext<'_>, weight_decay: f64, decay_biases: bool) -> f64 {
    if cx.shape.rank() > 1 || decay_biases { weight_decay } else { 0.0 }
}

/// `found` must satisfy `holds`.
pub(crate) fn check(
    setting: &'static str,
    found: f64,
    expected: &'static str,
    holds: bool,
) -> Result<(), InvalidSetting> {
    if holds { Ok(()) } else { Err(InvalidSetting { setting, found, expected }) }
}

/// Finite and not negative.
pub(crate) fn check_not_negative(setting: &'static str, found: f64) -> Result<(), InvalidSetting> {
    check(setting, found, "a finite number of at least 0", found >= 0.0 && found.is_finite())
}

/// Finite and positive.
pub(crate) fn check_positive(setting: &'static str, found: f64) -> Result<(), InvalidSetting> {
    check(setting, found, "a finite number above 0", found > 0.0 && found.is_finite())
}

/// The share of an average that stays.
pub(crate) fn check_unit(setting: &'static str, found: f64) -> Result<(), InvalidSetting> {
    check(setting, found, "at least 0 and below 1", (0.0..1.0).contains(&found))
}

/// The rate, as far as it can be checked: at the first step.
pub(crate) fn check_rate(rate: &impl Schedule) -> Result<(), InvalidSetting> {
    rate.validate()?;
    check_not_negative("rate", rate.at_f64(0))
}

/// A link of a chain from a rule with `state_len`, `check` and `go`.
macro_rules! transform {
    ($scale:ident) => {
        impl Default for $scale {
            fn default() -> $scale {
                $scale::DEFAULT
            }
        }

        impl<T: bantam_kernels::Element> $crate::Transform<T> for $scale {
            fn state_len(&self, parameter_len: usize) -> usize {
                self.state_len(parameter_len)
            }

            fn validate(&self) -> Result<(), bantam_core::InvalidSetting> {
                self.check()
            }

            fn update(
                &self,
                cx: &bantam_core::UpdateContext<'_>,
                _parameter: &[T],
                updates: &mut [T],
                state: &mut [T],
            ) {
                self.go(cx, $crate::update::Turn { updates }, state);
            }
        }
    };
}
pub(crate) use transform;

/// What all named rules have that are a link of a chain and a rate: the settings `rate`, `weight_decay` and
/// `decay_biases`, and the optimizer itself. `$how` says where decay goes: into the gradient (`l2`), beside the rule
/// (`decoupled`), or over the parameter after the step (`proximal`).
macro_rules! named {
    ($name:ident = $scale:ident, rate: $rate:literal, weight_decay: $decay:literal, $how:ident) => {
        impl Default for $name {
            fn default() -> $name {
                $name::new($rate)
            }
        }

        impl<S> $name<S> {
            /// How many numbers of state `parameter_len` parameters need.
            pub const fn state_len(&self, parameter_len: usize) -> usize {
                self.scale.state_len(parameter_len)
            }
        }

        impl<S: bantam_core::Schedule> $name<S> {
            /// The defaults with this learning rate.
            pub const fn new(rate: S) -> $name<S> {
                $name { rate, scale: $scale::DEFAULT, weight_decay: $decay, decay_biases: false }
            }

            /// Another learning rate: a number or any other schedule.
            #[must_use]
            pub fn rate<R: bantam_core::Schedule>(self, rate: R) -> $name<R> {
                let $name { scale, weight_decay, decay_biases, .. } = self;
                $name { rate, scale, weight_decay, decay_biases }
            }

            /// The strength λ of the decay.
            #[must_use]
            pub fn weight_decay(mut self, weight_decay: f64) -> $name<S> {
                self.weight_decay = weight_decay;
                self
            }

            /// Whether tensors of rank 0 and 1 (biases, gains of norms) are decayed too; not by default.
            #[must_use]
            pub fn decay_biases(mut self, decay: bool) -> $name<S> {
                self.decay_biases = decay;
                self
            }
        }

        impl<T: bantam_kernels::Element, S: bantam_core::Schedule> bantam_core::Optimizer<T> for $name<S> {
            fn state_len(&self, parameter_len: usize) -> usize {
                self.scale.state_len(parameter_len)
            }

            fn validate(&self) -> Result<(), bantam_core::InvalidSetting> {
                $crate::update::check_rate(&self.rate)?;
                $crate::update::check_not_negative("weight_decay", self.weight_decay)?;
                self.scale.check()
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

            fn update(
                &self,
                cx: &bantam_core::UpdateContext<'_>,
                parameter: &mut [T],
                gradient: &mut [T],
                state: &mut [T],
            ) {
                let rate = self.rate.at_f64(cx.step);
                let decay = $crate::update::decay_of(cx, self.weight_decay, self.decay_biases);
                let decay = $crate::update::Decay::$how(decay, rate);
                self.scale.go(cx, decay.descend(parameter, gradient, rate), state);
            }
        }
    };
}
pub(crate) use named;

/// Where weight decay goes.
pub(crate) struct Decay {
    l2: f64,
    decoupled: f64,
    shrink: f64,
}

impl Decay {
    /// λ·θ joins the gradient.
    pub(crate) fn l2(decay: f64, _rate: f64) -> Decay {
        Decay { l2: decay, decoupled: 0.0, shrink: 1.0 }
    }

    /// λ·θ joins the update.
    pub(crate) fn decoupled(decay: f64, _rate: f64) -> Decay {
        Decay { l2: 0.0, decoupled: decay, shrink: 1.0 }
    }

    /// θ / (1 + η·λ) after the step.
    pub(crate) fn proximal(decay: f64, rate: f64) -> Decay {
        Decay { l2: 0.0, decoupled: 0.0, shrink: 1.0 / (1.0 + rate * decay) }
    }

    /// The job of moving these parameters.
    pub(crate) fn descend<'a, T: Element>(
        self,
        parameter: &'a mut [T],
        gradient: &'a mut [T],
        rate: f64,
    ) -> Descend<'a, T> {
        let Decay { l2, decoupled, shrink } = self;
        let (l2, decoupled, shrink) = (T::from_f64(l2), T::from_f64(decoupled), T::from_f64(shrink));
        Descend { parameter, gradient, rate: T::from_f64(rate), l2, decoupled, shrink }
    }
}
