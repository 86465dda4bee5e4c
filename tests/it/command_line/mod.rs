//! What users of the command line read and type: help, messages, what it waits for, input, addresses, samples.

mod help;
mod input;
mod messages;
mod node;
mod samples;
mod waiting;

use std::path::Path;

/// Compares a text with a committed one. `CIDERY_BLESS=1 cargo test --test it command_line` writes it anew.
fn assert_snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/command_line");
    let path = path.join(name);
    if std::env::var_os("CIDERY_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let line = expected.lines().zip(text.lines()).position(|(a, b)| a != b);
    assert!(
        expected == text,
        "{name} differs, first in line {:?}; CIDERY_BLESS=1 writes it anew:\n{text}",
        line.map(|line| line + 1)
    );
}
