//! The objects of output for programs: one function for each schema of docs/cli.schema.json. Those that plain HTTP has
//! as well are in [`objects`](crate::codec::objects).
//!
//! Keys are `snake_case`, times RFC 3339, durations seconds; what is absent is null.

mod access;
mod backup;
mod context;
mod explanation;
mod node_event;
mod operation;
mod status;
mod worker;

pub(super) use self::access::{api_key, caller, new_api_key, quota_text, rights_text};
pub(super) use self::backup::stored_backup;
pub(super) use self::context::context;
pub(super) use self::explanation::{Explanation, explanation};
pub(super) use self::node_event::node_event;
pub(super) use self::operation::operation;
pub(super) use self::status::status;
pub(super) use self::worker::worker;
pub(super) use crate::codec::objects::{
    change, controlled_service, event, input, invocation, item, outcome_event, service,
    service_description, summary,
};
