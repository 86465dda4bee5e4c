//! Results of dispatches: responses, failures, async completion ("later"), and dispatches that are handed back.

use super::in_flight::{InFlight, WorkerReply, handed_back};
use super::refusals::{broken_protocol, protocol_error, void_token};
use super::session::WorkerSession;
use crate::codec::convert::dispatch_outcome_from_proto;
use crate::codec::payload;
use crate::codec::proto::v1;
use crate::codec::proto::v1::dispatch_result::Outcome;
use crate::model::error::{Error, Result, reason};
use crate::model::payload::Payload;
use crate::model::token::Token;
use crate::service::{Definition, DispatchStatus, output_invalid};

/// The number of results that are acknowledged at once; fewer are acknowledged at the next tick.
const ACKNOWLEDGED_AT_ONCE: usize = 64;

impl WorkerSession {
    /// Records the result of a dispatch.
    pub(crate) fn record_result(&self, result: v1::DispatchResult) {
        let Some(token) = Token::parse(&result.token) else {
            return self.refuse(&result.token, &void_token("this is not a token"));
        };
        // Before the dispatch ends: from then on its outcome may be completed from outside.
        let is_later = matches!(result.outcome, Some(Outcome::Later(_)));
        let completion = is_later.then(|| self.answer_later(token, &result));
        let (in_flight, received) = {
            let mut state = self.state();
            let in_flight = state.dispatches.remove(token);
            // Results of unknown dispatches are refused too. They take no memory while the worker does not read.
            let has_room = in_flight.is_some() || state.received.len() < ACKNOWLEDGED_AT_ONCE;
            if self.can_resume() && has_room {
                state.received.push(result.token.clone());
            }
            (in_flight, state.received.len())
        };
        // A worker keeps a result until it is acknowledged, and drains only after that.
        if received >= ACKNOWLEDGED_AT_ONCE || self.is_draining() {
            self.acknowledge_results();
        }
        let Some(InFlight {
            state, reply_to, ..
        }) = in_flight
        else {
            return self.refuse_void(&result.token);
        };
        let Some(reply_to) = reply_to else {
            return self.refuse(
                &result.token,
                &void_token("the outcome is no longer needed"),
            );
        };
        let reply = match completion {
            Some(completion) => completion.map(|()| WorkerReply {
                reply: Payload::empty().into(),
                follow_ups: Vec::new(),
            }),
            None => self.read(result, &state.definition),
        };
        let _ = reply_to.send(reply);
    }

    /// Turns a dispatch into one whose outcome is completed from outside.
    fn answer_later(&self, token: Token, result: &v1::DispatchResult) -> Result<()> {
        let broken = |message| Err(broken_protocol(self.name(), message));
        if !self.info().has(v1::Capability::Later) {
            return broken("it answered \"later\" without `CAPABILITY_LATER`");
        }
        if !result.follow_ups.is_empty() {
            return broken("follow-ups are accepted with a response, not with \"later\"");
        }
        match self.context_of(token) {
            Some(context) => context.platform().answer_later(token),
            // The result is refused afterwards, because its token is void.
            None => Ok(()),
        }
    }

    fn read(&self, mut result: v1::DispatchResult, definition: &Definition) -> Result<WorkerReply> {
        if result.outcome.is_none() {
            let message = "its result has no outcome: an empty response is an empty `payload`";
            return Err(broken_protocol(self.name(), message));
        }
        let follow_ups = std::mem::take(&mut result.follow_ups);
        let outcome = dispatch_outcome_from_proto(result).map_err(output_invalid)?;
        let reply = outcome?;
        self.check_size(&reply.payload)?;
        // A declared output is decoded where it is checked.
        if definition.declaration().output.is_none() {
            payload::scan(&reply.payload).map_err(output_invalid)?;
        }
        Ok(WorkerReply { reply, follow_ups })
    }

    fn check_size(&self, payload: &Payload) -> Result<()> {
        let limit = self.invoker().limits().message_bytes;
        let bytes = payload.weight();
        if bytes <= limit {
            return Ok(());
        }
        let message = format!("the response has {bytes} bytes; the limit is {limit}");
        Err(
            Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message)
                .with_retryable(false)
                .with_info("message_bytes", limit),
        )
    }

    /// Takes back dispatches that the worker will not finish.
    pub(crate) fn hand_back(&self, tokens: &[String]) {
        if !self.info().has(v1::Capability::HandBack) {
            let error = protocol_error("the worker did not announce `CAPABILITY_HAND_BACK`");
            let live = tokens
                .iter()
                .take_while(|_| self.protocol_failure().is_none());
            return live.for_each(|token| self.refuse(token, &error));
        }
        for text in tokens {
            if self.protocol_failure().is_some() {
                return;
            }
            let token = Token::parse(text);
            let in_flight = token.and_then(|token| self.state().dispatches.remove(token));
            let Some(InFlight {
                state, reply_to, ..
            }) = in_flight
            else {
                self.refuse_void(text);
                continue;
            };
            state.set_status(DispatchStatus::HandedBack);
            if let Some(reply_to) = reply_to {
                let _ = reply_to.send(Err(handed_back(self.name())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::*;
    use crate::model::access::Caller;
    use crate::remote::worker_registry::worker_info::WorkerInfo;
    use crate::store::started_engine;

    async fn session_that_resumes() -> WorkerSession {
        let invoker = started_engine().await;
        let hello = v1::Hello {
            capabilities: vec![v1::Capability::Resume.into()],
            ..v1::Hello::default()
        };
        let info = WorkerInfo::from_hello(&hello, String::new(), invoker.limits());
        WorkerSession::new(info, Caller::Trusted, Vec::new(), invoker, Arc::default())
    }

    #[tokio::test]
    async fn results_are_acknowledged_once_a_full_queue_has_room() {
        let session = session_that_resumes().await;
        let (outbox, mut queue) = mpsc::channel(1);
        // The welcome fills the queue.
        session.connect(outbox, &[]).unwrap();
        let token = Token::new().to_string();
        session.record_result(v1::DispatchResult {
            token: token.clone(),
            ..v1::DispatchResult::default()
        });
        session.acknowledge_results();
        let welcome = queue.try_recv().unwrap().unwrap().message;
        assert!(matches!(
            welcome,
            Some(v1::serve_response::Message::Welcome(_))
        ));
        session.acknowledge_results();
        let acknowledgement = queue.try_recv().expect("the results are not acknowledged");
        let received = v1::Received {
            tokens: vec![token],
        };
        assert_eq!(
            acknowledgement.unwrap().message,
            Some(v1::serve_response::Message::Received(received))
        );
    }
}
