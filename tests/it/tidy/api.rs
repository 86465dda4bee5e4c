//! Checks of the public API: `lib.rs` lists it, the rooms are hidden, and no method of it has a generated type.

use super::source::tokens;
use super::{ROOMS, assert_none, shown, sources};

const LIB: &str = "src/lib.rs";
/// The files with the public methods of clients and workers: the next things to generated messages.
const METHODS: [&str; 5] = [
    "src/remote/client/event.rs",
    "src/remote/client/mod.rs",
    "src/remote/client/results.rs",
    "src/remote/worker/handle.rs",
    "src/remote/worker/mod.rs",
];

fn read(file: &str) -> String {
    let found = sources("src")
        .into_iter()
        .find(|(path, _)| shown(path) == file);
    found.unwrap_or_else(|| panic!("{file}: no such file")).1
}

/// The modules that a file declares as public without hiding them from the documentation.
fn visible_modules(file: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let hidden = lines[..index]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("#["))
            .any(|line| *line == "#[doc(hidden)]");
        if line.starts_with("pub mod ") && !hidden {
            faults.push(format!(
                "{file}:{}: `{line}` is not `#[doc(hidden)]`",
                index + 1
            ));
        }
    }
    faults
}

/// The public functions with a generated type in their signature.
fn generated_types(file: &str, text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let word = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut faults = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let name = match (word(index + 1), word(index + 2)) {
            ("fn", _) => index + 2,
            ("async" | "const", "fn") => index + 3,
            _ => continue,
        };
        let mut signature = tokens[index..]
            .iter()
            .map(|token| token.text.as_str())
            .take_while(|text| *text != "{");
        if token.text == "pub" && signature.any(|text| text == "v1" || text == "proto") {
            faults.push(format!(
                "{file}:{}: `{}` has a generated type",
                token.line,
                word(name)
            ));
        }
    }
    faults
}

/// The names that a file re-exports and does not link in its own documentation.
fn unlisted_names(file: &str, text: &str) -> Vec<String> {
    let docs: String = text
        .lines()
        .filter(|line| line.starts_with("//!"))
        .collect();
    let exports = text
        .split("pub use ")
        .skip(1)
        .filter_map(|rest| rest.split(';').next());
    let mut faults = Vec::new();
    for export in exports {
        let (path, list) = export.split_once('{').unwrap_or((export, ""));
        let names: Vec<&str> = match list {
            "" => path.rsplit("::").take(1).collect(),
            list => list.trim_end_matches('}').split(',').collect(),
        };
        for name in names {
            let name = name.rsplit(" as ").next().unwrap_or_default().trim();
            let name = match name {
                "self" => path.trim_end_matches("::").rsplit("::").next().unwrap(),
                name => name,
            };
            if !name.is_empty() && !docs.contains(&format!("`{name}`")) {
                faults.push(format!("{file}: the overview does not list `{name}`"));
            }
        }
    }
    faults
}

#[test]
fn rooms_are_not_part_of_the_documentation() {
    let text = read(LIB);
    let mut faults = visible_modules(LIB, &text);
    for room in ROOMS {
        if !text.contains(&format!("#[doc(hidden)]\npub mod {room};\n")) {
            faults.push(format!("{LIB}: `{room}` is not hidden"));
        }
    }
    assert_none(&faults);
}

#[test]
fn the_overview_lists_every_exported_name() {
    assert_none(&unlisted_names(LIB, &read(LIB)));
}

#[test]
fn public_methods_have_no_generated_types() {
    let faults = METHODS.map(|file| generated_types(file, &read(file)));
    assert_none(&faults.concat());
}

#[test]
fn a_visible_room_is_found() {
    let text =
        "#[doc(hidden)]\npub mod a;\n\n#[doc(hidden)]\n#[rustfmt::skip]\npub mod b;\npub mod c;\n";
    let found = visible_modules("l.rs", text);
    assert_eq!(found, ["l.rs:7: `pub mod c;` is not `#[doc(hidden)]`"]);
}

#[test]
fn a_generated_type_in_a_public_signature_is_found() {
    let text = "pub async fn a(\n    &self,\n) -> Result<v1::State> {}\n\
                pub fn b(&self) { v1::f() }\nfn c() -> v1::State {}\npub const fn d(_: proto::X) {}\n";
    let found = generated_types("c.rs", text);
    let expected = ["c.rs:1: `a`", "c.rs:6: `d`"].map(|at| format!("{at} has a generated type"));
    assert_eq!(found, expected);
}

#[test]
fn an_unlisted_name_is_found() {
    let text = "//! [`A`] and [`b`] and [`D`].\npub use x::A;\npub use x::b::{self, C as D};\n\
                pub use x::{\n    A, E,\n};\npub use x::F;\n";
    let found = unlisted_names("l.rs", text);
    let expected = ["E", "F"].map(|name| format!("l.rs: the overview does not list `{name}`"));
    assert_eq!(found, expected);
}
