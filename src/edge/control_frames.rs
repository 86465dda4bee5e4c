//! How many control frames of HTTP/2 a peer may send: each costs little, and nothing in the protocol ends a flood.
//!
//! A peer needs them for what it asks and reads: to open windows, to reset calls, to answer a PING, to measure the
//! bandwidth. So each call and each KiB that is sent to the peer pays for some, besides those of each second.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::engine::log_limit::LogLimit;

/// What a client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The head of a frame: length, type, flags, stream (RFC 9113, section 4.1).
const HEAD_BYTES: usize = 9;
/// The types of frames (RFC 9113, section 6).
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

/// How many control frames a call pays for.
const FRAMES_OF_A_CALL: u64 = 8;
/// How many bytes that are sent to the peer pay for one.
const BYTES_OF_A_FRAME: u64 = 1024;

const WINDOW: Duration = Duration::from_secs(1);

pin_project! {
    /// A socket that fails with `InvalidData` where its peer sends more control frames than it may.
    #[derive(Debug)]
    pub(super) struct ControlFrames<S> {
        #[pin]
        socket: S,
        peer: SocketAddr,
        place: Place,
        budget: Budget,
    }
}

impl<S> ControlFrames<S> {
    /// `limit`: how many frames a second are free.
    pub(super) fn new(socket: S, limit: u32, peer: SocketAddr) -> Self {
        Self {
            socket,
            peer,
            place: Place::Preface(0),
            budget: Budget::new(u64::from(limit), Instant::now()),
        }
    }
}

impl<S: AsyncRead> AsyncRead for ControlFrames<S> {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        ready!(this.socket.poll_read(cx, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        let frames = this.place.advance(read);
        this.budget.earn(frames.calls * FRAMES_OF_A_CALL);
        // The clock is read only where there is something to count.
        if frames.control > 0 && !this.budget.spend(frames.control, Instant::now) {
            note(*this.peer, this.budget.limit);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }
}

/// Logs that a connection is closed: once a minute, since a peer decides how often that happens.
fn note(peer: SocketAddr, limit: u64) {
    static LOG: LazyLock<LogLimit> = LazyLock::new(LogLimit::default);
    if let Some(omitted) = LOG.is_due("control_frames", Instant::now()) {
        tracing::warn!(
            %peer, limit, omitted,
            "a connection is closed: it sent more control frames in a second than `control_frames` allows"
        );
    }
}

impl<S: AsyncWrite> AsyncWrite for ControlFrames<S> {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = ready!(this.socket.poll_write(cx, data))?;
        this.budget.sent(written);
        Poll::Ready(Ok(written))
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let written = ready!(this.socket.poll_write_vectored(cx, slices))?;
        this.budget.sent(written);
        Poll::Ready(Ok(written))
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().socket.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().socket.poll_shutdown(cx)
    }
}

/// Frames that were read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Frames {
    control: u64,
    calls: u64,
}

/// Where in the stream of frames a peer is.
#[derive(Debug)]
enum Place {
    /// So many bytes of the preface have been read.
    Preface(usize),
    /// So many bytes of the head of a frame have been read.
    Head([u8; HEAD_BYTES], usize),
    /// So many bytes of a frame follow.
    Content(usize),
    /// It does not use HTTP/2.
    Other,
}

