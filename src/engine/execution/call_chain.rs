//! The chain of services that wait for a nested call, from the innermost caller outwards.

use std::sync::Arc;

use crate::engine::results::live::Live;
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;

/// How many names of a long chain an error message shows.
const SHOWN_NAMES: usize = 6;

/// A call that waits for a nested one, and the calls that wait for it in turn.
#[derive(Debug)]
pub(in crate::engine) struct CallChain {
    service: ServiceName,
    caller: Option<Arc<Self>>,
    depth: u32,
    /// The stored attempt that the calls are part of, if they are.
    attempt: Option<Arc<Live>>,
}

impl CallChain {
    /// The chain of a nested call to `next`, made by `service`, which itself has `callers`.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `DEPTH_EXCEEDED` with the names of the chain.
    pub(in crate::engine) fn extend(
        callers: Option<&Arc<Self>>,
        service: &ServiceName,
        next: &str,
        max_depth: u32,
        attempt: Option<&Arc<Live>>,
    ) -> Result<Arc<Self>> {
        let depth = callers.map_or(0, |caller| caller.depth) + 1;
        if depth > max_depth {
            let chain = shorten(names(callers, service), next);
            let message = format!("nested calls are more than {max_depth} deep: {chain}");
            return Err(Error::failed_precondition(reason::DEPTH_EXCEEDED, message)
                .with_info("depth", max_depth)
                .with_info("chain", chain));
        }
        Ok(Arc::new(Self {
            service: service.clone(),
            caller: callers.cloned(),
            depth,
            attempt: attempt.cloned(),
        }))
    }

    /// How many calls wait for the nested one.
    pub(in crate::engine) fn depth(&self) -> u32 {
        self.depth
    }

    pub(in crate::engine) fn attempt(&self) -> Option<&Arc<Live>> {
        self.attempt.as_ref()
    }
}

/// The names from the outermost call to `service`.
pub(in crate::engine) fn names(
    callers: Option<&Arc<CallChain>>,
    service: &ServiceName,
) -> Vec<String> {
    let callers = callers.map(|caller| &**caller);
    let chain = std::iter::successors(callers, |call| call.caller.as_deref());
    let mut names = vec![service.to_string()];
    names.extend(chain.map(|call| call.service.to_string()));
    names.reverse();
    names
}

/// The names and `next`, without the middle of a long chain.
fn shorten(mut names: Vec<String>, next: &str) -> String {
    names.push(next.to_owned());
    if names.len() > SHOWN_NAMES {
        let half = SHOWN_NAMES / 2;
        names.splice(half..names.len() - half, ["…".to_owned()]);
    }
    names.join(" → ")
}
