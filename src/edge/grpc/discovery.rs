//! `cidery.v1.DiscoveryService`.

use tonic::{Request, Response, Status};

use super::request::answered;
use crate::codec::convert::{duration_to_proto, sio_to_proto};
use crate::codec::proto::v1;
use crate::codec::proto::v1::discovery_service_server::DiscoveryService;
use crate::engine::{Invoker, ServiceFacts};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::invocation::RetryPolicy;
use crate::service::ServiceOptions;

const DEFAULT_PAGE: usize = 1_000;
const MAX_PAGE: usize = 10_000;

/// Tells which services there are.
#[derive(Clone, Debug)]
pub(super) struct DiscoveryApi {
    invoker: Invoker,
}

impl DiscoveryApi {
    pub(super) fn new(invoker: Invoker) -> Self {
        Self { invoker }
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
        // The token is the last name of the page before: names come and go, and their order stays.
        let mut rest = self.invoker.services().into_iter().filter(|facts| {
            let name = facts.definition.name().as_str();
            name.starts_with(&request.name_prefix) && name > request.page_token.as_str()
        });
        let services: Vec<_> = rest
            .by_ref()
            .take(page)
            .map(|facts| summary(&facts))
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
            service: Some(description(&facts)),
        })
    }
}

fn summary(facts: &ServiceFacts) -> v1::ServiceSummary {
    v1::ServiceSummary {
        name: facts.definition.name().to_string(),
        description: facts.effective.description.clone(),
        health: v1::ServiceHealth::Serving.into(),
        typed_method: String::new(),
        running: count(facts.status.running),
        pending: count(facts.status.pending),
        locations: 1,
    }
}

fn description(facts: &ServiceFacts) -> v1::ServiceDescription {
    let name = facts.definition.name().to_string();
    v1::ServiceDescription {
        examples: examples(&name),
        declaration: Some(v1::ServiceDeclaration {
            name,
            description: facts.effective.description.clone(),
            sio: Some(sio_to_proto(facts.definition.declaration())),
            options: Some(options(facts.definition.service_options())),
        }),
        effective_options: Some(options(&facts.effective)),
        health: v1::ServiceHealth::Serving.into(),
        locations: vec![v1::ServiceLocation {
            running: count(facts.status.running),
            ..v1::ServiceLocation::default()
        }],
        running: count(facts.status.running),
        pending: count(facts.status.pending),
        ..v1::ServiceDescription::default()
    }
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

fn examples(name: &str) -> Vec<v1::CallExample> {
    let example = |tool: &str, text: String| v1::CallExample {
        tool: tool.to_owned(),
        text,
    };
    vec![
        example("cidery", format!("cidery invoke {name}")),
        example(
            "grpcurl",
            format!(
                "grpcurl -plaintext -d '{{\"service\":\"{name}\",\"payload\":{{}}}}' 127.0.0.1:24337 \
                 cidery.v1.InvocationService/Invoke"
            ),
        ),
    ]
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
