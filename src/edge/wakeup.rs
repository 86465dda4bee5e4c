//! A waker between a transport and the task that polls it.
//!
//! Streams that run in the task of their connection wake its transport, which is polled next anyway. Passed on, the
//! wakeup would be a notification of the running task: tokio would wake another thread for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;

/// The transport is not polled.
const IDLE: u8 = 0;
/// The task is about to poll the transport, or does.
const POLLED: u8 = 1;
/// The transport was woken since.
const WOKEN: u8 = 2;

/// Wakes a task, except while it polls.
#[derive(Debug)]
pub(super) struct Wakeup {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Shared {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == IDLE {
            self.task.wake();
        }
    }
}

impl Wakeup {
    pub(super) fn new() -> Self {
        let shared = Arc::<Shared>::default();
        let waker = Waker::from(Arc::clone(&shared));
        Self { shared, waker }
    }

    /// Begins a poll of the transport by a task: what woke the transport before is seen by the poll.
    pub(super) fn begin(&self, task: &Context<'_>) -> Context<'_> {
        self.shared.task.register(task.waker());
        self.shared.state.swap(POLLED, Ordering::AcqRel);
        Context::from_waker(&self.waker)
    }

    /// Ends the polls of the transport. Wakes the task if the transport was woken since the last of them began.
    pub(super) fn end(&self, task: &Context<'_>) {
        if self.shared.state.swap(IDLE, Ordering::AcqRel) == WOKEN {
            task.waker().wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_is_woken_unless_it_polls_next() {
        let counted = Arc::<Counted>::default();
        let waker = Waker::from(Arc::clone(&counted));
        let task = Context::from_waker(&waker);
        let wakeup = Wakeup::new();
        let woken = || counted.0.load(Ordering::Relaxed);

        let transport = wakeup.begin(&task).waker().clone();
        transport.wake_by_ref();
        // Seen by the next poll.
        wakeup.begin(&task);
        wakeup.end(&task);
        assert_eq!(woken(), 0);

        transport.wake_by_ref();
        transport.wake_by_ref();
        assert_eq!(woken(), 1);

        wakeup.begin(&task);
        transport.wake_by_ref();
        assert_eq!(woken(), 1);
        wakeup.end(&task);
        assert_eq!(woken(), 2);
        transport.wake_by_ref();
        assert_eq!(woken(), 3);
    }
}
