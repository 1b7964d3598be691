//! `bantam eval` and `bantam predict`: what a trained network is good for.

use crate::arguments::{EvalArguments, PredictArguments};
use crate::config::{self, Settings};
use crate::failure::Failure;
use crate::models;
use crate::print;
use crate::run_folder::RunFolder;
use crate::samples::{self, Relabelled, Source};
use crate::saved::{self, Saved};
use bantam::data::{InMemory, Target, csv, idx};
use bantam::prelude::*;

/// Measures the network of a run on the samples that it did not learn, or on others.
///
/// # Errors
/// There is no finished run, or the data does not fit it.
pub fn evaluate(arguments: &EvalArguments) -> Result<i32, Failure> {
    let folder = RunFolder::open(&arguments.run)?;
    let settings = config::settings_of(folder.path())?;
    let saved = Saved::read(&folder.model())?;
    let data = arguments.data.as_ref().unwrap_or(&settings.data);
    let source = Source::open(data)?;
    let (parts, relabelled);
    let samples: Box<dyn Dataset + '_> = if arguments.data.is_some() {
        check(&saved, source.all().features(), data)?;
        relabelled = Relabelled::new(source.all(), &saved.class_names, data)?;
        Box::new(saved.normalize.apply(&relabelled)?)
    } else {
        parts = source.parts(&settings)?;
        check(&saved, parts.train.features(), data)?;
        Box::new(&*parts.validation)
    };
    let mut network = network(&settings, &saved, &*samples)?;
    let mut text = format!("{}\n", network.evaluate(&*samples)?);

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
        text += &format!("class {name:<12} {right:>6} of {all:>6} found  {share:6.2} %\n");
    }
    print::result(&text)?;
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
    let features = if settings.data.is_images() {
        idx::read_images(&arguments.input, settings.data.brightest())?
    } else {
        csv::read_features(&arguments.input, &csv::Options::default())?
    };
    let classes = saved.class_names.len();
    let input = arguments.input.display();
    let unlabelled = InMemory::without_targets(features, Target::Classes(classes))
        .map_err(|error| Failure::new(format!("{input}: {error}")))?;
    check(&saved, unlabelled.features(), &input)?;
    let samples = saved.normalize.apply(&unlabelled)?;
    let mut network = network(&settings, &saved, &samples)?;
    let mut lines = String::from("sample,class,probability\n");
    network.predict(&samples, |index, logits| {
        let (class, probability) = saved::most_probable(logits);
        lines += &format!("{},{},{probability:.4}\n", index + 1, saved.class_names[class]);
    })?;
    print::result(&lines)?;
    Ok(0)
}

/// Holds the shape of samples to that of the samples which the network learned.
fn check(saved: &Saved, found: Shape, from: &impl std::fmt::Display) -> Result<(), Failure> {
    let expected = saved.features;
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(match (expected.dims(), found.dims()) {
        ([expected], [found]) if *found == expected + 1 => format!(
            "{from}: the network expects {expected} numbers in each line, found {found}; is the class among them?"
        ),
        ([expected], [found]) => {
            format!("{from}: the network expects {expected} numbers in each line, found {found}")
        }
        _ => format!("{from}: the network expects samples of shape {expected}, found {found}"),
    }))
}

/// The network of a run, for samples like `like`.
fn network<'a>(settings: &Settings, saved: &Saved, like: &dyn Dataset) -> Result<Network<'a>, Failure> {
    let (model, params) = models::build(settings, saved.features, saved.class_names.len());
    let mut network = Network::new(model, params, cross_entropy, like, settings.seed)?;
    saved.load_into(&mut network)?;
    Ok(network)
}
