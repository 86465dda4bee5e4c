//! Limits of a node: defaults of timeouts, concurrency, queue lengths, retention and sizes, each an option.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codec::limits::{
    MAX_DEPTH, MAX_FILTER_VALUES, MAX_KEYS, MAX_MESSAGE_BYTES, ValueLimits,
};
use crate::codec::payload;
use crate::codec::units::{DurationText, SizeText};
use crate::engine::page_size::LIST_PAGE_BYTES;
use crate::model::call::{Call, DurableOptions};
use crate::model::error::{Error, Result, reason};
use crate::model::invocation::RetryPolicy;
use crate::model::metadata::Metadata;
use crate::model::payload::{Payload, Reply};
use crate::model::rate::Rate;
use crate::model::service_limit::ServiceLimit;
use crate::service::output_invalid;

/// Defaults and limits. An option of the service takes precedence over the default of the same name, and an option of
/// the call over both.
///
/// A program reads them from its own configuration with `serde`: durations are texts such as `"30s"`, sizes texts such
/// as `"16MiB"` or numbers of bytes, and what is left out has its default.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// The timeout of a synchronous call. Default: 30 s.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "1ms"))]
    pub timeout: Duration,
    /// How long an attempt of a durable invocation may run without progress. Default: 15 min.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "1ms"))]
    pub attempt_timeout: Duration,
    /// The grace period: how long a cancelled handler may still run before it is dropped. Default: 5 s.
    #[serde(with = "DurationText")]
    pub grace: Duration,
    /// How many handlers of one service run at once. Default: 256.
    #[schemars(range(min = 1, max = MAX_HANDLERS))]
    pub concurrency: usize,
    /// How many handlers of all services run at once. Default: 4 096.
    #[schemars(range(min = 1, max = MAX_HANDLERS))]
    pub node_concurrency: usize,
    /// How many synchronous calls of one service wait for a permit. Default: 1 024.
    pub queue_length: usize,
    /// How deep nested calls may be. Default: 32.
    #[schemars(range(min = 1, max = 64))]
    pub depth: u32,
    /// How many attempts an invocation has, the first one included, unless it or its service has a retry policy.
    /// Default: 25.
    #[schemars(range(min = 1, max = RetryPolicy::MAX_ATTEMPTS))]
    pub attempts: u32,
    /// The backoff before the first retry, unless the invocation or its service has a retry policy; a random part of it
    /// is waited. Default: 500 ms.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "1ms"))]
    pub backoff: Duration,
    /// The factor by which the backoff grows with each retry, unless the invocation or its service has a retry policy.
    /// Default: 2.
    #[schemars(range(min = 1, max = 1_000))]
    pub backoff_factor: f64,
    /// The longest backoff, unless the invocation or its service has a retry policy. Default: 10 min.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "1ms"))]
    pub max_backoff: Duration,
    /// The shortest time between the attempts of an invocation, whatever its retry policy says: a shorter backoff is
    /// lengthened. Default: 1 ms.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1d"))]
    pub min_backoff: Duration,
    /// How often the node may crash, or a worker may be lost, during attempts of an invocation before it fails as
    /// `POISONED`. Default: 5.
    #[schemars(range(min = 1))]
    pub max_crashes: u32,
    /// How many invocations of one service may be pending. Default: 1 000 000.
    #[schemars(range(min = 1))]
    pub pending: usize,
    /// How many invocations of all services may be pending. Default: 10 000 000.
    #[schemars(range(min = 1))]
    pub node_pending: usize,
    /// How long an invocation is kept after it succeeded. Default: 24 h.
    #[serde(with = "DurationText")]
    pub retention: Duration,
    /// How long an invocation is kept after it ended otherwise. Default: 14 days.
    #[serde(with = "DurationText")]
    pub failure_retention: Duration,
    /// How long the tombstone of a removed invocation is kept, at most. Default: 14 days.
    #[serde(with = "DurationText")]
    pub tombstone_retention: Duration,
    /// How many items an invocation may emit. Default: 10 000.
    pub items: usize,
    /// How many bytes of items an invocation may emit. Default: 16 MiB.
    #[serde(with = "SizeText")]
    pub item_bytes: usize,
    /// The largest value of a progress report, encoded, in bytes. A report with a larger one is refused, and only
    /// restarts the attempt timeout. Default: 64 KiB.
    #[serde(with = "SizeText")]
    pub progress_bytes: usize,
    /// The largest message, in and out, in bytes. Default: 16 MiB.
    #[serde(with = "SizeText")]
    #[schemars(range(min = 64 * KIB, max = GIB))]
    pub message_bytes: usize,
    /// How deep dicts and lists may be nested in an input, a response or an item. Clients of some languages cannot read
    /// deeper ones than the default. Default: 32, which is the most.
    #[schemars(range(min = 1, max = MAX_DEPTH))]
    pub value_depth: usize,
    /// How many keys and items an input, a response or an item may have, those of its parts included. Default:
    /// 1 000 000, which is the most.
    #[schemars(range(min = 1, max = MAX_KEYS))]
    pub value_keys: usize,
    /// How many bytes the keys and values of the metadata of a call may have together, and those of a response: what
    /// the node adds itself has up to 1 KiB. Default: 8 KiB, which is the most.
    #[serde(with = "SizeText")]
    #[schemars(range(min = 2 * KIB, max = METADATA_BYTES))]
    pub metadata_bytes: usize,
    /// How many requests of one principal are taken, calls and reads: a second, and at once. Further ones are refused
    /// with `RATE_LIMIT`. Default: any number.
    #[serde(skip)]
    pub principal_rate: Option<Rate>,
    /// How many synchronous calls of one principal are in flight: they run or wait in a queue. Further ones are refused
    /// with `IN_FLIGHT_LIMIT`. 0: any number. Default: any number.
    pub principal_in_flight: Option<usize>,
    /// How many invocations that belong to one principal may be pending, members of its batches included. Further ones
    /// are refused with `PENDING_LIMIT`. 0: any number. Default: any number.
    pub principal_pending: Option<usize>,
    /// How many principals with quotas call at once. One that is idle does not count. Default: 100 000.
    #[schemars(range(min = 1))]
    pub principals: usize,
    /// What the operator allows of services: the smaller of these limits and of the options of a service is in force.
    /// Default: none.
    #[serde(skip)]
    pub service_limits: Vec<ServiceLimit>,
    /// How many connections may be open at once. Default: 10 000.
    #[schemars(range(min = 1))]
    pub connections: usize,
    /// How many of them one address may have, of IPv6 one network (/64); further ones are closed. Addresses of the
    /// machine itself are not counted. Default: 2 500.
    #[schemars(range(min = 1))]
    pub connections_per_address: usize,
    /// How many HTTP/2 streams one connection may have at once: calls and result streams. A client is told, and lets
    /// further calls wait; a stream of one that does not is refused (`REFUSED_STREAM`). What streams hold in memory is
    /// bounded by the budgets below. Default: 10 000, so that the callers of a whole program may share a connection.
    #[schemars(range(min = 1))]
    pub streams: u32,
    /// How many control frames (HTTP/2: PING, SETTINGS, PRIORITY, `WINDOW_UPDATE`, `RST_STREAM`) a connection may send
    /// in a second. Each call pays for 8 more, and each KiB that is sent to the client for one. A connection that sends
    /// more is closed. Default: 10 000.
    #[schemars(range(min = 100))]
    pub control_frames: u32,
    /// How many calls that a client has reset may wait on one connection before the node has taken them: more of them
    /// are a rapid reset (CVE-2023-44487), and end the connection with `ENHANCE_YOUR_CALM`. Default: 20.
    #[schemars(range(min = 1))]
    pub pending_resets: usize,
    /// How many streams of one connection the node may have reset because of what the client sent on them, before it
    /// ends the connection with `ENHANCE_YOUR_CALM`. Default: 1 024.
    #[schemars(range(min = 1))]
    pub error_resets: usize,
    /// How many bytes the headers of a request may have. Larger ones are answered with HTTP 431. Metadata is limited to
    /// 8 KiB by itself, with a reason. Default: 64 KiB.
    #[serde(with = "SizeText")]
    #[schemars(range(min = 16 * KIB, max = 16 * MIB))]
    pub header_bytes: u32,
    /// The HTTP/2 flow-control window of a stream: how many bytes its peer sends before the node has read them.
    /// Default: 1 MiB.
    #[serde(with = "SizeText")]
    #[schemars(range(min = 64 * KIB, max = GIB))]
    pub stream_window: u32,
    /// The same for all streams of a connection. Default: 4 MiB.
    #[serde(with = "SizeText")]
    #[schemars(range(min = 64 * KIB, max = GIB))]
    pub connection_window: u32,
    /// How old a connection becomes, a tenth more or less: then it takes no new calls, and its client opens another
    /// one. A connection that carries the stream of a worker is left alone. Default: 1 h.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "100ms"))]
    pub connection_age: Duration,
    /// How long the calls and streams of a connection that is too old may go on before they are ended. Default: 1 h.
    #[serde(with = "DurationText")]
    pub connection_age_grace: Duration,
    /// How many TLS handshakes are made at once; others wait for their turn. Default: 1 024.
    #[schemars(range(min = 1))]
    pub tls_handshakes: usize,
    /// How long a client has for its TLS handshake, the wait for its turn included, and for its first request after
    /// it. Default: 10 s.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "100ms"))]
    pub tls_handshake_timeout: Duration,
    /// The keep-alive interval: how often a connection gets an HTTP/2 PING. It is closed where the answer takes longer
    /// than that again. Default: 10 s.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "100ms"))]
    pub ping_interval: Duration,
    /// How long a connected client has to send its first bytes. Then the connection is closed. Default: 30 s.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "100ms"))]
    pub first_byte_timeout: Duration,
    /// How long a request may take to arrive, from its first byte: then it fails with `REQUEST_INCOMPLETE`. Headers
    /// that do not end are cut off by `ping_interval`, since nothing may come between them. Default: 30 s.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "100ms"))]
    pub request_timeout: Duration,
    /// How many bytes of requests that are not handled yet one connection holds. Beyond that it may use what others do
    /// not need: half of `node_received_bytes`; then its requests are refused. Default: 32 MiB.
    #[serde(with = "SizeText")]
    #[schemars(range(min = MIB, max = TIB))]
    pub received_bytes: usize,
    /// The same for all connections. A quarter is kept for messages of at most 64 KiB. Default: 256 MiB.
    #[serde(with = "SizeText")]
    #[schemars(range(min = MIB, max = TIB))]
    pub node_received_bytes: usize,
    /// How many bytes of responses that its peer has not read one connection holds; then its calls wait until the peer
    /// reads. Default: 32 MiB.
    #[serde(with = "SizeText")]
    #[schemars(range(min = MIB, max = TIB))]
    pub answered_bytes: usize,
    /// The same for all connections; then responses are refused. A quarter is kept for messages of at most 64 KiB.
    /// Default: 256 MiB.
    #[serde(with = "SizeText")]
    #[schemars(range(min = MIB, max = TIB))]
    pub node_answered_bytes: usize,
    /// How many bytes the inputs, items and follow-ups of all running attempts take. Background work whose input does
    /// not fit in three quarters of it waits in the store; an item that does not fit is refused. An input that is
    /// larger runs alone. Default: 256 MiB.
    #[serde(with = "SizeText")]
    #[schemars(range(min = MIB, max = TIB))]
    pub node_running_bytes: usize,
    /// The largest OpenAPI document of the services that a caller may invoke (`GET /openapi.json`). Those that are kept
    /// for the next callers take about as much again. Default: 16 MiB.
    #[serde(with = "SizeText")]
    #[schemars(range(min = 64 * KIB, max = GIB))]
    pub openapi_bytes: usize,
    /// How long a response may wait for its peer to read before its stream is reset, or its connection over HTTP/1 is
    /// closed. A peer that reads less than 64 KiB in this time does not read. Default: 30 s.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "100ms"))]
    pub unread_timeout: Duration,
    /// How many CIDs one result stream may follow. Default: 100 000.
    #[schemars(range(min = 1))]
    pub stream_cids: usize,
    /// How many CIDs all result streams of one principal may follow. Default: 500 000.
    #[schemars(range(min = 1))]
    pub principal_stream_cids: usize,
    /// How many CIDs all result streams may follow. Default: 1 000 000.
    #[schemars(range(min = 1))]
    pub node_stream_cids: usize,
    /// How many invocations one request may cause: itself, its members, and the callbacks of all of them. Default:
    /// 100 000.
    #[schemars(range(min = 1))]
    pub caused_invocations: usize,
    /// How many invocations one request reads to count those that are pending for a reason which the store does not
    /// know: any but `HELD`. Default: 1 000 000.
    pub counted_invocations: usize,
    /// How many members a batch may have. Default: 10 000.
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// How many services may get the outcome of one invocation, or of a batch: as many callbacks, and as many failure
    /// callbacks. Default: 16.
    #[schemars(range(max = 1_000))]
    pub callbacks: usize,
    /// How many services may get the outcome of each member of a batch, besides the callbacks of the member itself.
    /// Default: 16.
    #[schemars(range(max = 1_000))]
    pub member_callbacks: usize,
    /// How many invocations one request that cancels, retries or purges selects, by a filter or by their CIDs. With a
    /// filter, the rest is for the next page. Default: 10 000.
    #[schemars(range(min = 1, max = 100_000))]
    pub filter_reach: usize,
    /// How many values one list of a filter may have. Default: 1 000.
    #[schemars(range(min = 1, max = MAX_FILTER_VALUES))]
    pub filter_values: usize,
    /// How many bytes a page of a list has, unless its only entry has more. Most clients receive messages of up to
    /// 4 MiB. Default: 3 MiB, which is the most.
    #[serde(with = "SizeText")]
    #[schemars(range(min = 64 * KIB, max = LIST_PAGE_BYTES))]
    pub list_page_bytes: usize,
    /// How many callers may watch the events of the node at once. Default: 100.
    #[schemars(range(max = 1_000_000))]
    pub event_watchers: usize,
    /// How many streams of `grpc.health.v1.Health/Watch` may be open at once. They need no credential: a quarter is
    /// kept for callers that have one, and for those on the machine. Default: 10 000.
    #[schemars(range(min = 4))]
    pub health_watches: usize,
    /// How many of them one connection may have. Default: 100.
    #[schemars(range(min = 1))]
    pub connection_health_watches: usize,
    /// How many dispatches a worker runs at once, unless its hello says otherwise. Default: 100.
    #[schemars(range(min = 1, max = MAX_HANDLERS))]
    pub worker_in_flight: usize,
    /// The lease: how long a worker that can resume may be disconnected before its dispatches are lost. Default: 20 s.
    #[serde(with = "DurationText")]
    pub worker_lease: Duration,
    /// How long new calls wait for a worker that is disconnected and may resume, counted from when its stream ended;
    /// after that they fail with `NO_WORKER`, unless another worker serves the service. Default: 1 s.
    #[serde(with = "DurationText")]
    pub away_wait: Duration,
    /// How many protocol errors a worker may make in a minute before its stream ends. Default: 100.
    #[schemars(range(min = 1))]
    pub worker_errors: usize,
    /// How many workers may be connected. Default: 10 000.
    pub workers: usize,
    /// How many of them one principal may have. Default: 5 000.
    #[schemars(range(min = 1))]
    pub principal_workers: usize,
    /// How many services that workers declared are remembered; `cidery service forget` removes one. Default: 100 000.
    #[schemars(range(min = 1))]
    pub services: usize,
    /// How many of them one principal may have announced first. Default: 50 000.
    #[schemars(range(min = 1))]
    pub principal_services: usize,
}

