//! `cidery.v1.WorkerService`: the streams of workers.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tonic::{Request, Response, Status, Streaming};

use super::request::into_status;
use crate::codec::convert::{PayloadOneof as _, progress_from_proto};
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message;
use crate::codec::proto::v1::worker_service_server::WorkerService;
use crate::engine::Invoker;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::payload::{Format, Payload};
use crate::remote::hub::{Connected, Workers};
use crate::remote::session::{Outgoing, Session};
use crate::remote::several::{Rhythm, Waiting};

/// How long a worker has to say who it is.
const HELLO: Duration = Duration::from_secs(10);
/// How often a worker is looked after: results are acknowledged, and what is overdue is found.
const TICK: Duration = Duration::from_secs(1);
/// How often the node shows that it is alive, for proxies that cut silent streams.
const ALIVE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
pub(super) struct WorkerApi {
    invoker: Invoker,
    workers: Workers,
}

impl WorkerApi {
    pub(super) fn new(invoker: Invoker, workers: Workers) -> Self {
        Self { invoker, workers }
    }

    async fn hello(&self, said: &mut Streaming<v1::ServeRequest>) -> Result<v1::Hello> {
        let first = tokio::time::timeout(HELLO, said.message()).await;
        let message = match first {
            Ok(Ok(Some(first))) => first.message,
            Ok(Ok(None)) => None,
            Ok(Err(status)) => {
                let message = format!("the hello cannot be read: {}", status.message());
                return Err(Error::invalid_argument(reason::MALFORMED_MESSAGE, message));
            }
            Err(_) => {
                let message = format!("no hello came within {} s", HELLO.as_secs());
                return Err(Error::deadline_exceeded(
                    reason::REQUEST_INCOMPLETE,
                    message,
                ));
            }
        };
        match message {
            Some(Message::Hello(hello)) => Ok(hello),
            _ => {
                let message = "comes first: it says who the worker is and what it serves";
                let violation = Violation::new("/hello", "MISSING", message);
                Err(Error::violations(reason::REQUEST_INVALID, vec![violation]))
            }
        }
    }
}

/// Listens to a worker until its stream ends.
async fn listen(
    workers: Workers,
    invoker: Invoker,
    session: Arc<Session>,
    stream: u64,
    mut said: Streaming<v1::ServeRequest>,
    rhythm: Arc<Rhythm>,
) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut alive = Instant::now();
    let mut closing = pin!(invoker.closing().cancelled());
    let resumable = loop {
        tokio::select! {
            message = said.message() => match message {
                Ok(Some(message)) => {
                    for result in message.results {
                        session.result(result);
                    }
                    hear(&workers, &session, message.message).await;
                    rhythm.answered();
                }
                // Read like this is a stream that was reset as well: who leaves as it should has said so before.
                Ok(None) => break !(session.is_draining() && session.is_idle()),
                Err(status) => {
                    tracing::debug!(worker.id = session.id(), %status, "a worker's stream broke");
                    break true;
                }
            },
            _ = tick.tick() => {
                session.catch_up();
                if session.is_stuck() {
                    let message = "all that the worker has is overdue: it does not stop when it is asked to";
                    workers.end(&session, Some(Error::aborted(reason::WORKER_LOST, message)));
                    return;
                }
                if alive.elapsed() >= ALIVE {
                    alive = Instant::now();
                    session.alive();
                }
            }
            () = &mut closing => {
                let message = "the node is stopping";
                session.acknowledge();
                workers.end(&session, Some(Error::unavailable(reason::NODE_STOPPING, message)));
                return;
            }
        }
    };
    workers.left(&session, stream, resumable);
}

/// Does what a worker says.
async fn hear(workers: &Workers, session: &Arc<Session>, message: Option<Message>) {
    match message {
        Some(Message::Result(result)) => session.result(*result),
        Some(Message::Progress(progress)) => {
            let read = progress.progress.map(progress_from_proto).transpose();
            match (session.context_of(&progress.token), read) {
                (Some(context), Ok(Some(shown))) => context.progress(shown),
                (_, Err(error)) => session.refuse(&progress.token, error.message()),
                (None, _) => {
                    session.refuse(&progress.token, "the dispatch has ended: its token is void")
                }
                (Some(_), Ok(None)) => {}
            }
        }
        Some(Message::Item(item)) => match session.item(&item) {
            Some((_, false)) => {}
            Some((context, true)) => {
                let payload = item.item.and_then(|item| item.into_payload(Format::Dict));
                let emitted = match payload {
                    Some(payload) => emit(&context, payload).await,
                    None => Ok(()),
                };
                if let Err(error) = emitted {
                    session.refuse(&item.token, error.message());
                }
            }
            None => session.refuse(&item.token, "the dispatch has ended: its token is void"),
        },
        Some(Message::HandBack(back)) => session.handed_back(&back.tokens),
        Some(Message::Drain(_)) => {
            workers.drain(session);
            session.acknowledge();
        }
        Some(Message::Hello(_)) => {
            let message = "a worker says hello once";
            let error = Error::failed_precondition(reason::WORKER_REFUSED, message);
            workers.end(session, Some(error));
        }
        // A message of a later version.
        None => {}
    }
}

async fn emit(context: &crate::service::Context, item: Payload) -> Result<()> {
    crate::codec::payload::scan(&item)?;
    context.emit(item).await
}

#[tonic::async_trait]
impl WorkerService for WorkerApi {
    type ServeStream = Waiting<Outgoing>;

    async fn serve(
        &self,
        request: Request<Streaming<v1::ServeRequest>>,
    ) -> Result<Response<Waiting<Outgoing>>, Status> {
        let peer = request
            .extensions()
            .get::<std::net::SocketAddr>()
            .map(ToString::to_string);
        let mut said = request.into_inner();
        let hello = into_status(self.hello(&mut said).await)?;
        let joined = self.workers.join(hello, peer.unwrap_or_default()).await;
        let Connected {
            session,
            stream,
            outgoing,
            rhythm,
        } = into_status(joined)?;
        let (workers, invoker) = (self.workers.clone(), self.invoker.clone());
        let listens = listen(workers, invoker, session, stream, said, rhythm);
        self.invoker.tasks().spawn("worker", listens);
        Ok(Response::new(outgoing))
    }
}
