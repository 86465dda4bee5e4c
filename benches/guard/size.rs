//! How large the program `cidery` is.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The program of this build: that of `cargo build --release`, but for its symbols.
const PROGRAM: &str = env!("CARGO_BIN_EXE_cidery");
/// The most bytes of a release.
const MOST: u64 = 30_000_000;

/// Prints how large the program of a release is; returns whether it is too large.
pub(crate) fn is_too_large() -> bool {
    let name = format!("cidery-{}", std::process::id());
    let stripped = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // What `strip = "symbols"` does, by the tool that comes with the linker.
    let strip = Command::new("strip")
        .args(["--strip-all", "-o"])
        .args([&stripped, Path::new(PROGRAM)])
        .status();
    assert!(strip.unwrap().success(), "{PROGRAM} cannot be stripped");
    let bytes = fs::metadata(&stripped).unwrap().len();
    fs::remove_file(&stripped).unwrap();
    let is_too_large = bytes > MOST;
    let note = if is_too_large { "  TOO LARGE" } else { "" };
    println!("the program: {bytes} bytes, at most {MOST}{note}");
    is_too_large
}
