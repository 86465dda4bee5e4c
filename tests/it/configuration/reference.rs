//! `docs/configuration.md` is made of the schema that the program prints: `UPDATE_SNAPSHOTS=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Site, objects, schema};
use crate::support::binary::{stderr, stdout};
use crate::support::page::{assert_part, wrapped};

const BEGIN: &str = "<!-- Options: made by tests/it/configuration/reference.rs. -->\n";
const END: &str = "<!-- End of the options. -->\n";

fn properties(table: &Value) -> &Map<String, Value> {
    table["properties"].as_object().unwrap()
}

/// The options with their keys, in the order of their declaration.
fn options(schema: &Value) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for (name, property) in properties(schema) {
        match property.get("properties") {
            None => all.push((name.clone(), property)),
            Some(_) => {
                let nested = properties(property).iter();
                all.extend(nested.map(|(key, option)| (format!("{name}.{key}"), option)));
            }
        }
    }
    all
}

fn kind(option: &Value) -> String {
    let has = |name: &str| option["type"].to_string().contains(name);
    match option["x-unit"].as_str() {
        Some(unit) => unit.to_owned(),
        None if has("boolean") => "boolean".to_owned(),
        None if has("integer") || has("number") => "number".to_owned(),
        None if has("array") => "list of texts".to_owned(),
        None => "text".to_owned(),
    }
}

fn range(option: &Value) -> String {
    let limit = |name: &str| {
        let limit = option
            .get(name)
            .or_else(|| option.get(format!("x-{name}")))?;
        let text = limit
            .as_str()
            .map_or_else(|| limit.to_string(), str::to_owned);
        let bytes = limit.as_u64().filter(|_| option["x-unit"] == "size");
        Some(bytes.map_or(text, |bytes| match bytes {
            _ if bytes >= 1 << 40 => format!("{}TiB", bytes >> 40),
            _ if bytes >= 1 << 30 => format!("{}GiB", bytes >> 30),
            _ if bytes >= 1 << 20 => format!("{}MiB", bytes >> 20),
            _ => format!("{}KiB", bytes >> 10),
        }))
    };
    match (limit("minimum"), limit("maximum")) {
        (Some(least), Some(most)) => format!(", from {least} to {most}"),
        (Some(least), None) if least != "0" => format!(", at least {least}"),
        (None, Some(most)) => format!(", at most {most}"),
        _ => String::new(),
    }
}

/// The section of the options.
fn section(schema: &Value) -> String {
    let mut text = String::new();
    let mut in_limits = false;
    text.push_str("\n## Options\n");
    for (key, option) in options(schema) {
        if key.starts_with("limits.") && !in_limits {
            in_limits = true;
            text.push_str("\n## Limits\n\nThe table `[limits]`.\n");
        }
        let name = key.strip_prefix("limits.").unwrap_or(&key);
        let default = match &option["default"] {
            Value::Null => String::new(),
            Value::String(text) => format!(", default `{text}`"),
            Value::Array(items) if items.is_empty() => String::new(),
            other => format!(", default `{other}`"),
        };
        let reload = match option["x-reload"] == true {
            true => "; SIGHUP changes it",
            false => "",
        };
        write!(
            text,
            "\n### {name}\n\n{}{}{default}{reload}.\n",
            kind(option),
            range(option)
        )
        .unwrap();
        let description = option["description"].as_str().unwrap_or_default();
        let description = match option["default"].is_null() {
            true => description,
            false => description.split(" Default: ").next().unwrap(),
        };
        let ends = ["", "."][usize::from(!description.ends_with('.'))];
        write!(text, "\n{description}{ends}\n").unwrap();
    }
    text + "\n"
}

#[test]
fn the_reference_is_that_of_the_program() {
    let part = wrapped(&section(&schema()));
    assert_part("configuration.md", (BEGIN, END), &part);
}

#[test]
fn every_option_has_a_text_and_every_limit_a_unit() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["additionalProperties"], false);
    let options = options(&schema);
    assert!(options.len() > 40, "{}", options.len());
    for (key, option) in &options {
        assert!(
            option["description"]
                .as_str()
                .is_some_and(|it| it.len() > 10),
            "{key}"
        );
        let is_size = key.ends_with("_bytes") || key.ends_with("_window");
        assert_eq!(
            option["x-unit"] == "size",
            is_size || key.starts_with("store_l") || key == "keep_free",
            "{key}"
        );
    }
    let limits = serde_json::to_value(cidery::engine::Limits::default()).unwrap();
    let limits = limits.as_object().unwrap();
    for (name, value) in limits {
        let (_, option) = options
            .iter()
            .find(|(key, _)| *key == format!("limits.{name}"))
            .unwrap();
        assert_eq!(&option["default"], value, "{name}");
        // Null: there is no such limit by default.
        assert!(
            value.is_number() || value.is_string() || value.is_null(),
            "{name}: {value} has no unit"
        );
    }
}

/// What is shown can be written into a file.
#[test]
fn a_file_with_all_defaults_is_valid_and_changes_nothing() {
    let site = Site::new("");
    let shown = objects(&site.run(&["config", "show", "-o", "jsonl"], &[]));
    let mut file = String::new();
    let mut in_limits = false;
    for option in &shown {
        let key = option["key"].as_str().unwrap();
        let limit = key.strip_prefix("limits.");
        if limit.is_some() && !in_limits {
            in_limits = true;
            file.push_str("[limits]\n");
        }
        if key == "in_memory" || option["value"].is_null() {
            continue;
        }
        writeln!(file, "{} = {}", limit.unwrap_or(key), option["value"]).unwrap();
    }
    site.write(&file);
    let again = site.run(&["config", "show", "-o", "jsonl"], &[]);
    assert!(again.status.success(), "{}", stderr(&again));
    let values = |options: &[Value]| -> Vec<Value> {
        options
            .iter()
            .map(|option| option["value"].clone())
            .collect()
    };
    assert_eq!(values(&objects(&again)), values(&shown));
}

#[test]
fn the_example_in_deploy_is_valid() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/cidery.toml");
    let site = Site::new("");
    let output = site.run(&["config", "check", file.to_str().unwrap()], &[]);
    assert!(output.status.success(), "{}", stdout(&output));
}
