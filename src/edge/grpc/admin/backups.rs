//! Copies of the store: written, listed, read and removed by name.

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use tonic::Status;

use crate::codec::convert::timestamp_to_proto;
use crate::codec::proto::v1;
use crate::codec::status::to_status;
use crate::engine::Invoker;
use crate::engine::backup::{Backup, BackupName, BackupPhase, Backups, NewBackup};
use crate::model::error::{Error, Result, reason};

/// How many copies a response lists at most.
const MAX_LISTED: usize = 1_000;
/// How many bytes a part of a copy has at most. One is in memory at a time.
const PART_BYTES: usize = 256 << 10;

/// Writes a copy. It ends with the node.
pub(super) async fn write(
    invoker: &Invoker,
    request: v1::BackupStoreRequest,
    principal: &str,
) -> Result<v1::BackupStoreResponse> {
    invoker.check_accepting()?;
    let now = invoker.now();
    let name = match request.name.as_str() {
        "" => BackupName::of(now),
        name => BackupName::parse(name)?,
    };
    let backups = backups(invoker)?;
    let backup = NewBackup {
        name,
        create_time: now,
        is_temporary: request.temporary,
    };
    let backup = tokio::select! {
        written = backups.write(backup) => written?,
        () = invoker.closing().cancelled() => {
            let message = "the node is stopping: the copy was ended, and is removed";
            return Err(Error::unavailable(reason::NODE_STOPPING, message));
        }
    };
    let events = invoker.event_bus();
    events.backup_written(&backup.name, backup.bytes, principal);
    Ok(v1::BackupStoreResponse {
        path: backup.path.display().to_string(),
        bytes: backup.bytes,
        backup: Some(to_proto(backup)),
    })
}

/// Lists the copies.
pub(super) async fn list(invoker: &Invoker) -> Result<v1::ListBackupsResponse> {
    let backups = backups(invoker)?.list(MAX_LISTED).await?;
    Ok(v1::ListBackupsResponse {
        backups: backups.into_iter().map(to_proto).collect(),
    })
}

/// Removes a copy.
pub(super) async fn delete(
    invoker: &Invoker,
    request: v1::DeleteBackupRequest,
    principal: &str,
) -> Result<v1::DeleteBackupResponse> {
    let name = BackupName::parse(&request.name)?;
    backups(invoker)?.delete(name.clone()).await?;
    tracing::info!(backup = %name, principal, "copy of the store deleted");
    invoker.event_bus().backup_deleted(&name, principal);
    Ok(v1::DeleteBackupResponse {})
}

/// Reads a copy, part by part, as fast as its reader takes them.
pub(super) async fn read(
    invoker: &Invoker,
    request: v1::ReadBackupRequest,
) -> Result<BoxStream<'static, Result<v1::ReadBackupResponse, Status>>> {
    let name = BackupName::parse(&request.name)?;
    let reader = BackupReader {
        invoker: invoker.clone(),
        name,
    };
    // The first part before the response: an unknown copy is the status of the call, not of its stream.
    let first = reader.part(request.offset).await?;
    let parts = stream::try_unfold(
        (reader, request.offset, Some(first)),
        async |(reader, offset, first)| {
            let part = match first {
                Some(first) => first,
                None => match reader.part(offset).await {
                    Ok(part) => part,
                    Err(error) => return Err(to_status(&error)),
                },
            };
            if part.is_empty() {
                return Ok(None);
            }
            let next = offset + part.len() as u64;
            let response = v1::ReadBackupResponse { offset, data: part };
            Ok(Some((response, (reader, next, None))))
        },
    );
    Ok(Box::pin(parts))
}

/// A copy that is being read.
struct BackupReader {
    invoker: Invoker,
    name: BackupName,
}

impl BackupReader {
    async fn part(&self, offset: u64) -> Result<Bytes> {
        let backups = backups(&self.invoker)?;
        backups.read(self.name.clone(), offset, PART_BYTES).await
    }
}

/// The copies of the store.
///
/// # Errors
///
/// `FAILED_PRECONDITION` / `BACKUP_UNSUPPORTED`.
fn backups(invoker: &Invoker) -> Result<&dyn Backups> {
    let store = invoker.store();
    store.backups().ok_or_else(|| {
        let message = match store.is_shared() {
            true => "the store is a database that nodes share: copy it with the tools of the database",
            false => {
                "this node keeps invocations in memory only, and there is nothing to copy: start it with `--data-dir`"
            }
        };
        Error::failed_precondition(reason::BACKUP_UNSUPPORTED, message)
    })
}

fn to_proto(backup: Backup) -> v1::Backup {
    let phase = backup.progress.map(|progress| match progress.phase {
        BackupPhase::Copying => v1::BackupPhase::Copying,
        BackupPhase::Verifying => v1::BackupPhase::Verifying,
        BackupPhase::Hashing => v1::BackupPhase::Hashing,
    });
    v1::Backup {
        name: backup.name.as_str().to_owned(),
        bytes: backup.bytes,
        create_time: Some(timestamp_to_proto(backup.create_time)),
        sha256: backup.sha256,
        invocations: backup.invocations,
        fraction: backup.progress.map(|progress| progress.fraction),
        phase: phase.unwrap_or_default().into(),
        temporary: backup.is_temporary,
    }
}
