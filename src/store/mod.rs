//! What lasts: the stores behind [`engine::store::Store`](crate::engine::store::Store).

mod memory;

pub use self::memory::MemoryStore;
