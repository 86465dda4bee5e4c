//! What operators do to services and to the node.

use super::connection::ContractClient;
use crate::codec::proto::v1;
use crate::model::error::Result;

impl ContractClient {
    /// Pauses a service.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `INVALID_ARGUMENT` for a reason of more than 1 KiB; `UNAVAILABLE` where the
    /// connection is lost.
    pub async fn pause_service(
        &self,
        request: v1::PauseServiceRequest,
    ) -> Result<v1::ServiceControl> {
        let pause = async || self.admin.clone().pause_service(request.clone()).await;
        Ok(self.read(pause).await?.control.unwrap_or_default())
    }

    /// Resumes a service; returns whether it was paused.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `UNAVAILABLE` where the connection is lost.
    pub async fn resume_service(&self, service: &str) -> Result<bool> {
        let request = v1::ResumeServiceRequest {
            service: service.to_owned(),
        };
        let resume = async || self.admin.clone().resume_service(request.clone()).await;
        Ok(self.write(resume).await?.was_paused)
    }

    /// Disables a service.
    ///
    /// # Errors
    ///
    /// As for [`pause_service`](Self::pause_service).
    pub async fn disable_service(
        &self,
        request: v1::DisableServiceRequest,
    ) -> Result<v1::ServiceControl> {
        let disable = async || self.admin.clone().disable_service(request.clone()).await;
        Ok(self.read(disable).await?.control.unwrap_or_default())
    }

    /// Enables a service; returns whether it was disabled.
    ///
    /// # Errors
    ///
    /// As for [`resume_service`](Self::resume_service).
    pub async fn enable_service(&self, service: &str) -> Result<bool> {
        let request = v1::EnableServiceRequest {
            service: service.to_owned(),
        };
        let enable = async || self.admin.clone().enable_service(request.clone()).await;
        Ok(self.write(enable).await?.was_disabled)
    }

    /// Lets a node that was started with `--hold` start what it has accepted; returns whether it was held.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost.
    pub async fn resume_node(&self) -> Result<bool> {
        let request = v1::ResumeNodeRequest {};
        let resume = async || self.admin.clone().resume_node(request).await;
        Ok(self.write(resume).await?.was_held)
    }
}
