//! 200 steps of training end with the same bits at every level of this CPU and with any number of threads, under
//! [`Numerics::Portable`]; and with those of every other CPU, since the hash stands here. `cargo xtask test` runs this natively, with
//! NEON's vectors in an emulator and with those of WebAssembly under node.

use bantam_autodiff::{Mode, Session};
use bantam_core::{Context, Executor, Inline, Level, LevelName, Numerics, Shape};
use bantam_nn::loss::cross_entropy;
use bantam_nn::{
    Activation, BatchNorm, Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, Params, Sequential,
};
use bantam_optim::Adam;
use bantam_threads::Threads;

/// What all parameters and running statistics hash to at the end. It changes only where the order of additions, a formula of an
/// elementary function, a derivative or the random numbers of a seed change; then what the test prints belongs here.
const EXPECTED: u64 = 0x9700_6e72_7b7d_5724;

const STEPS: usize = 200;
const BATCH: usize = 32;

/// FNV-1a (Fowler, Noll and Vo, 1991) over the bits of `numbers`.
fn hash(hash: u64, numbers: &[f32]) -> u64 {
    let bytes = numbers.iter().flat_map(|x| x.to_bits().to_le_bytes());
    bytes.fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Trains a net with something of every family of kernels; one product is large enough to be cut among threads. Returns the hash and
/// the last loss.
fn train(cx: Context<'_>) -> (u64, f32) {
    let mut params = Params::new();
    let net = Sequential::new()
        .then(Conv2d::new(params.at("conv1"), 1, 8, 3).same())
        .then(BatchNorm::new(params.at("norm"), 8))
        .then(Activation::Relu)
        .then(MaxPool2d::new(2))
        .then(Conv2d::new(params.at("conv2"), 8, 16, 3).same())
        .then(Activation::Tanh)
        .then(Flatten)
        .then(Dropout::new(0.1))
        .then(Linear::new(params.at("hidden"), 256, 256))
        .then(Activation::Sigmoid)
        .then(Linear::new(params.at("logits"), 256, 10));
    let graph = params.graph(Mode::Train);
    let x = graph.input("x", Shape::of([BATCH, 1, 8, 8]));
    let labels = graph.indices("labels", Shape::of([BATCH]));
    let loss = cross_entropy(net.forward(x), labels);
    let optimizer = Adam::new(0.01);
    let plan = graph.planner().loss(loss).optimizer(&optimizer).build().unwrap();
    let mut session = Session::new(plan).context(cx).seed(3);
    params.initialize(&mut session, 1);
    let mut last = f32::NAN;
    for step in 0..STEPS {
        // A bar in one of ten places, under noise.
        for (i, x) in session.input(0).iter_mut().enumerate() {
            let (sample, row, column) = (i / 64, i / 8 % 8, i % 8);
            let class = (sample * 7 + step) % 10;
            let bar = if class < 5 { row == class + 1 } else { column == class - 4 };
            *x = f32::from(u8::from(bar)) + ((i * 37 + step * 11) % 101) as f32 / 101.0 - 0.5;
        }
        for (sample, label) in session.indices(1).iter_mut().enumerate() {
            *label = ((sample * 7 + step) % 10) as u32;
        }
        last = session.step(&optimizer).unwrap();
    }
    let found = session.parameters().fold(0xcbf2_9ce4_8422_2325, |found, (_, numbers)| hash(found, numbers));
    (found, last)
}

#[test]
fn the_same_bits_at_every_level_with_any_number_of_threads() {
    // WebAssembly has no threads here, and other processors are emulated, which takes long.
    let lanes: &[usize] = match () {
        () if cfg!(target_family = "wasm") => &[1],
        () if cfg!(target_arch = "x86_64") => &[1, 2, 3, 7],
        () => &[1, 3],
    };
    let mut runs = vec![];
    for level in Level::available() {
        // Plain loops are slow, and cut work where vectors do.
        let lanes = if level.name() == LevelName::Scalar { &lanes[..1] } else { lanes };
        for &lanes in lanes {
            let threads = Threads::new(lanes).unwrap();
            let executor: &dyn Executor = if lanes == 1 { &Inline } else { &threads };
            let (found, loss) = train(Context { level, numerics: Numerics::Portable, executor });
            println!("{:?} with {lanes} threads: {found:#018x}, loss {loss}", level.name());
            assert!(loss < 0.5, "it learns nothing: {loss}");
            runs.push((level.name(), lanes, found));
        }
    }
    for (level, lanes, found) in runs {
        assert_eq!(found, EXPECTED, "{level:?} with {lanes} threads gave {found:#018x}");
    }
}
