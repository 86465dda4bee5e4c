//! A complete worker on the generated code alone, with one flaw.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::dispatch_result::Outcome;
use cidery::codec::proto::v1::serve_request::Message;
use cidery::codec::proto::v1::serve_response::Message as Inbound;
use cidery::codec::proto::v1::worker_service_client::WorkerServiceClient;
use cidery::codec::struct_pb;
use cidery::dict;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;

use super::raw::spawn;

/// The service with the flaws of single results.
const FLAWED_SERVICE: &str = "faulty.second";
/// Longer than a node takes to send a cancel after its dispatch.
const HANDLER_TIME: Duration = Duration::from_millis(20);
const RECONNECT_DELAY: Duration = Duration::from_millis(100);
/// The dispatches that a worker without credit runs.
const SMALL_CREDIT: usize = 3;

/// What a worker does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    DuplicateService,
    SecondHello,
    ChangedHello,
    OtherToken,
    WrongOutput,
    NoOutcome,
    EndsOnKeepAlive,
    SmallCredit,
    DropsOverdue,
    DropsCancelled,
    SmallMessages,
    IgnoresBatches,
    RunsTwice,
    Exits,
    NoBackoff,
    LosesSession,
    LosesResults,
    KeepsAcknowledged,
    KeepsVoid,
    InsistsOnSession,
    DropsDrained,
}

#[derive(Default)]
struct State {
    /// Where results go: the newest stream that was welcomed.
    outbox: Option<Outbox>,
    session: String,
    running: HashSet<String>,
    cancelled: HashSet<String>,
    results: HashMap<String, v1::DispatchResult>,
    is_draining: bool,
}

/// A worker with one flaw. It serves until it is dropped.
pub(crate) struct FaultyWorker {
    flaw: Flaw,
    state: Mutex<State>,
    /// Whether it has connected before.
    has_connected: AtomicBool,
}

type Outbox = mpsc::UnboundedSender<v1::ServeRequest>;

fn send(outbox: &Outbox, message: Message) {
    let message = Some(message);
    let _ = outbox.send(v1::ServeRequest {
        message,
        ..v1::ServeRequest::default()
    });
}

fn declaration(name: &str) -> v1::ServiceDeclaration {
    let number = v1::Element {
        name: "number".to_owned(),
        r#type: v1::ElementType::Int.into(),
        ..v1::Element::default()
    };
    let output = v1::Elements {
        elements: vec![number],
        ..v1::Elements::default()
    };
    v1::ServiceDeclaration {
        name: name.to_owned(),
        sio: Some(v1::SimpleIo {
            output: Some(output),
            ..v1::SimpleIo::default()
        }),
        ..v1::ServiceDeclaration::default()
    }
}

impl FaultyWorker {
    pub(crate) fn new(flaw: Flaw) -> Arc<Self> {
        Arc::new(Self {
            flaw,
            state: Mutex::default(),
            has_connected: AtomicBool::new(false),
        })
    }

    /// Connects again and again. Returns where the worker exits.
    pub(crate) async fn serve(self: Arc<Self>, address: &str) {
        loop {
            self.stream(address).await;
            // The stream is closed once nothing can send on it.
            self.state.lock().unwrap().outbox = None;
            match self.flaw {
                Flaw::Exits => return,
                Flaw::NoBackoff => tokio::task::yield_now().await,
                _ => tokio::time::sleep(RECONNECT_DELAY).await,
            }
        }
    }

    fn hello(&self) -> v1::Hello {
        let state = self.state.lock().unwrap();
        let second = match self.flaw {
            Flaw::DuplicateService => "faulty.first",
            _ => FLAWED_SERVICE,
        };
        let tokens = state.running.iter().chain(state.results.keys());
        let capabilities = [
            v1::Capability::Resume,
            v1::Capability::Cancel,
            v1::Capability::Drain,
            v1::Capability::Batching,
        ];
        let mut hello = v1::Hello {
            name: "faulty".to_owned(),
            services: vec![declaration("faulty.first"), declaration(second)],
            max_in_flight: 10,
            capabilities: capabilities.map(i32::from).to_vec(),
            session: state.session.clone(),
            tokens: tokens.cloned().collect(),
            ..v1::Hello::default()
        };
        match self.flaw {
            Flaw::LosesSession => hello.session.clear(),
            Flaw::ChangedHello if !hello.session.is_empty() => hello.max_in_flight += 1,
            Flaw::LosesResults => hello.tokens.clear(),
            _ => {}
        }
        hello
    }

