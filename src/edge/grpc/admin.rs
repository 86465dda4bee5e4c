//! `cidery.v1.AdminService`: not in this version yet.

use tonic::{Request, Response, Status};

use super::request::not_yet;
use crate::codec::proto::v1;
use crate::codec::proto::v1::admin_service_server::AdminService;

#[derive(Clone, Copy, Debug)]
pub(super) struct AdminApi;

#[tonic::async_trait]
impl AdminService for AdminApi {
    async fn get_status(
        &self,
        _: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        Err(not_yet("GetStatus"))
    }

    async fn list_workers(
        &self,
        _: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        Err(not_yet("ListWorkers"))
    }

    async fn pause_service(
        &self,
        _: Request<v1::PauseServiceRequest>,
    ) -> Result<Response<v1::PauseServiceResponse>, Status> {
        Err(not_yet("PauseService"))
    }

    async fn resume_service(
        &self,
        _: Request<v1::ResumeServiceRequest>,
    ) -> Result<Response<v1::ResumeServiceResponse>, Status> {
        Err(not_yet("ResumeService"))
    }

    async fn forget_service(
        &self,
        _: Request<v1::ForgetServiceRequest>,
    ) -> Result<Response<v1::ForgetServiceResponse>, Status> {
        Err(not_yet("ForgetService"))
    }

    async fn backup_store(
        &self,
        _: Request<v1::BackupStoreRequest>,
    ) -> Result<Response<v1::BackupStoreResponse>, Status> {
        Err(not_yet("BackupStore"))
    }
}
