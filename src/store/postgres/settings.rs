//! What a database must be set to, before it is used.

use super::connection::Link;
use super::error::{Failed, first};
use super::options::PostgresOptions;
use crate::model::error::{Error, Result, reason};

/// The oldest version of PostgreSQL that is tested.
const MIN_VERSION: i32 = 150_000;

const SETTINGS: &str = "SELECT current_setting('server_version_num')::integer, current_setting('fsync') = 'on',
         current_setting('full_page_writes') = 'on', current_setting('synchronous_standby_names') <> '',
         pg_is_in_recovery(), has_database_privilege(current_database(), 'CREATE'),
         EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1), current_user::text";

/// Refuses a database on which what is committed can be lost, and names what is missing.
///
/// # Errors
///
/// `FAILED_PRECONDITION` / `STORE_UNUSABLE`.
pub(super) async fn check(link: &Link, options: &PostgresOptions) -> Result<(), Failed> {
    let row = first(link.query(SETTINGS, &[&options.schema]).await?)?;
    let place = options.place();
    let refused = |what: &str| {
        let message = format!("the database {place} {what}");
        Err(Failed::Own(Error::failed_precondition(
            reason::STORE_UNUSABLE,
            message,
        )))
    };
    let version: i32 = row.try_get(0)?;
    if version < MIN_VERSION {
        let version = version / 10_000;
        return refused(&format!(
            "is PostgreSQL {version}; version 15 is the first that is supported"
        ));
    }
    if !row.try_get::<_, bool>(1)? {
        return refused("has `fsync = off`: what is committed may be lost");
    }
    if !row.try_get::<_, bool>(2)? {
        return refused("has `full_page_writes = off`: a crash may damage it");
    }
    if row.try_get::<_, bool>(4)? {
        return refused("is a standby: it cannot be written");
    }
    let (may_create, exists): (bool, bool) = (row.try_get(5)?, row.try_get(6)?);
    if !exists && !may_create {
        let (user, schema): (&str, _) = (row.try_get(7)?, &options.schema);
        return refused(&format!(
            "has no schema `{schema}`, and the user `{user}` has no privilege `CREATE` to make it"
        ));
    }
    if !row.try_get::<_, bool>(3)? {
        tracing::warn!(
            database = place,
            "the database has no synchronous standby: what its machine loses is lost"
        );
    }
    Ok(())
}
