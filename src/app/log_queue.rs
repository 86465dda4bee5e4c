//! The queue of log lines: bounded, written by a thread of its own, so that no thread of the node waits for the reader
//! of its logs.
//!
//! `tracing-appender` has such a writer too. It bounds lines instead of bytes, ignores failed writes, does not report
//! what it drops, and its guard prints to standard output or standard error when it times out: with a full pipe, the
//! process would not exit.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::model::error::{Error, Result};

/// How many bytes of log lines may wait to be written. Lines beyond this are dropped and counted.
const QUEUE_BYTES: usize = 1024 * 1024;
/// How long the process waits at its end until all log lines are written.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the thread waits before it writes again to a non-blocking file that is not ready.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// The queue. Pushing a line never blocks and never fails.
#[derive(Clone, Debug)]
pub(super) struct LogQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is a line to write, or the queue is closed.
    filled: Condvar,
    /// The thread has ended.
    finished: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The waiting lines.
    bytes: Vec<u8>,
    /// The number of waiting lines.
    lines: u64,
    /// How many lines were lost since the start: the queue was full, or they could not be written.
    dropped: u64,
    is_closed: bool,
    is_finished: bool,
}

/// What became of lines, for its owner to report. It is called by the thread that writes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Report<'a> {
    /// They are lost.
    Lost { lines: u64, error: &'a io::Error },
    /// They are written. `dropped`: how many were lost since the last report of this kind, of `total` since the start.
    Written { dropped: u64, total: u64 },
}

/// Reports what the log of the process lost, in the log itself: once it is written again.
pub(super) fn report_dropped(report: Report<'_>) {
    if let Report::Written { dropped, total } = report
        && dropped > 0
    {
        tracing::warn!(dropped, total, "log lines were dropped: they were not read");
    }
}

/// Writes the waiting lines when dropped, within [`FLUSH_TIMEOUT`].
#[derive(Debug)]
#[must_use = "log lines are written asynchronously: the last ones when this is dropped"]
pub(in crate::app) struct LogGuard(LogQueue);

impl LogQueue {
    /// Starts the thread that writes the lines.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        report: impl Fn(Report<'_>) + Send + 'static,
    ) -> Result<(Self, LogGuard)> {
        let queue = Self(Arc::default());
        let thread = {
            let queue = queue.clone();
            move || queue.run(out, report)
        };
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(thread)
            .map_err(|error| {
                Error::internal("RUNTIME_FAILED", "cannot start the log thread").with_source(error)
            })?;
        Ok((queue.clone(), LogGuard(queue)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether there was room for the line.
    pub(super) fn push(&self, line: &[u8]) -> bool {
        let mut state = self.lock();
        if state.bytes.len() + line.len() > QUEUE_BYTES {
            state.dropped += 1;
            return false;
        }
        state.bytes.extend_from_slice(line);
        state.lines += 1;
        drop(state);
        self.0.filled.notify_one();
        true
    }

    /// Writes lines until the queue is closed and empty.
    fn run(&self, mut out: impl Write, report: impl Fn(Report<'_>)) {
        let mut batch = Vec::new();
        // A report can itself be dropped. The total is then reported after the next successful write.
        let mut reported = 0;
        loop {
            batch.clear();
            let waiting = self
                .0
                .filled
                .wait_while(self.lock(), |state| state.lines == 0 && !state.is_closed);
            let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
            if state.lines == 0 {
                state.is_finished = true;
                self.0.finished.notify_all();
                return;
            }
            std::mem::swap(&mut state.bytes, &mut batch);
            let lines = std::mem::take(&mut state.lines);
            drop(state);
            let written = self.write(&mut out, &batch);
            let mut state = self.lock();
            if let Err(error) = written {
                state.dropped += lines;
                drop(state);
                report(Report::Lost {
                    lines,
                    error: &error,
                });
                continue;
            }
            let total = state.dropped;
            drop(state);
            let dropped = total - std::mem::replace(&mut reported, total);
            report(Report::Written { dropped, total });
        }
    }

    fn write(&self, out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match out.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    drop(self.0.filled.wait_timeout(self.lock(), RETRY_INTERVAL));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Write for &LogQueue {
    /// Pushes one line: the subscriber writes each one whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let Shared {
            filled, finished, ..
        } = &*self.0.0;
        let mut state = self.0.lock();
        state.is_closed = true;
        filled.notify_one();
        let is_writing = |state: &mut State| !state.is_finished;
        drop(finished.wait_timeout_while(state, FLUSH_TIMEOUT, is_writing));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Writes nothing before the test sends a result for the write; returns what was written.
    struct Gated {
        results: Receiver<io::Result<()>>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.results.recv().unwrap_or(Ok(()))?;
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (
        LogQueue,
        LogGuard,
        Sender<io::Result<()>>,
        Receiver<Vec<u8>>,
    ) {
        let (allow, results) = channel();
        let (written, lines) = channel();
        let (queue, guard) = LogQueue::start(Gated { results, written }, report_dropped).unwrap();
        (queue, guard, allow, lines)
    }

    fn dropped(queue: &LogQueue) -> u64 {
        queue.lock().dropped
    }

    #[test]
    fn lines_are_written_in_order_before_the_guard_is_gone() {
        let (queue, guard, allow, lines) = gated();
        drop(allow);
        for n in 0..100 {
            queue.push(format!("{n}\n").as_bytes());
        }
        drop(guard);
        let written: Vec<u8> = lines.try_iter().flatten().collect();
        let expected: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert_eq!(String::from_utf8(written).unwrap(), expected);
        assert_eq!(dropped(&queue), 0);
    }

    #[test]
    fn lines_beyond_the_limit_are_dropped_and_counted() {
        let (queue, guard, _allow, lines) = gated();
        let line = vec![b'x'; QUEUE_BYTES / 8];
        // The thread takes the first lines out of the queue, at most all that fit.
        for _ in 0..32 {
            queue.push(&line);
        }
        assert!((16..=24).contains(&dropped(&queue)), "{}", dropped(&queue));
        // The writer still blocks: the guard gives up.
        drop(guard);
        assert_eq!(lines.try_iter().count(), 0);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let (queue, guard, allow, lines) = gated();
        allow.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        queue.push(b"lost\n");
        while dropped(&queue) == 0 {
            std::thread::yield_now();
        }
        drop(allow);
        queue.push(b"written\n");
        drop(guard);
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), [b"written\n"]);
        assert_eq!(dropped(&queue), 1);
    }

    #[test]
    fn a_writer_that_is_not_ready_is_tried_again() {
        let (queue, guard, allow, lines) = gated();
        allow.send(Err(io::ErrorKind::WouldBlock.into())).unwrap();
        allow.send(Ok(())).unwrap();
        queue.push(b"late\n");
        drop(guard);
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), [b"late\n"]);
        assert_eq!(dropped(&queue), 0);
    }
}
