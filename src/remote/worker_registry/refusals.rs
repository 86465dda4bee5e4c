//! Refused messages of a worker: the answer, the log, and the errors that say why.

use super::refusal_counts::echo;
use super::session::WorkerSession;
use crate::codec::convert::failure_to_proto;
use crate::codec::proto::v1;
use crate::model::error::{Error, reason};
use crate::model::token::Token;

impl WorkerSession {
    /// Refuses a message of the worker for a dispatch, with the reason. The refusal is dropped where the worker does
    /// not read. Messages for a dispatch that this worker had come late, which is no error; those for other tokens, and
    /// violations of the protocol, are counted as errors.
    pub(crate) fn refuse(&self, token: &str, error: &Error) {
        let is_protocol_error = match error.reason() {
            reason::WORKER_PROTOCOL => true,
            reason::DISPATCH_VOID => !self.had(token),
            _ => false,
        };
        let limit = self.invoker().limits().worker_errors;
        let counted = self.refusals().count(error, is_protocol_error, limit);
        if counted.suppressed_before > 0 {
            self.log_suppressed(counted.suppressed_before);
        }
        if counted.is_logged {
            tracing::warn!(
                worker.id = self.id(),
                worker.name = self.name(),
                reason = error.reason(),
                "refused a message of a worker: {}",
                echo(error.message())
            );
        }
        self.send_if_room(v1::serve_response::Message::Refused(v1::Refused {
            token: echo(token),
            failure: Some(failure_to_proto(
                &error.clone().with_message(echo(error.message())),
            )),
        }));
    }

    /// Refuses a message of the worker for a token that is void.
    pub(crate) fn refuse_void(&self, token: &str) {
        self.refuse(
            token,
            &void_token("the dispatch has ended: its token is void"),
        );
    }

    /// Why the stream has to end, after too many protocol errors.
    pub(crate) fn protocol_failure(&self) -> Option<Error> {
        self.refusals().failure()
    }

    /// Logs how many refusals were not logged, as the session ends.
    pub(super) fn log_suppressed_refusals(&self) {
        let suppressed = self.refusals().take_suppressed();
        if suppressed > 0 {
            self.log_suppressed(suppressed);
        }
    }

    fn log_suppressed(&self, suppressed: usize) {
        tracing::warn!(
            worker.id = self.id(),
            worker.name = self.name(),
            suppressed,
            "more messages of a worker were refused"
        );
    }

    /// Whether the worker had the dispatch of a token.
    fn had(&self, token: &str) -> bool {
        Token::parse(token).is_some_and(|token| self.state().dispatches.had(token))
    }
}

/// `FAILED_PRECONDITION` / `DISPATCH_VOID`.
pub(super) fn void_token(message: &str) -> Error {
    Error::failed_precondition(reason::DISPATCH_VOID, message)
}

/// `FAILED_PRECONDITION` / `WORKER_PROTOCOL`, for a message that is refused while its dispatch lives.
pub(crate) fn protocol_error(message: &str) -> Error {
    Error::failed_precondition(reason::WORKER_PROTOCOL, message)
}

/// `INTERNAL` / `WORKER_PROTOCOL`, for a dispatch that fails because its worker broke the protocol: the caller cannot
/// do anything about it, and another attempt at the same worker fails alike.
pub(super) fn broken_protocol(worker: &str, message: &str) -> Error {
    let message = format!("the worker `{worker}` broke the worker protocol: {message}");
    Error::internal(reason::WORKER_PROTOCOL, message).with_retryable(false)
}
