//! Stores operations over many invocations, and removes them.

use rusqlite::params;

use super::command::Command;
use super::transaction::Tx;
use crate::engine::store::StoredOperation;
use crate::model::error::Result;
use crate::model::operation::OperationId;
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::state_column::encode_operation_state;

const INSERT: &str =
    "INSERT INTO operation (id, state, create_time, end_time, request, position, progress)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
     ON CONFLICT DO UPDATE SET state = ?2, end_time = ?4, position = ?6, progress = ?7";

/// Stores an operation, or how far it is now. Not refused as new work: a purge makes room.
#[derive(Debug)]
pub(in crate::store::sqlite) struct SaveOperation {
    operation: StoredOperation,
    /// How far it is, encoded.
    progress: Vec<u8>,
}

impl SaveOperation {
    pub(in crate::store::sqlite) fn new(
        mut operation: StoredOperation,
        cipher: &BlobCipher,
    ) -> Result<Self> {
        let id = operation.id;
        operation.request = blob::seal_operation_request(id, operation.request, cipher)?;
        let progress = blob::encode_operation_progress(id, &operation.progress, cipher)?;
        Ok(Self {
            operation,
            progress,
        })
    }
}

impl Command for SaveOperation {
    type Reply = ();

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<()>> {
        let operation = &self.operation;
        let progress = &operation.progress;
        let values = params![
            operation.id.as_bytes(),
            encode_operation_state(progress.state),
            blob::nanos(operation.create_time),
            progress.end_time.map(blob::nanos),
            operation.request,
            i64::try_from(operation.position).unwrap_or(i64::MAX),
            self.progress,
        ];
        tx.execute(INSERT, values)?;
        Ok(Ok(()))
    }

    fn bytes(&self) -> usize {
        self.operation.request.len()
    }
}

/// Removes operations.
#[derive(Debug)]
pub(in crate::store::sqlite) struct RemoveOperations(pub(in crate::store::sqlite) Vec<OperationId>);

impl Command for RemoveOperations {
    type Reply = ();

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<()>> {
        for id in &self.0 {
            tx.execute("DELETE FROM operation WHERE id = ?1", [id.as_bytes()])?;
        }
        Ok(Ok(()))
    }

    fn rows(&self) -> usize {
        self.0.len()
    }
}
