//! The task of a connection: runs short calls itself, and writes their responses together.
//!
//! The transport starts a task for each stream. For a call that takes microseconds, this costs more than the call: the
//! task is allocated and scheduled, often on another core, and it wakes the connection, which writes its response with
//! a system call of its own. So the streams that arrive together are first polled here, once, and their responses are
//! written together. A stream that waits then becomes a task, and so, at once, do the next ones that arrive alone: they
//! would wait as well, for a worker for example, and nothing is written together. After a slow one, the next streams
//! become tasks at once: calls that compute have to run in parallel, and must not keep the connection from its peer. So
//! do all streams of a connection that carries a worker, which would seem to be lost.

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

use super::connection::Connection;
use super::wakeup::Wakeup;

/// How long a stream may take when it is first polled. Most take less than a tenth of it.
const SLOW: Duration = Duration::from_micros(100);
/// How many streams become tasks at once after a slow one, and again for each [`VERY_SLOW`] that it took.
const TASKS_AFTER_SLOW: u128 = 64;
/// Longer than most interruptions: the system may have taken the thread from a stream that was not slow.
const VERY_SLOW: Duration = Duration::from_millis(10);
/// How many streams that arrive alone become tasks at once after one that waited: it was polled twice for nothing.
const TASKS_AFTER_WAIT: u32 = 64;
/// How many streams wait for their first poll at most. The next ones become tasks at once.
const MAX_ACCEPTED: usize = 1_024;
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
    let mut accepted = ACCEPTED.take();
    match &mut accepted {
        Some(accepted) if accepted.len() < MAX_ACCEPTED => accepted.push_back(stream),
        Some(_) | None => TokioExecutor::new().execute(stream),
    }
    ACCEPTED.set(accepted);
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
    /// The transport of a connection, and its streams until each of them was polled or is a task.
    pub(super) struct ConnectionTask<T> {
        #[pin]
        transport: T,
        wakeup: Wakeup,
        connection: Arc<Connection>,
        streams: Streams,
        // Whether other tasks had their turn.
        has_yielded: bool,
    }
}

impl<T> ConnectionTask<T> {
    pub(super) fn new(transport: T, connection: Arc<Connection>) -> Self {
        Self {
            transport,
            wakeup: Wakeup::new(),
            connection,
            streams: Streams::default(),
            has_yielded: false,
        }
    }

    pub(super) fn transport(self: Pin<&mut Self>) -> Pin<&mut T> {
        self.project().transport
    }
}

impl<T: Future> Future for ConnectionTask<T> {
    type Output = T::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        let mut this = self.project();
        // Streams that wait, often for the same thing, become ready together: all that are ready run first.
        if this.streams.tasks() > 1
            && !std::mem::replace(this.has_yielded, true)
            && pin!(tokio::task::yield_now()).poll(cx).is_pending()
        {
            return Poll::Pending;
        }
        *this.has_yielded = false;
        let mut begun = None;
        loop {
            let accepted = &mut this.streams.accepted;
            let mut transport_cx = this.wakeup.begin(cx);
            let polled = accepting(accepted, || this.transport.as_mut().poll(&mut transport_cx));
            if polled.is_ready() {
                // The peer may have closed its side right after its requests.
                this.streams.spawn_all();
            }
            if polled.is_ready() || this.streams.accepted.is_empty() {
                this.wakeup.end(cx);
                return polled;
            }
            let begun = *begun.get_or_insert_with(Instant::now);
            if begun.elapsed() >= TURN {
                this.wakeup.end(cx);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match this.connection.has_worker() {
                true => this.streams.spawn_all(),
                false => this.streams.run_until(begun + TURN),
            }
            // Polled again, the transport writes the responses.
        }
    }
}

/// The streams of a connection.
#[derive(Default)]
struct Streams {
    /// Those that were not polled yet.
    accepted: VecDeque<Stream>,
    /// How many of the next ones become tasks at once.
    next_as_tasks: u32,
    /// The same, of those that arrive alone.
    next_alone_as_tasks: u32,
    /// Each one that is a task holds a clone.
    counted: Arc<()>,
}

impl Streams {
    /// How many streams are tasks.
    fn tasks(&self) -> usize {
        Arc::strong_count(&self.counted) - 1
    }

