//! Results of workers that are too large to be received: each fails its own dispatch, and the stream goes on.
//!
//! The transport ends a stream whose next message exceeds its limit, and with it all dispatches of the worker. Here the
//! body of the stream is read frame by frame before the transport decodes it. A frame above the limit is not kept: if
//! it begins like a result, a small result takes its place, which fails the dispatch with `MESSAGE_TOO_LARGE`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::Request;
use http_body::Frame;
use prost::Message as _;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;

use crate::codec::convert::failure_to_proto;
use crate::codec::proto::v1;
use crate::engine::Limits;
use crate::model::error::{Error, reason};
use crate::model::token::Token;
use crate::remote::protocol::messages::to_node;

/// A message of a worker may be this many times larger than the limit of a payload: it holds metadata and follow-ups
/// too.
const WORKER_MESSAGE_FACTOR: usize = 4;
/// The compression flag and the length in front of each message.
const HEADER_BYTES: usize = 5;
/// How much of an oversize message is read: enough for the token, which is the first field of a result.
const PREFIX_BYTES: usize = 64;

/// The largest message of a worker that is received.
pub(super) fn max_message_bytes(limits: &Limits) -> usize {
    limits.message_bytes.saturating_mul(WORKER_MESSAGE_FACTOR)
}

/// A service whose requests contain no oversize results.
#[derive(Clone, Debug)]
pub(super) struct WithoutOversizeResults<S> {
    inner: S,
    limit: usize,
}

impl<S> WithoutOversizeResults<S> {
    /// Wraps a service; `limit` is the largest message, in bytes.
    pub(super) fn new(inner: S, limit: usize) -> Self {
        Self { inner, limit }
    }
}

impl<S: NamedService> NamedService for WithoutOversizeResults<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<Request<Body>, Error = Infallible>> Service<Request<Body>>
    for WithoutOversizeResults<S>
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let limit = self.limit;
        self.inner.call(request.map(|body| {
            Body::new(ResultBody {
                inner: body,
                frames: Frames::new(limit),
            })
        }))
    }
}

/// The body of a worker's stream.
struct ResultBody {
    inner: Body,
    frames: Frames,
}

impl http_body::Body for ResultBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(bytes) = self.frames.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.frames.push(data),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                // What is left of an incomplete message goes first.
                None if self.frames.finish() => {}
                end => return Poll::Ready(end),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.inner.is_end_stream()
    }
}

/// Splits the bytes of a stream into messages, and replaces those that are too large.
#[derive(Debug)]
struct Frames {
    limit: usize,
    position: Position,
    /// The header of the next message, and of an oversize message its first bytes too.
    held: BytesMut,
    /// The bytes that the transport reads next.
    ready: VecDeque<Bytes>,
}

/// Where in a message the next byte is.
#[derive(Clone, Copy, Debug)]
enum Position {
    Header,
    /// In a message that is passed on, with as many bytes to come.
    Passed(usize),
    /// In the first bytes of an oversize message of this length.
    Prefix(usize),
    /// In the rest of a message that is replaced.
    Skipped(usize),
}

impl Frames {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            position: Position::Header,
            held: BytesMut::new(),
            ready: VecDeque::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty() && self.ready.is_empty()
    }

    /// Passes on what is held at the end of the stream; returns whether that is anything.
    fn finish(&mut self) -> bool {
        let held = std::mem::take(&mut self.held);
        let is_any = !held.is_empty();
        if is_any {
            self.ready.push_back(held.freeze());
        }
        is_any
    }

    fn push(&mut self, mut data: Bytes) {
        while !data.is_empty() {
            match self.position {
                Position::Passed(left) => {
                    let passed = data.split_to(left.min(data.len()));
                    self.position = advance(left, passed.len(), Position::Passed);
                    self.ready.push_back(passed);
                }
                Position::Skipped(left) => {
                    let skipped = data.split_to(left.min(data.len()));
                    self.position = advance(left, skipped.len(), Position::Skipped);
                }
                Position::Header => {
                    self.pass_along(&mut data);
                    if matches!(self.position, Position::Header)
                        && !data.is_empty()
                        && self.hold(&mut data, HEADER_BYTES)
                    {
                        self.read_header();
                    }
                }
                Position::Prefix(length) => {
                    if self.hold(&mut data, HEADER_BYTES + PREFIX_BYTES.min(length)) {
                        self.read_prefix(length);
                    }
                }
            }
        }
    }

    /// Passes on the messages at the start of `data`, without a copy: the ordinary case.
    fn pass_along(&mut self, data: &mut Bytes) {
        if !self.held.is_empty() {
            return;
        }
        let (mut end, mut left) = (0, 0);
        while left == 0
            && let Some(length) = data.get(end..).and_then(message_length)
            && length <= self.limit
        {
            let available = data.len() - end - HEADER_BYTES;
            end += HEADER_BYTES + length.min(available);
            left = length.saturating_sub(available);
        }
        if end > 0 {
            self.ready.push_back(data.split_to(end));
            self.position = advance(left, 0, Position::Passed);
        }
    }

    /// Holds bytes until there are `wanted`; returns whether there are.
    fn hold(&mut self, data: &mut Bytes, wanted: usize) -> bool {
        let missing = wanted.saturating_sub(self.held.len());
        self.held.put(data.split_to(missing.min(data.len())));
        self.held.len() >= wanted
    }

    fn read_header(&mut self) {
        let Some(length) = message_length(&self.held) else {
            return;
        };
        if length > self.limit {
            self.position = Position::Prefix(length);
            return;
        }
        self.position = advance(length, 0, Position::Passed);
        self.ready.push_back(self.held.split().freeze());
    }

    /// Replaces an oversize result. Another message is passed on, and the transport ends the stream.
    fn read_prefix(&mut self, length: usize) {
        let held = self.held.split().freeze();
        let (header, prefix) = held.split_at(HEADER_BYTES.min(held.len()));
        let is_compressed = header.first() != Some(&0);
        let token = result_token(prefix).filter(|_| !is_compressed);
        let of_rest = match token {
            Some(token) => {
                let result = to_node(v1::serve_request::Message::Result(Box::new(too_large(
                    &token, length, self.limit,
                ))));
                self.ready.push_back(framed(&result));
                Position::Skipped
            }
            None => {
                self.ready.push_back(held.clone());
                Position::Passed
            }
        };
        self.position = advance(length, prefix.len(), of_rest);
    }
}

