//! Checks of what documents say: lists that must have an entry for everything that exists.

use std::collections::BTreeSet;

use super::{assert_none, shown, sources};

/// The names of the values of an enum in a `.proto` file, without their prefix.
fn values_of<'a>(proto: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let values = proto.lines().filter_map(move |line| {
        let (name, _) = line.trim().strip_prefix(prefix)?.split_once(" = ")?;
        Some(name)
    });
    values.filter(|name| *name != "UNSPECIFIED")
}

#[test]
fn reasons_to_be_pending_are_explained() {
    let concepts = include_str!("../../../docs/concepts.md");
    let proto = include_str!("../../../proto/cidery/v1/outcome.proto");
    let reasons: Vec<&str> = values_of(proto, "PENDING_REASON_").collect();
    assert!(reasons.len() >= 8, "{reasons:?}");
    let missing = reasons
        .iter()
        .filter(|reason| !concepts.contains(&format!("\n| `{reason}` | ")));
    let faults: Vec<String> = missing
        .map(|reason| format!("docs/concepts.md: `{reason}` is missing"))
        .collect();
    assert_none(&faults);
}

/// The newest row of the table of formats is the format that this version writes.
#[test]
fn the_format_of_the_store_is_explained() {
    let migrate = include_str!("../../../src/store/sqlite/migrate.rs");
    let (_, rest) = migrate.split_once("const FORMAT: i32 = ").unwrap();
    let format = rest.split(';').next().unwrap();
    let upgrade = include_str!("../../../docs/upgrade.md");
    let table = upgrade.split("| format |").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let newest = table.lines().last().unwrap();
    assert!(newest.starts_with(&format!("| {format} | ")), "{newest}");
    assert!(upgrade.contains(&format!("writes format {format}.")));
    let store = include_str!("../../../docs/store.md");
    assert!(store.contains(&format!("`PRAGMA user_version`, currently {format}")));
}

/// The codes of violations in the sources: texts such as `"NOT_ONE_OF"` that are nothing else.
fn codes_of_violations() -> BTreeSet<String> {
    /// Files with other texts of this form.
    const OTHERS: [&str; 8] = [
        "src/codec/objects/",
        "src/edge/http/health.rs",
        "src/edge/metrics/",
        "src/engine/status/health/",
        "src/model/error/kind.rs",
        "src/model/invocation/state.rs",
        "src/service/builtin/",
        "src/service/runtime/signals.rs",
    ];
    const ROOMS: [&str; 6] = ["model", "codec", "service", "engine", "remote", "edge"];
    let is_code = |text: &&str| {
        text.len() > 4
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || b"_8".contains(&byte))
    };
    let mut codes = BTreeSet::new();
    for (path, text) in sources("src") {
        let path = shown(&path);
        let is_room = ROOMS
            .iter()
            .any(|room| path.starts_with(&format!("src/{room}/")));
        if !is_room
            || path.ends_with("tests.rs")
            || OTHERS.iter().any(|other| path.starts_with(other))
        {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//") && !line.contains("env!"))
        {
            codes.extend(
                line.split('"')
                    .skip(1)
                    .step_by(2)
                    .filter(is_code)
                    .map(str::to_owned),
            );
        }
    }
    codes
}

/// The first cells of a table in a section of a document.
fn documented_codes(document: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = document.split_once(&format!("\n{heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let cells = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split(", "));
    names
        .map(|name| name.trim_matches('`').to_owned())
        .collect()
}

#[test]
fn codes_of_violations_are_documented() {
    let codes = codes_of_violations();
    assert!(codes.contains("MISSING") && codes.len() > 20, "{codes:?}");
    let errors = documented_codes(include_str!("../../../docs/errors.md"), "## Violations");
    assert_eq!(errors, codes, "docs/errors.md (left), the sources (right)");
    let sio = documented_codes(include_str!("../../../docs/sio.md"), "## Violations");
    assert!(
        sio.contains("MISSING") && sio.is_subset(&codes),
        "docs/sio.md: {sio:?}"
    );
}

/// `scripts/bench --write-docs` fills the tables with rows that the bench has.
#[test]
fn tables_of_benchmarks_are_rows_of_the_bench() {
    const OTHERS: [&str; 3] = ["machine", "goals", "guarantees"];
    let benchmarks = include_str!("../../../docs/benchmarks.md");
    let bench = sources("benches/invoke");
    let has_row = |name: &str| {
        let text = format!("\"{name}\"");
        OTHERS.contains(&name) || bench.iter().any(|(_, source)| source.contains(&text))
    };
    let mut faults = Vec::new();
    for block in benchmarks.split("<!-- bench: ").skip(1) {
        let (name, rest) = block.split_once(" -->\n").unwrap();
        if !has_row(name) {
            faults.push(format!("docs/benchmarks.md: there is no row {name}"));
        }
        if rest
            .split_once("<!-- ")
            .is_none_or(|(_, mark)| !mark.starts_with("end -->"))
        {
            faults.push(format!("docs/benchmarks.md: the table {name} has no end"));
        }
    }
    assert_none(&faults);
}
