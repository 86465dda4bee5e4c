//! The worker streams of the scripted node, which the script accepts or refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status, Streaming};

use crate::codec::proto::v1;
use crate::codec::proto::v1::worker_service_server::WorkerService;
use crate::codec::status::to_status;
use crate::model::error::{Error, reason};
use crate::remote::protocol::messages::Outbound;

/// The most streams that wait for the script.
const MAX_DIALS: usize = 64;
/// How long the worker has to send its hello, as in a node.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// A stream that the worker has opened, and that the script accepts or refuses.
#[derive(Debug)]
pub(super) struct Dial {
    /// The first message, or what came instead.
    pub(super) first: Result<v1::ServeRequest, String>,
    pub(super) inbound: Streaming<v1::ServeRequest>,
    /// Cuts the connection of the stream.
    pub(super) cut: CancellationToken,
    pub(super) answer: oneshot::Sender<Result<mpsc::Receiver<Outbound>, Status>>,
}

/// Where the script receives streams.
#[derive(Debug)]
pub(crate) struct Port {
    dials: mpsc::Receiver<Dial>,
    missed_pings: Arc<AtomicUsize>,
}

impl Port {
    /// A port, and the service that passes streams to it.
    pub(crate) fn new() -> (Self, DialService) {
        let (to_script, dials) = mpsc::channel(MAX_DIALS);
        let missed_pings = Arc::<AtomicUsize>::default();
        let service = DialService {
            dials: to_script,
            missed_pings: Arc::clone(&missed_pings),
        };
        let port = Self {
            dials,
            missed_pings,
        };
        (port, service)
    }

    /// Waits for the next stream; `None` where none is opened in time.
    pub(super) async fn next_dial(&mut self, timeout: Duration) -> Option<Dial> {
        let next = async {
            while let Some(dial) = self.dials.recv().await {
                // The worker may have given up already.
                if !dial.answer.is_closed() {
                    return Some(dial);
                }
            }
            None
        };
        tokio::time::timeout(timeout, next).await.ok().flatten()
    }

    /// The number of connections that ended because a PING was not answered.
    pub(super) fn missed_pings(&self) -> usize {
        self.missed_pings.load(Ordering::Acquire)
    }
}

/// Passes worker streams to the script. The token that cuts the connection of a stream is an extension of its request.
#[derive(Clone, Debug)]
pub(crate) struct DialService {
    dials: mpsc::Sender<Dial>,
    missed_pings: Arc<AtomicUsize>,
}

impl DialService {
    /// Records a connection that ended because a PING was not answered.
    pub(crate) fn record_missed_ping(&self) {
        self.missed_pings.fetch_add(1, Ordering::AcqRel);
    }
}

#[tonic::async_trait]
impl WorkerService for DialService {
    type ServeStream = ReceiverStream<Outbound>;

    /// Like a node, it answers only once the hello has arrived.
    async fn serve(
        &self,
        request: tonic::Request<Streaming<v1::ServeRequest>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        let cut = request.extensions().get::<CancellationToken>().cloned();
        let mut inbound = request.into_inner();
        let first = tokio::time::timeout(HELLO_TIMEOUT, inbound.message()).await;
        let first = match first {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err("the stream ended without a message".to_owned()),
            Ok(Err(status)) => Err(format!("the stream broke: {}", status.message())),
            Err(_) => Err(format!("no message within {} s", HELLO_TIMEOUT.as_secs())),
        };
        let (answer, answered) = oneshot::channel();
        let dial = Dial {
            first,
            inbound,
            cut: cut.unwrap_or_default(),
            answer,
        };
        self.dials.try_send(dial).map_err(|_| ended())?;
        let outbound = answered.await.map_err(|_| ended())??;
        Ok(Response::new(ReceiverStream::new(outbound)))
    }
}

fn ended() -> Status {
    let message = "the run has ended, or has too many streams";
    to_status(&Error::unavailable(reason::NODE_STOPPING, message))
}
