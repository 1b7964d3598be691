//! `bantam eval` and `bantam predict`: what a trained network is good for.

use crate::arguments::{EvalArguments, PredictArguments};
use crate::config::{self, Settings};
use crate::failure::Failure;
use crate::models;
use crate::run_folder::RunFolder;
use crate::samples::{self, Source};
use crate::saved::{self, Saved};
use bantam::data::{InMemory, Target, csv, idx};
use bantam::prelude::*;
use std::io::Write;

/// Measures the network of a run on the samples that it did not learn, or on others.
///
/// # Errors
/// There is no finished run, or the data does not fit it.
pub fn evaluate(arguments: &EvalArguments) -> Result<i32, Failure> {
    let folder = RunFolder::open(&arguments.run)?;
    let settings = config::settings_of(folder.path())?;
    let saved = Saved::read(&folder.model())?;
    let source = Source::open(arguments.data.as_ref().unwrap_or(&settings.data))?;
    let parts;
    let samples: Box<dyn Dataset + '_> = if arguments.data.is_some() {
        Box::new(saved.normalize.apply(source.all())?)
    } else {
        parts = source.parts(&settings)?;
        Box::new(&*parts.validation)
    };
    let mut network = network(&settings, &saved, &*samples)?;
    println!("{}", network.evaluate(&*samples)?);

    let names = samples::class_names(&*samples);
    let labels: Vec<u32> = (0..samples.len()).map(|i| samples.label(i)).collect::<Result<_, _>>()?;
    let mut found = vec![[0_u64; 2]; names.len()];
    network.predict(&*samples, |index, logits| {
        let truth = labels[index] as usize;
        found[truth][0] += u64::from(saved::most_probable(logits).0 == truth);
        found[truth][1] += 1;
    })?;
    for (name, [right, all]) in names.iter().zip(found) {
        let share = if all > 0 { 100.0 * right as f64 / all as f64 } else { f64::NAN };
        println!("class {name:<12} {right:>6} of {all:>6} found  {share:6.2} %");
    }
    Ok(0)
}

/// Prints the class of every sample of a file, with its probability.
///
/// # Errors
/// There is no finished run, or the file does not fit it.
pub fn predict(arguments: &PredictArguments) -> Result<i32, Failure> {
    let folder = RunFolder::open(&arguments.run)?;
    let settings = config::settings_of(folder.path())?;
    let saved = Saved::read(&folder.model())?;
    let classes = saved.class_names.len();
    let features = if settings.data.is_images() {
        idx::read_images(&arguments.input, settings.data.brightest())?
    } else {
        csv::read_features(&arguments.input, &csv::Options::default())?
    };
    let unlabelled = InMemory::without_targets(features, Target::Classes(classes))?;
    let samples = saved.normalize.apply(&unlabelled)?;
    let mut network = network(&settings, &saved, &samples)?;
    let mut lines = String::from("sample,class,probability\n");
    network.predict(&samples, |index, logits| {
        let (class, probability) = saved::most_probable(logits);
        lines += &format!("{},{},{probability:.4}\n", index + 1, saved.class_names[class]);
    })?;
    std::io::stdout().write_all(lines.as_bytes())?;
    Ok(0)
}

/// The network of a run, for samples like `like`.
fn network<'a>(settings: &Settings, saved: &Saved, like: &dyn Dataset) -> Result<Network<'a>, Failure> {
    let (model, params) = models::build(settings, like.features(), samples::classes(like));
    let mut network = Network::new(model, params, cross_entropy, like, settings.seed)?;
    saved.load_into(&mut network)?;
    Ok(network)
}
