//! Which file answers a request, and its headers.

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    VARY,
};
use http::{Response, StatusCode};

use super::assets::Asset;
use crate::edge::compression::accepts_gzip;
use crate::edge::etag::is_match;
use crate::edge::page_headers::isolate;

/// Where the files are.
const PREFIX: &str = "/console/";
/// The scripts and styles of the node alone run in the page, and what a service answers is never markup: a script that
/// would make it so fails.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'",
);
/// A browser asks each time whether it has the newest one.
const REVALIDATED: &str = "no-cache";
/// The address changes with the content.
const KEPT: &str = "public, max-age=31536000, immutable";

/// What answers a request.
#[derive(Clone, Copy, Debug)]
pub(in crate::edge) struct Found {
    asset: &'static Asset,
    is_versioned: bool,
}

/// Finds what answers a request for a path. `is_page`: whether the caller asks for a page, as a browser does where
/// someone opens an address. Each path below `/console/` that cannot be a file is a screen of the console, whose script
/// reads the path; `/` is one only for browsers.
pub(in crate::edge) fn find(path: &str, is_page: bool) -> Option<Found> {
    let page = || {
        Some(Found {
            asset: Asset::index()?,
            is_versioned: false,
        })
    };
    match path.strip_prefix(PREFIX) {
        Some(name) => match Asset::at(name) {
            Some((asset, is_versioned)) => Some(Found {
                asset,
                is_versioned,
            }),
            None => (!Asset::is_name(name)).then(page)?,
        },
        None => is_page.then(page)?,
    }
}

/// Adds the headers that keep the console to itself, to whatever its paths answer.
pub(in crate::edge) fn isolate_console(headers: &mut HeaderMap) {
    isolate(headers, POLICY);
}

impl Found {
    /// The answer.
    pub(in crate::edge) fn respond(self, headers: &HeaderMap) -> Response<Body> {
        let Self {
            asset,
            is_versioned,
        } = self;
        let is_known = is_match(headers, asset.etag);
        let is_gzip =
            accepts_gzip(headers, &ACCEPT_ENCODING) && asset.gzip.len() < asset.plain.len();
        let content = match is_gzip {
            true => asset.gzip,
            false => asset.plain,
        };
        let mut response = Response::new(match is_known {
            true => Body::empty(),
            false => Body::from(Bytes::from_static(content)),
        });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, asset.content_type());
        headers.insert(ETAG, HeaderValue::from_static(asset.etag));
        let cache = HeaderValue::from_static(if is_versioned { KEPT } else { REVALIDATED });
        headers.insert(CACHE_CONTROL, cache);
        // The page depends on what the caller asks for.
        headers.insert(VARY, HeaderValue::from_static("accept-encoding, accept"));
        if is_gzip && !is_known {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_that_is_no_file_is_a_screen() {
        for (path, is_page, expected) in [
            ("/", true, Some("index.html")),
            ("/", false, None),
            ("/console", true, Some("index.html")),
            ("/console/", false, Some("index.html")),
            ("/console/index.html", false, Some("index.html")),
            ("/console/app.js", true, Some("app.js")),
            ("/console/services", false, Some("index.html")),
            ("/console/services/customer.get", true, Some("index.html")),
            ("/console/services/customer.get", false, Some("index.html")),
            ("/console/@0/app.js", false, Some("app.js")),
            ("/console/@0/other.js", false, None),
            ("/console/other.js", false, None),
            ("/console/other.js", true, None),
        ] {
            let found = find(path, is_page).map(|found| found.asset.path);
            assert_eq!(found, expected, "{path} {is_page}");
        }
    }
}
