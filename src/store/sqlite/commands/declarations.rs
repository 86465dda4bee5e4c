//! Remembers what workers declare of their services, and forgets it together with the control of a service.

use rusqlite::params;

use super::command::Command;
use super::controls::remove_control;
use super::transaction::Tx;
use crate::engine::store::StoredDeclaration;
use crate::model::access::Principal;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::store::blob;

const INSERT: &str =
    "INSERT INTO announced (service, hash, first_time, last_time, declaration, principal)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET last_time = ?4";

/// Remembers declarations; the time at which one was first seen stays, and its principal.
#[derive(Debug)]
pub(in crate::store::sqlite) struct RememberDeclarations(
    pub(in crate::store::sqlite) Vec<StoredDeclaration>,
);

impl Command for RememberDeclarations {
    type Reply = ();

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<()>> {
        let mut insert = tx.prepare(INSERT)?;
        for declaration in &self.0 {
            insert.execute(params![
                declaration.service.as_str(),
                declaration.hash,
                blob::nanos(declaration.first_time),
                blob::nanos(declaration.last_time),
                declaration.declaration,
                declaration.principal.as_ref().map(Principal::as_str),
            ])?;
        }
        Ok(Ok(()))
    }

    fn rows(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|one| one.declaration.len()).sum()
    }
}

/// Forgets all declarations of a service, and its control.
#[derive(Debug)]
pub(in crate::store::sqlite) struct ForgetDeclarations(pub(in crate::store::sqlite) ServiceName);

impl Command for ForgetDeclarations {
    type Reply = ();

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<()>> {
        tx.execute(
            "DELETE FROM announced WHERE service = ?1",
            [self.0.as_str()],
        )?;
        remove_control(tx, &self.0)?;
        Ok(Ok(()))
    }
}
