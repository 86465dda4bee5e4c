//! The task of a connection: runs short calls itself, and writes their responses together.
//!
//! The transport starts a task for each stream. For a call that takes microseconds, this costs more than the call: the
//! task is allocated and scheduled, often on another core, and it wakes the connection, which writes its response with
//! a system call of its own. So the streams that arrive together are first polled here, once, and their responses are
//! written together. A stream that waits then becomes a task. After a slow one, the next streams become tasks at once:
//! calls that compute have to run in parallel, and must not keep the connection from its peer.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hyper::rt::Executor as _;
use hyper_util::rt::TokioExecutor;
use pin_project_lite::pin_project;
use tokio::time::Instant;

/// How long a stream may take when it is first polled. Most take less than a tenth of it.
const SLOW: Duration = Duration::from_micros(100);
/// How many streams become tasks at once after a slow one.
const TASKS_AFTER_SLOW: u32 = 64;
/// How long a connection runs streams before other tasks have their turn.
const TURN: Duration = Duration::from_micros(500);

/// A stream of a connection: its request, the handler, and the response.
pub(super) type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

thread_local! {
    /// The streams that were accepted by the connection that this thread polls. `None` while it polls none.
    static ACCEPTED: Cell<Option<VecDeque<Stream>>> = const { Cell::new(None) };
}

/// Runs a stream: in the task of the connection that accepts it, if this thread polls one.
pub(super) fn run(stream: Stream) {
    match ACCEPTED.take() {
        Some(mut accepted) => {
            accepted.push_back(stream);
            ACCEPTED.set(Some(accepted));
        }
        None => TokioExecutor::new().execute(stream),
    }
}

/// Runs `poll` and collects the streams that it accepts.
fn accepting<T>(accepted: &mut VecDeque<Stream>, poll: impl FnOnce() -> T) -> T {
    /// Also ends the collection where `poll` panics.
    struct Collection;
    impl Drop for Collection {
        fn drop(&mut self) {
            ACCEPTED.take();
        }
    }
    let collection = Collection;
    ACCEPTED.set(Some(std::mem::take(accepted)));
    let polled = poll();
    *accepted = ACCEPTED.take().unwrap_or_default();
    drop(collection);
    polled
}

pin_project! {
    /// A connection, and its streams until each of them was polled or is a task.
    pub(super) struct ConnectionTask<C> {
        #[pin]
        connection: C,
        accepted: VecDeque<Stream>,
        // How many of the next streams become tasks at once.
        next_as_tasks: u32,
        // Each stream that is a task holds a clone.
        tasks: Arc<()>,
        // Whether other tasks had their turn.
        has_yielded: bool,
    }
}

impl<C> ConnectionTask<C> {
    pub(super) fn new(connection: C) -> Self {
        Self {
            connection,
            accepted: VecDeque::new(),
            next_as_tasks: 0,
            tasks: Arc::new(()),
            has_yielded: false,
        }
    }

    pub(super) fn connection(self: Pin<&mut Self>) -> Pin<&mut C> {
        self.project().connection
    }
}

impl<C: Future> Future for ConnectionTask<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let mut this = self.project();
        // Streams that wait, often for the same thing, become ready together: all that are ready run first.
        if Arc::strong_count(this.tasks) > 2
            && !std::mem::replace(this.has_yielded, true)
            && pin!(tokio::task::yield_now()).poll(cx).is_pending()
        {
            return Poll::Pending;
        }
        *this.has_yielded = false;
        let mut turn = Turn::default();
        loop {
            let polled = accepting(this.accepted, || this.connection.as_mut().poll(cx));
            if polled.is_ready() || this.accepted.is_empty() {
                return polled;
            }
            if turn.is_over {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            turn.run(this.accepted, this.next_as_tasks, this.tasks);
            // Polled again, the connection writes the responses.
        }
    }
}

/// The time that a connection has for its streams before other tasks have theirs.
#[derive(Default)]
struct Turn {
    begun: Option<Instant>,
    is_over: bool,
}

impl Turn {
    /// Polls streams, each once, until the turn is over. Those that wait become tasks.
    fn run(&mut self, accepted: &mut VecDeque<Stream>, next_as_tasks: &mut u32, tasks: &Arc<()>) {
        let mut before = Instant::now();
        let begun = *self.begun.get_or_insert(before);
        while let Some(mut stream) = accepted.pop_front() {
            if *next_as_tasks > 0 {
                *next_as_tasks -= 1;
                spawn(stream, tasks);
                continue;
            }
            if poll_once(&mut stream).is_pending() {
                spawn(stream, tasks);
            }
            let now = Instant::now();
            if now - before >= SLOW {
                *next_as_tasks = TASKS_AFTER_SLOW;
            }
            before = now;
            self.is_over = now - begun >= TURN;
            if self.is_over {
                return;
            }
        }
    }
}

