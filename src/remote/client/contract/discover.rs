//! Discovery: the services of a node, and its workers.

use super::connection::ContractClient;
use crate::codec::proto::v1;
use crate::model::error::Result;

impl ContractClient {
    /// Lists the connected workers, by name.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost.
    pub async fn workers(&self) -> Result<Vec<v1::Worker>> {
        self.workers_of("").await
    }

    /// Lists the connected workers that serve a service, by name; those of all services for the empty name.
    ///
    /// # Errors
    ///
    /// As for [`workers`](Self::workers).
    pub async fn workers_of(&self, service: &str) -> Result<Vec<v1::Worker>> {
        let mut workers = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListWorkersRequest {
                page_token,
                service: service.to_owned(),
                ..v1::ListWorkersRequest::default()
            };
            let list = async || self.admin.clone().list_workers(request.clone()).await;
            let page = self.read(list).await?;
            workers.extend(page.workers);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(workers);
            }
        }
    }

    /// Lists the first workers, by name: one page of at most `max`.
    ///
    /// # Errors
    ///
    /// As for [`workers`](Self::workers).
    #[cfg(feature = "cli")]
    pub(crate) async fn first_workers(&self, max: u32) -> Result<v1::ListWorkersResponse> {
        let request = v1::ListWorkersRequest {
            page_size: max,
            ..v1::ListWorkersRequest::default()
        };
        let list = async || self.admin.clone().list_workers(request.clone()).await;
        self.read(list).await
    }

    /// Lists the first services, by name: one page of at most `max`.
    ///
    /// # Errors
    ///
    /// As for [`workers`](Self::workers).
    #[cfg(feature = "cli")]
    pub(crate) async fn first_services(&self, max: u32) -> Result<v1::ListServicesResponse> {
        let request = v1::ListServicesRequest {
            page_size: max,
            ..v1::ListServicesRequest::default()
        };
        let list = async || self.discovery.clone().list_services(request.clone()).await;
        self.read(list).await
    }

    /// Removes a service that no worker serves any more from the node.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `FAILED_PRECONDITION` / `SERVICE_IN_USE`.
    pub async fn forget_service(&self, service: &str) -> Result<()> {
        let request = v1::ForgetServiceRequest {
            service: service.to_owned(),
        };
        let forget = async || self.admin.clone().forget_service(request.clone()).await;
        self.write(forget).await.map(drop)
    }

    /// Lists the services whose names start with `prefix`.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost.
    pub async fn services(&self, prefix: &str) -> Result<Vec<v1::ServiceSummary>> {
        let mut services = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListServicesRequest {
                name_prefix: prefix.to_owned(),
                page_token,
                ..v1::ListServicesRequest::default()
            };
            let list = async || self.discovery.clone().list_services(request.clone()).await;
            let page = self.read(list).await?;
            services.extend(page.services);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(services);
            }
        }
    }

    /// Describes a service.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `SERVICE_UNKNOWN`; `UNAVAILABLE` where the connection is lost.
    pub async fn describe(&self, service: &str) -> Result<v1::ServiceDescription> {
        let request = v1::GetServiceRequest {
            service: service.to_owned(),
        };
        let get = async || self.discovery.clone().get_service(request.clone()).await;
        Ok(self.read(get).await?.service.unwrap_or_default())
    }
}
