//! What the rows contain: whether each invocation and each declaration can be decoded, and its events agree with it.

use prost::Message as _;
use rusqlite::Connection;

use super::fault::{FaultKind, Faults};
use crate::codec::proto::v1;
use crate::model::error::reason;
use crate::model::id::{Cid, ServiceName};
use crate::model::invocation::{Invocation, SEQUENCES_PER_GENERATION};
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::sqlite::queries;

/// Decodes all invocations, one at a time, and returns how many need keys that are not there. `generation`: that of the
/// store.
pub(super) fn check_invocations(
    connection: &Connection,
    cipher: &BlobCipher,
    generation: u64,
    faults: &mut Faults,
) -> rusqlite::Result<u64> {
    let mut unread = 0;
    queries::decode_all(connection, cipher, |id, cid, decoded| match decoded {
        Err(error) if error.reason() == reason::STORE_KEY_MISSING => {
            unread += 1;
            true
        }
        Err(error) => {
            let detail = format!("row {id}: {}", error.message());
            faults.add(FaultKind::Unreadable, cid, detail)
        }
        Ok(invocation) => check_events(&invocation, generation, faults),
    })?;
    Ok(unread)
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

/// Compares the invocations that were retried with the requests of their retries. A request that cannot be decoded is
/// another fault.
pub(super) fn check_retries(
    connection: &Connection,
    cipher: &BlobCipher,
    faults: &mut Faults,
) -> rusqlite::Result<()> {
    let select =
        "SELECT retried.cid, invocation.cid, invocation.accept_time, invocation.request FROM retry
         JOIN invocation AS retried ON retried.id = retry.id
         JOIN cid_index ON cid_index.cid = retry.retried_as
         JOIN invocation ON invocation.id = cid_index.id AND invocation.cid = retry.retried_as";
    let mut select = connection.prepare(select)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let retried = blob::cid(row.get_ref(0)?.as_blob()?);
        let retry = blob::cid(row.get_ref(1)?.as_blob()?);
        let (Ok(retried), Ok(retry)) = (retried, retry) else {
            continue;
        };
        let (accept_time, request) = (row.get(2)?, row.get_ref(3)?.as_blob()?);
        let request =
            blob::decode_request(retry, ServiceName::none(), accept_time, request, cipher);
        let is_its_retry = request.map_or(true, |request| request.terms.retry_of == Some(retried));
        let detail = format!("retried as {retry}, which retries another invocation, or none");
        if !is_its_retry && !faults.add(FaultKind::RetryWrong, Some(retried), detail) {
            break;
        }
    }
    Ok(())
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
    cipher: &BlobCipher,
    faults: &mut Faults,
) -> rusqlite::Result<()> {
    let damaged = queries::operations(connection, cipher).and_then(|(_, mut damaged)| {
        damaged.extend(queries::controls(connection)?.1);
        damaged.extend(queries::api_keys(connection).err());
        Ok(damaged)
    });
    for error in damaged.unwrap_or_else(|error| vec![error]) {
        if error.reason() == reason::STORE_KEY_MISSING {
            continue;
        }
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
