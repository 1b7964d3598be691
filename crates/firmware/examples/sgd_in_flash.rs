//! Way (b) at its smallest: the 16-32-4 network with gradient descent, one sample at a time, from a plan in flash that never
//! holds a whole gradient.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam::autodiff::StaticSession;
use bantam::data::{Dataset, Sampler, Shuffled};
use bantam::optim::Sgd;
use bantam_firmware::training::{Made, Outcome, SEED, Stopped, context, fnv};
use bantam_firmware::{board, board::Arena, plans, plans::PATTERNS_SGD, tasks};

static ARENA: Arena<{ PATTERNS_SGD.arena_bytes() + plans::GUARD }> = Arena::new();
const EPOCHS: u64 = 4;
const RATE: f32 = 0.02;

fn learn(memory: &mut [u8]) -> Result<Outcome, Stopped> {
    let session = StaticSession::bind(PATTERNS_SGD.train, memory, &PATTERNS_SGD.weights.0);
    let mut session = session.map_err(|_| Stopped::Plan)?.context(context());
    let (sgd, [training, test]) = (Made(|| -> Sgd { Sgd::new(RATE) }), tasks::patterns());
    let mut outcome = Outcome::default();
    for epoch in 0..EPOCHS {
        for i in 0..training.len() {
            let sample = Shuffled::new(SEED).index(epoch, i, training.len());
            training.write_features(sample, session.input(0))?;
            session.indices(1)[0] = training.label(sample)?;
            let before = board::ticks();
            outcome.loss = session.step(&sgd).map_err(|_| Stopped::NonFinite)?;
            outcome.ticks += u64::from(board::elapsed(before, board::ticks()));
            outcome.steps += 1;
        }
    }
    session.swap(PATTERNS_SGD.evaluate).map_err(|_| Stopped::Plan)?;
    for sample in 0..test.len() {
        test.write_features(sample, session.input(0))?;
        session.run();
        let (logits, label) = (session.output(0), test.label(sample)? as usize);
        outcome.right += usize::from(logits.iter().all(|score| *score <= logits[label]));
        outcome.tested += 1;
    }
    outcome.hash = session.parameters().fold(fnv(None, &[]), |hash, values| fnv(Some(hash), values));
    Ok(outcome)
}

fn run() -> u8 {
    PATTERNS_SGD.measure(ARENA.take(), |memory| Outcome::finish(learn(memory), "sgd-in-flash"))
}

bantam_firmware::program!(run);
