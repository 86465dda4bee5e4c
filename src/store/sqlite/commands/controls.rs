//! Remembers which services are paused or disabled, and forgets it.

use rusqlite::params;

use super::command::Command;
use super::transaction::Tx;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::model::service_control::ServiceControl;
use crate::store::sqlite::blob;

const SET: &str = "INSERT OR REPLACE INTO service_control
     (service, paused, background_only, disabled, reason, principal, time) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// Remembers that a service is paused or disabled.
#[derive(Debug)]
pub(in crate::store::sqlite) struct SetControl(pub(in crate::store::sqlite) ServiceControl);

impl Command for SetControl {
    type Reply = ();

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<()>> {
        let control = &self.0;
        tx.prepare(SET)?.execute(params![
            control.service.as_str(),
            control.paused,
            control.background_only,
            control.disabled,
            control.cause.reason,
            control.cause.principal,
            blob::nanos(control.time),
        ])?;
        Ok(Ok(()))
    }
}

/// Forgets that a service is paused or disabled.
#[derive(Debug)]
pub(in crate::store::sqlite) struct RemoveControl(pub(in crate::store::sqlite) ServiceName);

impl Command for RemoveControl {
    type Reply = ();

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<()>> {
        remove_control(tx, &self.0)?;
        Ok(Ok(()))
    }
}

/// Removes the control of a service, if it has one.
pub(super) fn remove_control(tx: &Tx<'_>, service: &ServiceName) -> rusqlite::Result<()> {
    let delete = "DELETE FROM service_control WHERE service = ?1";
    tx.execute(delete, [service.as_str()]).map(drop)
}
