//! The shared corpus of values for all languages: `tests/fixtures/values.json`.
//!
//! Each entry has a name, a value as JSON, its encoded `google.protobuf.Value` in hex as Cidery writes it, and the JSON
//! that decoding returns. `CIDERY_BLESS=1 cargo test corpus` rewrites the encoded forms.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use cidery::codec::{json, struct_pb};
use cidery::{Dict, Value};

use crate::support::binary::{stderr, stdout, tool};

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/values.json")
}

fn corpus() -> Vec<Dict> {
    let text = std::fs::read(path()).unwrap();
    let Value::List(entries) = json::read(&text).unwrap() else {
        panic!("not a list")
    };
    entries
        .into_iter()
        .map(|entry| entry.as_dict().unwrap().clone())
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = (0..hex.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn encodings_match_the_corpus() {
    let mut entries = corpus();
    let mut expected = Vec::new();
    for entry in &mut entries {
        let value = &entry["value"];
        let encoded = struct_pb::encode_value(value).unwrap();
        let normalized = value.normalized();
        assert_eq!(
            struct_pb::decode_value(&encoded).unwrap(),
            normalized,
            "{entry:?}"
        );
        let mut blessed = entry.clone();
        blessed.insert("wire", hex(&encoded));
        blessed.insert("back", normalized);
        expected.push(Value::Dict(blessed));
    }
    if std::env::var_os("CIDERY_BLESS").is_some() {
        std::fs::write(path(), json::pretty(&expected.clone().into()) + "\n").unwrap();
    }
    let found: Vec<Value> = corpus().into_iter().map(Value::Dict).collect();
    assert_eq!(found, expected);
}

/// Python's protobuf runtime decodes each entry to the expected value and encodes it again, and Cidery decodes the
/// result.
#[test]
fn python_decodes_and_encodes_the_corpus() {
    let Some(python) = tool("CIDERY_PYTHON", "the corpus in Python") else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/corpus.py");
    let output = Command::new(python)
        .arg(script)
        .arg(path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let written = stdout(&output);
    let entries = corpus();
    assert_eq!(written.lines().count(), entries.len());
    for (line, entry) in written.lines().zip(entries) {
        let read = struct_pb::decode_value(&bytes(line)).unwrap();
        assert_eq!(read, entry["back"], "{entry:?}");
    }
}
