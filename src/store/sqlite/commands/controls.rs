//! Remembers which services are paused or disabled, and forgets it.

use rusqlite::params;

use super::command::Command;
use super::transaction::Tx;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::model::service_control::{ControlCause, ServiceControl};
use crate::store::blob;

const SET: &str = "INSERT OR REPLACE INTO service_control
     (service, pause_time, pause_reason, pause_principal, background_only, disable_time, disable_reason,
      disable_principal)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// Remembers that a service is paused or disabled.
#[derive(Debug)]
pub(in crate::store::sqlite) struct SetControl(pub(in crate::store::sqlite) ServiceControl);

impl Command for SetControl {
    type Reply = ();

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<()>> {
        let control = &self.0;
        let (paused, disabled) = (control.paused.as_ref(), control.disabled.as_ref());
        let none = ControlCause::default();
        let pause = paused.map_or(&none, |paused| &paused.cause);
        let disable = disabled.map_or(&none, |disabled| &disabled.cause);
        tx.prepare(SET)?.execute(params![
            control.service.as_str(),
            paused.map(|paused| blob::nanos(paused.time)),
            pause.reason,
            pause.principal,
            control.is_background_only(),
            disabled.map(|disabled| blob::nanos(disabled.time)),
            disable.reason,
            disable.principal,
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
