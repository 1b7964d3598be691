//! `bantam train`: from settings to a run folder.

use crate::arguments::TrainArguments;
use crate::config::{self, Settings};
use crate::failure::Failure;
use crate::interrupt::{INTERRUPTED, Interrupt};
use crate::models;
use crate::pictures::{self, Mistake, SHEET_LIMIT};
use crate::print;
use crate::progress::Progress;
use crate::run_folder::{Epoch, RunFolder};
use crate::samples::{self, Parts, Source};
use crate::saved;
use bantam::optim::chain;
use bantam::prelude::*;
use bantam::train::EpochRecord;
use serde::Serialize;
use std::ops::ControlFlow;
use std::time::Instant;

/// Trains, and returns the program's exit code.
///
/// # Errors
/// What the user or the machine did wrong. A run that had begun can go on from its checkpoint.
pub fn train(arguments: TrainArguments) -> Result<i32, Failure> {
    let settings = match &arguments.run {
        Some(folder) if arguments.resume => {
            RunFolder::open(folder)?;
            config::settings_to_resume(arguments.options, arguments.config.as_deref(), folder)?
        }
        _ => config::settings(arguments.options, arguments.config.as_deref())?,
    };
    // Everything that can be wrong with the input is found out before there is a folder.
    let source = Source::open(&settings.data)?;
    let parts = source.parts(&settings)?;
    let threads = threads(&settings)?;
    prepare(&settings, &parts, on(&threads))?;
    let folder = match &arguments.run {
        Some(path) if arguments.resume => RunFolder::open(path)?,
        chosen => RunFolder::create(&settings, chosen.as_deref())?,
    };
    run(&settings, &parts, &folder, &threads, arguments.resume)
}

/// The thread pool that `settings` ask for.
///
/// # Errors
/// The operating system refuses.
pub fn threads(settings: &Settings) -> Result<Threads, Failure> {
    Ok(settings.threads.map_or_else(|| Ok(Threads::default()), Threads::new)?)
}

/// Where training runs: on these threads, with this CPU's best instructions.
pub fn on(threads: &Threads) -> Context<'_> {
    Context { executor: threads, ..Context::default() }
}

/// The network before it is trained, with every plan that training takes.
///
/// # Errors
/// What does not fit, in terms of the settings.
pub fn prepare<'a>(
    settings: &Settings,
    parts: &'a Parts<'_>,
    context: Context<'a>,
) -> Result<Network<'a>, Failure> {
    trainer(settings, parts, context)?.prepare(&*parts.train).map_err(|error| match error {
        Error::LastBatch { rows, error } => Failure::new(format!(
            "--batch {}: the last batch of each epoch is left with {rows} of {} samples, too few for {}: choose \
             another --batch",
            settings.batch,
            parts.train.len(),
            error.path
        )),
        // The line of the library that recorded the layer says nothing to whoever typed a flag.
        Error::Graph(error) => {
            Failure::new(bantam::autodiff::Mistake { location: None, ..(*error).clone() }.to_string())
        }
        error => error.into(),
    })
}

/// A trainer with everything from `settings`, without observers.
///
/// # Errors
/// The schedule makes no sense with the rate of the settings.
pub fn trainer<'a>(
    settings: &Settings,
    parts: &'a Parts<'_>,
    context: Context<'a>,
) -> Result<Trainer<'a>, Failure> {
    let (model, params) = models::build(settings, parts.train.features(), samples::classes(&*parts.train));
    let batch = settings.batch * settings.accumulate;
    let mut trainer = Trainer::new(model, params)
        .loss(cross_entropy)
        .batch(batch)
        .micro_batch(settings.batch)
        .epochs(settings.epochs as u64)
        .seed(settings.seed)
        .validate(&*parts.validation)
        .context(context);
    if let Some(patience) = settings.patience {
        trainer = trainer.stop_early_with(patience as u64, settings.min_delta, true);
    }
    let rule = optimizer(settings, parts.train.len().div_ceil(batch) as u64)?;
    Ok(match settings.clip_norm {
        Some(norm) => trainer.optimizer(chain(ClipByGlobalNorm(norm), rule)),
        None => trainer.optimizer(rule),
    })
}

