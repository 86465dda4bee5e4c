//! Quotas: how many calls a service takes in a time, and how many a principal may make.
//!
//! What is not configured costs nothing: a service without a rate has no limiter, and a node without quotas has no
//! table of principals.

mod principals;
mod rate_limit;

pub(in crate::engine) use self::principals::{InFlight, Quotas};
pub(in crate::engine) use self::rate_limit::RateLimit;
