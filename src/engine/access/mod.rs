//! The API keys of a node, and what is written to its audit log.

pub mod audit;
mod key_ring;
mod key_text;
mod validity;

pub use self::key_ring::{KeyRing, ListedKey, NewApiKey, Presented};
pub use self::key_text::ApiKeySecret;
pub(crate) use self::validity::Validity;
