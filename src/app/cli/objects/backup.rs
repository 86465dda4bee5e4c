//! The object of a copy of the store of a node.

use crate::app::cli::names::{backup_phase_name, text_value, time_value};
use crate::codec::proto::v1;
use crate::dict;
use crate::model::value::Value;

/// `stored_backup` in the schema.
pub(in crate::app::cli) fn stored_backup(backup: &v1::Backup) -> Value {
    let is_known = !backup.sha256.is_empty();
    dict! {
        "name": backup.name.as_str(),
        "bytes": backup.bytes,
        "create_time": time_value(backup.create_time.as_ref()),
        "sha256": text_value(&backup.sha256),
        "invocations": is_known.then_some(backup.invocations),
        "temporary": backup.temporary,
        "phase": backup.fraction.map(|_| backup_phase_name(backup.phase)),
        "fraction": backup.fraction,
    }
    .into()
}
