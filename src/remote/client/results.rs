//! The result stream, as a client reads it: where it breaks it is opened again, after the last event that was seen.

use std::collections::HashMap;

use tonic::Streaming;
use tonic::transport::Channel;

use crate::codec::proto::v1;
use crate::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use crate::codec::status::from_status;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::remote::again::{again, is_transport, may_be_said_again};

/// The events of an invocation. Ends after its last one.
#[derive(Debug)]
pub struct Results {
    stub: InvocationServiceClient<Channel>,
    cid: Cid,
    tries: u32,
    stream: Streaming<v1::StreamResultsResponse>,
    /// The last sequences that were seen: of the invocation, and of its members if it is a group.
    seen: HashMap<String, u64>,
}

impl Results {
    pub(in crate::remote) async fn follow(
        stub: InvocationServiceClient<Channel>,
        cid: Cid,
        tries: u32,
    ) -> Result<Self> {
        let open = |_| open(stub.clone(), cid, HashMap::new());
        let stream = again(tries, may_be_said_again, open).await?;
        Ok(Self {
            stub,
            cid,
            tries,
            stream,
            seen: HashMap::new(),
        })
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` where the connection is lost and cannot be made again.
    pub async fn next(&mut self) -> Result<Option<v1::StreamResultsResponse>> {
        let next = self.stream.message().await;
        match next.map_err(|status| from_status(&status)) {
            Ok(event) => Ok(self.note(event)),
            Err(error) if is_transport(&error) || error.reason() == reason::NODE_STOPPING => {
                self.resume(error).await
            }
            Err(error) => Err(error),
        }
    }

    async fn resume(&mut self, error: Error) -> Result<Option<v1::StreamResultsResponse>> {
        tracing::debug!(%error, cid = %self.cid, "the result stream broke: opening it again");
        let (stub, cid, seen) = (self.stub.clone(), self.cid, self.seen.clone());
        let next = |_| {
            let stream = open(stub.clone(), cid, seen.clone());
            async move {
                let mut stream = stream.await?;
                let first = stream.message().await;
                let first = first.map_err(|status| from_status(&status))?;
                Ok((stream, first))
            }
        };
        let (stream, first) = again(self.tries, may_be_said_again, next).await?;
        self.stream = stream;
        Ok(self.note(first))
    }

    fn note(
        &mut self,
        event: Option<v1::StreamResultsResponse>,
    ) -> Option<v1::StreamResultsResponse> {
        if let Some(event) = &event {
            let seen = self.seen.entry(event.cid.clone()).or_default();
            *seen = event.sequence.max(*seen);
        }
        event
    }
}

async fn open(
    mut stub: InvocationServiceClient<Channel>,
    cid: Cid,
    seen: HashMap<String, u64>,
) -> Result<Streaming<v1::StreamResultsResponse>> {
    let request = v1::StreamResultsRequest {
        cids: vec![cid.to_string()],
        after_sequences: seen,
        wait_for_accept: false,
    };
    let stream = stub.stream_results(request).await;
    let stream = stream.map_err(|status| from_status(&status))?;
    Ok(stream.into_inner())
}