const DAY: Duration = Duration::from_hours(24);
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;
const TIB: usize = 1024 * GIB;

const METADATA_BYTES: usize = Metadata::MAX_BYTES;

/// More handlers than this never run at once, whatever the limits say.
pub(super) const MAX_HANDLERS: usize = 1 << 28;

impl Default for Limits {
    #[expect(clippy::too_many_lines, reason = "a line for each limit")]
    fn default() -> Self {
        let retries = RetryPolicy::default();
        Self {
            timeout: Duration::from_secs(30),
            attempt_timeout: Duration::from_mins(15),
            grace: Duration::from_secs(5),
            concurrency: 256,
            node_concurrency: 4_096,
            queue_length: 1_024,
            depth: 32,
            attempts: retries.max_attempts,
            backoff: retries.initial_interval,
            backoff_factor: retries.multiplier,
            max_backoff: retries.max_interval,
            min_backoff: RetryPolicy::MIN_INTERVAL,
            max_crashes: 5,
            pending: 1_000_000,
            node_pending: 10_000_000,
            retention: DAY,
            failure_retention: DAY * 14,
            tombstone_retention: DAY * 14,
            items: 10_000,
            item_bytes: 16 * MIB,
            progress_bytes: 64 * KIB,
            message_bytes: MAX_MESSAGE_BYTES,
            value_depth: MAX_DEPTH,
            value_keys: MAX_KEYS,
            metadata_bytes: Metadata::MAX_BYTES,
            principal_rate: None,
            principal_in_flight: None,
            principal_pending: None,
            principals: 100_000,
            service_limits: Vec::new(),
            connections: 10_000,
            connections_per_address: 2_500,
            streams: 10_000,
            control_frames: 10_000,
            pending_resets: 20,
            error_resets: 1_024,
            header_bytes: 64 * 1024,
            stream_window: 1024 * 1024,
            connection_window: 4 * 1024 * 1024,
            connection_age: Duration::from_hours(1),
            connection_age_grace: Duration::from_hours(1),
            tls_handshakes: 1_024,
            tls_handshake_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            received_bytes: 32 * MIB,
            node_received_bytes: 256 * MIB,
            answered_bytes: 32 * MIB,
            node_answered_bytes: 256 * MIB,
            node_running_bytes: 256 * MIB,
            openapi_bytes: 16 * MIB,
            unread_timeout: Duration::from_secs(30),
            stream_cids: 100_000,
            principal_stream_cids: 500_000,
            node_stream_cids: 1_000_000,
            caused_invocations: 100_000,
            counted_invocations: 1_000_000,
            batch: 10_000,
            callbacks: DurableOptions::MAX_CALLBACKS,
            member_callbacks: DurableOptions::MAX_CALLBACKS,
            filter_reach: 10_000,
            filter_values: 1_000,
            list_page_bytes: LIST_PAGE_BYTES,
            event_watchers: 100,
            health_watches: 10_000,
            connection_health_watches: 100,
            worker_in_flight: 100,
            worker_lease: Duration::from_secs(20),
            away_wait: Duration::from_secs(1),
            worker_errors: 100,
            workers: 10_000,
            principal_workers: 5_000,
            services: 100_000,
            principal_services: 50_000,
        }
    }
}

