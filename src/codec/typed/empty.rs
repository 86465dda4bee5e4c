//! Finds what arrived empty in a typed request: clients that drop unknown keys send plain objects so.

use super::message::{FieldType, MessageType};
use super::method::Body;
use crate::codec::struct_pb::{
    EmptyKind, EmptyMember, WireField, WireReader, empty_in_struct, empty_in_value,
};

impl Body {
    /// Whether a client can lose more of the message than all of it: a field of it is a message.
    #[must_use]
    pub fn has_messages(&self) -> bool {
        let mut fields = self.message.fields.iter();
        fields.any(|field| field.kind.is_message())
    }

    /// The first empty message in a request, or the request itself; `None` also for one that is malformed.
    #[must_use]
    pub fn empty_member(&self, bytes: &[u8]) -> Option<EmptyMember> {
        in_message(&self.message, bytes)
    }
}

fn in_message(message: &MessageType, bytes: &[u8]) -> Option<EmptyMember> {
    if bytes.is_empty() {
        let has_fields = !message.fields.is_empty();
        return has_fields.then(|| EmptyMember::new(EmptyKind::Message));
    }
    let mut reader = WireReader::new(bytes);
    while let Ok(Some((number, content))) = reader.field() {
        let (Some((_, field)), WireField::Bytes(content)) = (message.field(number), content) else {
            continue;
        };
        let found = match &field.kind {
            FieldType::Instant if content.is_empty() => {
                Some(EmptyMember::new(EmptyKind::Timestamp))
            }
            FieldType::Struct => empty_in_struct(content),
            FieldType::Value => empty_in_value(content),
            FieldType::Message(message) => in_message(message, content),
            _ => None,
        };
        if let Some(found) = found {
            let found = match field.repeated {
                true => found.under("*"),
                false => found,
            };
            return Some(found.under(&field.key));
        }
    }
    None
}
