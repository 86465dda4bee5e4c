//! `POST /invocations/{cid}/complete`: the outcome of an invocation, from outside.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderName, Response, StatusCode};

use super::invocations::{refused, unnamed};
use super::media::{format_of, media_type, untyped};
use super::problem::{PROBLEM, Problem};
use super::query::{Query, invalid};
use super::request::HttpRequest;
use super::respond::{object, with_cid};
use crate::codec::convert::{FieldErrors, duration_to_proto, format_to_proto};
use crate::codec::objects::state_name;
use crate::codec::proto::v1;
use crate::codec::proto::v1::complete_invocation_request::Outcome;
use crate::codec::proto::v1::invocation_service_server::InvocationService as _;
use crate::codec::{json, objects};
use crate::dict;
use crate::edge::grpc::InvocationApi;
use crate::model::error::{Kind as Code, Result, reason};
use crate::model::payload::Format;
use crate::model::value::{Dict, Value};

/// The header of the token. It may stand in the query instead, for web hooks that can send no header.
const TOKEN: HeaderName = HeaderName::from_static("cidery-token");

/// Answers a request: the body is the response, or a failure as `application/problem+json`.
///
/// # Errors
///
/// As for `CompleteInvocation`; 413 and 415.
pub(super) async fn complete(
    api: &InvocationApi,
    mut request: HttpRequest,
) -> Result<Response<Body>, Problem> {
    let media_type = media_type(&request.parts.headers)?;
    let kind = match media_type.as_deref() {
        Some(PROBLEM) => Kind::Failure,
        other => Kind::Response(format_of(other)?),
    };
    let cid = request.cid();
    let mut query = Query::new(&request.parts.uri);
    let cid = query.take(cid.map(Some));
    let token = token(&request, &mut query);
    query.finish()?;
    let Some(cid) = cid else {
        return Err(unnamed());
    };
    let received = request.read_body().await?;
    let (outcome, data_format) = outcome(kind, received.bytes.clone())?;
    let message = v1::CompleteInvocationRequest {
        cid: cid.to_string(),
        token,
        outcome,
        data_format: data_format.into(),
        ..v1::CompleteInvocationRequest::default()
    };
    let completed = api.complete_invocation(request.to_grpc(message)).await;
    let completed = completed.map_err(|status| refused(&status).with_cid(cid))?;
    let state = state_name(completed.into_inner().state);
    let completed = dict! { "cid": cid.to_string(), "state": objects::text_value(&state) };
    let response = object(StatusCode::OK, &completed.into(), &request.peer.connection)?;
    Ok(with_cid(response, cid))
}

/// The token, from the header or the query. Where there is none, the method says so.
fn token(request: &HttpRequest, query: &mut Query) -> String {
    let of_query = query.text("token");
    let of_header = request.parts.headers.get(TOKEN);
    let of_header = of_header.and_then(|token| token.to_str().ok());
    match (of_header, of_query) {
        (Some(_), Some(_)) => {
            query.refuse("token", "CONFLICT", "is given in a header as well");
            String::new()
        }
        (Some(header), None) => header.to_owned(),
        (None, of_query) => of_query.unwrap_or_default(),
    }
}

/// What a body is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Failure,
    /// In a format, if there is a body.
    Response(Option<Format>),
}

/// The outcome in a body, and its format. Without a body it is the empty response.
fn outcome(kind: Kind, body: Bytes) -> Result<(Option<Outcome>, v1::DataFormat), Problem> {
    let format = match kind {
        Kind::Failure => {
            let failure = Outcome::Failure(failure(&body)?);
            return Ok((Some(failure), v1::DataFormat::Unspecified));
        }
        Kind::Response(format) => format,
    };
    if body.is_empty() && matches!(format, None | Some(Format::Json)) {
        return Ok((None, v1::DataFormat::Unspecified));
    }
    let format = format.ok_or_else(untyped)?;
    Ok((Some(Outcome::Document(body)), format_to_proto(format)))
}

/// The failure that a problem (RFC 9457) stands for.
fn failure(body: &[u8]) -> Result<v1::Failure> {
    let Value::Dict(problem) = json::read(body)? else {
        return Err(invalid("", "WRONG_TYPE", "is not an object"));
    };
    let mut errors = FieldErrors::default();
    let mut text = |name| errors.take(member(&problem, name, "text", as_text));
    let (code, reason) = (text("code"), text("reason"));
    let (detail, title) = (text("detail"), text("title"));
    let code = code.map_or(Ok(Code::Internal), |code| {
        let message = "is the name of a gRPC status code, such as `UNAVAILABLE`";
        Code::from_name(&code).ok_or_else(|| invalid("code", "UNKNOWN_VALUE", message))
    });
    let code = errors.take(code.map(Some)).unwrap_or(Code::Internal);
    let retryable = errors.take(member(&problem, "retryable", "true or false", as_bool));
    let delay = member(&problem, "retry_after", "a number of seconds", as_seconds);
    let delay = errors.take(delay);
    errors.finish()?;
    Ok(v1::Failure {
        code: code.grpc_code().into(),
        reason: reason.unwrap_or_else(|| reason::HANDLER_FAILED.to_owned()),
        message: detail.or(title).unwrap_or_default(),
        retryable,
        retry_delay: delay.map(duration_to_proto),
        details: Vec::new(),
    })
}

/// A member of a problem; null is as if it were not there.
fn member<T>(
    problem: &Dict,
    name: &str,
    what: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>> {
    match problem.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(invalid(name, "WRONG_TYPE", &format!("is not {what}"))),
        },
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        _ => None,
    }
}

fn as_seconds(value: &Value) -> Option<Duration> {
    match value {
        Value::Int(seconds) => Some(Duration::from_secs(u64::try_from(*seconds).ok()?)),
        Value::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_a_failure() {
        let failure = failure(
            br#"{"type":"x","code":"unavailable","reason":"CRM_DOWN","detail":"no answer","retryable":true,
                 "retry_after":1.5,"status":503,"other":[]}"#,
        );
        let expected = v1::Failure {
            code: 14,
            reason: "CRM_DOWN".to_owned(),
            message: "no answer".to_owned(),
            retryable: Some(true),
            retry_delay: Some(duration_to_proto(Duration::from_millis(1_500))),
            details: Vec::new(),
        };
        assert_eq!(failure.unwrap(), expected);
    }

    #[test]
    fn all_members_that_are_wrong_are_told() {
        let error =
            failure(br#"{"code":"NO","reason":1,"retryable":"yes","retry_after":-1}"#).unwrap_err();
        let paths: Vec<_> = error
            .field_violations()
            .iter()
            .map(|one| one.path.as_str())
            .collect();
        assert_eq!(paths, ["/reason", "/code", "/retryable", "/retry_after"]);
        for text in [
            &b"[]"[..],
            b"",
            b"{\"retry_after\":1e400}",
            b"{\"retry_after\":1e300}",
        ] {
            assert!(failure(text).is_err(), "{text:?}");
        }
    }
}
