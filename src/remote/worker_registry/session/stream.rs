//! The stream of a worker's session: attached, lost, and expected back.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use foldhash::fast::RandomState;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::WorkerSession;
use super::state::SessionState;
use crate::codec::convert::duration_to_proto;
use crate::codec::proto::v1;
use crate::model::token::Token;
use crate::remote::protocol::messages::{Outbound, to_worker};
use crate::remote::worker_registry::dispatch_message::dispatch_to_proto;
use crate::remote::worker_registry::in_flight::Cancellation;

impl WorkerSession {
    /// Attaches a stream: the first one, or the next one after the stream before was lost. `tokens` name the dispatches
    /// that the worker has. Returns the number of the stream; `None` where the session has ended.
    pub(in crate::remote::worker_registry) fn connect(
        &self,
        outbox: mpsc::Sender<Outbound>,
        tokens: &[String],
    ) -> Option<u64> {
        let mut state = self.state();
        if state.has_ended {
            return None;
        }
        let tokens = tokens.iter().filter_map(|token| Token::parse(token));
        let tokens: HashSet<Token, RandomState> = tokens.collect();
        let welcome = v1::serve_response::Message::Welcome(self.welcome(&state));
        let _ = outbox.try_send(to_worker(welcome));
        // A dispatch that the worker does not have never arrived. It is resent, unless its outcome is unwanted.
        let SessionState { dispatches, .. } = &mut *state;
        dispatches.connect(&tokens);
        for (token, in_flight) in dispatches.iter() {
            if let (false, Some(input)) = (tokens.contains(&token), in_flight.input.clone())
                && let Ok(dispatch) = dispatch_to_proto(
                    token,
                    &in_flight.context,
                    input,
                    self.invoker.now(),
                    self.invoker.tracer(),
                )
            {
                let dispatch = v1::serve_response::Message::Dispatch(dispatch);
                let _ = outbox.try_send(to_worker(dispatch));
            }
        }
        // A cancellation that was sent on the stream before may not have arrived.
        for (token, in_flight) in dispatches.iter_mut() {
            if in_flight.cancellation != Cancellation::None {
                in_flight.cancel(token, Some(&outbox), self.can_cancel());
            }
        }
        state.outbox = Some(outbox);
        state.away_since = None;
        state.stream += 1;
        self.is_open.store(!self.is_draining(), Ordering::Release);
        Some(state.stream)
    }

    fn welcome(&self, state: &SessionState) -> v1::Welcome {
        let tokens = state.dispatches.iter();
        let tokens = tokens.map(|(token, _)| token.to_string());
        v1::Welcome {
            worker_id: self.id.clone(),
            session: match self.can_resume() {
                true => self.secret.to_string(),
                false => String::new(),
            },
            lease: Some(duration_to_proto(self.invoker.limits().worker_lease)),
            tokens: tokens.collect(),
            capabilities: self.info.capabilities_to_proto(),
        }
    }

    /// Detaches a stream that ended; returns whether the session is away now.
    pub(in crate::remote::worker_registry) fn disconnect(&self, stream: u64) -> bool {
        let mut state = self.state();
        if state.stream != stream || state.has_ended {
            return false;
        }
        self.detach(&mut state);
        true
    }

    pub(super) fn detach(&self, state: &mut SessionState) {
        state.outbox = None;
        state.away_since = Some(Instant::now());
        self.is_open.store(false, Ordering::Release);
    }

    /// Whether its stream is gone while the session lasts.
    pub(in crate::remote::worker_registry) fn is_away(&self) -> bool {
        self.state().is_away()
    }

    /// Until when new calls wait for it: it is away, and expected back. `None` where it is not away, drains, or has
    /// been away for too long.
    pub(in crate::remote::worker_registry) fn expected_until(&self) -> Option<Instant> {
        if self.is_draining() {
            return None;
        }
        let away_since = self.state().away_since?;
        let until = away_since.checked_add(self.invoker.limits().away_wait)?;
        (until > Instant::now()).then_some(until)
    }

    /// Whether it is away, and `stream` was its last stream.
    pub(in crate::remote::worker_registry) fn is_away_since(&self, stream: u64) -> bool {
        let state = self.state();
        state.stream == stream && state.is_away()
    }
}