impl Limits {
    /// The retry policy of services that have none.
    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.attempts,
            initial_interval: self.backoff,
            multiplier: self.backoff_factor,
            max_interval: self.max_backoff,
        }
    }

    /// Checks the metadata of a call. Its input is checked where it is read.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `METADATA_TOO_LARGE`.
    #[inline]
    pub(crate) fn check_call(&self, call: &Call) -> Result<()> {
        match &call.metadata {
            Some(metadata) => metadata.check_within(self.metadata_bytes),
            None => Ok(()),
        }
    }

    /// Checks how deep a payload is nested, and how many keys it has, where the node allows less than the formats of
    /// values do: those are checked wherever a payload is read.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `VALUE_INVALID`; `DOCUMENT_MALFORMED`.
    #[inline]
    pub(crate) fn check_payload(&self, payload: &Payload) -> Result<()> {
        let limits = ValueLimits {
            depth: self.value_depth,
            keys: self.value_keys,
        };
        match limits.are_those_of_formats() {
            true => Ok(()),
            false => payload::check_within(payload, limits),
        }
    }

    /// Checks a reply of a handler.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `OUTPUT_INVALID`.
    #[inline]
    pub(crate) fn check_reply(&self, reply: &Reply) -> Result<()> {
        self.check_parts(reply).map_err(output_invalid)
    }

    /// A reply that [`check_reply`](Self::check_reply) accepts.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `OUTPUT_INVALID`.
    #[inline]
    pub(crate) fn checked_reply(&self, reply: Reply) -> Result<Reply> {
        self.check_reply(&reply).map(|()| reply)
    }

    /// As [`check_reply`](Self::check_reply), for a caller that gives the reply.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `METADATA_TOO_LARGE` or `VALUE_INVALID`.
    #[inline]
    pub(crate) fn check_parts(&self, reply: &Reply) -> Result<()> {
        reply.metadata.check_within(self.metadata_bytes)?;
        self.check_payload(&reply.payload)
    }

    /// Checks the encoded size of the value of a progress report.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `PROGRESS_TOO_LARGE`.
    pub(crate) fn check_progress(&self, bytes: usize) -> Result<()> {
        let limit = self.progress_bytes;
        if bytes <= limit {
            return Ok(());
        }
        let message = format!("the value of the progress has {bytes} bytes; the limit is {limit}");
        let error = Error::resource_exhausted(reason::PROGRESS_TOO_LARGE, message);
        Err(error
            .with_retryable(false)
            .with_info("progress_bytes", limit))
    }
}
