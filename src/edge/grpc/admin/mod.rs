//! `cidery.v1.AdminService`: status and administration of a node.

mod backups;

use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status};

use super::request::{into_status, unimplemented};
use crate::codec::convert::page_size_from_proto;
use crate::codec::proto::v1;
use crate::codec::proto::v1::admin_service_server::AdminService;
use crate::engine::Invoker;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;

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

    fn list(&self, request: &v1::ListWorkersRequest) -> Result<v1::ListWorkersResponse> {
        let size = page_size_from_proto(request.page_size, DEFAULT_PAGE, MAX_PAGE)?;
        // The token is the key of the last worker of the previous page: it stays valid while workers connect and
        // disconnect.
        let key = |worker: &v1::Worker| format!("{}/{}", worker.name, worker.id);
        let after = request.page_token.rsplit_once('/');
        let mut rest = self.workers.list().into_iter();
        let mut rest = rest
            .by_ref()
            .filter(|worker| after.is_none_or(|last| (&*worker.name, &*worker.id) > last));
        let workers: Vec<_> = rest.by_ref().take(size).collect();
        let next_page_token = match (rest.next(), workers.last()) {
            (Some(_), Some(last)) => key(last),
            _ => String::new(),
        };
        Ok(v1::ListWorkersResponse {
            workers,
            next_page_token,
        })
    }
}

#[tonic::async_trait]
impl AdminService for AdminApi {
    async fn get_status(
        &self,
        _: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        Err(unimplemented("GetStatus"))
    }

    async fn list_workers(
        &self,
        request: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        into_status(self.list(request.get_ref())).map(Response::new)
    }

    async fn pause_service(
        &self,
        _: Request<v1::PauseServiceRequest>,
    ) -> Result<Response<v1::PauseServiceResponse>, Status> {
        Err(unimplemented("PauseService"))
    }

    async fn resume_service(
        &self,
        _: Request<v1::ResumeServiceRequest>,
    ) -> Result<Response<v1::ResumeServiceResponse>, Status> {
        Err(unimplemented("ResumeService"))
    }

    async fn disable_service(
        &self,
        _: Request<v1::DisableServiceRequest>,
    ) -> Result<Response<v1::DisableServiceResponse>, Status> {
        Err(unimplemented("DisableService"))
    }

    async fn enable_service(
        &self,
        _: Request<v1::EnableServiceRequest>,
    ) -> Result<Response<v1::EnableServiceResponse>, Status> {
        Err(unimplemented("EnableService"))
    }

    async fn forget_service(
        &self,
        request: Request<v1::ForgetServiceRequest>,
    ) -> Result<Response<v1::ForgetServiceResponse>, Status> {
        let service = &request.get_ref().service;
        into_status(self.workers.forget_service(service).await)?;
        tracing::info!(service.name = %service, "service forgotten");
        Ok(Response::new(v1::ForgetServiceResponse {}))
    }

    async fn resume_node(
        &self,
        _: Request<v1::ResumeNodeRequest>,
    ) -> Result<Response<v1::ResumeNodeResponse>, Status> {
        Err(unimplemented("ResumeNode"))
    }

    async fn backup_store(
        &self,
        request: Request<v1::BackupStoreRequest>,
    ) -> Result<Response<v1::BackupStoreResponse>, Status> {
        into_status(backups::write(&self.invoker, request.into_inner()).await).map(Response::new)
    }

    async fn list_backups(
        &self,
        _: Request<v1::ListBackupsRequest>,
    ) -> Result<Response<v1::ListBackupsResponse>, Status> {
        into_status(backups::list(&self.invoker).await).map(Response::new)
    }

    async fn delete_backup(
        &self,
        request: Request<v1::DeleteBackupRequest>,
    ) -> Result<Response<v1::DeleteBackupResponse>, Status> {
        into_status(backups::delete(&self.invoker, request.into_inner()).await).map(Response::new)
    }

    type ReadBackupStream = BoxStream<'static, Result<v1::ReadBackupResponse, Status>>;

    async fn read_backup(
        &self,
        request: Request<v1::ReadBackupRequest>,
    ) -> Result<Response<Self::ReadBackupStream>, Status> {
        into_status(backups::read(&self.invoker, request.into_inner()).await).map(Response::new)
    }

    type WatchEventsStream = BoxStream<'static, Result<v1::WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        _: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        Err(unimplemented("WatchEvents"))
    }
}
