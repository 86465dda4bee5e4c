//! The format in which a caller gets its response: the one it asks for, or that of its input.

use crate::codec::payload;
use crate::model::error::{IGNORED, Result, reason};
use crate::model::payload::{Format, Payload, Reply};
use crate::model::sio::{IGNORED_KEY, Ignored};
use crate::service::Definition;

/// The format of a response.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct ResponseFormat {
    format: Format,
    /// Whether a response that the format cannot represent is written as JSON instead.
    falls_back_to_json: bool,
}

impl ResponseFormat {
    /// The format that a caller asks for, or that of its input. Only the latter falls back to JSON.
    pub(in crate::engine) fn new(requested: Option<Format>, input: &Payload) -> Self {
        Self {
            format: payload::answer_format(requested, input),
            falls_back_to_json: requested.is_none(),
        }
    }

    /// The same, but a format that the caller asks for falls back to JSON too.
    pub(in crate::engine) fn or_json(requested: Option<Format>, input: &Payload) -> Self {
        Self {
            falls_back_to_json: true,
            ..Self::new(requested, input)
        }
    }

    /// Writes a response as a document, where that is its format: the declaration says how. Other formats are encoded
    /// where they are sent.
    ///
    /// # Errors
    ///
    /// `FORMAT_INVALID` where the format cannot represent the response.
    pub(in crate::engine) fn write(self, definition: &Definition, reply: Reply) -> Result<Reply> {
        if self.format == Format::Dict {
            return Ok(reply);
        }
        let Reply { payload, metadata } = reply;
        let can_fall_back = self.falls_back_to_json && self.format != Format::Json;
        let copy = can_fall_back.then(|| payload.clone());
        let payload = match (definition.write(payload, self.format), copy) {
            (Err(error), Some(payload)) if error.reason() == reason::FORMAT_INVALID => {
                definition.write(payload, Format::Json)?
            }
            (written, _) => written?,
        };
        Ok(Reply { payload, metadata })
    }
}

/// Adds the names of input keys that were ignored to the outcome of a call: one of them may be why it failed.
pub(in crate::engine) fn outcome_with_ignored(
    outcome: Result<Reply>,
    ignored: &Ignored,
) -> Result<Reply> {
    match outcome {
        Ok(reply) => Ok(with_ignored(reply, ignored)),
        Err(error) if ignored.is_empty() || error.fact(IGNORED).is_some() => Err(error),
        Err(error) => Err(error.with_info(IGNORED, ignored.to_text())),
    }
}

/// Adds the names of input keys that were ignored to the metadata of a reply.
pub(in crate::engine) fn with_ignored(mut reply: Reply, ignored: &Ignored) -> Reply {
    if !ignored.is_empty() {
        reply.metadata.insert(IGNORED_KEY, ignored.to_text());
    }
    reply
}
