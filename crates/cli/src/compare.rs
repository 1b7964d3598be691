//! `bantam compare`: the same network from the same start, trained by many optimizers or with many schedules.

use crate::arguments::CompareArguments;
use crate::config::{self, Options, Settings};
use crate::failure::Failure;
use crate::pictures::{self, Line};
use crate::print;
use crate::samples::{Parts, Source};
use crate::train::{on, optimizer, prepare, threads, trainer};
use crate::values::{Model, Optimizer as Rule, Schedule as Course};
use bantam::optim::ALL;
use bantam::prelude::*;
use bantam::store::file::write_atomic;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

/// The held-out accuracy whose first time is told.
const GOAL: f64 = 0.95;
/// Neighbouring rates of the search are this many times apart: two to a power of ten.
const RATIO: f64 = 3.162_277_660_168_379_5;
/// The search goes no further than this many neighbours away from where it began.
const FURTHEST: i32 = 8;

/// Compares, prints the tables and writes them with a picture each.
///
/// # Errors
/// What the user or the machine did wrong.
pub fn compare(arguments: CompareArguments) -> Result<i32, Failure> {
    let CompareArguments { options, config, optimizers, schedules, out } = arguments;
    let asks_for_optimizers = optimizers.is_some() || schedules.is_none();
    let refuse = |flag: &str, other: &str| {
        Err(Failure::new(format!("--{flag} does not go with --{other}, which tries several: leave it out")))
    };
    if options.rate.is_some() {
        return Err(Failure::new(
            "--rate does not go with compare, which looks for the best one: leave it out",
        ));
    }
    if options.optimizer.is_some() && asks_for_optimizers {
        return refuse("optimizer", "optimizers");
    }
    if options.schedule.is_some() && schedules.is_some() {
        return refuse("schedule", "schedules");
    }
    // A small network, so that dozens of runs take seconds; a constant rate, so that nothing else helps an optimizer;
    // and for the schedules an optimizer that depends on them.
    let defaults = Options {
        model: Some(Model::Mlp),
        schedule: Some("constant".parse().map_err(Failure::new)?),
        optimizer: Some("momentum".parse().map_err(Failure::new)?),
        ..Options::default()
    };
    let settings = config::settings_with_defaults(options, config.as_deref(), defaults)?;
    let source = Source::open(&settings.data)?;
    let parts = source.parts(&settings)?;
    let threads = threads(&settings)?;
    let steps = (settings.epochs * parts.train.len().div_ceil(settings.batch * settings.accumulate)) as u64;

    let mut tables = Vec::new();
    if asks_for_optimizers {
        let mut rows = Vec::new();
        for rule in chosen_optimizers(optimizers.as_deref().unwrap_or("all"))? {
            let schedule = settings.schedule.clone();
            rows.push((
                rule.to_string(),
                rule_settings(&settings, rule, schedule)?,
                config::as_written(rule.0.rate),
            ));
        }
        tables.push(("optimizers", rows));
    }
    if let Some(schedules) = schedules {
        let mut rows = Vec::new();
        for (name, text) in chosen_schedules(&schedules, steps) {
            let schedule: Course =
                text.parse().map_err(|error| Failure::new(format!("--schedules: {error}")))?;
            if schedule.states_rate() {
                let message = format!("--schedules: {schedule} says its rate itself: leave the rate out");
                return Err(Failure::new(message));
            }
            let rate = config::as_written(settings.optimizer.0.rate);
            rows.push((name, rule_settings(&settings, settings.optimizer, schedule)?, rate));
        }
        tables.push(("schedules", rows));
    }
    // All that can be wrong is found out before the first run.
    for (_, settings, _) in tables.iter().flat_map(|(_, rows)| rows) {
        prepare(settings, &parts, on(&threads))?;
    }
    std::fs::create_dir_all(&out).map_err(|error| Failure::new(format!("{}: {error}", out.display())))?;
    for (what, rows) in tables {
        let begun = Instant::now();
        let count = rows.len();
        let mut runs = Vec::new();
        for (i, (name, settings, rate)) in rows.into_iter().enumerate() {
            let run = search(&name, &settings, rate, &parts, &threads)?;
            print::note(format_args!("{:>2}/{count} {}", i + 1, run.line(widest(&runs, &name))));
            runs.push(run);
        }
        print::note(format_args!(
            "{} runs in {:.0} s",
            runs.iter().map(|run| run.trials).sum::<usize>(),
            begun.elapsed().as_secs_f64()
        ));
        let text = table(&runs);
        print::result(&text)?;
        let file = |extension: &str| out.join(format!("{what}.{extension}"));
        save(&file("txt"), &text)?;
        save(&file("csv"), &csv(&runs))?;
        draw(&file("svg"), what, &settings, &runs)?;
        print::note(format_args!("table and curves are in {} and .csv, .svg", file("txt").display()));
    }
    Ok(0)
}

