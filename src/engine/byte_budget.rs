//! Byte budgets: how many bytes one connection, and the node, hold in one direction (received or answered).
//!
//! They count what is held, not what passes through: memory is bounded by them, whatever peers send or do not read. A
//! connection that has used up its budget waits, where it can, or uses what other connections do not need; a node that
//! has used up its own refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::model::error::{Error, Result, reason};

/// A quarter of the node's budget is kept for messages of at most so many bytes.
const SMALL_BYTES: usize = 64 * 1024;
/// When a caller that was refused may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The budget of a node in one direction. All its connections share it.
#[derive(Debug)]
pub struct NodeBudget {
    used: AtomicUsize,
    limit: usize,
    /// The name of its limit, for messages.
    name: &'static str,
}

impl NodeBudget {
    /// A budget of `limit` bytes; `name` is the limit as users know it.
    #[must_use]
    pub fn new(name: &'static str, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit,
            name,
        })
    }

    /// How many bytes are held now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Counts bytes, unless there are more than `limit` then; returns whether they were counted.
    fn try_count(&self, bytes: usize, limit: usize) -> bool {
        try_add(&self.used, bytes, |total| total <= limit)
    }

    fn error(&self) -> Error {
        let (limit, name) = (self.limit, self.name);
        let message =
            format!("the memory limit of the node for calls is reached ({name}: {limit} bytes)");
        Error::resource_exhausted(reason::MEMORY_LIMIT, message)
            .with_info(name, limit)
            .with_retry_after(RETRY_AFTER)
    }
}

/// Adds to a counter if the total is admitted; returns whether it was.
fn try_add(counter: &AtomicUsize, bytes: usize, admits: impl Fn(usize) -> bool) -> bool {
    let add = |used: usize| Some(used.saturating_add(bytes)).filter(|total| admits(*total));
    let added = counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
    added.is_ok()
}

/// The budget of one connection in one direction.
#[derive(Debug)]
pub struct ByteBudget {
    used: AtomicUsize,
    limit: usize,
    node: Arc<NodeBudget>,
    /// Those that wait to be admitted take turns, in the order in which they came.
    turn: tokio::sync::Mutex<()>,
    /// Notifies the one whose turn it is.
    released: Notify,
    /// Notifies all that wait until the connection is within its limit.
    within_limit: Arc<Notify>,
    /// How many reasons there are to let nothing wait.
    unlimited: AtomicUsize,
}

impl ByteBudget {
    /// The budget of a new connection: `limit` bytes of its own, within those of the node.
    #[must_use]
    pub fn new(limit: usize, node: &Arc<NodeBudget>) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit,
            node: Arc::clone(node),
            turn: tokio::sync::Mutex::default(),
            released: Notify::new(),
            within_limit: Arc::default(),
            unlimited: AtomicUsize::new(0),
        })
    }

    /// Lets nothing wait for room of the connection until the guard is dropped. The node's budget holds.
    #[must_use]
    pub fn never_wait(self: &Arc<Self>) -> NeverWait {
        self.unlimited.fetch_add(1, Ordering::AcqRel);
        self.within_limit.notify_waiters();
        self.released.notify_one();
        NeverWait(Arc::clone(self))
    }

    /// Whether the connection holds no more than it may.
    #[must_use]
    pub fn is_within_limit(&self) -> bool {
        self.admits(self.used.load(Ordering::Acquire), 0)
    }

    /// Notifies all waiters when the connection holds no more than it may. Register before
    /// [`is_within_limit`](Self::is_within_limit) is read.
    #[must_use]
    pub fn within_limit(&self) -> &Arc<Notify> {
        &self.within_limit
    }

    /// Whether it may hold `total` bytes, of which the last message has `bytes`. One message of any size is allowed.
    fn admits(&self, total: usize, bytes: usize) -> bool {
        total <= self.limit || total == bytes || self.unlimited.load(Ordering::Acquire) > 0
    }

    /// Waits, in turn, until the connection has room for so many bytes, and reserves them.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT` where the node has no room.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the place in the queue, and nothing else.
    pub async fn admit(self: &Arc<Self>, bytes: usize) -> Result<Reservation> {
        let mut reservation = self.reservation();
        let turn = self.turn.lock().await;
        while !try_add(&self.used, bytes, |total| self.admits(total, bytes)) {
            self.released.notified().await;
        }
        drop(turn);
        reservation.connection_bytes = bytes;
        reservation.count_for_node(bytes, bytes)?;
        Ok(reservation)
    }

    /// Reserves bytes that are held already, or about to be, without waiting for the connection.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT` where the node has no room.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Reservation> {
        let mut reservation = self.reservation();
        reservation.count_for_node(bytes, bytes)?;
        reservation.count_for_connection(bytes);
        Ok(reservation)
    }

    /// An empty reservation.
    #[must_use]
    pub fn reservation(self: &Arc<Self>) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            connection_bytes: 0,
            node_bytes: 0,
        }
    }

    /// How much of the node's budget is open to a message of this connection with so many bytes: all for a small
    /// message, three quarters for a large one, and half where the connection holds more than its own budget.
    fn node_limit(&self, bytes: usize) -> usize {
        let limit = self.node.limit;
        match self.used.load(Ordering::Relaxed) > self.limit {
            true => limit / 2,
            false if bytes > SMALL_BYTES => limit - limit / 4,
            false => limit,
        }
    }
}

