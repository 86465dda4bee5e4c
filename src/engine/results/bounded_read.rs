//! Reads of invocations within the byte budget of the connection that asks for them.
//!
//! An invocation may have many megabytes of input, items and outcome. A large one is read once the connection has room
//! for it, so that callers which do not read their responses cannot fill the memory.

use std::sync::Arc;

use crate::engine::byte_budget::{ByteBudget, Reservation};
use crate::engine::store::{BoundedRead, Store, Stored};
use crate::model::error::Result;
use crate::model::id::Cid;

/// Invocations of at most so many bytes are read at once, whatever the budget.
pub(in crate::engine) const SMALL_BYTES: usize = 64 * 1024;

/// Reads an invocation. The reservation counts its bytes; `None` for a small one, and without a budget.
///
/// # Errors
///
/// `RESOURCE_EXHAUSTED` / `MEMORY_LIMIT` where the node has no room; the errors of the store.
pub(in crate::engine) async fn read(
    store: &dyn Store,
    cid: Cid,
    budget: Option<&Arc<ByteBudget>>,
) -> Result<(Stored, Option<Reservation>)> {
    let Some(budget) = budget else {
        return Ok((store.get(cid).await?, None));
    };
    match store.get_up_to(cid, SMALL_BYTES).await? {
        BoundedRead::Read(stored) => Ok((stored, None)),
        BoundedRead::Larger(bytes) => {
            let reservation = budget.admit(bytes).await?;
            Ok((store.get(cid).await?, Some(reservation)))
        }
    }
}
