//! Calls of a definition's handler: the input is checked before, the output after.

use std::sync::Arc;

use super::{Definition, HandlerFuture};
use crate::codec::{payload, sio as io};
use crate::model::error::{Error, Result, reason};
use crate::model::payload::{Format, Payload, Reply};
use crate::model::sio::{Ignored, Sio};
use crate::service::context::Context;
use crate::service::hooks::ErasedHooks;
use crate::service::output::output_invalid;

/// An input that was admitted: the form that the handler gets, and what was dropped on the way.
#[derive(Debug)]
pub struct Admitted {
    /// What the handler gets.
    pub input: Payload,
    /// The keys that were dropped.
    pub ignored: Ignored,
}

impl Definition {
    /// The same service for whoever runs its handler for a node: the node checks what it answers, and wraps it. Where
    /// there are hooks that is done twice: they see what they see in a node.
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

    /// What the node is to be told of a reply that is wrapped already, since hooks saw it: the node wraps it again.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `OUTPUT_INVALID` where hooks put something there that cannot be read.
    pub(crate) fn strip_response_elem(&self, reply: Reply) -> Result<Reply> {
        if self.sio.response_elem.is_none() {
            return Ok(reply);
        }
        let Reply { payload, metadata } = reply;
        let response = payload::decode(payload).map_err(output_invalid)?;
        let payload = Payload::Value(self.sio.strip_response_elem(response));
        Ok(Reply { payload, metadata })
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
        self.call_with(context, input, |context, input| match &self.handler {
            Some(handler) => handler(context, input),
            None => {
                let message = format!("no worker runs `{}`", context.service());
                let error = Error::unavailable(reason::NO_WORKER, message);
                Box::pin(std::future::ready(Err(error)))
            }
        })
    }

    /// As [`call`](Self::call), with another handler: that of a worker.
    pub(crate) fn call_with(
        &self,
        context: Context,
        input: Payload,
        handler: impl FnOnce(Context, Payload) -> HandlerFuture,
    ) -> HandlerFuture {
        let sio = &self.sio;
        let hides = sio.input.is_some() && sio.has_secrets();
        if sio.output.is_none() && sio.response_elem.is_none() && !hides {
            return handler(context, input);
        }
        let platform = Arc::clone(context.platform());
        let future = handler(context, input);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dict;
    use crate::model::sio::Int;
    use crate::model::value::Value;

    /// Hooks of a worker see the wrapped response; its node wraps again what the worker sends.
    #[test]
    fn workers_and_documents_strip_the_response_elem_by_one_rule() {
        let sio = Sio::new().output(Int("n")).response_elem("out");
        let definition = Definition::new("s", async || dict! {}).unwrap().sio(sio);
        let output = Value::from(dict! { "n": 1 });
        let beside = dict! { "out": output.clone(), "added by a hook": true };
        for (response, stripped) in [
            (dict! { "out": output.clone() }, output.clone()),
            (beside, output.clone()),
            (dict! { "n": 1 }, output.clone()),
        ] {
            let payload = Payload::from(response.clone());
            let reply = definition.strip_response_elem(payload.clone().into());
            let at_worker = payload::decode(reply.unwrap().payload).unwrap();
            assert_eq!(at_worker, stripped, "{response:?}");
            let read = io::read_output(definition.declaration(), payload.clone()).unwrap();
            let at_node = payload::decode(read).unwrap();
            assert_eq!(at_node, dict! { "out": stripped }.into(), "{response:?}");
            let csv = definition.write(payload, Format::Csv).unwrap();
            let rows = payload::decode(csv).unwrap();
            assert_eq!(rows[0]["n"], Value::from("1"), "{response:?}");
        }
    }
}
