//! The end of a stream at the deadline of its caller. Clients of gRPC enforce it themselves; others, such as those of
//! Connect, rely on the node.

use std::time::Duration;

use futures_util::stream::{BoxStream, Stream, StreamExt as _, unfold};
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use crate::codec::status::to_status;
use crate::model::error::{Error, reason};

/// The items of a stream, until the timeout of its caller has passed: then `DEADLINE_EXCEEDED`, which says what to do
/// next, is the last one.
pub(super) fn until_deadline<T: Send + 'static>(
    stream: impl Stream<Item = Result<T, Status>> + Send + 'static,
    timeout: Option<Duration>,
    next: &'static str,
) -> BoxStream<'static, Result<T, Status>> {
    let Some(timeout) = timeout else {
        return stream.boxed();
    };
    let deadline = Instant::now() + timeout;
    let items = unfold(Some(stream.boxed()), move |stream| async move {
        let mut stream = stream?;
        match timeout_at(deadline, stream.next()).await {
            Ok(item) => item.map(|item| (item, Some(stream))),
            Err(_) => Some((Err(to_status(&passed(next))), None)),
        }
    });
    items.boxed()
}

fn passed(next: &str) -> Error {
    let message = format!("the deadline of the stream passed: {next}");
    Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, message)
}
