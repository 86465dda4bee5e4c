//! One worker: what was handed over to it, how much it takes, and the way to it.
//!
//! A dispatch is in the table from its hand-over to its result, or to the loss of the worker. Where nobody wants the
//! outcome any more the dispatch stays, without anybody to answer: the worker still works, and its seat is taken.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::Status;

use crate::codec::convert::{
    PayloadOneof as _, duration_to_proto, failure_from_proto, failure_to_proto,
    metadata_from_proto, timestamp_to_proto,
};
use crate::codec::payload;
use crate::codec::proto::v1;
use crate::codec::status::to_status;
use crate::engine::Invoker;
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::ServiceName;
use crate::model::payload::{Payload, Reply};
use crate::model::token::Token;
use crate::remote::dispatched::{Dispatched, Stop};
use crate::remote::handed::{Given, Handed, dispatch};
use crate::remote::introduced::Introduced;
use crate::remote::wire;
use crate::service::{Context, Definition, DispatchStatus, output_invalid};

/// So many results are acknowledged at once; fewer wait for a moment.
const RECEIVED: usize = 64;
/// What goes to a worker: a message, or the status that ends the stream.
pub type Outgoing = Result<v1::ServeResponse, Status>;

/// A connected worker, or one that may come back.
#[derive(Debug)]
pub struct Session {
    id: String,
    /// Its name and its id, for people.
    label: String,
    secret: Token,
    introduced: Introduced,
    services: Vec<ServiceName>,
    since: Timestamp,
    invoker: Invoker,
    /// As many permits as it takes dispatches.
    credit: Arc<Semaphore>,
    /// Whether it takes something new: it is connected and does not drain.
    open: AtomicBool,
    draining: AtomicBool,
    line: Mutex<Line>,
}

/// The stream, and what was handed over on it.
#[derive(Debug, Default)]
struct Line {
    outbox: Option<mpsc::Sender<Outgoing>>,
    /// Counts the streams: what an earlier one says when it ends is of no interest.
    streams: u64,
    ended: bool,
    dispatches: HashMap<Token, Dispatched, RandomState>,
    /// Results that were taken and that the worker has not been told of.
    received: Vec<String>,
}

impl Line {
    fn is_away(&self) -> bool {
        self.outbox.is_none() && !self.ended
    }
}

/// A response of a worker, with what is to be accepted with it.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) reply: Reply,
    pub(super) follow_ups: Vec<v1::InvokeAsyncRequest>,
}

impl Session {
    pub(super) fn new(
        introduced: Introduced,
        services: Vec<ServiceName>,
        invoker: Invoker,
    ) -> Self {
        let id = uuid::Uuid::now_v7().to_string();
        Self {
            label: format!("{} ({id})", introduced.name),
            id,
            secret: Token::new(),
            credit: Arc::new(Semaphore::new(introduced.max_in_flight)),
            introduced,
            services,
            since: invoker.now(),
            invoker,
            open: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            line: Mutex::default(),
        }
    }