/// Polls a stream before it has a task: where it waits, the task polls it again, and is woken then.
fn poll_once(stream: &mut Stream) -> Poll<()> {
    let mut cx = Context::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll(&mut cx)));
    // A panic ends its stream only, as in a task. The hook for panics has reported it.
    polled.unwrap_or(Poll::Ready(()))
}

/// Makes a stream a task.
fn spawn(stream: Stream, tasks: &Arc<()>) {
    let counted = Arc::clone(tasks);
    TokioExecutor::new().execute(async move {
        stream.await;
        drop(counted);
    });
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Mutex;

    use futures_util::poll;
    use tokio::sync::Notify;
    use tokio::task::{Id, try_id, yield_now};

    use super::*;

    /// The tasks in which streams ended. That of the test, which polls the connection, has no identifier.
    type Ended = Arc<Mutex<Vec<Option<Id>>>>;

    /// A stream that ends after `run`.
    fn stream(ended: &Ended, run: impl Future<Output = ()> + Send + 'static) -> Stream {
        let ended = Arc::clone(ended);
        Box::pin(async move {
            run.await;
            ended.lock().unwrap().push(try_id());
        })
    }

    /// A connection that accepts streams when it is first polled, and ends once so many of them have ended.
    fn connection(streams: Vec<Stream>, ended: &Ended, all: usize) -> impl Future<Output = ()> {
        let (mut streams, ended) = (Some(streams), Arc::clone(ended));
        ConnectionTask::new(poll_fn(move |_| {
            streams.take().into_iter().flatten().for_each(run);
            match ended.lock().unwrap().len() == all {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn short_streams_end_in_the_task_of_their_connection() {
        let ended = Ended::default();
        let short = (0..3).map(|_| stream(&ended, async {})).collect();
        let mut connection = pin!(connection(short, &ended, 3));
        assert!(poll!(&mut connection).is_ready());
        assert_eq!(*ended.lock().unwrap(), [None; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_becomes_a_task() {
        let ended = Ended::default();
        let ready = Arc::new(Notify::new());
        let waits = {
            let ready = Arc::clone(&ready);
            stream(&ended, async move { ready.notified().await })
        };
        let streams = vec![waits, stream(&ended, async {})];
        let mut connection = pin!(connection(streams, &ended, 2));
        assert!(poll!(&mut connection).is_pending());
        yield_now().await;
        assert_eq!(*ended.lock().unwrap(), [None]);
        ready.notify_one();
        while ended.lock().unwrap().len() < 2 {
            yield_now().await;
        }
        assert!(ended.lock().unwrap().iter().any(Option::is_some));
        assert!(poll!(&mut connection).is_ready());
    }

    #[tokio::test]
    async fn after_a_slow_stream_the_next_ones_are_tasks() {
        let ended = Ended::default();
        let slow = stream(&ended, async {
            let begun = Instant::now();
            while begun.elapsed() < SLOW {}
        });
        let next = stream(&ended, async {});
        let mut connection = pin!(connection(vec![slow, next], &ended, 2));
        assert!(poll!(&mut connection).is_pending());
        assert_eq!(*ended.lock().unwrap(), [None]);
        while ended.lock().unwrap().len() < 2 {
            yield_now().await;
        }
        assert!(ended.lock().unwrap().iter().any(Option::is_some));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_its_stream_only() {
        let ended = Ended::default();
        let panics = stream(&ended, async { panic!("a test") });
        let streams = vec![panics, stream(&ended, async {})];
        let mut connection = pin!(connection(streams, &ended, 1));
        assert!(poll!(&mut connection).is_ready());
    }

    /// Streams that wait for the same thing are all done before the connection writes.
    #[tokio::test(start_paused = true)]
    async fn a_connection_with_waiting_streams_lets_others_run_first() {
        let ended = Ended::default();
        let ready = Arc::new(Notify::new());
        let waiting = (0..2).map(|_| {
            let ready = Arc::clone(&ready);
            stream(&ended, async move { ready.notified().await })
        });
        let mut connection = pin!(connection(waiting.collect(), &ended, 2));
        assert!(poll!(&mut connection).is_pending());
        yield_now().await;
        ready.notify_waiters();
        // Nothing wakes it but itself.
        let ended = tokio::time::timeout(Duration::from_secs(1), connection);
        assert!(ended.await.is_ok());
    }
}
