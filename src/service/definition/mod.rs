//! The definition of a service: name, handler, declaration, options and hooks.

mod call;
mod layer;
mod options;

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;

pub use self::call::Admitted;
pub use self::layer::{HandlerRequest, HandlerService};
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::model::payload::{Payload, Reply};
use crate::model::service_options::ServiceOptions;
use crate::model::sio::Sio;
use crate::service::context::Context;
use crate::service::handler::Handler;
use crate::service::hooks::ErasedHooks;
use crate::service::platform::BoxFuture;
use crate::service::states::{Requirements, States};

/// The future of one call of a handler.
pub type HandlerFuture = BoxFuture<'static, Result<Reply>>;

type ErasedHandler = Arc<dyn Fn(Context, Payload) -> HandlerFuture + Send + Sync>;

/// The definition of a service: a handler with its name, declaration, options and hooks.
///
/// ```
/// use std::time::Duration;
///
/// use cidery::Definition;
///
/// async fn ping() -> &'static str { "pong" }
///
/// let service = Definition::new("ops.ping", ping)?
///     .description("Answers.")
///     .timeout(Duration::from_secs(1));
/// # Ok::<(), cidery::Error>(())
/// ```
#[derive(Clone)]
pub struct Definition {
    name: ServiceName,
    /// `None` where workers run the handler.
    handler: Option<ErasedHandler>,
    /// The type of the handler, by which typed calls find the name.
    handler_type: Option<TypeId>,
    requirements: Requirements,
    reads_input: bool,
    options: ServiceOptions,
    sio: Arc<Sio>,
    hooks: Vec<Arc<dyn ErasedHooks>>,
    demo: bool,
}

impl Definition {
    /// Defines a service: a name and a handler, whose types declare its input and output.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` where the name is invalid: see [`ServiceName`].
    pub fn new<H: Handler<Args>, Args>(name: &str, handler: H) -> Result<Self> {
        let requirements = handler.requires();
        let reads_input = handler.reads_input();
        let sio = Arc::new(handler.declares());
        Ok(Self {
            name: ServiceName::parse(name)?,
            handler: Some(Arc::new(move |context, input| {
                Box::pin(handler.call(context, input))
            })),
            handler_type: Some(TypeId::of::<H>()),
            requirements,
            reads_input,
            options: ServiceOptions::default(),
            sio,
            hooks: Vec::new(),
            demo: false,
        })
    }

    /// A service whose handler runs at workers: each dispatch needs a [`WorkerPermit`](crate::service::WorkerPermit).
    #[doc(hidden)]
    #[must_use]
    pub fn served_by_workers(name: ServiceName, sio: Sio, options: ServiceOptions) -> Self {
        Self {
            name,
            handler: None,
            handler_type: None,
            requirements: Requirements::default(),
            reads_input: false,
            options,
            sio: Arc::new(sio),
            hooks: Vec::new(),
            demo: false,
        }
    }

    /// The type of the handler; `None` where workers run it.
    pub(crate) fn handler_type(&self) -> Option<TypeId> {
        self.handler_type
    }

    /// Whether workers run its handler.
    pub(crate) fn is_served_by_workers(&self) -> bool {
        self.handler.is_none()
    }

    /// Whether it is a demo service.
    pub(crate) fn is_demo(&self) -> bool {
        self.demo
    }

    /// The same service under another name.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `REQUEST_INVALID` where the name is invalid.
    pub fn named(&self, name: &str) -> Result<Self> {
        Ok(Self {
            name: ServiceName::parse(name)?,
            ..self.clone()
        })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &ServiceName {
        &self.name
    }

    /// The declaration of its input and output.
    #[must_use]
    pub fn declaration(&self) -> &Arc<Sio> {
        &self.sio
    }

    /// Checks the declaration.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DECLARATION_INVALID` with all violations.
    #[doc(hidden)]
    pub fn prepared(mut self) -> Result<Self> {
        let sio = Arc::unwrap_or_clone(self.sio).prepared();
        let name = &self.name;
        self.sio = Arc::new(sio.map_err(|error| {
            let message = format!(
                "the declaration of `{name}` is invalid: {}",
                error.message()
            );
            error.with_message(message)
        })?);
        Ok(self)
    }

    /// The options.
    #[must_use]
    pub fn service_options(&self) -> &ServiceOptions {
        &self.options
    }

    /// The states that the handler requires.
    #[doc(hidden)]
    #[must_use]
    pub fn requirements(&self) -> &Requirements {
        &self.requirements
    }

    /// Checks that the node or worker that runs the handler has all required states.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STATE_MISSING`.
    pub(crate) fn check_states(&self, states: &States, of: &str) -> Result<()> {
        match self.requirements.missing(states).next() {
            None => Ok(()),
            Some(missing) => {
                let message = format!(
                    "service `{}` requires `State<{missing}>`, which the {of} does not have: add it with `.state(..)`",
                    self.name
                );
                Err(Error::failed_precondition(reason::STATE_MISSING, message))
            }
        }
    }

    /// Whether the handler decodes and thereby checks its input before it runs. Hooks would see the input earlier.
    #[doc(hidden)]
    #[must_use]
    pub fn reads_input(&self) -> bool {
        self.reads_input && self.hooks.is_empty()
    }

    /// The hooks, outermost first.
    #[doc(hidden)]
    #[must_use]
    pub fn own_hooks(&self) -> &[Arc<dyn ErasedHooks>] {
        &self.hooks
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition")
            .field("name", &self.name)
            .field("options", &self.options)
            .field("sio", &self.sio)
            .finish_non_exhaustive()
    }
}