    /// Given by the node.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its name and its id, for people.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn introduced(&self) -> &Introduced {
        &self.introduced
    }

    pub(super) fn now(&self) -> Timestamp {
        self.invoker.now()
    }

    pub(super) fn secret(&self) -> Token {
        self.secret
    }

    /// Given by itself.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.introduced.name
    }

    pub(super) fn build_id(&self) -> &str {
        &self.introduced.build_id
    }

    pub(super) fn services(&self) -> &[ServiceName] {
        &self.services
    }

    pub(super) fn credit(&self) -> &Arc<Semaphore> {
        &self.credit
    }

    fn can(&self, capability: v1::Capability) -> bool {
        self.introduced.can(capability)
    }

    pub(super) fn can_resume(&self) -> bool {
        self.can(v1::Capability::Resume)
    }

    /// How much of what it takes is free, in thousandths.
    pub(super) fn spare(&self) -> usize {
        let free = self.credit.available_permits().saturating_mul(1_000);
        free.div_ceil(self.introduced.max_in_flight)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Whether it takes nothing new.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Every change is one insertion, removal or assignment.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As `ListWorkers` shows it.
    #[must_use]
    pub fn to_proto(&self) -> v1::Worker {
        let in_flight = self.line().dispatches.len();
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let capabilities = self.introduced.capabilities.iter();
        v1::Worker {
            id: self.id.clone(),
            name: self.introduced.name.clone(),
            build_id: self.introduced.build_id.clone(),
            services: self.services.iter().map(ToString::to_string).collect(),
            capabilities: capabilities
                .map(|capability| i32::from(*capability))
                .collect(),
            in_flight: small(in_flight),
            max_in_flight: small(self.introduced.max_in_flight),
            connect_time: Some(timestamp_to_proto(self.since)),
            peer: self.introduced.peer.clone(),
            draining: self.is_draining(),
            away: self.is_away(),
        }
    }

    /// Hands a dispatch over; answers whether there is a stream that takes it.
    pub(super) fn hand_over(
        &self,
        token: Token,
        dispatch: Box<v1::Dispatch>,
        seat: &Arc<Handed>,
        context: &Context,
        answer: oneshot::Sender<Result<Answered>>,
    ) -> bool {
        let mut line = self.line();
        let takes = !line.ended && !self.is_draining();
        let Line {
            outbox, dispatches, ..
        } = &mut *line;
        let Some(outbox) = outbox.as_ref().filter(|_| takes) else {
            return false;
        };
        let dispatched = Dispatched {
            input: self.can_resume().then(|| Given::of(&dispatch)),
            seat: Arc::clone(seat),
            context: context.clone(),
            answer: Some(answer),
            stop: Stop::No,
            items: 0,
        };
        dispatches.insert(token, dispatched);
        // There is room for as much as it takes: a full queue is of a worker that does not read.
        let dispatch = message(v1::serve_response::Message::Dispatch(dispatch));
        let sent = outbox.try_send(dispatch).is_ok();
        if !sent {
            dispatches.remove(&token);
        }
        sent
    }

    /// The outcome of a dispatch is not wanted any more: the worker is told, once on each stream.
    pub(super) fn ask_to_stop(&self, token: Token) {
        let mut line = self.line();
        let Line {
            outbox, dispatches, ..
        } = &mut *line;
        if let Some(dispatched) = dispatches.get_mut(&token)
            && dispatched.stop == Stop::No
        {
            dispatched.ask_to_stop(token, outbox.as_ref(), self.can(v1::Capability::Cancel));
        }
    }

    /// Tells the worker what it could not be told before.
    fn remind(&self) {
        let mut line = self.line();
        let Line {
            outbox, dispatches, ..
        } = &mut *line;
        for (token, dispatched) in dispatches.iter_mut() {
            if matches!(dispatched.stop, Stop::Asked(_)) {
                dispatched.tell_to_stop(*token, outbox.as_ref(), self.can(v1::Capability::Cancel));
            }
        }
    }

    /// Nobody waits for a dispatch any more: what the worker still answers is refused.
    pub(super) fn void(&self, token: Token) {
        if let Some(dispatched) = self.line().dispatches.get_mut(&token) {
            dispatched.answer = None;
        }
    }

    /// Takes a stream: the first, or the next one after the one before was lost. `has` are the dispatches that the
    /// worker says it has. Answers with the number of the stream; `None` where the session has ended.
    pub(super) fn connect(&self, outbox: mpsc::Sender<Outgoing>, has: &[String]) -> Option<u64> {
        let mut line = self.line();
        if line.ended {
            return None;
        }
        let has = has.iter().filter_map(|token| Token::parse(token));
        let has: HashSet<Token> = has.collect();
        let kept = line.dispatches.keys().map(ToString::to_string).collect();
        let welcome = v1::Welcome {
            worker_id: self.id.clone(),
            session: match self.can_resume() {
                true => self.secret.to_string(),
                false => String::new(),
            },
            lease: Some(duration_to_proto(self.invoker.limits().worker_lease)),
            tokens: kept,
            capabilities: self.introduced.known(),
        };
        let _ = outbox.try_send(message(v1::serve_response::Message::Welcome(welcome)));
        // What it does not have never arrived, or nobody wants it.
        let Line { dispatches, .. } = &mut *line;
        dispatches.retain(|token, dispatched| has.contains(token) || dispatched.answer.is_some());
        for (token, dispatched) in dispatches.iter() {
            if let (false, Some(input)) = (has.contains(token), dispatched.input.clone())
                && let Ok(again) = dispatch(*token, &dispatched.context, input, self.now())
            {
                let _ = outbox.try_send(message(v1::serve_response::Message::Dispatch(again)));
            }
        }
        // What it was told on the stream before may not have arrived.
        for (token, dispatched) in dispatches.iter_mut() {
            if dispatched.stop != Stop::No {
                dispatched.ask_to_stop(*token, Some(&outbox), self.can(v1::Capability::Cancel));
            }
        }
        line.outbox = Some(outbox);
        line.streams += 1;
        self.open.store(!self.is_draining(), Ordering::Release);
        Some(line.streams)
    }

    /// A stream is gone; answers whether the session waits for another one now.
    pub(super) fn disconnect(&self, stream: u64) -> bool {
        let mut line = self.line();
        if line.streams != stream || line.ended {
            return false;
        }
        line.outbox = None;
        self.open.store(false, Ordering::Release);
        true
    }

    /// Whether its stream is gone, and it may come back.
    pub(super) fn is_away(&self) -> bool {
        self.line().is_away()
    }

    /// Whether a stream is the last one there was, and gone.
    pub(super) fn is_away_since(&self, stream: u64) -> bool {
        let line = self.line();
        line.streams == stream && line.is_away()
    }

    /// Whether the worker has nothing that it has not answered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.line().dispatches.is_empty()
    }

    /// It takes nothing new, and is told so after the last dispatch.
    pub(super) fn drain(&self) {
        // While the line is held nothing is handed over.
        let line = self.line();
        self.draining.store(true, Ordering::Release);
        self.open.store(false, Ordering::Release);
        if let Some(outbox) = &line.outbox {
            let drained = v1::serve_response::Message::Drained(v1::Drained {});
            let _ = outbox.try_send(message(drained));
        }
    }

    /// Ends the session: all its tokens are void, and what it had is lost. `status` ends the stream, if there is one.
    pub(super) fn end(&self, status: Option<Error>) {
        let (outbox, dispatches) = {
            let mut line = self.line();
            line.ended = true;
            self.open.store(false, Ordering::Release);
            (line.outbox.take(), std::mem::take(&mut line.dispatches))
        };
        if let (Some(outbox), Some(error)) = (outbox, status) {
            let _ = outbox.try_send(Err(to_status(&error)));
        }
        for dispatched in dispatches.into_values() {
            dispatched.seat.decide(DispatchStatus::Lost);
            if let Some(answer) = dispatched.answer {
                let _ = answer.send(Err(lost(&self.introduced.name)));
            }
        }
        self.credit.close();
    }

    /// Sends a message; without a stream, or where the worker does not read, it is lost.
    pub(super) fn send(&self, said: v1::serve_response::Message) -> bool {
        let outbox = self.line().outbox.clone();
        outbox.is_some_and(|outbox| outbox.try_send(message(said)).is_ok())
    }

    /// Whether all that the worker has was to be stopped and is overdue beyond the grace period.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        let grace = self.invoker.limits().grace;
        let line = self.line();
        let overdue = |dispatched: &Dispatched| match dispatched.stop {
            Stop::No => false,
            Stop::Asked(when) | Stop::Told(when) => when.elapsed() > grace,
        };
        !line.dispatches.is_empty() && line.dispatches.values().all(overdue)
    }

    /// Says what could not be said at once: which results have arrived, and what is to be stopped.
    pub fn catch_up(&self) {
        self.remind();
        self.acknowledge();
    }

    /// Tells a worker that can resume which results have arrived.
    pub fn acknowledge(&self) {
        let tokens = std::mem::take(&mut self.line().received);
        if !tokens.is_empty() {
            let received = v1::Received { tokens };
            self.send(v1::serve_response::Message::Received(received));
        }
    }

    /// Shows that the node is alive.
    pub fn alive(&self) {
        let outbox = self.line().outbox.clone();
        if let Some(outbox) = outbox {
            let _ = outbox.try_send(Ok(v1::ServeResponse::default()));
        }
    }

    /// Where an item goes, unless it was sent before; `None` where its dispatch has ended.
    #[must_use]
    pub fn item(&self, item: &v1::DispatchItem) -> Option<(Context, bool)> {
        let mut line = self.line();
        let dispatched = line.dispatches.get_mut(&Token::parse(&item.token)?)?;
        dispatched.answer.as_ref()?;
        let is_new = item.number == 0 || item.number > dispatched.items;
        dispatched.items = dispatched.items.max(item.number);
        Some((dispatched.context.clone(), is_new))
    }

    /// The context of a dispatch that the worker has, by its token as it was sent.
    #[must_use]
    pub fn context_of(&self, token: &str) -> Option<Context> {
        self.context(Token::parse(token)?)
    }

    /// The context of a dispatch that the worker has.
    pub(super) fn context(&self, token: Token) -> Option<Context> {
        let line = self.line();
        let dispatched = line.dispatches.get(&token)?;
        dispatched.answer.as_ref()?;
        Some(dispatched.context.clone())
    }
}

