//! Replies of synchronous invocations, as `Invoke` returns them.

use crate::codec::convert::metadata::metadata_to_proto;
use crate::codec::convert::payload::{PayloadOneof as _, format_of};
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::payload::Reply;

/// Converts a reply to the contract's form.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `VALUE_INVALID` for a value that cannot be encoded.
pub fn reply_to_proto(cid: Cid, reply: Reply) -> Result<v1::InvokeResponse> {
    Ok(v1::InvokeResponse {
        cid: cid.to_string(),
        data_format: format_of(&reply.payload).into(),
        output: Some(v1::invoke_response::Output::from_payload(reply.payload)?),
        metadata: metadata_to_proto(&reply.metadata),
    })
}
