//! The API keys of a node, what a caller may do, and what is written to the audit log.
//!
//! The checks of the engine are in one place. With authentication on, what no right allows is refused. A refusal is
//! made before anything is looked up, so that it tells nothing: not whether a service exists, nor an invocation.
//! `docs/rights.md` lists which method needs which right.

pub mod audit;
mod calls;
mod key_ring;
mod key_text;
mod reach;
mod refusal;
mod validity;

pub(in crate::engine) use self::calls::{check_batch, check_call, check_serve, check_service};
pub use self::key_ring::{KeyRing, ListedKey, NewApiKey, Presented};
pub use self::key_text::{ApiKeySecret, id_of_key};
pub(in crate::engine) use self::reach::Reach;
pub(in crate::engine) use self::refusal::{Right, identity, not_permitted};
pub(crate) use self::validity::Validity;
#[cfg(feature = "jwt")]
pub(crate) use self::validity::ValidityGroup;
