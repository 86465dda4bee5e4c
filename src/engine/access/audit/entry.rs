//! An entry of the audit log, and how it is written: as a line of the file, or as an event of the log.

use std::net::SocketAddr;

use serde::Serialize;

use super::sink;
use crate::engine::clock::Clock;
use crate::model::access::{Caller, Credential};

/// The target of the events of the audit log.
pub const TARGET: &str = "cidery::audit";

/// An entry. It has names and ids, never a secret.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Entry<'a> {
    pub(super) event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) peer: Option<SocketAddr>,
    pub(super) principal: &'a str,
    pub(super) credential: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) what: Option<&'a str>,
    /// What an act is about: a service, a copy of the store, a key, an operation, a filter, CIDs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<&'a str>,
    /// How many of its kind were left out before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) omitted: Option<u64>,
}

impl<'a> Entry<'a> {
    pub(super) fn of(caller: &'a Caller, event: &'static str) -> Self {
        let Some(identity) = caller.identity() else {
            return Self {
                event,
                credential: "none",
                ..Self::default()
            };
        };
        let (credential, key_id) = match &identity.credential {
            Credential::ApiKey(id) => ("api_key", Some(&**id)),
            Credential::Token => ("token", None),
            Credential::Certificate => ("certificate", None),
        };
        Self {
            event,
            peer: identity.peer,
            principal: identity.principal.as_str(),
            credential,
            key_id,
            ..Self::default()
        }
    }

    pub(super) fn write(&self) {
        let Some(sink) = sink::installed() else {
            return self.log();
        };
        #[derive(Serialize)]
        struct Line<'a> {
            time: String,
            #[serde(flatten)]
            entry: &'a Entry<'a>,
        }
        let line = Line {
            time: format!("{:.6}", Clock::System.now()),
            entry: self,
        };
        if let Ok(mut line) = serde_json::to_vec(&line) {
            line.push(b'\n');
            sink(&line);
        }
    }

    fn log(&self) {
        tracing::info!(
            target: TARGET,
            event = self.event,
            peer = self.peer.map(tracing::field::display),
            principal = self.principal,
            credential = self.credential,
            key_id = self.key_id,
            what = self.what,
            object = self.object,
            reason = self.reason,
            outcome = self.outcome,
            omitted = self.omitted,
            "audit"
        );
    }
}
