//! A folder for one test.

use std::fs;
use std::path::PathBuf;

/// A fresh folder, removed at the end of the test.
pub struct TestFolder(pub PathBuf);

impl TestFolder {
    /// A folder that no other test has.
    pub fn new(name: &str) -> TestFolder {
        let path = std::env::temp_dir().join(format!("bantam-cli-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        TestFolder(path)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
