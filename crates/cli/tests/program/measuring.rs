//! `bantam measure`: several runs, their mean and their spread.

use crate::common::{Folder, text};

/// The accuracies of the lines, one per run, and mean and deviation of the last line.
fn parse(printed: &str, names: &[&str], what: &str) -> (Vec<f64>, f64, f64) {
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), names.len() + 1, "{printed}");
    let mut accuracies = Vec::new();
    for (line, name) in lines.iter().zip(names) {
        let mut words = line.strip_prefix(name).unwrap_or_else(|| panic!("{printed}")).split_whitespace();
        assert_eq!(words.next(), Some("accuracy"));
        accuracies.push(words.next().unwrap().parse().unwrap());
    }
    let words: Vec<&str> = lines[names.len()].splitn(6, ' ').collect();
    assert_eq!((words[0], words[2], words[3], words[5]), ("accuracy", "%", "±", what), "{printed}");
    (accuracies, words[1].parse().unwrap(), words[4].parse().unwrap())
}

fn check(accuracies: &[f64], mean: f64, deviation: f64) {
    let n = accuracies.len() as f64;
    let expected = accuracies.iter().sum::<f64>() / n;
    // Two decimals are printed of each.
    assert!((mean - expected).abs() <= 0.0101, "{mean} and {expected}");
    let variance = accuracies.iter().map(|a| (a - expected).powi(2)).sum::<f64>() / (n - 1.0);
    assert!((deviation - variance.sqrt()).abs() <= 0.0151, "{deviation} and {}", variance.sqrt());
}

#[test]
fn seeds_are_runs_of_their_own() {
    let folder = Folder::new("seeds");
    let settings = "--data iris --epochs 4 --rate 0.01";
    let printed = folder.succeed(&format!("measure {settings} --seeds 3 --seed 7"));
    let (accuracies, mean, deviation) = parse(&printed, &["seed 7", "seed 8", "seed 9"], "(3 seeds)");
    check(&accuracies, mean, deviation);
    assert!(deviation > 0.0, "every seed gives the same: {printed}");
    assert!(folder.everything().is_empty());
    // Each is what training with that seed comes to.
    for (seed, accuracy) in (7..).zip(accuracies) {
        folder.succeed(&format!("{settings} --seed {seed} --run {seed}"));
        let evaluation = folder.succeed(&format!("eval {seed}"));
        assert!(evaluation.contains(&format!("accuracy {accuracy:.2} %")), "{evaluation}\n{printed}");
    }
    let five = folder.succeed(&format!("measure {settings}"));
    parse(&five, &["seed 42", "seed 43", "seed 44", "seed 45", "seed 46"], "(5 seeds)");
}

#[test]
fn every_sample_is_held_out_in_one_fold() {
    let folder = Folder::new("folds");
    let printed = folder.succeed("measure --data iris --epochs 30 --rate 0.02 --folds 4");
    let names = ["fold 1", "fold 2", "fold 3", "fold 4"];
    let (accuracies, mean, deviation) = parse(&printed, &names, "(4 folds)");
    check(&accuracies, mean, deviation);
    assert!(mean >= 90.0, "{printed}");
    let held = |line: &str| -> usize {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "samples").unwrap();
        words[at - 1].parse().unwrap()
    };
    assert_eq!(printed.lines().take(4).map(held).sum::<usize>(), 150);
    assert!(folder.everything().is_empty());
}

#[test]
fn what_cannot_be_measured() {
    let folder = Folder::new("unmeasured");
    folder.write("few.csv", "1,2,x\n2,1,x\n3,3,y\n4,4,y\n5,5,y\n");
    for (arguments, expected) in [
        ("--data iris --folds 1", "iris: cross-validation needs 2 to 150 folds (one sample each), got 1"),
        (
            "--data csv:few.csv --folds 3",
            "csv:few.csv: class x has 2 samples, expected at least 3, for each part needs one of every class",
        ),
        ("--data iris --batch 0", "--batch: expected at least 1, found 0"),
        ("--seeds 1", "invalid value '1' for '--seeds <N>': 1 is not in 2..=10000"),
    ] {
        let output = folder.run(&format!("measure {arguments}"));
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()), "{arguments}");
        assert_eq!(text(&output.stderr).lines().next().unwrap(), format!("error: {expected}"));
    }
}
