//! The request of an invocation: what was accepted, immutable from then on.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Group, Grouping, Member, Terms};
use crate::model::access::{Principal, Principals};
use crate::model::id::{Cid, ServiceName};
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload};

/// The request of an accepted invocation. It never changes.
#[derive(Clone, Debug)]
pub struct Request {
    /// The CID of the invocation.
    pub cid: Cid,
    /// The service; [`ServiceName::none`] for a group.
    pub service: ServiceName,
    /// The input; for a group, what distinguishes its batch from another one.
    pub input: Payload,
    /// The requested format of the response.
    pub response_format: Option<Format>,
    /// The metadata of the caller.
    pub metadata: Metadata,
    /// The timeout of one attempt since its last progress report. `None`: the service's.
    pub attempt_timeout: Option<Duration>,
    /// The invocation whose handler made this request.
    pub parent: Option<Cid>,
    /// The first invocation of the chain; itself, where no handler made this request.
    pub root: Cid,
    /// When it was accepted.
    pub accept_time: Timestamp,
    /// Schedule, expiration, retries, callbacks and keys.
    pub terms: Terms,
    /// Its role in a group, if it has one.
    pub grouping: Option<Grouping>,
    /// Who asked, and who acts.
    pub principals: Option<Arc<Principals>>,
}

impl Request {
    /// A request with a service, an input and default options.
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
            principals: None,
        }
    }

    /// The principal that it belongs to, if it belongs to one.
    #[must_use]
    pub fn owner(&self) -> Option<&Principal> {
        self.principals.as_ref()?.acting_principal.as_ref()
    }

    /// The group, if this is the record of one.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        match &self.grouping {
            Some(Grouping::Group(group)) => Some(group),
            Some(Grouping::Member(_)) | None => None,
        }
    }

    /// Its position in a group, if it is a member of one.
    #[must_use]
    pub fn member(&self) -> Option<&Member> {
        match &self.grouping {
            Some(Grouping::Member(member)) => Some(member),
            Some(Grouping::Group(_)) | None => None,
        }
    }

    /// How many invocations follow from its end at most: its callbacks, and those of its group for each member.
    #[must_use]
    pub fn promised_callbacks(&self) -> usize {
        let Terms {
            callbacks,
            failure_callbacks,
            ..
        } = &self.terms;
        let on_each = self.member().map_or(0, |member| member.on_each.len());
        callbacks.len().max(failure_callbacks.len()) + on_each
    }

    /// When it is due for the first time.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        self.terms.start_time.unwrap_or(self.accept_time)
    }
}
