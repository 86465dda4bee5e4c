//! Pages of events: how many of an invocation's events are read at once.

use std::sync::Arc;

use crate::model::invocation::Event;

/// How many bytes of events are read ahead of a subscriber. One event may be larger.
pub(in crate::engine) const READ_AHEAD: usize = 1024 * 1024;
/// What an event takes besides its payload, roughly.
const EVENT_BYTES: usize = 128;

/// The first events of an invocation.
#[derive(Clone, Copy)]
pub(in crate::engine) struct EventPage<'a> {
    /// Those that were seen, and the next ones.
    pub(in crate::engine) events: &'a [Arc<Event>],
    /// How many bytes the next ones have.
    pub(in crate::engine) bytes: usize,
    /// Whether more events follow.
    pub(in crate::engine) has_more: bool,
}

impl<'a> EventPage<'a> {
    /// The events up to a sequence and the next ones: those that have `max_bytes`, at least one.
    pub(in crate::engine) fn after(
        sequence: u64,
        events: &'a [Arc<Event>],
        max_bytes: usize,
    ) -> Self {
        let first = events.partition_point(|event| event.sequence <= sequence);
        let (mut bytes, mut end) = (0, first);
        for event in events.get(first..).unwrap_or_default() {
            let total = bytes + event.kind.payload_bytes() + EVENT_BYTES;
            if end > first && total > max_bytes {
                break;
            }
            (bytes, end) = (total, end + 1);
        }
        Self {
            events: events.get(..end).unwrap_or_default(),
            bytes,
            has_more: end < events.len(),
        }
    }
}
