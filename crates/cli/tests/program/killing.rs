//! Killed at any moment and resumed, a run ends with the bytes of one that was left in peace.

use crate::common::{Folder, history, text};
use bantam::core::random::{Key, Purpose, unit_f32};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Wide layers over little data: the checkpoint of 3 MB takes its share of the time.
const RUN: &str =
    "--data iris --hidden 512,512 --batch-norm --dropout 0.1 --batch 40 --epochs 9 --patience 9 --threads 1";

fn start(folder: &Folder, arguments: &str) -> Child {
    folder.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until `happened`, or until the program has ended: then returns false.
fn wait_until(child: &mut Child, happened: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if happened() {
            return true;
        }
        std::thread::yield_now();
    }
    panic!("nothing happened for a minute");
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bytes() {
    let folder = Folder::new("killed");
    let begun = Instant::now();
    folder.succeed(&format!("{RUN} --run whole"));
    let whole = begun.elapsed();

    let mut random = Key::new(2, Purpose::User).stream();
    let (mut kills, mut while_writing, mut ended) = (0, 0, false);
    while !ended && kills < 14 {
        // Before the first settings are written there is no run to go on with.
        let resume = if folder.path("parts/config.toml").exists() { "--resume" } else { RUN };
        let mut child = start(&folder, &format!("--run parts {resume}"));
        let partial = folder.path("parts/.checkpoint.partial");
        let alive = if kills % 2 == 0 {
            let _ = std::fs::remove_file(&partial);
            // Not the first checkpoint, and a bit into it.
            sleep(whole.mul_f32(0.1 * unit_f32(&mut random)));
            let alive = wait_until(&mut child, || partial.exists());
            sleep(Duration::from_micros((800.0 * unit_f32(&mut random)) as u64));
            alive
        } else {
            let wait = whole.mul_f32(0.4 * unit_f32(&mut random));
            let begun = Instant::now();
            wait_until(&mut child, || begun.elapsed() >= wait)
        };
        if alive {
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        ended = output.status.success();
        assert!(ended || output.status.code().is_none(), "{}", text(&output.stderr));
        kills += usize::from(!ended);
        while_writing += usize::from(!ended && partial.exists());
    }
    if !ended {
        folder.succeed("--run parts --resume");
    }
    assert!(kills >= 3, "killed {kills} times only");
    assert!(while_writing >= 1, "never killed while a checkpoint was written");
    assert_eq!(folder.read("parts/model.safetensors"), folder.read("whole/model.safetensors"));
    assert_eq!(history(&folder.text("parts/history.csv")), history(&folder.text("whole/history.csv")));
    assert_eq!(folder.read("parts/checkpoint"), folder.read("whole/checkpoint"));
    assert_eq!(folder.read("parts/confusion.svg"), folder.read("whole/confusion.svg"));
    // Nothing is left of the writing that was cut off.
    let names = |run: &str| -> Vec<String> {
        let entries = std::fs::read_dir(folder.path(run)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names("parts"), names("whole"));
}

#[test]
fn ctrl_c_ends_with_130_and_a_checkpoint() {
    let folder = Folder::new("interrupted");
    folder.succeed(&format!("{RUN} --run whole"));
    let mut child = start(&folder, &format!("{RUN} --run parts"));
    let two_epochs = || {
        std::fs::read_to_string(folder.path("parts/history.csv")).is_ok_and(|text| text.lines().count() > 2)
    };
    assert!(wait_until(&mut child, two_epochs), "it ended too soon");
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("stopping after this batch with a checkpoint"), "{told}");
    assert!(told.trim_end().ends_with("go on with: bantam --run parts --resume"), "{told}");
    assert!(!folder.path("parts/model.safetensors").exists());
    folder.succeed("--run parts --resume");
    assert_eq!(folder.read("parts/model.safetensors"), folder.read("whole/model.safetensors"));
    assert_eq!(history(&folder.text("parts/history.csv")), history(&folder.text("whole/history.csv")));
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    let folder = Folder::new("full");
    // Files may not grow beyond a number of blocks: to a program that looks like a disk that is full.
    let limited = |blocks: u32, arguments: &str| {
        let program = env!("CARGO_BIN_EXE_bantam");
        let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec {program} {arguments}");
        Command::new("sh").args(["-c", &line]).current_dir(&folder.0).output().unwrap()
    };
    let output = limited(0, "--data iris --epochs 2 --run a/run");
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(
        told.starts_with("error: cannot write a/run/history.csv: ") && told.lines().count() == 1,
        "{told}"
    );
    assert!(!folder.path("a/run").exists());

    // Room for the settings, but not for a checkpoint.
    let output = limited(8, &format!("{RUN} --run b"));
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.lines().last().unwrap().starts_with("error: cannot write b/checkpoint: "), "{told}");
    let names: Vec<_> =
        std::fs::read_dir(folder.path("b")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    // With room again it goes on.
    folder.succeed("--run b --resume --epochs 1");
}
