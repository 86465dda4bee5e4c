//! What a worker said of itself in its hello.

use tokio::sync::Semaphore;

use crate::codec::proto::v1;
use crate::engine::Limits;

/// Beyond what is handed over, this many messages may wait for a worker to read them.
const SLACK: usize = 64;
/// A worker that does not say how large a message it takes takes what every gRPC library takes: 4 MiB.
const DEFAULT_MESSAGE_BYTES: usize = 4 << 20;

/// What a worker said of itself.
#[derive(Clone, Debug)]
pub(super) struct Introduced {
    pub(super) name: String,
    pub(super) build_id: String,
    pub(super) capabilities: Vec<v1::Capability>,
    pub(super) max_in_flight: usize,
    pub(super) max_message_bytes: usize,
    pub(super) peer: String,
}

impl Introduced {
    /// The capabilities that this node knows, as the contract writes them.
    pub(super) fn known(&self) -> Vec<i32> {
        self.capabilities.iter().copied().map(i32::from).collect()
    }

    pub(super) fn can(&self, capability: v1::Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Reads what a worker says of itself.
    pub(super) fn of(hello: &v1::Hello, peer: String, limits: &Limits) -> Self {
        let or = |given: u32, default: usize| match usize::try_from(given) {
            Ok(0) | Err(_) => default,
            Ok(given) => given,
        };
        let capabilities = hello.capabilities.iter();
        Self {
            name: hello.name.clone(),
            build_id: hello.build_id.clone(),
            // What this node does not know it does not use.
            capabilities: capabilities
                .filter_map(|capability| v1::Capability::try_from(*capability).ok())
                .collect(),
            max_in_flight: or(hello.max_in_flight, limits.worker_in_flight)
                .min(Semaphore::MAX_PERMITS),
            max_message_bytes: or(hello.max_message_bytes, DEFAULT_MESSAGE_BYTES),
            peer,
        }
    }

    /// How large a queue its stream needs, at most.
    pub(super) fn queue_length(&self) -> usize {
        self.max_in_flight
            .saturating_mul(2)
            .saturating_add(SLACK)
            .min(Semaphore::MAX_PERMITS)
    }
}
