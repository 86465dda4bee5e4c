//! The state of a run: the worker, its current stream, and its session.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::Status;

use super::dispatches::sample_dispatch;
use super::port::{Dial, Port};
use super::report::{Fault, Stop};
use super::rules;
use super::stream::WorkerStream;
use crate::codec::convert::duration_to_proto;
use crate::codec::proto::v1;
use crate::codec::proto::v1::Capability;
use crate::codec::proto::v1::serve_request::Message as FromWorker;
use crate::codec::proto::v1::serve_response::Message;
use crate::codec::status::to_status;
use crate::model::error::Error;
use crate::model::token::Token;
use crate::remote::protocol::messages::to_worker;
use crate::service::Definition;

/// The lease that the worker is told: the default of a node.
const LEASE: Duration = Duration::from_secs(20);
/// The most dispatches at the same time, however many the worker accepts.
const MAX_IN_FLIGHT: usize = 1_000;
/// The number of dispatches that a worker accepts if it names none.
const DEFAULT_IN_FLIGHT: usize = 100;
/// The message limit of a worker that names none, 4 MiB.
const DEFAULT_MESSAGE_BYTES: usize = 4 << 20;

/// A run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) port: Port,
    /// How long each step may take.
    pub(super) timeout: Duration,
    /// The services that are called.
    pub(super) definitions: Vec<Arc<Definition>>,
    /// A service whose result was right, for the checks that need any.
    pub(super) probe: Option<Arc<Definition>>,
    hello: v1::Hello,
    session: String,
    stream: Option<WorkerStream>,
    /// The worker did not connect again in time: it is not waited for once more.
    is_gone: bool,
}

impl Run {
    pub(super) fn new(port: Port, timeout: Duration) -> Self {
        Self {
            port,
            timeout,
            definitions: Vec::new(),
            probe: None,
            hello: v1::Hello::default(),
            session: String::new(),
            stream: None,
            is_gone: false,
        }
    }

    pub(super) fn set_hello(&mut self, hello: v1::Hello) {
        self.hello = hello;
    }

