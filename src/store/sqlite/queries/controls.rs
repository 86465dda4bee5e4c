//! Reads which services are paused or disabled.

use rusqlite::Connection;

use crate::model::error::{Error, Result};
use crate::model::id::ServiceName;
use crate::model::service_control::{ControlCause, Disabled, Paused, ServiceControl};
use crate::store::blob;
use crate::store::sqlite::error::failed;

/// Reads the controls of all services, and why others cannot be read.
pub(in crate::store::sqlite) fn controls(
    connection: &Connection,
) -> Result<(Vec<ServiceControl>, Vec<Error>)> {
    let read = || {
        let select = "SELECT service, pause_time, pause_reason, pause_principal, background_only, disable_time,
             disable_reason, disable_principal FROM service_control";
        let mut select = connection.prepare_cached(select)?;
        let rows = select.query_map([], |row| {
            let cause = |at: usize| -> rusqlite::Result<ControlCause> {
                Ok(ControlCause {
                    reason: row.get(at)?,
                    principal: row.get(at + 1)?,
                })
            };
            let (pause, disable) = (cause(2)?, cause(6)?);
            let background_only = row.get(4)?;
            let paused = row.get::<_, Option<i64>>(1)?.map(|time| Paused {
                background_only,
                cause: pause,
                time: blob::timestamp(time),
            });
            let disabled = row.get::<_, Option<i64>>(5)?.map(|time| Disabled {
                cause: disable,
                time: blob::timestamp(time),
            });
            Ok((row.get::<_, String>(0)?, paused, disabled))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let (mut controls, mut damaged) = (Vec::new(), Vec::new());
    for (name, paused, disabled) in read().map_err(failed)? {
        match ServiceName::parse(&name) {
            Ok(service) => controls.push(ServiceControl {
                service,
                paused,
                disabled,
            }),
            Err(error) => damaged.push(blob::damaged(format_args!(
                "the control of `{name}`: {}",
                error.message()
            ))),
        }
    }
    Ok((controls, damaged))
}
