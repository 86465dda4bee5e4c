//! `grpc.health.v1.Health`: the serving status of the node (the empty name), of each service, and of each gRPC service
//! by its full name, which is what gRPC clients ask for. Check, List and Watch.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::catalog::{Catalog, Snapshot};
use super::health_watches::HealthWatches;
use super::request::{into_status, timeout};
use super::stream_deadline::until_deadline;
use crate::codec::proto::health;
use crate::codec::proto::health::health_check_response::ServingStatus;
use crate::codec::proto::health::health_server::Health;
use crate::edge::caller::on_behalf_of_caller;
use crate::edge::connection::Connection;
use crate::edge::network::is_loopback;
use crate::engine::Invoker;
use crate::model::error::Result;

/// How often a watch polls the status, for changes without a notification, such as a failing disk.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Whether the node serves. Its start and stop set it.
#[derive(Clone, Debug)]
pub struct Serving(Arc<watch::Sender<bool>>);

impl Serving {
    /// Creates it as not serving.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Sets whether the node serves.
    pub fn set(&self, serving: bool) {
        self.0.send_replace(serving);
    }
}

impl Default for Serving {
    fn default() -> Self {
        Self::new()
    }
}

/// The largest request, in bytes: a stream keeps the name that it was asked for.
pub(super) const MAX_REQUEST_BYTES: usize = 1_024;

/// The implementation of `Health`.
#[derive(Clone, Debug)]
pub struct HealthApi {
    invoker: Invoker,
    catalog: Catalog,
    serving: Serving,
    watches: Arc<HealthWatches>,
}

impl HealthApi {
    /// Creates the health service of a node.
    #[must_use]
    pub(in crate::edge) fn new(invoker: Invoker, catalog: Catalog, serving: Serving) -> Self {
        Self {
            watches: Arc::new(HealthWatches::new(invoker.limits())),
            invoker,
            catalog,
            serving,
        }
    }

    /// Whether the node serves: it has started, does not drain, and its store is healthy.
    pub(in crate::edge) fn is_node_serving(&self) -> bool {
        self.combine(true) == ServingStatus::Serving
    }

    /// The status of a service or of a gRPC service; that of the node for the empty name. A name that is unknown, or
    /// that the caller may not see, is an error.
    async fn status(&self, caller: &Invoker, name: &str) -> Result<ServingStatus> {
        if name.is_empty() {
            return Ok(self.combine(true));
        }
        let is_served = match caller.takes_calls(name) {
            Ok(takes_calls) => takes_calls,
            Err(unknown) => {
                let catalog = self.catalog.current().await;
                is_grpc_served(caller, &catalog, name).ok_or(unknown)?
            }
        };
        Ok(self.combine(is_served))
    }

    /// A service serves while the node itself does, its handler runs in the node or a worker is connected for it, and
    /// it is neither paused nor disabled. A held node accepts, so that it serves, and none of its services does.
    fn combine(&self, is_served: bool) -> ServingStatus {
        let store = self.invoker.store();
        let is_store_healthy = store.health().is_ok() && store.is_reachable();
        match is_served && is_store_healthy && *self.serving.0.borrow() {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        }
    }

    async fn send_changes(
        self,
        caller: Invoker,
        service: String,
        statuses: tokio::sync::mpsc::Sender<Result<health::HealthCheckResponse, Status>>,
    ) {
        let mut serving = self.serving.0.subscribe();
        let mut services = self.invoker.service_changes();
        let mut last = None;
        loop {
            let status = self.status(&caller, &service).await;
            let status = status.unwrap_or(ServingStatus::ServiceUnknown);
            if last.replace(status) != Some(status)
                && statuses.send(Ok(response(status))).await.is_err()
            {
                return;
            }
            // The last status has been sent.
            if self.invoker.closing().is_cancelled() {
                return;
            }
            let changed = tokio::select! {
                changed = serving.changed() => changed,
                changed = services.changed() => changed,
                () = tokio::time::sleep(POLL_INTERVAL) => Ok(()),
                () = self.invoker.closing().cancelled() => Ok(()),
                () = statuses.closed() => return,
            };
            if changed.is_err() {
                return;
            }
        }
    }
}

/// Whether a gRPC service is served: one of the node always, whose names are those of the contract; one of typed
/// methods while any of its services is, and only to callers that see one of them.
fn is_grpc_served(caller: &Invoker, catalog: &Snapshot, name: &str) -> Option<bool> {
    if !catalog.pool.services.contains(name) {
        return None;
    }
    let Some(methods) = catalog.directory.of_grpc_service(name) else {
        return Some(true);
    };
    let services = methods.iter().map(|method| method.service.as_str());
    let seen: Vec<_> = services.filter(|it| caller.sees_service(it)).collect();
    let takes_calls = |service: &&str| caller.takes_calls(service).unwrap_or(false);
    (!seen.is_empty()).then(|| seen.iter().any(takes_calls))
}

fn response(status: ServingStatus) -> health::HealthCheckResponse {
    health::HealthCheckResponse {
        status: status.into(),
    }
}

#[tonic::async_trait]
impl Health for HealthApi {
    type WatchStream = BoxStream<'static, Result<health::HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<health::HealthCheckRequest>,
    ) -> Result<Response<health::HealthCheckResponse>, Status> {
        let caller = on_behalf_of_caller(&self.invoker, request.extensions());
        let status = into_status(self.status(&caller, &request.get_ref().service).await)?;
        Ok(Response::new(response(status)))
    }

    async fn list(
        &self,
        request: Request<health::HealthListRequest>,
    ) -> Result<Response<health::HealthListResponse>, Status> {
        let invoker = on_behalf_of_caller(&self.invoker, request.extensions());
        let mut statuses = HashMap::from([(String::new(), response(self.combine(true)))]);
        let catalog = self.catalog.current().await;
        let visible = self.catalog.visible_to(&invoker).await;
        let grpc = visible.services.iter().filter_map(|name| {
            let is_served = is_grpc_served(&invoker, &catalog, name)?;
            Some((name.to_string(), response(self.combine(is_served))))
        });
        statuses.extend(grpc);
        // A service may have the name of a gRPC service: then it is meant.
        statuses.extend(invoker.services().into_iter().map(|service| {
            let name = service.definition.name().to_string();
            (name, response(self.combine(service.takes_calls)))
        }));
        Ok(Response::new(health::HealthListResponse { statuses }))
    }

    async fn watch(
        &self,
        request: Request<health::HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = on_behalf_of_caller(&self.invoker, request.extensions());
        let connection = request.extensions().get::<Arc<Connection>>();
        // Where authentication is off, no caller has proved anything.
        let is_known = caller.caller().identity().is_some()
            || connection.is_some_and(|connection| is_loopback(connection.peer.ip()));
        let open = into_status(self.watches.open(connection, is_known))?;
        let timeout = into_status(timeout(None, request.metadata()))?;
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let service = request.into_inner().service;
        let watch = self.clone().send_changes(caller, service, sender);
        self.invoker.tasks().spawn("health watch", async move {
            watch.await;
            drop(open);
        });
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let stream = until_deadline(stream, timeout, "watch again");
        Ok(Response::new(stream))
    }
}
