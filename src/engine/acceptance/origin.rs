//! Where a call comes from: the handler that makes it, and who asks and acts.

use std::sync::Arc;

use crate::model::access::Principals;
use crate::model::id::Cid;
use crate::model::metadata::Metadata;

/// The invocation whose handler asks for another one.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Parent<'a> {
    pub(in crate::engine) cid: Cid,
    pub(in crate::engine) root: Cid,
    pub(in crate::engine) metadata: &'a Metadata,
}

/// Where a call comes from.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Origin<'a> {
    /// The invocation whose handler makes it; `None` for a call from outside.
    pub(in crate::engine) parent: Option<Parent<'a>>,
    /// Who asks, and who acts.
    pub(in crate::engine) principals: Option<Arc<Principals>>,
}

impl Origin<'_> {
    /// A call from outside.
    pub(in crate::engine) fn outside(principals: Option<Arc<Principals>>) -> Self {
        Self {
            parent: None,
            principals,
        }
    }
}
