//! What the memory budgets of the port count.

/// Messages and bodies of at most so many bytes are not counted: their stream costs more than they do.
pub(super) const UNCOUNTED_BYTES: usize = 1024;
/// How much memory of the node a request takes, in multiples of its length: it is kept as it is while the value is made
/// that it is decoded to.
pub(super) const DECODED_FACTOR: usize = 2;