/// The length that a header gives; `None` where the header is not complete.
fn message_length(header: &[u8]) -> Option<usize> {
    let [_, a, b, c, d, ..] = *header else {
        return None;
    };
    usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()
}

/// The position after `done` of `left` bytes.
fn advance(left: usize, done: usize, position: fn(usize) -> Position) -> Position {
    match left.saturating_sub(done) {
        0 => Position::Header,
        left => position(left),
    }
}

/// The token of the result that a message begins with: `ServeRequest.result.token`.
fn result_token(prefix: &[u8]) -> Option<String> {
    const RESULT: u8 = 2 << 3 | 2;
    const TOKEN: u8 = 1 << 3 | 2;
    let (tag, rest) = prefix.split_first()?;
    let mut rest = rest;
    let _length = prost::encoding::decode_varint(&mut rest).ok()?;
    let (token_tag, rest) = rest.split_first()?;
    let (token_length, rest) = rest.split_first()?;
    let token = rest.get(..usize::from(*token_length))?;
    let token = str::from_utf8(token).ok()?;
    let is_result = (*tag, *token_tag) == (RESULT, TOKEN) && Token::parse(token).is_some();
    is_result.then(|| token.to_owned())
}

/// A result that fails its dispatch with `RESOURCE_EXHAUSTED` / `MESSAGE_TOO_LARGE`.
fn too_large(token: &str, bytes: usize, limit: usize) -> v1::DispatchResult {
    let message = format!("the result has {bytes} bytes; the limit is {limit}");
    let error = Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, message)
        .with_retryable(false)
        .with_info("message_bytes", limit);
    v1::DispatchResult {
        token: token.to_owned(),
        outcome: Some(v1::dispatch_result::Outcome::Failure(failure_to_proto(
            &error,
        ))),
        ..v1::DispatchResult::default()
    }
}

fn framed(message: &v1::ServeRequest) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(HEADER_BYTES + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.put(&*message.encode_to_vec());
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(messages: &[v1::ServeRequest]) -> Vec<u8> {
        messages.iter().flat_map(framed).collect()
    }

    fn result(token: &str, bytes: usize) -> v1::ServeRequest {
        to_node(v1::serve_request::Message::Result(Box::new(
            v1::DispatchResult {
                token: token.to_owned(),
                outcome: Some(v1::dispatch_result::Outcome::Document(
                    vec![7; bytes].into(),
                )),
                ..v1::DispatchResult::default()
            },
        )))
    }

    fn passed(input: &[u8], chunk: usize, limit: usize) -> Vec<u8> {
        let mut frames = Frames::new(limit);
        for chunk in input.chunks(chunk) {
            frames.push(Bytes::copy_from_slice(chunk));
        }
        frames.finish();
        frames.ready.iter().flatten().copied().collect()
    }

    /// The messages of a stream: the token of each result, and why it failed.
    fn results(mut stream: &[u8]) -> Vec<(String, String)> {
        let mut results = Vec::new();
        while let Some(length) = message_length(stream) {
            let (frame, rest) = stream.split_at(HEADER_BYTES + length);
            stream = rest;
            let message = v1::ServeRequest::decode(&frame[HEADER_BYTES..]).unwrap();
            let Some(v1::serve_request::Message::Result(result)) = message.message else {
                panic!("{message:?}");
            };
            let failure = match result.outcome {
                Some(v1::dispatch_result::Outcome::Failure(failure)) => failure.message,
                _ => String::new(),
            };
            results.push((result.token, failure));
        }
        assert!(stream.is_empty());
        results
    }

    #[test]
    fn an_oversize_result_is_replaced_however_it_arrives() {
        let (large, small) = (Token::new().to_string(), Token::new().to_string());
        let input = stream(&[result(&small, 9), result(&large, 2_000), result(&small, 0)]);
        let length = result(&large, 2_000).encoded_len();
        let failure = format!("the result has {length} bytes; the limit is 500");
        let unchanged = (small, String::new());
        let expected = [unchanged.clone(), (large, failure), unchanged];
        for chunk in [1, 2, 3, 7, 64, 100_000] {
            assert_eq!(results(&passed(&input, chunk, 500)), expected, "{chunk}");
        }
    }

    #[test]
    fn everything_else_is_passed_on() {
        let oversize_junk = [&[0, 0, 0, 8, 0][..], &[0xff; 2_048]].concat();
        let token = Token::new().to_string();
        let whole = stream(&[result(&token, 400), v1::ServeRequest::default()]);
        for input in [
            oversize_junk,
            whole,
            vec![0, 0, 0],
            stream(&[result("no token", 900)]),
        ] {
            for chunk in [1, 5, 100_000] {
                assert_eq!(passed(&input, chunk, 500), input);
            }
        }
    }
}
