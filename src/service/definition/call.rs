//! Calls of a service's handler, with checks of the input before and of the output after.

use std::sync::Arc;

use super::{Definition, HandlerFuture};
use crate::codec::{payload, sio as io};
use crate::model::error::{Error, Result, reason};
use crate::model::payload::{Format, Payload, Reply};
use crate::model::sio::{Ignored, Sio};
use crate::service::context::Context;
use crate::service::hooks::ErasedHooks;
use crate::service::output::output_invalid;

/// An input that passed the checks, with the keys that were dropped.
#[derive(Debug)]
pub struct Admitted {
    /// The input in the form that the handler receives.
    pub input: Payload,
    /// The keys that were dropped.
    pub ignored: Ignored,
}

impl Definition {
    /// The definition for a worker, where the node checks and wraps the output. With hooks the worker does both as
    /// well, so that hooks see the same response as in a node.
    #[must_use]
    pub(crate) fn without_output_checks(self, hooks: &[Arc<dyn ErasedHooks>]) -> Self {
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

    /// Strips `response_elem` from a reply that was wrapped for hooks of a worker: its node wraps the reply again.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `OUTPUT_INVALID` where a hook replaced the response with a malformed payload.
    pub(crate) fn strip_response_elem(&self, reply: Reply) -> Result<Reply> {
        if self.sio.response_elem.is_none() {
            return Ok(reply);
        }
        let Reply { payload, metadata } = reply;
        let response = payload::decode(payload).map_err(output_invalid)?;
        let payload = Payload::Value(self.sio.strip_response_elem(response));
        Ok(Reply { payload, metadata })
    }

    /// Decodes an input and checks it against the declaration. Without a declaration, an input that the handler does
    /// not decode is scanned and passed on unchanged.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `INPUT_INVALID` with all violations; `VALUE_INVALID` or `DOCUMENT_MALFORMED`.
    #[doc(hidden)]
    pub fn admit(&self, input: Payload) -> Result<Admitted> {
        // What has texts only is decoded here: in one place, for handlers in every language.
        let is_untyped = matches!(input, Payload::Document(_, Format::Csv | Format::Form));
        if self.sio.input.is_some() || is_untyped {
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

    /// Encodes a response in the requested format.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `FORMAT_INVALID` where the format cannot represent it.
    #[doc(hidden)]
    pub fn write(&self, output: Payload, format: Format) -> Result<Payload> {
        io::write_output(&self.sio, output, format)
    }

    /// Calls the handler, checks its output and wraps it. The arguments are extracted immediately; everything else
    /// happens when the future is polled.
    #[doc(hidden)]
    #[must_use]
    pub fn call(&self, context: Context, input: Payload) -> HandlerFuture {
        let handler = |context: Context, input| match &self.handler {
            Some(handler) => handler(context, input),
            None => {
                let message = format!("no worker serves `{}`", context.service());
                let error = Error::unavailable(reason::NO_WORKER, message);
                Box::pin(std::future::ready(Err(error)))
            }
        };
        self.call_with(context, input, handler, |_| ())
    }

    /// Like [`call`](Self::call), with the handler of a worker in place of its own. `on_invalid` is called with the
    /// error of a response that violates the declaration.
    pub(crate) fn call_with(
        &self,
        context: Context,
        input: Payload,
        handler: impl FnOnce(Context, Payload) -> HandlerFuture,
        on_invalid: impl FnOnce(&Error) + Send + 'static,
    ) -> HandlerFuture {
        let sio = &self.sio;
        let redacts = sio.input.is_some() && sio.has_secrets();
        if sio.output.is_none() && sio.response_elem.is_none() && !redacts {
            return handler(context, input);
        }
        let platform = Arc::clone(context.platform());
        let future = handler(context, input);
        let sio = Arc::clone(sio);
        Box::pin(async move {
            let reply = future.await.map_err(|error| match redacts {
                true => io::redacted(&sio, error),
                false => error,
            })?;
            match platform.answers_later() {
                Some(_) => Ok(reply),
                None => check_output(&sio, reply).inspect_err(on_invalid),
            }
        })
    }

    /// Checks a response against the declaration and wraps it in `response_elem`, if one is declared.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `OUTPUT_INVALID` with all violations.
    #[doc(hidden)]
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
        // The output is malformed.
        _ => output_invalid(error),
    })?;
    Ok(Reply { payload, metadata })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;
    use crate::model::sio::Int;
    use crate::model::value::Value;

    /// Hooks of a worker see the wrapped response, and its node wraps the result of the worker again.
    #[test]
    fn workers_and_documents_strip_the_response_elem_by_one_rule() {
        let sio = Sio::new().output(Int("n")).response_elem("out");
        let definition = Definition::new("s", async || dict! {}).unwrap().sio(sio);
        let output = Value::from(dict! { "n": 1 });
        let beside = dict! { "out": output.clone(), "added by a hook": true };
        for response in [dict! { "out": output.clone() }, beside, dict! { "n": 1 }] {
            let payload = Payload::from(response.clone());
            let reply = definition.strip_response_elem(payload.clone().into());
            let at_worker = payload::decode(reply.unwrap().payload).unwrap();
            assert_eq!(at_worker, output, "{response:?}");
            let read = io::read_output(definition.declaration(), payload.clone()).unwrap();
            let at_node = payload::decode(read).unwrap();
            assert_eq!(
                at_node,
                dict! { "out": output.clone() }.into(),
                "{response:?}"
            );
            let csv = definition.write(payload, Format::Csv).unwrap();
            let rows = payload::decode(csv).unwrap();
            assert_eq!(rows[0]["n"], Value::from("1"), "{response:?}");
        }
    }
}
