//! The stream of a worker, from the worker's side: made, listened to, made again whenever it breaks, and beside the one
//! of a node that stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use super::dispatch::handle;
use super::session::{Session, request};
use super::shared::Shared;
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message;
use crate::codec::proto::v1::serve_response::Message as Said;
use crate::codec::proto::v1::worker_service_client::WorkerServiceClient;
use crate::codec::status::from_status;
use crate::model::error::{Error, Result, reason};
use crate::remote::several::Waiting;

/// How long to wait for a connection, and for the node's welcome.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/2 PING: how often, and how long the answer may take.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The wait before the first repeat of a connection, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Whether the node has welcomed the worker, or what it said instead.
type Welcome = watch::Sender<Option<Result<()>>>;

/// The stream, made again whenever it breaks.
#[derive(Debug)]
pub(super) struct Line {
    endpoint: Endpoint,
    hello: v1::Hello,
    shared: Arc<Shared>,
}

impl Line {
    pub(super) fn new(node: &str, hello: v1::Hello, shared: Arc<Shared>) -> Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{node}")).map_err(|error| {
            let message = format!("`{node}` is not an address: use host:port");
            Error::invalid_argument(reason::REQUEST_INVALID, message).with_source(error)
        })?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true);
        Ok(Self {
            endpoint,
            hello,
            shared,
        })
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Serves until the worker stops. What the node says to the first hello goes to `welcome`.
    pub(super) async fn serve(self, welcome: &Welcome) {
        let closed = self.shared.closed();
        let mut pause = FIRST_PAUSE;
        while !closed.is_cancelled() {
            let session = self.shared.current();
            if self.shared.is_draining() && session.has_nothing() {
                // Whoever stops says hello to nobody.
                closed.cancelled().await;
                break;
            }
            match self.connect(&session).await {
                Some(Ok(mut stream)) => {
                    welcome.send_replace(Some(Ok(())));
                    pause = FIRST_PAUSE;
                    match self.listen(&session, &mut stream).await {
                        Heard::NodeStops => part(session, stream),
                        Heard::Broken => session.hang_up(),
                        Heard::TheEnd => session.give_up(),
                    }
                }
                Some(Err(error)) if welcome.borrow().is_none() => {
                    welcome.send_replace(Some(Err(error)));
                    break;
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "the worker is not connected; trying again");
                }
                None => break,
            }
            tokio::select! {
                () = closed.cancelled() => {}
                () = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)) => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                // A node that was restarted in its place is there soon.
                () = self.shared.parted() => pause = FIRST_PAUSE,
            }
        }
        self.shared.parts_are_over().await;
    }

    /// Listens until the stream is over, or its node stops and another session has taken its place.
    async fn listen(&self, session: &Arc<Session>, stream: &mut Stream) -> Heard {
        let mut heard = stream.listen(session).await;
        while heard == Heard::NodeStops {
            if !self.shared.is_draining() && self.shared.part() {
                return heard;
            }
            tokio::select! {
                over = stream.listen_on(session) => heard = over,
                () = self.shared.parted() => {}
            }
        }
        heard
    }

    /// Makes a stream, and says hello; `None` where the worker stops meanwhile.
    async fn connect(&self, session: &Session) -> Option<Result<Stream>> {
        tokio::select! {
            connected = self.dial(session) => Some(connected),
            () = self.shared.closed().cancelled() => None,
        }
    }

    async fn dial(&self, session: &Session) -> Result<Stream> {
        let channel = self.endpoint.connect().await.map_err(|error| {
            let message = format!("cannot reach a node at {}", self.endpoint.uri());
            Error::unavailable(reason::CONNECT_FAILED, message).with_source(error)
        })?;
        let _greeting = session.greet();
        let (outbox, outgoing) = mpsc::unbounded_channel();
        // Once the node says that it reads them.
        let several = Arc::new(AtomicBool::new(false));
        let _ = outbox.send(request(Message::Hello(session.hello_again(&self.hello))));
        let limit = usize::try_from(self.hello.max_message_bytes).unwrap_or(usize::MAX);
        let mut stub = WorkerServiceClient::new(channel.clone())
            .max_decoding_message_size(limit)
            .max_encoding_message_size(usize::MAX);
        let connect = async {
            let outgoing = Waiting::new(outgoing, Arc::clone(&several));
            let stream = stub.serve(outgoing).await;
            let mut said = stream.map_err(|status| from_status(&status))?.into_inner();
            let first = said
                .message()
                .await
                .map_err(|status| from_status(&status))?;
            match first.and_then(|first| first.message) {
                Some(Said::Welcome(welcome)) => Ok((said, welcome)),
                _ => {
                    let message = "the node did not welcome the worker";
                    Err(Error::internal(reason::TRANSPORT, message))
                }
            }
        };
        let connected = tokio::time::timeout(WELCOME_TIMEOUT, connect).await;
        let (said, welcome) = connected.unwrap_or_else(|_| {
            let message = "the node did not welcome the worker in time";
            Err(Error::unavailable(reason::CONNECT_FAILED, message))
        })?;
        let reads_several = welcome
            .capabilities()
            .any(|one| one == v1::Capability::Several);
        several.store(reads_several, Ordering::Relaxed);
        session.take_up(welcome, outbox);
        Ok(Stream { channel, said })
    }
}