/// Bytes that are counted until they are released or this is dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<ByteBudget>,
    connection_bytes: usize,
    node_bytes: usize,
}

impl Reservation {
    /// Counts bytes for the connection: those that a message will have, once all of it is there.
    pub fn count_for_connection(&mut self, bytes: usize) {
        self.budget.used.fetch_add(bytes, Ordering::AcqRel);
        self.connection_bytes += bytes;
    }

    /// Counts bytes for the node: those that are there, of a message that will have `message_bytes`. A message that is
    /// decoded may count for more than its length.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT` where the node has no room; nothing is counted then.
    pub fn count_for_node(&mut self, bytes: usize, message_bytes: usize) -> Result<()> {
        let node = &self.budget.node;
        if !node.try_count(bytes, self.budget.node_limit(message_bytes)) {
            return Err(node.error());
        }
        self.node_bytes += bytes;
        Ok(())
    }

    /// Releases bytes, at most those that are counted.
    pub fn release(&mut self, bytes: usize) {
        let node_bytes = bytes.min(self.node_bytes);
        self.node_bytes -= node_bytes;
        self.budget
            .node
            .used
            .fetch_sub(node_bytes, Ordering::Relaxed);
        let connection_bytes = bytes.min(self.connection_bytes);
        self.connection_bytes -= connection_bytes;
        if connection_bytes > 0 {
            let budget = &self.budget;
            let before = budget.used.fetch_sub(connection_bytes, Ordering::AcqRel);
            budget.released.notify_one();
            if before > budget.limit && before - connection_bytes <= budget.limit {
                budget.within_limit.notify_waiters();
            }
        }
    }

    /// Releases all but so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let held = self.connection_bytes.max(self.node_bytes);
        self.release(held.saturating_sub(bytes));
    }
}

/// While it lives, nothing waits for room of the connection.
#[derive(Debug)]
pub struct NeverWait(Arc<ByteBudget>);

