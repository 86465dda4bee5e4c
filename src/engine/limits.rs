//! Defaults and limits of a node, each one an option.

use std::time::Duration;

use crate::codec::limits::MAX_MESSAGE_BYTES;

/// Defaults and limits. A service's own option beats the default of the same name, a call's own value beats both.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How long a synchronous call may last. Default: 30 s.
    pub timeout: Duration,
    /// How long an attempt in the background may last since its last sign of life. Default: 15 min.
    pub attempt_timeout: Duration,
    /// How long a cancelled handler has before it is dropped. Default: 5 s.
    pub grace: Duration,
    /// How many handlers of one service run at once. Default: 256.
    pub concurrency: usize,
    /// How many handlers run at once in all. Default: 4 096.
    pub node_concurrency: usize,
    /// How many synchronous calls wait for a handler of one service. Default: 1 024.
    pub queue_length: usize,
    /// How deeply services may invoke one another. Default: 32.
    pub depth: u32,
    /// How often the node may end in the middle of an attempt before an invocation is given up. Default: 5.
    pub max_crashes: u32,
    /// How many invocations of one service may be pending. Default: 1 000 000.
    pub pending: usize,
    /// How many invocations may be pending in all. Default: 10 000 000.
    pub node_pending: usize,
    /// How long outcomes are kept. Default: 24 h.
    pub retention: Duration,
    /// How long failures are kept. Default: 14 days.
    pub failure_retention: Duration,
    /// How long it is remembered at most that an outcome was kept. Default: 14 days.
    pub tombstone_retention: Duration,
    /// How many items an invocation may emit. Default: 10 000.
    pub items: usize,
    /// How many bytes of items an invocation may emit. Default: 16 MiB.
    pub item_bytes: usize,
    /// How large a message may be, in and out. Default: 16 MiB.
    pub message_bytes: usize,
    /// How many connections there may be at once. Default: 10 000.
    pub connections: usize,
    /// How often a connection is asked whether it is still there (HTTP/2 PING); the answer may take as long again.
    /// Default: 10 s.
    pub ping_interval: Duration,
    /// How long a request may take to arrive, once it has begun. Default: 30 s.
    pub request_timeout: Duration,
    /// How many CIDs one result stream may follow. Default: 100 000.
    pub stream_cids: usize,
    /// How many members a batch may have. Default: 10 000.
    pub batch: usize,
    /// How many dispatches a worker takes at once, unless it says so. Default: 100.
    pub worker_in_flight: usize,
    /// How long a worker that can resume may be away before its dispatches are void. Default: 20 s.
    pub worker_lease: Duration,
    /// How many workers may be connected. Default: 10 000.
    pub workers: usize,
    /// How many services that workers announced are remembered; `cidery service forget` makes room. Default: 100 000.
    pub services: usize,
}

const DAY: Duration = Duration::from_hours(24);

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_mins(15),
            grace: Duration::from_secs(5),
            concurrency: 256,
            node_concurrency: 4_096,
            queue_length: 1_024,
            depth: 32,
            max_crashes: 5,
            pending: 1_000_000,
            node_pending: 10_000_000,
            retention: DAY,
            failure_retention: DAY * 14,
            tombstone_retention: DAY * 14,
            items: 10_000,
            item_bytes: 16 * 1024 * 1024,
            message_bytes: MAX_MESSAGE_BYTES,
            connections: 10_000,
            ping_interval: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            stream_cids: 100_000,
            batch: 10_000,
            worker_in_flight: 100,
            worker_lease: Duration::from_secs(20),
            workers: 10_000,
            services: 100_000,
        }
    }
}
