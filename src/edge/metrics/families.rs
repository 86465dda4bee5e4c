//! All metrics: names, types, labels and what they mean. `docs/metrics.md` has the same table.
//!
//! Names are those of the semantic conventions of OpenTelemetry where there are some, with underscores.

use super::text::{Family, Type};

const fn family(
    name: &'static str,
    kind: Type,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family {
        name,
        kind,
        labels,
        help,
    }
}

pub(super) static BUILD: Family = family(
    "cidery_build",
    Type::Info,
    &["version"],
    "The version of the node.",
);
pub(super) static START_TIME: Family = family(
    "cidery_node_start_time_seconds",
    Type::Gauge,
    &[],
    "When the node started, in seconds since 1970.",
);
pub(super) static HEALTH: Family = family(
    "cidery_node_health",
    Type::Gauge,
    &["health"],
    "1 for the health of the node as its status says it: `serving`, `degraded` or `not_serving`; 0 for \
     the others.",
);
pub(super) static HEALTH_REASON: Family = family(
    "cidery_node_health_reason",
    Type::Gauge,
    &["reason"],
    "1 for each reason why the node is not healthy, or that is worth knowing.",
);
pub(super) static CERTIFICATE: Family = family(
    "cidery_certificate_expire_time_seconds",
    Type::Gauge,
    &[],
    "When the certificate of the listener expires, in seconds since 1970. Only with TLS.",
);
pub(super) static INVOCATIONS: Family = family(
    "cidery_invocations",
    Type::Counter,
    &["service", "kind", "outcome", "code"],
    "Invocations and calls that have ended, by kind (`sync`, `async`, `nested`, `callback`), outcome \
     (`succeeded`, `failed`, `cancelled`, `expired`, `refused`) and gRPC code.",
);
pub(super) static HANDLER_DURATION: Family = family(
    "cidery_handler_duration_seconds",
    Type::Histogram,
    &["service"],
    "How long handlers ran, of calls and of attempts of asynchronous invocations.",
);
pub(super) static QUEUE_WAIT: Family = family(
    "cidery_queue_wait_seconds",
    Type::Histogram,
    &["service"],
    "How long asynchronous invocations waited from when they were due to their attempt.",
);
pub(super) static ATTEMPTS: Family = family(
    "cidery_attempts",
    Type::Counter,
    &["service"],
    "Attempts of asynchronous invocations that were started.",
);
pub(super) static RETRIES: Family = family(
    "cidery_retries",
    Type::Counter,
    &["service"],
    "Attempts that failed and were followed by another.",
);
pub(super) static CRASHES: Family = family(
    "cidery_crashes",
    Type::Counter,
    &["service"],
    "Attempts and calls that were lost with their worker, or with the node.",
);
pub(super) static RUNNING: Family = family(
    "cidery_service_running",
    Type::Gauge,
    &["service"],
    "Handlers that run.",
);
pub(super) static CONCURRENCY: Family = family(
    "cidery_service_concurrency",
    Type::Gauge,
    &["service"],
    "Handlers that may run at once.",
);
pub(super) static QUEUED: Family = family(
    "cidery_service_queued",
    Type::Gauge,
    &["service"],
    "Synchronous calls that wait for a permit.",
);
pub(super) static PENDING: Family = family(
    "cidery_service_pending",
    Type::Gauge,
    &["service"],
    "Pending asynchronous invocations, those aside whose outcome is awaited from outside.",
);
pub(super) static OLDEST_DUE: Family = family(
    "cidery_service_oldest_due_age_seconds",
    Type::Gauge,
    &["service"],
    "How long the oldest pending invocation has been due; 0 where none is due. Of `(other)` the longest.",
);
pub(super) static SERVED: Family = family(
    "cidery_service_served",
    Type::Gauge,
    &["service"],
    "1 if the node or a worker serves the service. Of `(other)` the number of those.",
);
pub(super) static SERVICE_WORKERS: Family = family(
    "cidery_service_workers",
    Type::Gauge,
    &["service"],
    "Workers that serve the service, those aside that are disconnected.",
);
pub(super) static CREDITS: Family = family(
    "cidery_service_worker_credits",
    Type::Gauge,
    &["service"],
    "Dispatches that these workers run at once, those of their other services included.",
);
pub(super) static SERVICES: Family = family(
    "cidery_services",
    Type::Gauge,
    &[],
    "Services that the node knows.",
);
pub(super) static HANDLERS: Family = family(
    "cidery_node_running",
    Type::Gauge,
    &[],
    "Handlers of all services that run.",
);
pub(super) static NODE_CONCURRENCY: Family = family(
    "cidery_node_concurrency",
    Type::Gauge,
    &[],
    "Handlers of all services that may run at once.",
);
pub(super) static NODE_PENDING: Family = family(
    "cidery_node_pending",
    Type::Gauge,
    &[],
    "Pending invocations of all services.",
);
pub(super) static HELD: Family = family(
    "cidery_node_held",
    Type::Gauge,
    &[],
    "Held invocations: dead letters.",
);
pub(super) static WORKERS: Family = family(
    "cidery_workers",
    Type::Gauge,
    &["state"],
    "Workers by state: `connected`, or `away`, which may resume within their lease.",
);
pub(super) static FOLLOWED: Family = family(
    "cidery_followed_invocations",
    Type::Gauge,
    &[],
    "Invocations that result streams and waiting calls follow.",
);
pub(super) static WATCHERS: Family = family(
    "cidery_event_watchers",
    Type::Gauge,
    &[],
    "Callers that watch the events of the node.",
);
pub(super) static SPANS_DROPPED: Family = family(
    "cidery_spans_dropped",
    Type::Counter,
    &[],
    "Spans of traces that were not sent: the collector was away, or too slow.",
);
pub(super) static STORE_UP: Family = family(
    "cidery_store_up",
    Type::Gauge,
    &["store"],
    "1 if the store takes writes and can be read, by its kind: `memory` or `sqlite`.",
);
pub(super) static STORE_USED: Family = family(
    "cidery_store_used_bytes",
    Type::Gauge,
    &[],
    "Bytes of the store that are used.",
);
pub(super) static STORE_LIMIT: Family = family(
    "cidery_store_accept_limit_bytes",
    Type::Gauge,
    &[],
    "Used bytes beyond which new work is refused.",
);
pub(super) static STORE_EMPTY: Family = family(
    "cidery_store_empty_bytes",
    Type::Gauge,
    &[],
    "Bytes of the file of the store that are empty, and used next.",
);
pub(super) static DISK_FREE: Family = family(
    "cidery_store_disk_free_bytes",
    Type::Gauge,
    &[],
    "Free bytes on the disk of the store.",
);
pub(super) static DISK_MIN_FREE: Family = family(
    "cidery_store_disk_min_free_bytes",
    Type::Gauge,
    &[],
    "Free bytes on the disk below which new work is refused.",
);
pub(super) static WAL: Family = family(
    "cidery_store_wal_bytes",
    Type::Gauge,
    &[],
    "Bytes of the write-ahead log at the last commit.",
);
pub(super) static STORE_QUEUED: Family = family(
    "cidery_store_queued_bytes",
    Type::Gauge,
    &[],
    "Bytes of writes that wait for a commit.",
);
pub(super) static COMMIT_DURATION: Family = family(
    "cidery_store_commit_duration_seconds",
    Type::Histogram,
    &[],
    "How long commits took, their sync included.",
);
pub(super) static COMMIT_ROWS: Family = family(
    "cidery_store_commit_rows",
    Type::Histogram,
    &[],
    "Rows that a commit wrote.",
);
pub(super) static CONNECTIONS: Family =
    family("cidery_connections", Type::Gauge, &[], "Open connections.");
