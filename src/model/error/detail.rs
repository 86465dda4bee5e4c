//! A detail of a failure: a protobuf message of any type, forwarded unread.

use bytes::Bytes;

/// An error detail that a handler attaches: a protobuf message of any type, forwarded unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The type, such as `type.googleapis.com/google.rpc.Help`.
    pub type_url: String,
    /// The encoded message.
    pub value: Bytes,
}
