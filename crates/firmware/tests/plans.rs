//! Plans in flash: they are current, they train with the bits of a session, and what does not fit is an error.

#![cfg(feature = "alloc")]

use bantam::autodiff::{Aligned, BindError, StaticSession, StaticStepError, static_plan};
use bantam::core::{Context, Numerics};
use bantam::nn::Initializer;
use bantam::optim::{Adam, Sgd};
use bantam_firmware::networks::{self, Planned, Plans};
use bantam_firmware::plans::{
    DIGITS_CNN, DIGITS_MLP, First, GUARD, InFlash, PATTERNS_MLP, PATTERNS_SGD, Parts, VIBRATION,
};
use bantam_firmware::tasks;
use bantam_firmware::training::{self, Network, Outcome, Recipe, SEED, context};

/// An arena of its own for each session.
fn arena(parts: &Parts) -> &'static mut [u8] {
    let lines = (parts.arena_bytes() + GUARD).div_ceil(64);
    let memory: &'static mut [Aligned<[u8; 64]>] = vec![Aligned([0; 64]); lines].leak();
    let start = memory.as_mut_ptr().cast();
    // SAFETY: lines are 64 bytes each, without gaps, and nobody else has them.
    unsafe { core::slice::from_raw_parts_mut(start, 64 * lines) }
}

#[test]
fn the_committed_plans_and_weights_are_those_of_the_networks() {
    let committed = [
        (include_str!("../src/plans/patterns_mlp.rs"), &PATTERNS_MLP),
        (include_str!("../src/plans/digits_mlp.rs"), &DIGITS_MLP),
        (include_str!("../src/plans/digits_cnn.rs"), &DIGITS_CNN),
        (include_str!("../src/plans/patterns_sgd.rs"), &PATTERNS_SGD),
        (include_str!("../src/plans/vibration.rs"), &VIBRATION),
    ];
    for ((name, plans), (source, parts)) in networks::all().unwrap().into_iter().zip(committed) {
        let fresh = static_plan::source(&[("TRAIN", &plans.train), ("EVALUATE", &plans.evaluate)]).unwrap();
        assert!(source.ends_with(&fresh), "{name} has changed: run `cargo xtask plan`");
        let session = networks::first_session(plans, SEED);
        match parts.first {
            First::InFlash(weights) => {
                let same = static_plan::weights(&session) == weights.0;
                assert!(same, "the weights of {name} have changed: run `cargo xtask plan`");
            }
            First::Drawn(_) => {
                let drawn = parts.bind(arena(parts), SEED).unwrap();
                assert!(drawn.parameters().eq(session.parameters().map(|(_, values)| values)), "{name}");
            }
        }
    }
}

#[test]
fn bounds_that_were_worked_out_draw_the_bits_of_their_rule() {
    use bantam::core::Shape;
    use bantam::core::random::{Key, Purpose};
    let draw = |initializer: Initializer, shape| {
        let mut values = [0.0_f32; 512];
        initializer.fill(shape, &mut Key::new(SEED, Purpose::Initialize).stream(), &mut values);
        values
    };
    for (initializer, shape) in training::HE_16_32.into_iter().zip([Shape::of([32, 16]), Shape::of([4, 32])])
    {
        assert_eq!(draw(initializer, shape), draw(Initializer::HE_UNIFORM, shape));
    }
}

/// The bits of what came out; tick counts are none of it.
fn bits(outcome: &Outcome) -> (u32, usize, u64, u64) {
    (outcome.loss.to_bits(), outcome.right, outcome.hash, outcome.steps)
}

fn patterns(network: &mut impl Network) -> Outcome {
    let [training, test] = tasks::patterns();
    training::train(network, &training::PATTERNS_MLP, &training, &test).unwrap()
}

fn some_digits(network: &mut impl Network) -> Outcome {
    use bantam::data::Dataset;
    let [training, test] = tasks::digits().unwrap();
    let recipe = Recipe { epochs: 1, ..training::DIGITS_CNN };
    let (training, test) = (training.rows(0..200).unwrap(), test.rows(0..80).unwrap());
    training::train(network, &recipe, &training, &test).unwrap()
}

/// Holds a plan in flash to a session, on the digits or on the patterns.
fn compare((name, plans): (&str, Plans), parts: Parts, digits: bool) {
    let mut flash = InFlash::new(parts, arena(&parts), context(), SEED).unwrap();
    let there = if digits { some_digits(&mut flash) } else { patterns(&mut flash) };
    let mut planned = Planned::new(plans, arena(&parts), context(), SEED).unwrap();
    let here = if digits { some_digits(&mut planned) } else { patterns(&mut planned) };
    assert_eq!(bits(&there), bits(&here), "{name}");
}