pub(super) static ACCEPTED: Family = family(
    "cidery_connections_accepted",
    Type::Counter,
    &[],
    "Connections that were accepted.",
);
pub(super) static RPC_CALLS: Family = family(
    "cidery_rpc_server_calls",
    Type::Counter,
    &["rpc_method", "rpc_response_status_code"],
    "gRPC calls that have ended, by method and code. Typed methods and unknown ones are `_OTHER`.",
);
pub(super) static RPC_DURATION: Family = family(
    "cidery_rpc_server_call_duration_seconds",
    Type::Histogram,
    &["rpc_method"],
    "How long gRPC calls took, from their headers to their status; streams until their end.",
);
pub(super) static HTTP_REQUESTS: Family = family(
    "cidery_http_server_requests",
    Type::Counter,
    &[
        "http_route",
        "http_request_method",
        "http_response_status_code",
    ],
    "HTTP requests that are no gRPC calls, by route, method and status. Routes of the host are `_OTHER`.",
);
pub(super) static HTTP_DURATION: Family = family(
    "cidery_http_server_request_duration_seconds",
    Type::Histogram,
    &["http_route"],
    "How long HTTP requests took until the headers of their responses.",
);
pub(super) static CPU: Family = family(
    "process_cpu_seconds",
    Type::Counter,
    &[],
    "CPU time of the process. Only on Linux, as all of `process_`.",
);
pub(super) static PROCESS_START: Family = family(
    "process_start_time_seconds",
    Type::Gauge,
    &[],
    "When the process started, in seconds since 1970.",
);
pub(super) static RESIDENT: Family = family(
    "process_resident_memory_bytes",
    Type::Gauge,
    &[],
    "Resident memory of the process.",
);
pub(super) static VIRTUAL: Family = family(
    "process_virtual_memory_bytes",
    Type::Gauge,
    &[],
    "Virtual memory of the process.",
);
pub(super) static THREADS: Family = family(
    "process_threads",
    Type::Gauge,
    &[],
    "Threads of the process.",
);
pub(super) static FILES: Family = family(
    "process_open_fds",
    Type::Gauge,
    &[],
    "Open files of the process, sockets included.",
);
pub(super) static MAX_FILES: Family = family(
    "process_max_fds",
    Type::Gauge,
    &[],
    "Files that the process may open.",
);

