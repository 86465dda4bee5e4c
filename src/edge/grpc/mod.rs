//! The gRPC services of a node.

mod admin;
mod call_options;
mod catalog;
mod descriptor_pool;
mod discovery;
mod examples;
mod health;
mod health_watches;
mod hint;
mod invocation;
mod message_types;
mod method_finder;
mod operation;
mod oversize;
mod reflection;
mod request;
mod scaler;
mod security;
mod stream_deadline;
mod typed;
mod typed_response;
mod unary;
mod unknown_method;
mod visible;
mod worker;

use tonic::service::Routes;
use tonic_reflection::pb::{v1 as reflection_v1, v1alpha as reflection_v1alpha};

use self::admin::AdminApi;
pub(super) use self::call_options::{apply_headers, is_metadata};
pub(super) use self::catalog::Catalog;
pub(super) use self::discovery::DiscoveryApi;
pub use self::health::{HealthApi, Serving};
pub(super) use self::invocation::{InvocationApi, ResultResponses};
pub use self::invocation::{InvocationFuture, InvocationServer};
pub(super) use self::message_types::{MessageTypes, MethodTypes};
use self::method_finder::MethodFinder;
use self::operation::OperationApi;
use self::oversize::{WithoutOversizeResults, max_message_bytes};
use self::reflection::ReflectionApi;
pub(super) use self::request::{NotGrpc, not_grpc, trace_headers};
use self::scaler::ScalerApi;
use self::security::SecurityApi;
use self::typed::TypedApi;
use self::worker::WorkerApi;
use crate::codec::proto::externalscaler::external_scaler_server::ExternalScalerServer;
use crate::codec::proto::health::health_server::HealthServer;
use crate::codec::proto::v1::admin_service_server::AdminServiceServer;
use crate::codec::proto::v1::discovery_service_server::DiscoveryServiceServer;
use crate::codec::proto::v1::operation_service_server::OperationServiceServer;
use crate::codec::proto::v1::security_service_server::SecurityServiceServer;
use crate::codec::proto::v1::worker_service_server::WorkerServiceServer;
use crate::edge::address::NodeAddress;
use crate::engine::Invoker;
use crate::engine::access::KeyRing;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;

/// The path of worker streams.
const WORKER_STREAM_PATH: &str = "/cidery.v1.WorkerService/Serve";
/// Methods whose request streams are long-lived: they have no request timeout.
pub(super) const LONG_LIVED_STREAMS: [&str; 3] = [
    WORKER_STREAM_PATH,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// `InvocationService`, on the fast path.
pub(super) fn invocation_service(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    catalog: &Catalog,
) -> InvocationServer {
    let api = InvocationApi::new(invoker.clone(), workers.clone(), catalog.clone());
    InvocationServer::new(api, invoker.limits().message_bytes)
}

/// All other gRPC services.
pub(super) fn other_services(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    serving: &Serving,
    catalog: &Catalog,
    address: Option<NodeAddress>,
) -> Routes {
    let limit = invoker.limits().message_bytes;
    let v1 = ReflectionApi::new(catalog.clone(), invoker.clone());
    let v1alpha = ReflectionApi::new(catalog.clone(), invoker.clone());
    let health = HealthApi::new(invoker.clone(), catalog.clone(), serving.clone());
    let worker = WorkerServiceServer::new(WorkerApi::new(invoker.clone(), workers.clone()));
    let worker_limit = max_message_bytes(invoker.limits());
    let worker = worker.max_decoding_message_size(worker_limit);
    let discovery = DiscoveryApi::new(invoker.clone(), catalog.clone(), address);
    let discovery = DiscoveryServiceServer::new(discovery);
    Routes::new(discovery.max_decoding_message_size(limit))
        .add_service(AdminServiceServer::new(AdminApi::new(
            invoker.clone(),
            workers.clone(),
        )))
        .add_service(OperationServiceServer::new(OperationApi::new(
            invoker.clone(),
        )))
        .add_service(WithoutOversizeResults::new(worker, worker_limit))
        .add_service(ExternalScalerServer::new(ScalerApi::new(invoker.clone())))
        .add_service(HealthServer::new(health).max_decoding_message_size(health::MAX_REQUEST_BYTES))
        .add_service(reflection_v1::server_reflection_server::ServerReflectionServer::new(v1))
        .add_service(
            reflection_v1alpha::server_reflection_server::ServerReflectionServer::new(v1alpha),
        )
}

/// `SecurityService`.
pub(super) fn security_service(
    invoker: &Invoker,
    keys: &KeyRing,
) -> SecurityServiceServer<SecurityApi> {
    SecurityServiceServer::new(SecurityApi::new(invoker.clone(), keys.clone()))
        .max_decoding_message_size(invoker.limits().message_bytes)
}

/// The fallback for all other paths: typed methods.
pub(super) fn typed_methods(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    catalog: &Catalog,
) -> TypedApi {
    let finder = MethodFinder::new(invoker.clone(), workers.clone(), catalog.clone());
    TypedApi::new(invoker.clone(), workers.clone(), finder)
}

/// The message types of all methods.
///
/// # Errors
///
/// `INTERNAL` where the built-in descriptors cannot be read.
pub(super) fn message_types(
    invoker: &Invoker,
    workers: &WorkerRegistry,
    catalog: &Catalog,
) -> Result<MessageTypes> {
    let finder = MethodFinder::new(invoker.clone(), workers.clone(), catalog.clone());
    MessageTypes::new(invoker.clone(), finder, catalog.clone())
}
