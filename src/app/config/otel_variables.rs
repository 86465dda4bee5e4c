//! The environment variables of OpenTelemetry that a node understands. They are weaker than the file.

use super::entry::{Entry, Origin, Raw};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The variables, and the options that they are values of.
const OPTIONS: [(&str, &str); 4] = [
    (ENDPOINT, "otlp_endpoint"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "otlp_headers"),
    ("OTEL_RESOURCE_ATTRIBUTES", "otlp_resource"),
    ("OTEL_SERVICE_NAME", "otlp_service_name"),
];
/// The protocol of the collector. A node speaks `grpc` only: the address of another one is not for it.
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Whether a variable is one of them.
pub(super) fn is_one(name: &str) -> bool {
    OPTIONS.iter().any(|(known, _)| *known == name)
        || [PROTOCOL, SAMPLER, SAMPLER_ARG].contains(&name)
}

/// The values of options. `get`: the value of a variable.
pub(super) fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Vec<Entry> {
    let is_grpc = get(PROTOCOL).is_none_or(|protocol| protocol == "grpc");
    // Without a collector, the others say nothing to a node.
    if !is_grpc || get(ENDPOINT).is_none() {
        return Vec::new();
    }
    let options = OPTIONS.iter().map(|(name, key)| (*name, *key, get(name)));
    let sampler = get(SAMPLER).and_then(|sampler| share_of(sampler, get(SAMPLER_ARG)));
    let sample = (SAMPLER, "trace_sample", sampler);
    let all = options.chain([sample]);
    all.filter_map(|(name, key, value)| {
        Some(Entry {
            key: key.to_owned(),
            value: Raw::Text(value?.to_owned()),
            origin: Origin::Foreign(name.to_owned()),
        })
    })
    .collect()
}

/// The share of traces that a sampler records; `None` for a sampler that is not known here.
fn share_of<'a>(sampler: &str, arg: Option<&'a str>) -> Option<&'a str> {
    match sampler {
        "always_on" | "parentbased_always_on" => Some("1"),
        "always_off" | "parentbased_always_off" => Some("0"),
        "traceidratio" | "parentbased_traceidratio" => Some(arg.unwrap_or("1")),
        _ => None,
    }
}
