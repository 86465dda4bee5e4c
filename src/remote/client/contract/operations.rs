//! Operations: changes of any number of invocations, which the node makes.

use super::connection::ContractClient;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::model::operation::OperationId;

impl ContractClient {
    /// Starts an operation, or counts what it would be over. Unless the request has an id, it gets one, so that it is
    /// safe to repeat.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost.
    pub async fn start_operation(
        &self,
        mut request: v1::StartOperationRequest,
    ) -> Result<v1::StartOperationResponse> {
        if request.id.is_empty() && !request.dry_run {
            request.id = OperationId::new().to_string();
        }
        let start = async || {
            self.operation
                .clone()
                .start_operation(request.clone())
                .await
        };
        self.read(start).await
    }

    /// An operation as it is, or once there is news of it, within about 30 s.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `OPERATION_UNKNOWN`; `UNAVAILABLE` where the connection is lost.
    pub async fn operation(&self, id: OperationId, wait: bool) -> Result<v1::Operation> {
        let request = v1::GetOperationRequest {
            id: id.to_string(),
            wait,
        };
        let get = async || self.operation.clone().get_operation(request.clone()).await;
        Ok(self.read(get).await?.operation.unwrap_or_default())
    }

    /// Lists up to `max` operations in these states, newest first. Without a state: all.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost.
    pub async fn operations(
        &self,
        states: &[v1::OperationState],
        max: usize,
    ) -> Result<Vec<v1::Operation>> {
        const PAGE: usize = 1_000;
        let (mut operations, mut page_token) = (Vec::new(), String::new());
        loop {
            let left = max.saturating_sub(operations.len()).min(PAGE);
            let request = v1::ListOperationsRequest {
                states: states.iter().copied().map(i32::from).collect(),
                page_size: u32::try_from(left).unwrap_or_default(),
                page_token,
            };
            let list = async || {
                self.operation
                    .clone()
                    .list_operations(request.clone())
                    .await
            };
            let page = self.read(list).await?;
            operations.extend(page.operations);
            page_token = page.next_page_token;
            if page_token.is_empty() || operations.len() >= max {
                return Ok(operations);
            }
        }
    }

    /// Cancels an operation, and returns it as it is then. What it has changed stays changed.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `OPERATION_UNKNOWN`; `UNAVAILABLE` where the connection is lost.
    pub async fn cancel_operation(&self, id: OperationId) -> Result<v1::Operation> {
        let request = v1::CancelOperationRequest { id: id.to_string() };
        let cancel = async || {
            self.operation
                .clone()
                .cancel_operation(request.clone())
                .await
        };
        Ok(self.read(cancel).await?.operation.unwrap_or_default())
    }
}
