//! `/invocations`: lists, reads and cancels invocations.

use std::time::Duration;

use axum::body::Body;
use futures_util::future::OptionFuture;
use http::{Response, StatusCode};
use tonic::Status;

use super::filter::{self, filter};
use super::problem::Problem;
use super::query::Query;
use super::request::{HttpRequest, MAX_WAIT};
use super::respond::{object, with_cid};
use crate::codec::convert::{duration_to_proto, failure_from_proto};
use crate::codec::objects;
use crate::codec::proto::v1;
use crate::codec::proto::v1::invocation_service_server::InvocationService as _;
use crate::codec::status::from_status;
use crate::dict;
use crate::edge::grpc::InvocationApi;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::value::Value;

const VIEWS: [(&str, v1::InvocationView); 2] = [
    ("basic", v1::InvocationView::Basic),
    ("full", v1::InvocationView::Full),
];

/// The error of a status of gRPC, as HTTP answers it.
pub(super) fn refused(status: &Status) -> Problem {
    from_status(status).into()
}

/// The error of a status of gRPC, whose field of the filter is a parameter with another name.
fn refused_filter(status: &Status) -> Problem {
    let error = from_status(status).map_violations(|violation| match violation.path.as_str() {
        "/filter_expression" => Violation {
            path: format!("/{}", filter::EXPRESSION),
            ..violation
        },
        _ => violation,
    });
    error.into()
}

/// Answers `GET /invocations`.
///
/// # Errors
///
/// As for `ListInvocations`.
pub(super) async fn list(
    api: &InvocationApi,
    request: HttpRequest,
) -> Result<Response<Body>, Problem> {
    let mut query = Query::new(&request.parts.uri);
    let now = request.peer.invoker.now();
    let message = v1::ListInvocationsRequest {
        filter: filter(&mut query, now),
        filter_expression: query.text(filter::EXPRESSION).unwrap_or_default(),
        page_size: query.page_size(),
        page_token: query.text("page_token").unwrap_or_default(),
        view: v1::InvocationView::Basic.into(),
    };
    query.finish()?;
    let listed = api.list_invocations(request.to_grpc(message)).await;
    let listed = listed
        .map_err(|status| refused_filter(&status))?
        .into_inner();
    let invocations = listed.invocations.iter().map(objects::invocation);
    let page = dict! {
        "invocations": invocations.map(Value::Dict).collect::<Vec<_>>(),
        "next_page_token": objects::text_value(&listed.next_page_token),
    };
    Ok(object(
        StatusCode::OK,
        &page.into(),
        &request.peer.connection,
    )?)
}

/// Answers `GET /invocations/{cid}`.
///
/// # Errors
///
/// As for `GetInvocation`.
pub(super) async fn get(
    api: &InvocationApi,
    mut request: HttpRequest,
) -> Result<Response<Body>, Problem> {
    let cid = request.cid();
    let mut query = Query::new(&request.parts.uri);
    let cid = query.take(cid.map(Some));
    let wait = wait(&mut query);
    let view = query.word("view", &VIEWS).unwrap_or_default();
    query.finish()?;
    let Some(cid) = cid else {
        return Err(unnamed());
    };
    let message = v1::GetInvocationRequest {
        cid: cid.to_string(),
        wait: wait.map(duration_to_proto),
        view: view.into(),
        ..v1::GetInvocationRequest::default()
    };
    let credential_end = OptionFuture::from(request.credential_end.take());
    let found = tokio::select! {
        Some(error) = credential_end => return Err(Problem::from(error).with_cid(cid)),
        found = api.get_invocation(request.to_grpc(message)) => found,
    };
    let found = found.map_err(|status| refused(&status).with_cid(cid))?;
    let found = found.into_inner().invocation.unwrap_or_default();
    let is_full = view == v1::InvocationView::Full;
    let found = objects::found_invocation(found, is_full)?;
    let response = object(StatusCode::OK, &found, &request.peer.connection)?;
    Ok(with_cid(response, cid))
}

/// How long a caller waits.
fn wait(query: &mut Query) -> Option<Duration> {
    let wait = query.duration("wait")?;
    if wait > MAX_WAIT {
        query.refuse("wait", "TOO_LARGE", "is at most 1h");
    }
    Some(wait)
}

/// Answers `DELETE /invocations/{cid}`: 200 where that ends it at once, 202 where its handler is asked to stop.
///
/// # Errors
///
/// As for `CancelInvocations`, and why the invocation was not cancelled.
pub(super) async fn cancel(
    api: &InvocationApi,
    request: HttpRequest,
) -> Result<Response<Body>, Problem> {
    let cid = request.cid();
    let mut query = Query::new(&request.parts.uri);
    let cid = query.take(cid.map(Some));
    let cancel_reason = query.text("reason").unwrap_or_default();
    query.finish()?;
    let Some(cid) = cid else {
        return Err(unnamed());
    };
    let message = v1::CancelInvocationsRequest {
        cids: vec![cid.to_string()],
        reason: cancel_reason,
        ..v1::CancelInvocationsRequest::default()
    };
    let changed = api.cancel_invocations(request.to_grpc(message)).await;
    let changed = changed.map_err(|status| refused(&status).with_cid(cid))?;
    let mut change = changed
        .into_inner()
        .changes
        .into_iter()
        .next()
        .unwrap_or_default();
    if let Some(failure) = change.failure.take() {
        return Err(Problem::from(failure_from_proto(failure)).with_cid(cid));
    }
    let status = match change.cancel_requested {
        true => StatusCode::ACCEPTED,
        false => StatusCode::OK,
    };
    let response = object(status, &objects::change(&change), &request.peer.connection)?;
    Ok(with_cid(response, cid))
}

/// A request without a CID, which its violations have told.
pub(super) fn unnamed() -> Problem {
    Error::invalid_argument(reason::CID_INVALID, "the path has no CID").into()
}
