//! The errors of encryption. None of them contains a key, or a line of the file of keys.

use std::fmt;

use crate::model::error::{Error, Kind, reason};

/// `FAILED_PRECONDITION` / `STORE_KEY_INVALID`: the file of keys cannot be used.
pub(in crate::store) fn key_invalid(message: impl Into<String>) -> Error {
    Error::failed_precondition(reason::STORE_KEY_INVALID, message)
}

/// `FAILED_PRECONDITION` / `STORE_KEY_MISSING`: what is asked for is encrypted with keys that are not there.
///
/// `what`: with its verb, as in `the store needs`.
pub(in crate::store) fn keys_missing(what: impl fmt::Display, ids: &[&str]) -> Error {
    let (named, plural) = (ids.join("`, `"), if ids.len() == 1 { "" } else { "s" });
    let message = format!(
        "{what} the store key{plural} `{named}`, which the node does not have: add the line{plural} to the file of \
         `--store-key-file`, and start the node with it"
    );
    Error::failed_precondition(reason::STORE_KEY_MISSING, message)
        .with_info("key_ids", ids.join(","))
}

/// `DATA_LOSS` / `STORE_DAMAGED`: a blob that is not what was written here.
pub(super) fn damaged(what: impl fmt::Display) -> Error {
    let message = format!("the store contains unreadable data: {what}");
    Error::new(Kind::DataLoss, reason::STORE_DAMAGED, message)
}

/// `UNAVAILABLE` / `STORE_FAILED`: nothing can be encrypted now.
pub(super) fn cannot_seal(what: impl fmt::Display) -> Error {
    let message = format!("the store cannot encrypt: {what}");
    Error::unavailable(reason::STORE_FAILED, message)
}
