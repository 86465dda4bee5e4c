//! The tables: created when the schema is empty, and checked each time. One node at a time does so.

use super::connection::Link;
use super::error::{Failed, first};
use super::options::PostgresOptions;
use crate::model::error::{Error, Result, reason};

const SCHEMA: &str = include_str!("schema.sql");

/// The format of the tables that this version writes.
const FORMAT: i64 = 1;
/// The claim of new invocations in a store that began empty.
const FIRST_CLAIM: i64 = 1;

const HAS_META: &str =
    "SELECT EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'meta')";
const IS_EMPTY: &str = "SELECT NOT EXISTS (
         SELECT 1 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = $1
     )";
const META: &str = "SELECT (SELECT value FROM meta WHERE key = 'format'),
         (SELECT value FROM meta WHERE key = 'claim_base')";
/// Waits for other nodes that do the same. Ends with the transaction.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('cidery.' || $1, 0))";

/// Creates the tables, unless they are there. Returns the claim of new invocations.
///
/// # Errors
///
/// `FAILED_PRECONDITION` / `STORE_UNUSABLE`: the schema is that of another program, or has a newer format.
pub(super) async fn migrate(link: &Link, options: &PostgresOptions) -> Result<i64, Failed> {
    let quoted = options.quoted_schema()?;
    let tx = link.begin().await?;
    // A node that waits for a table that another transaction uses keeps all others from it.
    link.client
        .batch_execute("SET LOCAL lock_timeout = '10s'")
        .await?;
    tx.query(LOCK, &[&options.schema]).await?;
    let has_meta = first(tx.query(HAS_META, &[&options.schema]).await?)?;
    if !has_meta.try_get::<_, bool>(0)? {
        let is_empty = first(tx.query(IS_EMPTY, &[&options.schema]).await?)?;
        if !is_empty.try_get::<_, bool>(0)? {
            return Err(unusable("has tables of another program"));
        }
        let create = format!(
            "CREATE SCHEMA IF NOT EXISTS {quoted};
             {SCHEMA}
             INSERT INTO meta (key, value) VALUES ('format', {FORMAT}), ('claim_base', {FIRST_CLAIM});"
        );
        link.client.batch_execute(&create).await?;
    }
    let row = link.client.query_one(META, &[]).await?;
    let (format, first_claim): (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    match format {
        Some(FORMAT) => {}
        Some(newer) if newer > FORMAT => {
            return Err(unusable(&format!(
                "has format {newer}, and this version knows formats up to {FORMAT}"
            )));
        }
        Some(_) | None => return Err(unusable("has an unknown format")),
    }
    tx.commit().await?;
    Ok(first_claim.unwrap_or(FIRST_CLAIM))
}

/// `FAILED_PRECONDITION` / `STORE_UNUSABLE`.
fn unusable(what: &str) -> Failed {
    let message = format!("the schema of the store {what}");
    Failed::Own(Error::failed_precondition(reason::STORE_UNUSABLE, message))
}
