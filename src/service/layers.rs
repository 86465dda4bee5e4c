//! Tower layers around all services of a node or a worker, which are kept until it starts.

use std::fmt;

use tower_layer::Layer;
use tower_service::Service;

use crate::model::error::BoxError;
use crate::model::payload::Reply;
use crate::service::definition::{HandlerRequest, HandlerService};
use crate::service::registry::Registry;

type Apply = Box<dyn FnOnce(Registry) -> Registry + Send + Sync>;

/// The layers, the innermost one first.
#[derive(Default)]
pub(crate) struct Layers(Vec<Apply>);

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layers").field(&self.0.len()).finish()
    }
}

impl Layers {
    pub(crate) fn add<L>(&mut self, layer: L)
    where
        L: Layer<HandlerService> + Send + Sync + 'static,
        L::Service: Service<HandlerRequest, Response = Reply> + Clone + Send + Sync + 'static,
        <L::Service as Service<HandlerRequest>>::Error: Into<BoxError>,
        <L::Service as Service<HandlerRequest>>::Future: Send,
    {
        self.0.push(Box::new(move |services| services.layer(layer)));
    }

    /// Wraps the handlers of services.
    pub(crate) fn apply(self, services: Registry) -> Registry {
        let layers = self.0.into_iter();
        layers.fold(services, |services, layer| layer(services))
    }
}
