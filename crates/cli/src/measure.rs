//! `bantam measure`: how good settings are, and how much of it is luck.

use crate::arguments::MeasureArguments;
use crate::config::{self, Settings};
use crate::failure::Failure;
use crate::print;
use crate::progress::Progress;
use crate::samples::{Parts, Source};
use crate::train::{on, prepare, threads, trainer};
use bantam::prelude::*;
use std::ops::ControlFlow;
use std::time::Instant;

/// The number of seeds unless another is asked for.
const SEEDS: u64 = 5;

/// Trains with the same settings several times and prints what each run and all together came to on the samples that
/// were held out. No files are written.
///
/// # Errors
/// What the user or the machine did wrong.
pub fn measure(arguments: MeasureArguments) -> Result<i32, Failure> {
    let settings = config::settings(arguments.options, arguments.config.as_deref())?;
    let source = Source::open(&settings.data)?;
    let threads = threads(&settings)?;
    let mut runs: Vec<(String, Settings, Parts<'_>)> = Vec::new();
    match arguments.folds {
        Some(folds) => {
            for (number, parts) in (1..).zip(source.folds(folds, &settings)?) {
                runs.push((format!("fold {number}"), settings.clone(), parts));
            }
        }
        None => {
            let first = settings.seed;
            for seed in first..first + arguments.seeds.unwrap_or(SEEDS) {
                let settings = Settings { seed, ..settings.clone() };
                let parts = source.parts(&settings)?;
                runs.push((format!("seed {seed}"), settings, parts));
            }
        }
    }
    // All that can be wrong is found out before the first run.
    for (_, settings, parts) in &runs {
        prepare(settings, parts, on(&threads))?;
    }

    let mut accuracies = Vec::new();
    for (name, settings, parts) in &runs {
        let begun = Instant::now();
        let mut progress = None;
        let mut trained = trainer(settings, parts, on(&threads))?.fit_observed(&*parts.train, |event| {
            match (event, &mut progress) {
                (Event::Start { batches, epochs, .. }, _) => {
                    progress = Some((Progress::new(epochs, batches, 0), batches));
                }
                (Event::Batch { epoch, batch, loss, accuracy, learning_rate }, Some((bar, batches))) => {
                    let rate = learning_rate.map_or(f64::NAN, f64::from);
                    let step = (epoch - 1) * *batches + batch;
                    bar.batch(epoch, step, loss, accuracy.unwrap_or(f64::NAN), rate);
                }
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        drop(progress);
        let evaluation = trained.network.evaluate(&*parts.validation)?;
        let accuracy = 100.0 * evaluation.accuracy.unwrap_or(f64::NAN);
        print::result(&format!(
            "{name:<8} accuracy {accuracy:6.2} %   loss {:.4}   {} samples held out, {} epochs, {:.1} s\n",
            evaluation.loss,
            evaluation.samples,
            trained.history.len(),
            begun.elapsed().as_secs_f64()
        ))?;
        accuracies.push(accuracy);
    }
    let (mean, deviation) = mean_and_deviation(&accuracies);
    let what = if arguments.folds.is_some() { "folds" } else { "seeds" };
    print::result(&format!("accuracy {mean:.2} % ± {deviation:.2} ({} {what})\n", accuracies.len()))?;
    Ok(0)
}

/// The mean, and the standard deviation that the population is estimated to have: squares divided by n − 1.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_that_of_the_population() {
        // Mean 5, squares 9 + 1 + 1 + 1 + 0 + 0 + 4 + 16 = 32.
        let (mean, deviation) = mean_and_deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!((mean, deviation), (5.0, (32.0_f64 / 7.0).sqrt()));
    }
}
