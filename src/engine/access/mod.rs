//! What a caller may do: the checks of the engine, in one place. With authentication on, what no right allows is
//! refused.
//!
//! A refusal is made before anything is looked up, so that it tells nothing: not whether a service exists, nor an
//! invocation. `docs/rights.md` lists which method needs which right.

mod audit;
mod calls;
mod reach;
mod refusal;

pub(in crate::engine) use self::calls::{check_batch, check_call, check_serve, check_service};
pub(in crate::engine) use self::reach::Reach;
pub(in crate::engine) use self::refusal::{Right, identity, not_permitted};
