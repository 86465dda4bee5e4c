//! The counters of a store that is opened.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::model::error::Result;
use crate::store::sqlite::commands::ServiceIds;
use crate::store::sqlite::queries;
use crate::store::sqlite::shared::StoreShared;

/// Fills the ledger from the file, and returns the ids of the services.
pub(super) fn load_counts(connection: &Connection, shared: &StoreShared) -> Result<ServiceIds> {
    let mut services = ServiceIds::new();
    let mut entries = shared.bookkeeping.lock();
    let open = queries::open_counts(connection).map_err(|error| {
        // Each service may have some then: its scheduler looks.
        shared.failures.log(&error);
    });
    for (name, id) in queries::services(connection)? {
        let open = open.as_ref().map(|open| open.get(&id).copied());
        let open = open.map_or(1, Option::unwrap_or_default);
        entries.ledger.add_pending(&name, open);
        services.insert(name, id);
    }
    let awaiting = queries::awaiting_completion_counts(connection).unwrap_or_else(|error| {
        // A count that is shown, and nothing more: the rest of the file may be sound.
        shared.failures.log(&error);
        HashMap::new()
    });
    for (name, count) in awaiting {
        entries.ledger.add_awaiting_completion(&name, count);
    }
    let owned = queries::owned_counts(connection).unwrap_or_else(|error| {
        // Their limits let more pass then.
        shared.failures.log(&error);
        Vec::new()
    });
    for (owner, count) in owned {
        entries.ledger.add_owned(&owner, count);
    }
    Ok(services)
}
