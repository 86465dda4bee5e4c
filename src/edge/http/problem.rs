//! Failures as HTTP answers them: `application/problem+json` (RFC 9457), with the reasons of gRPC.

use axum::body::Body;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::codec::failure::failure_dict;
use crate::codec::json;
use crate::codec::status::{CID_HEADER, cid_value};
use crate::edge::challenge::challenge;
use crate::model::error::{Error, Kind, reason};
use crate::model::id::Cid;
use crate::model::value::{Dict, Value};

/// The media type of a failure.
pub(super) const PROBLEM: &str = "application/problem+json";
/// The prefix of the types of problems; the reason follows.
const TYPE_PREFIX: &str = "urn:cidery:reason:";

/// A failure, and how HTTP answers it.
#[derive(Debug)]
pub(in crate::edge) struct Problem {
    error: Error,
    /// Where it is not that of the kind.
    status: Option<StatusCode>,
    headers: HeaderMap,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self {
            error,
            status: None,
            headers: HeaderMap::new(),
        }
    }
}

impl Problem {
    /// What failed.
    pub(super) fn error(&self) -> &Error {
        &self.error
    }

    /// The status of its response.
    pub(super) fn status(&self) -> StatusCode {
        let of_kind = || StatusCode::from_u16(self.error.kind().http_status()).ok();
        let status = self.status.or_else(of_kind);
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// A failure with a status of HTTP that no kind of error has.
    pub(in crate::edge) fn new(status: StatusCode, error: Error) -> Self {
        Self {
            status: Some(status),
            ..Self::from(error)
        }
    }

    /// `METHOD_NOT_ALLOWED`, with the methods that are.
    pub(in crate::edge) fn method_not_allowed(allowed: &'static str) -> Self {
        let message = format!("this path has the methods {allowed}");
        let error = Error::unimplemented(reason::METHOD_NOT_ALLOWED, message);
        let allowed = HeaderValue::from_static(allowed);
        Self::new(StatusCode::METHOD_NOT_ALLOWED, error).with_header(ALLOW, allowed)
    }

    /// Adds a header.
    pub(in crate::edge) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Names the invocation, unless it is named.
    pub(in crate::edge) fn with_cid(mut self, cid: Cid) -> Self {
        if self.error.cid().is_none() {
            self.error = self.error.with_cid(cid);
        }
        self
    }

    /// The answer.
    pub(in crate::edge) fn into_response(self) -> Response<Body> {
        let status = self.status();
        let Self {
            error, mut headers, ..
        } = self;
        let cid = error.cid().unwrap_or_else(Cid::new);
        let error = error.with_cid(cid);
        tracing::debug!(%cid, reason = error.reason(), %status, "request rejected: {error}");
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        headers.insert(CID_HEADER, cid_value(cid));
        if let Some(delay) = error.retry_after() {
            let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if error.kind() == Kind::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, challenge(error.reason()));
        }
        let body = json::write(&Value::Dict(members(&error, status))).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// The members of a problem: those of the RFC, and those that failures have everywhere.
pub(super) fn members(error: &Error, status: StatusCode) -> Dict {
    let name = utf8_percent_encode(error.reason(), UNRESERVED);
    let mut members = Dict::from_iter([
        ("type", Value::from(format!("{TYPE_PREFIX}{name}"))),
        ("title", title(error.kind(), status).into()),
        ("status", i64::from(status.as_u16()).into()),
        ("detail", error.message().into()),
    ]);
    for (key, value) in failure_dict(error) {
        // It is the detail.
        if key.as_str() != "message" {
            members.insert(key, value);
        }
    }
    members.insert("cid", error.cid().map(|cid| cid.to_string()));
    let delay = error.retry_after();
    members.insert("retry_after", delay.map(|delay| delay.as_secs_f64()));
    let omitted = error.fact(OMITTED).and_then(|omitted| omitted.parse().ok());
    members.insert(OMITTED, omitted.unwrap_or(0_i64));
    let info = error.info().iter().filter(|(key, _)| key != OMITTED);
    let info = info.map(|(key, value)| (key.to_string(), Value::from(value.as_str())));
    members.insert("info", Dict::from_iter(info));
    members
}

/// How many violations are not listed.
const OMITTED: &str = "violations_omitted";
/// What a URN may have besides letters and digits.
const UNRESERVED: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');

/// The kind in words, or the status where that is not of the kind: `Not found`, `Method not allowed`.
fn title(kind: Kind, status: StatusCode) -> String {
    let of_kind = kind.http_status() == status.as_u16();
    let words = match status.canonical_reason().filter(|_| !of_kind) {
        Some(words) => words.to_ascii_lowercase(),
        None => kind.name().to_ascii_lowercase().replace('_', " "),
    };
    let mut chars = words.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::error::Violation;

    #[test]
    fn a_problem_has_the_members_of_the_rfc_and_ours() {
        let error = Error::resource_exhausted("QUEUE_FULL", "later")
            .with_violation(Violation::new("/a", "WRONG", "is wrong"))
            .with_retry_after(Duration::from_millis(1_200))
            .with_info("limit", 7);
        let cid = Cid::new();
        let response = Problem::from(error.clone().with_cid(cid)).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let members = members(&error.with_cid(cid), response.status());
        let text = json::write(&members.into()).unwrap();
        let expected = format!(
            "{{\"type\":\"urn:cidery:reason:QUEUE_FULL\",\"title\":\"Resource exhausted\",\"status\":429,\
             \"detail\":\"later\",\"code\":\"RESOURCE_EXHAUSTED\",\"reason\":\"QUEUE_FULL\",\"retryable\":true,\
             \"violations\":[{{\"path\":\"/a\",\"code\":\"WRONG\",\"message\":\"is wrong\"}}],\"cid\":\"{cid}\",\
             \"retry_after\":1.2,\"violations_omitted\":0,\"info\":{{\"limit\":\"7\"}}}}"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_missing_credential_is_asked_for() {
        let error = Error::new(Kind::Unauthenticated, reason::CREDENTIAL_REQUIRED, "x");
        let response = Problem::from(error).into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(
            response.headers()[WWW_AUTHENTICATE],
            "Bearer realm=\"cidery\""
        );
    }

    #[test]
    fn the_reason_of_a_service_is_no_other_urn() {
        let error = Error::internal("a b/c#é", "x");
        let members = members(&error, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            members["type"],
            "urn:cidery:reason:a%20b%2Fc%23%C3%A9".into()
        );
    }
}
