//! The result stream of a client: events of the model, across broken connections.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{BoxStream, Stream, StreamExt as _, try_unfold};

use super::contract::{ContractClient, ResultStream};
use super::event::Event;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::model::id::Cid;

/// The events of invocations, as a stream. It begins when it is first polled, and ends after the last event of each
/// invocation, or after an error.
///
/// A connection that is lost is re-established, and the stream continues after the last event that was received.
///
/// ```no_run
/// use cidery::{Client, EventKind, Result, dict};
///
/// # async fn example() -> Result<()> {
/// let client = Client::connect("127.0.0.1:24337").await?;
/// let cid = client.invoke_async("demo.count", dict! { "to": 3 }).await?;
/// let mut events = client.results(cid);
/// while let Some(event) = events.next().await {
///     match event?.kind {
///         EventKind::Item(item) => println!("{item}"),
///         EventKind::Succeeded(response) => println!("{}", response.value()),
///         EventKind::Failed(error) => println!("{error}"),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// An item is an error where the node refuses the request, for example `RESOURCE_EXHAUSTED` / `STREAM_LIMIT`, or where
/// the connection is lost and cannot be re-established: `UNAVAILABLE`. The failure of an invocation, or that it is not
/// stored, is an event.
#[must_use = "nothing is followed before the stream is polled"]
pub struct Results {
    /// Taken when it is first polled.
    request: Option<Box<Request>>,
    events: Option<BoxStream<'static, Result<Event>>>,
}

struct Request {
    client: ContractClient,
    message: v1::StreamResultsRequest,
}

impl fmt::Debug for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Results")
    }
}

impl Results {
    pub(super) fn new(client: &ContractClient, cids: impl IntoIterator<Item = Cid>) -> Self {
        let request = Request {
            client: client.clone(),
            message: v1::StreamResultsRequest {
                cids: cids.into_iter().map(|cid| cid.to_string()).collect(),
                after_sequences: HashMap::new(),
                wait_for_accept: false,
            },
        };
        Self {
            request: Some(Box::new(request)),
            events: None,
        }
    }

    /// Skips the events of an invocation up to a sequence, the last one that was received. Can be repeated; the
    /// members of a group have sequences of their own. Has no effect once the stream has been polled.
    pub fn after(mut self, cid: Cid, sequence: u64) -> Self {
        if let Some(request) = &mut self.request {
            let sequences = &mut request.message.after_sequences;
            sequences.insert(cid.to_string(), sequence);
        }
        self
    }

    /// Waits for invocations that are not stored yet. Default: [`NotFound`](super::EventKind::NotFound). Has no effect
    /// once the stream has been polled.
    pub fn wait_for_accept(mut self) -> Self {
        if let Some(request) = &mut self.request {
            request.message.wait_for_accept = true;
        }
        self
    }

    /// The next event; `None` at the end. The method of `StreamExt`, which need not be imported.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for Results {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(request) = self.request.take() {
            self.events = Some(open(request));
        }
        match &mut self.events {
            Some(events) => events.poll_next_unpin(cx),
            None => Poll::Ready(None),
        }
    }
}

/// The state between two events.
enum State {
    Closed(Box<Request>),
    Open(Box<ResultStream>),
}

fn open(request: Box<Request>) -> BoxStream<'static, Result<Event>> {
    let events = try_unfold(State::Closed(request), async |state| {
        let mut results = match state {
            State::Closed(request) => Box::new(request.client.follow(request.message).await?),
            State::Open(results) => results,
        };
        while let Some(event) = results.next().await? {
            if let Some(event) = Event::from_proto(event)? {
                return Ok(Some((event, State::Open(results))));
            }
        }
        Ok(None)
    });
    events.boxed()
}
