//! The result stream, as a client reads it.

use tonic::Streaming;

use crate::codec::proto::v1;
use crate::codec::status::from_status;
use crate::model::error::Result;

/// The events of an invocation. Ends after its last one.
#[derive(Debug)]
pub struct Results(Streaming<v1::StreamResultsResponse>);

impl Results {
    pub(super) fn new(stream: Streaming<v1::StreamResultsResponse>) -> Self {
        Self(stream)
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost.
    pub async fn next(&mut self) -> Result<Option<v1::StreamResultsResponse>> {
        self.0
            .message()
            .await
            .map_err(|status| from_status(&status))
    }
}
