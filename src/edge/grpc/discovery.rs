//! `cidery.v1.DiscoveryService`.

use std::net::SocketAddr;

use tonic::{Request, Response, Status};

use super::catalog::{Catalog, Snapshot};
use super::examples;
use super::request::into_status;
use crate::codec::convert::{
    declaration_hash, page_size_from_proto, service_options_to_proto, timestamp_to_proto,
};
use crate::codec::json;
use crate::codec::proto::v1;
use crate::codec::proto::v1::discovery_service_server::DiscoveryService;
use crate::engine::{Invoker, Location, ServiceInfo};
use crate::model::error::Result;
use crate::model::value::Value;
use crate::remote::protocol::declaration::declaration_to_proto;

const DEFAULT_PAGE: usize = 1_000;
const MAX_PAGE: usize = 10_000;

/// Tells which services there are.
#[derive(Clone, Debug)]
pub(super) struct DiscoveryApi {
    invoker: Invoker,
    catalog: Catalog,
    /// Where the node can be reached.
    address: SocketAddr,
}

impl DiscoveryApi {
    pub(super) fn new(invoker: Invoker, catalog: Catalog, bound: Option<SocketAddr>) -> Self {
        Self {
            invoker,
            catalog,
            address: examples::reachable(bound),
        }
    }

    fn list(&self, request: &v1::ListServicesRequest) -> Result<v1::ListServicesResponse> {
        let page = page_size_from_proto(request.page_size, DEFAULT_PAGE, MAX_PAGE)?;
        let catalog = self.catalog.current();
        // The token is the last name of the page before: names come and go, and their order stays.
        let mut rest = self.invoker.services().into_iter().filter(|facts| {
            let name = facts.definition.name().as_str();
            name.starts_with(&request.name_prefix) && name > request.page_token.as_str()
        });
        let services: Vec<_> = rest
            .by_ref()
            .take(page)
            .map(|facts| summary(&facts, &catalog))
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

    fn get(&self, name: &str) -> Result<v1::GetServiceResponse> {
        let facts = self.invoker.service(name)?;
        Ok(v1::GetServiceResponse {
            service: Some(description(&facts, &self.catalog.current(), self.address)),
        })
    }
}

fn summary(facts: &ServiceInfo, catalog: &Snapshot) -> v1::ServiceSummary {
    let typed = catalog.directory.of(facts.definition.name().as_str());
    v1::ServiceSummary {
        name: facts.definition.name().to_string(),
        description: facts.effective.description.clone(),
        health: health(facts).into(),
        typed_method: typed.map(|method| method.path()).unwrap_or_default(),
        running: count(facts.status.running),
        pending: count(facts.status.pending),
        locations: u32::try_from(facts.locations.len()).unwrap_or(u32::MAX),
        workers: workers(&facts.locations),
    }
}

/// The first workers that serve it, as one line has room for them.
fn workers(locations: &[Location]) -> Vec<String> {
    const SHOWN: usize = 10;
    let workers = locations.iter().filter(|place| !place.worker_id.is_empty());
    let named = workers.map(|place| match place.build_id.as_str() {
        "" => place.worker_name.clone(),
        build => format!("{} {build}", place.worker_name),
    });
    named.take(SHOWN).collect()
}

fn description(
    facts: &ServiceInfo,
    catalog: &Snapshot,
    address: SocketAddr,
) -> v1::ServiceDescription {
    let name = facts.definition.name().to_string();
    let sio = facts.definition.declaration();
    let typed = catalog.directory.of(&name);
    let schema = |schema: Option<Value>| {
        schema
            .and_then(|s| json::write(&s).ok())
            .unwrap_or_default()
    };
    v1::ServiceDescription {
        examples: examples::of_calls(&name, &sio.sample_input(), typed, address),
        input_schema: schema(sio.input_schema()),
        output_schema: schema(sio.output_schema()),
        typed_method: typed.map(|method| method.path()).unwrap_or_default(),
        typed_method_note: catalog.directory.note(&name).unwrap_or_default().to_owned(),
        declaration: Some(declaration_to_proto(&facts.definition)),
        effective_options: Some(service_options_to_proto(&facts.effective)),
        health: health(facts).into(),
        locations: facts.locations.iter().map(location).collect(),
        running: count(facts.status.running),
        pending: count(facts.status.pending),
        queued: count(facts.status.queued),
        ..v1::ServiceDescription::default()
    }
}

fn health(facts: &ServiceInfo) -> v1::ServiceHealth {
    match facts.is_served {
        true => v1::ServiceHealth::Serving,
        false => v1::ServiceHealth::NoWorker,
    }
}

fn location(location: &Location) -> v1::ServiceLocation {
    let declaration = declaration_to_proto(&location.definition);
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
        into_status(self.list(request.get_ref())).map(Response::new)
    }

    async fn get_service(
        &self,
        request: Request<v1::GetServiceRequest>,
    ) -> Result<Response<v1::GetServiceResponse>, Status> {
        into_status(self.get(&request.into_inner().service)).map(Response::new)
    }
}
