//! What describes a node to people and tools over plain HTTP: an OpenAPI document, and a page that shows it.

mod documents;
mod page;

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

pub(in crate::edge) use self::documents::Documents;
pub(in crate::edge) use self::page::page;
use crate::edge::etag::is_match;
use crate::engine::Invoker;
use crate::model::error::Result;

/// A document as it is answered.
#[derive(Debug)]
pub(in crate::edge) struct Described {
    /// The document; empty where the caller has it already.
    pub(in crate::edge) text: Bytes,
    etag: Arc<str>,
    is_known: bool,
}

impl Described {
    /// The document of the services that the caller of an invoker may invoke.
    ///
    /// # Errors
    ///
    /// `UNAUTHENTICATED` / `CREDENTIAL_REQUIRED`; those of [`Documents::get`].
    pub(in crate::edge) async fn new(
        documents: &Documents,
        invoker: &Invoker,
        headers: &HeaderMap,
    ) -> Result<Self> {
        invoker.check_authenticated()?;
        let document = documents.get(invoker).await?;
        let is_known = is_match(headers, &document.etag);
        Ok(Self {
            text: if is_known {
                Bytes::new()
            } else {
                document.text
            },
            etag: document.etag,
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
        if let Ok(etag) = HeaderValue::try_from(&*self.etag) {
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