#[cfg(test)]
mod tests {
    use super::*;

    static ALL: [&Family; 51] = [
        &BUILD,
        &START_TIME,
        &HEALTH,
        &HEALTH_REASON,
        &CERTIFICATE,
        &INVOCATIONS,
        &HANDLER_DURATION,
        &QUEUE_WAIT,
        &ATTEMPTS,
        &RETRIES,
        &CRASHES,
        &RUNNING,
        &CONCURRENCY,
        &QUEUED,
        &PENDING,
        &OLDEST_DUE,
        &SERVED,
        &SERVICE_WORKERS,
        &CREDITS,
        &SERVICES,
        &HANDLERS,
        &NODE_CONCURRENCY,
        &NODE_PENDING,
        &HELD,
        &WORKERS,
        &FOLLOWED,
        &WATCHERS,
        &SPANS_DROPPED,
        &STORE_UP,
        &STORE_USED,
        &STORE_LIMIT,
        &STORE_EMPTY,
        &DISK_FREE,
        &DISK_MIN_FREE,
        &WAL,
        &STORE_QUEUED,
        &COMMIT_DURATION,
        &COMMIT_ROWS,
        &CONNECTIONS,
        &ACCEPTED,
        &RPC_CALLS,
        &RPC_DURATION,
        &HTTP_REQUESTS,
        &HTTP_DURATION,
        &CPU,
        &PROCESS_START,
        &RESIDENT,
        &VIRTUAL,
        &THREADS,
        &FILES,
        &MAX_FILES,
    ];

    const PAGE: &str = include_str!("../../../docs/metrics.md");

    /// A row of the table in the documentation.
    fn row(family: &Family) -> String {
        let (kind, suffix) = match family.kind {
            Type::Counter => ("counter", "_total"),
            Type::Gauge => ("gauge", ""),
            Type::Histogram => ("histogram", ""),
            Type::Info => ("info", "_info"),
        };
        let labels: Vec<_> = family.labels.iter().map(|it| format!("`{it}`")).collect();
        let Family { name, help, .. } = family;
        let labels = labels.join(", ");
        format!("| `{name}{suffix}` | {kind} | {labels} | {help} |")
    }

    #[test]
    fn the_documentation_has_all_metrics_in_their_order() {
        let rows = PAGE
            .lines()
            .filter(|line| line.starts_with("| `cidery_") || line.starts_with("| `process_"));
        let documented: Vec<_> = rows.map(str::to_owned).collect();
        let all: Vec<_> = ALL.into_iter().map(row).collect();
        assert_eq!(documented, all);
    }
}
