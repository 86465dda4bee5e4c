//! What a handler runs in: what is known of its invocation, its cancellation and the values of its process.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::access::{Identity, Principals};
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{InReplyTo, Progress};
use crate::model::metadata::Metadata;
use crate::service::states::States;

/// What a handler runs in. A [platform](crate::service::Platform) holds it, so that a context is no more than a handle
/// to its platform.
#[derive(Debug)]
pub struct HandlerScope {
    /// What is known of the invocation.
    pub info: InvocationInfo,
    /// Fires when the handler is asked to stop.
    pub cancelled: CancellationToken,
    /// The values of the process.
    pub states: Arc<States>,
}

/// What is known of an invocation while one of its attempts runs.
#[derive(Clone, Debug)]
pub struct InvocationInfo {
    /// The invocation.
    pub cid: Cid,
    /// The service.
    pub service: ServiceName,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The deadline of the handler.
    pub deadline: Option<Instant>,
    /// The metadata of the caller.
    pub metadata: Arc<Metadata>,
    /// The invocation whose handler made this call.
    pub parent: Option<Cid>,
    /// The first invocation of the chain.
    pub root: Cid,
    /// Whether it is asynchronous, so that progress and items have readers.
    pub asynchronous: bool,
    /// The last progress report of the previous attempt.
    pub last_progress: Option<Progress>,
    /// The invocation whose outcome this one was invoked with.
    pub in_reply_to: Option<InReplyTo>,
    /// Who asked, and who acts. `None` where authentication is off.
    pub principals: Option<Arc<Principals>>,
    /// The one who acts, with its rights: of a call that is not stored. `None` where authentication is off, or where a
    /// handler in the node calls.
    pub caller: Option<Arc<Identity>>,
}
