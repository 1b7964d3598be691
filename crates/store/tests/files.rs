//! Files: a write that fails, is killed or runs out of space leaves the old file.
#![cfg(feature = "std")]

use bantam_store::checkpoint;
use bantam_store::file::{Problem, read_checkpoint, write_atomic, write_atomic_with, write_checkpoint};
use core::time::Duration;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder of its own for every test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("bantam-store-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// The names of all files in it.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn writing_replaces_and_leaves_nothing_else() {
    let folder = Folder::new("replace");
    let path = folder.0.join("checkpoint");
    write_checkpoint(&path, b"first").unwrap();
    // Left behind by a program that was killed.
    fs::write(folder.0.join(".checkpoint.partial"), b"half of somethi").unwrap();
    write_checkpoint(&path, b"second").unwrap();
    assert_eq!(read_checkpoint(&path).unwrap(), b"second");
    assert_eq!(folder.names(), ["checkpoint"]);
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let folder = Folder::new("failed");
    let path = folder.0.join("notes");
    write_atomic(&path, b"old").unwrap();
    let error = write_atomic_with(&path, |file| {
        file.write_all(b"ne")?;
        Err(io::ErrorKind::StorageFull.into())
    })
    .unwrap_err();
    assert_eq!(error.path, path);
    assert!(matches!(error.problem, Problem::Io { .. }));
    assert_eq!(error.to_string(), format!("cannot write {}: no storage space", path.display()));
    assert_eq!((fs::read(&path).unwrap(), folder.names()), (b"old".to_vec(), vec!["notes".to_string()]));

    // What is in the way of the rename is untouched too.
    let occupied = folder.0.join("occupied");
    fs::create_dir(&occupied).unwrap();
    fs::write(occupied.join("x"), b"x").unwrap();
    assert!(write_atomic(&occupied, b"new").is_err());
    assert_eq!(folder.names(), ["notes", "occupied"]);
}

#[test]
fn errors_name_the_file() {
    let folder = Folder::new("errors");
    let absent = folder.0.join("absent");
    assert!(
        read_checkpoint(&absent)
            .unwrap_err()
            .to_string()
            .starts_with(&format!("cannot read {}: ", absent.display()))
    );
    assert!(write_atomic(absent.join("deeper"), b"x").is_err());
    assert!(write_atomic(Path::new("/"), b"x").is_err());
    let damaged = folder.0.join("damaged");
    write_checkpoint(&damaged, b"content").unwrap();
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[22] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let error = read_checkpoint(&damaged).unwrap_err();
    assert!(matches!(error.problem, Problem::Checkpoint(checkpoint::Error::Checksum { .. })));
    assert!(error.to_string().contains("damaged: the checkpoint is damaged"));
}

/// Tells a child process, which is this test program again, what to do: an action and a file.
const CHILD: &str = "BANTAM_STORE_TEST_CHILD";

/// Contents that differ in length and in every byte.
fn content(generation: u8) -> Vec<u8> {
    vec![generation; 300_000 + 1000 * usize::from(generation)]
}

/// What the children do; nothing in an ordinary run.
#[test]
fn child() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let (action, path) = order.split_once(' ').unwrap();
    match action {
        "forever" => loop {
            (0..=255).for_each(|generation| write_checkpoint(path, &content(generation)).unwrap());
        },
        "once" => {
            let error = write_checkpoint(path, &content(9)).unwrap_err();
            assert!(error.to_string().starts_with("cannot write "), "{error}");
        }
        other => panic!("{other}"),
    }
}

#[test]
fn killed_at_any_moment_there_is_a_whole_checkpoint() {
    let folder = Folder::new("killed");
    let path = folder.0.join("checkpoint");
    write_checkpoint(&path, &content(0)).unwrap();
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child"])
            .env(CHILD, format!("forever {}", path.display()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Not a multiple of anything that the child does.
        std::thread::sleep(Duration::from_micros(20_000 + 1_731 * round));
        child.kill().unwrap(); // SIGKILL on Unix
        child.wait().unwrap();
        let read = read_checkpoint(&path).unwrap();
        assert_eq!(read, content(read[0]), "round {round}");
    }
}

/// The shell's limit on the size of files stands for a full disk: a write fails halfway, without needing a disk to
/// fill.
#[cfg(unix)]
#[test]
fn out_of_space_the_old_checkpoint_stays() {
    let folder = Folder::new("full");
    let path = folder.0.join("checkpoint");
    write_checkpoint(&path, &content(3)).unwrap();
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" --exact child"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, format!("once {}", path.display()))
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "the child must see the write fail");
    assert_eq!(read_checkpoint(&path).unwrap(), content(3));
    assert_eq!(folder.names(), ["checkpoint"]);
}
