//! Checks of the source itself: the direction of dependencies, circles, sizes, libraries, documents.

mod api;
mod documents;
mod graph;
mod guard;
mod links;
mod reliability;
mod self_tests;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use self::graph::{Crate, Edge, circles};
use self::source::tokens;

/// The rooms: each uses only those before it.
const ROOMS: [&str; 8] = [
    "model", "codec", "service", "engine", "store", "remote", "edge", "app",
];
/// The folders of the engine: each uses only those before it.
const ENGINE_FOLDERS: [&str; 13] = [
    "metrics",
    "access",
    "admission",
    "control",
    "routing",
    "results",
    "history",
    "status",
    "events",
    "acceptance",
    "execution",
    "durable",
    "operations",
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

/// The uses of rooms by files of rooms before them.
fn room_faults(edges: &[Edge]) -> Vec<String> {
    let room_of = |file: &str| {
        let room = file.split('/').nth(1).unwrap_or_default();
        ROOMS.iter().position(|name| *name == room)
    };
    let mut faults = Vec::new();
    for Edge { from, line, to } in edges {
        if let (Some(own), Some(used)) = (room_of(from), room_of(to))
            && used > own
        {
            faults.push(format!(
                "{from}:{line}: {} uses {}",
                ROOMS[own], ROOMS[used]
            ));
        }
    }
    faults
}

fn edges_of_src() -> Vec<Edge> {
    let files: Vec<(String, String)> = sources("src")
        .into_iter()
        .map(|(path, text)| (shown(&path), text))
        .collect();
    let files = files
        .iter()
        .map(|(file, text)| (file.as_str(), text.as_str()));
    Crate::new(files).edges()
}

#[track_caller]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn rooms_use_only_rooms_before_them() {
    assert_none(&room_faults(&edges_of_src()));
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    assert_none(&circles(&edges_of_src()));
}

#[test]
fn folders_of_the_engine_use_only_folders_before_them() {
    assert_none(&engine_faults(&edges_of_src()));
}

#[test]
fn every_room_is_a_folder() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = ROOMS.iter().map(|room| (*room).to_owned());
    let folders = ENGINE_FOLDERS.iter().map(|name| format!("engine/{name}"));
    let missing = rooms.chain(folders).filter(|room| !src.join(room).is_dir());
    let faults: Vec<String> = missing
        .map(|room| format!("src/{room}: no such folder"))
        .collect();
    assert_none(&faults);
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

/// The libraries that only some files may use.
const LIBRARIES: [(&str, &[&str]); 5] = [
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
    ("hyper", &["src/edge/", "src/remote/protocol/transport.rs"]),
    ("h2", &["src/remote/protocol/transport.rs"]),
    ("axum", &["src/edge/", "src/app/node/builder.rs"]),
    ("clap", &["src/app/"]),
];

fn library_faults(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let tokens = tokens(text);
    for (library, allowed) in LIBRARIES {
        // A path that begins with the library: `model::tonic::X` does not.
        let uses = (0..tokens.len()).any(|at| {
            let text = |index: usize| tokens.get(index).map_or("", |token| &token.text);
            let is_path = text(at) == library && text(at + 1) == "::";
            is_path && at.checked_sub(1).is_none_or(|before| text(before) != "::")
        });
        if uses && !allowed.iter().any(|path| file.starts_with(path)) {
            faults.push(format!("{file}: uses {library}"));
        }
    }
    faults
}

/// The uses of one folder of the engine by another one that must not know it.
fn engine_faults(edges: &[Edge]) -> Vec<String> {
    let folder_of = |file: &str| {
        let folder = file.strip_prefix("src/engine/")?.split_once('/')?.0;
        ENGINE_FOLDERS.iter().position(|name| *name == folder)
    };
    let mut faults = Vec::new();
    for Edge { from, line, to } in edges {
        if let (Some(own), Some(used)) = (folder_of(from), folder_of(to))
            && used > own
        {
            let (own, used) = (ENGINE_FOLDERS[own], ENGINE_FOLDERS[used]);
            faults.push(format!("{from}:{line}: {own} uses {used}"));
        }
    }
    faults
}

/// The paths of a list that do not exist: a rule about a file that was renamed would hold for nothing.
fn missing_paths<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let missing = paths.into_iter().filter(|path| !root.join(path).exists());
    missing
        .map(|path| format!("{path}: no such file or folder"))
        .collect()
}

#[test]
fn libraries_are_used_only_in_their_rooms() {
    let mut faults = missing_paths(
        LIBRARIES
            .iter()
            .flat_map(|(_, allowed)| allowed.iter().copied()),
    );
    for (path, text) in sources("src") {
        faults.extend(library_faults(&shown(&path), &text));
    }
    assert_none(&faults);
}

/// Payloads are decoded by the crate's own codec: prost's types are for tests and benches.
#[test]
fn prost_types_for_values_are_not_used() {
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
fn files_have_docs_and_limited_size() {
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
fn no_unfinished_or_skipped_code_is_left() {
    // The words are split, so that this file does not contain them.
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

/// `docs/errors.md` explains every reason, and only existing ones.
#[test]
fn reasons_are_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
    let text = fs::read_to_string(path).unwrap();
    let (reasons, _) = text.split_once("\n## Violations\n").unwrap();
    let documented: Vec<&str> = reasons
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
