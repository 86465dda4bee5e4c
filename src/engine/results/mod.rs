//! Results: live invocations, result streams and look-ups.

mod arc_set;
pub(in crate::engine) mod bounded_read;
pub(in crate::engine) mod elsewhere;
pub(in crate::engine) mod event_page;
pub(in crate::engine) mod examples;
pub(in crate::engine) mod followed;
pub(in crate::engine) mod follower;
pub(in crate::engine) mod group_members;
pub(in crate::engine) mod hub;
pub(in crate::engine) mod live;
pub(in crate::engine) mod lookup;
pub(in crate::engine) mod outlook;
pub(in crate::engine) mod reading;
