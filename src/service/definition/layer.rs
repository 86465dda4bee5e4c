//! Tower layers around the handler of one service.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::{Definition, ErasedHandler, HandlerFuture};
use crate::model::error::{BoxError, Error, Result};
use crate::model::payload::{Payload, Reply};
use crate::service::context::Context;

/// The request of a handler, as tower layers see it.
#[derive(Clone, Debug)]
pub struct HandlerRequest {
    /// The context.
    pub context: Context,
    /// The input, after its check against the declaration.
    pub input: Payload,
}

/// A handler as a tower service, which layers wrap. It is always ready.
#[derive(Clone)]
pub struct HandlerService(ErasedHandler);

impl fmt::Debug for HandlerService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandlerService")
    }
}

impl Service<HandlerRequest> for HandlerService {
    type Response = Reply;
    type Error = Error;
    type Future = HandlerFuture;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HandlerRequest) -> HandlerFuture {
        (self.0)(request.context, request.input)
    }
}

impl Definition {
    /// Wraps the handler in a tower layer. The layer that is added last is the outermost; hooks are outside of all
    /// layers.
    ///
    /// A layer sees the input as the handler gets it, before its arguments are extracted, and a reply before it is
    /// checked. Its service is cloned for each call. An [`Error`] that it returns, also as the cause of another error,
    /// is the error of the call; any other error is `INTERNAL` / `HANDLER_FAILED`. The layers of a service run in the
    /// process of its handler.
    ///
    /// ```
    /// use std::task::{Context as TaskContext, Poll};
    ///
    /// use cidery::{Definition, HandlerRequest, HandlerService};
    /// use tower_layer::layer_fn;
    /// use tower_service::Service;
    ///
    /// /// Logs each call.
    /// #[derive(Clone)]
    /// struct Log(HandlerService);
    ///
    /// impl Service<HandlerRequest> for Log {
    ///     type Response = cidery::Reply;
    ///     type Error = cidery::Error;
    ///     type Future = <HandlerService as Service<HandlerRequest>>::Future;
    ///
    ///     fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<cidery::Result<()>> {
    ///         self.0.poll_ready(cx)
    ///     }
    ///
    ///     fn call(&mut self, request: HandlerRequest) -> Self::Future {
    ///         tracing::info!(service = %request.context.service(), "called");
    ///         self.0.call(request)
    ///     }
    /// }
    ///
    /// let service = Definition::new("ops.ping", async || "pong")?.layer(layer_fn(Log));
    /// # Ok::<(), cidery::Error>(())
    /// ```
    #[must_use]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService>,
        L::Service: Service<HandlerRequest, Response = Reply> + Clone + Send + Sync + 'static,
        <L::Service as Service<HandlerRequest>>::Error: Into<BoxError>,
        <L::Service as Service<HandlerRequest>>::Future: Send,
    {
        if let Some(handler) = self.handler.take() {
            let service = layer.layer(HandlerService(handler));
            self.handler = Some(Arc::new(move |context, input| {
                let request = HandlerRequest { context, input };
                Box::pin(call(service.clone(), request))
            }));
            // Layers would see an input that no one has checked.
            self.reads_input = false;
        }
        self
    }
}

async fn call<S>(mut service: S, request: HandlerRequest) -> Result<Reply>
where
    S: Service<HandlerRequest, Response = Reply>,
    S::Error: Into<BoxError>,
{
    let outcome = async {
        poll_fn(|cx| service.poll_ready(cx)).await?;
        service.call(request).await
    };
    outcome
        .await
        .map_err(|error| Error::of_handler(error.into()))
}
