//! Reads which services are paused or disabled.

use rusqlite::Connection;

use crate::model::error::{Error, Result};
use crate::model::id::ServiceName;
use crate::model::service_control::{ControlCause, ServiceControl};
use crate::store::sqlite::blob;
use crate::store::sqlite::error::failed;

/// Reads the controls of all services, and why others cannot be read.
pub(in crate::store::sqlite) fn controls(
    connection: &Connection,
) -> Result<(Vec<ServiceControl>, Vec<Error>)> {
    let read = || {
        let select = "SELECT service, paused, background_only, disabled, reason, principal, time
             FROM service_control";
        let mut select = connection.prepare_cached(select)?;
        let rows = select.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                [row.get::<_, bool>(1)?, row.get(2)?, row.get(3)?],
                row.get::<_, String>(4)?,
                row.get::<_, String>(5)?,
                row.get::<_, i64>(6)?,
            ))
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let (mut controls, mut damaged) = (Vec::new(), Vec::new());
    for (name, flags, reason, principal, time) in read().map_err(failed)? {
        let [paused, background_only, disabled] = flags;
        match ServiceName::parse(&name) {
            Ok(service) => controls.push(ServiceControl {
                service,
                paused,
                background_only,
                disabled,
                cause: ControlCause { reason, principal },
                time: blob::timestamp(time),
            }),
            Err(error) => damaged.push(blob::damaged(format_args!(
                "the control of `{name}`: {}",
                error.message()
            ))),
        }
    }
    Ok((controls, damaged))
}
