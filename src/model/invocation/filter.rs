//! A filter of stored invocations.

use jiff::Timestamp;

use super::{Invocation, Request, State};
use crate::model::access::{Owners, Principal};
use crate::model::id::{Cid, ServiceName};
use crate::model::metadata::Metadata;

/// Matches stored invocations. An empty list, or a field that is `None` or `false`, matches every invocation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The service is one of these.
    pub services: Vec<ServiceName>,
    /// The stored state is one of these. An invocation that runs is stored as pending.
    pub states: Vec<State>,
    /// Also matches these invocations, whatever their state.
    pub cids: Vec<Cid>,
    /// Also matches invocations that await an asynchronous completion, and groups that await their members.
    pub include_waiting: bool,
    /// Also matches held invocations ([`Invocation::is_held`]).
    pub include_held: bool,
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
    /// The message of the last failure contains this text.
    pub failure_text: Option<AnyCaseText>,
    /// The metadata has all these entries.
    pub metadata: Metadata,
    /// Held ([`Invocation::is_held`]).
    pub held: bool,
    /// Of the dead-letter queue ([`Invocation::is_dead_letter`]).
    pub dead_letter: bool,
    /// Not retried ([`Invocation::retried_as`]).
    pub not_retried: bool,
    /// Invoked by this invocation.
    pub parent: Option<Cid>,
    /// Invoked by this invocation, directly or through others.
    pub root: Option<Cid>,
    /// A member of this group.
    pub group: Option<Cid>,
    /// One of these principals asked.
    pub principals: Vec<Principal>,
    /// It belongs to one of these principals. `None`: to any.
    pub owners: Option<Owners>,
}

impl Filter {
    /// Whether it has no criterion: it matches every invocation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an invocation, in the state in which it is stored, matches all criteria.
    #[must_use]
    pub fn matches(&self, invocation: &Invocation) -> bool {
        self.matches_state(invocation)
            && self.matches_origin(invocation)
            && self.matches_principals(&invocation.request)
            && self.matches_times(invocation)
            && self.matches_failure(invocation)
            && self.matches_metadata(&invocation.request.metadata)
    }

    /// Whether the metadata of an invocation has all entries of [`metadata`](Self::metadata).
    #[must_use]
    pub fn matches_metadata(&self, metadata: &Metadata) -> bool {
        let mut entries = self.metadata.iter();
        entries.all(|(key, value)| metadata.get(key) == Some(value))
    }

    fn matches_state(&self, invocation: &Invocation) -> bool {
        let any = self.states.is_empty() && self.cids.is_empty();
        let any = any && !self.include_waiting && !self.include_held;
        let waits = || invocation.waits_for_completion() || invocation.waits_for_members();
        (any || self.states.contains(&invocation.state)
            || self.cids.contains(&invocation.request.cid)
            || (self.include_waiting && waits())
            || (self.include_held && invocation.is_held()))
            && (!self.held || invocation.is_held())
            && (!self.dead_letter || invocation.is_dead_letter())
            && (!self.not_retried || invocation.retried_as.is_none())
    }

    fn matches_origin(&self, invocation: &Invocation) -> bool {
        let request = &invocation.request;
        let is_member = |group| request.member().is_some_and(|member| member.group == group);
        let is_descendant = |root| request.root == root && request.cid != root;
        (self.services.is_empty() || self.services.contains(&request.service))
            && self
                .parent
                .is_none_or(|parent| request.parent == Some(parent))
            && self.root.is_none_or(is_descendant)
            && self.group.is_none_or(is_member)
    }

    fn matches_principals(&self, request: &Request) -> bool {
        let principals = request.principals.as_deref();
        let asked = principals.and_then(|it| it.principal.as_ref());
        (self.principals.is_empty() || asked.is_some_and(|asked| self.principals.contains(asked)))
            && self
                .owners
                .as_ref()
                .is_none_or(|owners| owners.own(principals))
    }

    fn matches_times(&self, invocation: &Invocation) -> bool {
        let (accepted, ended) = (invocation.request.accept_time, invocation.end_time);
        self.accepted_after.is_none_or(|time| accepted >= time)
            && self.accepted_before.is_none_or(|time| accepted < time)
            && self
                .ended_after
                .is_none_or(|time| ended.is_some_and(|ended| ended >= time))
            && self
                .ended_before
                .is_none_or(|time| ended.is_some_and(|ended| ended < time))
    }

    fn matches_failure(&self, invocation: &Invocation) -> bool {
        if self.failure_reasons.is_empty() && self.failure_text.is_none() {
            return true;
        }
        let Some(failure) = invocation.failure() else {
            return false;
        };
        let mut reasons = self.failure_reasons.iter();
        let text = self.failure_text.as_ref();
        (self.failure_reasons.is_empty() || reasons.any(|reason| reason == failure.reason()))
            && text.is_none_or(|text| text.is_in(failure.message()))
    }
}

/// A text that is searched for in any case of its letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyCaseText(String);

impl AnyCaseText {
    /// Searches for this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase())
    }

    /// Whether another text contains it.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.0)
    }
}
