//! Copies of the store of a node.

use bytes::Bytes;
use tonic::Streaming;

use super::connection::ContractClient;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::remote::protocol::transport::error_from_status;

impl ContractClient {
    /// Has the node write a copy of its store, and waits for it. Dropping the future ends the copy.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `BACKUP_EXISTS`; `FAILED_PRECONDITION` / `BACKUP_RUNNING` or `BACKUP_UNSUPPORTED`;
    /// `RESOURCE_EXHAUSTED` / `STORE_FULL`; `DATA_LOSS` / `STORE_DAMAGED`; `UNAVAILABLE` where the connection is lost.
    pub async fn backup_store(&self, name: &str) -> Result<v1::BackupStoreResponse> {
        let request = v1::BackupStoreRequest {
            name: name.to_owned(),
        };
        let backup = async || self.admin.clone().backup_store(request.clone()).await;
        self.write(backup).await
    }

    /// Lists the copies on the node, the newest first.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `BACKUP_UNSUPPORTED`; `UNAVAILABLE` where the connection is lost.
    pub async fn backups(&self) -> Result<Vec<v1::Backup>> {
        let list = async || {
            let request = v1::ListBackupsRequest {};
            self.admin.clone().list_backups(request).await
        };
        Ok(self.read(list).await?.backups)
    }

    /// Reads a copy from an offset.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `BACKUP_UNKNOWN`; `UNAVAILABLE` where the connection is lost.
    pub async fn read_backup(&self, name: &str, offset: u64) -> Result<BackupParts> {
        let request = v1::ReadBackupRequest {
            name: name.to_owned(),
            offset,
        };
        let open = async || self.admin.clone().read_backup(request.clone()).await;
        self.read(open).await.map(BackupParts)
    }

    /// Removes a copy from the node, and ends one that is being written.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `BACKUP_UNKNOWN`; `UNAVAILABLE` where the connection is lost.
    pub async fn delete_backup(&self, name: &str) -> Result<()> {
        let request = v1::DeleteBackupRequest {
            name: name.to_owned(),
        };
        let delete = async || self.admin.clone().delete_backup(request.clone()).await;
        self.write(delete).await.map(drop)
    }
}

/// The parts of a copy, in order.
#[derive(Debug)]
pub struct BackupParts(Streaming<v1::ReadBackupResponse>);

impl BackupParts {
    /// Receives the next part with its offset; `None` at the end.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost: the copy can be read on from the end of the last part.
    pub async fn next(&mut self) -> Result<Option<(u64, Bytes)>> {
        let part = self.0.message().await;
        let part = part.map_err(|status| error_from_status(&status))?;
        Ok(part.map(|part| (part.offset, part.data)))
    }
}
