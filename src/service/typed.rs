//! Services as types: a name, an input type, an output type and fields.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::error::Result;
use crate::model::service_options::ServiceOptions;
use crate::model::sio::Sio;
use crate::service::context::Context;
use crate::service::definition::Definition;
use crate::service::extract::Input;

/// A service as a type.
///
/// ```
/// use cidery::{Context, Result, Service};
///
/// struct Greet { greeting: String }
///
/// impl Service for Greet {
///     const NAME: &'static str = "demo.greet";
///     type Input = String;
///     type Output = String;
///
///     async fn handle(&self, _ctx: Context, name: String) -> Result<String> {
///         Ok(format!("{}, {name}", self.greeting))
///     }
/// }
/// ```
pub trait Service: Send + Sync + 'static {
    /// The name of the service.
    const NAME: &'static str;
    /// The input.
    type Input: DeserializeOwned + JsonSchema + Send + 'static;
    /// The output.
    type Output: Serialize + JsonSchema + Send + 'static;

    /// Handles one call.
    fn handle(
        &self,
        context: Context,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output>> + Send;

    /// Declarations beyond those of the types, such as a `response_elem`. Default: none.
    fn sio(&self) -> Sio {
        Sio::default()
    }

    /// The options of the service. Default: those of the node.
    fn options(&self) -> ServiceOptions {
        ServiceOptions::default()
    }

    /// The definition to register.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` where the name is invalid.
    fn define(self) -> Result<Definition>
    where
        Self: Sized,
    {
        let service = Arc::new(self);
        let (options, sio) = (service.options(), service.sio());
        let handler = move |context: Context, Input(input): Input<Self::Input>| {
            let service = Arc::clone(&service);
            async move { service.handle(context, input).await }
        };
        Ok(Definition::new(Self::NAME, handler)?
            .options(options)
            .sio(sio))
    }
}
