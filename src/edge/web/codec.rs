//! The messages of a response as a client reads them.

use bytes::Bytes;
use prost_reflect::MessageDescriptor;
use tonic::Status;

use super::envelope::PREFIX;
use crate::codec::proto_json;
use crate::codec::status::to_status;
use crate::edge::grpc::{MessageTypes, MethodTypes};
use crate::engine::Invoker;

/// Writes the messages of one response.
#[derive(Debug)]
pub(super) struct MessageCodec {
    /// The method whose responses are written as JSON. `None`: as protobuf.
    pub(super) json: Option<MethodTypes>,
    pub(super) types: MessageTypes,
    /// Who calls; `None` where that is not known.
    pub(super) caller: Option<Invoker>,
    /// The largest message, in bytes.
    pub(super) limit: usize,
}

impl MessageCodec {
    /// A message as the client reads it.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `TRANSPORT` where it cannot be written as JSON.
    pub(super) fn written(&self, message: Bytes) -> Result<Bytes, Status> {
        let Some(method) = &self.json else {
            return Ok(message);
        };
        let find = |name: &str| self.find(name);
        let text = proto_json::write(&method.output, &message, &find);
        text.map(Bytes::from).map_err(|error| to_status(&error))
    }

    /// The type of a message, by its full name.
    pub(super) fn find(&self, name: &str) -> Option<MessageDescriptor> {
        self.types.find(name, self.caller.as_ref())
    }

    /// The longest body of a response with one message.
    pub(super) fn most_bytes(&self) -> usize {
        self.limit.saturating_add(PREFIX)
    }
}
