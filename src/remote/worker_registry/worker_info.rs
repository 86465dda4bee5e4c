//! The properties that a worker announces in its hello: name, build, capabilities, limits.

use crate::codec::proto::v1;
use crate::engine::Limits;

/// The most dispatches that one worker may run at once.
pub(super) const MAX_IN_FLIGHT: usize = 10_000;
/// The messages that may be queued for a worker besides its dispatches.
const QUEUE_SLACK: usize = 64;
/// The message limit of a worker that announces none: the default of every gRPC library, 4 MiB.
const DEFAULT_MESSAGE_BYTES: usize = 4 << 20;

/// The properties that a worker announced in its hello.
#[derive(Clone, Debug)]
pub(super) struct WorkerInfo {
    pub(super) name: String,
    pub(super) build_id: String,
    pub(super) capabilities: Vec<v1::Capability>,
    pub(super) max_in_flight: usize,
    pub(super) max_message_bytes: usize,
    pub(super) peer: String,
}

impl WorkerInfo {
    /// Reads a hello.
    pub(super) fn from_hello(hello: &v1::Hello, peer: String, limits: &Limits) -> Self {
        let or_default = |given: u32, default: usize| match usize::try_from(given) {
            Ok(0) | Err(_) => default,
            Ok(given) => given,
        };
        let max_in_flight = or_default(hello.max_in_flight, limits.worker_in_flight);
        Self {
            name: hello.name.clone(),
            build_id: hello.build_id.clone(),
            capabilities: known_capabilities(&hello.capabilities),
            max_in_flight: max_in_flight.min(MAX_IN_FLIGHT),
            max_message_bytes: or_default(hello.max_message_bytes, DEFAULT_MESSAGE_BYTES),
            peer,
        }
    }

    /// The capabilities that this node knows, in the contract's form.
    pub(super) fn capabilities_to_proto(&self) -> Vec<i32> {
        self.capabilities.iter().copied().map(i32::from).collect()
    }

    pub(super) fn sorted_capabilities(&self) -> Vec<i32> {
        let mut capabilities = self.capabilities_to_proto();
        capabilities.sort_unstable();
        capabilities
    }

    pub(super) fn has(&self, capability: v1::Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// The capacity of the queue of its stream.
    pub(super) fn queue_length(&self) -> usize {
        self.max_in_flight
            .saturating_mul(2)
            .saturating_add(QUEUE_SLACK)
    }
}

/// The capabilities that this node knows, each once. Those of later versions are ignored.
fn known_capabilities(announced: &[i32]) -> Vec<v1::Capability> {
    let mut known = Vec::new();
    for capability in announced {
        if let Ok(capability) = v1::Capability::try_from(*capability)
            && capability != v1::Capability::Unspecified
            && !known.contains(&capability)
        {
            known.push(capability);
        }
    }
    known
}
