//! Bodies of requests: read whole, within the limit of a message and the memory of the node.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use tokio::sync::futures::Notified;
use tonic::Status;

use super::problem::Problem;
use crate::codec::status::from_status;
use crate::edge::connection::Connection;
use crate::edge::counting::{DECODED_FACTOR, UNCOUNTED_BYTES};
use crate::engine::byte_budget::Reservation;
use crate::model::error::{Error, Result, reason};

/// A body that was read, and the memory that it takes until the request is answered.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) bytes: Bytes,
    _held: Option<Reservation>,
}

/// Reads a body. `length`: what its header says.
///
/// # Errors
///
/// 413 where it is longer than `limit`, before any of it is read where its length is known; `CANCELLED` or
/// `DEADLINE_EXCEEDED` / `REQUEST_INCOMPLETE`; `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT`.
pub(super) async fn read(
    mut body: Body,
    length: Option<usize>,
    limit: usize,
    connection: &Connection,
) -> Result<Received, Problem> {
    if let Some(length) = length.filter(|length| *length > limit) {
        return Err(too_large(length, limit));
    }
    if body.is_end_stream() {
        return Ok(Received {
            bytes: Bytes::new(),
            _held: None,
        });
    }
    until_responses_are_read(connection).await;
    let mut held = None;
    let mut all = BytesMut::with_capacity(length.unwrap_or(0).min(UNCOUNTED_BYTES));
    while let Some(data) = next(&mut body).await? {
        let total = all.len().saturating_add(data.len());
        if total > limit {
            return Err(too_large(total, limit));
        }
        if total > UNCOUNTED_BYTES {
            let expected = length.unwrap_or(total).max(total);
            let is_first = held.is_none();
            let held = held.get_or_insert_with(|| connection.received.reservation());
            let new = if is_first { total } else { data.len() };
            held.count_for_connection(new);
            held.count_for_node(new.saturating_mul(DECODED_FACTOR), expected)?;
            if is_first && let Some(length) = length {
                all.reserve(length.saturating_sub(all.len()));
            }
        }
        // The data shares the memory of a buffer of the connection, which is copied from.
        all.extend_from_slice(&data);
    }
    Ok(Received {
        bytes: all.freeze(),
        _held: held,
    })
}

/// The next data of a body.
async fn next(body: &mut Body) -> Result<Option<Bytes>> {
    loop {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *body).poll_frame(cx)).await;
        match frame.transpose().map_err(failed)? {
            None => return Ok(None),
            // Trailers are not read.
            Some(frame) => match frame.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(_) => continue,
            },
        }
    }
}

/// The error of a body that did not arrive.
fn failed(error: axum::Error) -> Error {
    match error.into_inner().downcast::<Status>() {
        Ok(status) => from_status(&status),
        Err(other) => {
            let message = format!("the request was aborted: {other}");
            Error::cancelled(reason::REQUEST_INCOMPLETE, message)
        }
    }
}

/// A peer that does not read responses gets no more of them made.
async fn until_responses_are_read(connection: &Connection) {
    // Most do. What waits is only made for others.
    if connection.answered.is_within_limit() {
        return;
    }
    let within_limit = connection.answered.within_limit();
    loop {
        let notified: Notified<'_> = within_limit.notified();
        let mut notified = std::pin::pin!(notified);
        // Registered before it is checked.
        notified.as_mut().enable();
        if connection.answered.is_within_limit() {
            return;
        }
        notified.await;
    }
}

fn too_large(bytes: usize, limit: usize) -> Problem {
    let message = format!("the body has {bytes} bytes or more; the limit is {limit}");
    let error = Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message)
        .with_retryable(false)
        .with_info("message_bytes", limit);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, error)
}
