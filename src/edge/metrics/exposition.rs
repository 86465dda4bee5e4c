//! Writes all metrics of a node.

use jiff::Timestamp;

use super::families;
use super::port_metrics::PortMetrics;
use super::process::ProcessStats;
use super::services;
use super::text::{Family, Format, TextWriter};
use crate::engine::store::{StoreMetrics, StoreUsage};
use crate::engine::{Health, NodeMetrics, NodeStatus, StoreStatus};

/// All metrics, as text.
pub(super) fn write(
    node: NodeMetrics,
    port: &PortMetrics,
    process: &ProcessStats,
    format: Format,
) -> String {
    let mut writer = TextWriter::new(format);
    let NodeMetrics {
        status,
        services,
        concurrency,
        store,
        followed,
        event_watchers,
        spans_dropped,
    } = node;
    write_status(&mut writer, &status);
    services::write(&mut writer, services);
    let mut gauge = |family, value| writer.begin(family).size(&[], value);
    gauge(&families::SERVICES, status.services);
    gauge(&families::HANDLERS, status.running);
    gauge(&families::NODE_CONCURRENCY, concurrency);
    gauge(&families::NODE_PENDING, status.pending);
    gauge(&families::HELD, status.held_invocations);
    gauge(&families::FOLLOWED, followed);
    gauge(&families::WATCHERS, event_watchers);
    writer
        .begin(&families::SPANS_DROPPED)
        .count(&[], spans_dropped);
    let mut workers = writer.begin(&families::WORKERS);
    let connected = status.workers.saturating_sub(status.workers_away);
    workers.size(&["connected"], connected);
    workers.size(&["away"], status.workers_away);
    write_store(&mut writer, &status.store, &store);
    write_port(&mut writer, port);
    write_process(&mut writer, process);
    writer.finish()
}

fn write_status(writer: &mut TextWriter, status: &NodeStatus) {
    let version = env!("CARGO_PKG_VERSION");
    writer.begin(&families::BUILD).count(&[version], 1);
    let start_time = seconds(status.start_time);
    writer.begin(&families::START_TIME).value(&[], start_time);
    let mut health = writer.begin(&families::HEALTH);
    for (name, one) in [
        ("serving", Health::Serving),
        ("degraded", Health::Degraded),
        ("not_serving", Health::NotServing),
    ] {
        health.flag(&[name], status.health == one);
    }
    let mut reasons = writer.begin(&families::HEALTH_REASON);
    for reason in &status.reasons {
        reasons.flag(&[reason.reason], true);
    }
    let mut certificate = writer.begin(&families::CERTIFICATE);
    if let Some(found) = &status.certificate {
        certificate.value(&[], seconds(found.expire_time));
    }
}

fn write_store(writer: &mut TextWriter, store: &StoreStatus, counted: &StoreMetrics) {
    let is_up = store.failure.is_none() && store.unreadable.is_none();
    writer.begin(&families::STORE_UP).flag(&[store.name], is_up);
    let mut gauge = |family, value: fn(&StoreUsage) -> Option<u64>| {
        let mut samples = writer.begin(family);
        if let Some(value) = store.usage.as_ref().and_then(value) {
            samples.count(&[], value);
        }
    };
    gauge(&families::STORE_USED, |usage| Some(usage.bytes));
    gauge(&families::STORE_LIMIT, |usage| Some(usage.accept_limit));
    gauge(&families::STORE_EMPTY, |usage| Some(usage.empty));
    gauge(&families::DISK_FREE, |usage| Some(usage.disk?.free));
    gauge(&families::DISK_MIN_FREE, |usage| Some(usage.disk?.min_free));
    writer.begin(&families::WAL).count(&[], counted.wal_bytes);
    let mut queued = writer.begin(&families::STORE_QUEUED);
    queued.count(&[], counted.queued_bytes);
    for (family, histogram) in [
        (&families::COMMIT_DURATION, &counted.commit_duration),
        (&families::COMMIT_ROWS, &counted.commit_rows),
    ] {
        let mut samples = writer.begin(family);
        // A store in memory has no commits.
        if !histogram.bounds.is_empty() {
            samples.histogram(&[], histogram);
        }
    }
}

fn write_port(writer: &mut TextWriter, port: &PortMetrics) {
    let connections = &port.connections;
    let mut open = writer.begin(&families::CONNECTIONS);
    open.count(&[], connections.open());
    let mut accepted = writer.begin(&families::ACCEPTED);
    accepted.count(&[], connections.accepted());
    let mut calls = writer.begin(&families::RPC_CALLS);
    for (method, code, count) in port.rpc.counts() {
        calls.count(&[method, code], count);
    }
    let mut durations = writer.begin(&families::RPC_DURATION);
    for (method, duration) in port.rpc.durations() {
        durations.histogram(&[method], &duration);
    }
    let mut requests = writer.begin(&families::HTTP_REQUESTS);
    for ((route, method, status), count) in port.http.counts() {
        requests.count(&[route, method, &status.to_string()], count);
    }
    let mut durations = writer.begin(&families::HTTP_DURATION);
    for (route, duration) in port.http.durations() {
        durations.histogram(&[route], &duration);
    }
}

fn write_process(writer: &mut TextWriter, process: &ProcessStats) {
    let mut seconds = |family: &'static Family, value: Option<f64>| {
        let mut samples = writer.begin(family);
        if let Some(value) = value {
            samples.value(&[], value);
        }
    };
    seconds(&families::CPU, process.cpu_seconds);
    seconds(&families::PROCESS_START, process.start_seconds);
    let mut gauge = |family: &'static Family, value: Option<u64>| {
        let mut samples = writer.begin(family);
        if let Some(value) = value {
            samples.count(&[], value);
        }
    };
    gauge(&families::RESIDENT, process.resident_bytes);
    gauge(&families::VIRTUAL, process.virtual_bytes);
    gauge(&families::THREADS, process.threads);
    gauge(&families::MAX_FILES, process.max_files);
    let mut files = writer.begin(&families::FILES);
    if let Some(open) = process.open_files {
        files.size(&[], open);
    }
}

/// An instant in seconds since 1970.
fn seconds(time: Timestamp) -> f64 {
    time.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
}
