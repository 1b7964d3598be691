//! The program as a user meets it: what it leaves behind, how it goes on after every kind of end, what it says to mistakes.
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests of a host program")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A fresh folder, removed at the end of the test, in which the program runs.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("bantam-program-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bantam"));
        command.args(line.split_whitespace()).current_dir(&self.0);
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs what must succeed; returns what it printed.
    fn succeed(&self, line: &str) -> String {
        let output = self.run(line);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "bantam {line}: {:?}\n{errors}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs what must end with exit code 2 and one line; returns that line.
    fn fail(&self, line: &str) -> String {
        let output = self.run(line);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "bantam {line}: {errors}");
        let said: Vec<&str> = errors.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(said.len(), 1, "bantam {line}: {errors}");
        said[0].to_owned()
    }

    /// What the bits of a finished run are: its model, and its history but for the time that it took.
    fn result(&self, run: &str) -> (Vec<u8>, Vec<String>) {
        let model = fs::read(self.path(run).join("model.safetensors")).unwrap();
        let history = fs::read_to_string(self.path(run).join("history.csv")).unwrap();
        let untimed = |row: &str| row.rsplit_once(',').unwrap().0.to_owned();
        (model, history.lines().map(untimed).collect())
    }

    /// The whole rows of a history so far.
    fn rows(&self, run: &str) -> usize {
        let history = fs::read_to_string(self.path(run).join("history.csv")).unwrap_or_default();
        history.matches('\n').count().saturating_sub(1)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const IRIS: &str = "--data iris --epochs 30 --batch 16 --rate 0.01";

#[test]
fn a_run_leaves_everything_behind_and_can_be_used() {
    let place = Place::new("run");
    place.succeed(&format!("{IRIS} --run a"));
    for name in [
        "config.toml",
        "history.csv",
        "metrics.json",
        "model.safetensors",
        "checkpoint",
        "curves.svg",
        "confusion.svg",
    ] {
        assert!(place.path("a").join(name).metadata().unwrap().len() > 100, "{name}");
    }
    assert_eq!(place.rows("a"), 30);
    let metrics = fs::read_to_string(place.path("a/metrics.json")).unwrap();
    assert!(metrics.contains("\"validation_samples\": 30"), "{metrics}");
    // The numbers of the header are those that other readers of the format expect: length, then JSON.
    let model = fs::read(place.path("a/model.safetensors")).unwrap();
    let length = u64::from_le_bytes(model[..8].try_into().unwrap()) as usize;
    assert!(model[8] == b'{' && model[8..8 + length].trim_ascii_end().ends_with(b"}"));

    assert!(place.succeed("eval a").contains("accuracy"));
    place.write("new.csv", "5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n");
    let told = place.succeed("predict a --input new.csv");
    assert!(told.contains("1,setosa,") && told.contains("2,virginica,"), "{told}");
    assert!(place.succeed("inspect a").contains("parameters"));

    // The settings that it left repeat it, bit by bit, also with another number of threads.
    place.succeed("--config a/config.toml --run b --threads 3");
    assert_eq!(place.result("a"), place.result("b"));
}

#[test]
fn images_get_a_sheet_and_folders_get_numbers() {
    let place = Place::new("images");
    for _ in 0..2 {
        place.succeed("--model perceptron --epochs 1");
    }
    assert!(place.path("runs/digits-perceptron/mistakes.svg").exists());
    assert!(place.path("runs/digits-perceptron-2/metrics.json").exists());
}

/// Long enough to be stopped in the middle, with dropout, whose masks must come back too.
const LONG: &str = "--model mlp --hidden 64,32 --dropout 0.2 --epochs 24 --batch 32";

#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_same_bits() {
    let place = Place::new("killed");
    place.succeed(&format!("{LONG} --run whole"));
    let mut kills = 0;
    for attempt in 0.. {
        let line = if attempt == 0 { format!("{LONG} --run cut") } else { "--run cut --resume".to_owned() };
        let mut child = place.command(&line).stderr(Stdio::null()).spawn().unwrap();
        // Wait for some epochs more, then a little, so that the kill meets every part of an epoch and of its writing.
        let rows = place.rows("cut") + 2;
        while place.rows("cut") < rows && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(attempt * 1_700));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break;
        }
        kills += 1;
        assert!(kills < 50, "it never ends");
    }
    assert!(kills >= 3, "only {kills} kills met a run");
    assert_eq!(place.result("cut"), place.result("whole"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_checkpoint_to_go_on_from() {
    let place = Place::new("interrupted");
    place.succeed(&format!("{LONG} --run whole"));
    let mut child = place.command(&format!("{LONG} --run cut")).stderr(Stdio::null()).spawn().unwrap();
    while place.rows("cut") < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let begun = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // It stops after a batch, not at the end of the run.
    assert!(begun.elapsed() < Duration::from_secs(10) && place.rows("cut") < 24);
    assert!(!place.path("cut/model.safetensors").exists());
    place.succeed("--run cut --resume");
    assert_eq!(place.result("cut"), place.result("whole"));
}

#[test]
fn a_run_folder_keeps_to_its_model() {
    let place = Place::new("keeps");
    place.succeed("--data iris --epochs 1 --run a");
    assert!(place.fail("--data iris --run a").contains("already holds a run"));
    assert!(
        place.fail("--run a --resume --model perceptron").contains("model = \"mlp\", not \"perceptron\"")
    );
    assert!(place.fail("--run a --resume --hidden 5").contains("hidden = [16], not [5]"));
    assert!(place.fail("--run a --resume --clip-norm 1").contains("clip-norm = off, not 1.0"));
    assert!(place.fail("--run nowhere --resume").contains("holds no run"));
    assert!(place.fail("eval nowhere").contains("nowhere"));
}

#[test]
fn a_damaged_checkpoint_is_recognised() {
    let place = Place::new("damaged");
    place.succeed("--data iris --epochs 1 --run a");
    let checkpoint = place.path("a/checkpoint");
    let whole = fs::read(&checkpoint).unwrap();
    for cut in [0, 7, 19, 20, whole.len() / 2, whole.len() - 1] {
        fs::write(&checkpoint, &whole[..cut]).unwrap();
        let said = place.fail("--run a --resume --epochs 2");
        assert!(said.contains("checkpoint"), "cut at {cut}: {said}");
    }
    for at in (0..whole.len()).step_by(whole.len() / 7) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(&checkpoint, flipped).unwrap();
        let said = place.fail("--run a --resume --epochs 2");
        assert!(said.contains("checkpoint"), "flipped at {at}: {said}");
    }
    fs::write(&checkpoint, &whole).unwrap();
    place.succeed("--run a --resume --epochs 2");
}

/// The bytes of an IDX array of unsigned bytes.
fn idx(lengths: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, lengths.len() as u8];
    lengths.iter().for_each(|length| bytes.extend(length.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

#[test]
fn wrong_input_is_named_and_leaves_nothing() {
    let place = Place::new("wrong");
    place.write("keys.toml", "epochs = 3\nbatchs = 5\n");
    place.write("type.toml", "epochs = 'many'\n");
    place.write("zero.toml", "\nbatch = 0\n");
    place.write("nan.csv", "a,b,class\n1,2,x\n3,nan,y\n5,6,x\n");
    place.write("word.csv", "1,2,x\n3,four,y\n");
    place.write("short.csv", "1,2,x\n3,y\n");
    place.write("head.csv", "a,b,class\n");
    place.write("empty.csv", "");
    for (folder, images, labels) in [
        ("good", idx(&[10, 4, 4], &[7; 160]), idx(&[10], &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1])),
        ("cut", idx(&[10, 4, 4], &[7; 159]), idx(&[10], &[0; 10])),
        ("swapped", idx(&[10], &[0; 10]), idx(&[10, 4, 4], &[7; 160])),
        ("label", idx(&[10, 4, 4], &[7; 160]), idx(&[10], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 77])),
        ("count", idx(&[10, 4, 4], &[7; 160]), idx(&[9], &[0; 9])),
        ("gzip", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3], idx(&[10], &[0; 10])),
    ] {
        fs::create_dir(place.path(folder)).unwrap();
        place.write(&format!("{folder}/train-images-idx3-ubyte"), images);
        place.write(&format!("{folder}/train-labels-idx1-ubyte"), labels);
    }
    for (line, words) in [
        ("--config keys.toml", &["keys.toml:2", "`batchs`", "batch"][..]),
        ("--config type.toml", &["type.toml:1", "epochs", "a whole number"]),
        ("--config zero.toml", &["zero.toml:2", "batch", "at least 1"]),
        ("--config missing.toml", &["missing.toml"]),
        ("--batch 0", &["--batch", "at least 1"]),
        ("--epochs 0", &["--epochs", "at least 1"]),
        ("--rate -0.001", &["--rate", "above 0", "-0.001"]),
        ("--model vgg", &["vgg"]),
        ("--data iris --model cnn", &["cnn", "images"]),
        ("--data csv:missing.csv", &["missing.csv"]),
        ("--data csv:nan.csv", &["nan.csv", "line 3", "finite", "nan"]),
        ("--data csv:word.csv", &["word.csv", "line 2", "four"]),
        ("--data csv:short.csv", &["short.csv", "line 2", "expected 3 fields, found 2"]),
        ("--data csv:head.csv", &["head.csv", "at least one line of data"]),
        ("--data csv:empty.csv", &["empty.csv"]),
        ("--data idx:missing", &["missing"]),
        ("--data idx:cut --validation 0.5", &["train-images", "byte 175", "176 bytes"]),
        ("--data idx:swapped --validation 0.5", &["train-", "axes"]),
        ("--data idx:label --validation 0.5", &["train-labels", "byte 17", "77"]),
        ("--data idx:count --validation 0.5", &["train-labels", "9 labels for 10 images"]),
        ("--data idx:gzip --validation 0.5", &["train-images"]),
        ("--data idx:good --validation 0", &["test"]),
    ] {
        let said = place.fail(line);
        for word in words {
            assert!(said.contains(word), "bantam {line} says {said:?}, not {word:?}");
        }
    }
    assert!(!Path::new(&place.path("runs")).exists(), "a run folder was made");
}
