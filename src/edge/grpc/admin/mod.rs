//! `cidery.v1.AdminService`: status and administration of a node.

mod backups;
mod control;
mod events;
mod history;
mod stats;
mod status;
mod workers;

pub(super) use self::control::principal;
use futures_util::stream::BoxStream;
use tonic::{Extensions, Request, Response, Status};

use super::request::{into_status, timeout};
use crate::codec::proto::v1;
use crate::codec::proto::v1::admin_service_server::AdminService;
use crate::edge::acts;
use crate::edge::caller::check_administrator;
use crate::engine::Invoker;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;

/// The implementation of `AdminService`.
#[derive(Clone, Debug)]
pub(super) struct AdminApi {
    invoker: Invoker,
    workers: WorkerRegistry,
}

impl AdminApi {
    pub(super) fn new(invoker: Invoker, workers: WorkerRegistry) -> Self {
        Self { invoker, workers }
    }

    /// Whether the caller administers the node: all methods ask for that, and nothing less.
    fn check(&self, extensions: &Extensions) -> Result<(), Status> {
        into_status(check_administrator(&self.invoker, extensions))
    }

    /// Who administers the node, and does something to `object`: a service, or a copy of the store.
    fn principal(&self, extensions: &Extensions, object: &str) -> Result<String, Status> {
        acts::about(extensions, object);
        self.check(extensions)?;
        Ok(principal(&self.invoker, extensions))
    }
}

#[tonic::async_trait]
impl AdminService for AdminApi {
    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        self.check(request.extensions())?;
        let status = status::read(&self.invoker, &self.workers).await;
        Ok(Response::new(status))
    }

    async fn list_workers(
        &self,
        request: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        self.check(request.extensions())?;
        into_status(workers::list(&self.workers, request.get_ref())).map(Response::new)
    }

    async fn list_service_stats(
        &self,
        request: Request<v1::ListServiceStatsRequest>,
    ) -> Result<Response<v1::ListServiceStatsResponse>, Status> {
        self.check(request.extensions())?;
        let listed = stats::list(&self.invoker, request.into_inner());
        into_status(listed.await).map(Response::new)
    }

    async fn get_history(
        &self,
        request: Request<v1::GetHistoryRequest>,
    ) -> Result<Response<v1::GetHistoryResponse>, Status> {
        self.check(request.extensions())?;
        into_status(history::get(&self.invoker, request.get_ref())).map(Response::new)
    }

    async fn pause_service(
        &self,
        request: Request<v1::PauseServiceRequest>,
    ) -> Result<Response<v1::PauseServiceResponse>, Status> {
        let principal = self.principal(request.extensions(), &request.get_ref().service)?;
        let done = control::pause(&self.invoker, request.into_inner(), principal);
        into_status(done.await).map(Response::new)
    }

    async fn resume_service(
        &self,
        request: Request<v1::ResumeServiceRequest>,
    ) -> Result<Response<v1::ResumeServiceResponse>, Status> {
        let principal = self.principal(request.extensions(), &request.get_ref().service)?;
        let done = control::resume(&self.invoker, request.get_ref(), principal);
        into_status(done.await).map(Response::new)
    }

    async fn disable_service(
        &self,
        request: Request<v1::DisableServiceRequest>,
    ) -> Result<Response<v1::DisableServiceResponse>, Status> {
        let principal = self.principal(request.extensions(), &request.get_ref().service)?;
        let done = control::disable(&self.invoker, request.into_inner(), principal);
        into_status(done.await).map(Response::new)
    }

    async fn enable_service(
        &self,
        request: Request<v1::EnableServiceRequest>,
    ) -> Result<Response<v1::EnableServiceResponse>, Status> {
        let principal = self.principal(request.extensions(), &request.get_ref().service)?;
        let done = control::enable(&self.invoker, request.get_ref(), principal);
        into_status(done.await).map(Response::new)
    }

    async fn forget_service(
        &self,
        request: Request<v1::ForgetServiceRequest>,
    ) -> Result<Response<v1::ForgetServiceResponse>, Status> {
        let principal = self.principal(request.extensions(), &request.get_ref().service)?;
        let service = &request.get_ref().service;
        let forgotten = self.workers.forget_service(service, principal.clone());
        into_status(forgotten.await)?;
        tracing::info!(service.name = %service, principal, "service forgotten");
        Ok(Response::new(v1::ForgetServiceResponse {}))
    }

    async fn resume_node(
        &self,
        request: Request<v1::ResumeNodeRequest>,
    ) -> Result<Response<v1::ResumeNodeResponse>, Status> {
        let principal = self.principal(request.extensions(), "")?;
        let resumed = control::resume_node(&self.invoker, &principal);
        Ok(Response::new(resumed))
    }

    async fn backup_store(
        &self,
        request: Request<v1::BackupStoreRequest>,
    ) -> Result<Response<v1::BackupStoreResponse>, Status> {
        let principal = self.principal(request.extensions(), &request.get_ref().name)?;
        let (_, extensions, message) = request.into_parts();
        let done = into_status(backups::write(&self.invoker, message, &principal).await)?;
        // Without a name in the request, the node has chosen one.
        let name = done.backup.as_ref().map_or("", |backup| &backup.name);
        acts::about(&extensions, name);
        Ok(Response::new(done))
    }

    async fn list_backups(
        &self,
        request: Request<v1::ListBackupsRequest>,
    ) -> Result<Response<v1::ListBackupsResponse>, Status> {
        self.check(request.extensions())?;
        into_status(backups::list(&self.invoker).await).map(Response::new)
    }

    async fn delete_backup(
        &self,
        request: Request<v1::DeleteBackupRequest>,
    ) -> Result<Response<v1::DeleteBackupResponse>, Status> {
        let principal = self.principal(request.extensions(), &request.get_ref().name)?;
        let done = backups::delete(&self.invoker, request.into_inner(), &principal);
        into_status(done.await).map(Response::new)
    }

    type ReadBackupStream = BoxStream<'static, Result<v1::ReadBackupResponse, Status>>;

    async fn read_backup(
        &self,
        request: Request<v1::ReadBackupRequest>,
    ) -> Result<Response<Self::ReadBackupStream>, Status> {
        self.principal(request.extensions(), &request.get_ref().name)?;
        into_status(backups::read(&self.invoker, request.into_inner()).await).map(Response::new)
    }

    type WatchEventsStream = BoxStream<'static, Result<v1::WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        self.check(request.extensions())?;
        let (transport, _, message) = request.into_parts();
        let timeout = into_status(timeout(None, &transport))?;
        into_status(events::watch(&self.invoker, message, timeout)).map(Response::new)
    }
}
