//! The rules of the house, as far as they can be read off the source.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms: each uses only those before it.
const ROOMS: [&str; 8] = [
    "model", "codec", "service", "engine", "store", "remote", "edge", "app",
];
const MAX_LINES: usize = 600;
const MAX_COLUMNS: usize = 120;

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    assert!(!files.is_empty(), "no sources in {folder}");
    files.sort();
    files
}

fn everything() -> Vec<(PathBuf, String)> {
    ["src", "tests", "benches", "examples"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR"))
        .unwrap()
        .display()
        .to_string()
}

/// Every `crate::room` in code, comments aside.
fn rooms_used(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::").skip(1).filter_map(|rest| {
        rest.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
    })
}

fn room_faults(file: &str, text: &str) -> Vec<String> {
    let room = file.split('/').nth(1).unwrap_or_default();
    let Some(own) = ROOMS.iter().position(|name| *name == room) else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for used in rooms_used(line) {
            if ROOMS
                .iter()
                .position(|name| *name == used)
                .is_some_and(|other| other > own)
            {
                faults.push(format!("{file}:{number}: {room} uses {used}"));
            }
        }
    }
    faults
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn rooms_use_only_rooms_before_them() {
    let faults: Vec<String> = sources("src")
        .iter()
        .flat_map(|(path, text)| room_faults(&shown(path), text))
        .collect();
    assert_none(&faults);
}

/// A check that cannot fail checks nothing.
#[test]
fn a_room_that_uses_a_later_one_is_found() {
    let faults = room_faults(
        "src/store/memory.rs",
        "use crate::model::id;\nuse crate::edge::Front;\n",
    );
    assert_eq!(faults, ["src/store/memory.rs:2: store uses edge"]);
    let inline = room_faults("src/model/id.rs", "    crate::codec::json::read(x)");
    assert_eq!(inline.len(), 1);
    assert!(room_faults("src/model/id.rs", "/// See [`crate::codec`].").is_empty());
}

#[test]
fn every_dependency_is_one_visible_line() {
    let faults: Vec<String> = sources("src")
        .iter()
        .filter(|(_, text)| text.contains("use crate::{") || text.contains("use super::super"))
        .map(|(path, _)| format!("{}: a list of `use crate::{{..}}`", shown(path)))
        .collect();
    assert_none(&faults);
}

#[test]
fn libraries_stay_in_their_rooms() {
    let rules: [(&str, &[&str]); 5] = [
        (
            "tonic",
            &[
                "src/codec/proto.rs",
                "src/codec/status.rs",
                "src/codec/wire.rs",
                "src/remote/",
                "src/edge/",
            ],
        ),
        ("hyper", &["src/edge/", "src/remote/client/sent.rs"]),
        ("h2", &["src/remote/client/sent.rs"]),
        ("axum", &["src/edge/", "src/app/node.rs"]),
        ("clap", &["src/app/"]),
    ];
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        let file = shown(&path);
        for (library, rooms) in rules {
            let uses = text.lines().any(|line| {
                let line = line.trim_start();
                line.starts_with(&format!("use {library}::"))
                    || (!line.starts_with("//") && line.contains(&format!(" {library}::")))
            });
            if uses && !rooms.iter().any(|room| file.starts_with(room)) {
                faults.push(format!("{file}: uses {library}"));
            }
        }
    }
    assert_none(&faults);
}

/// Payloads are decoded by our own codec: prost's tree is for tests and benches.
#[test]
fn prosts_struct_and_value_appear_nowhere() {
    let mut faults = Vec::new();
    for (path, text) in sources("src") {
        if path.ends_with("tests.rs") {
            continue;
        }
        let names = ["Struct", "Value", "ListValue"];
        for line in text.lines().filter(|line| line.contains("prost_types")) {
            let words = line.split(|c: char| !c.is_alphanumeric());
            if words.into_iter().any(|word| names.contains(&word)) {
                faults.push(format!("{}: {line}", shown(&path)));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn files_say_what_they_are_and_stay_readable() {
    let mut faults = Vec::new();
    for (path, text) in everything() {
        let file = shown(&path);
        if !text.starts_with("//!") {
            faults.push(format!("{file}: does not begin with `//!`"));
        }
        let lines = text.lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{file}: {lines} lines, at most {MAX_LINES}"));
        }
        for (number, line) in (1..).zip(text.lines()) {
            if line.chars().count() > MAX_COLUMNS {
                faults.push(format!(
                    "{file}:{number}: longer than {MAX_COLUMNS} columns"
                ));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn nothing_is_left_for_later_or_skipped_in_silence() {
    // Cut in two, or this file would find itself.
    let words = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["#[ig", "nore"],
        ["should", "_panic"],
    ]
    .map(|word| word.concat());
    let mut faults = Vec::new();
    for (path, text) in everything() {
        for word in &words {
            if text.contains(word.as_str()) {
                faults.push(format!("{}: {word}", shown(&path)));
            }
        }
    }
    assert_none(&faults);
}

/// Every reason is explained to operators, and nothing else is.
#[test]
fn reasons_are_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let text = fs::read_to_string(path).unwrap();
    let documented: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let mut faults = Vec::new();
    for reason in cidery::model::error::reason::ALL {
        if !documented.contains(reason) {
            faults.push(format!("docs/errors.md: `{reason}` is missing"));
        }
    }
    for reason in documented {
        if !cidery::model::error::reason::ALL.contains(&reason) {
            faults.push(format!("docs/errors.md: `{reason}` does not exist"));
        }
    }
    assert_none(&faults);
}
