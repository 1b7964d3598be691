//! Bad input: exit code 2, one clear line that says where and what was expected, and nothing is left behind.

use crate::common::{Folder, halves, idx, text};
use std::fs;

/// Runs the program on bad input and returns what it says.
fn refused(folder: &Folder, arguments: &str) -> String {
    let before = folder.everything();
    let output = folder.run(arguments);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments}: {told}");
    assert_eq!(text(&output.stdout), "", "{arguments}");
    assert!(folder.everything() == before, "{arguments} left something behind");
    let message = told.strip_prefix("error: ").unwrap_or_else(|| panic!("{arguments}: {told}"));
    message.trim_end().to_owned()
}

/// The same, where the message is a single line; how the command line's own parser explains itself is its matter.
fn says(folder: &Folder, arguments: &str, expected: &str) {
    assert_eq!(refused(folder, arguments), expected, "{arguments}");
}

#[test]
fn tables() {
    let folder = Folder::new("tables");
    for (content, expected) in [
        ("", "bad.csv: expected at least one line of data, found none"),
        ("length,width,name\n", "bad.csv: expected at least one line of data, found none"),
        ("1,2,x\n3,four,y\n", "bad.csv, line 2, column 2: expected a number, found \"four\""),
        ("a,b,c\n1,2,x\n1,nan,y\n", "bad.csv, line 3, column 2 (b): expected a finite number, found \"nan\""),
        ("1,2,x\n1,inf,y\n", "bad.csv, line 2, column 2: expected a finite number, found \"inf\""),
        ("1,2,x\n1,2\n", "bad.csv, line 2: expected 3 fields, found 2"),
        ("1,2,x\n1,2,\n", "bad.csv, line 2, column 3: expected a label, found nothing"),
        ("x\ny\n", "bad.csv, line 1: expected features beside the target, found one column"),
        (
            "1,2,x\n1,2,x\n3,4,y\n",
            "csv:bad.csv: class y has 1 sample, expected at least 2, for each part needs one of every class",
        ),
    ] {
        folder.write("bad.csv", content);
        says(&folder, "--data csv:bad.csv", expected);
    }
    folder.write("bad.csv", b"1,2,\xff\n");
    says(&folder, "--data csv:bad.csv", "bad.csv, line 1: expected UTF-8 text");
    assert!(refused(&folder, "--data csv:none.csv").starts_with("none.csv: No such file"));
}

#[test]
fn images() {
    let folder = Folder::new("images");
    let (images, labels) = halves(20);
    let bad = |images: &[u8], labels: &[u8], expected: &str| {
        folder.write("data/train-images-idx3-ubyte", images);
        folder.write("data/train-labels-idx1-ubyte", labels);
        says(&folder, "--data idx:data --validation 0.2", &format!("data/train-{expected}"));
    };
    bad(
        &images[..images.len() - 5],
        &labels,
        "images-idx3-ubyte: byte 331: the data ends here, but the header asks for 336 bytes",
    );
    bad(
        &images[..9],
        &labels,
        "images-idx3-ubyte: byte 9: the data ends here, but the header asks for 16 bytes",
    );
    bad(
        &[&images[..], &[1]].concat(),
        &labels,
        "images-idx3-ubyte: byte 336: the data should end here according to its header, but goes on",
    );
    bad(&labels, &labels, "images-idx3-ubyte: byte 3: the number of axes should be 2 to 6, found 1");
    bad(&images, &images, "labels-idx1-ubyte: byte 3: the number of axes should be 1, found 3");
    bad(
        &images,
        &idx(&[19], &[0; 19]),
        "labels-idx1-ubyte: byte 4: there should be as many labels as images, found 19 labels for 20 images",
    );
    let mut wrong = labels.clone();
    wrong[8 + 7] = 10;
    bad(
        &images,
        &wrong,
        "labels-idx1-ubyte: byte 15: the label should be below 10, the number of classes, found 10",
    );
    bad(
        b"<html>not found</html>",
        &labels,
        "images-idx3-ubyte: not an IDX file: byte 0 should be 00 00, found 3c 68",
    );

    folder.write("data/train-labels-idx1-ubyte", &labels);
    folder.write(
        "data/train-images-idx3-ubyte",
        [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0xff; 40]].concat(),
    );
    let message = refused(&folder, "--data idx:data --validation 0.2");
    let expected = "data/train-images-idx3-ubyte: the gzip data is broken after 0 unpacked bytes: ";
    assert!(message.starts_with(expected) && message.lines().count() == 1, "{message}");

    fs::remove_file(folder.path("data/train-labels-idx1-ubyte")).unwrap();
    says(
        &folder,
        "--data idx:data",
        "data: found images without labels: expected a file train-labels-idx1-ubyte, plain or .gz",
    );
    folder.write("data/train-labels-idx1-ubyte", &labels);
    folder.write("data/train-images-idx3-ubyte", &images);
    says(
        &folder,
        "--data idx:data",
        "--validation 0 needs test files beside the training files, as idx: folders have them",
    );
    fs::create_dir(folder.path("empty")).unwrap();
    says(
        &folder,
        "--data idx:empty",
        "empty: no images found: expected train-images-idx3-ubyte and train-labels-idx1-ubyte, plain or .gz",
    );
}

