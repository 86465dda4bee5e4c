//! Metadata of calls and replies, with the trace context (`traceparent`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::error::Result;
use crate::model::metadata::{Metadata, TRACEPARENT};

/// The metadata key of the token of a nested call.
pub const DISPATCH_KEY: &str = "cidery-dispatch";

/// Converts metadata to the contract's form.
#[must_use]
pub fn metadata_to_proto(metadata: &Metadata) -> HashMap<String, String> {
    metadata
        .iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Converts metadata of a message.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `METADATA_TOO_LARGE` above its limit.
pub fn metadata_from_proto(metadata: HashMap<String, String>) -> Result<Metadata> {
    if metadata.is_empty() {
        return Ok(Metadata::new());
    }
    let metadata = Metadata::from(metadata);
    metadata.check()?;
    Ok(metadata)
}

/// Converts the metadata of a request: that of the message, and the `traceparent` of the transport where the message
/// has none. `None` where both are empty.
///
/// # Errors
///
/// As for [`metadata_from_proto`].
pub(super) fn request_metadata(
    message: HashMap<String, String>,
    traceparent: Option<&str>,
) -> Result<Option<Arc<Metadata>>> {
    let mut metadata = metadata_from_proto(message)?;
    if let Some(traceparent) = traceparent
        && metadata.get(TRACEPARENT).is_none()
    {
        metadata.insert(TRACEPARENT, traceparent);
    }
    Ok((!metadata.is_empty()).then(|| Arc::new(metadata)))
}
