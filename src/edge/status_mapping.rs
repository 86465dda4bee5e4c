//! Status mapping and response headers: every gRPC response has a `cidery-cid` header, and every failure a reason in
//! its details.
//!
//! Failures of the transport itself (oversized or malformed messages, unknown methods, unsupported compression) have
//! no details; they are recognized by that and mapped to errors of ours.

use http::header::{HeaderMap, HeaderValue};
use http::{Request, Response, Uri};
use percent_encoding::percent_decode;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::codec::status::{CID_HEADER, cid_value, from_status, to_status};
use crate::edge::grpc_message::unescape_message;
use crate::model::error::{Error, Kind, reason};
use crate::model::id::{Cid, truncated};

/// Maps the response of one request. It keeps the URI, which the messages of transport failures need.
#[derive(Debug)]
pub(super) struct StatusMapper(Uri);

impl StatusMapper {
    pub(super) fn new<B>(request: &Request<B>) -> Self {
        // A cheap clone: the URI shares the bytes of the request.
        Self(request.uri().clone())
    }

    /// Adds the CID header, which the details of a failure name too, and replaces a status without details by one with
    /// a reason.
    pub(super) fn map_response(&self, mut response: Response<Body>) -> Response<Body> {
        let headers = response.headers();
        // Most responses have their status in trailers.
        if let Some(status) = headers.get(Status::GRPC_STATUS) {
            let has_details = headers.contains_key(Status::GRPC_STATUS_DETAILS);
            if status != "0" && !(has_details && headers.contains_key(CID_HEADER)) {
                let cid = Cid::new();
                let error = match Status::from_header_map(headers).filter(|_| has_details) {
                    Some(status) => from_status(&status),
                    None => self.transport_error(headers),
                };
                tracing::debug!(
                    %cid,
                    path = self.0.path(),
                    reason = error.reason(),
                    "request rejected: {error}"
                );
                response = to_status(&error.with_cid(cid)).into_http();
            }
            unescape_message(response.headers_mut());
        }
        response
            .headers_mut()
            .entry(CID_HEADER)
            .or_insert_with(|| cid_value(Cid::new()));
        response
    }

    /// The error for a status that the transport made.
    fn transport_error(&self, headers: &HeaderMap) -> Error {
        let code = headers
            .get(Status::GRPC_STATUS)
            .map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()));
        let message = headers.get(Status::GRPC_MESSAGE).map(HeaderValue::as_bytes);
        let message = percent_decode(message.unwrap_or_default()).decode_utf8_lossy();
        match code {
            // The transport sets this header only for an unsupported compression.
            Code::Unimplemented if headers.contains_key("grpc-accept-encoding") => {
                Error::unimplemented(reason::NOT_SUPPORTED, message)
            }
            Code::Unimplemented => {
                let path = truncated(self.0.path());
                let message = format!(
                    "there is no method `{path}`; `grpcurl -plaintext HOST:PORT list` lists the services"
                );
                Error::unimplemented(reason::METHOD_UNKNOWN, message)
            }
            Code::OutOfRange => {
                let advice = match self.0.path().ends_with("/InvokeBatch") {
                    true => "send its requests in several batches",
                    false => "send less in one message",
                };
                let sizes = message
                    .rsplit_once("too large: ")
                    .map_or(&*message, |(_, it)| it);
                let message = format!("the request is too large: {sizes}; {advice}");
                Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message).with_retryable(false)
            }
            Code::Internal => {
                let message = format!("the request cannot be decoded: {message}");
                Error::invalid_argument(reason::MALFORMED_MESSAGE, message)
            }
            code => {
                let kind = Kind::from_grpc_code(code as i32).unwrap_or(Kind::Unknown);
                Error::new(kind, reason::TRANSPORT, message)
            }
        }
    }
}
