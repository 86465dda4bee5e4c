//! The limits that are promised are options, each with the default that is promised.

use serde_json::Value;

use super::schema;

/// What is limited, its option, and its default as the schema has it.
const PROMISED: &[(&str, &str, &str)] = &[
    ("synchronous timeout", "limits.timeout", "30s"),
    ("message, in and out", "limits.message_bytes", "16MiB"),
    (
        "attempt, from the last sign of life",
        "limits.attempt_timeout",
        "15m",
    ),
    ("depth of a value", "limits.value_depth", "32"),
    ("attempts", "limits.attempts", "25"),
    ("losses of worker or node", "limits.max_crashes", "5"),
    ("keys in one value", "limits.value_keys", "1000000"),
    ("backoff, the first", "limits.backoff", "500ms"),
    ("backoff, the factor", "limits.backoff_factor", "2.0"),
    ("backoff, the longest", "limits.max_backoff", "10m"),
    ("items of an invocation", "limits.items", "10000"),
    ("their bytes", "limits.item_bytes", "16MiB"),
    ("retention", "limits.retention", "24h"),
    ("retention of failures", "limits.failure_retention", "14d"),
    ("tombstone", "limits.tombstone_retention", "14d"),
    ("pending of a service", "limits.pending", "1000000"),
    ("pending of the node", "limits.node_pending", "10000000"),
    ("handlers of a service", "limits.concurrency", "256"),
    ("handlers of the node", "limits.node_concurrency", "4096"),
    ("queued synchronous calls", "limits.queue_length", "1024"),
    ("nested calls", "limits.depth", "32"),
    ("store on disk", "store_limit", "64GiB"),
    ("disk that is kept free", "keep_free", "64MiB"),
    ("CIDs on one stream", "limits.stream_cids", "100000"),
    ("worker: in flight", "limits.worker_in_flight", "100"),
    ("worker: PING", "limits.ping_interval", "10s"),
    ("worker: lease", "limits.worker_lease", "20s"),
    ("metadata", "limits.metadata_bytes", "8KiB"),
    ("grace of cancelled handlers", "limits.grace", "5s"),
    ("drain", "drain", "30s"),
    (
        "a filter's reach in one call",
        "limits.filter_reach",
        "10000",
    ),
    ("batch", "limits.batch", "10000"),
    ("callbacks of a call", "limits.callbacks", "16"),
    ("callbacks of a member", "limits.member_callbacks", "16"),
    (
        "values in a list of a filter",
        "limits.filter_values",
        "1000",
    ),
    ("received: connection", "limits.received_bytes", "32MiB"),
    ("received: node", "limits.node_received_bytes", "256MiB"),
    ("answered: connection", "limits.answered_bytes", "32MiB"),
    ("answered: node", "limits.node_answered_bytes", "256MiB"),
    (
        "an answer that nobody reads",
        "limits.unread_timeout",
        "30s",
    ),
    ("progress value", "limits.progress_bytes", "64KiB"),
    ("list page", "limits.list_page_bytes", "3MiB"),
    ("shortest retry interval", "limits.min_backoff", "1ms"),
    ("protocol errors of a worker", "limits.worker_errors", "100"),
];

#[test]
fn every_promised_limit_is_an_option_with_its_default() {
    let schema = schema();
    let default_of = |key: &str| {
        let path = key.replace('.', "/properties/");
        let option = schema.pointer(&format!("/properties/{path}"))?;
        Some(match &option["default"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let wrong: Vec<_> = PROMISED
        .iter()
        .map(|(what, key, default)| (what, key, default, default_of(key)))
        .filter(|(_, _, default, found)| found.as_deref() != Some(**default))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
