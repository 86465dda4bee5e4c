//! `cidery.v1.DiscoveryService`.

use std::fmt::Write as _;
use std::net::SocketAddr;

use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status};

use super::catalog::{Catalog, Snapshot};
use super::examples;
use super::request::answered;
use crate::codec::convert::{duration_to_proto, sio_to_proto, timestamp_to_proto};
use crate::codec::json;
use crate::codec::proto::v1;
use crate::codec::proto::v1::discovery_service_server::DiscoveryService;
use crate::engine::{Invoker, ServiceFacts};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::invocation::RetryPolicy;
use crate::model::sio::Sio;
use crate::model::value::Value;
use crate::service::ServiceOptions;

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
        let page = match usize::try_from(request.page_size).unwrap_or(MAX_PAGE) {
            0 => DEFAULT_PAGE,
            size if size <= MAX_PAGE => size,
            _ => {
                let message = format!("is at most {MAX_PAGE}");
                let violation = Violation::new("/page_size", "TOO_LARGE", message);
                return Err(Error::violations(reason::REQUEST_INVALID, vec![violation]));
            }
        };
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

fn summary(facts: &ServiceFacts, catalog: &Snapshot) -> v1::ServiceSummary {
    let typed = catalog.directory.of(facts.definition.name().as_str());
    v1::ServiceSummary {
        name: facts.definition.name().to_string(),
        description: facts.effective.description.clone(),
        health: v1::ServiceHealth::Serving.into(),
        typed_method: typed.map(|method| method.path()).unwrap_or_default(),
        running: count(facts.status.running),
        pending: count(facts.status.pending),
        locations: 1,
    }
}

fn description(
    facts: &ServiceFacts,
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
        declaration: Some(v1::ServiceDeclaration {
            name,
            description: facts.effective.description.clone(),
            sio: Some(sio_to_proto(sio)),
            options: Some(options(facts.definition.service_options())),
        }),
        effective_options: Some(options(&facts.effective)),
        health: v1::ServiceHealth::Serving.into(),
        locations: vec![v1::ServiceLocation {
            running: count(facts.status.running),
            declaration_hash: declaration_hash(sio),
            since_time: Some(timestamp_to_proto(facts.status.since)),
            ..v1::ServiceLocation::default()
        }],
        running: count(facts.status.running),
        pending: count(facts.status.pending),
        ..v1::ServiceDescription::default()
    }
}

/// Names a declaration: whoever serves the same one has the same.
fn declaration_hash(sio: &Sio) -> String {
    const BYTES: usize = 8;
    let digest = Sha256::digest(sio_to_proto(sio).encode_to_vec());
    digest
        .iter()
        .take(BYTES)
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn options(options: &ServiceOptions) -> v1::ServiceOptions {
    v1::ServiceOptions {
        idempotent: options.idempotent,
        timeout: options.timeout.map(duration_to_proto),
        attempt_timeout: options.attempt_timeout.map(duration_to_proto),
        retry_policy: options.retry_policy.as_ref().map(retry_policy),
        concurrency: options
            .concurrency
            .map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        queue_length: options
            .queue_length
            .map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        retention: options.retention.map(duration_to_proto),
        failure_retention: options.failure_retention.map(duration_to_proto),
        pending_limit: options.pending_limit.map_or(0, count),
    }
}

fn retry_policy(policy: &RetryPolicy) -> v1::RetryPolicy {
    v1::RetryPolicy {
        max_attempts: policy.max_attempts,
        initial_interval: Some(duration_to_proto(policy.initial_interval)),
        multiplier: policy.multiplier,
        max_interval: Some(duration_to_proto(policy.max_interval)),
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
        answered(self.list(request.get_ref())).map(Response::new)
    }

    async fn get_service(
        &self,
        request: Request<v1::GetServiceRequest>,
    ) -> Result<Response<v1::GetServiceResponse>, Status> {
        answered(self.get(&request.into_inner().service)).map(Response::new)
    }
}
