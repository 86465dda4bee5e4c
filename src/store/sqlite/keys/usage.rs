//! What in a file needs which key: read from the first bytes of its blobs, without any key.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::table::KnownKey;
#[cfg(feature = "cli")]
use super::table::known_keys;
use crate::model::error::Result;
use crate::store::blob;
use crate::store::cipher::{Sealed, is_sealed};
use crate::store::sqlite::error::failed;

/// All blobs of an invocation.
const INVOCATIONS: &str = "SELECT request, coalesce(outcome.progress, pending.progress), pending.last_failure,
     coalesce(outcome.events, pending.events)
     FROM invocation LEFT JOIN outcome ON outcome.id = invocation.id LEFT JOIN pending ON pending.id = invocation.id
     WHERE invocation.id <= ?1 ORDER BY invocation.id";
const OPERATIONS: &str = "SELECT request, progress FROM operation WHERE ?1 > 0";
/// The column with several parts.
const EVENTS: usize = 3;

/// The ids of the keys of a row; the empty one stands for what is not encrypted.
type Ids = BTreeSet<String>;

/// Of the keys, those without which something cannot be read. Ends with the last one that is found.
pub(super) fn needed(connection: &Connection, keys: &[&KnownKey]) -> Result<BTreeSet<String>> {
    let mut left: BTreeSet<_> = keys.iter().map(|key| key.id.as_str()).collect();
    let last_id = keys.iter().map(|key| key.last_id.unwrap_or(i64::MAX)).max();
    let mut needed = BTreeSet::new();
    let mut each = |ids: &Ids| {
        for id in ids {
            if left.remove(id.as_str()) {
                needed.insert(id.clone());
            }
        }
        !left.is_empty()
    };
    let mut read = || {
        each_row(connection, OPERATIONS, i64::MAX, &mut each)?;
        each_row(
            connection,
            INVOCATIONS,
            last_id.unwrap_or_default(),
            &mut each,
        )
    };
    read().map_err(failed)?;
    Ok(needed)
}

/// Passes the keys of each row to a function, until that returns `false`.
fn each_row(
    connection: &Connection,
    select: &str,
    last_id: i64,
    each: &mut impl FnMut(&Ids) -> bool,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare(select)?;
    let columns = select.column_count();
    let mut rows = select.query([last_id])?;
    while let Some(row) = rows.next()? {
        let mut ids = Ids::new();
        for column in 0..columns {
            let Some(blob) = row.get_ref(column)?.as_blob_or_null()? else {
                continue;
            };
            add_ids(&mut ids, blob, column == EVENTS);
        }
        if !each(&ids) {
            break;
        }
    }
    Ok(())
}

/// Adds the keys of a blob. One that is damaged needs none.
fn add_ids(ids: &mut Ids, blob: &[u8], is_events: bool) {
    if is_events {
        let (sealed, has_plain) = blob::sealed_events(blob).unwrap_or_default();
        ids.extend(sealed.iter().map(|part| part.key_id.to_owned()));
        ids.extend(has_plain.then(String::new));
    } else if !is_sealed(blob) {
        ids.extend((!blob.is_empty()).then(String::new));
    } else if let Ok((sealed, _)) = Sealed::split(blob) {
        ids.insert(sealed.key_id.to_owned());
    }
}

/// A key, and how much needs it.
#[cfg(feature = "cli")]
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyUsage {
    /// The id of the key; `None`: what is not encrypted.
    pub(crate) id: Option<String>,
    /// When it encrypted first.
    pub(crate) first_time: Option<jiff::Timestamp>,
    /// Whether the store was written with it last.
    pub(crate) is_last: bool,
    pub(crate) invocations: u64,
    pub(crate) operations: u64,
}

/// Which keys a file needs: those that it was written with, in the order of their first use, and last what is not
/// encrypted, if there is any. All of it is read.
#[cfg(feature = "cli")]
pub(in crate::store::sqlite) fn read_usage(
    connection: &Connection,
) -> rusqlite::Result<Vec<KeyUsage>> {
    let mut counted = BTreeMap::<String, (u64, u64)>::new();
    let count = |counted: &mut BTreeMap<String, (u64, u64)>, ids: &Ids, of: (u64, u64)| {
        for id in ids {
            let (invocations, operations) = counted.entry(id.clone()).or_default();
            *invocations += of.0;
            *operations += of.1;
        }
        true
    };
    each_row(connection, INVOCATIONS, i64::MAX, &mut |ids| {
        count(&mut counted, ids, (1, 0))
    })?;
    each_row(connection, OPERATIONS, i64::MAX, &mut |ids| {
        count(&mut counted, ids, (0, 1))
    })?;
    let known = known_keys(connection)?.into_iter().map(|known| {
        let (invocations, operations) = counted.remove(&known.id).unwrap_or_default();
        KeyUsage {
            first_time: Some(blob::timestamp(known.first_time)),
            is_last: known.last_id.is_none(),
            id: Some(known.id),
            invocations,
            operations,
        }
    });
    let mut usage: Vec<_> = known.collect();
    // Of a key that was forgotten; the plain ones, which have no id, are last.
    usage.extend(
        counted
            .into_iter()
            .rev()
            .map(|(id, (invocations, operations))| KeyUsage {
                id: Some(id).filter(|id| !id.is_empty()),
                invocations,
                operations,
                ..KeyUsage::default()
            }),
    );
    Ok(usage)
}
