//! Finds the typed method at a path, for a caller.

use http::HeaderMap;
use tonic::Extensions;

use super::catalog::Catalog;
use super::unknown_method::refused_method;
use crate::codec::convert::DISPATCH_KEY;
use crate::codec::typed::MethodMatch;
use crate::edge::caller::on_behalf_of_caller;
use crate::engine::Invoker;
use crate::model::error::Result;
use crate::remote::worker_registry::WorkerRegistry;

/// Finds typed methods. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::edge) struct MethodFinder {
    invoker: Invoker,
    workers: WorkerRegistry,
    catalog: Catalog,
}

impl MethodFinder {
    pub(in crate::edge) fn new(
        invoker: Invoker,
        workers: WorkerRegistry,
        catalog: Catalog,
    ) -> Self {
        Self {
            invoker,
            workers,
            catalog,
        }
    }

    /// The method at a path, if the caller of the request may see it.
    ///
    /// # Errors
    ///
    /// `UNIMPLEMENTED` / `METHOD_UNKNOWN` and the errors of what a caller may not invoke; `DISPATCH_VOID`.
    pub(in crate::edge) async fn find(
        &self,
        path: &str,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<MethodMatch> {
        let invoker = on_behalf_of_caller(&self.invoker, extensions);
        // What a worker's handler may invoke is known by its dispatch.
        let dispatch = headers.get(DISPATCH_KEY);
        let dispatch = dispatch.map(|token| token.to_str().unwrap_or_default());
        let is_nested = dispatch.is_some();
        if let Some(token) = dispatch {
            self.workers.context(token, invoker.caller())?;
        }
        let may_invoke =
            |found: &MethodMatch| is_nested || invoker.sees_service(found.method.service.as_str());
        let found = self.catalog.method(path).await;
        if let Some(found) = found.filter(may_invoke) {
            return Ok(found);
        }
        let visible = self.catalog.visible_to(&invoker).await;
        let current = self.catalog.current().await;
        Err(refused_method(&current, &visible, &invoker, path))
    }
}
