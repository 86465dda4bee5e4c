//! Byte budgets: how many bytes one connection, and the node, hold in one direction (received or answered).
//!
//! They count what is held, not what passes through: memory is bounded by them, whatever peers send or do not read. A
//! connection that has used up its budget waits, where it can, or uses what other connections do not need; a node that
//! has used up its own refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

    fn error(&self) -> Error {
        let (limit, name) = (self.limit, self.name);
        let message =
            format!("the memory limit of the node for calls is reached ({name}: {limit} bytes)");
        Error::resource_exhausted(reason::MEMORY_LIMIT, message)
            .with_info(name, limit)
            .with_retry_after(RETRY_AFTER)
    }
}

/// The budget of one connection in one direction.
#[derive(Debug)]
pub struct ByteBudget {
    used: AtomicUsize,
    limit: usize,
    node: Arc<NodeBudget>,
    freed: Arc<Notify>,
    never_waits: AtomicBool,
}

impl ByteBudget {
    /// The budget of a new connection: `limit` bytes of its own, within those of the node.
    #[must_use]
    pub fn new(limit: usize, node: &Arc<NodeBudget>) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit,
            node: Arc::clone(node),
            freed: Arc::default(),
            never_waits: AtomicBool::new(false),
        })
    }

    /// Lets nothing wait for room of the connection from now on. The node's budget holds.
    pub fn never_wait(&self) {
        self.never_waits.store(true, Ordering::Release);
        self.freed.notify_waiters();
    }

    /// Whether the connection may hold so many bytes more. One message of any size is always allowed.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let used = self.used.load(Ordering::Acquire);
        used == 0
            || used.saturating_add(bytes) <= self.limit
            || self.never_waits.load(Ordering::Acquire)
    }

    /// Notifies one waiter at a time when bytes are released. A waiter that finds room passes it on.
    #[must_use]
    pub fn freed(&self) -> &Arc<Notify> {
        &self.freed
    }

    /// Waits until the connection has room for so many bytes, and reserves them.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT` where the node has no room.
    pub async fn admit(self: &Arc<Self>, bytes: usize) -> Result<Reservation> {
        while !self.has_room(bytes) {
            self.freed.notified().await;
        }
        let reservation = self.reserve(bytes);
        // Another waiter may fit beside this one.
        self.freed.notify_one();
        reservation
    }

    /// Reserves bytes that are held already, or about to be, without waiting for the connection.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT` where the node has no room.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Reservation> {
        let mut reservation = self.reservation();
        reservation.hold(bytes)?;
        reservation.expect(bytes);
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

    /// How much of the node's budget is open to a message of this connection: all for a small message, three quarters
    /// for a large one, and half where the connection holds more than its own budget.
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
    /// Counts bytes for the connection: those that a message will have.
    pub fn expect(&mut self, bytes: usize) {
        self.budget.used.fetch_add(bytes, Ordering::AcqRel);
        self.connection_bytes += bytes;
    }

    /// Counts bytes for the node: those that are there.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT` where the node has no room; nothing is counted then.
    pub fn hold(&mut self, bytes: usize) -> Result<()> {
        let node = &self.budget.node;
        let total = node.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if total > self.budget.node_limit(self.node_bytes + bytes) {
            node.used.fetch_sub(bytes, Ordering::Relaxed);
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
            self.budget
                .used
                .fetch_sub(connection_bytes, Ordering::AcqRel);
            self.budget.freed.notify_one();
        }
    }

    /// Releases all but so many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let held = self.connection_bytes.max(self.node_bytes);
        self.release(held.saturating_sub(bytes));
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
        // One release wakes both: the second passes the rest on.
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
    fn a_connection_beyond_its_budget_leaves_half_to_others() {
        let node = NodeBudget::new("answered_bytes", 1_000);
        let (greedy, other) = (ByteBudget::new(100, &node), ByteBudget::new(100, &node));
        let mut held = greedy.reservation();
        held.expect(101);
        held.hold(500).unwrap();
        assert!(held.hold(1).is_err());
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
        assert!(budget.has_room(100));
    }
}
