//! The audit log: who did what as an operator, who was refused, and which credentials are used.
//!
//! Its events have the target [`TARGET`], unless the process has a file for them (`cidery serve --audit-log`), which
//! gets them whatever the filter of the log says.

mod entry;
mod rates;
mod sink;

use std::net::SocketAddr;

use self::entry::Entry;
pub use self::entry::TARGET;
pub(crate) use self::sink::failure;
#[cfg(feature = "cli")]
pub(crate) use self::sink::{install, note_failure};
use crate::model::access::Caller;
use crate::model::error::reason;
use crate::model::id::{Cid, truncated};

/// How many CIDs an entry names; it counts further ones.
const MAX_CIDS: usize = 100;

/// Writes that a caller was refused something: `what` it asked for, and the reason of the error that it got.
///
/// At most 50 a second are written of each principal, and of callers without one; the next one says how many were left
/// out.
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
        ..entry.clone()
    };
    rates::write_refusal(&entry, reason != reason::CREDENTIAL_REQUIRED);
}

/// Writes what an operator asked for, what it is about, and how it ended: `Ok`, or the name of a gRPC status.
pub(crate) fn act(
    peer: SocketAddr,
    caller: &Caller,
    what: &str,
    object: Option<&str>,
    outcome: &str,
) {
    let entry = Entry {
        peer: Some(peer),
        what: Some(what),
        object,
        outcome: Some(outcome),
        ..Entry::of(caller, "act")
    };
    entry.write();
}

/// Writes that a caller changed several invocations at once, or one of another principal: `what` was done with `cids`,
/// which a filter selected if there is one. The outcome is `Ok`, or `Cancelled` where the caller left before all of it
/// was done.
pub(crate) fn changed_invocations(
    caller: &Caller,
    what: &str,
    filter: Option<&str>,
    cids: impl ExactSizeIterator<Item = Cid>,
    outcome: &str,
) {
    let count = cids.len();
    let what = match count {
        1 => format!("1 invocation {what}"),
        _ => format!("{count} invocations {what}"),
    };
    let named: Vec<_> = cids.take(MAX_CIDS).map(|cid| cid.to_string()).collect();
    let mut object = filter.map_or_else(String::new, |filter| format!("{filter}: "));
    object.push_str(&named.join(" "));
    if count > named.len() {
        object.push_str(&format!(" and {} more", count - named.len()));
    }
    let entry = Entry {
        what: Some(&what),
        object: Some(&object),
        outcome: Some(outcome),
        ..Entry::of(caller, "act")
    };
    entry.write();
}

/// Writes how an operation ended that a principal started: `object` is its id with its filter, `outcome` its state and
/// its counts.
pub(in crate::engine) fn operation_ended(
    principal: &str,
    action: &str,
    object: &str,
    outcome: &str,
) {
    let entry = Entry {
        event: "operation_ended",
        principal,
        credential: "none",
        what: Some(action),
        object: Some(object),
        outcome: Some(outcome),
        ..Entry::default()
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
/// At most 50 a second are written of each principal, since a caller decides how often it connects. The next one says
/// how many were left out.
pub(crate) fn connected(peer: SocketAddr, caller: &Caller) {
    let entry = Entry {
        peer: Some(peer),
        ..Entry::of(caller, "connected")
    };
    rates::write_connection(&entry);
}
