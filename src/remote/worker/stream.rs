//! The messages of a node to a worker: dispatches, cancellations, acknowledgements, drain.

use std::sync::Arc;
use std::time::Duration;

use crate::remote::protocol::credential::NodeChannel;
use tonic::Streaming;

use super::dispatch;
use super::session::NodeSession;
use crate::codec::convert::failure_from_proto;
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_response::Message;
use crate::codec::status::from_status;
use crate::model::error::{Error, reason};
use crate::service::log_failure;

/// How long a worker that is closed waits for the node to close the stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeStreamEnd {
    /// The node ended the session.
    Ended,
    /// The stream broke; the node may keep the session.
    Broken,
    /// It has not ended: its node stops, and ends it when its dispatches have ended.
    NodeStopping,
}

/// The stream from a node.
#[derive(Debug)]
pub(super) struct NodeStream {
    /// Shared by all dispatches: a clone of a channel allocates.
    channel: Arc<NodeChannel>,
    inbound: Streaming<v1::ServeResponse>,
}

impl NodeStream {
    pub(super) fn new(channel: NodeChannel, inbound: Streaming<v1::ServeResponse>) -> Self {
        Self {
            channel: Arc::new(channel),
            inbound,
        }
    }

    /// Handles messages until the stream ends, or the node announces that it stops.
    pub(super) async fn receive(&mut self, session: &Arc<NodeSession>) -> NodeStreamEnd {
        let closed = session.shared().closed();
        loop {
            let message = tokio::select! {
                message = self.inbound.message() => message,
                () = closed.cancelled() => {
                    session.disconnect();
                    // Once the node has closed the stream, it has received every message.
                    let drain = async { while let Ok(Some(_)) = self.inbound.message().await {} };
                    let _ = tokio::time::timeout(CLOSE_TIMEOUT, drain).await;
                    return NodeStreamEnd::Ended;
                }
            };
            match message {
                Ok(Some(message)) => {
                    for dispatch in message.dispatches {
                        dispatch::spawn(session, &self.channel, Box::new(dispatch));
                    }
                    if let Some(Message::Drain(_)) = message.message {
                        tracing::info!("the node stops; the worker connects to the next one");
                        return NodeStreamEnd::NodeStopping;
                    }
                    self.handle_message(session, message.message);
                }
                Ok(None) => {
                    tracing::warn!("the connection to the node was lost; reconnecting");
                    return NodeStreamEnd::Broken;
                }
                Err(status) => {
                    let error = from_status(&status);
                    let why = error.reason();
                    if is_connection_error(&error) {
                        tracing::warn!(
                            reason = why,
                            "the connection to the node was lost: {error}; reconnecting"
                        );
                        return NodeStreamEnd::Broken;
                    }
                    // A node that stops has announced it.
                    if why != reason::NODE_STOPPING {
                        tracing::warn!(
                            reason = why,
                            "the node ended the session: {error}; reconnecting"
                        );
                    }
                    return NodeStreamEnd::Ended;
                }
            }
        }
    }

    /// Handles messages until the stream ends.
    pub(super) async fn receive_to_end(&mut self, session: &Arc<NodeSession>) -> NodeStreamEnd {
        loop {
            match self.receive(session).await {
                NodeStreamEnd::NodeStopping => {}
                end => return end,
            }
        }
    }

    fn handle_message(&self, session: &Arc<NodeSession>, message: Option<Message>) {
        match message {
            Some(Message::Dispatch(dispatch)) => {
                dispatch::spawn(session, &self.channel, dispatch);
            }
            Some(Message::Cancel(cancel)) => session.cancel(&cancel.token),
            Some(Message::Received(received)) => session.remove_results(&received.tokens),
            Some(Message::Refused(refused)) => {
                session.remove_results(&[refused.token]);
                let failure = refused.failure.unwrap_or_default();
                tracing::warn!(
                    reason = failure.reason,
                    "the node refused a message: {}",
                    failure.message
                );
            }
            Some(Message::OutputInvalid(invalid)) => log_invalid_output(invalid),
            Some(Message::Drained(_)) => session.set_drained(),
            Some(Message::Drain(_) | Message::Welcome(_)) | None => {}
        }
    }
}

/// Logs a response that violates the declaration, like the node does: this is where its handler runs.
fn log_invalid_output(invalid: v1::OutputInvalid) {
    let v1::OutputInvalid {
        cid,
        service,
        failure,
        ..
    } = invalid;
    let error = failure_from_proto(failure.unwrap_or_default());
    let error = match error.field_violations() {
        // A single one is the message.
        [] | [_] => error,
        several => {
            let lines: Vec<_> = several.iter().map(ToString::to_string).collect();
            error.with_trace(lines.join("\n"))
        }
    };
    let span = tracing::error_span!("invocation", cid, service.name = service);
    span.in_scope(|| log_failure(&error));
}

/// Whether the connection failed, rather than the node answered.
fn is_connection_error(error: &Error) -> bool {
    [reason::CONNECT_FAILED, reason::TRANSPORT].contains(&error.reason())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::convert::failure_to_proto;
    use crate::model::error::Violation;
    use crate::service::runtime::CapturedLog;

    #[test]
    fn an_invalid_output_is_logged_with_its_cid_its_service_and_all_violations() {
        let mut error = Error::internal(reason::OUTPUT_INVALID, "it does not match");
        for path in ["/a", "/b"] {
            error = error.with_violation(Violation::new(path, "MALFORMED", "is odd"));
        }
        let invalid = v1::OutputInvalid {
            cid: "the-cid".to_owned(),
            service: "a.task".to_owned(),
            failure: Some(failure_to_proto(&error)),
            ..v1::OutputInvalid::default()
        };
        let log = CapturedLog::of(|| log_invalid_output(invalid));
        for text in ["ERROR", "the-cid", "a.task", "OUTPUT_INVALID", "/a", "/b"] {
            assert!(log.contains(text), "{text}: {log}");
        }
    }
}
