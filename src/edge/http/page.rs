//! `/` and `/console/…`: the page and the files of the console.

use axum::body::Body;
#[cfg(feature = "console")]
use http::Response;
use http::{HeaderMap, Request};

#[cfg(feature = "console")]
use super::accept::prefers;
#[cfg(feature = "console")]
use crate::edge::console::{Found, find, isolate_console};

/// Whether the console has anything at the path of a request. `/` is a page for browsers; to other clients it is an
/// unknown path.
#[cfg(feature = "console")]
pub(super) fn is_there(request: &Request<Body>) -> bool {
    found(request).is_some()
}

/// The page, or a file.
#[cfg(feature = "console")]
pub(super) fn answer(request: &Request<Body>) -> Response<Body> {
    let found = found(request).map(|found| found.respond(request.headers()));
    found.unwrap_or_default()
}

#[cfg(feature = "console")]
fn found(request: &Request<Body>) -> Option<Found> {
    let headers = request.headers();
    let is_page = prefers(headers, ("text", "html"), ("application", "json"));
    find(request.uri().path(), is_page)
}

/// Adds the headers that keep the console to itself.
#[cfg(feature = "console")]
pub(super) fn isolate(headers: &mut HeaderMap) {
    isolate_console(headers);
}

#[cfg(not(feature = "console"))]
pub(super) fn is_there(_: &Request<Body>) -> bool {
    false
}

#[cfg(not(feature = "console"))]
pub(super) fn isolate(_: &mut HeaderMap) {}
