//! Stores API keys.

use prost::Message as _;
use rusqlite::params;

use super::command::Command;
use super::transaction::Tx;
use crate::codec::convert::{quota_to_proto, rights_to_proto};
use crate::engine::store::StoredApiKey;
use crate::model::access::Principal;
use crate::model::error::Result;
use crate::store::blob;

const SET: &str = "INSERT OR REPLACE INTO api_key
     (id, secret_hash, principal, principal_group, rights, create_time, created_by, expire_time, revoke_time, quota)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

/// Stores an API key, in place of what was stored of it. Not refused as new work.
#[derive(Debug)]
pub(in crate::store::sqlite) struct SaveApiKey(pub(in crate::store::sqlite) StoredApiKey);

impl Command for SaveApiKey {
    type Reply = ();

    fn apply(&self, tx: &mut Tx<'_>) -> rusqlite::Result<Result<()>> {
        let StoredApiKey { key, secret_hash } = &self.0;
        let values = params![
            &*key.id,
            secret_hash.0,
            key.principal.as_str(),
            key.group.as_ref().map(Principal::as_str),
            rights_to_proto(&key.rights).encode_to_vec(),
            blob::nanos(key.create_time),
            key.created_by.as_ref().map(Principal::as_str),
            key.expire_time.map(blob::nanos),
            key.revoke_time.map(blob::nanos),
            quota_to_proto(&key.quota).map(|quota| quota.encode_to_vec()),
        ];
        tx.execute(SET, values)?;
        Ok(Ok(()))
    }
}
