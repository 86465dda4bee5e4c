//! Whether a call that failed was ever sent: what the node never took can be said again, whatever it is.

use std::error::Error as _;

use tonic::{ConnectError, Status};

use crate::codec::status::from_status;
use crate::model::error::{Error, Kind, reason};

/// The failure of a call. One of the transport is `UNAVAILABLE` / `TRANSPORT` where the node never took the call, and
/// only there: whoever stands between, or a node that froze, may have had it.
pub(super) fn failure(status: &Status) -> Error {
    let error = from_status(status);
    let is_unavailable = error.reason() == reason::TRANSPORT && error.kind() == Kind::Unavailable;
    match (never_taken(status), is_unavailable) {
        (true, false) => {
            let message = "the connection ended before the node took the call";
            Error::unavailable(reason::TRANSPORT, message)
        }
        (false, true) => Error::new(Kind::Unknown, reason::TRANSPORT, error.message()),
        (true, true) | (false, false) => error,
    }
}

/// Whether there was no connection, or it was gone before the call was sent, or the node said as it ended that it did
/// not look at it: `GOAWAY` names the last stream that it takes (RFC 9113, section 6.8).
fn never_taken(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
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
