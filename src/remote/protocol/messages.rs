//! Messages of a worker's stream, in both directions.

use tonic::Status;

use crate::codec::proto::v1;

/// A message to a worker, or the status that ends its stream.
pub(crate) type Outbound = Result<v1::ServeResponse, Status>;

/// Wraps a message to a worker.
pub(in crate::remote) fn to_worker(message: v1::serve_response::Message) -> Outbound {
    Ok(v1::ServeResponse {
        message: Some(message),
        dispatches: Vec::new(),
    })
}

/// Wraps a message to a node.
pub(crate) fn to_node(message: v1::serve_request::Message) -> v1::ServeRequest {
    v1::ServeRequest {
        message: Some(message),
        results: Vec::new(),
    }
}