impl Place {
    /// Reads on, and counts the frames whose heads end here.
    fn advance(&mut self, mut bytes: &[u8]) -> Frames {
        let mut frames = Frames::default();
        while !bytes.is_empty() {
            match self {
                Self::Other => break,
                Self::Preface(read) => {
                    let expected = PREFACE.get(*read..).unwrap_or_default();
                    let length = expected.len().min(bytes.len());
                    let (part, rest) = bytes.split_at(length);
                    if !expected.starts_with(part) {
                        *self = Self::Other;
                        break;
                    }
                    *read += length;
                    if *read == PREFACE.len() {
                        *self = Self::Head([0; HEAD_BYTES], 0);
                    }
                    bytes = rest;
                }
                Self::Head(head, read) => {
                    let length = (HEAD_BYTES - *read).min(bytes.len());
                    let (part, rest) = bytes.split_at(length);
                    if let Some(place) = head.get_mut(*read..*read + length) {
                        place.copy_from_slice(part);
                    }
                    *read += length;
                    bytes = rest;
                    if *read == HEAD_BYTES {
                        let [high, middle, low, kind, ..] = *head;
                        match kind {
                            HEADERS => frames.calls += 1,
                            PRIORITY | RST_STREAM | SETTINGS | PING | WINDOW_UPDATE => {
                                frames.control += 1;
                            }
                            _ => {}
                        }
                        let content =
                            usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                        *self = match content {
                            0 => Self::Head([0; HEAD_BYTES], 0),
                            _ => Self::Content(content),
                        };
                    }
                }
                Self::Content(left) => {
                    let length = (*left).min(bytes.len());
                    bytes = bytes.get(length..).unwrap_or_default();
                    *left -= length;
                    if *left == 0 {
                        *self = Self::Head([0; HEAD_BYTES], 0);
                    }
                }
            }
        }
        frames
    }
}

/// How many control frames a peer may still send.
#[derive(Debug)]
struct Budget {
    /// How many a second are free.
    limit: u64,
    left: u64,
    since: Instant,
    /// Bytes that were sent to the peer and have not paid for a frame yet.
    sent: u64,
}

impl Budget {
    fn new(limit: u64, now: Instant) -> Self {
        Self {
            limit,
            left: limit,
            since: now,
            sent: 0,
        }
    }

    #[inline]
    fn earn(&mut self, frames: u64) {
        self.left = self.left.saturating_add(frames);
    }

    #[inline]
    fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        self.earn(self.sent / BYTES_OF_A_FRAME);
        self.sent %= BYTES_OF_A_FRAME;
    }

    /// Takes frames; false where there are not as many. What was earned stays for later seconds.
    fn spend(&mut self, frames: u64, now: impl FnOnce() -> Instant) -> bool {
        if self.left < frames.max(self.limit) {
            let now = now();
            if now.duration_since(self.since) >= WINDOW {
                self.left = self.left.max(self.limit);
                self.since = now;
            }
        }
        match self.left.checked_sub(frames) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, content: usize) -> Vec<u8> {
        let length = u32::try_from(content).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, 0, 0, 0, 0, 0];
        [&head[..], &vec![7; content]].concat()
    }

    /// Whatever the parts are in which the bytes arrive.
    #[test]
    fn frames_are_counted_across_reads() {
        let data = 0;
        let bytes = [
            PREFACE.to_vec(),
            frame(SETTINGS, 0),
            frame(HEADERS, 300),
            frame(data, 70_000),
            frame(WINDOW_UPDATE, 4),
            frame(PING, 8),
        ];
        let bytes = bytes.concat();
        for size in [1, 2, 8, 9, 10, 1_000, bytes.len()] {
            let mut place = Place::Preface(0);
            let mut total = Frames::default();
            for part in bytes.chunks(size) {
                let frames = place.advance(part);
                total.control += frames.control;
                total.calls += frames.calls;
            }
            let expected = Frames {
                control: 3,
                calls: 1,
            };
            assert_eq!(total, expected, "in parts of {size}");
        }
    }

    #[test]
    fn another_protocol_is_not_counted() {
        let mut place = Place::Preface(0);
        let get = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(place.advance(get), Frames::default());
        assert_eq!(place.advance(&frame(PING, 8)), Frames::default());
        assert!(matches!(place, Place::Other));
    }

    #[test]
    fn each_second_has_its_frames_and_what_was_earned_stays() {
        let start = Instant::now();
        let mut budget = Budget::new(10, start);
        assert!(budget.spend(10, || start));
        assert!(!budget.spend(1, || start + WINDOW / 2));
        budget.earn(FRAMES_OF_A_CALL);
        budget.sent(1_500);
        budget.sent(600);
        // 8 for a call, 2 for 2 100 bytes.
        assert!(budget.spend(10, || start + WINDOW / 2));
        assert!(!budget.spend(1, || start + WINDOW / 2));
        assert!(budget.spend(10, || start + WINDOW));
        assert!(!budget.spend(1, || start + WINDOW));
        budget.earn(100);
        assert!(budget.spend(100, || start + WINDOW * 2));
    }
}
