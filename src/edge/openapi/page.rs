//! The page that shows the services of a node, in one part: a browser asks for nothing else but the document.

use std::sync::LazyLock;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use sha2::{Digest as _, Sha256};

use crate::edge::page_headers::isolate;

/// The page, and the policy by which a browser runs nothing but its own script.
static PAGE: LazyLock<(Bytes, String)> = LazyLock::new(|| {
    let style = include_str!("page.css");
    let script = include_str!("page.js");
    let page = include_str!("page.html");
    let page = page
        .replace("{{style}}", style)
        .replace("{{script}}", script);
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(script),
        hash(style)
    );
    (page.into(), policy)
});

/// The page.
pub(in crate::edge) fn page() -> Response<Body> {
    let (page, policy) = &*PAGE;
    let mut response = Response::new(Body::from(page.clone()));
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        isolate(headers, policy);
    }
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The hash of a text, as a policy has it.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}