    /// Serves one stream to its end.
    async fn stream(self: &Arc<Self>, address: &str) {
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        let Ok(channel) = endpoint.connect().await else {
            return;
        };
        let limit = match self.flaw {
            Flaw::SmallMessages => 1 << 20,
            _ => 4 << 20,
        };
        let mut stub = WorkerServiceClient::new(channel).max_decoding_message_size(limit);
        let (outbox, outgoing) = mpsc::unbounded_channel();
        send(&outbox, Message::Hello(self.hello()));
        let is_first = !self.has_connected.swap(true, Ordering::Relaxed);
        if is_first && self.flaw == Flaw::SecondHello {
            send(&outbox, Message::Hello(self.hello()));
        }
        let stream = stub.serve(UnboundedReceiverStream::new(outgoing)).await;
        let mut inbound = match stream {
            Ok(stream) => stream.into_inner(),
            Err(status) if status.code() == tonic::Code::InvalidArgument => {
                if self.flaw != Flaw::InsistsOnSession {
                    *self.state.lock().unwrap() = State::default();
                }
                return;
            }
            Err(_) => return,
        };
        while let Ok(Some(message)) = inbound.message().await {
            let is_empty = message.message.is_none() && message.dispatches.is_empty();
            if is_empty && self.flaw == Flaw::EndsOnKeepAlive {
                return;
            }
            if self.flaw != Flaw::IgnoresBatches {
                for dispatch in message.dispatches {
                    self.start(dispatch, false);
                }
            }
            self.receive(message.message, &outbox);
        }
    }

    fn receive(self: &Arc<Self>, message: Option<Inbound>, outbox: &Outbox) {
        let mut state = self.state.lock().unwrap();
        match message {
            Some(Inbound::Welcome(welcome)) => {
                let is_new = state.session != welcome.session;
                state.session = welcome.session;
                state.is_draining = false;
                state.outbox = Some(outbox.clone());
                if !(is_new && self.flaw == Flaw::KeepsVoid) {
                    state.running.retain(|token| welcome.tokens.contains(token));
                    state
                        .results
                        .retain(|token, _| welcome.tokens.contains(token));
                }
                if self.flaw == Flaw::LosesResults {
                    state.results.clear();
                }
                for result in state.results.values() {
                    send(outbox, Message::Result(Box::new(result.clone())));
                }
            }
            Some(Inbound::Dispatch(dispatch)) => {
                drop(state);
                self.start(*dispatch, true);
            }
            Some(Inbound::Cancel(cancel)) => drop(state.cancelled.insert(cancel.token)),
            Some(Inbound::Received(received)) if self.flaw != Flaw::KeepsAcknowledged => {
                for token in received.tokens {
                    state.results.remove(&token);
                }
            }
            Some(Inbound::Drain(_)) => state.is_draining = true,
            _ => {}
        }
    }

    fn start(self: &Arc<Self>, dispatch: v1::Dispatch, is_single: bool) {
        let mut state = self.state.lock().unwrap();
        let is_known =
            state.running.contains(&dispatch.token) || state.results.contains_key(&dispatch.token);
        let is_overdue = dispatch.timeout.is_some_and(|timeout| timeout.seconds == 0);
        let is_full = is_single && state.running.len() >= SMALL_CREDIT;
        let is_dropped = match self.flaw {
            Flaw::RunsTwice => false,
            Flaw::SmallCredit if is_full => true,
            Flaw::DropsOverdue if is_overdue => true,
            _ => is_known,
        };
        if is_dropped {
            return;
        }
        state.running.insert(dispatch.token.clone());
        let worker = Arc::clone(self);
        spawn(async move {
            tokio::time::sleep(HANDLER_TIME).await;
            worker.finish(&dispatch);
        });
    }

    fn finish(&self, dispatch: &v1::Dispatch) {
        let mut state = self.state.lock().unwrap();
        let token = &dispatch.token;
        state.running.remove(token);
        let is_cancelled = state.cancelled.remove(token);
        let is_dropped = match self.flaw {
            Flaw::DropsCancelled => is_cancelled,
            Flaw::DropsDrained => state.is_draining,
            _ => false,
        };
        if is_dropped {
            return;
        }
        let is_flawed = dispatch.service == FLAWED_SERVICE;
        let number = match self.flaw {
            Flaw::WrongOutput if is_flawed => dict! { "number": "many" },
            _ => dict! { "number": 1 },
        };
        let payload = Outcome::Payload(struct_pb::encode_dict(&number).unwrap());
        let result = v1::DispatchResult {
            token: match self.flaw {
                Flaw::OtherToken if is_flawed => token.chars().rev().collect(),
                _ => token.clone(),
            },
            outcome: match self.flaw {
                Flaw::NoOutcome if is_flawed => None,
                _ => Some(payload),
            },
            ..v1::DispatchResult::default()
        };
        state.results.insert(token.clone(), result.clone());
        if let Some(outbox) = &state.outbox {
            send(outbox, Message::Result(Box::new(result)));
        }
    }
}
