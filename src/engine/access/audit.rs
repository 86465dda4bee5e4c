//! The audit log: who did what as an operator, who was refused, and which credentials are used.
//!
//! Its events have the target [`TARGET`], unless the process has a file for them (`cidery serve --audit-log`), which
//! gets them whatever the filter of the log says.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde::Serialize;

use crate::engine::clock::Clock;
use crate::model::access::{Caller, Credential};
use crate::model::id::truncated;

/// The target of its events.
pub const TARGET: &str = "cidery::audit";
/// How many refusals, and how many connections, are written each second, at most: callers decide how often there are
/// some. The others are counted.
const ENTRIES_PER_SECOND: u32 = 50;

/// Refusals. One limit for the process, as its log is.
static REFUSALS: LazyLock<Limited> = LazyLock::new(Limited::new);
/// Connections with a credential.
static CONNECTIONS: LazyLock<Limited> = LazyLock::new(Limited::new);
/// What takes the lines, in place of `tracing`.
static SINK: OnceLock<Sink> = OnceLock::new();

/// Takes a line of JSON, with its line feed. It must not block.
pub(crate) type Sink = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Writes the audit log of this process as lines of JSON from now on. Returns whether it was not written so before.
#[cfg(feature = "cli")]
pub(crate) fn install(sink: Sink) -> bool {
    SINK.set(sink).is_ok()
}

/// Entries that are written up to a rate.
struct Limited {
    rate: DefaultDirectRateLimiter,
    /// How many were not written since the last one that was.
    omitted: AtomicU64,
}

impl Limited {
    fn new() -> Self {
        let rate = NonZeroU32::new(ENTRIES_PER_SECOND).unwrap_or(NonZeroU32::MIN);
        Self {
            rate: RateLimiter::direct(Quota::per_second(rate)),
            omitted: AtomicU64::new(0),
        }
    }

    fn write(&self, entry: &Entry<'_>) {
        if self.rate.check().is_err() {
            self.omitted.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let omitted = self.omitted.swap(0, Ordering::Relaxed);
        let entry = Entry {
            omitted: Some(omitted).filter(|omitted| *omitted > 0),
            ..*entry
        };
        entry.write();
    }
}

/// An entry. It has names and ids, never a secret.
#[derive(Debug, Default, Serialize)]
struct Entry<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    principal: &'a str,
    credential: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a str>,
    /// How many of its kind were left out before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<u64>,
}

impl<'a> Entry<'a> {
    fn of(caller: &'a Caller, event: &'static str) -> Self {
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

    fn write(&self) {
        let Some(sink) = SINK.get() else {
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
            reason = self.reason,
            outcome = self.outcome,
            omitted = self.omitted,
            "audit"
        );
    }
}

/// Writes that a caller was refused something: `what` it asked for, and the reason of the error that it got.
///
/// At most 50 a second are written; the next one says how many were left out.
pub fn refused(caller: &Caller, what: &str, reason: &str) {
    write_refused(&Entry::of(caller, "refused"), what, reason);
}

/// Writes that a credential was refused: of which peer, and of which key if it is one of this node's.
pub(crate) fn credential_refused(peer: SocketAddr, key_id: Option<&str>, what: &str, reason: &str) {
    let entry = Entry {
        peer: Some(peer),
        key_id,
        ..Entry::of(&Caller::Unauthenticated, "refused")
    };
    write_refused(&entry, what, reason);
}

fn write_refused(entry: &Entry<'_>, what: &str, reason: &str) {
    let entry = Entry {
        what: Some(&truncated(what)),
        reason: Some(reason),
        ..*entry
    };
    REFUSALS.write(&entry);
}

/// Writes what an operator asked for, and how it ended: `Ok`, or the name of a gRPC status.
pub(crate) fn act(peer: SocketAddr, caller: &Caller, what: &str, outcome: &str) {
    let entry = Entry {
        peer: Some(peer),
        what: Some(what),
        outcome: Some(outcome),
        ..Entry::of(caller, "act")
    };
    entry.write();
}

/// Writes that a caller changed several invocations at once.
pub(crate) fn changed_invocations(caller: &Caller, what: &str, changed: usize) {
    let what = format!("{changed} invocations {what}");
    let entry = Entry {
        what: Some(&what),
        outcome: Some("Ok"),
        ..Entry::of(caller, "act")
    };
    entry.write();
}

/// Writes that a key was made or revoked: `what` is its id and its principal.
pub(crate) fn key_changed(caller: &Caller, event: &'static str, id: &str, principal: &str) {
    let what = format!("{id} {principal}");
    let entry = Entry {
        what: Some(&what),
        ..Entry::of(caller, event)
    };
    entry.write();
}

/// Writes that someone logged in to the console, or out of it: `reason` says why, where the caller did not ask for it.
#[cfg(feature = "console")]
pub(crate) fn session(
    peer: SocketAddr,
    caller: &Caller,
    event: &'static str,
    reason: Option<&str>,
) {
    let entry = Entry {
        peer: Some(peer),
        reason,
        ..Entry::of(caller, event)
    };
    entry.write();
}

/// Writes that a credential is used for the first time since the node started.
pub(super) fn first_use(caller: &Caller) {
    Entry::of(caller, "first_use").write();
}

/// Writes that a connection has a credential, or another one than before.
///
/// At most 50 a second are written, since a caller decides how often it connects. The next one says how many were left
/// out.
pub(crate) fn connected(peer: SocketAddr, caller: &Caller) {
    let entry = Entry {
        peer: Some(peer),
        ..Entry::of(caller, "connected")
    };
    CONNECTIONS.write(&entry);
}
