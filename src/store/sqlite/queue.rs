//! Bounded queues to the threads of the store.
//!
//! `sync_channel` allocates and writes all of its slots at once, 24 bytes each, as long as the process lives: here an
//! empty queue takes no memory.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::Duration;

/// A queue of at most `capacity` messages.
pub(super) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, messages) = mpsc::channel();
    let queued = Arc::new(AtomicUsize::new(0));
    let sender = Sender {
        messages: sender,
        queued: Arc::clone(&queued),
        capacity,
    };
    (sender, Receiver { messages, queued })
}

/// The end of the callers.
pub(super) struct Sender<T> {
    messages: mpsc::Sender<T>,
    queued: Arc<AtomicUsize>,
    capacity: usize,
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("queued", &self.queued)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            messages: self.messages.clone(),
            queued: Arc::clone(&self.queued),
            capacity: self.capacity,
        }
    }
}

impl<T> Sender<T> {
    /// Sends a message unless the queue is full or its thread has ended.
    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        // Counted before it is sent, so that no two callers take the last place.
        if self.queued.fetch_add(1, Ordering::Relaxed) >= self.capacity {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            return Err(TrySendError::Full(message));
        }
        self.messages.send(message).map_err(|SendError(message)| {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            TrySendError::Disconnected(message)
        })
    }

    /// Sends a message even if the queue is full.
    pub(super) fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.queued.fetch_add(1, Ordering::Relaxed);
        self.messages.send(message)
    }
}

/// The end of a thread.
#[derive(Debug)]
pub(super) struct Receiver<T> {
    messages: mpsc::Receiver<T>,
    queued: Arc<AtomicUsize>,
}

impl<T> Receiver<T> {
    /// Waits for a message.
    pub(super) fn recv(&self) -> Result<T, RecvError> {
        self.messages.recv().inspect(|_| self.taken())
    }

    /// Waits for a message for a time.
    pub(super) fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let received = self.messages.recv_timeout(timeout);
        received.inspect(|_| self.taken())
    }

    /// The next message, if there is one.
    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.messages.try_recv().inspect(|_| self.taken())
    }

    fn taken(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_takes_a_message_for_each_one_that_is_received() {
        let (sender, receiver) = bounded(2);
        assert!(sender.try_send(1).is_ok() && sender.try_send(2).is_ok());
        assert!(matches!(sender.try_send(3), Err(TrySendError::Full(3))));
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.try_recv(), Ok(2));
        assert!(sender.try_send(4).is_ok() && sender.try_send(5).is_ok());
        assert!(sender.try_send(6).is_err());
        sender.send(7).unwrap();
        let timeout = Duration::from_secs(1);
        let received: Vec<_> = (0..3).map(|_| receiver.recv_timeout(timeout)).collect();
        assert_eq!(received, [Ok(4), Ok(5), Ok(7)]);
        drop(receiver);
        assert!(matches!(
            sender.try_send(8),
            Err(TrySendError::Disconnected(8))
        ));
    }
}
