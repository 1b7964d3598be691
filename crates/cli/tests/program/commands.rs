//! What each command prints and writes when all is well.

use crate::common::{Folder, halves, history, text};
use std::process::Stdio;

#[test]
fn the_default_run_learns_the_digits_and_leaves_a_complete_folder() {
    let folder = Folder::new("digits");
    // Fewer and smaller batches than by default: this program is not built for speed.
    let output = folder.run("--epochs 4 --batch 16");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stderr);
    assert!(told.starts_with("cnn on digits: 1438 samples to learn, 359 held out"), "{told}");
    assert!(told.contains("epoch 4/4  loss") && told.contains("are in runs/digits-cnn"), "{told}");

    let metrics: serde_json::Value =
        serde_json::from_str(&folder.text("runs/digits-cnn/metrics.json")).unwrap();
    assert!(metrics["validation_accuracy"].as_f64().unwrap() >= 0.97, "{metrics}");
    assert_eq!(metrics["training_samples"], 1438);
    assert_eq!(history(&folder.text("runs/digits-cnn/history.csv")).len(), 1 + 4);
    for picture in ["curves", "confusion", "mistakes"] {
        let svg = folder.text(&format!("runs/digits-cnn/{picture}.svg"));
        assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>"), "{picture}");
    }
    assert!(folder.text("runs/digits-cnn/config.toml").contains("epochs = 4\nbatch = 16\n"));
    let names: Vec<String> = folder.everything().iter().map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(names.len(), 10, "2 folders and 8 files: {names:?}");
    // The safetensors format: the length of a JSON header, the header, the numbers.
    let model = folder.read("runs/digits-cnn/model.safetensors");
    let length = u64::from_le_bytes(model[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&model[8..8 + length]).unwrap();
    assert_eq!(header["conv1.weight"]["shape"], serde_json::json!([32, 1, 3, 3]));
    assert_eq!(header["logits.bias"]["dtype"], "F32");

    let evaluation = folder.succeed("eval runs/digits-cnn");
    let accuracy = 100.0 * metrics["validation_accuracy"].as_f64().unwrap();
    assert!(evaluation.contains(&format!("accuracy {accuracy:.2} % over 359 samples")), "{evaluation}");
    assert_eq!(evaluation.lines().count(), 1 + 10);
}

#[test]
fn the_same_settings_give_the_same_bytes() {
    let folder = Folder::new("same");
    folder.succeed("--data iris --epochs 3 --dropout 0.2 --run a --threads 1");
    folder.succeed("train --config a/config.toml --run b --threads 2");
    assert_eq!(folder.read("a/model.safetensors"), folder.read("b/model.safetensors"));
    assert_eq!(folder.read("a/checkpoint"), folder.read("b/checkpoint"));
    folder.succeed("--data iris --epochs 3 --dropout 0.2 --run c --seed 43");
    assert_ne!(folder.read("a/model.safetensors"), folder.read("c/model.safetensors"));
}

#[test]
fn rows_are_evaluated_and_predicted() {
    let folder = Folder::new("iris");
    folder.succeed("--data iris --epochs 40 --run run");
    let evaluation = folder.succeed("eval run");
    assert!(
        evaluation.starts_with("loss ") && evaluation.contains("over 30 samples\nclass setosa"),
        "{evaluation}"
    );
    // All samples, those that were learned too.
    assert!(folder.succeed("eval run --data iris").contains("over 150 samples"));

    // Of each class the mean flower.
    folder.write("new.csv", "5.0,3.4,1.5,0.2\n5.9,2.8,4.3,1.3\n6.6,3.0,5.6,2.0\n");
    let predicted = folder.succeed("predict run --input new.csv");
    let lines: Vec<&str> = predicted.lines().collect();
    assert_eq!(lines.len(), 4, "{predicted}");
    assert_eq!(lines[0], "sample,class,probability");
    for (line, expected) in lines[1..].iter().zip(["1,setosa,", "2,versicolor,", "3,virginica,"]) {
        let probability = line.strip_prefix(expected).unwrap_or_else(|| panic!("{predicted}"));
        assert!((0.5..=1.0).contains(&probability.parse::<f64>().unwrap()), "{line}");
    }

    // A file that lacks a class numbers the others differently; names are what counts.
    folder.write("some.csv", "5.9,2.8,4.3,1.3,versicolor\n6.6,3.0,5.6,2.0,virginica\n");
    let evaluation = folder.succeed("eval run --data csv:some.csv");
    assert!(evaluation.contains("accuracy 100.00 % over 2 samples"), "{evaluation}");
    assert!(evaluation.contains("class setosa            0 of      0 found"), "{evaluation}");
}

