//! The stable reasons of failures that the platform itself reports. Programs match on these, never on messages.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $($(#[$doc])* pub const $name: &str = stringify!($name);)*
        /// All of them, as `docs/errors.md` lists them.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

reasons! {
    /// A batch has too many requests.
    BATCH_LIMIT
    /// An address cannot be listened on.
    BIND_FAILED
    /// The caller went away, or someone cancelled the invocation.
    CANCELLED
    /// A CID is not a UUID in canonical lower case.
    CID_INVALID
    /// A synchronous call with this CID is running.
    CID_IN_USE
    /// No invocation with this CID is stored.
    CID_UNKNOWN
    /// A node cannot be reached.
    CONNECT_FAILED
    /// The deadline passed before the service answered.
    DEADLINE_EXCEEDED
    /// A declaration of a service is invalid; the violations say where.
    DECLARATION_INVALID
    /// Services invoke one another too deeply.
    DEPTH_EXCEEDED
    /// A nested call names a dispatch that has ended, or that there never was.
    DISPATCH_VOID
    /// A document is not of the format it says.
    DOCUMENT_MALFORMED
    /// An invocation has ended already.
    ENDED
    /// An invocation had not started when it expired.
    EXPIRED
    /// A data format is not known, or does not fit.
    FORMAT_INVALID
    /// A service failed in a way that it did not declare.
    HANDLER_FAILED
    /// A service panicked.
    HANDLER_PANICKED
    /// The same CID or key came with another service or input.
    IDEMPOTENCY_MISMATCH
    /// An address can be reached by others, and there is no authentication.
    INSECURE_ADDRESS
    /// An input is wrong; the violations say where.
    INPUT_INVALID
    /// Too many calls wait for outcomes from outside.
    LATER_LIMIT
    /// A request is not what its message type says.
    MALFORMED_MESSAGE
    /// A message is larger than the limit.
    MESSAGE_TOO_LARGE
    /// An invocation has emitted all the items it may.
    ITEMS_LIMIT
    /// The metadata of a call is larger than the limit.
    METADATA_TOO_LARGE
    /// There is no such RPC.
    METHOD_UNKNOWN
    /// A service has no typed method; its description says why.
    NO_TYPED_METHOD
    /// An invocation has not ended: it is not removed.
    NOT_ENDED
    /// An invocation runs, waits or succeeded: it is not run again.
    NOT_RETRYABLE
    /// Nobody serves the service now.
    NO_WORKER
    /// No worker that serves the service takes this input.
    NO_COMPATIBLE_WORKER
    /// The node ended while it ran what is attempted at most once.
    NODE_LOST
    /// The node is stopping.
    NODE_STOPPING
    /// A field, an option or an RPC that this version does not do yet.
    NOT_SUPPORTED
    /// A service broke its own declaration.
    OUTPUT_INVALID
    /// Too many invocations are pending.
    PENDING_LIMIT
    /// The node ended too often in the middle of an invocation.
    POISONED
    /// Too many calls wait for a service.
    QUEUE_FULL
    /// A request field is wrong; the violations say which.
    REQUEST_INVALID
    /// A request began and did not end in time.
    REQUEST_INCOMPLETE
    /// The invocation is remembered, its outcome is not.
    RESULT_EXPIRED
    /// A service with this name is served already.
    SERVICE_EXISTS
    /// A service is served, or something of it is pending: it is not forgotten.
    SERVICE_IN_USE
    /// As many services as may be are remembered.
    SERVICE_LIMIT
    /// No service with this name was ever announced.
    SERVICE_UNKNOWN
    /// A handler asks for state that the node does not have.
    STATE_MISSING
    /// The caller's wait is over; the invocation goes on.
    STILL_RUNNING
    /// The store holds what cannot be read.
    STORE_DAMAGED
    /// The store cannot be opened: it is in use, foreign, or of a newer version.
    STORE_UNUSABLE
    /// The store cannot be written or read: the disk failed.
    STORE_FAILED
    /// The store is full.
    STORE_FULL
    /// A limit on streams or on what they follow was reached.
    STREAM_LIMIT
    /// What the transport refused, for a reason of its own.
    TRANSPORT
    /// The worker was lost while it handled the call.
    WORKER_LOST
    /// A worker broke the rules of its stream.
    WORKER_REFUSED
    /// A value cannot be carried: too deep, too large, or no number.
    VALUE_INVALID
    /// An invocation cannot change as asked in its state. A defect of the node.
    TRANSITION_IMPOSSIBLE
}
