//! Synchronous invocations: from outside, and nested in another one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::engine::attempt::Attempt;
use crate::engine::dispatch::Dispatch;
use crate::engine::gate::Slot;
use crate::engine::routes::Route;
use crate::engine::store::Stored;
use crate::engine::{Engine, Invoker};
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::payload::{Payload, Reply};
use crate::service::{Call, Facts};

impl Invoker {
    /// Invokes a service for a caller from outside and waits for its reply.
    ///
    /// `cid` is the CID of the call, which the caller brought if `call.cid` names it.
    ///
    /// # Errors
    ///
    /// What the service answered; `NOT_FOUND` / `SERVICE_UNKNOWN`; `DEADLINE_EXCEEDED`; what a limit says. All of them
    /// name the CID.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the invocation: its handler is asked to stop, and dropped after the grace period.
    pub async fn invoke(&self, cid: Cid, call: Call) -> Result<Reply> {
        self.invoke_outside(cid, call)
            .await
            .map_err(|error| error.with_cid(cid))
    }

    async fn invoke_outside(&self, cid: Cid, mut call: Call) -> Result<Reply> {
        self.refuse_when_draining()?;
        let route = self.0.routes.find(&call.service)?;
        let _name = match call.cid {
            Some(brought) => Some(self.take_name(brought).await?),
            None => None,
        };
        let timeout = call.timeout.unwrap_or(route.options.timeout);
        let deadline = Instant::now().checked_add(timeout);
        let facts = Facts {
            cid,
            service: route.name().clone(),
            attempt: 1,
            deadline,
            metadata: call.metadata.take().unwrap_or_default(),
            parent: None,
            root: cid,
            asynchronous: false,
            last_progress: None,
        };
        let run = self.run(&route, facts, call.input);
        match deadline {
            None => run.await,
            Some(deadline) => timeout_at(deadline, run)
                .await
                .unwrap_or_else(|_| Err(too_late(&route, timeout))),
        }
    }

    async fn run(&self, route: &Arc<Route>, facts: Facts, input: Payload) -> Result<Reply> {
        let permits = route.gate.enter(route.name()).await?;
        let slot = Slot::new(Arc::clone(&route.gate), permits);
        let cancel = self.0.halting.child_token();
        let (dispatch, context) = Dispatch::new(self.clone(), facts, slot, cancel, None, None);
        let halted = dispatch.cancel.clone();
        let attempt = Attempt::new(route, dispatch, context, input);
        tokio::select! {
            biased;
            outcome = attempt => outcome,
            // Only the node itself cancels a call while its caller waits for it.
            () = halted.cancelled() => {
                Err(Error::unavailable(reason::NODE_STOPPING, "the node stopped before the service answered"))
            }
        }
    }

    /// Invokes a service as part of the invocation that `parent` is a dispatch of.
    pub(super) async fn invoke_nested(&self, call: Call, parent: &Arc<Dispatch>) -> Result<Reply> {
        let route = self.0.routes.find(&call.service)?;
        let callers = parent.as_caller(&call.service)?;
        let options = route.definition.service_options();
        let own_timeout = call.timeout.or(options.timeout);
        let (deadline, shorter) = nested_deadline(parent.deadline, own_timeout);
        let facts = Facts {
            cid: parent.cid,
            service: route.name().clone(),
            attempt: 1,
            deadline,
            metadata: call
                .metadata
                .unwrap_or_else(|| Arc::clone(&parent.metadata)),
            parent: Some(parent.cid),
            root: parent.root,
            asynchronous: false,
            last_progress: None,
        };
        let input = call.input;
        let nested = parent.slot.lend(async {
            let permits = route.gate.enter(route.name()).await?;
            let slot = Slot::new(Arc::clone(&route.gate), permits);
            let cancel = parent.cancel.child_token();
            let (dispatch, context) =
                Dispatch::new(self.clone(), facts, slot, cancel, Some(callers), None);
            let attempt = Attempt::new(&route, dispatch, context, input);
            match shorter {
                None => attempt.await,
                Some((deadline, timeout)) => timeout_at(deadline, attempt)
                    .await
                    .unwrap_or_else(|_| Err(too_late(&route, timeout))),
            }
        });
        tokio::select! {
            biased;
            outcome = nested => outcome,
            // The caller's own timer, or whoever cancelled it: a nested call never outlives it.
            () = parent.cancel.cancelled() => Err(parent.ended()),
        }
    }

    /// Takes the CID that a caller brought for a synchronous call, while that call runs.
    async fn take_name(&self, cid: Cid) -> Result<Name> {
        let in_use = || {
            let message = format!("an invocation with CID {cid} is stored or running already");
            Error::already_exists(reason::CID_IN_USE, message)
        };
        if !self.0.in_use().insert(cid) {
            return Err(in_use());
        }
        let name = Name(Arc::clone(&self.0), cid);
        match self.0.store.get(cid).await? {
            Stored::Unknown => Ok(name),
            Stored::Found(_) | Stored::Removed(_) => Err(in_use()),
        }
    }
}

/// A CID that a running synchronous call was given by its caller; free again when dropped.
struct Name(Arc<Engine>, Cid);

impl Drop for Name {
    fn drop(&mut self) {
        self.0.in_use().remove(&self.1);
    }
}

/// The deadline of a nested call; where it is before the parent's, which has a timer of its own, once more with the
/// timeout it came from.
fn nested_deadline(
    parent: Option<Instant>,
    timeout: Option<Duration>,
) -> (Option<Instant>, Option<(Instant, Duration)>) {
    let own = timeout.and_then(|timeout| Some((Instant::now().checked_add(timeout)?, timeout)));
    match (own, parent) {
        (Some((deadline, _)), Some(parent)) if parent <= deadline => (Some(parent), None),
        (Some((deadline, timeout)), _) => (Some(deadline), Some((deadline, timeout))),
        (None, parent) => (parent, None),
    }
}

fn too_late(route: &Route, timeout: Duration) -> Error {
    let message = format!(
        "service `{}` did not answer within {} ms",
        route.name(),
        timeout.as_millis()
    );
    Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
        .with_fact("timeout_ms", timeout.as_millis())
}
