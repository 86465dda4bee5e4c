//! A dispatch that a worker has: from its hand-over to its result, or to the loss of the worker.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::codec::convert::failure_to_proto;
use crate::codec::proto::v1;
use crate::model::error::{Error, Result, reason};
use crate::model::token::Token;
use crate::remote::handed::{Given, Handed};
use crate::remote::session::{Answered, Outgoing, message};
use crate::service::Context;

#[derive(Debug)]
pub(super) struct Dispatched {
    /// Kept where the worker can resume: it may never have arrived.
    pub(super) input: Option<Given>,
    pub(super) seat: Arc<Handed>,
    pub(super) context: Context,
    /// `None` where nobody wants the outcome any more.
    pub(super) answer: Option<oneshot::Sender<Result<Answered>>>,
    /// Whether the worker is asked to stop it.
    pub(super) stop: Stop,
    /// The number of the last item.
    pub(super) items: u32,
}

/// Whether a dispatch is to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    /// It is, and the worker has not been told yet: there was no stream, or no room on it.
    Asked(Instant),
    /// The worker was told then.
    Told(Instant),
}

impl Dispatched {
    /// Has the worker stop it, which has the grace period from now on: told at once where there is room on a stream.
    pub(super) fn ask_to_stop(
        &mut self,
        token: Token,
        outbox: Option<&mpsc::Sender<Outgoing>>,
        can: bool,
    ) {
        self.stop = Stop::Asked(Instant::now());
        self.tell_to_stop(token, outbox, can);
    }

    /// Tells the worker to stop it, if it `can` be told.
    pub(super) fn tell_to_stop(
        &mut self,
        token: Token,
        outbox: Option<&mpsc::Sender<Outgoing>>,
        can: bool,
    ) {
        let is_told = !can || outbox.is_some_and(|outbox| outbox.try_send(cancel(token)).is_ok());
        if is_told {
            self.stop = Stop::Told(Instant::now());
        }
    }
}

/// That the outcome of a dispatch is no longer wanted.
fn cancel(token: Token) -> Outgoing {
    let error = Error::cancelled(reason::CANCELLED, "the outcome is no longer wanted");
    message(v1::serve_response::Message::Cancel(v1::CancelDispatch {
        token: token.to_string(),
        failure: Some(failure_to_proto(&error)),
    }))
}
