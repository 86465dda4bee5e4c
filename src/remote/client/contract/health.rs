//! The health of a node, by the health service of gRPC.

use super::connection::ContractClient;
use crate::codec::proto::health::HealthCheckRequest;
use crate::codec::proto::health::health_check_response::ServingStatus;
use crate::model::error::Result;

impl ContractClient {
    /// Whether a service takes calls; the node itself for the empty name.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `UNAVAILABLE` where the connection is lost.
    pub async fn is_serving(&self, service: &str) -> Result<bool> {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let check = async || self.health.clone().check(request.clone()).await;
        let response = self.read(check).await?;
        Ok(response.status() == ServingStatus::Serving)
    }
}