pub(super) fn message(message: v1::serve_response::Message) -> Outgoing {
    Ok(v1::ServeResponse {
        message: Some(message),
        dispatches: Vec::new(),
    })
}

/// `UNKNOWN` / `WORKER_LOST`.
pub(super) fn lost(worker: &str) -> Error {
    let message =
        format!("the worker `{worker}` was lost before it answered: the call may have run, or not");
    Error::new(Kind::Unknown, reason::WORKER_LOST, message)
}

/// `UNKNOWN` / `WORKER_LOST`.
fn given_back(worker: &str) -> Error {
    let message = format!("the worker `{worker}` gave the call back: it may have begun");
    Error::new(Kind::Unknown, reason::WORKER_LOST, message)
}

impl Session {
    /// The result of a dispatch.
    pub fn result(&self, result: v1::DispatchResult) {
        let Some(token) = Token::parse(&result.token) else {
            return self.refuse(&result.token, "this is no token");
        };
        // Before the dispatch is over: its outcome may come any moment.
        let later = matches!(result.outcome, Some(v1::dispatch_result::Outcome::Later(_)));
        let awaited = later.then(|| self.answer_later(token, &result));
        let (dispatched, received) = {
            let mut line = self.line();
            if self.can_resume() {
                line.received.push(result.token.clone());
            }
            (line.dispatches.remove(&token), line.received.len())
        };
        // The worker keeps them until it hears of it, and whoever drains waits for that.
        if received >= RECEIVED || self.is_draining() {
            self.acknowledge();
        }
        let Some(Dispatched { seat, answer, .. }) = dispatched else {
            return self.refuse(&result.token, "the dispatch has ended: its token is void");
        };
        let Some(answer) = answer else {
            return self.refuse(&result.token, "nobody wants the outcome any more");
        };
        let answered = match awaited {
            Some(awaited) => awaited.map(|()| Answered {
                reply: Payload::empty().into(),
                follow_ups: Vec::new(),
            }),
            None => self.read(result, &seat.member.definition),
        };
        let _ = answer.send(answered);
    }

