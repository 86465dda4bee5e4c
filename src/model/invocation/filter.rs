//! A filter of stored invocations.

use jiff::Timestamp;

use super::State;
use crate::model::id::{Cid, ServiceName};

/// Matches stored invocations. An empty list, or a field that is `None`, matches every invocation.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The service is one of these.
    pub services: Vec<ServiceName>,
    /// The stored state is one of these. An invocation that runs is stored as pending.
    pub states: Vec<State>,
    /// Also matches these invocations, whatever their state.
    pub cids: Vec<Cid>,
    /// Also matches invocations that await an asynchronous completion, and groups that await their members.
    pub include_waiting: bool,
    /// Accepted at or after this instant.
    pub accepted_after: Option<Timestamp>,
    /// Accepted before this instant.
    pub accepted_before: Option<Timestamp>,
    /// Ended at or after this instant.
    pub ended_after: Option<Timestamp>,
    /// Ended before this instant.
    pub ended_before: Option<Timestamp>,
    /// The last failure has one of these reasons.
    pub failure_reasons: Vec<String>,
    /// Invoked by this invocation.
    pub parent: Option<Cid>,
    /// Invoked by this invocation, directly or through others.
    pub root: Option<Cid>,
    /// A member of this group.
    pub group: Option<Cid>,
}
