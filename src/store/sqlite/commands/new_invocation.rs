//! The row of a new invocation, and the answer if its CID or its idempotency key is known.

use std::sync::Arc;

use rusqlite::{OptionalExtension as _, params};

use super::key_queue::KeyQueueHead;
use super::transaction::Tx;
use crate::engine::store::Acceptance;
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::store::sqlite::blob;
use crate::store::sqlite::queries;

const INSERT: &str = "INSERT INTO invocation
     (cid, service, state, due, wake, idempotency_key, generation, sequence, request, accept_time, parent,
      concurrency_key, root, leads, over, group_cid, position, held, open_members, awaited)
     VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?11 IS NULL, ?13, ?14, ?15,
      ?14 IS NOT NULL, ?16, ?16 IS NOT NULL) ON CONFLICT DO NOTHING";

/// A new invocation, encoded.
#[derive(Debug)]
pub(super) struct NewInvocation {
    pub(super) cid: Cid,
    pub(super) service: ServiceName,
    /// The encoded request.
    pub(super) request: Vec<u8>,
    due: i64,
    next_wakeup: i64,
    expires_at: Option<i64>,
    idempotency_key: Option<String>,
    concurrency_key: Option<String>,
    accept_time: i64,
    parent: Option<Cid>,
    root: Option<Cid>,
    sequence: u64,
    /// The group that it is a member of, and its position.
    member: Option<(Cid, u32)>,
    /// A group: how many of its members have not ended.
    open_members: Option<u32>,
    /// How many callbacks it promises.
    pub(super) promised: usize,
}

impl NewInvocation {
    pub(super) fn encode(invocation: &Invocation) -> Result<Self> {
        let request = &invocation.request;
        let member = request.member();
        Ok(Self {
            cid: request.cid,
            service: request.service.clone(),
            request: blob::encode_request(request)?,
            due: blob::nanos(invocation.due),
            next_wakeup: blob::nanos(invocation.next_wakeup()),
            expires_at: request.terms.expires_at(invocation.state).map(blob::nanos),
            idempotency_key: request.terms.idempotency_key.clone(),
            concurrency_key: request.terms.concurrency_key.clone(),
            accept_time: blob::nanos(request.accept_time),
            parent: request.parent,
            root: Some(request.root).filter(|root| *root != request.cid),
            sequence: invocation.events.first().map_or(0, |event| event.sequence),
            member: member.map(|member| (member.group, member.position)),
            open_members: request.group().map(|_| invocation.open_members),
            promised: request.promised_callbacks(),
        })
    }

    /// Inserts the row. Returns the id of its service, or `None` if there is a row with its CID.
    pub(super) fn insert(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Option<i64>> {
        let service = tx.service_id(&self.service)?;
        let sequence = i64::try_from(self.sequence).unwrap_or(i64::MAX);
        let queue = KeyQueueHead::read(tx, service, self.concurrency_key.as_deref())?;
        let inserted = tx.execute(
            INSERT,
            params![
                self.cid.as_bytes(),
                service,
                self.due,
                self.next_wakeup,
                self.idempotency_key,
                tx.generation,
                sequence,
                self.request,
                self.accept_time,
                self.parent.as_ref().map(Cid::as_bytes),
                self.concurrency_key,
                self.root.as_ref().map(Cid::as_bytes),
                self.expires_at,
                self.member.as_ref().map(|(group, _)| group.as_bytes()),
                self.member.map(|(_, position)| position),
                self.open_members,
            ],
        )?;
        if inserted == 0 {
            return Ok(None);
        }
        if let Some(queue) = queue {
            queue.update_head(tx)?;
        }
        Ok(Some(service))
    }

    /// Finds what the unique CID does not: tombstones, and other CIDs with the same key.
    pub(super) fn known_before_insert(
        &self,
        tx: &Tx<'_>,
    ) -> rusqlite::Result<Option<Result<Acceptance>>> {
        if let Some(tombstone) = queries::tombstone(tx.connection(), self.cid)? {
            return Ok(Some(tombstone.map(Acceptance::Removed)));
        }
        match self.idempotency_key {
            Some(_) => self.known(tx),
            None => Ok(None),
        }
    }

    /// Finds the invocation that was accepted before with the same CID or idempotency key.
    pub(super) fn known(&self, tx: &Tx<'_>) -> rusqlite::Result<Option<Result<Acceptance>>> {
        let select =
            "SELECT cid, service.name, request FROM invocation JOIN service ON service.id = service
             WHERE cid = ?1 OR idempotency_key = ?2 ORDER BY cid = ?1 DESC, invocation.id LIMIT 1";
        let mut select = tx.prepare(select)?;
        let first = params![self.cid.as_bytes(), self.idempotency_key];
        let first = select.query_row(first, |row| {
            Ok((
                row.get::<_, Vec<u8>>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Vec<u8>>(2)?,
            ))
        });
        Ok(first.optional()?.map(|(cid, name, request)| {
            let first = ServiceName::from_record(&name)
                .and_then(|service| blob::decode_request(blob::cid(&cid)?, service, &request));
            first.map(|first| Acceptance::Known(Arc::new(first)))
        }))
    }
}
