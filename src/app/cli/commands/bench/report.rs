//! The report of a bench: for people, and as an object.

use std::time::Duration;

use super::args::{Kind, Pace, Plan};
use super::measured::Measurement;
use crate::app::cli::printer::Printer;
use crate::app::cli::times::duration_text;
use crate::dict;
use crate::model::value::Value;

/// The percentiles that are printed, with their keys in the schema.
const PERCENTILES: [(&str, f64); 4] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99_9", 99.9)];
/// The longest bar of the histogram, in characters.
const BAR: u64 = 40;

/// Prints what was measured.
pub(super) fn print(plan: &Plan, result: &Measurement, is_interrupted: bool, printer: &Printer) {
    let object = || object(plan, result, is_interrupted);
    if printer.object(&plan.service, object) {
        return;
    }
    printer.properties(&rows(plan, result));
    if !result.failures.is_empty() {
        printer.data("");
        let rows = result
            .failures
            .iter()
            .map(|((code, reason), count)| [count.to_string(), (*code).to_owned(), reason.clone()]);
        let rows: Vec<_> = rows.collect();
        printer.table(["FAILED", "CODE", "REASON"], &rows);
    }
    let histogram = histogram(result);
    if !histogram.is_empty() {
        printer.text(&format!("\n{histogram}"));
    }
}

fn micros(micros: u64) -> String {
    duration_text(Duration::from_micros(micros))
}

/// A latency of milliseconds with its fraction: `1.25ms`.
fn latency(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..1_000_000 => format!("{}.{:02}ms", micros / 1_000, micros % 1_000 / 10),
        _ => duration_text(Duration::from_micros(micros)),
    }
}

fn rows(plan: &Plan, result: &Measurement) -> Vec<[String; 2]> {
    let (succeeded, failed) = (result.succeeded(), result.failed());
    let mut rows = vec![
        ("calls", (succeeded + failed).to_string()),
        ("failed", failed.to_string()),
        ("time", duration_text(result.elapsed)),
        ("rate", format!("{:.1} per second", result.per_second())),
    ];
    if let Pace::Rate { per_second, .. } = plan.pace {
        rows.push(("intended", format!("{per_second} per second")));
        rows.push(("missed", result.missed.to_string()));
    }
    if succeeded > 0 {
        for (name, percentile) in PERCENTILES {
            let value = result.latencies.value_at_percentile(percentile);
            rows.push((shown(name), latency(value)));
        }
        rows.push(("max", latency(result.latencies.max())));
    }
    let rows = rows.into_iter();
    rows.map(|(name, value)| [name.to_owned(), value]).collect()
}

/// The name of a percentile, for people.
fn shown(name: &'static str) -> &'static str {
    match name {
        "p99_9" => "p99.9",
        name => name,
    }
}

/// A line for each range of latencies: `   512us -    1ms  ########  1234`.
fn histogram(result: &Measurement) -> String {
    let ranges = result.ranges();
    let most = ranges.iter().map(|(_, _, count)| *count).max();
    let most = most.unwrap_or_default().max(1);
    let lines = ranges.iter().map(|(from, to, count)| {
        // One call is visible beside a million.
        let length = (count * BAR).div_ceil(most);
        let bar = "#".repeat(usize::try_from(length).unwrap_or_default());
        let width = usize::try_from(BAR).unwrap_or_default();
        let line = format!(
            "{:>9} - {:>9}  {bar:width$}  {count}",
            micros(*from),
            micros(*to)
        );
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[expect(clippy::cast_precision_loss, reason = "microseconds to seconds")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1_000_000.0
}

/// `bench` in the schema.
fn object(plan: &Plan, result: &Measurement, is_interrupted: bool) -> Value {
    let (callers, rate, in_flight) = match plan.pace {
        Pace::Callers(callers) => (Some(callers), None, None),
        Pace::Rate {
            per_second,
            in_flight,
        } => (None, Some(per_second), Some(in_flight)),
    };
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let failures = result.failures.iter().map(|((code, reason), count)| {
        Value::from(dict! { "code": *code, "reason": reason.as_str(), "count": *count })
    });
    let ranges = result.ranges().into_iter().map(|(from, to, count)| {
        Value::from(dict! { "from": seconds(from), "to": seconds(to), "count": count })
    });
    dict! {
        "service": plan.service.as_str(),
        "measures": match plan.kind {
            Kind::Invoke => "RESPONSE",
            Kind::Accept => "ACCEPTANCE",
            Kind::Outcome => "OUTCOME",
        },
        "callers": callers.map(number),
        "rate": rate,
        "in_flight": in_flight.map(number),
        "connections": number(plan.connections),
        "warm_up": plan.warm_up.as_secs_f64(),
        "elapsed": result.elapsed.as_secs_f64(),
        "interrupted": is_interrupted,
        "calls": result.succeeded() + result.failed(),
        "succeeded": result.succeeded(),
        "failed": result.failed(),
        "missed": result.missed,
        "calls_per_second": result.per_second(),
        "latency": latencies(result),
        "histogram": Value::List(ranges.collect()),
        "failures": Value::List(failures.collect()),
    }
    .into()
}

/// The latencies of calls that succeeded; null where none has.
fn latencies(result: &Measurement) -> Value {
    let latencies = &result.latencies;
    if latencies.is_empty() {
        return Value::Null;
    }
    let mut dict = dict! {
        "min": seconds(latencies.min()),
        "mean": latencies.mean() / 1_000_000.0,
    };
    for (name, percentile) in PERCENTILES {
        dict.insert(name, seconds(latencies.value_at_percentile(percentile)));
    }
    dict.insert("max", seconds(latencies.max()));
    dict.into()
}
