//! Runs named stages one after another, times them, and ends with one table in which nothing that did not run is green.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// How a stage ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran and found nothing wrong.
    Ok,
    /// It ran and found something wrong; the details are above the table.
    Failed(String),
    /// It could not run on this machine: why, and what to install.
    NotRun(String),
}

impl Outcome {
    /// Prints a command, runs it to its end and judges it by its exit code.
    pub(crate) fn of(command: &mut Command) -> Outcome {
        println!("$ {}", show(command));
        match command.status() {
            Ok(status) if status.success() => Outcome::Ok,
            Ok(status) => Outcome::Failed(format!("{} ended with {status}", shortened(&show(command)))),
            Err(error) => {
                Outcome::NotRun(format!("{} did not start: {error}", command.get_program().display()))
            }
        }
    }

    /// Judges one after the other until one is not in order.
    pub(crate) fn of_each<I>(
        items: impl IntoIterator<Item = I>,
        mut judge: impl FnMut(I) -> Outcome,
    ) -> Outcome {
        items.into_iter().map(&mut judge).find(|outcome| *outcome != Outcome::Ok).unwrap_or(Outcome::Ok)
    }

    /// Runs commands until one does not succeed.
    pub(crate) fn of_all(commands: impl IntoIterator<Item = Command>) -> Outcome {
        Outcome::of_each(commands, |mut command| Outcome::of(&mut command))
    }
}

/// A command as one would type it.
pub(crate) fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

/// The beginning of a command: all of it stands above the table.
fn shortened(command: &str) -> String {
    let program = command.rsplit_once("/cargo ").map_or(command, |(_, arguments)| arguments);
    match program.char_indices().nth(60) {
        Some((end, _)) => format!("{} …", &program[..end]),
        None => program.to_owned(),
    }
}

/// The stages that were run.
pub(crate) struct Stages {
    rows: Vec<(String, Outcome, Duration)>,
}

impl Stages {
    pub(crate) fn new() -> Stages {
        Stages { rows: Vec::new() }
    }

    /// Runs one stage under its heading. A failure does not keep the next ones from running.
    pub(crate) fn run(&mut self, name: impl Into<String>, stage: impl FnOnce() -> Outcome) {
        let name = name.into();
        println!("\n── {name} {}", "─".repeat(96_usize.saturating_sub(name.chars().count())));
        let start = Instant::now();
        let outcome = stage();
        let time = start.elapsed();
        match &outcome {
            Outcome::Ok => println!("   ok, {:.1} s", time.as_secs_f64()),
            Outcome::Failed(what) => println!("   FAILED after {:.1} s: {what}", time.as_secs_f64()),
            Outcome::NotRun(why) => println!("   not run: {why}"),
        }
        self.rows.push((name, outcome, time));
    }

    /// Prints the table. Failure if any stage failed or, with `require_all`, if any could not run.
    pub(crate) fn finish(self, require_all: bool) -> ExitCode {
        print!("\n{}", self.table());
        if self.passed(require_all) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn passed(&self, require_all: bool) -> bool {
        self.rows.iter().all(|(_, outcome, _)| match outcome {
            Outcome::Ok => true,
            Outcome::Failed(_) => false,
            Outcome::NotRun(_) => !require_all,
        })
    }

    fn table(&self) -> String {
        let width = self.rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0).max(5);
        let mut table = format!("{:width$}  seconds  result\n", "stage");
        for (name, outcome, time) in &self.rows {
            let result = match outcome {
                Outcome::Ok => "ok".to_owned(),
                Outcome::Failed(what) => format!("FAILED: {what}"),
                Outcome::NotRun(why) => format!("not run: {why}"),
            };
            table += &format!("{name:width$}  {:7.1}  {result}\n", time.as_secs_f64());
        }
        let count = |wanted: fn(&Outcome) -> bool| self.rows.iter().filter(|(_, o, _)| wanted(o)).count();
        table += &format!(
            "{} ok, {} failed, {} not run, {:.0} s\n",
            count(|o| *o == Outcome::Ok),
            count(|o| matches!(o, Outcome::Failed(_))),
            count(|o| matches!(o, Outcome::NotRun(_))),
            self.rows.iter().map(|(.., time)| time.as_secs_f64()).sum::<f64>()
        );
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(outcomes: impl IntoIterator<Item = Outcome>) -> Stages {
        let rows = outcomes.into_iter().map(|o| ("stage".to_owned(), o, Duration::from_secs(2))).collect();
        Stages { rows }
    }

    #[test]
    fn a_failure_is_a_failure() {
        assert!(stages([Outcome::Ok]).passed(true));
        assert!(!stages([Outcome::Ok, Outcome::Failed("why".into())]).passed(false));
    }

    #[test]
    fn what_did_not_run_is_never_ok() {
        let some = stages([Outcome::Ok, Outcome::NotRun("no compiler".into())]);
        assert!(some.passed(false));
        assert!(!some.passed(true));
        assert!(some.table().contains("not run: no compiler"));
        assert!(some.table().ends_with("1 ok, 0 failed, 1 not run, 4 s\n"));
    }

    #[test]
    fn the_table_stays_narrow() {
        assert_eq!(shortened("/usr/bin/cargo fmt --all"), "fmt --all");
        assert_eq!(shortened(&"ä".repeat(70)), format!("{} …", "ä".repeat(60)));
    }

    #[test]
    fn a_command_is_judged_by_its_exit_code() {
        assert_eq!(Outcome::of(&mut Command::new("true")), Outcome::Ok);
        assert!(matches!(Outcome::of(&mut Command::new("false")), Outcome::Failed(_)));
        assert!(matches!(Outcome::of(&mut Command::new("no-such-program")), Outcome::NotRun(_)));
    }
}
