//! Unary calls of Connect: the body is the message, or the error as JSON.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue, VARY};
use http::response::Parts;
use http::{Response, StatusCode};
use tonic::Status;
use tonic::body::Body;

use super::body::{Whole, next_frame, too_large};
use super::codec::MessageCodec;
use super::connect_error::{self, add_headers, incomplete, remove_grpc};
use super::envelope::Messages;
use crate::codec::json;
use crate::codec::status::to_status;
use crate::edge::compression::{GZIP, compressed};
use crate::edge::connection::Connection;
use crate::edge::response_body::ResponseBody;

/// Metadata that follows a message is sent before it, with this prefix.
const TRAILER_PREFIX: &str = "trailer-";

/// The response of gRPC as one of Connect.
pub(super) async fn response(
    response: Response<Body>,
    codec: MessageCodec,
    writes_gzip: bool,
    connection: &Arc<Connection>,
) -> Response<ResponseBody> {
    let (mut head, body) = response.into_parts();
    let answered = match answer(&mut head, body, &codec).await {
        Ok(message) => codec.written(message),
        Err(status) => Err(status),
    };
    remove_grpc(&mut head.headers);
    head.headers
        .append(VARY, HeaderValue::from_static("accept-encoding"));
    let body = answered.and_then(|message| {
        let compressed = writes_gzip.then(|| compressed(&message)).flatten();
        let is_compressed = compressed.is_some();
        // Before the headers are sent: a failure after them would look like a short message.
        let body = ResponseBody::whole(compressed.unwrap_or(message), connection);
        let body = body.map_err(|error| to_status(&error))?;
        Ok((body, is_compressed))
    });
    let body = match body {
        Ok((body, is_compressed)) => {
            if is_compressed {
                let gzip = HeaderValue::from_static(GZIP);
                head.headers.insert(CONTENT_ENCODING, gzip);
            }
            body
        }
        Err(status) => {
            head.status = connect_error::code(status.code()).1;
            add_headers(&mut head.headers, &status);
            let error = connect_error::error(&status, &|name| codec.find(name));
            let error = json::write(&error).unwrap_or_default();
            ResponseBody::uncounted(Body::new(Whole::new(error.into())))
        }
    };
    Response::from_parts(head, body)
}

/// The message of a response, whose metadata is put into its headers.
async fn answer(head: &mut Parts, mut body: Body, codec: &MessageCodec) -> Result<Bytes, Status> {
    if let Some(status) = Status::from_header_map(&head.headers) {
        return match status.code() {
            tonic::Code::Ok => Err(incomplete()),
            _ => Err(status),
        };
    }
    if head.status != StatusCode::OK {
        // A layer of the host answers with something else.
        return Err(incomplete());
    }
    let mut messages = Messages::default();
    let mut trailers = HeaderMap::new();
    let mut read = 0_usize;
    while let Some(frame) = next_frame(&mut body).await {
        match frame?.into_data() {
            Ok(data) => {
                read = read.saturating_add(data.len());
                // Its own methods keep to it, those of the host may not.
                if read > codec.most_bytes() {
                    return Err(to_status(&too_large(codec.limit)));
                }
                messages.push(&data);
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    match Status::from_header_map(&trailers) {
        Some(status) if status.code() != tonic::Code::Ok => {
            remove_grpc(&mut trailers);
            head.headers.extend(trailers);
            return Err(status);
        }
        _ => {}
    }
    remove_grpc(&mut trailers);
    for (name, value) in &trailers {
        let name = HeaderName::try_from(format!("{TRAILER_PREFIX}{name}"));
        if let Ok(name) = name {
            head.headers.append(name, value.clone());
        }
    }
    messages.next().ok_or_else(incomplete)
}
