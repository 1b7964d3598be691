//! Running the program in folders of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A fresh folder, removed at the end of the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("bantam-program-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// The program, to be started in this folder. Arguments are split at spaces.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bantam"));
        command.args(arguments.split_whitespace()).current_dir(&self.0).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the program, which must succeed, and returns what it printed on stdout.
    pub fn succeed(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Everything in the folder, by path, with its content.
    pub fn everything(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        collect(&self.0, &mut found);
        found.sort();
        found
    }
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.push((path.clone(), Vec::new()));
            collect(&path, found);
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The rows of a `history.csv` without the column that is another in every run: how long an epoch took.
pub fn history(text: &str) -> Vec<String> {
    text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect()
}

/// An IDX file of unsigned bytes.
pub fn idx(lengths: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, lengths.len() as u8];
    lengths.iter().for_each(|length| file.extend(length.to_be_bytes()));
    file.extend(bytes);
    file
}

/// Images of 4×4 pixels whose left half is bright (class 0) or whose right half is (class 1), in turns, and their labels.
pub fn halves(images: u32) -> (Vec<u8>, Vec<u8>) {
    let pixel = |i: u32| {
        let (image, column) = (i / 16, i % 4);
        if (column < 2) == image.is_multiple_of(2) { 200 + (i % 50) as u8 } else { (i % 40) as u8 }
    };
    let pixels: Vec<u8> = (0..images * 16).map(pixel).collect();
    let labels: Vec<u8> = (0..images).map(|image| (image % 2) as u8).collect();
    (idx(&[images, 4, 4], &pixels), idx(&[images], &labels))
}
