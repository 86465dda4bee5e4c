//! A collector of traces: spans are sent to it over OTLP, from a queue. One that is away, or slow, costs spans and
//! nothing else.

mod delivery;
mod options;
mod queue;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::delivery::Delivery;
pub(crate) use self::options::{CollectorOptions, Headers};
use self::queue::Queue;
use crate::engine::trace::SpanExporter;
use crate::model::error::Result;
use crate::service::runtime::Tasks;

/// How long what is queued may take to be sent when the node stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The connection to a collector.
#[derive(Debug)]
pub(crate) struct Collector {
    queue: Arc<Queue>,
    stop: CancellationToken,
    tasks: Tasks,
}

impl Collector {
    /// Begins to send spans. It connects with the first one.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for an address, or files of TLS, that cannot be used.
    pub(crate) fn start(options: &CollectorOptions) -> Result<Self> {
        let (stop, tasks) = (CancellationToken::new(), Tasks::new());
        let (queue, spans) = Queue::new();
        let queue = Arc::new(queue);
        let delivery = Delivery::new(options, spans, Arc::clone(&queue), stop.clone())?;
        tasks.spawn("traces", delivery.run());
        Ok(Self { queue, stop, tasks })
    }

    /// Where spans are handed over.
    pub(crate) fn exporter(&self) -> Arc<dyn SpanExporter> {
        Arc::clone(&self.queue) as Arc<dyn SpanExporter>
    }

    /// Sends what is queued, within three seconds, and stops.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(FLUSH_TIMEOUT, self.tasks.finished())
            .await
            .is_err()
        {
            tracing::warn!("the collector of traces did not take the last spans in time");
        }
    }
}
