//! Result streams and look-ups: what callers read of an invocation.

pub(in crate::engine) mod follower;
pub(in crate::engine) mod group_members;
pub(in crate::engine) mod hub;
pub(in crate::engine) mod lookup;