#[test]
fn a_plan_in_flash_has_the_bits_of_a_session() {
    let [a, b, c, ..] = networks::all().unwrap();
    compare(a, PATTERNS_MLP, false);
    compare(b, DIGITS_MLP, true);
    compare(c, DIGITS_CNN, true);
}

#[test]
fn what_does_not_fit_is_an_error_with_numbers() {
    let plan = DIGITS_MLP.train;
    let First::InFlash(Aligned(weights)) = DIGITS_MLP.first else { panic!("the weights lie in flash") };
    let First::InFlash(Aligned(others)) = DIGITS_CNN.first else { panic!("the weights lie in flash") };
    let needed = plan.arena_bytes();
    let bind = |memory, weights| StaticSession::bind(plan, memory, weights).map(|_| ()).unwrap_err();
    let memory = || arena(&DIGITS_MLP);
    assert_eq!(bind(&mut memory()[..needed - 1], weights), BindError::TooSmall { needed, given: needed - 1 });
    let one_off = &mut vec![Aligned([0_u8; 64]); needed].leak().as_flattened_bytes()[1..];
    assert_eq!(bind(one_off, weights), BindError::Misaligned { needed: 8 });
    let other = DIGITS_CNN.train.id();
    let error = bind(memory(), others);
    assert_eq!(error, BindError::OtherWeights { plan: plan.id(), weights: other });
    assert!(error.to_string().starts_with(&format!("the weights belong to plan {other:016x}")), "{error}");
    let cut = bind(memory(), &weights[..weights.len() - 8]);
    assert_eq!(cut, BindError::OtherWeights { plan: plan.id(), weights: plan.id() });
    assert_eq!(bind(memory(), &weights[..0]), BindError::OtherWeights { plan: plan.id(), weights: 0 });
    let mut session = StaticSession::bind(plan, memory(), weights).unwrap();
    assert_eq!(session.swap(DIGITS_CNN.evaluate), Err(BindError::OtherParameters));
    let unbound = |memory| StaticSession::without_weights(plan, memory).map(|_| ());
    assert_eq!(unbound(&mut memory()[..needed - 1]), Err(BindError::TooSmall { needed, given: needed - 1 }));
    assert_eq!(unbound(memory()), Ok(()));
}

/// Lines as the bytes that they are.
trait Flattened {
    fn as_flattened_bytes(&mut self) -> &mut [u8];
}

impl Flattened for [Aligned<[u8; 64]>] {
    fn as_flattened_bytes(&mut self) -> &mut [u8] {
        let len = size_of_val(self);
        // SAFETY: lines are 64 bytes each, without gaps.
        unsafe { core::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), len) }
    }
}

#[test]
fn a_loss_that_is_no_number_stops_the_step_and_nothing_has_changed() {
    let mut session = PATTERNS_MLP.bind(arena(&PATTERNS_MLP), SEED).unwrap();
    session.input(0).fill(0.5);
    let adam: Adam = Adam::default();
    session.step(&adam).unwrap();
    let before = session.state().to_vec();
    session.input(0)[3] = f32::NAN;
    assert_eq!(session.step(&adam), Err(StaticStepError::NonFinite { step: 1 }));
    assert!(session.state() == before && session.steps() == 1);
    let other = StaticStepError::OtherOptimizer { parameter: 0, planned: 1024, needed: 0 };
    assert_eq!(session.step(&Sgd::new(0.1)), Err(other));
    session.input(0).fill(0.5);
    session.step(&adam).unwrap();
}

/// Portable bits: any level, one thread or two.
#[test]
fn levels_and_threads_do_not_change_a_bit() {
    use bantam::core::{Level, Numerics};
    let threads = bantam::threads::Threads::new(2).unwrap();
    let mut all = Vec::new();
    for level in Level::available() {
        let one = Context { level, numerics: Numerics::Portable, ..Context::default() };
        for context in [one, Context { executor: &threads, ..one }] {
            let plans = networks::digits_cnn(training::DIGITS_CNN.batch).unwrap();
            let bytes = plans.train.arena_bytes();
            let memory = vec![Aligned([0_u8; 64]); bytes.div_ceil(64)].leak().as_flattened_bytes();
            let mut network = Planned::new(plans, memory, context, SEED).unwrap();
            all.push(bits(&some_digits(&mut network)));
        }
    }
    assert!(all.len() >= 4 && all.iter().all(|bits| *bits == all[0]), "{all:?}");
}

