//! The form in which a caller wants its answer.

use crate::codec::payload;
use crate::engine::routing::Route;
use crate::model::call::Call;
use crate::model::error::{Result, reason};
use crate::model::payload::{Format, Payload, Reply};
use crate::model::sio::{IGNORED_KEY, Ignored};

/// What an answer is written as.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Wanted {
    format: Format,
    /// Whether the caller said so. Otherwise it is the format of the input, and JSON where that has no form for it.
    asked: bool,
}

impl Wanted {
    pub(in crate::engine) fn of(call: &Call) -> Self {
        Self::new(call.response_format, &call.input)
    }

    pub(in crate::engine) fn new(asked: Option<Format>, input: &Payload) -> Self {
        Self {
            format: payload::answer_format(asked, input),
            asked: asked.is_some(),
        }
    }

    /// As it was asked for, and JSON where that has no form for it.
    pub(in crate::engine) fn or_json(asked: Option<Format>, input: &Payload) -> Self {
        Self {
            asked: false,
            ..Self::new(asked, input)
        }
    }

    pub(in crate::engine) fn asked(asked: Option<Format>) -> Self {
        Self::new(asked, &Payload::empty())
    }

    /// Writes documents here, where the declaration is known. Other forms are made where they are sent.
    pub(in crate::engine) fn write(self, route: &Route, reply: Reply) -> Result<Reply> {
        if self.format == Format::Dict {
            return Ok(reply);
        }
        let Reply { payload, metadata } = reply;
        let spare = (!self.asked && self.format != Format::Json).then(|| payload.clone());
        let payload = match (route.definition.write(payload, self.format), spare) {
            (Err(error), Some(payload)) if error.reason() == reason::FORMAT_INVALID => {
                route.definition.write(payload, Format::Json)?
            }
            (written, _) => written?,
        };
        Ok(Reply { payload, metadata })
    }
}

/// A reply that names what was dropped of its input.
pub(in crate::engine) fn with_ignored(mut reply: Reply, ignored: &Ignored) -> Reply {
    if !ignored.is_empty() {
        reply.metadata.insert(IGNORED_KEY, ignored.to_text());
    }
    reply
}
