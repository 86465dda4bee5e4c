//! The request of an invocation: what was accepted, immutable from then on.

use std::time::Duration;

use jiff::Timestamp;

use super::{Group, Grouping, Member, Terms};
use crate::model::id::{Cid, ServiceName};
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload};

/// What a caller asked for when an invocation was accepted. Never changes.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names the invocation.
    pub cid: Cid,
    /// The service; [`ServiceName::none`] for a group.
    pub service: ServiceName,
    /// What it gets; for a group, what tells it from another one.
    pub input: Payload,
    /// The format the response is wanted in.
    pub response_format: Option<Format>,
    /// What the caller sent along.
    pub metadata: Metadata,
    /// How long one attempt may last since its last sign of life. `None`: the service's.
    pub attempt_timeout: Option<Duration>,
    /// The invocation whose handler asked for this one.
    pub parent: Option<Cid>,
    /// The invocation all this began with: itself, where nobody's handler asked for it.
    pub root: Cid,
    /// When it was accepted.
    pub accept_time: Timestamp,
    /// When, until when, how often, and what follows.
    pub terms: Terms,
    /// Whether it is a group, or a member of one.
    pub grouping: Option<Grouping>,
}

impl Request {
    /// A request with nothing but a name and an input.
    #[must_use]
    pub fn new(cid: Cid, service: ServiceName, input: Payload, accept_time: Timestamp) -> Self {
        Self {
            cid,
            service,
            input,
            response_format: None,
            metadata: Metadata::new(),
            attempt_timeout: None,
            parent: None,
            root: cid,
            accept_time,
            terms: Terms::default(),
            grouping: None,
        }
    }

    /// The group that it is, if it is one.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        match &self.grouping {
            Some(Grouping::Group(group)) => Some(group),
            Some(Grouping::Member(_)) | None => None,
        }
    }

    /// Its place in a group, if it is a member of one.
    #[must_use]
    pub fn member(&self) -> Option<&Member> {
        match &self.grouping {
            Some(Grouping::Member(member)) => Some(member),
            Some(Grouping::Group(_)) | None => None,
        }
    }

    /// When it is due for the first time.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        self.terms.start_time.unwrap_or(self.accept_time)
    }
}
