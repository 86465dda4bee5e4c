//! The checks. Each leaves the worker connected, where the worker keeps the rules.

pub(super) mod basics;
pub(super) mod draining;
pub(super) mod keep_alive;
pub(super) mod load;
pub(super) mod reconnecting;
pub(super) mod resuming;
