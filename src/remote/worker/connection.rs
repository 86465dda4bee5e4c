//! The connection of a worker to its node: connect, send a hello, receive messages, reconnect with backoff. Its
//! keep-alive (HTTP/2 PING heartbeat) detects a frozen node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::outage::Outage;
use super::session::NodeSession;
use super::sessions::Sessions;
use super::stream::{NodeStream, NodeStreamEnd};
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message;
use crate::codec::proto::v1::serve_response::Message as Inbound;
use crate::codec::proto::v1::worker_service_client::WorkerServiceClient;
use crate::codec::status::from_status;
use crate::model::error::{Error, Kind, Result, reason};
use crate::remote::protocol::backoff::Backoff;
use crate::remote::protocol::batching::Batcher;
use crate::remote::protocol::credential::ClientCredential;
use crate::remote::protocol::endpoint::NodeEndpoint;
use crate::remote::protocol::messages::to_node;

const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest backoff before a reconnect.
const MAX_RECONNECT_BACKOFF: Duration = Duration::from_secs(5);

/// The answer of the node to the first hello: a welcome, or an error.
pub(super) type FirstAnswerSender = watch::Sender<Option<Result<()>>>;

/// The connection to a node, re-established whenever it breaks.
#[derive(Debug)]
pub(super) struct Connection {
    endpoint: NodeEndpoint,
    hello: v1::Hello,
    sessions: Arc<Sessions>,
    credential: Option<ClientCredential>,
}

impl Connection {
    pub(super) fn new(
        endpoint: NodeEndpoint,
        hello: v1::Hello,
        sessions: Arc<Sessions>,
        credential: Option<ClientCredential>,
    ) -> Self {
        Self {
            // PINGs are sent without an open stream too.
            endpoint: endpoint.keep_alive_while_idle(),
            hello,
            sessions,
            credential,
        }
    }

    pub(super) fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Serves until the worker stops. The first answer of the node goes to `first_answer`. Where no node can be reached
    /// until `give_up_at`, that is the answer.
    pub(super) async fn serve(self, first_answer: &FirstAnswerSender, give_up_at: Option<Instant>) {
        let shared = self.sessions.shared();
        let closed = shared.closed();
        let mut backoff = Backoff::new(MAX_RECONNECT_BACKOFF);
        let mut outage = Outage::new(self.endpoint.authority().to_owned());
        while !closed.is_cancelled() {
            let session = self.sessions.current();
            if shared.is_draining() && session.is_empty() {
                // A worker that drains does not reconnect without need.
                closed.cancelled().await;
                break;
            }
            match self.connect(&session).await {
                Some(Ok(mut stream)) => {
                    first_answer.send_replace(Some(Ok(())));
                    backoff.reset();
                    outage.connected(&session.worker_id());
                    match self.receive(&session, &mut stream).await {
                        NodeStreamEnd::NodeStopping => self.detach(session, stream),
                        NodeStreamEnd::Broken => session.disconnect(),
                        NodeStreamEnd::Ended => session.abandon(),
                    }
                }
                Some(Err(error))
                    if first_answer.borrow().is_none() && is_final(&error, give_up_at) =>
                {
                    first_answer.send_replace(Some(Err(error)));
                    break;
                }
                Some(Err(error)) => {
                    outage.failed(&error);
                    // The node refuses to resume it. Files of the worker that cannot be read say nothing about that.
                    if error.kind() == Kind::InvalidArgument
                        && error.reason() != reason::TLS_INVALID
                    {
                        session.abandon();
                    }
                }
                None => break,
            }
            let next = Instant::now() + backoff.next_delay();
            let last = give_up_at.filter(|_| first_answer.borrow().is_none());
            tokio::select! {
                () = closed.cancelled() => {}
                () = tokio::time::sleep_until(last.map_or(next, |last| next.min(last))) => {}
                // A node that replaces the stopped one is up soon.
                () = self.sessions.detached_ended() => backoff.reset(),
            }
        }
        self.sessions.wait_detached().await;
    }

    /// Receives until the stream ends, or its node stops and the session can be detached.
    async fn receive(&self, session: &Arc<NodeSession>, stream: &mut NodeStream) -> NodeStreamEnd {
        let mut end = stream.receive(session).await;
        while end == NodeStreamEnd::NodeStopping {
            if !self.sessions.shared().is_draining() && self.sessions.detach() {
                return end;
            }
            tokio::select! {
                ended = stream.receive_to_end(session) => end = ended,
                () = self.sessions.detached_ended() => {}
            }
        }
        end
    }

    /// Continues a detached session in a task of its own, until its stream ends.
    fn detach(&self, session: Arc<NodeSession>, mut stream: NodeStream) {
        let sessions = Arc::clone(&self.sessions);
        self.sessions
            .shared()
            .tasks()
            .spawn("detached", async move {
                stream.receive_to_end(&session).await;
                sessions.remove(&session);
            });
    }

    /// Opens a stream and sends a hello; `None` where the worker is closed meanwhile.
    async fn connect(&self, session: &NodeSession) -> Option<Result<NodeStream>> {
        tokio::select! {
            connected = self.send_hello(session) => Some(connected),
            () = self.sessions.shared().closed().cancelled() => None,
        }
    }

    async fn send_hello(&self, session: &NodeSession) -> Result<NodeStream> {
        let channel = self.endpoint.connect().await?;
        let channel = channel.with_credential(self.credential.clone());
        let _guard = session.await_welcome();
        let (outbox, receiver) = mpsc::unbounded_channel();
        // Enabled once the node has announced `CAPABILITY_BATCHING`.
        let is_batching = Arc::new(AtomicBool::new(false));
        let _ = outbox.send(to_node(Message::Hello(session.hello(&self.hello))));
        let limit = usize::try_from(self.hello.max_message_bytes).unwrap_or(usize::MAX);
        let mut stub = WorkerServiceClient::new(channel.clone())
            .max_decoding_message_size(limit)
            .max_encoding_message_size(usize::MAX);
        let connect = async {
            let outbound = Batcher::new(receiver, Arc::clone(&is_batching)).with_gathering();
            let response = stub.serve(outbound).await;
            let response = response.map_err(|status| from_status(&status))?;
            let mut inbound = response.into_inner();
            let first = inbound.message().await;
            let first = first.map_err(|status| from_status(&status))?;
            match first.and_then(|first| first.message) {
                Some(Inbound::Welcome(welcome)) => Ok((inbound, welcome)),
                _ => {
                    let message = "the node did not welcome the worker";
                    Err(Error::internal(reason::TRANSPORT, message))
                }
            }
        };
        let connected = tokio::time::timeout(WELCOME_TIMEOUT, connect).await;
        let (inbound, welcome) = connected.unwrap_or_else(|_| {
            let timeout = WELCOME_TIMEOUT.as_secs();
            let message = format!("the node did not welcome the worker within {timeout} s");
            Err(Error::unavailable(reason::CONNECT_FAILED, message))
        })?;
        let takes_batches = welcome
            .capabilities()
            .any(|capability| capability == v1::Capability::Batching);
        is_batching.store(takes_batches, Ordering::Relaxed);
        session.connect(welcome, outbox);
        Ok(NodeStream::new(channel, inbound))
    }
}

/// Whether the first failure to connect is the answer: the node refuses the worker, or the time to wait for it is over.
fn is_final(error: &Error, give_up_at: Option<Instant>) -> bool {
    let is_away = error.kind() == Kind::Unavailable || error.reason() == reason::TRANSPORT;
    !is_away || give_up_at.is_some_and(|end| end <= Instant::now())
}