#[test]
fn images_are_learned_and_predicted() {
    let folder = Folder::new("halves");
    let (images, labels) = halves(48);
    folder.write("data/train-images-idx3-ubyte", &images);
    folder.write("data/train-labels-idx1-ubyte", labels);
    folder.succeed(
        "--data idx:data --validation 0.25 --model perceptron --rate 0.03 --batch 8 --epochs 20 --run run",
    );
    let (new, _) = halves(7);
    folder.write("new", new);
    let predicted = folder.succeed("predict run --input new");
    let classes: Vec<&str> = predicted.lines().skip(1).map(|line| line.split(',').nth(1).unwrap()).collect();
    assert_eq!(classes, ["0", "1", "0", "1", "0", "1", "0"]);
    // The test files of a folder are held out unless a share is asked for.
    let (images, labels) = halves(10);
    folder.write("data/t10k-images-idx3-ubyte", &images);
    folder.write("data/t10k-labels-idx1-ubyte", labels);
    folder.succeed("--data idx:data --model mlp --hidden 8 --batch 8 --epochs 1 --run tested");
    assert!(folder.succeed("eval tested").contains("over 10 samples"));
}

#[test]
fn inspect_tells_layers_and_memory_and_trains_nothing() {
    let folder = Folder::new("inspect");
    let shown = folder.succeed("inspect --model mlp --hidden 64,32 --batch 32");
    for words in [
        "hidden1",
        "logits",
        "[1, 10]",
        "6570",
        "training with batches of 32",
        "peak (arena)",
        "optimizer state",
    ] {
        assert!(shown.contains(words), "{words} is missing in:\n{shown}");
    }
    // A convolution's values before normalisation and pooling need not be kept.
    let small = folder.run("inspect --target-ram 64K");
    let advice = text(&small.stdout);
    assert!(!small.status.success());
    assert!(advice.contains("with --recompute (the same steps)"), "{advice}");
    assert!(folder.everything().is_empty());
    folder.succeed("--data iris --epochs 1 --run run");
    assert!(folder.succeed("inspect run").contains("hidden1"));
}

#[test]
fn more_epochs_go_on_where_a_run_ended() {
    let folder = Folder::new("longer");
    folder.succeed("--data iris --schedule constant --epochs 6 --run whole");
    folder.succeed("--data iris --schedule constant --epochs 2 --run parts");
    folder.succeed("--run parts --resume --epochs 6");
    assert_eq!(folder.read("parts/model.safetensors"), folder.read("whole/model.safetensors"));
    assert_eq!(folder.text("parts/config.toml"), folder.text("whole/config.toml"));
}

#[test]
fn a_reader_that_leaves_is_no_mistake() {
    let folder = Folder::new("pipes");
    folder.succeed("--data iris --epochs 1 --run run");
    folder.write("new.csv", "5.0,3.4,1.5,0.2\n".repeat(20_000));
    for arguments in
        ["eval run", "inspect run", "predict run --input new.csv", "--data iris --epochs 2 --run more"]
    {
        let mut command = folder.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        // The training tells its progress on stderr.
        if arguments.starts_with("--") {
            drop(child.stderr.take());
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{arguments}");
    }
    assert!(folder.path("more/model.safetensors").exists());
}

#[test]
fn help_and_version() {
    let folder = Folder::new("help");
    let help = folder.succeed("--help");
    assert!(
        help.contains("Examples:")
            && help.contains("--epochs <N>")
            && help.contains("[default: 20, rows: 60]"),
        "{help}"
    );
    assert!(folder.succeed("--version").starts_with("bantam 0."));
    for command in ["train", "measure", "eval", "predict", "inspect"] {
        assert!(folder.succeed(&format!("{command} --help")).contains("Usage: bantam"));
    }
    assert!(folder.everything().is_empty());
}
