//! Groups: the invocations of one batch, with a record and a CID for the group itself.

use crate::model::id::{Cid, ServiceName};

/// The role of an invocation in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// The record of a group, without a service and without attempts. It is running until its members have ended.
    Group(Group),
    /// A member of a group.
    Member(Member),
}

/// The properties of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The number of members.
    pub members: u32,
    /// Services that are invoked with the outcome of each member.
    pub on_each: Vec<ServiceName>,
}

/// The position of an invocation in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The CID of the group.
    pub group: Cid,
    /// The index of its request, from 0.
    pub position: u32,
    /// Services that are invoked with its outcome.
    pub on_each: Vec<ServiceName>,
}
