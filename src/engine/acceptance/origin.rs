//! Where a call comes from: the handler that makes it, and its principals.

use std::sync::Arc;

use crate::model::access::{Caller, Identity, Principals};
use crate::model::id::Cid;
use crate::model::metadata::Metadata;

/// The invocation whose handler asks for another one.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Parent<'a> {
    pub(in crate::engine) cid: Cid,
    pub(in crate::engine) root: Cid,
    pub(in crate::engine) metadata: &'a Metadata,
}

/// The principals of a call: who asked for it, and who acts.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Acting {
    pub(in crate::engine) principals: Option<Arc<Principals>>,
    /// The one who acts, where its credential is at hand.
    pub(in crate::engine) identity: Option<Arc<Identity>>,
}

impl Acting {
    /// A caller from outside: it has asked, and it acts.
    pub(in crate::engine) fn caller(caller: &Caller) -> Self {
        let Some(identity) = caller.identity() else {
            return Self::default();
        };
        Self {
            principals: Some(Arc::new(Principals::of_caller(identity))),
            identity: Some(Arc::clone(identity)),
        }
    }

    /// How many invocations of the one who acts may be pending, where its credential says so.
    pub(in crate::engine) fn max_pending(&self) -> Option<usize> {
        self.identity.as_ref()?.quota.pending
    }
}

/// Where a call comes from.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Origin<'a> {
    /// The invocation whose handler makes it; `None` for a call from outside.
    pub(in crate::engine) parent: Option<Parent<'a>>,
    /// Who asks, and who acts.
    pub(in crate::engine) acting: Acting,
}

impl Origin<'_> {
    /// A call from outside.
    pub(in crate::engine) fn outside(acting: Acting) -> Self {
        Self {
            parent: None,
            acting,
        }
    }
}