/// One sample at a time with gradient descent: gradients in parts against whole ones, and a plan in flash against both.
#[test]
fn gradients_in_parts_have_the_same_bits_and_need_no_room() {
    use bantam::autodiff::{Mode, Plan, Session, UpdateOrder};
    use bantam::core::{Optimizer, Shape};
    use bantam::data::Dataset;
    use bantam::nn::{Layer, Params, loss::cross_entropy};
    use networks::Mlp;

    let plan = |order: UpdateOrder, optimizer: &Sgd, widths: [usize; 3]| -> (Plan, Params) {
        let mut params = Params::new();
        let net = Mlp::new(&mut params, widths);
        let graph = params.graph(Mode::Train);
        let x = graph.input("features", Shape::of([1, widths[0]]));
        let loss = cross_entropy(net.forward(x), graph.indices("labels", Shape::of([1])));
        let planner =
            graph.planner().numerics(Numerics::Portable).alignment(8).optimizer(optimizer).update(order);
        (planner.loss(loss).build().unwrap(), params)
    };
    let sgd = Sgd::new(0.05);
    assert!(Optimizer::<f32>::updates_parts(&sgd) && !Optimizer::<f32>::updates_parts(&sgd.momentum(0.9)));
    // 784 inputs are cut within a row; of 20, several rows make a part, and the last part is smaller; 130 outputs too.
    for widths in [[784, 32, 10], [20, 130, 3], [5, 27, 130]] {
        let mut ends = Vec::new();
        for order in [UpdateOrder::AtEnd, UpdateOrder::AsReady, UpdateOrder::InParts] {
            let (plan, params) = plan(order, &sgd, widths);
            let [parameters, peak] = [plan.memory().parameters, plan.memory().peak];
            // The input of the widest takes 3136 bytes of these.
            assert!(order != UpdateOrder::InParts || peak <= parameters + 5 * 1024, "{widths:?}: {peak}");
            let mut session = Session::new(plan).context(context()).seed(3);
            params.initialize(&mut session, 3);
            for step in 0..4 {
                session.input(0).iter_mut().enumerate().for_each(|(i, x)| *x = ((i + step) % 7) as f32 / 7.0);
                session.indices(1)[0] = step as u32 % 3;
                session.step(&sgd).unwrap();
            }
            if order == UpdateOrder::InParts {
                let error = session.step(&sgd.momentum(0.9)).unwrap_err().to_string();
                assert!(error.contains("numbers, but the plan was made with 0"), "{error}");
            }
            let bits: Vec<u32> =
                session.parameters().flat_map(|(_, values)| values).map(|x| x.to_bits()).collect();
            ends.push(bits);
        }
        assert!(ends[0] == ends[1] && ends[1] == ends[2], "{widths:?}");
    }

    let (training, _) = (tasks::patterns()[0], ());
    let mut flash = PATTERNS_SGD.bind(arena(&PATTERNS_SGD), SEED).unwrap();
    flash = flash.context(context());
    let plans = networks::patterns_sgd().unwrap();
    let mut memory = networks::first_session(plans, SEED).context(context());
    for sample in 0..50 {
        training.write_features(sample, flash.input(0)).unwrap();
        training.write_features(sample, memory.input(0)).unwrap();
        let label = training.label(sample).unwrap();
        (flash.indices(1)[0], memory.indices(1)[0]) = (label, label);
        assert_eq!(flash.step(&sgd).unwrap().to_bits(), memory.step(&sgd).unwrap().to_bits());
    }
    assert!(flash.parameters().eq(memory.parameters().map(|(_, values)| values)));
}

/// The promise of the plan, in the memory of a program: exactly its bytes, and none behind them.
#[test]
fn what_is_touched_is_what_was_promised() {
    let code = PATTERNS_MLP.measure(arena(&PATTERNS_MLP), |memory| {
        let recipe = Recipe { epochs: 1, ..training::PATTERNS_MLP };
        let [data, test] = tasks::patterns();
        let mut network = InFlash::new(PATTERNS_MLP, memory, context(), SEED).unwrap();
        training::train(&mut network, &recipe, &data, &test).unwrap();
        0
    });
    assert_eq!(code, 0);
    // One byte more than promised is found out.
    let arena_bytes = PATTERNS_MLP.arena_bytes();
    let code = PATTERNS_MLP.measure(arena(&PATTERNS_MLP), |memory| {
        memory[arena_bytes] = 1;
        0
    });
    assert_eq!(code, 3);
}
