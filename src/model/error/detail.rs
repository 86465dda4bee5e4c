//! A detail of a failure: a protobuf message of any type, forwarded unread.

use bytes::Bytes;

/// A detail of a handler's own: a protobuf message of any type, handed on as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The type, such as `type.googleapis.com/google.rpc.Help`.
    pub type_url: String,
    /// The encoded message.
    pub value: Bytes,
}
