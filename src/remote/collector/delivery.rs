//! Takes spans from the queue and sends them in batches. A batch that the collector cannot take now is sent again, with
//! pauses, while the queue fills up behind it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::options::{CollectorOptions, Headers};
use super::queue::Queue;
use super::spans::{request_of, resource_of};
use crate::codec::proto::otlp::collector::trace::v1::ExportTraceServiceRequest;
use crate::codec::proto::otlp::collector::trace::v1::trace_service_client::TraceServiceClient;
use crate::codec::proto::otlp::resource::v1::Resource;
use crate::engine::log_limit::LogLimit;
use crate::engine::trace::{SpanData, SpanExporter as _};
use crate::model::error::Result;
use crate::model::id::truncated;
use crate::remote::protocol::backoff::Backoff;
use crate::remote::protocol::endpoint::lazy_channel;

/// The most spans of a request.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the collector may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause before a batch is sent again.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Sends spans until it is stopped.
pub(super) struct Delivery {
    spans: mpsc::Receiver<SpanData>,
    queue: Arc<Queue>,
    client: TraceServiceClient<Channel>,
    headers: Headers,
    resource: Resource,
    stop: CancellationToken,
    losses: Losses,
}

impl Delivery {
    pub(super) fn new(
        options: &CollectorOptions,
        spans: mpsc::Receiver<SpanData>,
        queue: Arc<Queue>,
        stop: CancellationToken,
    ) -> Result<Self> {
        let channel = lazy_channel(&options.endpoint, options.tls.clone())?;
        Ok(Self {
            spans,
            queue,
            client: TraceServiceClient::new(channel),
            headers: options.headers.clone(),
            resource: resource_of(&options.resource),
            stop,
            losses: Losses::new(&options.endpoint),
        })
    }

    pub(super) async fn run(mut self) {
        loop {
            let batch = self.next_batch().await;
            if batch.is_empty() {
                return;
            }
            self.deliver(batch).await;
            self.losses.report(self.queue.dropped());
        }
    }

    /// The next batch. Empty once it is stopped and nothing is left.
    async fn next_batch(&mut self) -> Vec<SpanData> {
        let mut batch = Vec::new();
        let first = tokio::select! {
            biased;
            first = self.spans.recv_many(&mut batch, BATCH) => first,
            () = self.stop.cancelled() => {
                self.spans.close();
                self.spans.recv_many(&mut batch, BATCH).await
            }
        };
        let until = Instant::now() + INTERVAL;
        while first > 0 && batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                biased;
                more = self.spans.recv_many(&mut batch, room) => if more == 0 { break },
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep_until(until) => break,
            }
        }
        batch
    }

    /// Sends a batch until the collector takes it, or refuses it for good. Once it is stopped, it is sent once more.
    async fn deliver(&mut self, batch: Vec<SpanData>) {
        let count = batch.len();
        let request = request_of(batch, &self.resource);
        let mut backoff = Backoff::new(MAX_PAUSE);
        loop {
            let is_last = self.stop.is_cancelled();
            let Err(status) = self.send(&request).await else {
                return;
            };
            if is_last || !is_worth_repeating(&status) {
                self.queue.drop_spans(count);
                return self.losses.failed(&status, self.queue.dropped());
            }
            self.losses.failed(&status, self.queue.dropped());
            tokio::select! {
                () = tokio::time::sleep(backoff.next_delay()) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    async fn send(&mut self, request: &ExportTraceServiceRequest) -> Result<(), Status> {
        let mut request = Request::new(request.clone());
        self.headers.add_to(&mut request);
        request.set_timeout(TIMEOUT);
        let sent = tokio::time::timeout(TIMEOUT, self.client.export(request)).await;
        let sent = sent.map_err(|_| Status::deadline_exceeded("no answer within 10 s"))?;
        let refused = sent?.into_inner().partial_success.unwrap_or_default();
        if let Ok(count @ 1..) = usize::try_from(refused.rejected_spans) {
            self.queue.drop_spans(count);
            let status = Status::invalid_argument(refused.error_message);
            self.losses.failed(&status, self.queue.dropped());
        }
        Ok(())
    }
}

/// Whether the collector may take the same spans later. By the specification of OTLP, and where the connection was lost
/// in a way that has no code of its own.
fn is_worth_repeating(status: &Status) -> bool {
    match status.code() {
        Code::Aborted
        | Code::Cancelled
        | Code::DataLoss
        | Code::DeadlineExceeded
        | Code::OutOfRange
        | Code::Unavailable
        | Code::Unknown => true,
        // Only where it says when.
        Code::ResourceExhausted => !status.details().is_empty(),
        Code::Ok
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Internal
        | Code::InvalidArgument
        | Code::NotFound
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented => false,
    }
}

/// Tells of spans that are not delivered, once a minute.
#[derive(Debug)]
struct Losses {
    collector: String,
    log: LogLimit,
    reported: u64,
}

impl Losses {
    fn new(collector: &str) -> Self {
        Self {
            collector: collector.to_owned(),
            log: LogLimit::default(),
            reported: 0,
        }
    }

    /// A batch failed; so many spans were dropped in all.
    fn failed(&mut self, status: &Status, dropped: u64) {
        let code = format!("{:?}", status.code());
        if self.log.is_due(&code, Instant::now()).is_some() {
            let error = truncated(status.message());
            tracing::warn!(
                collector = self.collector,
                code,
                error,
                dropped,
                "spans are not delivered"
            );
            self.reported = dropped;
        }
    }

    /// So many spans were dropped in all.
    fn report(&mut self, dropped: u64) {
        if dropped > self.reported && self.log.is_due("dropped", Instant::now()).is_some() {
            tracing::warn!(
                collector = self.collector,
                dropped,
                "spans were dropped: they were not delivered in time"
            );
            self.reported = dropped;
        }
    }
}
