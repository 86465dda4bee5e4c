//! The credential that clients and workers send: an API key, or a token that is asked for with each call.

mod channel;
mod source;

pub(in crate::remote) use self::channel::{NodeChannel, is_protected};
pub use self::source::ClientCredential;
