//! A client's end of a result stream. A broken stream is reopened after the last event that was received.

use crate::remote::protocol::credential::NodeChannel;
use tonic::Streaming;

use super::retry::{Retries, is_safe_to_retry, retry};
use super::transport::{error_from_status, is_transport_error};
use crate::codec::proto::v1;
use crate::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;

/// The events of invocations. Ends after the last event.
#[derive(Debug)]
pub struct ResultStream {
    stub: InvocationServiceClient<NodeChannel>,
    /// With the last sequence received, by CID: of each invocation, and of its members if it is a group.
    request: v1::StreamResultsRequest,
    retries: Retries,
    stream: Streaming<v1::StreamResultsResponse>,
}

impl ResultStream {
    pub(in crate::remote) async fn open(
        stub: InvocationServiceClient<NodeChannel>,
        cid: Cid,
        retries: Retries,
    ) -> Result<Self> {
        let request = v1::StreamResultsRequest {
            cids: vec![cid.to_string()],
            ..v1::StreamResultsRequest::default()
        };
        Self::follow(stub, request, retries).await
    }

    pub(in crate::remote) async fn follow(
        stub: InvocationServiceClient<NodeChannel>,
        request: v1::StreamResultsRequest,
        retries: Retries,
    ) -> Result<Self> {
        let open = || open(stub.clone(), request.clone());
        let stream = retry(&retries, is_safe_to_retry, open).await?;
        Ok(Self {
            stub,
            request,
            retries,
            stream,
        })
    }

    /// Receives the next event; `None` at the end.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost and cannot be re-established.
    pub async fn next(&mut self) -> Result<Option<v1::StreamResultsResponse>> {
        let next = self.stream.message().await;
        match next.map_err(|status| error_from_status(&status)) {
            Ok(event) => Ok(self.record(event)),
            Err(error) if is_transport_error(&error) || error.reason() == reason::NODE_STOPPING => {
                self.resume(&error).await
            }
            Err(error) => Err(error),
        }
    }

    async fn resume(&mut self, error: &Error) -> Result<Option<v1::StreamResultsResponse>> {
        let cid = self.request.cids.first();
        tracing::debug!(%error, cid, "the result stream broke; reopening it");
        let (stub, request) = (self.stub.clone(), self.request.clone());
        let next = || {
            let stream = open(stub.clone(), request.clone());
            async move {
                let mut stream = stream.await?;
                let first = stream.message().await;
                let first = first.map_err(|status| error_from_status(&status))?;
                Ok((stream, first))
            }
        };
        let (stream, first) = retry(&self.retries, is_safe_to_retry, next).await?;
        self.stream = stream;
        Ok(self.record(first))
    }

    /// Records the sequence of an event that was received.
    fn record(
        &mut self,
        event: Option<v1::StreamResultsResponse>,
    ) -> Option<v1::StreamResultsResponse> {
        if let Some(event) = &event {
            let sequences = &mut self.request.after_sequences;
            let last = sequences.entry(event.cid.clone()).or_default();
            *last = event.sequence.max(*last);
        }
        event
    }
}

async fn open(
    mut stub: InvocationServiceClient<NodeChannel>,
    request: v1::StreamResultsRequest,
) -> Result<Streaming<v1::StreamResultsResponse>> {
    let stream = stub.stream_results(request).await;
    let stream = stream.map_err(|status| error_from_status(&status))?;
    Ok(stream.into_inner())
}
