//! The rows of new invocations: a batch of them is one statement.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::connection::Tx;
use super::error::Failed;
use super::key_queues::{QueueKey, lock, update_heads};
use super::services::Services;
use crate::model::access::Principal;
use crate::model::error::Result;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::Invocation;
use crate::store::blob;
use crate::store::cipher::BlobCipher;

/// `ORDER BY`: locks are taken in one order by all transactions.
const INSERT_KEYS: &str = "INSERT INTO idempotency (key, cid)
     SELECT key, cid FROM unnest($1::bytea[], $2::uuid[]) AS n (key, cid) ORDER BY key
     ON CONFLICT DO NOTHING RETURNING key";
const REMOVE_KEYS: &str = "DELETE FROM idempotency WHERE key = ANY ($1::bytea[])";

/// Returns the invocations that are new.
const INSERT: &str = "WITH new AS MATERIALIZED (
         SELECT nextval('acceptance') AS id, n.* FROM unnest(
             $1::uuid[], $2::bigint[], $3::integer[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[],
             $8::uuid[], $9::uuid[], $10::uuid[], $11::integer[], $12::bytea[], $13::bytea[], $14::bytea[],
             $15::bigint[], $16::bigint[], $17::bigint[], $18::bytea[], $19::integer[], $20::uuid[], $21::integer[]
         ) AS n (cid, accept_id, service, accept_time, sequence, request, idempotency_key, parent, root, group_cid,
             position, principal, owner, owner_group, due, wake, over, key, open_members, retry_of, promised)
     ), registered AS (
         INSERT INTO registry (cid, id, accept_id) SELECT cid, id, accept_id FROM new ORDER BY cid
         ON CONFLICT DO NOTHING RETURNING cid
     ), asked AS (
         INSERT INTO invocation (id, cid, service, accept_time, sequence, request, idempotency_key, parent, root,
             group_cid, position, principal, owner, owner_group)
         SELECT id, cid, service, accept_time, sequence, request, idempotency_key, parent, root, group_cid, position,
             principal, owner, owner_group
         FROM new JOIN registered USING (cid)
     ), waiting AS (
         INSERT INTO pending (id, cid, service, claim, due, wake, over, key, leads, awaited, group_cid, open_members,
             promised, bytes)
         SELECT id, cid, service, $22, due, wake, over, key, key IS NULL, open_members IS NOT NULL, group_cid,
             open_members, promised, length(request)
         FROM new JOIN registered USING (cid)
     ), retried AS (
         INSERT INTO retry (id, retried_as)
         SELECT DISTINCT ON (registry.id) registry.id, new.cid FROM new JOIN registered USING (cid)
         JOIN registry ON registry.cid = new.retry_of WHERE registry.until IS NULL
         ORDER BY registry.id, new.id DESC
         ON CONFLICT (id) DO UPDATE SET retried_as = excluded.retried_as
     )
     SELECT cid, new.id FROM new JOIN registered USING (cid)";

/// A new invocation, encoded by its caller.
#[derive(Debug)]
pub(super) struct NewRow {
    pub(super) cid: Cid,
    pub(super) service: ServiceName,
    /// Identifies this acceptance where it is repeated.
    pub(super) accept_id: i64,
    pub(super) idempotency_key: Option<Vec<u8>>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) owner: Option<Principal>,
    /// How many callbacks it promises.
    pub(super) promised: usize,
    pub(super) request: Vec<u8>,
    accept_time: i64,
    sequence: i64,
    parent: Option<Uuid>,
    root: Option<Uuid>,
    member: Option<(Uuid, i32)>,
    principal: Option<Principal>,
    owner_group: Option<Principal>,
    due: i64,
    wake: i64,
    over: Option<i64>,
    open_members: Option<i32>,
    retry_of: Option<Uuid>,
}

/// A text of a caller as a column has it: a text of PostgreSQL has no NUL.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "")),
        false => Cow::Borrowed(text),
    }
}

/// A CID as a value of the database.
pub(super) fn uuid(cid: Cid) -> Uuid {
    Uuid::from_bytes(*cid.as_bytes())
}

/// The CID of a value of the database.
pub(super) fn cid(uuid: Uuid) -> Cid {
    Cid::from_bytes(*uuid.as_bytes())
}

/// What an idempotency key is stored as: it is that of its owner alone.
pub(super) fn idempotency_key(owner: Option<&Principal>, key: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    // A name has no NUL: no owner and key can be taken for others.
    hash.update(owner.map_or("", Principal::as_str));
    hash.update([0, u8::from(owner.is_some())]);
    hash.update(key);
    hash.finalize().to_vec()
}

/// What a concurrency key is stored as.
pub(super) fn concurrency_key(key: &str) -> Vec<u8> {
    Sha256::digest(key).to_vec()
}

fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl NewRow {
    pub(super) fn encode(invocation: &Invocation, cipher: &BlobCipher) -> Result<Self> {
        let request = &invocation.request;
        let terms = &request.terms;
        let owner = request.owner();
        let principals = request.principals.as_deref();
        let sequence = invocation.events.first().map_or(0, |event| event.sequence);
        let member = request.member();
        Ok(Self {
            cid: request.cid,
            service: request.service.clone(),
            accept_id: fastrand::i64(..),
            idempotency_key: terms
                .idempotency_key
                .as_deref()
                .map(|key| idempotency_key(owner, key)),
            key: terms.concurrency_key.as_deref().map(concurrency_key),
            owner: owner.cloned(),
            promised: request.promised_callbacks(),
            request: blob::encode_request(request, cipher)?,
            accept_time: blob::nanos(request.accept_time),
            sequence: i64::try_from(sequence).unwrap_or(i64::MAX),
            parent: request.parent.map(uuid),
            root: Some(request.root)
                .filter(|root| *root != request.cid)
                .map(uuid),
            member: member.map(|member| (uuid(member.group), number(member.position))),
            principal: principals.and_then(|it| it.principal.clone()),
            owner_group: principals.and_then(|it| it.acting_group.clone()),
            due: blob::nanos(invocation.due),
            wake: blob::nanos(invocation.next_wakeup()),
            over: terms.expires_at(invocation.state).map(blob::nanos),
            open_members: request.group().map(|_| number(invocation.open_members)),
            retry_of: terms.retry_of.map(uuid),
        })
    }

    /// How many bytes it counts for.
    pub(super) fn bytes(&self) -> usize {
        self.request.len()
    }
}

/// Inserts invocations whose CIDs and keys differ, and returns those that are new, each with its id. The others are
/// known by their CIDs or by their idempotency keys, and leave nothing.
pub(super) async fn insert(
    tx: &Tx<'_>,
    rows: &[&NewRow],
    services: &Services,
    first_claim: i64,
) -> Result<Vec<(Cid, i64)>, Failed> {
    let queues = queue_keys(rows, services)?;
    lock(tx, &queues).await?;
    let taken = insert_keys(tx, rows).await?;
    let free: Vec<&NewRow> = rows
        .iter()
        .copied()
        .filter(|row| {
            let key = row.idempotency_key.as_ref();
            key.is_none_or(|key| taken.contains(key))
        })
        .collect();
    if free.is_empty() {
        return Ok(Vec::new());
    }
    let stored = insert_rows(tx, &free, services, first_claim).await?;
    let is_stored = |row: &NewRow| stored.iter().any(|(cid, _)| *cid == row.cid);
    if stored.len() < free.len() {
        // The CIDs of these are known: their keys are none of theirs.
        let of_known = free.iter().filter(|row| !is_stored(row));
        let keys: Vec<_> = of_known
            .filter_map(|row| row.idempotency_key.as_deref())
            .collect();
        if !keys.is_empty() {
            tx.execute(REMOVE_KEYS, &[&keys]).await?;
        }
    }
    update_heads(tx, &queues).await?;
    Ok(stored)
}

/// The concurrency keys of new invocations.
pub(super) fn queue_keys(rows: &[&NewRow], services: &Services) -> Result<Vec<QueueKey>, Failed> {
    let keyed = rows.iter().filter_map(|row| Some((row, row.key.clone()?)));
    keyed
        .map(|(row, key)| Ok((services.id(&row.service)?, key)))
        .collect()
}

/// The idempotency keys that no invocation had before.
async fn insert_keys(tx: &Tx<'_>, rows: &[&NewRow]) -> Result<Vec<Vec<u8>>, Failed> {
    let keyed = rows.iter();
    let keyed = keyed.filter_map(|row| Some((row.idempotency_key.as_deref()?, uuid(row.cid))));
    let (keys, cids): (Vec<_>, Vec<_>) = keyed.unzip();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let taken = tx.query(INSERT_KEYS, &[&keys, &cids]).await?;
    let taken = taken.iter().map(|row| row.try_get(0));
    Ok(taken.collect::<Result<_, tokio_postgres::Error>>()?)
}

async fn insert_rows(
    tx: &Tx<'_>,
    rows: &[&NewRow],
    services: &Services,
    first_claim: i64,
) -> Result<Vec<(Cid, i64)>, Failed> {
    fn all<'r, T>(rows: &[&'r NewRow], column: impl Fn(&'r NewRow) -> T) -> Vec<T> {
        rows.iter().map(|row| column(row)).collect()
    }
    fn name(principal: &Option<Principal>) -> Option<&[u8]> {
        principal.as_ref().map(|name| name.as_str().as_bytes())
    }
    let service_ids = rows.iter().map(|row| services.id(&row.service));
    let service_ids = service_ids.collect::<Result<Vec<i32>, Failed>>()?;
    let stored = tx
        .query(
            INSERT,
            &[
                &all(rows, |row| uuid(row.cid)),
                &all(rows, |row| row.accept_id),
                &service_ids,
                &all(rows, |row| row.accept_time),
                &all(rows, |row| row.sequence),
                &all(rows, |row| row.request.as_slice()),
                &all(rows, |row| row.idempotency_key.as_deref()),
                &all(rows, |row| row.parent),
                &all(rows, |row| row.root),
                &all(rows, |row| row.member.map(|(group, _)| group)),
                &all(rows, |row| row.member.map(|(_, position)| position)),
                &all(rows, |row| name(&row.principal)),
                &all(rows, |row| name(&row.owner)),
                &all(rows, |row| name(&row.owner_group)),
                &all(rows, |row| row.due),
                &all(rows, |row| row.wake),
                &all(rows, |row| row.over),
                &all(rows, |row| row.key.as_deref()),
                &all(rows, |row| row.open_members),
                &all(rows, |row| row.retry_of),
                &all(rows, |row| i32::try_from(row.promised).unwrap_or(i32::MAX)),
                &first_claim,
            ],
        )
        .await?;
    let stored = stored
        .iter()
        .map(|row| Ok((cid(row.try_get(0)?), row.try_get(1)?)));
    Ok(stored.collect::<Result<_, tokio_postgres::Error>>()?)
}
