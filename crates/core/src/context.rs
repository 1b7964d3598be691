//! Where kernels run: the instruction set, the rounding policy and the executor, as one value that is passed along.

/// Runs independent tasks, on as many lanes as it has.
///
/// Where the split into tasks could change a sum's order it depends on shapes only, never on [`lanes`](Executor::lanes): that is why
/// results have the same bits with any number of threads.
pub trait Executor: Sync {
    /// How many tasks can make progress at the same time; at least 1. Only a hint: into how many parts work is worth splitting.
    fn lanes(&self) -> usize;

    /// Calls `task(0)`, …, `task(tasks - 1)`, each once, in any order and on any thread, and returns when all are done.
    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync));
}

/// The executor with one lane: the calling thread. All there is on a microcontroller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Executor for Inline {
    fn lanes(&self) -> usize {
        1
    }

    fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..tasks).for_each(task);
    }
}

/// What may happen to the last bits of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Numerics {
    /// A multiply and an add may be fused into one rounding where the CPU can, and convolutions may take fewer products, in
    /// another order (Winograd's). Results depend on the instruction set, and on nothing else.
    #[default]
    Fast,
    /// Never fused, all in one order: the same bits on every target and at every level.
    Portable,
}

/// The names of the instruction sets that kernels are written for, from the lowest to the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LevelName {
    /// Plain Rust loops.
    Scalar,
    /// 128-bit vectors through the crate `wide`, where there are none of our own, and in tests.
    Portable,
    /// The 128-bit vectors of WebAssembly, if the compiler was told of them (`-C target-feature=+simd128`).
    Simd128,
    /// The 128-bit vectors of every aarch64, with fused multiply-adds.
    Neon,
    /// The 128-bit vectors of every x86-64.
    Sse2,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL. Only kernels that compute more than they wait for memory, and with
    /// [`Numerics::Fast`]; the others run at AVX2.
    Avx512,
}

/// An instruction set that this CPU is known to have. There is no way to make one up.
///
/// It is a value and not a global, so two levels can be compared inside one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(LevelName);

impl Level {
    /// Plain loops; every CPU has them.
    pub const SCALAR: Level = Level(LevelName::Scalar);

    /// The highest level that every CPU of this target has.
    pub const BASELINE: Level = Level(if cfg!(target_arch = "x86_64") {
        LevelName::Sse2
    } else if cfg!(all(target_arch = "aarch64", target_feature = "neon")) {
        LevelName::Neon
    } else if cfg!(all(target_arch = "wasm32", target_feature = "simd128")) {
        LevelName::Simd128
    } else {
        LevelName::Portable
    });

    /// The highest level of this CPU. Without the feature `std`, the highest that the compiler was told of
    /// (`-C target-cpu`).
    pub fn detect() -> Level {
        macro_rules! has {
            ($($feature:tt)*) => {{
                #[cfg(all(target_arch = "x86_64", feature = "std"))]
                let there = true $(&& std::is_x86_feature_detected!($feature))*;
                #[cfg(not(all(target_arch = "x86_64", feature = "std")))]
                let there = cfg!(all(target_arch = "x86_64" $(, target_feature = $feature)*));
                there
            }};
        }
        if !has!("avx2" "fma") {
            Level::BASELINE
        } else if has!("avx512f" "avx512bw" "avx512dq" "avx512vl") {
            Level(LevelName::Avx512)
        } else {
            Level(LevelName::Avx2)
        }
    }

    /// This level or `name`, whichever is lower: an override can only lower. What another architecture has counts as
    /// [`LevelName::Portable`].
    #[must_use]
    pub fn at_most(self, name: LevelName) -> Level {
        Level(self.0.min(if Level::is_of_this_target(name) { name } else { LevelName::Portable }))
    }

    /// Names between the portable ones and the baseline are of other architectures.
    fn is_of_this_target(name: LevelName) -> bool {
        name <= LevelName::Portable || name >= Level::BASELINE.0
    }

    /// The level's name.
    pub fn name(self) -> LevelName {
        self.0
    }

    /// All levels that this CPU has, lowest first: what a test battery runs over.
    pub fn available() -> impl Iterator<Item = Level> {
        let highest = Level::detect();
        [
            LevelName::Scalar,
            LevelName::Portable,
            LevelName::Simd128,
            LevelName::Neon,
            LevelName::Sse2,
            LevelName::Avx2,
            LevelName::Avx512,
        ]
        .into_iter()
        .filter(|name| Level::is_of_this_target(*name))
        .map(Level)
        .filter(move |level| *level <= highest)
    }
}

/// Where and how kernels run. Copied along by value; made once.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The instruction set.
    pub level: Level,
    /// The rounding policy.
    pub numerics: Numerics,
    /// Who runs the tasks.
    pub executor: &'a dyn Executor,
}

impl core::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}/{:?}/{} lanes", self.level.name(), self.numerics, self.executor.lanes())
    }
}

impl Default for Context<'static> {
    /// The highest level of this CPU, fast numerics, the calling thread alone.
    fn default() -> Self {
        Context { level: Level::detect(), numerics: Numerics::default(), executor: &Inline }
    }
}

impl Context<'static> {
    /// Plain loops on the calling thread with portable numerics: the reference that everything else is held against.
    pub const REFERENCE: Context<'static> =
        Context { level: Level::SCALAR, numerics: Numerics::Portable, executor: &Inline };
}