/// The settings with another rule, whose own momentum and decay they take.
fn rule_settings(settings: &Settings, rule: Rule, schedule: Course) -> Result<Settings, Failure> {
    let Rule(named) = rule;
    Ok(Settings {
        optimizer: rule,
        schedule,
        momentum: named.momentum.unwrap_or(0.0),
        weight_decay: named.weight_decay.unwrap_or(0.0),
        ..settings.clone()
    })
}

fn chosen_optimizers(list: &str) -> Result<Vec<Rule>, Failure> {
    if list == "all" {
        return Ok(ALL.iter().copied().map(Rule).collect());
    }
    let read =
        |name: &str| name.trim().parse().map_err(|error| Failure::new(format!("--optimizers: {error}")));
    list.split(',').map(read).collect()
}

/// Names and texts of schedules for a run of `steps` steps; the rate is left out, for it is what is searched.
fn chosen_schedules(list: &str, steps: u64) -> Vec<(String, String)> {
    if list != "all" {
        return split_outside_brackets(list).map(|text| (text.to_owned(), text.to_owned())).collect();
    }
    let part = |n: u64| (steps / n).max(1);
    let texts = [
        "constant".to_owned(),
        format!("time_based(decay={:.5})", 10.0 / steps as f64),
        format!("power(every={}, exponent=0.5)", part(10)),
        format!("step(factor=0.5, every={})", part(6)),
        format!("multistep(factor=0.1, at=[{}, {}])", part(2), part(2) + part(4)),
        format!("exponential(factor=0.01, every={steps})"),
        "linear".to_owned(),
        "polynomial(power=2)".to_owned(),
        "cosine".to_owned(),
        format!("cosine_restarts(first={}, growth=2)", part(7)),
        "onecycle".to_owned(),
        "onecycle(warm_up=0.45, annealing=linear, phases=3)".to_owned(),
        format!("product(constant, cyclic(0.1, 1, rise={}))", part(8)),
        format!("product(constant, cyclic(0.1, 1, rise={}, mode=triangular2))", part(8)),
        format!("product(constant, noam(1, {0}, factor={1:.3}))", part(10), (part(10) as f64).sqrt()),
        "plateau(factor=0.5, patience=2)".to_owned(),
        format!("warmup({}, cosine)", part(20)),
        format!("sequence(constant, {}: linear)", part(2)),
    ];
    texts.into_iter().map(|text| (text.clone(), text)).collect()
}