#[test]
fn flags() {
    let folder = Folder::new("flags");
    for (arguments, expected) in [
        ("--batch 0", "--batch: expected at least 1, found 0"),
        ("--epochs 0", "--epochs: expected at least 1, found 0"),
        (
            "--epochs 18446744073709551615",
            "--epochs: expected at most 1000000000, found 18446744073709551615",
        ),
        (
            "--hidden 100000000000 --model mlp",
            "--hidden: expected widths from 1 to 32768, found 100000000000",
        ),
        ("--rate -1", "--rate: expected a number above 0, found -1"),
        ("--dropout 1", "--dropout: expected at least 0 and less than 1, found 1"),
        (
            "--data iris --model cnn",
            "--model cnn needs images, and iris has rows of numbers: try --model mlp",
        ),
        (
            "--data iris --batch 17 --batch-norm",
            "--batch 17: the last batch of each epoch is left with 1 of 120 samples, too few for hidden1_norm: choose \
             another --batch",
        ),
        (
            "--data iris --batch 1 --batch-norm",
            "hidden1_norm: batch_norm needs at least 2 values per channel to have a variance while training, got 1",
        ),
        ("--run none --resume", "none holds no run: it has no config.toml"),
        ("eval none", "none holds no run: it has no config.toml"),
    ] {
        says(&folder, arguments, expected);
    }
    let unknown = refused(&folder, "--epoch 3");
    assert!(
        unknown.starts_with("unexpected argument '--epoch' found") && unknown.contains("'--epochs'"),
        "{unknown}"
    );
    let unknown = refused(&folder, "--model vgg");
    assert!(unknown.contains("perceptron, mlp, cnn, resnet"), "{unknown}");
    folder.write("file", "x");
    says(&folder, "--data iris --run file", "file is a file, expected a folder or a new name");
}

#[test]
fn files_of_settings() {
    let folder = Folder::new("settings");
    for (content, expected) in [
        ("model = 'mlp'\nepoch = 3\n", "my.toml:2: there is no setting `epoch`; did you mean epochs?"),
        ("\nepochs = 'many'", "my.toml:2: epochs: invalid type: string \"many\", expected a whole number"),
        ("batch = 0", "my.toml:1: batch: expected at least 1, found 0"),
        (
            "data = 'iris'\nmodel = 'cnn'",
            "--model cnn needs images, and iris has rows of numbers: try --model mlp",
        ),
    ] {
        folder.write("my.toml", content);
        says(&folder, "--config my.toml", expected);
    }
    folder.write("my.toml", "epochs = 3\nbatch 4\n");
    let message = refused(&folder, "--config my.toml");
    assert!(message.starts_with("my.toml:2: ") && message.lines().count() == 1, "{message}");
    assert!(refused(&folder, "--config none.toml").starts_with("none.toml: No such file"));
}

