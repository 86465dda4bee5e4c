//! `docs/tuning.md` names options, metrics and reasons that exist, and the defaults of the options.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Site, objects};

const PAGE: &str = include_str!("../../../docs/tuning.md");
const METRICS: &str = include_str!("../../../docs/metrics.md");

/// The rows of the tables of options: the option, and its default.
fn rows() -> Vec<(&'static str, &'static str)> {
    let tables = PAGE.split("\n| option | default |").skip(1);
    let rows = tables.flat_map(|table| {
        let table = table.split("\n\n").next().unwrap_or_default();
        table.lines().filter_map(|line| {
            let (option, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
            Some((option, rest.split(" | ").next()?))
        })
    });
    rows.collect()
}

#[test]
fn every_option_exists_and_has_this_default() {
    let shown = objects(&Site::new("").run(&["config", "show", "-o", "jsonl"], &[]));
    let options: BTreeMap<&str, &Value> = shown
        .iter()
        .map(|option| {
            let key = option["key"].as_str().unwrap();
            (key.strip_prefix("limits.").unwrap_or(key), &option["value"])
        })
        .collect();
    let rows = rows();
    assert!(rows.len() >= 30, "{rows:?}");
    for (option, default) in rows {
        let value = options.get(option);
        let value = value.unwrap_or_else(|| panic!("there is no option {option}"));
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(value, default, "{option}");
    }
}

/// The words in backticks that are of a form.
fn words(is_one: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let code = PAGE.split('`').skip(1).step_by(2);
    code.filter(|word| is_one(word)).collect()
}

#[test]
fn every_metric_and_every_reason_exists() {
    let metrics = words(|word| word.starts_with("cidery_") || word.starts_with("process_"));
    assert!(metrics.len() >= 8, "{metrics:?}");
    for metric in metrics {
        assert!(METRICS.contains(&format!("\n| `{metric}` | ")), "{metric}");
    }
    let is_reason = |word: &str| {
        let mut bytes = word.bytes();
        bytes.all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            && !word.starts_with("CAPABILITY_")
    };
    let reasons = words(is_reason);
    assert!(reasons.contains(&"QUEUE_FULL"), "{reasons:?}");
    for reason in reasons {
        assert!(
            cidery::model::error::reason::ALL.contains(&reason),
            "{reason}"
        );
    }
}
