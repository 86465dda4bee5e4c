//! Compiles `recorder.c` into a library to preload: it records or fails the writes and syncs of a process.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles the library into a folder; answers with its path.
pub(crate) fn compile(folder: &Path) -> PathBuf {
    let library = folder.join("recorder.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/recorder.c");
    let mut compile = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    compile
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl");
    assert!(compile.status().unwrap().success());
    library
}
