//! Copies of the store of a node.

use bytes::Bytes;
use tonic::Streaming;

use super::connection::ContractClient;
use crate::codec::proto::v1;
use crate::codec::proto::v1::admin_service_client::AdminServiceClient;
use crate::model::error::{Error, Result};
use crate::remote::protocol::credential::NodeChannel;
use crate::remote::protocol::retry::{Retries, is_safe_to_retry, retry};
use crate::remote::protocol::transport::error_from_status;

impl ContractClient {
    /// Has the node write a copy of its store, and waits for it. Dropping the future ends the copy. One that is
    /// `temporary` is removed once nobody has read it for ten minutes; others are kept until they are deleted.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `BACKUP_EXISTS`; `FAILED_PRECONDITION` / `BACKUP_RUNNING` or `BACKUP_UNSUPPORTED`;
    /// `RESOURCE_EXHAUSTED` / `STORE_FULL`; `DATA_LOSS` / `STORE_DAMAGED`; `UNAVAILABLE` where the connection is lost.
    pub async fn backup_store(
        &self,
        name: &str,
        temporary: bool,
    ) -> Result<v1::BackupStoreResponse> {
        let request = v1::BackupStoreRequest {
            name: name.to_owned(),
            temporary,
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

    /// Reads a copy from an offset. Where the connection is lost, it is read on after the last part.
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
        let stream = self.read(open).await?;
        Ok(BackupParts {
            admin: self.admin.clone(),
            retries: self.retries.clone(),
            request,
            stream,
        })
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

/// The parts of a copy, in order. A broken stream is reopened after the last part that was received.
#[derive(Debug)]
pub struct BackupParts {
    admin: AdminServiceClient<NodeChannel>,
    retries: Retries,
    /// With the offset of the next part.
    request: v1::ReadBackupRequest,
    stream: Streaming<v1::ReadBackupResponse>,
}

impl BackupParts {
    /// Receives the next part with its offset; `None` at the end.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost and cannot be re-established; `NOT_FOUND` / `BACKUP_UNKNOWN` where
    /// the copy was removed meanwhile.
    pub async fn next(&mut self) -> Result<Option<(u64, Bytes)>> {
        let part = self.stream.message().await;
        let part = match part.map_err(|status| error_from_status(&status)) {
            Err(error) if is_safe_to_retry(&error) => self.resume(&error).await?,
            part => part?,
        };
        Ok(part.map(|part| {
            self.request.offset = part.offset + part.data.len() as u64;
            (part.offset, part.data)
        }))
    }

    /// Reopens the stream and receives its first part: only with that, an attempt has succeeded.
    async fn resume(&mut self, error: &Error) -> Result<Option<v1::ReadBackupResponse>> {
        let Self { admin, request, .. } = &*self;
        tracing::debug!(%error, request.offset, "the connection broke; reading the copy on");
        let next = || {
            let (mut admin, request) = (admin.clone(), request.clone());
            async move {
                let opened = admin.read_backup(request).await;
                let mut stream = opened
                    .map_err(|status| error_from_status(&status))?
                    .into_inner();
                let first = stream.message().await;
                let first = first.map_err(|status| error_from_status(&status))?;
                Ok((stream, first))
            }
        };
        let (stream, first) = retry(&self.retries, is_safe_to_retry, next).await?;
        self.stream = stream;
        Ok(first)
    }
}