/// Goes on with a session whose node stops, until the stream is over: the node takes no other one.
fn part(session: Arc<Session>, mut stream: Stream) {
    let shared = Arc::clone(session.shared());
    let tasks = shared.tasks().clone();
    tasks.spawn("parting", async move {
        stream.listen_on(&session).await;
        shared.forget(&session);
    });
}

/// Whether it was not a node that answered so.
fn is_away(error: &Error) -> bool {
    [reason::CONNECT_FAILED, reason::TRANSPORT].contains(&error.reason())
}

/// What a stream said at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// The node has ended it, and the session with it.
    TheEnd,
    /// It broke, and the node may know the session still.
    Broken,
    /// Its node stops, and ends it when what it handed over has ended.
    NodeStops,
}

/// A stream from a node.
#[derive(Debug)]
struct Stream {
    channel: Channel,
    said: Streaming<v1::ServeResponse>,
}

impl Stream {
    /// Does what the node says, until the stream ends or the node says that it stops.
    async fn listen(&mut self, session: &Arc<Session>) -> Heard {
        let closed = session.shared().closed();
        loop {
            let message = tokio::select! {
                message = self.said.message() => message,
                // Its end is read, so that the node has all that was sent.
                () = closed.cancelled() => {
                    session.hang_up();
                    let rest = async { while let Ok(Some(_)) = self.said.message().await {} };
                    let _ = tokio::time::timeout(CONNECT_TIMEOUT, rest).await;
                    return Heard::TheEnd;
                }
            };
            match message {
                Ok(Some(message)) => {
                    for dispatch in message.dispatches {
                        handle(session, self.channel.clone(), Box::new(dispatch));
                    }
                    if let Some(Said::Drain(_)) = message.message {
                        tracing::info!("the node stops: the worker looks for it again");
                        return Heard::NodeStops;
                    }
                    self.hear(session, message.message);
                }
                Ok(None) => {
                    tracing::warn!("the worker's stream broke");
                    return Heard::Broken;
                }
                Err(status) => {
                    let error = from_status(&status);
                    tracing::warn!(%error, "the worker's stream has ended");
                    return match is_away(&error) {
                        true => Heard::Broken,
                        false => Heard::TheEnd,
                    };
                }
            }
        }
    }

    /// Does what the node says, until the stream ends.
    async fn listen_on(&mut self, session: &Arc<Session>) -> Heard {
        loop {
            match self.listen(session).await {
                Heard::NodeStops => {}
                over => return over,
            }
        }
    }

    fn hear(&self, session: &Arc<Session>, message: Option<Said>) {
        match message {
            Some(Said::Dispatch(dispatch)) => handle(session, self.channel.clone(), dispatch),
            Some(Said::Cancel(cancel)) => session.cancel(&cancel.token),
            Some(Said::Received(received)) => session.forget_results(&received.tokens),
            Some(Said::Refused(refused)) => {
                session.forget_results(&[refused.token]);
                let failure = refused.failure.unwrap_or_default();
                tracing::warn!(
                    reason = failure.reason,
                    "the node refused something: {}",
                    failure.message
                );
            }
            Some(Said::Drained(_)) => session.note_drained(),
            Some(Said::Drain(_) | Said::Welcome(_)) | None => {}
        }
    }
}
