//! `StreamResults`: a server stream of the events of invocations.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::Status;

use crate::codec::convert::{event_to_proto, not_found_to_proto, progress_event_to_proto};
use crate::codec::proto::v1;
use crate::codec::status::to_status;
use crate::edge::connection::Connection;
use crate::engine::{FollowRequest, Follower, FollowerEvent, Invoker};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;

/// The response stream of one `StreamResults` call.
pub(in crate::edge) struct ResultResponses {
    /// One `not_found` event for each malformed CID, sent before all others.
    invalid: VecDeque<v1::StreamResultsResponse>,
    next: Option<NextFuture>,
    /// The caller's deadline, enforced here for clients that do not enforce it themselves.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl std::fmt::Debug for ResultResponses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResultResponses").finish_non_exhaustive()
    }
}

fn deadline_exceeded() -> Status {
    let message = "the deadline of the stream passed; resume it with `after_sequences`";
    to_status(&Error::deadline_exceeded(
        reason::DEADLINE_EXCEEDED,
        message,
    ))
}

type Next = (Follower, Result<Option<FollowerEvent>>);
type NextFuture = Pin<Box<dyn Future<Output = Next> + Send>>;

impl ResultResponses {
    pub(super) fn new(
        invoker: &Invoker,
        connection: Option<&Arc<Connection>>,
        message: v1::StreamResultsRequest,
        timeout: Option<Duration>,
    ) -> Result<Self> {
        let v1::StreamResultsRequest {
            cids,
            after_sequences,
            wait_for_accept,
        } = message;
        if cids.is_empty() {
            let violation = Violation::new("/cids", "MISSING", "must have at least one CID");
            return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
        }
        let limit = invoker.limits().stream_cids;
        let most = cids.len().max(after_sequences.len());
        if most > limit {
            let message = format!("{most} CIDs on one stream, more than the limit of {limit}");
            return Err(Error::invalid_argument(reason::STREAM_LIMIT, message)
                .with_info("stream_cids", limit));
        }
        let (cids, invalid) = parse(cids, &after_sequences);
        // Sequences of group members too; malformed CIDs are skipped.
        let seen = after_sequences.iter();
        let seen = seen.filter_map(|(text, seen)| Some((Cid::parse(text).ok()?, *seen)));
        let follower = invoker.follow(FollowRequest {
            seen: seen.collect(),
            cids,
            wait_for_accept,
            members: true,
            owners: None,
            principal: None,
            budget: connection.map(|connection| Arc::clone(&connection.answered)),
        })?;
        Ok(Self {
            invalid,
            next: Some(next(follower)),
            deadline: timeout.map(|timeout| Box::pin(tokio::time::sleep(timeout))),
        })
    }
}

/// The CIDs with the sequence to resume after, and a `not_found` event for each malformed one.
fn parse(
    cids: Vec<String>,
    after: &HashMap<String, u64>,
) -> (Vec<(Cid, u64)>, VecDeque<v1::StreamResultsResponse>) {
    let mut valid = Vec::with_capacity(cids.len());
    let mut invalid = VecDeque::new();
    for text in cids {
        match Cid::parse(&text) {
            Ok(cid) => valid.push((cid, after.get(&text).copied().unwrap_or(0))),
            Err(error) => invalid.push_back(not_found_to_proto(&text, &error, None)),
        }
    }
    (valid, invalid)
}

fn next(mut follower: Follower) -> NextFuture {
    Box::pin(async move {
        let followed = follower.next().await;
        (follower, followed)
    })
}

fn to_proto(followed: FollowerEvent) -> Result<v1::StreamResultsResponse> {
    match followed {
        FollowerEvent::Event(cid, event, run) => event_to_proto(cid, &event, run),
        FollowerEvent::Progress(cid, record) => progress_event_to_proto(cid, &record),
        FollowerEvent::NotFound {
            cid,
            error,
            tombstone,
        } => {
            let ended = tombstone.map(|tombstone| (tombstone.state, tombstone.end_time));
            Ok(not_found_to_proto(&cid.to_string(), &error, ended))
        }
    }
}

impl Stream for ResultResponses {
    type Item = Result<v1::StreamResultsResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = self.invalid.pop_front() {
            return Poll::Ready(Some(Ok(event)));
        }
        let Some(future) = &mut self.next else {
            return Poll::Ready(None);
        };
        let Poll::Ready((follower, followed)) = future.as_mut().poll(cx) else {
            if let Some(deadline) = &mut self.deadline {
                ready!(deadline.as_mut().poll(cx));
                self.next = None;
                return Poll::Ready(Some(Err(deadline_exceeded())));
            }
            return Poll::Pending;
        };
        let item = match followed {
            Ok(None) => {
                self.next = None;
                return Poll::Ready(None);
            }
            Ok(Some(followed)) => to_proto(followed),
            Err(error) => Err(error),
        };
        self.next = item.is_ok().then(|| next(follower));
        Poll::Ready(Some(item.map_err(|error| to_status(&error))))
    }
}
