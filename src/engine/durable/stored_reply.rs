//! The reply of a durable invocation, in the form in which it is stored and answered.

use crate::codec::payload;
use crate::engine::execution::response_format::ResponseFormat;
use crate::model::error::{Error, Result, reason};
use crate::model::invocation::Request;
use crate::model::payload::{Format, Payload, Reply};
use crate::service::{Definition, output_invalid};

/// Encodes a reply, once, in the format that the request asks for. A response that the format cannot represent is
/// stored as JSON: the work is done.
///
/// # Errors
///
/// `INTERNAL` / `OUTPUT_INVALID` where it cannot be encoded or is larger than `max_bytes`.
pub(in crate::engine) fn stored_reply(
    definition: &Definition,
    reply: Reply,
    request: &Request,
    max_bytes: usize,
) -> Result<Reply> {
    let response_format = ResponseFormat::or_json(request.response_format, &request.input);
    let reply = response_format.write(definition, reply)?;
    let format = match &reply.payload {
        Payload::Document(_, format) => *format,
        _ => Format::Dict,
    };
    let payload = payload::encode(reply.payload, format).map_err(output_invalid)?;
    if payload.weight() > max_bytes {
        let message = format!("the response is larger than {max_bytes} bytes");
        return Err(Error::internal(reason::OUTPUT_INVALID, message)
            .with_retryable(false)
            .with_info("message_bytes", max_bytes));
    }
    Ok(Reply {
        payload,
        metadata: reply.metadata,
    })
}
