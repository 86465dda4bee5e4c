//! What goes to the writer: invocations and records, encoded by whoever asks, so that the one thread that writes need
//! not.

use super::blob;
use crate::engine::store::Record;
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;

/// A new invocation, encoded.
#[derive(Debug)]
pub(super) struct New {
    pub(super) cid: Cid,
    pub(super) service: ServiceName,
    pub(super) due: i64,
    pub(super) wake: i64,
    pub(super) over: Option<i64>,
    pub(super) idempotency_key: Option<String>,
    pub(super) concurrency_key: Option<String>,
    pub(super) accept_time: i64,
    pub(super) parent: Option<Cid>,
    pub(super) root: Option<Cid>,
    pub(super) sequence: u64,
    pub(super) request: Vec<u8>,
    /// The group that it is a member of, and its place in it.
    pub(super) member: Option<(Cid, u32)>,
    /// Of a group: how many of its members have not ended.
    pub(super) open_members: Option<u32>,
}

impl New {
    pub(super) fn of(invocation: &Invocation) -> Result<Self> {
        let request = &invocation.request;
        let member = request.member();
        Ok(Self {
            cid: request.cid,
            service: request.service.clone(),
            due: blob::nanos(invocation.due),
            wake: blob::nanos(invocation.next_wakeup()),
            over: request.terms.expires_at(invocation.state).map(blob::nanos),
            idempotency_key: request.terms.idempotency_key.clone(),
            concurrency_key: request.terms.concurrency_key.clone(),
            accept_time: blob::nanos(request.accept_time),
            parent: request.parent,
            root: Some(request.root).filter(|root| *root != request.cid),
            sequence: invocation.events.first().map_or(0, |event| event.sequence),
            request: blob::encode_request(request)?,
            member: member.map(|member| (member.group, member.position)),
            open_members: request.group().map(|_| invocation.open_members),
        })
    }
}

/// A new group and its members, encoded.
#[derive(Debug)]
pub(super) struct NewGroup {
    pub(super) group: New,
    pub(super) members: Vec<New>,
}

impl NewGroup {
    pub(super) fn of(group: &Invocation, members: &[Invocation]) -> Result<Self> {
        Ok(Self {
            group: New::of(group)?,
            members: members.iter().map(New::of).collect::<Result<_>>()?,
        })
    }

    /// All that is new.
    pub(super) fn rows(&self) -> impl Iterator<Item = &New> {
        std::iter::once(&self.group).chain(&self.members)
    }
}

/// A record, its events encoded.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) record: Record,
    pub(super) events: Vec<u8>,
    pub(super) progress: Option<Vec<u8>>,
    pub(super) followed_by: Vec<New>,
}

impl Change {
    pub(super) fn of(record: Record) -> Result<Self> {
        let mut events = Vec::new();
        blob::append_events(&mut events, &record.events)?;
        let progress = record.progress.as_deref().map(blob::encode_progress);
        let followed_by = record.followed_by.iter().map(New::of);
        Ok(Self {
            progress: progress.transpose()?,
            followed_by: followed_by.collect::<Result<_>>()?,
            record,
            events,
        })
    }
}
