//! Reads operations over many invocations.

use rusqlite::Connection;

use crate::engine::store::StoredOperation;
use crate::model::error::{Error, Result};
use crate::model::operation::{OperationId, OperationProgress};
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::error::failed;
use crate::store::state_column::decode_operation_state;

/// Reads all operations, and why others cannot be read.
pub(in crate::store::sqlite) fn operations(
    connection: &Connection,
    cipher: &BlobCipher,
) -> Result<(Vec<StoredOperation>, Vec<Error>)> {
    let read = || {
        let select =
            "SELECT id, state, create_time, end_time, request, position, progress FROM operation";
        let mut select = connection.prepare(select)?;
        let rows = select.query_map([], |row| {
            Ok(OperationRow {
                id: row.get(0)?,
                state: row.get(1)?,
                create_time: row.get(2)?,
                end_time: row.get(3)?,
                request: row.get(4)?,
                position: row.get(5)?,
                progress: row.get(6)?,
            })
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let (mut operations, mut damaged) = (Vec::new(), Vec::new());
    for row in read().map_err(failed)? {
        match row.decode(cipher) {
            Ok(operation) => operations.push(operation),
            Err(error) => damaged.push(error),
        }
    }
    Ok((operations, damaged))
}

/// The columns of an operation.
struct OperationRow {
    id: [u8; 16],
    state: i64,
    create_time: i64,
    end_time: Option<i64>,
    request: Vec<u8>,
    position: i64,
    progress: Vec<u8>,
}

impl OperationRow {
    fn decode(self, cipher: &BlobCipher) -> Result<StoredOperation> {
        let id = OperationId::from_bytes(self.id);
        let progress = OperationProgress {
            state: decode_operation_state(self.state)?,
            end_time: self.end_time.map(blob::timestamp),
            ..blob::decode_operation_progress(id, &self.progress, cipher)?
        };
        Ok(StoredOperation {
            id,
            create_time: blob::timestamp(self.create_time),
            request: blob::open_operation_request(id, self.request, cipher)?,
            position: u64::try_from(self.position).unwrap_or_default(),
            progress,
        })
    }
}
