//! `cidery.v1.DiscoveryService`: lists and describes services.

use tonic::{Request, Response, Status};

use super::catalog::{Catalog, Snapshot};
use super::examples;
use super::request::into_status;
use crate::codec::convert::{
    declaration_hash, page_size_from_proto, service_control_to_proto, service_options_to_proto,
    timestamp_to_proto,
};
use crate::codec::json;
use crate::codec::proto::v1;
use crate::codec::proto::v1::discovery_service_server::DiscoveryService;
use crate::edge::address::NodeAddress;
use crate::edge::caller::on_behalf_of_caller;
use crate::engine::{Invoker, Location, ServiceInfo};
use crate::model::error::Result;
use crate::model::value::Value;
use crate::remote::protocol::declaration::definition_to_proto;

const DEFAULT_PAGE: usize = 1_000;
const MAX_PAGE: usize = 10_000;

/// The implementation of `DiscoveryService`.
#[derive(Clone, Debug)]
pub(in crate::edge) struct DiscoveryApi {
    invoker: Invoker,
    catalog: Catalog,
    /// The address that examples show.
    address: NodeAddress,
}

impl DiscoveryApi {
    pub(in crate::edge) fn new(
        invoker: Invoker,
        catalog: Catalog,
        bound: Option<NodeAddress>,
    ) -> Self {
        Self {
            invoker,
            catalog,
            address: examples::dialable(bound),
        }
    }

    async fn list(
        &self,
        invoker: &Invoker,
        request: &v1::ListServicesRequest,
    ) -> Result<v1::ListServicesResponse> {
        invoker.check_authenticated()?;
        let page = page_size_from_proto(request.page_size, DEFAULT_PAGE, MAX_PAGE)?;
        let catalog = self.catalog.current().await;
        // The token is the last name of the previous page: it stays valid while services are added and removed.
        let mut rest = invoker.services().into_iter().filter(|service| {
            let name = service.definition.name().as_str();
            name.starts_with(&request.name_prefix) && name > request.page_token.as_str()
        });
        let services: Vec<_> = rest
            .by_ref()
            .take(page)
            .map(|service| summary(&service, &catalog))
            .collect();
        let next_page_token = match (rest.next(), services.last()) {
            (Some(_), Some(last)) => last.name.clone(),
            _ => String::new(),
        };
        Ok(v1::ListServicesResponse {
            services,
            next_page_token,
        })
    }

    async fn get(&self, invoker: &Invoker, name: &str) -> Result<v1::GetServiceResponse> {
        let catalog = self.catalog.current().await;
        let service = invoker.service(name)?;
        Ok(v1::GetServiceResponse {
            service: Some(description(invoker, &service, &catalog, self.address)),
        })
    }
}

fn summary(service: &ServiceInfo, catalog: &Snapshot) -> v1::ServiceSummary {
    let typed = catalog.directory.of(service.definition.name().as_str());
    v1::ServiceSummary {
        name: service.definition.name().to_string(),
        description: service.effective.description.clone(),
        health: health(service).into(),
        typed_method: typed.map(|method| method.path()).unwrap_or_default(),
        running: count(service.status.running),
        pending: count(service.status.pending),
        locations: u32::try_from(service.locations.len()).unwrap_or(u32::MAX),
        workers: workers(&service.locations),
    }
}

/// The names and builds of the first workers that serve it.
fn workers(locations: &[Location]) -> Vec<String> {
    const MAX_WORKERS: usize = 10;
    let workers = locations
        .iter()
        .filter(|location| !location.worker_id.is_empty());
    let named = workers.map(|location| match location.build_id.as_str() {
        "" => location.worker_name.clone(),
        build => format!("{} {build}", location.worker_name),
    });
    named.take(MAX_WORKERS).collect()
}

fn description(
    invoker: &Invoker,
    service: &ServiceInfo,
    catalog: &Snapshot,
    address: NodeAddress,
) -> v1::ServiceDescription {
    let name = service.definition.name().to_string();
    let sio = service.definition.declaration();
    let typed = catalog.directory.of(&name);
    let note = catalog.directory.note(&name);
    let note = note.map(|note| note.text(|service| invoker.sees_service(service)));
    let schema = |schema: Option<Value>| {
        schema
            .and_then(|s| json::write(&s).ok())
            .unwrap_or_default()
    };
    v1::ServiceDescription {
        examples: examples::call_examples(&name, &sio.sample_input(), typed, address),
        input_schema: schema(sio.input_schema()),
        output_schema: schema(sio.output_schema()),
        typed_method: typed.map(|method| method.path()).unwrap_or_default(),
        typed_method_note: note.unwrap_or_default().into_owned(),
        declaration: Some(definition_to_proto(&service.definition)),
        effective_options: Some(service_options_to_proto(&service.effective)),
        health: health(service).into(),
        locations: service.locations.iter().map(location).collect(),
        running: count(service.status.running),
        pending: count(service.status.pending),
        queued: count(service.status.queued),
        control: service.control.as_deref().map(service_control_to_proto),
        last_served_time: service.last_served.map(timestamp_to_proto),
        other_declarations: Vec::new(),
    }
}

fn health(service: &ServiceInfo) -> v1::ServiceHealth {
    match &service.control {
        Some(control) if control.disabled.is_some() => v1::ServiceHealth::Disabled,
        Some(_) => v1::ServiceHealth::Paused,
        None if service.is_served => v1::ServiceHealth::Serving,
        None => v1::ServiceHealth::NoWorker,
    }
}

fn location(location: &Location) -> v1::ServiceLocation {
    let declaration = definition_to_proto(&location.definition);
    v1::ServiceLocation {
        worker_id: location.worker_id.clone(),
        worker_name: location.worker_name.clone(),
        build_id: location.build_id.clone(),
        declaration_hash: declaration_hash(&declaration),
        running: count(location.running),
        since_time: Some(timestamp_to_proto(location.since)),
        away: location.away,
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[tonic::async_trait]
impl DiscoveryService for DiscoveryApi {
    async fn list_services(
        &self,
        request: Request<v1::ListServicesRequest>,
    ) -> Result<Response<v1::ListServicesResponse>, Status> {
        let invoker = on_behalf_of_caller(&self.invoker, request.extensions());
        into_status(self.list(&invoker, request.get_ref()).await).map(Response::new)
    }

    async fn get_service(
        &self,
        request: Request<v1::GetServiceRequest>,
    ) -> Result<Response<v1::GetServiceResponse>, Status> {
        let invoker = on_behalf_of_caller(&self.invoker, request.extensions());
        into_status(self.get(&invoker, &request.get_ref().service).await).map(Response::new)
    }
}
