//! Requests that repeat an accepted one, by its CID or idempotency key.

use crate::codec::payload;
use crate::engine::admission::cid_reservations::cid_in_use;
use crate::engine::store::Tombstone;
use crate::model::access::Principal;
use crate::model::error::{Error, Result, reason};
use crate::model::id::truncated;
use crate::model::invocation::{Request, fingerprint};

/// Whether a request with a known CID or key asks for the same as the first one.
///
/// # Errors
///
/// `ALREADY_EXISTS` / `IDEMPOTENCY_MISMATCH`, or `CID_IN_USE` where the first one belongs to another principal.
pub(in crate::engine) fn check_same(first: &Request, repeat: &Request) -> Result<()> {
    check_owner(first.owner(), repeat)?;
    let same = first.service == repeat.service && {
        let decoded = |request: &Request| payload::decode(request.input.clone());
        match (decoded(first), decoded(repeat)) {
            (Ok(one), Ok(other)) => {
                fingerprint(&first.service, &one) == fingerprint(&repeat.service, &other)
            }
            // Inputs that cannot be decoded are the same where their bytes are.
            _ => first.input.same_bytes(&repeat.input),
        }
    };
    if same {
        return Ok(());
    }
    // What the caller repeated: the key, or the CID.
    let cid = first.cid;
    let key = repeat.terms.idempotency_key.as_deref();
    let repeated = match key.filter(|_| repeat.cid != cid) {
        Some(key) => {
            let key = truncated(&key.escape_debug().to_string());
            format!("idempotency key `{key}` was used before (CID {cid})")
        }
        None => format!("CID {cid} was accepted before"),
    };
    let service = &first.service;
    let message = match first.group() {
        Some(_) => format!("{repeated} for a group of other requests"),
        None if *service != repeat.service => format!("{repeated} for a call of `{service}`"),
        None => format!("{repeated} with another input of `{service}`"),
    };
    Err(Error::already_exists(reason::IDEMPOTENCY_MISMATCH, message))
}

/// Whether a CID that was accepted before belongs to the one who repeats it. Another one learns nothing of it. Where
/// authentication is off, or the program itself asks, nobody is told apart.
fn check_owner(first: Option<&Principal>, repeat: &Request) -> Result<()> {
    match repeat.owner() {
        Some(owner) if first != Some(owner) => Err(cid_in_use(repeat.cid)),
        Some(_) | None => Ok(()),
    }
}

/// `ALREADY_EXISTS` / `RESULT_EXPIRED`, or `CID_IN_USE` where the removed one belonged to another principal.
pub(in crate::engine) fn removed(repeat: &Request, tombstone: &Tombstone) -> Error {
    let owner = tombstone.owner.as_ref();
    let owner = owner.and_then(|it| it.acting_principal.as_ref());
    if let Err(error) = check_owner(owner, repeat) {
        return error;
    }
    let cid = repeat.cid;
    let message = format!(
        "CID {cid} was accepted before; its outcome ({}) is no longer kept",
        tombstone.end_time
    );
    Error::already_exists(reason::RESULT_EXPIRED, message)
}
