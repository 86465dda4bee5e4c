//! The rows of a new invocation, and the answer if its CID or its idempotency key is known.

use std::sync::Arc;

use rusqlite::{OptionalExtension as _, params};

use super::key_queue::KeyQueueHead;
use super::transaction::{Found, Tx};
use crate::engine::store::Acceptance;
use crate::model::access::{Principal, Principals};
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::ledger::Ledger;
use crate::store::sqlite::newest::{Newest, Place};
use crate::store::sqlite::queries;

/// For most calls, which belong to nothing else: each column that a statement names takes one instruction in 300.
const INSERT: &str = "INSERT INTO invocation (id, cid, service, accept_time, sequence, request)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const INSERT_RELATED: &str = "INSERT INTO invocation
     (id, cid, service, accept_time, sequence, request, idempotency_key, parent, root, group_cid, position,
      principal, owner, owner_group)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
/// For those that wait for their time alone.
const INSERT_PENDING: &str = "INSERT INTO pending (id, service, due, wake, generation)
     VALUES (?1, ?2, ?3, ?4, ?5)";
const INSERT_PENDING_RELATED: &str = "INSERT INTO pending
     (id, service, due, wake, over, concurrency_key, leads, generation, awaited, held, open_members)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6 IS NULL, ?7, ?9 IS NOT NULL, ?8, ?9)";

/// A new invocation, encoded by the caller.
#[derive(Debug)]
pub(super) struct NewInvocation {
    pub(super) cid: Cid,
    pub(super) service: ServiceName,
    /// The encoded request, sealed.
    pub(super) request: Vec<u8>,
    due: i64,
    next_wakeup: i64,
    expires_at: Option<i64>,
    idempotency_key: Option<String>,
    concurrency_key: Option<String>,
    accept_time: i64,
    parent: Option<Cid>,
    root: Option<Cid>,
    /// The invocation that it retries.
    retry_of: Option<Cid>,
    sequence: u64,
    /// The group that it is a member of, and its position.
    member: Option<(Cid, u32)>,
    /// A group: how many of its members have not ended.
    open_members: Option<u32>,
    principals: Option<Arc<Principals>>,
    /// How many callbacks it promises.
    promised: usize,
}

impl NewInvocation {
    pub(super) fn encode(invocation: &Invocation, cipher: &BlobCipher) -> Result<Self> {
        let request = &invocation.request;
        let member = request.member();
        Ok(Self {
            cid: request.cid,
            service: request.service.clone(),
            request: blob::encode_request(request, cipher)?,
            due: blob::nanos(invocation.due),
            next_wakeup: blob::nanos(invocation.next_wakeup()),
            expires_at: request.terms.expires_at(invocation.state).map(blob::nanos),
            idempotency_key: request.terms.idempotency_key.clone(),
            concurrency_key: request.terms.concurrency_key.clone(),
            accept_time: blob::nanos(request.accept_time),
            parent: request.parent,
            root: Some(request.root).filter(|root| *root != request.cid),
            retry_of: request.terms.retry_of,
            sequence: invocation.events.first().map_or(0, |event| event.sequence),
            member: member.map(|member| (member.group, member.position)),
            open_members: request.group().map(|_| invocation.open_members),
            principals: request.principals.clone(),
            promised: request.promised_callbacks(),
        })
    }

    /// Inserts the rows. The invocation is not known.
    pub(super) fn insert(&self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        let (service, id) = (tx.service_id(&self.service)?, tx.next_id(self.cid));
        let sequence = i64::try_from(self.sequence).unwrap_or(i64::MAX);
        let (cid, time) = (self.cid.as_bytes(), self.accept_time);
        if self.is_related() {
            self.insert_related(tx, id, service, sequence)?;
        } else {
            let columns = params![id, cid, service, time, sequence, self.request];
            tx.execute(INSERT, columns)?;
        }
        let place = match self.runs_at_once() {
            true => Place::Accepted { due: self.due },
            false => {
                self.insert_pending(tx, id, service)?;
                Place::Pending
            }
        };
        if let Some(retried) = self.retry_of {
            self.note_retry(tx, retried)?;
        }
        let service = self.service.clone();
        tx.set_newest(self.cid, Newest { id, service, place });
        Ok(())
    }

    /// Whether it has one of the columns that most invocations do not have.
    fn is_related(&self) -> bool {
        self.idempotency_key.is_some()
            || self.parent.is_some()
            || self.root.is_some()
            || self.member.is_some()
            || self.principals.is_some()
    }

    fn insert_related(
        &self,
        tx: &Tx<'_>,
        id: i64,
        service: i64,
        sequence: i64,
    ) -> rusqlite::Result<()> {
        let [principal, owner, group] = self.principal_ids(tx)?;
        let optional = |cid: &Option<Cid>| cid.map(|cid| *cid.as_bytes());
        let columns = params![
            id,
            self.cid.as_bytes(),
            service,
            self.accept_time,
            sequence,
            self.request,
            self.idempotency_key,
            optional(&self.parent),
            optional(&self.root),
            self.member.map(|(group, _)| *group.as_bytes()),
            self.member.map(|(_, position)| position),
            principal,
            owner,
            group,
        ];
        tx.execute(INSERT_RELATED, columns).map(drop)
    }