    /// Polls the accepted streams, each once, until a time. Those that wait become tasks.
    fn run_until(&mut self, end: Instant) {
        let is_alone = self.accepted.len() == 1 && self.tasks() == 0;
        if is_alone && let Some(left) = self.next_alone_as_tasks.checked_sub(1) {
            self.next_alone_as_tasks = left;
            return self.spawn_all();
        }
        let mut before = Instant::now();
        while before < end
            && let Some(stream) = self.accepted.pop_front()
        {
            if let Some(left) = self.next_as_tasks.checked_sub(1) {
                self.next_as_tasks = left;
                self.spawn(stream);
                continue;
            }
            if let Some(waiting) = poll_once(stream) {
                self.next_alone_as_tasks = TASKS_AFTER_WAIT;
                self.spawn(waiting);
            }
            let now = Instant::now();
            let took = now - before;
            if took >= SLOW {
                let tasks = TASKS_AFTER_SLOW * (1 + took.as_micros() / VERY_SLOW.as_micros());
                self.next_as_tasks = u32::try_from(tasks).unwrap_or(u32::MAX);
            }
            before = now;
        }
    }

    fn spawn_all(&mut self) {
        while let Some(stream) = self.accepted.pop_front() {
            self.spawn(stream);
        }
    }

    /// Makes a stream a task.
    fn spawn(&self, stream: Stream) {
        let counted = Arc::clone(&self.counted);
        TokioExecutor::new().execute(async move {
            stream.await;
            drop(counted);
        });
    }
}

