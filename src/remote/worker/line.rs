//! The stream of a worker, from the worker's side: connects, answers, comes back with its session.
//!
//! A result is kept until the node says that it has it: a stream that breaks may lose what was on its way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use futures_util::TryFutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use super::outcome::{Answered, result};
use super::platform::Platform;
use crate::codec::convert::{PayloadOneof as _, metadata_from_proto, progress_from_proto};
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message;
use crate::codec::proto::v1::serve_response::Message as Said;
use crate::codec::proto::v1::worker_service_client::WorkerServiceClient;
use crate::codec::status::from_status;
use crate::engine::tasks::Tasks;
use crate::model::error::{Error, Result, reason};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::InReplyTo;
use crate::model::metadata::TRACEPARENT;
use crate::model::payload::Payload;
use crate::remote::several::Waiting;
use crate::remote::wire;
use crate::service::{Caught, Context, Definition, ErasedHooks, Facts, Invoke as _, States, run};

/// How long to wait for a connection, and for the node's welcome.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/2 PING: how often, and how long the answer may take.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The wait before the first repeat of a connection, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How many items one dispatch emits: what a node takes of an invocation.
const KEPT_ITEMS: usize = 10_000;

/// What the tasks of a worker share.
#[derive(Debug)]
pub(super) struct Shared {
    handlers: HashMap<String, Arc<Definition>>,
    states: Arc<States>,
    hooks: Vec<Arc<dyn ErasedHooks>>,
    tasks: Tasks,
    told: Mutex<Told>,
    /// Rings when a dispatch ends.
    fewer: watch::Sender<()>,
    /// The worker stops: the stream is not made again.
    closed: CancellationToken,
}

#[derive(Debug, Default)]
struct Told {
    worker_id: String,
    session: String,
    outbox: Option<mpsc::UnboundedSender<v1::ServeRequest>>,
    /// Handlers under way, by token.
    running: HashMap<String, Running, RandomState>,
    /// Results that the node may not have, with the items before them.
    results: HashMap<String, (Vec<v1::DispatchItem>, Box<v1::DispatchResult>), RandomState>,
    draining: bool,
    /// The node has said that no dispatch follows.
    drained: bool,
}

/// A handler under way.
#[derive(Debug, Default)]
struct Running {
    cancel: CancellationToken,
    /// What it has emitted: the node may not have it.
    items: Vec<v1::DispatchItem>,
}

