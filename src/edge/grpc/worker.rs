//! `cidery.v1.WorkerService`: not in this version yet.

use tonic::{Request, Response, Status, Streaming};

use super::request::not_yet;
use crate::codec::proto::v1;
use crate::codec::proto::v1::worker_service_server::WorkerService;

#[derive(Clone, Copy, Debug)]
pub(super) struct WorkerApi;

#[tonic::async_trait]
impl WorkerService for WorkerApi {
    type ServeStream = tokio_stream::Empty<Result<v1::ServeResponse, Status>>;

    async fn serve(
        &self,
        _: Request<Streaming<v1::ServeRequest>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        Err(not_yet("Serve"))
    }
}
