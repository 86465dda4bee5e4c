//! Reads API keys.

use prost::Message as _;
use rusqlite::Connection;

use crate::codec::convert::{quota_from_proto, rights_from_proto};
use crate::codec::proto::v1;
use crate::engine::store::{SecretHash, StoredApiKey};
use crate::model::access::{ApiKey, Principal};
use crate::model::error::Result;
use crate::store::blob;
use crate::store::sqlite::error::failed;

/// Reads all API keys.
pub(in crate::store::sqlite) fn api_keys(connection: &Connection) -> Result<Vec<StoredApiKey>> {
    let read = || {
        let select = "SELECT id, secret_hash, principal, principal_group, rights, create_time, created_by, expire_time,
             revoke_time, quota FROM api_key";
        let mut select = connection.prepare(select)?;
        let rows = select.query_map([], |row| {
            Ok(ApiKeyRow {
                id: row.get(0)?,
                secret_hash: row.get(1)?,
                principal: row.get(2)?,
                group: row.get(3)?,
                rights: row.get(4)?,
                create_time: row.get(5)?,
                created_by: row.get(6)?,
                expire_time: row.get(7)?,
                revoke_time: row.get(8)?,
                quota: row.get(9)?,
            })
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let rows = read().map_err(failed)?;
    rows.into_iter().map(ApiKeyRow::decode).collect()
}

/// The columns of an API key.
struct ApiKeyRow {
    id: String,
    secret_hash: [u8; 32],
    principal: String,
    group: Option<String>,
    rights: Vec<u8>,
    create_time: i64,
    created_by: Option<String>,
    expire_time: Option<i64>,
    revoke_time: Option<i64>,
    quota: Option<Vec<u8>>,
}

impl ApiKeyRow {
    fn decode(self) -> Result<StoredApiKey> {
        let damaged = |what: &dyn std::fmt::Display| {
            blob::damaged(format_args!("the API key `{}`: {what}", self.id))
        };
        let rights = v1::Rights::decode(&*self.rights).map_err(|error| damaged(&error))?;
        let rights = rights_from_proto("/rights", &rights).map_err(|error| damaged(&error))?;
        let quota = v1::Quota::decode(self.quota.as_deref().unwrap_or_default());
        let quota = quota.map_err(|error| damaged(&error))?;
        let quota = quota_from_proto("/quota", &quota).map_err(|error| damaged(&error))?;
        let name = |name: Option<String>| name.map(|name| Principal::known(&name));
        Ok(StoredApiKey {
            key: ApiKey {
                id: self.id.into(),
                principal: Principal::known(&self.principal),
                group: name(self.group),
                rights,
                quota,
                create_time: blob::timestamp(self.create_time),
                created_by: name(self.created_by),
                expire_time: self.expire_time.map(blob::timestamp),
                revoke_time: self.revoke_time.map(blob::timestamp),
            },
            secret_hash: SecretHash(self.secret_hash),
        })
    }
}
