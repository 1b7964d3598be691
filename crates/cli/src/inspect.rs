//! `bantam inspect`: layers, parameters and memory, without training.

use crate::arguments::InspectArguments;
use crate::config::{self, Settings};
use crate::failure::Failure;
use crate::models;
use crate::print;
use crate::run_folder::RunFolder;
use crate::samples::{self, Parts, Source};
use crate::train::{on, prepare, threads};
use crate::values::Optimizer;
use bantam::autodiff::Memory;
use bantam::core::{Context, Numerics};
use bantam::optim::Sgd;
use bantam::prelude::{Trainer, cross_entropy};
use core::fmt::Write;

/// Prints the summary of a network and the memory that training it takes; with a target, also whether that fits.
///
/// # Errors
/// The settings or the data make no network.
pub fn inspect(arguments: InspectArguments) -> Result<i32, Failure> {
    let settings = match &arguments.run {
        Some(folder) => config::settings_of(RunFolder::open(folder)?.path())?,
        None => config::settings(arguments.options, arguments.config.as_deref())?,
    };
    let source = Source::open(&settings.data)?;
    let parts = source.parts(&settings)?;
    let threads = threads(&settings)?;
    // Boards compute with portable numerics, in less memory.
    let numerics = if arguments.target_ram.is_some() { Numerics::Portable } else { Numerics::default() };
    let context = Context { numerics, ..on(&threads) };
    let network = prepare(&settings, &parts, context)?;
    let memory = network.plan().memory();
    let mut text = format!(
        "{}\n\ntraining with batches of {}:\n{memory}\n",
        network.summary()?,
        settings.batch.min(parts.train.len()),
    );
    let mut code = 0;
    if let Some(ram) = arguments.target_ram {
        match memory.fit(ram) {
            Ok(left) => {
                text +=
                    &format!("\nfits into {ram} B of RAM, and leaves {left} B for the stack and the rest\n")
            }
            Err(error) => {
                text += &format!("\ndoes not fit: {error}\n");
                text += &advice(ram, &memory, &what_if(&settings, &parts, context));
                code = 1;
            }
        }
    }
    print::result(&text)?;
    Ok(code)
}

/// One change of the settings and the memory that training takes with it.
type Remedy = (String, Memory);

/// What would become of the memory with other settings. Plans are cheap, so each is made; what makes no network with
/// these data is left out.
fn what_if(settings: &Settings, parts: &Parts<'_>, context: Context<'_>) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    let mut consider = |name: &str, changed: Settings| {
        if let Ok(network) = prepare(&changed, parts, context) {
            remedies.push((name.to_owned(), network.plan().memory()));
        }
    };
    let small = |batch: usize| Settings {
        batch,
        accumulate: settings.accumulate * settings.batch.div_ceil(batch),
        ..settings.clone()
    };
    let stateless = |from: Settings| Settings { optimizer: Optimizer::SGD, momentum: 0.0, ..from };
    for batch in [settings.batch / 2, settings.batch / 8, 1] {
        if (1..settings.batch).contains(&batch) {
            consider(&format!("--batch {batch}"), Settings { batch, ..settings.clone() });
        }
    }
    if settings.batch > 1 {
        let accumulate = small(1).accumulate;
        consider(&format!("--batch 1 --accumulate {accumulate} (the same steps)"), small(1));
    }
    consider("--recompute (the same steps)", Settings { recompute: true, ..settings.clone() });
    consider("--optimizer sgd --momentum 0 (no optimizer state)", stateless(settings.clone()));
    if settings.clip_norm.is_some() {
        consider(
            "no --clip-norm (updates during the backward pass)",
            Settings { clip_norm: None, ..settings.clone() },
        );
    }
    let least = Settings { batch: 1, accumulate: 1, clip_norm: None, ..settings.clone() };
    consider("--batch 1 --optimizer sgd --momentum 0", stateless(least.clone()));
    for (name, frozen) in [("training the last layer only", "last"), ("training biases only", "bias")] {
        let (model, mut params) =
            models::build(&least, parts.train.features(), samples::classes(&*parts.train));
        let last = params.specs().last().map(|spec| spec.path.clone()).unwrap_or_default();
        let kept =
            if frozen == "last" { last.rsplit_once('.').map_or("", |(layer, _)| layer) } else { "*.bias" };
        if params.freeze("*").is_err() || params.unfreeze(kept).is_err() {
            continue;
        }
        let trainer = Trainer::new(model, params).context(context).loss(cross_entropy).batch(1);
        let trainer = trainer.optimizer(Sgd::new(0.1));
        if let Ok(network) = trainer.prepare(&*parts.train) {
            remedies
                .push((format!("{name}, --batch 1 (from code: Params::freeze)"), network.plan().memory()));
        }
    }
    remedies
}

/// What helps, the most first.
fn advice(ram: usize, now: &Memory, remedies: &[Remedy]) -> String {
    let mut helpful: Vec<&Remedy> = remedies.iter().filter(|(_, memory)| memory.peak < now.peak).collect();
    helpful.sort_by_key(|(_, memory)| memory.peak);
    let mut text = String::new();
    for (name, memory) in helpful {
        let verdict = if memory.peak <= ram { "fits" } else { "does not fit" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:>14} B  {verdict:<12}  with {name}", memory.peak);
    }
    if text.is_empty() {
        text.push_str("nothing that can be set makes it smaller; a smaller network does\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_most_comes_first_and_what_does_not_is_left_out() {
        let memory = |peak| Memory { peak, ..Memory::default() };
        let remedies =
            [("a", 900), ("b", 100), ("c", 2000)].map(|(name, peak)| (name.to_owned(), memory(peak)));
        let text = advice(500, &memory(1000), &remedies);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines, ["100 B  fits          with b", "900 B  does not fit  with a"]);
        assert!(advice(500, &memory(1000), &[]).starts_with("nothing"));
    }
}
