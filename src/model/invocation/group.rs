//! Groups: invocations that were accepted together, under a CID of their own.

use crate::model::id::{Cid, ServiceName};

/// What an invocation has to do with a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// It is one: a record without a service and without attempts. It runs until its members have ended.
    Group(Group),
    /// It is a member of one.
    Member(Member),
}

/// What is known of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How many members it has.
    pub members: u32,
    /// Services that are invoked with the outcome of each member.
    pub on_each: Vec<ServiceName>,
}

/// The place of an invocation in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The group.
    pub group: Cid,
    /// Which of its requests it was, from 0.
    pub position: u32,
    /// Services that are invoked with its outcome.
    pub on_each: Vec<ServiceName>,
}
