//! The parts that both ends of a connection share: endpoints, TLS, batching of messages, transport errors, retry with
//! backoff, result streams.

pub(crate) mod backoff;
pub(crate) mod batching;
pub(in crate::remote) mod credential;
pub(crate) mod declaration;
pub(crate) mod endpoint;
pub(in crate::remote) mod group_outcomes;
pub(crate) mod messages;
pub(in crate::remote) mod result_stream;
pub(crate) mod retry;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(in crate::remote) mod trace_context;
pub(in crate::remote) mod transport;
