//! A request that has a caller, as the paths see it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Uri;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use tonic::Extensions;
use tonic::metadata::MetadataMap;

use super::body::{Received, read};
use super::problem::Problem;
use super::query::invalid;
use super::route::Route;
use crate::codec::convert::parse_required_cid;
use crate::edge::connection::Connection;
use crate::edge::credential_end::CredentialEnd;
use crate::engine::Invoker;
use crate::model::error::Result;
use crate::model::id::Cid;

/// Who makes a request.
pub(super) struct Peer {
    /// The engine, for the caller.
    pub(super) invoker: Invoker,
    pub(super) connection: Arc<Connection>,
}

/// A request, and who makes it.
pub(super) struct HttpRequest {
    pub(super) peer: Peer,
    pub(super) parts: Parts,
    pub(super) body: Body,
    /// When a request that waits ends because of its credential, and its stream.
    pub(super) credential_end: Option<CredentialEnd>,
}

impl HttpRequest {
    /// The name in the path.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` where it is not UTF-8.
    pub(super) fn name(&self) -> Result<String> {
        let decoded = percent_decode_str(name_of(&self.parts.uri)).decode_utf8();
        let decoded = decoded.map_err(|_| invalid("path", "NOT_UTF8", "is not UTF-8"))?;
        Ok(decoded.into_owned())
    }

    /// The CID in the path.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `CID_INVALID`.
    pub(super) fn cid(&self) -> Result<Cid> {
        parse_required_cid("cid", &self.name()?)
    }

    /// Reads the whole body.
    ///
    /// # Errors
    ///
    /// 413 where it is too large; the errors of the transport; `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT`.
    pub(super) async fn read_body(&mut self) -> Result<Received, Problem> {
        let limit = self.peer.invoker.limits().message_bytes;
        let length = self.parts.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let body = std::mem::take(&mut self.body);
        read(body, length, limit, &self.peer.connection).await
    }

    /// A request of gRPC from the same caller, with a timeout.
    pub(super) fn to_grpc<M>(&self, message: M) -> tonic::Request<M> {
        let mut extensions = Extensions::new();
        extensions.insert(self.peer.invoker.caller().clone());
        extensions.insert(Arc::clone(&self.peer.connection));
        tonic::Request::from_parts(MetadataMap::new(), extensions, message)
    }
}

/// What stands in the path of a request for its name, still escaped; empty where nothing does.
pub(super) fn name_of(uri: &Uri) -> &str {
    Route::of(uri.path()).map_or("", |(_, name)| name)
}

/// How long a caller waits at most where it asks to wait: longer than any proxy keeps a connection without an answer.
pub(super) const MAX_WAIT: Duration = Duration::from_hours(1);