    /// A field in which a hello that resumes must be the first one, and is not.
    pub(super) fn changed_field(&self, hello: &v1::Hello) -> Option<&'static str> {
        let first = &self.hello;
        let fields = [
            ("services", hello.services == first.services),
            ("capabilities", hello.capabilities == first.capabilities),
            ("max_in_flight", hello.max_in_flight == first.max_in_flight),
            (
                "max_message_bytes",
                hello.max_message_bytes == first.max_message_bytes,
            ),
        ];
        let mut changed = fields.into_iter().filter(|(_, is_same)| !is_same);
        changed.next().map(|(name, _)| name)
    }

    pub(super) fn has(&self, capability: Capability) -> bool {
        self.hello.capabilities.contains(&capability.into())
    }

    /// Leaves a check out where the worker lacks a capability.
    pub(super) fn need(&self, capability: Capability) -> Result<(), Stop> {
        if self.has(capability) {
            return Ok(());
        }
        let why = format!("needs {}", capability.as_str_name());
        Err(Stop::LeftOut(why))
    }

    /// The number of dispatches to have at the worker at the same time.
    pub(super) fn in_flight(&self) -> usize {
        self.announced_in_flight().min(MAX_IN_FLIGHT)
    }

    /// The number of dispatches that the worker accepts at the same time.
    pub(super) fn announced_in_flight(&self) -> usize {
        or_default(self.hello.max_in_flight, DEFAULT_IN_FLIGHT)
    }

    pub(super) fn max_message_bytes(&self) -> usize {
        or_default(self.hello.max_message_bytes, DEFAULT_MESSAGE_BYTES)
    }

    /// The service for checks that need any.
    pub(super) fn probe(&self) -> Result<Arc<Definition>, Stop> {
        let none = || Stop::LeftOut("no service answered its dispatch as it should".to_owned());
        self.probe.clone().ok_or_else(none)
    }

    /// A dispatch for the checks that need any.
    pub(super) fn dispatch(&self) -> Result<v1::Dispatch, Stop> {
        Ok(sample_dispatch(&*self.probe()?, self.timeout))
    }

    /// The current stream. Where it has ended, the worker may connect again.
    pub(super) async fn stream(&mut self) -> Result<&mut WorkerStream, Stop> {
        let current = self.stream.take().filter(|stream| !stream.has_ended());
        let stream = match current {
            Some(current) => current,
            None => {
                let Some(dial) = self.next_dial().await else {
                    return Err(Stop::LeftOut("the worker is not connected".to_owned()));
                };
                self.accept(dial, &[]).await?
            }
        };
        Ok(self.stream.insert(stream))
    }

    /// Takes the current stream, to end it.
    pub(super) async fn take_stream(&mut self) -> Result<WorkerStream, Stop> {
        self.stream().await?;
        let gone = || Stop::LeftOut("the worker is not connected".to_owned());
        self.stream.take().ok_or_else(gone)
    }

    pub(super) fn set_stream(&mut self, stream: WorkerStream) {
        self.stream = Some(stream);
    }

    async fn next_dial(&mut self) -> Option<Dial> {
        let timeout = match self.is_gone {
            true => Duration::ZERO,
            false => self.reconnect_timeout(),
        };
        let dial = self.port.next_dial(timeout).await;
        self.is_gone = dial.is_none();
        dial
    }

    /// How long the worker has to connect again.
    fn reconnect_timeout(&self) -> Duration {
        self.timeout.min(LEASE)
    }

    /// Waits until the worker connects again.
    pub(super) async fn reconnects(&mut self) -> Result<Dial, Fault> {
        let dial = self.next_dial().await;
        dial.ok_or_else(|| {
            let seconds = self.reconnect_timeout().as_secs_f64();
            let seen = format!(
                "the worker did not connect again within {seconds} s: it ended, or it does not reconnect"
            );
            rules::RECONNECT.broken(seen)
        })
    }

    /// Welcomes a worker. Where it presents its session, that is resumed with `tokens` as valid.
    pub(super) async fn accept(
        &mut self,
        dial: Dial,
        tokens: &[String],
    ) -> Result<WorkerStream, Fault> {
        let hello = hello_of(&dial)?;
        if hello.session.is_empty() || hello.session != self.session {
            self.session = match self.has(Capability::Resume) {
                true => Token::new().to_string(),
                false => String::new(),
            };
        }
        self.welcome(dial, hello, tokens).await
    }

    /// Welcomes a worker as a node that does not know its session.
    pub(super) async fn accept_as_new(&mut self, dial: Dial) -> Result<WorkerStream, Fault> {
        self.session.clear();
        self.accept(dial, &[]).await
    }

    async fn welcome(
        &self,
        dial: Dial,
        hello: v1::Hello,
        tokens: &[String],
    ) -> Result<WorkerStream, Fault> {
        let known = hello.capabilities.iter().copied();
        let welcome = v1::Welcome {
            worker_id: uuid::Uuid::now_v7().to_string(),
            session: self.session.clone(),
            lease: Some(duration_to_proto(LEASE)),
            tokens: tokens.to_vec(),
            capabilities: known
                .filter(|it| Capability::try_from(*it).is_ok())
                .collect(),
        };
        // Room for two series of dispatches: the worker may read slowly.
        let (outbox, outbound) = mpsc::channel(2 * MAX_IN_FLIGHT);
        let _ = outbox.send(to_worker(Message::Welcome(welcome))).await;
        let left = |_| rules::STREAM_STAYS.broken("the worker disconnected before its welcome");
        dial.answer.send(Ok(outbound)).map_err(left)?;
        let mut stream = WorkerStream::new(hello, dial.inbound, outbox, dial.cut);
        for token in tokens {
            stream.expect(token);
        }
        Ok(stream)
    }

    /// The session that the worker was told last.
    pub(super) fn session(&self) -> &str {
        &self.session
    }
}

/// Refuses a stream.
pub(super) fn refuse(dial: Dial, error: &Error) {
    // The worker may have given up.
    let _ = dial.answer.send(Err(status(error)));
}

/// The status of an error.
pub(super) fn status(error: &Error) -> Status {
    to_status(error)
}

/// The hello of a stream.
pub(super) fn hello_of(dial: &Dial) -> Result<v1::Hello, Fault> {
    match dial.first.as_ref().map(|first| &first.message) {
        Ok(Some(FromWorker::Hello(hello))) => Ok(hello.clone()),
        Ok(_) => Err(rules::HELLO_FIRST.broken("the first message is not a hello")),
        Err(seen) => Err(rules::HELLO_FIRST.broken(seen.clone())),
    }
}

fn or_default(given: u32, default: usize) -> usize {
    match usize::try_from(given) {
        Ok(0) | Err(_) => default,
        Ok(given) => given,
    }
}
