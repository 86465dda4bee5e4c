//! The events of invocations, as a client receives them.

use jiff::Timestamp;

use crate::codec::convert::{
    failure_from_proto, not_found_from_proto, progress_from_proto, reply_from_proto,
    state_from_proto, timestamp_from_proto,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::stream_results_response::Event as Proto;
use crate::codec::struct_pb;
use crate::model::error::{Error, Result};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{InvocationState, Progress};
use crate::model::value::Value;
use crate::service::Response;

/// Something that happened to an invocation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// The invocation.
    pub cid: Cid,
    /// Increases with each event of an invocation, with gaps, and is never reused. `None` for progress and
    /// [`NotFound`](EventKind::NotFound).
    pub sequence: Option<u64>,
    /// The number of the attempt, from 1; `None` where the event belongs to none.
    pub attempt: Option<u32>,
    /// The sequence of the [`Started`](EventKind::Started) event of the run that the event belongs to: an attempt that
    /// is lost with its worker or its node runs again under the same number. `None` for progress, and before the first
    /// run.
    pub run: Option<u64>,
    /// When it happened; `None` for [`NotFound`](EventKind::NotFound).
    pub time: Option<Timestamp>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to an invocation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// It is stored.
    #[non_exhaustive]
    Accepted {
        /// The service it invokes; `None` for a group.
        service: Option<ServiceName>,
        /// When it is due.
        start_time: Option<Timestamp>,
    },
    /// An attempt started.
    #[non_exhaustive]
    Started {
        /// The name and the ID of the worker; `None` where the node runs the handler itself.
        worker: Option<String>,
    },
    /// The handler reported progress. Only the last report is replayed.
    Progress(Progress),
    /// The handler emitted an item.
    Item(Value),
    /// An attempt failed and another one follows, or the invocation is held.
    #[non_exhaustive]
    RetryScheduled {
        /// Why it failed.
        failure: Error,
        /// When the next attempt is due; `None` where no attempt is left, and the invocation is held until it is
        /// retried or cancelled.
        start_time: Option<Timestamp>,
    },
    /// The last event: the response.
    Succeeded(Response),
    /// The last event: the failure.
    Failed(Error),
    /// The last event: it was cancelled.
    Cancelled(Error),
    /// The last event: it had not started when it expired.
    Expired(Error),
    /// The last event: no such invocation is stored, or its outcome was removed.
    #[non_exhaustive]
    NotFound {
        /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; `OUT_OF_RANGE` / `SEQUENCE_UNKNOWN`; `DATA_LOSS` /
        /// `STORE_DAMAGED`.
        error: Error,
        /// The state in which it ended, where its outcome was removed.
        state: Option<InvocationState>,
        /// When it ended, where its outcome was removed.
        end_time: Option<Timestamp>,
    },
}

impl Event {
    /// The outcome, where this is the last event of its invocation.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<Response>> {
        match &self.kind {
            EventKind::Succeeded(response) => Some(Ok(response.clone())),
            EventKind::Failed(error)
            | EventKind::Cancelled(error)
            | EventKind::Expired(error)
            | EventKind::NotFound { error, .. } => Some(Err(error.clone())),
            EventKind::Accepted { .. }
            | EventKind::Started { .. }
            | EventKind::Progress(_)
            | EventKind::Item(_)
            | EventKind::RetryScheduled { .. } => None,
        }
    }

    /// Converts an event of the contract; `None` for one of a later version.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for a malformed event.
    pub(super) fn from_proto(event: v1::StreamResultsResponse) -> Result<Option<Self>> {
        let Some(kind) = event.event else {
            return Ok(None);
        };
        let cid = Cid::parse(&event.cid)?;
        Ok(Some(Self {
            cid,
            sequence: Some(event.sequence).filter(|sequence| *sequence > 0),
            attempt: Some(event.attempt).filter(|attempt| *attempt > 0),
            run: Some(event.run).filter(|run| *run > 0),
            time: time(event.event_time),
            kind: kind_from_proto(cid, kind)?,
        }))
    }
}

fn kind_from_proto(cid: Cid, event: Proto) -> Result<EventKind> {
    Ok(match event {
        Proto::Accepted(event) => EventKind::Accepted {
            service: match event.service.as_str() {
                "" => None,
                name => Some(name.parse()?),
            },
            start_time: time(event.start_time),
        },
        Proto::Started(event) => EventKind::Started {
            worker: Some(event.worker).filter(|worker| !worker.is_empty()),
        },
        Proto::Progress(event) => {
            EventKind::Progress(progress_from_proto(event.progress.unwrap_or_default())?)
        }
        Proto::Item(event) => EventKind::Item(match event.item {
            Some(v1::item_event::Item::Payload(bytes)) => struct_pb::decode_dict(&bytes)?.into(),
            Some(v1::item_event::Item::Value(bytes)) => struct_pb::decode_value(&bytes)?,
            None => Value::Null,
        }),
        Proto::RetryScheduled(event) => EventKind::RetryScheduled {
            failure: failure(cid, event.failure),
            start_time: time(event.start_time),
        },
        Proto::Succeeded(event) => {
            let reply = reply_from_proto(event.output, event.data_format, event.metadata)?;
            EventKind::Succeeded(Response::new(cid, reply)?)
        }
        Proto::Failed(event) => EventKind::Failed(failure(cid, event.failure)),
        Proto::Cancelled(event) => EventKind::Cancelled(failure(cid, event.failure)),
        Proto::Expired(event) => EventKind::Expired(failure(cid, event.failure)),
        Proto::NotFound(event) => EventKind::NotFound {
            state: state_from_proto(event.state, false).ok(),
            end_time: time(event.end_time),
            error: not_found_from_proto(event).with_cid(cid),
        },
    })
}

fn failure(cid: Cid, failure: Option<v1::Failure>) -> Error {
    failure_from_proto(failure.unwrap_or_default()).with_cid(cid)
}

fn time(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    timestamp_from_proto(&time?)
}