/// The chosen optimizer with its schedule. The settings count the rise of the rate in epochs.
///
/// # Errors
/// The schedule makes no sense with the rate of the settings.
pub fn optimizer(settings: &Settings, steps_per_epoch: u64) -> Result<Box<dyn Optimizer<f32>>, Failure> {
    let warm_up = (settings.warm_up * steps_per_epoch as f64).round() as u64;
    let rate = WarmUp::new(warm_up, settings.schedule.read(settings.rate)?).start_factor(0.0);
    let mut rule = settings.optimizer.0;
    rule.momentum = rule.momentum.map(|_| settings.momentum);
    rule.weight_decay = rule.weight_decay.map(|_| settings.weight_decay);
    Ok(rule.build(rate))
}

fn run(
    settings: &Settings,
    parts: &Parts<'_>,
    folder: &RunFolder,
    threads: &Threads,
    resume: bool,
) -> Result<i32, Failure> {
    let interrupt = Interrupt::install()?;
    let begun = Instant::now();
    let mut epoch_begun = Instant::now();
    let mut progress = None;
    let mut history: Vec<Epoch> = Vec::new();
    let mut failure = None;
    let (mut batches_per_epoch, mut arena_bytes) = (1, 0);

    let mut trainer = trainer(settings, parts, on(threads))?.checkpoint_file(folder.checkpoint());
    if resume && folder.checkpoint().exists() {
        trainer = trainer.resume_file(folder.checkpoint())?;
    }
    if resume {
        folder.write_config(settings)?;
    }
    print::note(format_args!(
        "{} on {}: {} samples to learn, {} held out; results go to {}",
        settings.model,
        settings.data,
        parts.train.len(),
        parts.validation.len(),
        folder.path().display()
    ));
    let trained = trainer.fit_observed(&*parts.train, |event| {
        let mut attempt = || -> Result<(), Failure> {
            match event {
                Event::Start { history: done, batches, epochs, arena_bytes: bytes } => {
                    // How long an epoch took is not part of the checkpoint, for it is not the same twice.
                    let done: Vec<Epoch> = done.iter().map(|record| row(record, f64::NAN)).collect();
                    history = folder.rewind(done)?;
                    (batches_per_epoch, arena_bytes) = (batches, bytes);
                    progress = Some(Progress::new(epochs, batches, history.len() as u64 * batches));
                }
                Event::Batch { epoch, batch, loss, accuracy, learning_rate } => {
                    if let Some(progress) = &mut progress {
                        let step = (epoch - 1) * batches_per_epoch + batch;
                        let rate = learning_rate.map_or(f64::NAN, f64::from);
                        progress.batch(epoch, step, loss, accuracy.unwrap_or(f64::NAN), rate);
                    }
                }
                Event::Epoch(record) => {
                    let row = row(record, epoch_begun.elapsed().as_secs_f64());
                    epoch_begun = Instant::now();
                    folder.append(row)?;
                    if let Some(progress) = &mut progress {
                        progress.epoch(&row);
                    }
                    history.push(row);
                }
            }
            Ok(())
        };
        if let Err(error) = attempt() {
            failure = Some(error);
        }
        if failure.is_some() || interrupt.is_requested() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    drop(progress);
    if let Some(failure) = failure {
        return Err(failure);
    }
    let mut trained = trained.map_err(|error| match error {
        Error::Mismatch { .. } | Error::OtherRun { .. } | Error::Tensors(_) => {
            Failure::new(format!("{}: {error}", folder.checkpoint().display()))
        }
        error => error.into(),
    })?;
    if trained.stop == Stop::Observer {
        print::note(format_args!("stopped; go on with: bantam --run {} --resume", folder.path().display()));
        return Ok(INTERRUPTED);
    }
    let seconds = begun.elapsed().as_secs_f64();
    finish(settings, parts, folder, &mut trained, &history, seconds, arena_bytes)?;
    Ok(0)
}

/// The record as a row of `history.csv`; what there is none of is not a number.
fn row(record: &EpochRecord, seconds: f64) -> Epoch {
    Epoch {
        epoch: record.epoch,
        step: record.steps,
        rate: record.learning_rate.map_or(f64::NAN, f64::from),
        train_loss: record.train_loss,
        train_accuracy: record.train_accuracy.unwrap_or(f64::NAN),
        validation_loss: record.validation_loss.unwrap_or(f64::NAN),
        validation_accuracy: record.validation_accuracy.unwrap_or(f64::NAN),
        seconds,
    }
}

/// What `metrics.json` says.
#[derive(Serialize)]
struct Metrics {
    validation_loss: f64,
    validation_accuracy: f64,
    training_samples: usize,
    validation_samples: usize,
    epochs: usize,
    best_epoch: u64,
    stopped_early: bool,
    parameters: usize,
    arena_bytes: usize,
    seconds: f64,
}

/// Measures the network and writes everything that a finished run leaves behind.
fn finish(
    settings: &Settings,
    parts: &Parts<'_>,
    folder: &RunFolder,
    trained: &mut Trained<'_>,
    history: &[Epoch],
    seconds: f64,
    arena_bytes: usize,
) -> Result<(), Failure> {
    let network = &mut trained.network;
    let evaluation = network.evaluate(&*parts.validation)?;
    let names = samples::class_names(&*parts.train);
    saved::write(&folder.model(), network, parts.train.features(), &parts.normalize, &names)?;
    folder.write_metrics(&Metrics {
        validation_loss: evaluation.loss,
        validation_accuracy: evaluation.accuracy.unwrap_or(f64::NAN),
        training_samples: parts.train.len(),
        validation_samples: parts.validation.len(),
        epochs: trained.history.len(),
        best_epoch: trained.best_epoch,
        stopped_early: trained.stop == Stop::Early,
        parameters: network.params().count(),
        arena_bytes,
        seconds,
    })?;
    draw(settings, parts, folder, network, history, &names)?;
    print::note(format_args!(
        "{evaluation} held out, after {} epochs in {seconds:.1} s; {} parameters, {} kB to train",
        trained.history.len(),
        network.params().count(),
        arena_bytes.div_ceil(1000)
    ));
    print::note(format_args!("model, history and pictures are in {}", folder.path().display()));
    Ok(())
}

/// One image that was taken for another class.
struct Wrong {
    index: usize,
    truth: usize,
    predicted: usize,
    probability: f64,
}

fn draw(
    settings: &Settings,
    parts: &Parts<'_>,
    folder: &RunFolder,
    network: &mut Network<'_>,
    history: &[Epoch],
    names: &[String],
) -> Result<(), Failure> {
    if !history.is_empty() {
        pictures::curves(&folder.picture("curves"), history)?;
    }
    let validation = &*parts.validation;
    let mut matrix = vec![0_u64; names.len() * names.len()];
    let mut wrong = Vec::new();
    let labels: Vec<u32> = (0..validation.len()).map(|i| validation.label(i)).collect::<Result<_, _>>()?;
    network.predict(validation, |index, logits| {
        let (predicted, probability) = saved::most_probable(logits);
        let truth = labels[index] as usize;
        matrix[truth * names.len() + predicted] += 1;
        if predicted != truth {
            wrong.push(Wrong { index, truth, predicted, probability });
        }
    })?;
    let short: Vec<&str> = names.iter().map(String::as_str).collect();
    pictures::confusion_matrix(&folder.picture("confusion"), &matrix, &short)?;
    let features = validation.features();
    let (true, &[_, height, width]) = (settings.data.is_images(), features.dims()) else { return Ok(()) };
    // The surest mistakes are the most telling ones.
    wrong.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    wrong.truncate(SHEET_LIMIT);
    let mut pixels = vec![0.0; wrong.len() * features.len()];
    for (out, wrong) in pixels.chunks_exact_mut(features.len().max(1)).zip(&wrong) {
        validation.write_features(wrong.index, out)?;
    }
    let mistakes: Vec<Mistake<'_>> = wrong
        .iter()
        .zip(pixels.chunks_exact(features.len().max(1)))
        .map(|(wrong, pixels)| Mistake {
            pixels: &pixels[..height * width],
            truth: short[wrong.truth],
            predicted: short[wrong.predicted],
            probability: wrong.probability,
        })
        .collect();
    pictures::sheet(&folder.picture("mistakes"), width, height, &mistakes)?;
    Ok(())
}