#[test]
fn folders_of_runs() {
    let folder = Folder::new("folders");
    folder.succeed("--data iris --epochs 2 --run run");
    says(
        &folder,
        "--data iris --run run",
        "run already holds a run: go on with --resume, or choose another --run",
    );
    says(
        &folder,
        "--run run --resume --hidden 8",
        "run: this run was made with hidden = [16], not [8]; choose another folder with --run",
    );

    says(
        &folder,
        "--run run --resume --clip-norm 1",
        "run: this run was made with clip-norm = off, not 1.0; choose another folder with --run",
    );

    let checkpoint = folder.read("run/checkpoint");
    folder.write("run/checkpoint", &checkpoint[..checkpoint.len() - 7]);
    let (whole, cut) = (checkpoint.len(), checkpoint.len() - 7);
    says(
        &folder,
        "--run run --resume",
        &format!("run/checkpoint: the checkpoint is cut short: expected {whole} bytes, found {cut}"),
    );
    for cut in [0, 7, 19, 20, whole / 2, whole - 1] {
        folder.write("run/checkpoint", &checkpoint[..cut]);
        let message = refused(&folder, "--run run --resume");
        assert!(message.starts_with("run/checkpoint: ") && message.lines().count() == 1, "{cut}: {message}");
    }
    for at in (0..whole).step_by(whole / 7) {
        let mut flipped = checkpoint.clone();
        flipped[at] ^= 16;
        folder.write("run/checkpoint", flipped);
        let message = refused(&folder, "--run run --resume");
        assert!(message.starts_with("run/checkpoint: "), "{at}: {message}");
        assert!(at < 20 || message.contains("checksum"), "{at}: {message}");
    }
    folder.write("run/checkpoint", "something else");
    says(
        &folder,
        "--run run --resume",
        "run/checkpoint: not a checkpoint: it should begin with \"bantamck\"",
    );
    folder.write("run/checkpoint", checkpoint);

    let config = folder.text("run/config.toml");
    folder.write("run/config.toml", config.replace("hidden = [16]", "hidden = [8]"));
    let other =
        "hidden1.weight: the model has [8, 4], but [16, 4] was saved; they belong to different models";
    says(&folder, "eval run", &format!("run/model.safetensors: {other}"));
    let output = folder.run("--run run --resume --epochs 3");
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.trim_end().ends_with(&format!("error: run/checkpoint: {other}")), "{told}");
    folder.write("run/config.toml", config);

    let model = folder.read("run/model.safetensors");
    folder.write("run/model.safetensors", &model[..model.len() - 9]);
    let message = refused(&folder, "eval run");
    assert!(message.starts_with("run/model.safetensors: not a safetensors file"), "{message}");
}

#[test]
fn samples_to_predict_and_to_evaluate() {
    let folder = Folder::new("samples");
    folder.succeed("--data iris --epochs 1 --run run");
    for (content, expected) in [
        ("", "new.csv: expected at least one line of data, found none"),
        ("a,b,c,d\n", "new.csv: the data set has no samples"),
        ("1,2,3\n", "new.csv: the network expects 4 numbers in each line, found 3"),
        (
            "1,2,3,4,5\n",
            "new.csv: the network expects 4 numbers in each line, found 5; is the class among them?",
        ),
        ("1,2,3,4,setosa\n", "new.csv, line 1, column 5: expected a number, found \"setosa\""),
    ] {
        folder.write("new.csv", content);
        says(&folder, "predict run --input new.csv", expected);
    }
    folder.write("other.csv", "1,2,3,4,tulip\n");
    says(
        &folder,
        "eval run --data csv:other.csv",
        "csv:other.csv: the network knows no class `tulip`; it learned setosa, versicolor, virginica",
    );
    says(
        &folder,
        "eval run --data digits",
        "digits: the network expects samples of shape [4], found [1, 8, 8]",
    );
    folder.succeed("--model mlp --hidden 4 --epochs 1 --run images");
    folder.write("new", halves(3).0);
    says(
        &folder,
        "predict images --input new",
        "new: the network expects samples of shape [1, 8, 8], found [1, 4, 4]",
    );
}
