//! Checks of what documents say: lists that must have an entry for everything that exists.

use super::assert_none;

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
