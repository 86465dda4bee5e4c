//! Tower layers around the handler of one service.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::{error, fmt};

use tower::load_shed::error::Overloaded;
use tower::timeout::error::Elapsed;
use tower_layer::Layer;
use tower_service::Service;

use super::{Definition, ErasedHandler, HandlerFuture};
use crate::model::error::{BoxError, Error, Result, reason};
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
    /// checked. Its service is cloned for each call: `tower::buffer::BufferLayer` around a layer makes its
    /// service `Clone`. An [`Error`] that it returns, also as the cause of another error,
    /// is the error of the call. `tower::timeout` is `DEADLINE_EXCEEDED` / `HANDLER_TIMEOUT`, `tower::load_shed` is
    /// `RESOURCE_EXHAUSTED` / `OVERLOADED`, and any other error is `INTERNAL` / `HANDLER_FAILED`. The layers of a
    /// service run in the process of its handler.
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
    outcome.await.map_err(|error| of_layer(error.into()))
}

/// The error of a layer: those of tower's own layers have their kinds.
fn of_layer(error: BoxError) -> Error {
    if has_cause::<Elapsed>(&*error) {
        let message = "the service did not respond within the timeout of one of its layers";
        return Error::deadline_exceeded(reason::HANDLER_TIMEOUT, message).without_location();
    }
    if has_cause::<Overloaded>(&*error) {
        let message = "a layer of the service refused the call: the service is at its limit";
        return Error::resource_exhausted(reason::OVERLOADED, message).without_location();
    }
    Error::of_handler(error)
}

/// Whether an error, or one of its causes, is of this type. The causes of an error of this crate are those of its
/// handler, which no layer made.
fn has_cause<E: error::Error + 'static>(error: &(dyn error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause.filter(|error| !error.is::<Error>()) {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}
