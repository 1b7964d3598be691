//! What the other programs hold besides their training: start-up, the patterns and their order, the hash, the report. It trains
//! nothing: its image says how much of theirs is not the library's.
#![cfg_attr(any(target_os = "none", target_family = "wasm"), no_std, no_main)]

use bantam::data::{Dataset, Error, Sampler, Shuffled};
use bantam_firmware::training::{Outcome, SEED, Stopped, fnv};
use bantam_firmware::{board, tasks};

fn look() -> Result<Outcome, Error> {
    let [training, test] = tasks::patterns();
    let (mut outcome, mut x, mut hash) = (Outcome::default(), [0.0; tasks::FEATURES], None);
    for i in 0..training.len() {
        let sample = Shuffled::new(SEED).index(0, i, training.len());
        training.write_features(sample, &mut x)?;
        let before = board::ticks();
        hash = Some(fnv(hash, &x));
        outcome.ticks += u64::from(board::elapsed(before, board::ticks()));
        outcome.steps += 1;
    }
    for sample in 0..test.len() {
        test.write_features(sample, &mut x)?;
        outcome.right += usize::from(test.label(sample)? as usize == sample % tasks::CLASSES);
        outcome.tested += 1;
    }
    outcome.hash = fnv(hash, &x);
    Ok(outcome)
}

fn run() -> u8 {
    Outcome::finish(look().map_err(Stopped::from), "harness")
}

bantam_firmware::program!(run);