/// Polls a stream before it has a task: where it waits, the task polls it again, and is woken then.
fn poll_once(mut stream: Stream) -> Option<Stream> {
    let mut cx = Context::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll(&mut cx)));
    // A panic ends its stream only, as in a task, and so does one of a destructor. The hook for panics has reported it.
    match polled {
        Ok(Poll::Pending) => Some(stream),
        Ok(Poll::Ready(())) | Err(_) => {
            let _ = catch_unwind(AssertUnwindSafe(move || drop(stream)));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::SocketAddr;
    use std::sync::Mutex;

    use futures_util::poll;
    use tokio::sync::Notify;
    use tokio::task::{Id, try_id, yield_now};

    use super::*;
    use crate::edge::PortMetrics;
    use crate::edge::connection::NodeMemory;
    use crate::engine::Limits;

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
    fn serve(
        connection: &Arc<Connection>,
        streams: Vec<Stream>,
        ended: &Ended,
        all: usize,
    ) -> impl Future<Output = ()> + use<> {
        let (mut streams, ended) = (Some(streams), Arc::clone(ended));
        let transport = poll_fn(move |_| {
            streams.take().into_iter().flatten().for_each(run);
            match ended.lock().unwrap().len() == all {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        ConnectionTask::new(transport, Arc::clone(connection))
    }

    fn connection() -> Arc<Connection> {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let memory = NodeMemory::new(&Limits::default());
        Connection::new(peer, None, &memory, &PortMetrics::new().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn short_streams_end_in_the_task_of_their_connection() {
        let ended = Ended::default();
        let short = (0..3).map(|_| stream(&ended, async {})).collect();
        let mut served = pin!(serve(&connection(), short, &ended, 3));
        assert!(poll!(&mut served).is_ready());
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
        let mut served = pin!(serve(&connection(), streams, &ended, 2));
        assert!(poll!(&mut served).is_pending());
        yield_now().await;
        assert_eq!(*ended.lock().unwrap(), [None]);
        ready.notify_one();
        while ended.lock().unwrap().len() < 2 {
            yield_now().await;
        }
        assert!(ended.lock().unwrap().iter().any(Option::is_some));
        assert!(poll!(&mut served).is_ready());
    }

    #[tokio::test]
    async fn after_a_slow_stream_the_next_ones_are_tasks() {
        let ended = Ended::default();
        let slow = stream(&ended, async {
            let begun = Instant::now();
            while begun.elapsed() < SLOW {}
        });
        let next = stream(&ended, async {});
        let mut served = pin!(serve(&connection(), vec![slow, next], &ended, 2));
        assert!(poll!(&mut served).is_pending());
        assert_eq!(*ended.lock().unwrap(), [None]);
        while ended.lock().unwrap().len() < 2 {
            yield_now().await;
        }
        assert!(ended.lock().unwrap().iter().any(Option::is_some));
    }

    /// A call that waits for a worker is then polled once less, and wakes one thread less.
    #[tokio::test(start_paused = true)]
    async fn a_lone_stream_after_one_that_waited_becomes_a_task_at_once() {
        let ended = Ended::default();
        let mut streams = vec![stream(&ended, async {}), stream(&ended, yield_now())];
        let served = {
            let ended = Arc::clone(&ended);
            poll_fn(move |cx: &mut Context<'_>| {
                // One stream at a time.
                if let 2 = streams.len() + ended.lock().unwrap().len()
                    && let Some(next) = streams.pop()
                {
                    run(next);
                }
                cx.waker().wake_by_ref();
                match ended.lock().unwrap().len() {
                    2 => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            })
        };
        ConnectionTask::new(served, connection()).await;
        // The second one does not wait, and yet is a task.
        assert!(ended.lock().unwrap().iter().all(Option::is_some));
    }

    #[tokio::test(start_paused = true)]
    async fn streams_beside_that_of_a_worker_are_tasks() {
        let ended = Ended::default();
        let connection = connection();
        let _worker = connection.carry_worker();
        let streams = vec![stream(&ended, async {})];
        let mut served = pin!(serve(&connection, streams, &ended, 1));
        assert!(poll!(&mut served).is_pending());
        assert_eq!(ended.lock().unwrap().len(), 0);
        yield_now().await;
        assert!(ended.lock().unwrap().iter().all(Option::is_some));
        assert!(poll!(&mut served).is_ready());
    }

    /// A client may send requests and close its side.
    #[tokio::test(start_paused = true)]
    async fn streams_of_a_connection_that_ends_are_run() {
        let ended = Ended::default();
        let mut streams = Some(
            (0..2 * MAX_ACCEPTED)
                .map(|_| stream(&ended, async {}))
                .collect(),
        );
        let transport = poll_fn(move |_| {
            let streams: Option<Vec<Stream>> = streams.take();
            streams.into_iter().flatten().for_each(run);
            Poll::Ready(())
        });
        let mut served = pin!(ConnectionTask::new(transport, connection()));
        assert!(poll!(&mut served).is_ready());
        while ended.lock().unwrap().len() < 2 * MAX_ACCEPTED {
            yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_ends_its_stream_only() {
        let ended = Ended::default();
        struct PanicsOnDrop;
        impl Drop for PanicsOnDrop {
            fn drop(&mut self) {
                panic!("a test");
            }
        }
        let panics = stream(&ended, async { panic!("a test") });
        let value = PanicsOnDrop;
        // Never polled to the end of its value: that is dropped with the stream.
        let drops: Stream = Box::pin(poll_fn(move |_| {
            let _ = &value;
            Poll::Ready(())
        }));
        let streams = vec![panics, drops, stream(&ended, async {})];
        let mut served = pin!(serve(&connection(), streams, &ended, 1));
        assert!(poll!(&mut served).is_ready());
    }

    /// Otherwise each turn would be followed by another one, often of another thread.
    #[tokio::test(start_paused = true)]
    async fn streams_do_not_wake_the_task_that_runs_them() {
        let mut polls = 0;
        let transport = poll_fn(|cx: &mut Context<'_>| {
            polls += 1;
            if polls == 1 {
                let waker = cx.waker().clone();
                run(Box::pin(async move { waker.wake() }));
            }
            Poll::<()>::Pending
        });
        let served = ConnectionTask::new(transport, connection());
        let ended = tokio::time::timeout(Duration::from_secs(1), served).await;
        assert!(ended.is_err());
        // One that accepts, one that writes, and one beside the timeout.
        assert_eq!(polls, 3);
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
        let mut served = pin!(serve(&connection(), waiting.collect(), &ended, 2));
        assert!(poll!(&mut served).is_pending());
        yield_now().await;
        ready.notify_waiters();
        // Nothing wakes it but itself.
        let ended = tokio::time::timeout(Duration::from_secs(1), served);
        assert!(ended.await.is_ok());
    }
}