impl Drop for NeverWait {
    fn drop(&mut self) {
        self.0.unlimited.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release(self.connection_bytes.max(self.node_bytes));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn budget(limit: usize, node: usize) -> Arc<ByteBudget> {
        ByteBudget::new(limit, &NodeBudget::new("answered_bytes", node))
    }

    #[tokio::test]
    async fn a_connection_waits_and_its_waiters_take_turns() {
        let budget = budget(100, 1_000);
        let first = budget.admit(80).await.unwrap();
        let mut second = Box::pin(budget.admit(60));
        let mut third = Box::pin(budget.admit(40));
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        drop(first);
        // One release wakes both: the second gives its turn to the third.
        let second = second.now_or_never().expect("there is room").unwrap();
        let _third = third.now_or_never().expect("there is room").unwrap();
        drop(second);
        assert_eq!(budget.node.used(), 40);
    }

    #[tokio::test]
    async fn one_message_larger_than_the_budget_is_admitted_alone() {
        let budget = budget(100, 1_000);
        let large = budget.admit(500).await.unwrap();
        assert!(budget.admit(1).now_or_never().is_none());
        drop(large);
        assert!(budget.admit(1).now_or_never().is_some());
    }

    #[test]
    fn the_node_refuses_and_keeps_a_quarter_for_small_messages() {
        let large = SMALL_BYTES * 2;
        let budget = budget(large * 4, large * 4);
        let held: Vec<_> = (0..3).map(|_| budget.reserve(large).unwrap()).collect();
        let refused = budget.reserve(large).unwrap_err();
        assert_eq!(refused.reason(), reason::MEMORY_LIMIT);
        let _small = budget.reserve(10).unwrap();
        drop(held);
        assert_eq!(budget.node.used(), 10);
    }

    #[test]
    fn the_beginning_of_a_large_message_is_no_small_message() {
        let large = SMALL_BYTES * 2;
        let budget = budget(large * 8, large * 4);
        let _held: Vec<_> = (0..3).map(|_| budget.reserve(large).unwrap()).collect();
        let mut half_sent = budget.reservation();
        half_sent.count_for_connection(large);
        assert!(half_sent.count_for_node(10, large).is_err());
        let mut small = budget.reservation();
        small.count_for_node(10, 10).unwrap();
    }

    #[test]
    fn a_connection_beyond_its_budget_leaves_half_to_others() {
        let node = NodeBudget::new("answered_bytes", 1_000);
        let (greedy, other) = (ByteBudget::new(100, &node), ByteBudget::new(100, &node));
        let mut held = greedy.reservation();
        held.count_for_connection(101);
        held.count_for_node(500, 500).unwrap();
        assert!(held.count_for_node(1, 1).is_err());
        let _other = other.reserve(100).unwrap();
    }

    #[test]
    fn what_is_released_is_counted_once() {
        let budget = budget(100, 1_000);
        let mut held = budget.reserve(70).unwrap();
        held.release(50);
        held.shrink_to(5);
        assert_eq!(budget.node.used(), 5);
        drop(held);
        assert_eq!(budget.node.used(), 0);
        assert!(budget.admit(100).now_or_never().is_some());
    }

    #[test]
    fn a_large_message_that_is_refused_takes_no_room_from_small_ones() {
        const ROUNDS: usize = 20_000;
        let node = NodeBudget::new("received_bytes", 1_000_000);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let large = ByteBudget::new(1_000_000, &node);
                scope.spawn(move || {
                    for _ in 0..ROUNDS {
                        assert!(large.reserve(990_000).is_err());
                    }
                });
            }
            let small = ByteBudget::new(1_000_000, &node);
            for _ in 0..ROUNDS {
                drop(small.reserve(20_000).unwrap());
            }
        });
        assert_eq!(node.used(), 0);
    }

    #[test]
    fn connections_that_wait_share_the_budget_and_release_all_of_it() {
        const LIMIT: usize = 100;
        let node = NodeBudget::new("answered_bytes", LIMIT);
        let budget = ByteBudget::new(LIMIT, &node);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (budget, node) = (Arc::clone(&budget), Arc::clone(&node));
                scope.spawn(move || {
                    let waits = async {
                        for round in 0..2_000 {
                            let held = budget.admit(1 + (thread + round) % 40).await.unwrap();
                            assert!(node.used() <= LIMIT);
                            drop(held);
                        }
                    };
                    let mut runtime = tokio::runtime::Builder::new_current_thread();
                    runtime.build().unwrap().block_on(waits);
                });
            }
        });
        assert_eq!((node.used(), budget.used.load(Ordering::Acquire)), (0, 0));
    }
}
