//! What describes a node to people and tools over plain HTTP: an OpenAPI document, and a page that shows it.

mod page;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use sha2::{Digest as _, Sha256};

pub(in crate::edge) use self::page::page;
use crate::codec::openapi::{Documented, document};
use crate::edge::etag::is_match;
use crate::engine::Invoker;
use crate::model::error::{Error, Result, reason};

/// A document as it is answered.
#[derive(Debug)]
pub(in crate::edge) struct Described {
    /// The document; empty where the caller has it already.
    pub(in crate::edge) text: Bytes,
    etag: String,
    is_known: bool,
}

impl Described {
    /// The document of the services that the caller of an invoker may invoke.
    ///
    /// # Errors
    ///
    /// `UNAUTHENTICATED` / `CREDENTIAL_REQUIRED`; `INTERNAL` where it cannot be written.
    pub(in crate::edge) async fn new(invoker: &Invoker, headers: &HeaderMap) -> Result<Self> {
        invoker.check_authenticated()?;
        let services = invoker.services();
        let asks_who_calls = invoker.requires_authentication();
        // Thousands of services take a while.
        let made = invoker.tasks().compute(move || {
            let documented = services.iter().map(|service| Documented {
                name: service.definition.name().as_str(),
                description: &service.effective.description,
                sio: service.definition.declaration(),
            });
            let text = document(documented, asks_who_calls)?;
            let etag = Sha256::digest(&text);
            let etag: String = etag
                .iter()
                .take(16)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            Ok((Bytes::from(text), format!("\"{etag}\"")))
        });
        let stopped = || Error::unavailable(reason::NODE_STOPPING, "the node is stopping");
        let (text, etag) = made.await.unwrap_or_else(|| Err(stopped()))?;
        let is_known = is_match(headers, &etag);
        Ok(Self {
            text: if is_known { Bytes::new() } else { text },
            etag,
            is_known,
        })
    }

    /// The answer with a body that was made of the text.
    pub(in crate::edge) fn respond(&self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        if self.is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        if let Ok(etag) = HeaderValue::try_from(&self.etag) {
            headers.insert(ETAG, etag);
        }
        for (name, value) in [
            (CONTENT_TYPE, "application/json"),
            // It is that of one caller, and services come and go.
            (CACHE_CONTROL, "private, no-cache"),
            (VARY, "authorization"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
