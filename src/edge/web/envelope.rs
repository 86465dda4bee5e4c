//! Messages in envelopes: five bytes before each, of flags and its length. gRPC, gRPC-Web and the streams of Connect
//! have the same.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::model::error::{Error, Result, reason};

/// The bytes before a message.
pub(super) const PREFIX: usize = 5;
/// The message is compressed.
pub(super) const COMPRESSED: u8 = 1;
/// The last message of a Connect stream: how it ended.
pub(super) const END_OF_STREAM: u8 = 2;
/// The last message of a gRPC-Web response: its trailers.
pub(super) const TRAILERS: u8 = 0x80;

/// A message in its envelope.
pub(super) fn framed(flags: u8, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(flags);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// The only message of a request, and whether it is compressed.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `MALFORMED_MESSAGE` where there is none, or more, or no whole one.
pub(super) fn only_message(body: &Bytes) -> Result<(Bytes, bool)> {
    let mut body = body.clone();
    let Some(&[flags, a, b, c, d]) = body.first_chunk::<PREFIX>() else {
        return Err(malformed(
            "there is no message in an envelope of five bytes",
        ));
    };
    if flags & !COMPRESSED != 0 {
        return Err(malformed("the flags of its envelope are not 0 or 1"));
    }
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    body.advance(PREFIX);
    match body.len().cmp(&length) {
        std::cmp::Ordering::Less => Err(malformed("it ends within its message")),
        std::cmp::Ordering::Equal => Ok((body, flags & COMPRESSED != 0)),
        std::cmp::Ordering::Greater => Err(malformed("it has more than one message")),
    }
}

/// The error of a message that is compressed, which no header says.
pub(super) fn not_compressed() -> Error {
    malformed("its message is compressed, which `connect-content-encoding` does not say")
}

pub(super) fn malformed(what: &str) -> Error {
    let message = format!("the request cannot be decoded: {what}");
    Error::invalid_argument(reason::MALFORMED_MESSAGE, message)
}

/// Splits the bytes of a response into messages.
#[derive(Debug, Default)]
pub(super) struct Messages(BytesMut);

impl Messages {
    pub(super) fn push(&mut self, data: &[u8]) {
        self.0.extend_from_slice(data);
    }

    /// The next message that is whole.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let &[_, a, b, c, d] = self.0.first_chunk::<PREFIX>()?;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let end = PREFIX.checked_add(length)?;
        match end.checked_sub(self.0.len()) {
            Some(missing) if missing > 0 => {
                self.0.reserve(missing);
                None
            }
            _ => {
                let mut message = self.0.split_to(end).freeze();
                message.advance(PREFIX);
                Some(message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let stream = [framed(0, b"abc"), framed(0, b""), framed(1, &[7; 300])].concat();
        for chunk in [1, 2, 5, 7, 1_000] {
            let mut messages = Messages::default();
            let mut found = Vec::new();
            for part in stream.chunks(chunk) {
                messages.push(part);
                found.extend(std::iter::from_fn(|| messages.next()));
            }
            let lengths: Vec<_> = found.iter().map(Bytes::len).collect();
            assert_eq!(lengths, [3, 0, 300], "{chunk}");
        }
    }

    #[test]
    fn a_request_has_one_message() {
        let body = framed(0, b"abc");
        assert_eq!(only_message(&body).unwrap(), (Bytes::from("abc"), false));
        let compressed = only_message(&framed(1, b"abc")).unwrap();
        assert_eq!(compressed, (Bytes::from("abc"), true));
        for wrong in [
            Bytes::new(),
            body.slice(..4),
            body.slice(..7),
            framed(2, b"abc"),
            [&body[..], &body[..]].concat().into(),
            Bytes::from_static(&[0xff; 9]),
        ] {
            let error = only_message(&wrong).unwrap_err();
            assert_eq!(error.reason(), "MALFORMED_MESSAGE", "{wrong:?}");
        }
    }
}
