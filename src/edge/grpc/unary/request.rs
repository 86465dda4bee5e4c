//! The one message of a unary request.
//!
//! Failures are statuses without details, as those of tonic's codec: the status mapping of the edge explains both.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName};
use http_body::Body;
use tonic::Status;
use tonic::codegen::StdError;
use tonic::metadata::MetadataValue;

/// The bytes before a message: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Checks that the messages of a request are not compressed.
///
/// # Errors
///
/// `UNIMPLEMENTED`, with the header that tells this failure from an unknown method.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<(), Status> {
    match headers.get(ENCODING).map(|encoding| encoding.as_bytes()) {
        None | Some(b"identity") => Ok(()),
        Some(other) => {
            let name = String::from_utf8_lossy(other);
            let message = format!("Content is compressed with `{name}` which isn't supported");
            let mut status = Status::unimplemented(message);
            let supported = MetadataValue::from_static("identity");
            status
                .metadata_mut()
                .insert("grpc-accept-encoding", supported);
            Err(status)
        }
    }
}

/// How far a message has arrived.
#[derive(Debug)]
pub(super) struct Message {
    /// The most bytes that it may have.
    limit: usize,
    /// What has arrived, with the prefix.
    read: BytesMut,
    /// All of it, once it has arrived.
    complete: Option<Bytes>,
}

impl Message {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            read: BytesMut::new(),
            complete: None,
        }
    }

    /// Reads a body to its end, and returns the message.
    ///
    /// # Errors
    ///
    /// `OUT_OF_RANGE` for a message over the limit; `INTERNAL` where there is none, or a malformed one; the error of
    /// the body.
    pub(super) fn poll_read<B>(
        &mut self,
        body: &mut B,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, Status>>
    where
        B: Body<Data = Bytes, Error: Into<StdError>> + Unpin,
    {
        while let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)) {
            let frame = frame.map_err(|error| Status::from_error(error.into()))?;
            // Trailers of a request mean nothing, and neither does what follows its message.
            if let (Ok(data), None) = (frame.into_data(), &self.complete) {
                self.receive(&data)?;
            }
        }
        Poll::Ready(match self.complete.take() {
            Some(message) => Ok(message),
            None if self.read.is_empty() => Err(Status::internal("there is no message")),
            None => Err(Status::internal("it ends within its message")),
        })
    }

    /// Takes the next bytes. Those of a message are copied: they share the memory of a buffer of the connection.
    fn receive(&mut self, data: &[u8]) -> Result<(), Status> {
        if self.read.is_empty()
            && let Some(len) = self.length(data)?
            && let Some(message) = data.get(PREFIX..PREFIX + len)
        {
            self.complete = Some(Bytes::copy_from_slice(message));
            return Ok(());
        }
        self.read.extend_from_slice(data);
        let Some(len) = self.length(&self.read)? else {
            return Ok(());
        };
        match (PREFIX + len).checked_sub(self.read.len()) {
            Some(missing) if missing > 0 => self.read.reserve(missing),
            _ => {
                let mut message = self.read.split().freeze();
                message.advance(PREFIX);
                message.truncate(len);
                self.complete = Some(message);
            }
        }
        Ok(())
    }

    /// The length of the message that begins with these bytes, once its prefix is there.
    fn length(&self, data: &[u8]) -> Result<Option<usize>, Status> {
        let Some(&[compressed, a, b, c, d]) = data.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let (len, limit) = (u32::from_be_bytes([a, b, c, d]) as usize, self.limit);
        if compressed != 0 {
            return Err(Status::internal(
                "its message is compressed, which no header says",
            ));
        }
        if len > limit {
            let message = format!("too large: found {len} bytes, the limit is: {limit} bytes");
            return Err(Status::out_of_range(message));
        }
        Ok(Some(len))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn receive(limit: usize, parts: &[&[u8]]) -> Result<Option<Bytes>, Code> {
        let mut message = Message::new(limit);
        for part in parts {
            if message.complete.is_none() {
                message.receive(part).map_err(|status| status.code())?;
            }
        }
        Ok(message.complete)
    }

    #[test]
    fn a_message_is_read_however_it_is_cut() {
        let body = b"\0\0\0\0\x03abc";
        for cut in 0..=body.len() {
            let (first, second) = body.split_at(cut);
            let read = receive(3, &[first, second]);
            assert_eq!(read, Ok(Some(Bytes::from_static(b"abc"))), "{cut}");
        }
        assert_eq!(receive(3, &[b"\0\0\0\0\0"]), Ok(Some(Bytes::new())));
        assert_eq!(
            receive(3, &[b"\0\0\0\0\x02ab", b"c"]),
            receive(3, &[b"\0\0\0\0\x02abc"])
        );
        assert_eq!(receive(3, &[&body[..7]]), Ok(None));
    }

    #[test]
    fn a_message_is_neither_compressed_nor_over_the_limit() {
        assert_eq!(receive(3, &[b"\0\0\0", b"\0\x04"]), Err(Code::OutOfRange));
        assert_eq!(receive(3, &[b"\x01\0\0\0\x01a"]), Err(Code::Internal));
    }
}
