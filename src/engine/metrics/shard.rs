//! Which copy of a counter a thread adds to: two cores that add to the same one would wait for each other.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many copies there are of a counter that every call adds to.
pub(crate) const SHARDS: usize = 4;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

/// The copy of this thread, of an array of [`SHARDS`].
#[inline]
pub(crate) fn shard<T>(copies: &[T; SHARDS]) -> &T {
    let index = SHARD.with(|index| *index);
    let [first, ..] = copies;
    copies.get(index).unwrap_or(first)
}
