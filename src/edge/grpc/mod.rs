//! The gRPC services of a node.

mod admin;
mod batch;
mod catalog;
mod complete;
mod discovery;
mod examples;
mod files;
mod health;
mod invocation;
mod manage;
mod reflection;
mod request;
mod results;
mod typed;
mod worker;

use std::net::SocketAddr;

use tonic::service::Routes;
use tonic_reflection::pb::{v1 as reflection_v1, v1alpha as reflection_v1alpha};

use self::admin::AdminApi;
pub(super) use self::catalog::Catalog;
use self::discovery::DiscoveryApi;
pub use self::health::{HealthApi, Serving};
pub use self::invocation::InvocationApi;
use self::reflection::ReflectionApi;
use self::typed::TypedApi;
use self::worker::WorkerApi;
use crate::codec::proto::health::health_server::HealthServer;
use crate::codec::proto::v1::admin_service_server::AdminServiceServer;
use crate::codec::proto::v1::discovery_service_server::DiscoveryServiceServer;
use crate::codec::proto::v1::invocation_service_server::InvocationServiceServer;
use crate::codec::proto::v1::worker_service_server::WorkerServiceServer;
use crate::engine::Invoker;
use crate::remote::worker_registry::WorkerRegistry;

/// The methods whose requests are streams that last: they have no time in which they must have arrived.
pub(super) const STREAMS_THAT_LAST: [&str; 3] = [
    "/cidery.v1.WorkerService/Serve",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// A result that is too large ends its dispatch, not the stream of all others: up to so many times the limit.
const WORKER_SLACK: usize = 4;

/// The service that is called most.
pub(super) fn invocation_service(
    invoker: &Invoker,
    workers: &WorkerRegistry,
) -> InvocationServiceServer<InvocationApi> {
    InvocationServiceServer::new(InvocationApi::new(invoker.clone(), workers.clone()))
        .max_decoding_message_size(invoker.limits().message_bytes)
        // What is too large is found before it is encoded, and answered with a reason.
        .max_encoding_message_size(usize::MAX)
}

/// All others.
pub(super) fn other_services(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    serving: &Serving,
    catalog: &Catalog,
    address: Option<SocketAddr>,
) -> Routes {
    let limit = invoker.limits().message_bytes;
    let v1 = ReflectionApi::new(catalog.clone());
    let v1alpha = ReflectionApi::new(catalog.clone());
    let health = HealthApi::new(invoker.clone(), serving.clone());
    let worker = WorkerServiceServer::new(WorkerApi::new(invoker.clone(), workers.clone()));
    let discovery = DiscoveryApi::new(invoker.clone(), catalog.clone(), address);
    let discovery = DiscoveryServiceServer::new(discovery);
    Routes::new(discovery.max_decoding_message_size(limit))
        .add_service(AdminServiceServer::new(AdminApi::new(workers.clone())))
        .add_service(worker.max_decoding_message_size(limit.saturating_mul(WORKER_SLACK)))
        .add_service(HealthServer::new(health))
        .add_service(reflection_v1::server_reflection_server::ServerReflectionServer::new(v1))
        .add_service(
            reflection_v1alpha::server_reflection_server::ServerReflectionServer::new(v1alpha),
        )
}

/// What has all paths that no other service has.
pub(super) fn typed_methods(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    catalog: &Catalog,
) -> TypedApi {
    TypedApi::new(invoker.clone(), workers.clone(), catalog.clone())
}
