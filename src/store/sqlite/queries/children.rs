//! Lists the children of an invocation.

use rusqlite::{Connection, params};

use crate::engine::store::Child;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::error::failed;

/// The index has the rows of a parent in the order of their ids, which is the order of acceptance.
const SELECT: &str = "SELECT cid, request FROM invocation WHERE parent = ?1 ORDER BY id LIMIT ?2";

/// The first `max` children of an invocation in the order of acceptance. Those that cannot be decoded are skipped.
pub(in crate::store::sqlite) fn children(
    connection: &Connection,
    parent: Cid,
    max: usize,
    cipher: &BlobCipher,
) -> Result<Vec<Child>> {
    let read = || {
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let mut select = connection.prepare_cached(SELECT)?;
        let mut rows = select.query(params![parent.as_bytes(), limit])?;
        let mut children = Vec::new();
        while let Some(row) = rows.next()? {
            let cid = row.get_ref(0)?.as_blob()?;
            match decode(cid, row.get_ref(1)?.as_blob()?, cipher) {
                Ok(child) => children.push(child),
                Err(error) => {
                    tracing::error!(cid = %parent, %error, "cannot decode a child of an invocation; skipping it");
                }
            }
        }
        Ok(children)
    };
    read().map_err(failed)
}

fn decode(cid: &[u8], request: &[u8], cipher: &BlobCipher) -> Result<Child> {
    let cid = blob::cid(cid)?;
    Ok(Child {
        cid,
        is_callback: blob::decode_is_callback(cid, request, cipher)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::open::SCHEMA;

    #[test]
    fn children_are_found_by_an_index_that_also_sorts_them() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let explain = format!("EXPLAIN QUERY PLAN {SELECT}");
        let mut explain = connection.prepare(&explain).unwrap();
        let parent = Cid::new();
        let rows = explain.query_map(params![parent.as_bytes(), 100], |row| {
            row.get::<_, String>(3)
        });
        let plan: Vec<_> = rows.unwrap().map(|row| row.unwrap()).collect();
        let plan = plan.join("; ");
        assert!(plan.contains("INDEX children (parent=?)"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}
