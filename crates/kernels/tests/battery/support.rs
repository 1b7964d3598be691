//! What the tests share: contexts to run in, random shapes and values, and the comparison of bits.

use bantam_core::random::{Key, Purpose, Stream, below, unit_f32};
use bantam_core::{Context, Inline, Level, LevelName, Numerics, Real};
use bantam_threads::Threads;
use std::sync::OnceLock;

/// Every level of this CPU with both numerics, on the calling thread.
pub fn contexts() -> impl Iterator<Item = Context<'static>> {
    Level::available().flat_map(|level| {
        [Numerics::Fast, Numerics::Portable].map(|numerics| Context { level, numerics, executor: &Inline })
    })
}

/// Whether [`contexts`]' multiply-adds are rounded once.
pub fn fuses(cx: &Context<'_>) -> bool {
    let level = cx.level.name();
    cx.numerics == Numerics::Fast && (level >= LevelName::Avx2 || level == LevelName::Neon)
}

/// Executors with 1, 2, 3 and 7 threads; WebAssembly has one.
pub fn pools() -> &'static [Threads] {
    static POOLS: OnceLock<Vec<Threads>> = OnceLock::new();
    let lanes: &[usize] = if cfg!(target_family = "wasm") { &[1] } else { &[1, 2, 3, 7] };
    POOLS.get_or_init(|| lanes.iter().map(|lanes| Threads::new(*lanes).unwrap()).collect())
}

/// Runs `compute` everywhere and asserts what the crate promises: the bits do not depend on the number of threads, and
/// with portable numerics not on the level either. Returns the results of [`contexts`], in order.
pub fn same_bits<T: Real>(what: &str, compute: impl Fn(&Context<'_>) -> Vec<T>) -> Vec<Vec<T>> {
    let results: Vec<Vec<T>> = contexts().map(|cx| compute(&cx)).collect();
    let reference = compute(&Context::REFERENCE);
    for (cx, result) in contexts().zip(&results) {
        if cx.numerics == Numerics::Portable {
            assert_same_bits(&format!("{what}: {cx:?} against the reference"), &reference, result);
        }
        for executor in pools() {
            let threaded = compute(&Context { executor, ..cx });
            assert_same_bits(&format!("{what}: {cx:?} on {executor:?}"), result, &threaded);
        }
    }
    results
}

pub fn assert_same_bits<T: Real>(what: &str, a: &[T], b: &[T]) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        let same = a.is_nan() && b.is_nan() || (a == b && a.is_sign_negative() == b.is_sign_negative());
        assert!(same, "{what}: element {i} is {a:e} and {b:e}");
    }
}

/// Seeded numbers.
pub struct Random(Stream);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(Key::new(seed, Purpose::User).stream())
    }

    /// A whole number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + below(&mut self.0, (high - low + 1) as u32) as usize
    }

    pub fn coin(&mut self) -> bool {
        self.between(0, 1) == 1
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.between(0, from.len() - 1)]
    }

    /// Numbers in [-1, 1).
    pub fn vec<T: Real>(&mut self, len: usize) -> Vec<T> {
        (0..len).map(|_| T::from_f64(f64::from(unit_f32(&mut self.0)) * 2.0 - 1.0)).collect()
    }
}

/// Asserts that each element of `y` is within its bound of the exact one: (exact, bound) as an oracle in `f64` found.
pub fn assert_within<T: Real>(what: &str, y: &[T], expected: &[(f64, f64)]) {
    assert_eq!(y.len(), expected.len(), "{what}");
    for (i, (y, (exact, bound))) in y.iter().zip(expected).enumerate() {
        let error = (Real::to_f64(*y) - exact).abs();
        assert!(error <= *bound, "{what}: element {i} is {y:e}, not {exact:e} ± {bound:e}");
    }
}
