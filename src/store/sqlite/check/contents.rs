//! What the rows contain: whether each invocation and each declaration can be decoded, and its events agree with it.

use prost::Message as _;
use rusqlite::Connection;

use super::fault::{FaultKind, Faults};
use crate::codec::proto::v1;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Invocation, SEQUENCES_PER_GENERATION};
use crate::store::sqlite::queries;

/// Decodes all invocations, one at a time. `generation`: that of the store.
pub(super) fn check_invocations(
    connection: &Connection,
    generation: u64,
    faults: &mut Faults,
) -> rusqlite::Result<()> {
    queries::decode_all(connection, |id, cid, decoded| match decoded {
        Err(error) => {
            let detail = format!("row {id}: {}", error.message());
            faults.add(FaultKind::Unreadable, cid, detail)
        }
        Ok(invocation) => check_events(&invocation, generation, faults),
    })
}

/// Returns whether more faults are asked for.
fn check_events(invocation: &Invocation, generation: u64, faults: &mut Faults) -> bool {
    let cid = Some(invocation.request.cid);
    let sequences = || invocation.events.iter().map(|event| event.sequence);
    let last = sequences().max().unwrap_or_default();
    if last / SEQUENCES_PER_GENERATION > generation || !sequences().is_sorted_by(|a, b| a < b) {
        let detail = format!("its last sequence is {last}");
        if !faults.add(FaultKind::SequenceBeyond, cid, detail) {
            return false;
        }
    }
    let ended = invocation.events.last();
    let ended = ended.and_then(|event| event.kind.terminal_state());
    let state = invocation.state;
    let expected = state.is_terminal().then_some(state);
    if ended == expected {
        return true;
    }
    let said = ended.map_or("no end", |state| state.name());
    let detail = format!("{}, and its events have {said}", state.name());
    faults.add(FaultKind::OutcomeWrong, cid, detail)
}

/// Decodes the declarations of workers.
pub(super) fn check_declarations(
    connection: &Connection,
    faults: &mut Faults,
) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT service, declaration FROM announced")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (name, declaration) = (row.get::<_, String>(0)?, row.get_ref(1)?.as_blob()?);
        let is_readable = ServiceName::parse(&name).is_ok()
            && v1::ServiceDeclaration::decode(declaration).is_ok();
        let detail = format!("the declaration of `{name}`");
        if !is_readable && !faults.add(FaultKind::Unreadable, None::<Cid>, detail) {
            break;
        }
    }
    Ok(())
}

/// Decodes what operators did: operations, paused and disabled services, API keys.
pub(super) fn check_operators(
    connection: &Connection,
    faults: &mut Faults,
) -> rusqlite::Result<()> {
    let damaged = queries::operations(connection).and_then(|(_, mut damaged)| {
        damaged.extend(queries::controls(connection)?.1);
        damaged.extend(queries::api_keys(connection).err());
        Ok(damaged)
    });
    for error in damaged.unwrap_or_else(|error| vec![error]) {
        if !faults.add(
            FaultKind::Unreadable,
            None::<Cid>,
            error.message().to_owned(),
        ) {
            break;
        }
    }
    Ok(())
}