    /// Has the outcome of a dispatch come from outside.
    fn answer_later(&self, token: Token, result: &v1::DispatchResult) -> Result<()> {
        let refused = |message| Err(Error::failed_precondition(reason::NOT_SUPPORTED, message));
        if !self.introduced.can(v1::Capability::Later) {
            return refused("the worker answers later, but did not name `CAPABILITY_LATER`");
        }
        if !result.follow_ups.is_empty() {
            return refused("follow-ups are accepted with a response, not with \"later\"");
        }
        match self.context(token) {
            Some(context) => context.platform().answer_later(token),
            // Nobody wants it any more, or it never was: that is said of the result.
            None => Ok(()),
        }
    }

    fn read(&self, result: v1::DispatchResult, definition: &Definition) -> Result<Answered> {
        let format = wire::format_of_document(result.data_format).map_err(output_invalid)?;
        let reply_payload = match result.outcome {
            Some(v1::dispatch_result::Outcome::Failure(failure)) => {
                let error = failure_from_proto(failure);
                return Err(match result.trace.is_empty() {
                    true => error,
                    false => error.with_trace(result.trace),
                });
            }
            response => response
                .and_then(|response| response.into_payload(format))
                .unwrap_or(Payload::empty()),
        };
        let limit = self.invoker.limits().message_bytes;
        if reply_payload.weight() > limit {
            let message = format!(
                "the response has {} bytes; the limit is {limit}",
                reply_payload.weight()
            );
            return Err(
                Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message)
                    .with_retryable(false)
                    .with_info("message_bytes", limit),
            );
        }
        // What is declared is read where that is checked.
        if definition.declaration().output.is_none() {
            payload::scan(&reply_payload).map_err(output_invalid)?;
        }
        let metadata = metadata_from_proto(result.metadata).map_err(output_invalid)?;
        Ok(Answered {
            reply: Reply {
                payload: reply_payload,
                metadata,
            },
            follow_ups: result.follow_ups,
        })
    }

    /// Dispatches that the worker will not finish.
    pub fn handed_back(&self, tokens: &[String]) {
        if !self.introduced.can(v1::Capability::HandBack) {
            let why = "the worker hands back, but did not name `CAPABILITY_HAND_BACK`";
            return tokens.iter().for_each(|token| self.refuse(token, why));
        }
        for text in tokens {
            let token = Token::parse(text);
            let dispatched = token.and_then(|token| self.line().dispatches.remove(&token));
            let Some(Dispatched { seat, answer, .. }) = dispatched else {
                self.refuse(text, "the dispatch has ended: its token is void");
                continue;
            };
            seat.decide(DispatchStatus::HandedBack);
            if let Some(answer) = answer {
                let _ = answer.send(Err(given_back(&self.introduced.name)));
            }
        }
    }

    /// Says that something was refused, and logs it.
    pub fn refuse(&self, token: &str, why: &str) {
        tracing::warn!(
            worker.id = self.id,
            worker.name = self.introduced.name,
            "refused what a worker sent: {why}"
        );
        let error = Error::failed_precondition(reason::DISPATCH_VOID, why);
        let refused = v1::Refused {
            token: token.to_owned(),
            failure: Some(failure_to_proto(&error)),
        };
        self.send(v1::serve_response::Message::Refused(refused));
    }
}
