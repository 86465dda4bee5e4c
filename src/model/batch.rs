//! A batch of calls as plain data: many invocations that are accepted atomically under one group CID.

use std::time::Duration;

use crate::model::call::Call;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::into_call::IntoCall;
use crate::model::sio::Ignored;

/// A batch of calls, at most 10 000, that are accepted atomically, all of them or none, under one group CID.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The members, in the order in which their outcomes are returned.
    pub calls: Vec<Call>,
    /// The CID of the group. Default: the node generates one.
    pub cid: Option<Cid>,
    /// Idempotency key, which makes acceptance safe to retry: at most 255 bytes.
    pub idempotency_key: Option<String>,
    /// Services that are invoked with the outcome of each member.
    pub on_each: Vec<String>,
    /// Services that are invoked with all outcomes, in order, once all members have ended.
    pub on_final: Vec<String>,
    /// How long the group is kept after its end, and its members at least as long. Default: the node's retention.
    pub retention: Option<Duration>,
}

impl Batch {
    /// Creates a batch of calls: pairs of a name and an input, or calls with options.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `VALUE_INVALID` for an input that cannot be serialized.
    pub fn of<C: IntoCall>(calls: impl IntoIterator<Item = C>) -> Result<Self> {
        let calls: Result<_> = calls.into_iter().map(IntoCall::into_call).collect();
        Ok(Self {
            calls: calls?,
            ..Self::default()
        })
    }
}

/// The acknowledgement of a batch: the group and its members are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedGroup {
    /// The CID of the group; of the first one where it had been accepted before.
    pub cid: Cid,
    /// The CIDs of the members, in the order of their requests.
    pub members: Vec<Cid>,
    /// Whether it had been accepted before.
    pub already_accepted: bool,
    /// The keys of inputs that are not declared and are dropped.
    pub ignored: Ignored,
}
