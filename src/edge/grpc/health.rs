//! `grpc.health.v1.Health`: the node (the empty name) and each service by name. Check, List and Watch.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::request::into_status;
use crate::codec::proto::health;
use crate::codec::proto::health::health_check_response::ServingStatus;
use crate::codec::proto::health::health_server::Health;
use crate::engine::Invoker;
use crate::model::error::Result;

/// How often whoever watches is told of what changes by itself.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Whether the node serves: set by whoever starts and stops it.
#[derive(Clone, Debug)]
pub struct Serving(Arc<watch::Sender<bool>>);

impl Serving {
    /// Not serving yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Says whether the node serves.
    pub fn set(&self, serving: bool) {
        self.0.send_replace(serving);
    }
}

impl Default for Serving {
    fn default() -> Self {
        Self::new()
    }
}

/// Answers health checks.
#[derive(Clone, Debug)]
pub struct HealthApi {
    invoker: Invoker,
    serving: Serving,
}

impl HealthApi {
    /// Answers for a node.
    #[must_use]
    pub fn new(invoker: Invoker, serving: Serving) -> Self {
        Self { invoker, serving }
    }

    /// The status of a service, or of the node for the empty name; fails for a name nobody knows.
    fn status(&self, service: &str) -> Result<ServingStatus> {
        if !service.is_empty() {
            self.invoker.service(service)?;
        }
        let is_safe = self.invoker.store().health().is_ok();
        Ok(if is_safe && *self.serving.0.borrow() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        })
    }

    async fn watch_one(
        self,
        service: String,
        statuses: tokio::sync::mpsc::Sender<Result<health::HealthCheckResponse, Status>>,
    ) {
        let mut serving = self.serving.0.subscribe();
        let mut services = self.invoker.service_changes();
        let mut last = None;
        loop {
            let status = self
                .status(&service)
                .unwrap_or(ServingStatus::ServiceUnknown);
            if last.replace(status) != Some(status)
                && statuses.send(Ok(response(status))).await.is_err()
            {
                return;
            }
            // The last status has been sent: nothing else will come.
            if self.invoker.closing().is_cancelled() {
                return;
            }
            let changed = tokio::select! {
                changed = serving.changed() => changed,
                changed = services.changed() => changed,
                // A disk that fails tells nobody.
                () = tokio::time::sleep(LOOK_AGAIN) => Ok(()),
                () = self.invoker.closing().cancelled() => Ok(()),
                () = statuses.closed() => return,
            };
            if changed.is_err() {
                return;
            }
        }
    }
}

fn response(status: ServingStatus) -> health::HealthCheckResponse {
    health::HealthCheckResponse {
        status: status.into(),
    }
}

#[tonic::async_trait]
impl Health for HealthApi {
    type WatchStream =
        Pin<Box<dyn Stream<Item = Result<health::HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<health::HealthCheckRequest>,
    ) -> Result<Response<health::HealthCheckResponse>, Status> {
        let status = into_status(self.status(&request.into_inner().service))?;
        Ok(Response::new(response(status)))
    }

    async fn list(
        &self,
        _: Request<health::HealthListRequest>,
    ) -> Result<Response<health::HealthListResponse>, Status> {
        let names = self.invoker.services();
        let names = names.iter().map(|facts| facts.definition.name().as_str());
        let mut statuses = HashMap::new();
        for name in names.chain([""]) {
            statuses.insert(name.to_owned(), response(into_status(self.status(name))?));
        }
        Ok(Response::new(health::HealthListResponse { statuses }))
    }

    async fn watch(
        &self,
        request: Request<health::HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let watch = self.clone().watch_one(request.into_inner().service, sender);
        self.invoker.tasks().spawn("health watch", watch);
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        Ok(Response::new(Box::pin(stream)))
    }
}
