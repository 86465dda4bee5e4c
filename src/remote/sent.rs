//! Whether a call that failed was ever sent: what the node never took can be said again, whatever it is.

use std::error::Error as _;

use tonic::Status;

use crate::codec::status::from_status;
use crate::model::error::{Error, reason};

/// The failure of a call. One that the node never took is `UNAVAILABLE` / `TRANSPORT`.
pub(super) fn failure(status: &Status) -> Error {
    if !never_taken(status) {
        return from_status(status);
    }
    let message = "the connection ended before the node took the call";
    Error::unavailable(reason::TRANSPORT, message)
}

/// Whether the connection was gone before the call was sent, or the node said as it ended that it did not look at it:
/// `GOAWAY` names the last stream that it takes (RFC 9113, section 6.8).
fn never_taken(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && error.is_canceled()
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let in_order = error.reason() == Some(h2::Reason::NO_ERROR);
            return error.is_go_away() && error.is_remote() && in_order;
        }
        cause = error.source();
    }
    false
}