    /// Counts it as pending, with the callbacks that it promises.
    pub(super) fn count(&self, ledger: &mut Ledger) {
        ledger.accept(&self.service, self.owner(), self.cid, self.promised);
    }

    /// To whom it belongs.
    pub(super) fn owner(&self) -> Option<&Principal> {
        self.principals.as_ref()?.acting_principal.as_ref()
    }

    /// The ids of who asked, of the owner, and of the group of the owner.
    fn principal_ids(&self, tx: &Tx<'_>) -> rusqlite::Result<[Option<i64>; 3]> {
        let Some(principals) = self.principals.as_deref() else {
            return Ok([None; 3]);
        };
        let Principals {
            principal,
            acting_principal,
            acting_group,
        } = principals;
        let principal_id = tx.principal_id(principal.as_ref())?;
        let owner_id = match acting_principal == principal {
            true => principal_id,
            false => tx.principal_id(acting_principal.as_ref())?,
        };
        Ok([
            principal_id,
            owner_id,
            tx.principal_id(acting_group.as_ref())?,
        ])
    }

    /// Notes that it retries another invocation, unless that is gone.
    fn note_retry(&self, tx: &Tx<'_>, retried: Cid) -> rusqlite::Result<()> {
        if let Some(found) = tx.find(retried)? {
            let insert = "INSERT OR REPLACE INTO retry (id, retried_as) VALUES (?1, ?2)";
            tx.execute(insert, params![found.id(), self.cid.as_bytes()])?;
        }
        Ok(())
    }

    /// Whether it is due once it is accepted, and waits for no other invocation.
    fn runs_at_once(&self) -> bool {
        self.due == self.accept_time
            && self.next_wakeup == self.due
            && self.waits_for_its_time_alone()
    }

    /// Whether it waits for no other invocation, and does not expire.
    fn waits_for_its_time_alone(&self) -> bool {
        self.expires_at.is_none()
            && self.concurrency_key.is_none()
            && self.member.is_none()
            && self.open_members.is_none()
    }

    fn insert_pending(&self, tx: &Tx<'_>, id: i64, service: i64) -> rusqlite::Result<()> {
        let (due, wake) = (self.due, self.next_wakeup);
        if self.waits_for_its_time_alone() {
            let columns = params![id, service, due, wake, tx.generation];
            return tx.execute(INSERT_PENDING, columns).map(drop);
        }
        let key = self.concurrency_key.as_deref().map(|key| (service, key));
        let queue = KeyQueueHead::read(tx, key)?;
        tx.execute(
            INSERT_PENDING_RELATED,
            params![
                id,
                service,
                due,
                wake,
                self.expires_at,
                self.concurrency_key,
                tx.generation,
                self.member.is_some(),
                self.open_members,
            ],
        )?;
        queue.map_or(Ok(()), |queue| queue.update_head(tx))
    }

    /// The answer if an invocation was accepted before with the same CID or idempotency key.
    pub(super) fn known(&self, tx: &Tx<'_>) -> rusqlite::Result<Option<Result<Acceptance>>> {
        if !tx.is_beyond_all(self.cid) {
            if let Some(found) = tx.find(self.cid)? {
                return first_request(tx, found.id());
            }
            if let Some(tombstone) = queries::tombstone(tx.connection(), self.cid)? {
                return Ok(Some(tombstone.map(Acceptance::Removed)));
            }
        }
        let id = self.id_of_key(tx)?;
        id.map_or(Ok(None), |id| first_request(tx, id))
    }

    fn id_of_key(&self, tx: &Tx<'_>) -> rusqlite::Result<Option<i64>> {
        let Some(key) = &self.idempotency_key else {
            return Ok(None);
        };
        let owner = tx.principal_id(self.owner())?;
        let select = "SELECT id FROM invocation WHERE idempotency_key = ?1 AND owner IS ?2 ORDER BY id LIMIT 1";
        let mut select = tx.prepare(select)?;
        select
            .query_row(params![key, owner], |row| row.get(0))
            .optional()
    }
}

impl Found {
    /// The id of the invocation.
    pub(super) fn id(&self) -> i64 {
        match self {
            Self::Newest(newest) => newest.id,
            Self::Indexed(id) => *id,
        }
    }
}

/// The request that was accepted with an id.
fn first_request(tx: &Tx<'_>, id: i64) -> rusqlite::Result<Option<Result<Acceptance>>> {
    let select = "SELECT cid, service.name, request, accept_time FROM invocation
         JOIN service ON service.id = service WHERE invocation.id = ?1";
    let mut select = tx.prepare(select)?;
    let first = select.query_row([id], |row| {
        let (cid, name) = (row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?);
        Ok((cid, name, row.get::<_, Vec<u8>>(2)?, row.get(3)?))
    });
    Ok(first.optional()?.map(|(cid, name, request, accept_time)| {
        let first = ServiceName::from_record(&name).and_then(|service| {
            blob::decode_request(blob::cid(&cid)?, service, accept_time, &request, tx.cipher)
        });
        first.map(|first| Acceptance::Known(Arc::new(first)))
    }))
}
