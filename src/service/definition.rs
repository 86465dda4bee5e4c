//! A service as it is registered: its name, its handler, its declaration, its options, its hooks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::codec::{payload, sio as io};
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::model::invocation::RetryPolicy;
use crate::model::payload::{Format, Payload, Reply};
use crate::model::service_options::ServiceOptions;
use crate::model::sio::{Ignored, Sio};
use crate::model::value::Value;
use crate::service::context::Context;
use crate::service::extract::{Requirements, States};
use crate::service::handler::Handler;
use crate::service::hooks::{ErasedHooks, Hooks};
use crate::service::output::output_invalid;
use crate::service::platform::BoxFuture;

/// The future of one call of a handler.
pub type HandlerFuture = BoxFuture<'static, Result<Reply>>;

type ErasedHandler = Arc<dyn Fn(Context, Payload) -> HandlerFuture + Send + Sync>;

/// A service: a handler with everything around it.
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
    handler: ErasedHandler,
    requirements: Requirements,
    reads_input: bool,
    options: ServiceOptions,
    sio: Arc<Sio>,
    hooks: Vec<Arc<dyn ErasedHooks>>,
    demo: bool,
}

/// An input that was admitted: the form that the handler gets, and what was dropped on the way.
#[derive(Debug)]
pub struct Admitted {
    /// What the handler gets.
    pub input: Payload,
    /// The keys that were dropped.
    pub ignored: Ignored,
}

impl Definition {
    /// Defines a service.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` where the name is none.
    pub fn new<Args>(name: &str, handler: impl Handler<Args>) -> Result<Self> {
        let requirements = handler.requires();
        let reads_input = handler.reads_input();
        let sio = Arc::new(handler.declares());
        Ok(Self {
            name: ServiceName::parse(name)?,
            handler: Arc::new(move |context, input| Box::pin(handler.call(context, input))),
            requirements,
            reads_input,
            options: ServiceOptions::default(),
            sio,
            hooks: Vec::new(),
            demo: false,
        })
    }

    /// A service that is handled elsewhere, in the [`WorkerPermit`](crate::service::WorkerPermit) that each dispatch of
    /// it has.
    #[must_use]
    pub fn elsewhere(name: ServiceName, sio: Sio, options: ServiceOptions) -> Self {
        Self {
            name,
            handler: Arc::new(|context, input| match context.platform().seat() {
                Some(seat) => seat.dispatch(context, input),
                None => {
                    let message = format!(
                        "`{}` is handled elsewhere, and nowhere now",
                        context.service()
                    );
                    let error = Error::unavailable(reason::NO_WORKER, message);
                    Box::pin(std::future::ready(Err(error)))
                }
            }),
            requirements: Requirements::default(),
            reads_input: false,
            options,
            sio: Arc::new(sio),
            hooks: Vec::new(),
            demo: false,
        }
    }

    /// The same service for whoever runs its handler for a node: the node checks what it answers, and wraps it. Where
    /// there are hooks that is done twice: they see what they see in a node.
    #[must_use]
    pub(crate) fn for_a_node(self, hooks: &[Arc<dyn ErasedHooks>]) -> Self {
        if !(hooks.is_empty() && self.hooks.is_empty()) {
            return self;
        }
        let mut sio = Sio::clone(&self.sio);
        sio.output = None;
        sio.response_elem = None;
        Self {
            sio: Arc::new(sio),
            ..self
        }
    }

    /// What the node is to be told of a reply that is wrapped already, since hooks saw it: the node wraps it again.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `OUTPUT_INVALID` where hooks put something there that cannot be read.
    pub(crate) fn unwrap(&self, reply: Reply) -> Result<Reply> {
        let Some(key) = &self.sio.response_elem else {
            return Ok(reply);
        };
        let Reply { payload, metadata } = reply;
        let mut output = payload::decode(payload).map_err(output_invalid)?;
        if let Value::Dict(dict) = &mut output
            && dict.len() == 1
            && let Some(inner) = dict.remove(key)
        {
            output = inner;
        }
        let payload = Payload::Value(output);
        Ok(Reply { payload, metadata })
    }

    /// Says that it is there to play with: a worker that serves one of this name takes its place.
    #[must_use]
    pub(crate) fn demo(mut self) -> Self {
        self.demo = true;
        self
    }

    /// Whether it is there to play with.
    pub(crate) fn is_demo(&self) -> bool {
        self.demo
    }

    /// The same service under another name.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` where the name is none.
    pub fn named(&self, name: &str) -> Result<Self> {
        Ok(Self {
            name: ServiceName::parse(name)?,
            ..self.clone()
        })
    }

    /// Sets all options at once.
    #[must_use]
    pub fn options(mut self, options: ServiceOptions) -> Self {
        self.options = options;
        self
    }

