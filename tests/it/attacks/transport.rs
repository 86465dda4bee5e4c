//! Attacks on the transport: methods, content types, origins, half-sent requests, many connections.
