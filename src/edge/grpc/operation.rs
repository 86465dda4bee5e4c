//! `cidery.v1.OperationService`: changes of any number of invocations.

use tonic::{Request, Response, Status};

use super::request::unimplemented;
use crate::codec::proto::v1;
use crate::codec::proto::v1::operation_service_server::OperationService;

/// The implementation of `OperationService`.
#[derive(Clone, Debug)]
pub(super) struct OperationApi;

#[tonic::async_trait]
impl OperationService for OperationApi {
    async fn start_operation(
        &self,
        _: Request<v1::StartOperationRequest>,
    ) -> Result<Response<v1::StartOperationResponse>, Status> {
        Err(unimplemented("StartOperation"))
    }

    async fn get_operation(
        &self,
        _: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::GetOperationResponse>, Status> {
        Err(unimplemented("GetOperation"))
    }

    async fn list_operations(
        &self,
        _: Request<v1::ListOperationsRequest>,
    ) -> Result<Response<v1::ListOperationsResponse>, Status> {
        Err(unimplemented("ListOperations"))
    }

    async fn cancel_operation(
        &self,
        _: Request<v1::CancelOperationRequest>,
    ) -> Result<Response<v1::CancelOperationResponse>, Status> {
        Err(unimplemented("CancelOperation"))
    }
}
