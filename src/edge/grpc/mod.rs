//! The gRPC services of a node.

mod admin;
mod discovery;
mod health;
mod invocation;
mod reflection;
mod request;
mod results;
mod worker;

use tonic::service::Routes;
use tonic_reflection::pb::{v1 as reflection_v1, v1alpha as reflection_v1alpha};

use self::admin::AdminApi;
use self::discovery::DiscoveryApi;
pub use self::health::{HealthApi, Serving};
pub use self::invocation::InvocationApi;
use self::reflection::{Index, ReflectionApi};
use self::worker::WorkerApi;
use crate::codec::proto::health::health_server::HealthServer;
use crate::codec::proto::v1::admin_service_server::AdminServiceServer;
use crate::codec::proto::v1::discovery_service_server::DiscoveryServiceServer;
use crate::codec::proto::v1::invocation_service_server::InvocationServiceServer;
use crate::codec::proto::v1::worker_service_server::WorkerServiceServer;
use crate::engine::Invoker;
use crate::model::error::Result;

/// The methods whose requests are streams that last: they have no time in which they must have arrived.
pub(super) const STREAMS_THAT_LAST: [&str; 3] = [
    "/cidery.v1.WorkerService/Serve",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The service that is called most.
pub(super) fn invocation_service(invoker: &Invoker) -> InvocationServiceServer<InvocationApi> {
    InvocationServiceServer::new(InvocationApi::new(invoker.clone()))
        .max_decoding_message_size(invoker.limits().message_bytes)
        // What is too large is found before it is encoded, and answered with a reason.
        .max_encoding_message_size(usize::MAX)
}

/// All others.
pub(super) fn other_services(invoker: &Invoker, serving: &Serving) -> Result<Routes> {
    let limit = invoker.limits().message_bytes;
    let index = Index::of_the_api()?;
    let v1 = ReflectionApi::new(index.clone());
    let v1alpha = ReflectionApi::new(index);
    let health = HealthApi::new(invoker.clone(), serving.clone());
    let discovery = DiscoveryServiceServer::new(DiscoveryApi::new(invoker.clone()));
    Ok(Routes::new(discovery.max_decoding_message_size(limit))
        .add_service(AdminServiceServer::new(AdminApi))
        .add_service(WorkerServiceServer::new(WorkerApi))
        .add_service(HealthServer::new(health))
        .add_service(reflection_v1::server_reflection_server::ServerReflectionServer::new(v1))
        .add_service(
            reflection_v1alpha::server_reflection_server::ServerReflectionServer::new(v1alpha),
        ))
}