impl Shared {
    pub(super) fn new(
        handlers: HashMap<String, Arc<Definition>>,
        states: States,
        hooks: Vec<Arc<dyn ErasedHooks>>,
        tasks: Tasks,
    ) -> Arc<Self> {
        Arc::new(Self {
            handlers,
            states: Arc::new(states),
            hooks,
            tasks,
            told: Mutex::default(),
            fewer: watch::Sender::new(()),
            closed: CancellationToken::new(),
        })
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Every change is one insertion, removal or assignment.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(super) fn worker_id(&self) -> String {
        self.told().worker_id.clone()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.told().running.len()
    }

    /// Takes nothing new.
    pub(super) fn drain(&self) {
        self.told().draining = true;
        self.show(Message::Drain(v1::WorkerDrain {}));
    }

    /// Resolves when nothing runs and nothing more can come: what was on its way when the worker said that it drains
    /// would be lost otherwise.
    pub(super) async fn idle(&self) {
        let mut fewer = self.fewer.subscribe();
        while self.in_flight() > 0 || self.may_get_more() {
            let _ = fewer.changed().await;
        }
    }

    fn may_get_more(&self) -> bool {
        let told = self.told();
        told.outbox.is_some() && !told.drained
    }

    /// The node says that no dispatch follows.
    fn note_drained(&self) {
        self.told().drained = true;
        self.fewer.send_replace(());
    }

    /// Gives back what runs, and stops it.
    pub(super) fn hand_back(&self) {
        let running = std::mem::take(&mut self.told().running);
        let tokens = running.keys().cloned().collect();
        self.show(Message::HandBack(v1::HandBack { tokens }));
        running
            .into_values()
            .for_each(|running| running.cancel.cancel());
    }

    /// Ends the stream, for good.
    pub(super) fn close(&self) {
        self.closed.cancel();
        self.told().outbox = None;
    }

    /// Says something that is of no use later.
    pub(super) fn show(&self, message: Message) {
        if let Some(outbox) = &self.told().outbox {
            let _ = outbox.send(request(message));
        }
    }

    /// Sends an item, and keeps it: where the stream breaks it is sent again.
    pub(super) fn tell_item(&self, token: &str, item: v1::dispatch_item::Item) -> Result<()> {
        let mut told = self.told();
        let Told {
            running, outbox, ..
        } = &mut *told;
        let running = running
            .get_mut(token)
            .ok_or_else(|| Error::cancelled(reason::CANCELLED, "the attempt has ended"))?;
        if running.items.len() >= KEPT_ITEMS {
            let message = format!("an invocation emits at most {KEPT_ITEMS} items");
            return Err(Error::resource_exhausted(reason::ITEMS_LIMIT, message));
        }
        let item = v1::DispatchItem {
            token: token.to_owned(),
            item: Some(item),
            number: u32::try_from(running.items.len() + 1).unwrap_or(u32::MAX),
        };
        if let Some(outbox) = outbox {
            let _ = outbox.send(request(Message::Item(item.clone())));
        }
        running.items.push(item);
        Ok(())
    }

    fn end(&self, result: Box<v1::DispatchResult>) {
        let mut told = self.told();
        // Handed back, or void: nobody wants it.
        if let Some(Running { items, .. }) = told.running.remove(&result.token) {
            if let Some(outbox) = &told.outbox {
                let _ = outbox.send(request(Message::Result(result.clone())));
            }
            told.results.insert(result.token.clone(), (items, result));
        }
        drop(told);
        // Whoever waits said so before it looked at what runs.
        if self.fewer.receiver_count() > 0 {
            self.fewer.send_replace(());
        }
    }
}

fn request(message: Message) -> v1::ServeRequest {
    v1::ServeRequest {
        message: Some(message),
        results: Vec::new(),
    }
}

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
        let closed = self.shared.closed.clone();
        let mut pause = FIRST_PAUSE;
        while !closed.is_cancelled() {
            match self.connect().await {
                Ok((channel, mut said)) => {
                    welcome.send_replace(Some(Ok(())));
                    pause = FIRST_PAUSE;
                    self.listen(&channel, &mut said).await;
                    self.shared.told().outbox = None;
                    // Nothing more comes.
                    self.shared.fewer.send_replace(());
                }
                Err(error) if welcome.borrow().is_none() => {
                    welcome.send_replace(Some(Err(error)));
                    return;
                }
                Err(error) => tracing::warn!(%error, "the worker is not connected; trying again"),
            }
            tokio::select! {
                () = closed.cancelled() => {}
                () = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Makes a stream, and says hello.
    async fn connect(&self) -> Result<(Channel, Streaming<v1::ServeResponse>)> {
        let channel = self.endpoint.connect().await.map_err(|error| {
            let message = format!("cannot reach a node at {}", self.endpoint.uri());
            Error::unavailable(reason::CONNECT_FAILED, message).with_source(error)
        })?;
        let (outbox, outgoing) = mpsc::unbounded_channel();
        // Once the node says that it reads them.
        let several = Arc::new(AtomicBool::new(false));
        let _ = outbox.send(request(Message::Hello(self.hello_again())));
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
        self.take_up(welcome, outbox);
        Ok((channel, said))
    }

    /// The hello of the moment: with the session, and what there is of it.
    fn hello_again(&self) -> v1::Hello {
        let told = self.shared.told();
        let tokens = told.running.keys().chain(told.results.keys());
        v1::Hello {
            session: told.session.clone(),
            tokens: tokens.cloned().collect(),
            ..self.hello.clone()
        }
    }

    /// Goes on with what the node still has; everything else is void.
    fn take_up(&self, welcome: v1::Welcome, outbox: mpsc::UnboundedSender<v1::ServeRequest>) {
        let mut told = self.shared.told();
        told.worker_id = welcome.worker_id;
        told.session = welcome.session;
        told.drained = false;
        let kept = |token: &String| welcome.tokens.contains(token);
        told.results.retain(|token, _| kept(token));
        let Told { running, .. } = &mut *told;
        running.retain(|token, running| {
            let is_kept = kept(token);
            if !is_kept {
                running.cancel.cancel();
            }
            is_kept
        });
        let of_ended = told.results.values().flat_map(|(items, _)| items);
        let items = told.running.values().flat_map(|running| &running.items);
        for item in items.chain(of_ended) {
            let _ = outbox.send(request(Message::Item(item.clone())));
        }
        for (_, result) in told.results.values() {
            let _ = outbox.send(request(Message::Result(result.clone())));
        }
        if told.draining {
            let _ = outbox.send(request(Message::Drain(v1::WorkerDrain {})));
        }
        told.outbox = Some(outbox);
        drop(told);
        self.shared.fewer.send_replace(());
    }

    /// Does what the node says, until the stream ends.
    async fn listen(&self, channel: &Channel, said: &mut Streaming<v1::ServeResponse>) {
        loop {
            let message = tokio::select! {
                message = said.message() => message,
                // Its end is read, so that the node has all that was sent.
                () = self.shared.closed.cancelled() => {
                    let rest = async { while let Ok(Some(_)) = said.message().await {} };
                    let _ = tokio::time::timeout(CONNECT_TIMEOUT, rest).await;
                    return;
                }
            };
            match message {
                Ok(Some(message)) => {
                    for dispatch in message.dispatches {
                        handle(&self.shared, channel.clone(), Box::new(dispatch));
                    }
                    self.hear(channel, message.message);
                }
                Ok(None) => return tracing::warn!("the node ended the worker's stream"),
                Err(status) => {
                    let error = from_status(&status);
                    return tracing::warn!(%error, "the worker's stream broke");
                }
            }
        }
    }

    fn hear(&self, channel: &Channel, message: Option<Said>) {
        match message {
            Some(Said::Dispatch(dispatch)) => handle(&self.shared, channel.clone(), dispatch),
            Some(Said::Cancel(cancel)) => {
                if let Some(running) = self.shared.told().running.get(&cancel.token) {
                    running.cancel.cancel();
                }
            }
            Some(Said::Received(received)) => {
                let mut told = self.shared.told();
                for token in &received.tokens {
                    told.results.remove(token);
                }
            }
            Some(Said::Refused(refused)) => {
                self.shared.told().results.remove(&refused.token);
                let failure = refused.failure.unwrap_or_default();
                tracing::warn!(
                    reason = failure.reason,
                    "the node refused something: {}",
                    failure.message
                );
            }
            Some(Said::Drained(_)) => self.shared.note_drained(),
            Some(Said::Drain(_)) => {
                tracing::info!("the node stops: the worker will look for it again")
            }
            Some(Said::Welcome(_)) | None => {}
        }
    }
}

/// Runs the handler of a dispatch.
fn handle(shared: &Arc<Shared>, channel: Channel, dispatch: Box<v1::Dispatch>) {
    let cancel = CancellationToken::new();
    let token = dispatch.token.clone();
    let running = Running {
        cancel: cancel.clone(),
        items: Vec::new(),
    };
    {
        let mut told = shared.told();
        if told.running.contains_key(&token) || told.results.contains_key(&token) {
            // Sent again though it had arrived.
            return;
        }
        told.running.insert(token, running);
    }
    let worker = Arc::clone(shared);
    shared.tasks.spawn("dispatch", async move {
        let token = dispatch.token.clone();
        let outcome = answer(&worker, channel, dispatch, cancel).await;
        worker.end(Box::new(result(token, outcome)));
    });
}

async fn answer(
    shared: &Arc<Shared>,
    channel: Channel,
    dispatch: Box<v1::Dispatch>,
    cancel: CancellationToken,
) -> Result<Answered> {
    let definition = shared.handlers.get(&dispatch.service).ok_or_else(|| {
        let message = format!("this worker does not serve `{}`", dispatch.service);
        Error::not_found(reason::SERVICE_UNKNOWN, message)
    })?;
    let token = dispatch.token.clone();
    let path = wire::given(dispatch.path.clone());
    let (facts, input) = read(*dispatch, definition.name())?;
    let input = definition.admit(input)?.input;
    let platform = Platform::new(Arc::clone(shared), channel, token, path, facts.deadline);
    let platform = Arc::new(platform);
    let span =
        tracing::info_span!("invocation", cid = %facts.cid, service.name = facts.service.as_str());
    let states = Arc::clone(&shared.states);
    let context = Context::new(facts, cancel, Arc::clone(&platform) as _, states);
    let (future, _) = run(definition, &shared.hooks, context, input);
    let handled = Caught(future).inspect_err(|error| {
        tracing::debug!(reason = error.reason(), trace = error.trace(), "{error}");
    });
    let reply = tracing::Instrument::instrument(handled, span).await?;
    Ok(match platform.answers_later() {
        Some(_) => Answered::Later,
        None => Answered::Now(reply, platform.follow_ups()),
    })
}

fn read(dispatch: v1::Dispatch, service: &ServiceName) -> Result<(Facts, Payload)> {
    let format = wire::format_of_document(dispatch.data_format)?;
    let input = dispatch.input.and_then(|input| input.into_payload(format));
    let mut metadata = metadata_from_proto(dispatch.metadata)?;
    if !dispatch.traceparent.is_empty() && metadata.get(TRACEPARENT).is_none() {
        metadata.insert(TRACEPARENT, &dispatch.traceparent);
    }
    let cid: Cid = dispatch.cid.parse()?;
    let optional = |text: String| {
        wire::given(text)
            .map(|text| text.parse::<Cid>())
            .transpose()
    };
    let root = match dispatch.root_cid == dispatch.cid {
        true => None,
        false => optional(dispatch.root_cid)?,
    };
    let in_reply_to = match optional(dispatch.in_reply_to)? {
        None => None,
        Some(cid) => Some(InReplyTo {
            cid,
            service: ServiceName::of_record(&dispatch.in_reply_to_service)?,
            attempt: dispatch.in_reply_to_attempt,
        }),
    };
    let timeout = dispatch
        .timeout
        .and_then(|timeout| Duration::try_from(timeout).ok());
    let last_progress = dispatch
        .last_progress
        .map(progress_from_proto)
        .transpose()?;
    let facts = Facts {
        cid,
        service: service.clone(),
        attempt: dispatch.attempt,
        deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        metadata: Arc::new(metadata),
        parent: optional(dispatch.parent_cid)?,
        root: root.unwrap_or(cid),
        asynchronous: dispatch.asynchronous,
        last_progress,
        in_reply_to,
    };
    Ok((facts, input.unwrap_or(Payload::empty())))
}
