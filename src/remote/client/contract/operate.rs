//! What an operator asks of a node: its status, and its events.

use tonic::Streaming;

use super::connection::ContractClient;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::remote::protocol::transport::error_from_status;

/// The events of a node, from when the stream was opened. It ends with an error: `UNAVAILABLE` where the connection is
/// lost or the node stops.
#[derive(Debug)]
pub struct NodeEvents(Streaming<v1::WatchEventsResponse>);

impl NodeEvents {
    /// The next event; `None` at the end.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `NODE_STOPPING`, or where the connection is lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Result<Option<v1::WatchEventsResponse>> {
        let next = self.0.message().await;
        next.map_err(|status| error_from_status(&status))
    }
}

impl ContractClient {
    /// Reads the status of the node.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost.
    pub async fn status(&self) -> Result<v1::GetStatusResponse> {
        let request = v1::GetStatusRequest {};
        self.read(async || self.admin.clone().get_status(request).await)
            .await
    }

    /// Reads what the first services of the node have done, by name: one page of at most `max`.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost.
    #[cfg(feature = "cli")]
    pub(crate) async fn service_stats(&self, max: u32) -> Result<v1::ListServiceStatsResponse> {
        let request = v1::ListServiceStatsRequest {
            page_size: max,
            ..v1::ListServiceStatsRequest::default()
        };
        let list = async || self.admin.clone().list_service_stats(request.clone()).await;
        self.read(list).await
    }

    /// Watches the events of the node. Those that happen after this has returned are in the stream.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost.
    pub async fn watch_events(&self, request: v1::WatchEventsRequest) -> Result<NodeEvents> {
        let watch = async || self.admin.clone().watch_events(request.clone()).await;
        Ok(NodeEvents(self.read(watch).await?))
    }
}
