//! `cidery.v1.OperationService`: changes of any number of invocations.

use std::time::Duration;

use jiff::Timestamp;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status};

use super::admin::principal;
use super::invocation::{RequestFilter, summary_to_proto};
use super::request;
use super::request::{into_status, malformed_page_token};
use crate::codec::convert::{FieldErrors, page_size_from_proto};
use crate::codec::filter::resolve;
use crate::codec::proto::v1;
use crate::codec::proto::v1::operation_service_server::OperationService;
use crate::edge::acts;
use crate::edge::caller::{check_administrator, on_behalf_of_caller};
use crate::engine::{Invoker, OperationPlace, OperationRequest};
use crate::model::access::Principal;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::operation::{OperationId, OperationState};

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
/// How many states a request may list.
const MAX_STATES: usize = 100;
/// How many counts a response has at most.
const MAX_SUMMARIES: usize = 100;
/// How long a call waits for news of an operation, or for its end.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The implementation of `OperationService`.
#[derive(Clone, Debug)]
pub(super) struct OperationApi {
    invoker: Invoker,
}

impl OperationApi {
    pub(super) fn new(invoker: Invoker) -> Self {
        Self { invoker }
    }

    /// Whether the caller administers the node: all methods ask for that.
    fn check(&self, extensions: &Extensions) -> Result<(), Status> {
        into_status(check_administrator(&self.invoker, extensions))
    }

    async fn start(
        &self,
        message: v1::StartOperationRequest,
        principal: String,
        principal_group: String,
        extensions: &Extensions,
    ) -> Result<v1::StartOperationResponse> {
        let filter = resolve(
            message.filter,
            &message.filter_expression,
            self.invoker.now(),
        )?;
        let max_values = self.invoker.limits().filter_values;
        let asked = v1::Operation {
            id: message.id,
            action: message.action,
            filter,
            filter_expression: message.filter_expression,
            all: message.all,
            max_per_second: message.max_per_second,
            principal,
            principal_group,
            ..v1::Operation::default()
        };
        let request = OperationRequest::parse(asked, max_values)?;
        let dry_run = if message.dry_run { "dry run: " } else { "" };
        acts::about(extensions, &format!("{dry_run}{}", request.summary()));
        let filter = RequestFilter::from(request.selection().clone());
        let count = filter.summarize(&self.invoker, MAX_SUMMARIES);
        let (operation, counted) = match message.dry_run {
            true => {
                let counted = count.await?;
                let operation = v1::Operation {
                    id: String::new(),
                    matched: counted.total,
                    ..request.into_proto()
                };
                (operation, counted)
            }
            false => self.invoker.start_operation(request, count).await?,
        };
        let summaries = counted.summaries.into_iter();
        let summaries = summaries.map(|(summary, message)| summary_to_proto(summary, message));
        Ok(v1::StartOperationResponse {
            operation: Some(operation),
            summaries: summaries.collect(),
        })
    }

    async fn get(
        &self,
        message: &v1::GetOperationRequest,
        transport: &MetadataMap,
    ) -> Result<v1::GetOperationResponse> {
        let id = OperationId::parse(&message.id)?;
        let wait = match message.wait {
            true => wait_within(transport)?,
            false => Duration::ZERO,
        };
        let operation = self.invoker.operation(id, wait).await?;
        Ok(v1::GetOperationResponse {
            operation: Some(operation),
        })
    }

    fn list(&self, message: &v1::ListOperationsRequest) -> Result<v1::ListOperationsResponse> {
        let mut errors = FieldErrors::default();
        let too_many = Violation::too_many("/states", message.states.len(), MAX_STATES);
        Error::reject(reason::REQUEST_INVALID, too_many.into_iter().collect())?;
        let states = errors.enums("/states", &message.states, MAX_STATES, "state");
        let states: Vec<_> = states.into_iter().filter_map(state_from_proto).collect();
        let size = page_size_from_proto(message.page_size, DEFAULT_PAGE, MAX_PAGE);
        let size = errors.take(size);
        let after = errors.take(parse_page_token(&message.page_token));
        errors.finish()?;
        let (operations, next) = self.invoker.operations(&states, after, size);
        Ok(v1::ListOperationsResponse {
            operations,
            next_page_token: next.map(page_token).unwrap_or_default(),
        })
    }

    async fn cancel(
        &self,
        message: &v1::CancelOperationRequest,
        transport: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<v1::CancelOperationResponse> {
        let (id, wait) = (OperationId::parse(&message.id)?, wait_within(transport)?);
        acts::about(extensions, &id.to_string());
        let operation = self.invoker.cancel_operation(id, wait).await?;
        let principal = principal(&self.invoker, extensions);
        tracing::info!(operation = %id, principal, "cancellation of an operation requested");
        Ok(v1::CancelOperationResponse {
            operation: Some(operation),
        })
    }
}

fn state_from_proto(state: v1::OperationState) -> Option<OperationState> {
    match state {
        v1::OperationState::Unspecified => None,
        v1::OperationState::Running => Some(OperationState::Running),
        v1::OperationState::Succeeded => Some(OperationState::Succeeded),
        v1::OperationState::Cancelled => Some(OperationState::Cancelled),
        v1::OperationState::Failed => Some(OperationState::Failed),
    }
}

/// How long a call may wait: within the deadline of its caller.
fn wait_within(transport: &MetadataMap) -> Result<Duration> {
    let wait = request::timeout(Some(MAX_WAIT), transport)?;
    Ok(wait.unwrap_or(MAX_WAIT))
}

/// The token of a page: the place of the last operation before it, which stays valid while operations come and go.
fn page_token((time, id): OperationPlace) -> String {
    format!("{}/{id}", time.as_nanosecond())
}

fn parse_page_token(token: &str) -> Result<Option<OperationPlace>> {
    if token.is_empty() {
        return Ok(None);
    }
    let parse = || {
        let (time, id) = token.split_once('/')?;
        let time = Timestamp::from_nanosecond(time.parse().ok()?).ok()?;
        Some((time, OperationId::parse(id).ok()?))
    };
    parse().map(Some).ok_or_else(malformed_page_token)
}

#[tonic::async_trait]
impl OperationService for OperationApi {
    async fn start_operation(
        &self,
        request: Request<v1::StartOperationRequest>,
    ) -> Result<Response<v1::StartOperationResponse>, Status> {
        self.check(request.extensions())?;
        let (_, extensions, message) = request.into_parts();
        let principal = principal(&self.invoker, &extensions);
        let caller = on_behalf_of_caller(&self.invoker, &extensions);
        let group = caller.caller().identity().and_then(|it| it.group.as_ref());
        let group = group.map(Principal::to_string).unwrap_or_default();
        let started = self.start(message, principal, group, &extensions);
        into_status(started.await).map(Response::new)
    }

    async fn get_operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::GetOperationResponse>, Status> {
        self.check(request.extensions())?;
        let got = self.get(request.get_ref(), request.metadata()).await;
        into_status(got).map(Response::new)
    }

    async fn list_operations(
        &self,
        request: Request<v1::ListOperationsRequest>,
    ) -> Result<Response<v1::ListOperationsResponse>, Status> {
        self.check(request.extensions())?;
        into_status(self.list(request.get_ref())).map(Response::new)
    }

    async fn cancel_operation(
        &self,
        request: Request<v1::CancelOperationRequest>,
    ) -> Result<Response<v1::CancelOperationResponse>, Status> {
        self.check(request.extensions())?;
        let (message, transport) = (request.get_ref(), request.metadata());
        let cancelled = self.cancel(message, transport, request.extensions()).await;
        into_status(cancelled).map(Response::new)
    }
}
