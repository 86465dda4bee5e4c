//! The stable reasons of errors that the platform itself reports. Programs match on these, never on messages.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $($(#[$doc])* pub const $name: &str = stringify!($name);)*
        /// All reasons, as listed in `docs/errors.md`.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

reasons! {
    /// The options of authentication are invalid: a file cannot be read, or a role is not there.
    ACCESS_INVALID
    /// An invocation has been retried already, so it is not retried again by filter.
    ALREADY_RETRIED
    /// A node has as many API keys as it may have.
    API_KEY_LIMIT
    /// No API key has this id.
    API_KEY_UNKNOWN
    /// Too many authentications failed from one address.
    ATTEMPTS_LIMIT
    /// Authentication is off, so that no API key can be made on a running node.
    AUTHENTICATION_OFF
    /// A copy of the store with this name exists.
    BACKUP_EXISTS
    /// A copy of the store is being written, and there is one at a time.
    BACKUP_RUNNING
    /// The store keeps nothing on disk, so it cannot be copied.
    BACKUP_UNSUPPORTED
    /// No copy of the store has this name.
    BACKUP_UNKNOWN
    /// A batch has too many requests.
    BATCH_LIMIT
    /// An address cannot be listened on.
    BIND_FAILED
    /// The caller disconnected, or the invocation was cancelled.
    CANCELLED
    /// Checks of a worker failed (`cidery check-worker`).
    CHECKS_FAILED
    /// Several invocations have a CID with this prefix (`cidery`).
    CID_AMBIGUOUS
    /// A CID is not a UUID in canonical lower case.
    CID_INVALID
    /// A synchronous call with this CID is running.
    CID_IN_USE
    /// No invocation with this CID is stored.
    CID_UNKNOWN
    /// The clock of the machine shows a time before 1970.
    CLOCK_INVALID
    /// The configuration is wrong; the violations say where (`cidery`).
    CONFIG_INVALID
    /// A request asks for more than one request may cause, or read.
    COST_LIMIT
    /// A node cannot be reached.
    CONNECT_FAILED
    /// A credential is unknown, malformed, expired or revoked.
    CREDENTIAL_INVALID
    /// The node asks who calls, and the call has no credential.
    CREDENTIAL_REQUIRED
    /// A client would send its credential in plain text over a network.
    CREDENTIAL_UNPROTECTED
    /// A request for a session of the console, or with one, is not from the page of the node.
    CROSS_SITE
    /// The deadline passed before the service responded.
    DEADLINE_EXCEEDED
    /// A service's declaration is invalid; the violations say where.
    DECLARATION_INVALID
    /// Nested calls are too deep.
    DEPTH_EXCEEDED
    /// A nested call names a dispatch that has ended, or that never existed.
    DISPATCH_VOID
    /// A document is malformed.
    DOCUMENT_MALFORMED
    /// An invocation has ended already.
    ENDED
    /// An invocation had not started when it expired.
    EXPIRED
    /// A file exists that the command did not write, so it is not replaced.
    FILE_EXISTS
    /// A data format is unknown, or cannot represent the value.
    FORMAT_INVALID
    /// A typed call names a handler that is registered under several names.
    HANDLER_AMBIGUOUS
    /// A handler returned an error that it did not declare.
    HANDLER_FAILED
    /// A timeout layer of the service ended its handler.
    HANDLER_TIMEOUT
    /// A handler panicked.
    HANDLER_PANICKED
    /// A typed call names a handler that is not registered in its process.
    HANDLER_UNKNOWN
    /// A host name is malformed.
    HOST_INVALID
    /// An HTTP request is for a host name that the node does not have.
    HOST_REFUSED
    /// A request came by a version of HTTP that it cannot have.
    HTTP_VERSION_UNSUPPORTED
    /// The same CID or key was used with another service or input.
    IDEMPOTENCY_MISMATCH
    /// An address is reachable from other machines, and there is no authentication.
    INSECURE_ADDRESS
    /// A principal has too many synchronous calls in flight.
    IN_FLIGHT_LIMIT
    /// An input is invalid; the violations say where.
    INPUT_INVALID
    /// Too many synchronous calls wait for an asynchronous completion.
    LATER_LIMIT
    /// A request is not a valid encoding of its message type.
    MALFORMED_MESSAGE
    /// The media type of an HTTP request is not supported, or its body is compressed.
    MEDIA_TYPE_UNSUPPORTED
    /// The node holds as many bytes of requests, or of responses that were not read, as its budget allows.
    MEMORY_LIMIT
    /// A message is larger than the limit.
    MESSAGE_TOO_LARGE
    /// An invocation has emitted more items than allowed.
    ITEMS_LIMIT
    /// The metadata of a call is larger than the limit.
    METADATA_TOO_LARGE
    /// A path of HTTP does not have the method.
    METHOD_NOT_ALLOWED
    /// No such RPC exists.
    METHOD_UNKNOWN
    /// A service has no typed method; its description says why.
    NO_TYPED_METHOD
    /// A handler called a service that refused the call: its input is invalid, or the service does not exist.
    NESTED_CALL_REFUSED
    /// An HTTP answer has none of the media types that the caller accepts.
    NOT_ACCEPTABLE
    /// An invocation has not ended, so it cannot be removed.
    NOT_ENDED
    /// An invocation is not held, so it cannot be released.
    NOT_HELD
    /// The caller's rights do not allow it.
    NOT_PERMITTED
    /// An invocation is pending, is running or succeeded, so it cannot be retried.
    NOT_RETRYABLE
    /// No connected worker serves the service.
    NO_WORKER
    /// No connected worker of the service accepts this input.
    NO_COMPATIBLE_WORKER
    /// The node was started on hold, and has not been resumed.
    NODE_HELD
    /// The node stopped during an invocation that is attempted at most once.
    NODE_LOST
    /// The node is stopping.
    NODE_STOPPING
    /// `cidery` has started no invocation that `last` could stand for.
    NO_LAST_INVOCATION
    /// The server at the address of a node does not speak HTTP/2.
    NOT_A_NODE
    /// A field, an option or an RPC that this version does not support.
    NOT_SUPPORTED
    /// The prefix of the id of an operation names several.
    OPERATION_AMBIGUOUS
    /// Too many operations run.
    OPERATION_LIMIT
    /// No operation with this id is stored.
    OPERATION_UNKNOWN
    /// An origin whose web pages may call is not a scheme, a host and a port.
    ORIGIN_INVALID
    /// An HTTP request comes from a web page of an origin that is not allowed.
    ORIGIN_REFUSED
    /// The output of a service does not match its declaration.
    OUTPUT_INVALID
    /// A service has so many calls that this one could not meet its deadline, or a layer of the service refused it.
    OVERLOADED
    /// There is no such path of HTTP.
    PATH_UNKNOWN
    /// Too many invocations are pending.
    PENDING_LIMIT
    /// The node crashed too often during an invocation.
    POISONED
    /// Too many principals call at once.
    PRINCIPAL_LIMIT
    /// The value of a progress report is larger than the limit.
    PROGRESS_TOO_LARGE
    /// A worker made too many protocol errors.
    PROTOCOL_ERRORS
    /// Too many calls wait for a service.
    QUEUE_FULL
    /// The system gives no random bytes.
    RANDOM_FAILED
    /// A service, or a principal, has more calls in a time than its rate.
    RATE_LIMIT
    /// A request field is invalid; the violations name it.
    REQUEST_INVALID
    /// A request began and was not complete in time.
    REQUEST_INCOMPLETE
    /// A response is not of the type that its caller expects.
    RESPONSE_MISMATCH
    /// The outcome of an invocation was removed; its tombstone remains.
    RESULT_EXPIRED
    /// Rows of a pipe have failed (`cidery pipe`).
    ROWS_FAILED
    /// The last event that a caller has seen of an invocation was never stored here.
    SEQUENCE_UNKNOWN
    /// A worker that resumes its session announces something else than before; the violations say what.
    RESUME_MISMATCH
    /// A service with this name already exists.
    SERVICE_EXISTS
    /// A service was disabled by an operator.
    SERVICE_INACTIVE
    /// A service is served, or has pending invocations, so it cannot be removed.
    SERVICE_IN_USE
    /// The limit of remembered services was reached.
    SERVICE_LIMIT
    /// A service was paused by an operator.
    SERVICE_PAUSED
    /// No service with this name was ever declared.
    SERVICE_UNKNOWN
    /// A node has as many sessions of its console as it may have.
    SESSION_LIMIT
    /// The signals that stop the process cannot be caught.
    SIGNALS_FAILED
    /// A handler asks for state that the node does not have.
    STATE_MISSING
    /// The caller's deadline passed; the invocation continues.
    STILL_RUNNING
    /// The store contains data that cannot be read.
    STORE_DAMAGED
    /// The store cannot be opened: it is in use, of another program, or of a newer version.
    STORE_UNUSABLE
    /// The store cannot be written or read: the disk failed.
    STORE_FAILED
    /// The store is full.
    STORE_FULL
    /// The file of store keys cannot be used, or an id has another key than before.
    STORE_KEY_INVALID
    /// What is asked for is encrypted with a store key that the node does not have.
    STORE_KEY_MISSING
    /// A store was never written with a key of this id (`cidery`).
    STORE_KEY_UNKNOWN
    /// A limit on streams, or on what one stream follows, was reached.
    STREAM_LIMIT
    /// A TLS handshake failed: one side does not accept the certificate of the other, or has no TLS.
    TLS_FAILED
    /// The files of certificates and keys cannot be used; the violations say why.
    TLS_INVALID
    /// A call came without TLS to a port that has it.
    TLS_REQUIRED
    /// The transport rejected the request.
    TRANSPORT
    /// The worker was lost while it handled the call.
    WORKER_LOST
    /// A worker broke the worker protocol in a message for one dispatch.
    WORKER_PROTOCOL
    /// A worker violated the protocol of its stream.
    WORKER_REFUSED
    /// The command line is used incorrectly (`cidery`).
    USAGE_INVALID
    /// A value cannot be encoded: it is too deep, too large, or not a number.
    VALUE_INVALID
    /// An invocation cannot change as asked in its state. A defect of the node.
    TRANSITION_IMPOSSIBLE
}