    /// Says what it does, in a sentence.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.options.description = description.into();
        self
    }

    /// Says that it may run twice for one call.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.options.idempotent = true;
        self
    }

    /// How long a synchronous call may last. Default: 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// How long an attempt of an asynchronous invocation may last since its last sign of life. Default: 15 min.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.options.attempt_timeout = Some(timeout);
        self
    }

    /// How failed attempts are repeated. Default: [`RetryPolicy::default`].
    #[must_use]
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.options.retry_policy = Some(policy);
        self
    }

    /// How many handlers run at once, at least 1. Default: 256.
    #[must_use]
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.options.concurrency = Some(handlers);
        self
    }

    /// How many synchronous calls wait for a handler. Default: 1 024.
    #[must_use]
    pub fn queue_length(mut self, calls: usize) -> Self {
        self.options.queue_length = Some(calls);
        self
    }

    /// How long outcomes are kept. Default: 24 h.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.options.retention = Some(retention);
        self
    }

    /// Declares its input and output. What is left open in it stays as the handler's types declare it.
    #[must_use]
    pub fn sio(mut self, mut sio: Sio) -> Self {
        let of_types = Arc::unwrap_or_clone(self.sio);
        sio.input = sio.input.or(of_types.input);
        sio.output = sio.output.or(of_types.output);
        sio.response_elem = sio.response_elem.or(of_types.response_elem);
        self.sio = Arc::new(sio);
        self
    }

    /// Wraps every response: `{"my_response_elem": ..}`.
    #[must_use]
    pub fn response_elem(mut self, key: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.sio).response_elem = Some(key.into());
        self
    }

    /// Adds hooks. Those added first run outermost.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks.push(Arc::new(hooks));
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &ServiceName {
        &self.name
    }

    /// The declaration.
    #[must_use]
    pub fn declaration(&self) -> &Arc<Sio> {
        &self.sio
    }

    /// Checks the declaration.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `DECLARATION_INVALID` with everything that is wrong with it.
    pub fn prepared(mut self) -> Result<Self> {
        let sio = Arc::unwrap_or_clone(self.sio).prepared();
        let name = &self.name;
        self.sio = Arc::new(sio.map_err(|error| {
            let message = format!("the declaration of `{name}` is wrong: {}", error.message());
            error.with_message(message)
        })?);
        Ok(self)
    }

    /// The options.
    #[must_use]
    pub fn service_options(&self) -> &ServiceOptions {
        &self.options
    }

    /// The states that the handler asks for.
    #[must_use]
    pub fn requirements(&self) -> &Requirements {
        &self.requirements
    }

    /// Checks that whoever runs the handler, a node or a worker, has the states that it asks for.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `STATE_MISSING`.
    pub(crate) fn check_states(&self, states: &States, of: &str) -> Result<()> {
        match self.requirements.missing(states).next() {
            None => Ok(()),
            Some(missing) => {
                let message = format!(
                    "service `{}` asks for `State<{missing}>`, which the {of} does not have: add it with `.state(..)`",
                    self.name
                );
                Err(Error::failed_precondition(reason::STATE_MISSING, message))
            }
        }
    }

    /// Whether the handler decodes its input before it runs, and so checks it. Hooks see it before.
    #[must_use]
    pub fn reads_input(&self) -> bool {
        self.reads_input && self.hooks.is_empty()
    }

    /// The hooks, outermost first.
    #[must_use]
    pub fn all_hooks(&self) -> &[Arc<dyn ErasedHooks>] {
        &self.hooks
    }

    /// Reads an input and checks it against the declaration, before a handler gets it. Where nothing is declared and
    /// the handler does not read it, it is scanned alone and goes on as it is.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `INPUT_INVALID` with all violations; `VALUE_INVALID` or `DOCUMENT_MALFORMED`.
    pub fn admit(&self, input: Payload) -> Result<Admitted> {
        let is_csv = matches!(input, Payload::Document(_, Format::Csv));
        if self.sio.input.is_some() || is_csv {
            let checked = io::read_input(&self.sio, input)?;
            return Ok(Admitted {
                input: Payload::Value(checked.value),
                ignored: checked.ignored,
            });
        }
        if !self.reads_input() {
            payload::scan(&input)?;
        }
        let ignored = Ignored::default();
        Ok(Admitted { input, ignored })
    }

    /// Writes a response in the format that is asked for.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `FORMAT_INVALID` where the format has no form for it.
    pub fn write(&self, output: Payload, format: Format) -> Result<Payload> {
        io::write_output(&self.sio, output, format)
    }

    /// Calls the handler, checks what it answers and wraps it: the future does nothing before it is polled, save for
    /// extracting the arguments.
    #[must_use]
    pub fn call(&self, context: Context, input: Payload) -> HandlerFuture {
        let sio = &self.sio;
        let hides = sio.input.is_some() && sio.has_secrets();
        if sio.output.is_none() && sio.response_elem.is_none() && !hides {
            return (self.handler)(context, input);
        }
        let platform = Arc::clone(context.platform());
        let future = (self.handler)(context, input);
        let sio = Arc::clone(sio);
        Box::pin(async move {
            let reply = future.await.map_err(|error| match hides {
                true => io::redacted(&sio, error),
                false => error,
            })?;
            match platform.answers_later() {
                Some(_) => Ok(reply),
                None => check_output(&sio, reply),
            }
        })
    }

    /// Checks a response against the declaration, and wraps it where that says so.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `OUTPUT_INVALID` with all violations.
    pub fn check_output(&self, reply: Reply) -> Result<Reply> {
        if self.sio.output.is_none() && self.sio.response_elem.is_none() {
            payload::scan(&reply.payload).map_err(output_invalid)?;
            return Ok(reply);
        }
        check_output(&self.sio, reply)
    }
}

fn check_output(sio: &Sio, reply: Reply) -> Result<Reply> {
    let Reply { payload, metadata } = reply;
    let payload = io::check_output(sio, payload).map_err(|error| match error.reason() {
        reason::OUTPUT_INVALID => error,
        // What cannot be read at all.
        _ => output_invalid(error),
    })?;
    Ok(Reply { payload, metadata })
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
