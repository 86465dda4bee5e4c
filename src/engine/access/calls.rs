//! Whether a caller may make a call: it needs the right to invoke the service, and every service that gets the outcome.

use super::refusal::{Right, identity, not_permitted};
use crate::model::access::{Caller, Identity, Rights};
use crate::model::batch::Batch;
use crate::model::call::Call;
use crate::model::error::{Error, Result, Violation};
use crate::model::id::truncated;

/// The most refused names that are collected: an error shows fewer.
const MAX_REFUSED: usize = 100;

/// Whether a caller may make a call.
///
/// # Errors
///
/// `PERMISSION_DENIED` / `NOT_PERMITTED` with all services that it may not invoke, whether or not they exist;
/// `UNAUTHENTICATED` / `CREDENTIAL_REQUIRED`.
#[inline]
pub(in crate::engine) fn check_call(caller: &Caller, call: &Call) -> Result<()> {
    match caller {
        Caller::Trusted => Ok(()),
        Caller::Unauthenticated | Caller::Authenticated(_) => {
            check(caller, &call.service, |it| it.call("", call))
        }
    }
}

/// Whether a caller may make all calls of a batch.
///
/// # Errors
///
/// As for [`check_call`].
pub(in crate::engine) fn check_batch(caller: &Caller, batch: &Batch) -> Result<()> {
    let first = batch.calls.first();
    check(caller, first.map_or("", |call| &call.service), |it| {
        if first.is_none() && it.rights.invoke.is_empty() {
            // Whoever may invoke nothing has no group either.
            it.one("", "/requests", "");
        }
        for (position, call) in batch.calls.iter().enumerate() {
            it.call(&format!("/requests/{position}"), call);
        }
        it.each("/on_each", &batch.on_each);
        it.each("/on_final", &batch.on_final);
    })
}

/// Whether a caller may invoke a service.
///
/// # Errors
///
/// As for [`check_call`].
pub(in crate::engine) fn check_service(caller: &Caller, service: &str) -> Result<()> {
    check(caller, service, |it| it.one("", "/service", service))
}

/// Whether a caller may serve services as a worker.
///
/// # Errors
///
/// As for [`check_call`].
pub(in crate::engine) fn check_serve<'a>(
    caller: &Caller,
    services: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let Some(identity) = identity(caller, "a worker")? else {
        return Ok(());
    };
    let mut refused = Refused::new(identity, Right::Serve);
    for (index, service) in services.enumerate() {
        refused.one(&format!("/services/{index}"), "/name", service);
    }
    refused.into_result(caller)
}

fn check(caller: &Caller, what: &str, look: impl FnOnce(&mut Refused<'_>)) -> Result<()> {
    let Some(identity) = identity(caller, what)? else {
        return Ok(());
    };
    let mut refused = Refused::new(identity, Right::Invoke);
    look(&mut refused);
    refused.into_result(caller)
}

/// The services that a caller may not invoke, or serve.
struct Refused<'a> {
    rights: &'a Rights,
    right: Right,
    first: Option<String>,
    violations: Vec<Violation>,
}

impl<'a> Refused<'a> {
    fn new(identity: &'a Identity, right: Right) -> Self {
        Self {
            rights: &identity.rights,
            right,
            first: None,
            violations: Vec::new(),
        }
    }

    fn call(&mut self, path: &str, call: &Call) {
        self.one(path, "/service", &call.service);
        if let Some(options) = call.durable.as_deref() {
            self.each(&format!("{path}/callbacks"), &options.callbacks);
            self.each(
                &format!("{path}/failure_callbacks"),
                &options.failure_callbacks,
            );
        }
    }

    fn each(&mut self, path: &str, services: &[String]) {
        for (index, service) in services.iter().enumerate() {
            self.one(path, &format!("/{index}"), service);
        }
    }

    fn one(&mut self, path: &str, field: &str, service: &str) {
        let (is_allowed, verb) = match self.right {
            Right::Serve => (self.rights.may_serve(service), "serve"),
            _ => (self.rights.may_invoke(service), "invoke"),
        };
        if is_allowed || self.violations.len() >= MAX_REFUSED {
            return;
        }
        self.first.get_or_insert_with(|| service.to_owned());
        let message = format!("may not be {verb}d: `{}`", truncated(service));
        let violation = Violation::new(format!("{path}{field}"), "NOT_PERMITTED", message);
        self.violations.push(violation);
    }

    fn into_result(self, caller: &Caller) -> Result<()> {
        let Some(first) = self.first else {
            return Ok(());
        };
        let may_not = match self.right {
            Right::Serve => "serve",
            _ => "invoke",
        };
        let right = match self.right {
            // What is missing is the right to administer.
            Right::Invoke if self.rights.matches_invoke(&first) => Right::Administer,
            right => right,
        };
        let error = not_permitted(caller, right, may_not, Some(&first));
        Err(self
            .violations
            .into_iter()
            .fold(error, Error::with_violation))
    }
}
