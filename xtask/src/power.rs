//! Power cuts in the emulator: a program that keeps checkpoints in flash is killed at random instants and started again on the same
//! flash, which the emulator keeps in a file.

use crate::stages::Outcome;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How often it is killed at least.
const KILLS: u32 = 20;
/// Names the instants.
const SEED: u64 = 0x5eed_ba27;
/// Bytes of a flash of `virt`.
const FLASH: u64 = 32 << 20;
/// No run may take longer.
const MOST: Duration = Duration::from_secs(120);

/// What one run said.
#[derive(Debug, Default)]
struct Run {
    /// The step that it went on from, if it came so far.
    resumed: Option<u64>,
    /// The last step that it had saved.
    saved: Option<u64>,
    /// The hash of the weights, if it came to the end.
    hash: Option<u64>,
}

impl Run {
    /// Takes note of a line of the report.
    fn note(&mut self, line: &str) {
        let number = |name: &str| {
            let digits = line.trim().strip_prefix(name)?.strip_prefix(" 0x")?;
            u64::from_str_radix(digits, 16).ok()
        };
        self.resumed = self.resumed.or(number("resumed"));
        self.saved = number("saved").or(self.saved);
        self.hash = self.hash.or(number("hash"));
    }
}

/// Kills and starts again until it has come to the end with enough kills; then also the run that nothing interrupts.
pub(crate) fn cuts(emulator: &str, image: &Path, flash: &Path) -> Outcome {
    match try_cuts(emulator, image, flash) {
        Ok(said) => {
            println!("{said}");
            Outcome::Ok
        }
        Err(outcome) => outcome,
    }
}

fn try_cuts(emulator: &str, image: &Path, flash: &Path) -> Result<String, Outcome> {
    let failed = |what: String| Outcome::Failed(format!("{what}; seed {SEED:#x}"));
    fresh(flash)?;
    let start = Instant::now();
    let whole = run(emulator, image, flash, MOST)?;
    let (time, Some(hash)) = (start.elapsed(), whole.hash) else {
        return Err(failed(format!("without a power cut it ended with {whole:?}")));
    };
    let mut random = SEED;
    let (mut kills, mut ends, mut torn) = (0, 0, 0);
    while kills < KILLS || ends == 0 {
        fresh(flash)?;
        let mut saved = None;
        loop {
            // On average a tenth of the whole training; xorshift (Marsaglia, 2003).
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let limit = time.mul_f64(0.02 + (random >> 40) as f64 / (1 << 24) as f64 * 0.16);
            let run = run(emulator, image, flash, if kills < KILLS { limit } else { MOST })?;
            if let Some(resumed) = run.resumed {
                // A checkpoint may be whole although there was no time to say so: then it is the next one.
                let (last, next) = (saved.unwrap_or(0), saved.unwrap_or(0) + EVERY);
                if resumed != last && resumed != next {
                    return Err(failed(format!(
                        "after {last} steps were saved it went on from step {resumed}"
                    )));
                }
                torn += u32::from(resumed == next);
                saved = Some(resumed);
            }
            saved = run.saved.or(saved);
            match run.hash {
                None => kills += 1,
                Some(end) if end == hash => break,
                Some(end) => return Err(failed(format!("it ended with hash {end:x} and not {hash:x}"))),
            }
        }
        ends += 1;
    }
    Ok(format!(
        "{kills} kills in {ends} trainings, {torn} of them between a checkpoint's last word and its message: hash {hash:x}, as without"
    ))
}

/// Steps from one checkpoint to the next, in `examples/power_cuts.rs`.
const EVERY: u64 = 4;

/// An empty flash.
fn fresh(flash: &Path) -> Result<(), Outcome> {
    File::create(flash)
        .and_then(|file| file.set_len(FLASH))
        .map_err(|error| Outcome::Failed(format!("{}: {error}", flash.display())))
}

/// Runs the program for at most this long.
fn run(emulator: &str, image: &Path, flash: &Path, limit: Duration) -> Result<Run, Outcome> {
    let mut command = Command::new(emulator);
    command.args(["-M", "virt", "-nographic", "-bios", "none", "-monitor", "none", "-serial", "none"]);
    command.args(["-semihosting-config", "enable=on,target=native"]);
    command.arg("-drive").arg(format!("if=pflash,unit=1,format=raw,file={}", flash.display()));
    // With this flash, `-kernel` would wait for a firmware in it.
    command.arg("-device").arg(format!("loader,file={},cpu-num=0", image.display()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child =
        command.spawn().map_err(|error| Outcome::NotRun(format!("{emulator} did not start: {error}")))?;
    let run = listen(&mut child, limit);
    // It may have ended by itself.
    let _ = child.kill();
    let ended = child.wait();
    match ended {
        Ok(status) if run.hash.is_some() && !status.success() => {
            Err(Outcome::Failed(format!("the program ended with {status}")))
        }
        Ok(status) if run.hash.is_none() && status.code().is_some() => {
            Err(Outcome::Failed(format!("the program ended with {status} and no hash: {run:?}")))
        }
        Ok(_) => Ok(run),
        Err(error) => Err(Outcome::Failed(format!("{emulator}: {error}"))),
    }
}

/// Reads what it says, until it ends or the time is over.
fn listen(child: &mut Child, limit: Duration) -> Run {
    let mut run = Run::default();
    let Some(output) = child.stderr.take() else { return run };
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let end = Instant::now() + limit;
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => run.note(&line),
            Err(RecvTimeoutError::Disconnected) => return run,
            Err(RecvTimeoutError::Timeout) => break,
        }
    }
    let _ = child.kill();
    // What it had said before counts.
    lines.iter().for_each(|line| run.note(&line));
    run
}