/// The parts of a list between commas that stand in no brackets.
fn split_outside_brackets(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let parts = list.split(move |c| {
        depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// What the best run of one row came to.
struct Run {
    name: String,
    rate: f64,
    /// How many rates were tried.
    trials: usize,
    /// (updates, training loss) after each epoch.
    losses: Vec<(f64, f64)>,
    /// Updates until the held-out accuracy had reached the goal at the end of an epoch.
    to_goal: Option<u64>,
    accuracy: f64,
    /// The median.
    step: Duration,
    state_bytes: usize,
}

/// Trains with the row's usual rate and its neighbours, and goes on to the better side as long as that is better.
/// The best run is that whose curve of the training loss lies lowest: the mean of its logarithm over all epochs. What was
/// held out does not choose.
fn search(
    name: &str,
    settings: &Settings,
    usual: f64,
    parts: &Parts<'_>,
    threads: &Threads,
) -> Result<Run, Failure> {
    let mut tried: Vec<(i32, f64, Run)> = Vec::new();
    let attempt = |power: i32, tried: &mut Vec<(i32, f64, Run)>| -> Result<(), Failure> {
        let settings = Settings { rate: Some(rounded(usual * RATIO.powi(power))), ..settings.clone() };
        let run = train(name, &settings, parts, threads)?;
        let logarithms = run.losses.iter().map(|(_, loss)| loss.max(1e-30).ln());
        let score = logarithms.sum::<f64>() / run.losses.len() as f64;
        tried.push((power, if score.is_finite() { score } else { f64::INFINITY }, run));
        Ok(())
    };
    for power in -1..=1 {
        attempt(power, &mut tried)?;
    }
    loop {
        let best = tried.iter().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |best| best.0);
        let known = |power: i32| tried.iter().any(|(other, ..)| *other == power);
        let next = [best - 1, best + 1].into_iter().find(|power| !known(*power) && power.abs() <= FURTHEST);
        match next {
            Some(power) => attempt(power, &mut tried)?,
            None => break,
        }
    }
    let trials = tried.len();
    let best = tried.into_iter().min_by(|a, b| a.1.total_cmp(&b.1));
    best.map(|(.., run)| Run { trials, ..run }).ok_or_else(|| Failure::new("no run"))
}

/// Two digits are enough for a rate.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.1e}").parse().unwrap_or(rate)
}

fn train(name: &str, settings: &Settings, parts: &Parts<'_>, threads: &Threads) -> Result<Run, Failure> {
    let mut begun = Instant::now();
    let mut times = Vec::new();
    let mut run = Run {
        name: name.to_owned(),
        rate: settings.rate.unwrap_or(f64::NAN),
        trials: 1,
        losses: Vec::new(),
        to_goal: None,
        accuracy: f64::NAN,
        step: Duration::ZERO,
        state_bytes: state_bytes(settings, parts, threads)?,
    };
    let ended = trainer(settings, parts, on(threads))?.fit_observed(&*parts.train, |event| {
        match event {
            Event::Batch { .. } => times.push(begun.elapsed()),
            Event::Epoch(record) => {
                run.losses.push((record.steps as f64, record.train_loss));
                run.accuracy = record.validation_accuracy.unwrap_or(f64::NAN);
                if run.to_goal.is_none() && run.accuracy >= GOAL {
                    run.to_goal = Some(record.steps);
                }
            }
            Event::Start { .. } => {}
        }
        begun = Instant::now();
        ControlFlow::Continue(())
    });
    match ended {
        Ok(_) => {}
        // A rate that is far too high: its loss counts as infinite.
        Err(Error::NonFinite { .. }) => run.losses.push((f64::NAN, f64::INFINITY)),
        Err(error) => return Err(error.into()),
    }
    times.sort();
    run.step = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok(run)
}

/// The bytes that the optimizer keeps beside the parameters.
fn state_bytes(settings: &Settings, parts: &Parts<'_>, threads: &Threads) -> Result<usize, Failure> {
    let network = prepare(settings, parts, on(threads))?;
    let rule = optimizer(settings, 1)?;
    let specs =
        network.params().specs().iter().enumerate().filter(|(_, spec)| spec.trainable && !spec.buffer);
    Ok(specs.map(|(index, spec)| rule.state_len_for(index, spec.shape)).sum::<usize>() * size_of::<f32>())
}

fn widest(runs: &[Run], next: &str) -> usize {
    runs.iter().map(|run| run.name.chars().count()).max().unwrap_or(0).max(next.chars().count()).max(13)
}

impl Run {
    /// The mean training loss of the last epoch.
    fn final_loss(&self) -> f64 {
        self.losses.last().map_or(f64::NAN, |(_, loss)| *loss)
    }

    /// A row of the table.
    fn line(&self, width: usize) -> String {
        let to_goal = self.to_goal.map_or("never".to_owned(), |steps| steps.to_string());
        format!(
            "{:width$}  {:>8}  {to_goal:>10}  {:>8.2} %  {:>10.5}  {:>9.1} µs  {:>11}",
            self.name,
            self.rate,
            100.0 * self.accuracy,
            self.final_loss(),
            self.step.as_secs_f64() * 1e6,
            self.state_bytes
        )
    }
}

fn table(runs: &[Run]) -> String {
    let width = widest(runs, "");
    let mut text = format!(
        "{:width$}  {:>8}  {:>10}  {:>10}  {:>10}  {:>12}  {:>11}\n",
        "", "rate", "steps→95 %", "held out", "train loss", "a step takes", "state bytes"
    );
    for run in runs {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", run.line(width));
    }
    text
}

fn csv(runs: &[Run]) -> String {
    let mut text =
        "name,rate,steps_to_95,held_out_accuracy,step_seconds,state_bytes,final_train_loss,rates_tried\n"
            .to_owned();
    for run in runs {
        let to_goal = run.to_goal.map_or(String::new(), |steps| steps.to_string());
        let _ = writeln!(
            text,
            "\"{}\",{},{to_goal},{},{:e},{},{},{}",
            run.name,
            run.rate,
            run.accuracy,
            run.step.as_secs_f64(),
            run.state_bytes,
            run.final_loss(),
            run.trials
        );
    }
    text
}

fn save(path: &Path, text: &str) -> Result<(), Failure> {
    Ok(write_atomic(path, text.as_bytes())?)
}

fn draw(path: &Path, what: &str, settings: &Settings, runs: &[Run]) -> Result<(), Failure> {
    let lines: Vec<Line> =
        runs.iter().map(|run| Line { name: run.name.clone(), points: run.losses.clone() }).collect();
    let title = format!("{what} on {}, each at its best rate", settings.data);
    Ok(pictures::lines(path, [&title, "step", "training loss"], true, &lines)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_outside_of_brackets() {
        let list = "cosine, step(factor=0.5, every=10),multistep(0.1, at=[1, 2]) ,";
        let parts: Vec<&str> = split_outside_brackets(list).collect();
        assert_eq!(parts, ["cosine", "step(factor=0.5, every=10)", "multistep(0.1, at=[1, 2])"]);
    }

    #[test]
    fn all_schedules_can_be_read_and_leave_the_rate_to_the_search() {
        for steps in [1, 10, 900] {
            for (name, text) in chosen_schedules("all", steps) {
                let schedule: Course = text.parse().unwrap_or_else(|error| panic!("{steps}: {error}"));
                assert!(!schedule.states_rate(), "{name}");
                let read = schedule.read(Some(0.5)).unwrap();
                assert!((0..steps).all(|step| (0.0..=0.5001).contains(&read.at(step))), "{name}");
            }
        }
    }

    #[test]
    fn tables_are_aligned() {
        let run = |name: &str, to_goal| Run {
            name: name.to_owned(),
            rate: 0.01,
            trials: 3,
            losses: vec![(45.0, 1.5), (90.0, 0.5)],
            to_goal,
            accuracy: 0.9712,
            step: Duration::from_micros(30),
            state_bytes: 27_560,
        };
        let runs = [run("sgd", None), run("a longer name than most", Some(90))];
        let text = table(&runs);
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{text}");
        assert!(text.contains("never") && text.contains("97.12 %"), "{text}");
        assert!(csv(&runs).contains("\n\"sgd\",0.01,,0.9712,3e-5,27560,0.5,3\n"), "{}", csv(&runs));
    }
}
