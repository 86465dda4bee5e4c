//! Transport errors: whether a failed call reached the node. A call that was not processed is safe to retry.

use std::error::Error as _;

use tonic::{ConnectError, Response, Status};

use super::endpoint::{cause_of, connect_error};
use crate::codec::status::from_status;
use crate::model::error::{Error, Kind, reason};
use crate::model::sio::{IGNORED_KEY, Ignored};

/// Converts the status of a failed call. Where no connection could be made, it is `UNAVAILABLE` / `CONNECT_FAILED`;
/// where the peer does not speak HTTP/2, `FAILED_PRECONDITION` / `NOT_A_NODE`. Any other transport error is
/// `UNAVAILABLE` / `TRANSPORT` only where the node did not process the call; otherwise it is `UNKNOWN`, because a proxy
/// or a node that froze may have received the call.
pub(in crate::remote) fn error_from_status(status: &Status) -> Error {
    if let Some(error) = status.source().and_then(connect_error) {
        return error;
    }
    match connection_failure(status) {
        Some(ConnectionFailure::Refused(cause)) => {
            let message = format!("cannot connect to the node: {cause}");
            return Error::unavailable(reason::CONNECT_FAILED, message);
        }
        Some(ConnectionFailure::NotHttp2) => {
            let message = "the server at this address is not a Cidery node";
            return Error::failed_precondition(reason::NOT_A_NODE, message);
        }
        None => {}
    }
    let error = from_status(status);
    let is_unavailable = error.reason() == reason::TRANSPORT && error.kind() == Kind::Unavailable;
    match (not_processed(status), is_unavailable) {
        (true, false) => {
            let message = "the connection ended before the node processed the call";
            Error::unavailable(reason::TRANSPORT, message)
        }
        (false, true) => Error::new(Kind::Unknown, reason::TRANSPORT, error.message()),
        (true, true) | (false, false) => error,
    }
}

/// Why there is no connection to a node.
enum ConnectionFailure {
    /// With the error of the system.
    Refused(String),
    /// What the peer sends is not HTTP/2.
    NotHttp2,
}

fn connection_failure(status: &Status) -> Option<ConnectionFailure> {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return Some(ConnectionFailure::Refused(cause_of(error)));
        }
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            // An answer in HTTP/1 is read as a frame that is far too large.
            let is_no_frame = error.reason() == Some(h2::Reason::FRAME_SIZE_ERROR);
            let is_found_here = error.is_go_away() && error.is_library();
            return (is_no_frame && is_found_here).then_some(ConnectionFailure::NotHttp2);
        }
        cause = error.source();
    }
    None
}

/// Whether the node did not process the call: there was no connection, it closed before the request was sent, or the
/// node closed it with a `GOAWAY` whose last stream is an earlier one (RFC 9113, section 6.8).
fn not_processed(status: &Status) -> bool {
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
            let is_graceful = error.reason() == Some(h2::Reason::NO_ERROR);
            return error.is_go_away() && error.is_remote() && is_graceful;
        }
        cause = error.source();
    }
    false
}

/// Whether the connection failed, and not the call.
pub(in crate::remote) fn is_transport_error(error: &Error) -> bool {
    let is_broken = matches!(
        error.kind(),
        Kind::Unavailable | Kind::Unknown | Kind::Internal | Kind::Cancelled
    );
    is_broken && error.reason() == reason::TRANSPORT
}

/// The input keys that the node dropped, from the metadata of its response.
pub(in crate::remote) fn ignored_keys<T>(response: &Response<T>) -> Ignored {
    let names = response.metadata().get(IGNORED_KEY);
    let names = names.and_then(|names| names.to_str().ok());
    names.map(Ignored::from_text).unwrap_or_default()
}
