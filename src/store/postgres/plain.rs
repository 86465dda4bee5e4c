//! What is stored beside invocations: declarations, controls, operations and API keys.

use prost::Message as _;
use tokio_postgres::Row;
use uuid::Uuid;

use super::connection::Link;
use super::error::Failed;
use super::shared::Shared;
use crate::codec::convert::{quota_from_proto, quota_to_proto, rights_from_proto, rights_to_proto};
use crate::codec::proto::v1;
use crate::engine::store::{SecretHash, StoredApiKey, StoredDeclaration, StoredOperation};
use crate::model::access::{ApiKey, Principal};
use crate::model::error::{Error, Result};
use crate::model::id::ServiceName;
use crate::model::operation::{OperationId, OperationProgress};
use crate::model::service_control::{ControlCause, Disabled, Paused, ServiceControl};
use crate::store::blob;
use crate::store::cipher::BlobCipher;
use crate::store::state_column::{decode_operation_state, encode_operation_state};

const REMEMBER: &str = "INSERT INTO announced (service, hash, first_time, last_time, declaration, principal)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[], $6::text[])
         AS n (service, hash, first_time, last_time, declaration, principal) ORDER BY service, hash
     ON CONFLICT (service, hash) DO UPDATE SET last_time = excluded.last_time";
const DECLARATIONS: &str =
    "SELECT service, hash, first_time, last_time, declaration, principal FROM announced";
const FORGET: &str = "WITH control AS (DELETE FROM service_control WHERE service = $1)
     DELETE FROM announced WHERE service = $1";

const SET_CONTROL: &str =
    "INSERT INTO service_control (service, pause_time, pause_reason, pause_principal,
         background_only, disable_time, disable_reason, disable_principal)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (service) DO UPDATE SET pause_time = $2, pause_reason = $3, pause_principal = $4,
         background_only = $5, disable_time = $6, disable_reason = $7, disable_principal = $8";
const REMOVE_CONTROL: &str = "DELETE FROM service_control WHERE service = $1";
const CONTROLS: &str =
    "SELECT service, pause_time, pause_reason, pause_principal, background_only, disable_time,
         disable_reason, disable_principal
     FROM service_control";

const SAVE_OPERATION: &str =
    "INSERT INTO operation (id, state, create_time, end_time, request, position, progress, session)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (id) DO UPDATE SET state = $2, end_time = $4, position = $6, progress = $7, session = $8";
/// Takes over the operations of nodes that are gone: another one must not go on with what its node works on.
const TAKE_OVER: &str = "UPDATE operation SET session = $1 WHERE end_time IS NULL AND session <> $1
         AND NOT EXISTS (SELECT 1 FROM session WHERE session.id = operation.session AND NOT dead)";
const OPERATIONS: &str =
    "SELECT id, state, create_time, end_time, request, position, progress FROM operation
     WHERE end_time IS NOT NULL OR session = $1";
const REMOVE_OPERATIONS: &str = "DELETE FROM operation WHERE id = ANY ($1::uuid[])";

const SAVE_KEY: &str = "INSERT INTO api_key (id, secret_hash, principal, principal_group, rights, create_time,
         created_by, expire_time, revoke_time, quota)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     ON CONFLICT (id) DO UPDATE SET secret_hash = $2, principal = $3, principal_group = $4, rights = $5,
         create_time = $6, created_by = $7, expire_time = $8, revoke_time = $9, quota = $10";
const KEYS: &str =
    "SELECT id, secret_hash, principal, principal_group, rights, create_time, created_by,
         expire_time, revoke_time, quota
     FROM api_key";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Remembers declarations, of which no two are of the same service and hash.
pub(super) async fn remember(
    link: &Link,
    declarations: &[StoredDeclaration],
) -> Result<(), Failed> {
    fn all<'d, T>(
        declarations: &'d [StoredDeclaration],
        column: impl Fn(&'d StoredDeclaration) -> T,
    ) -> Vec<T> {
        declarations.iter().map(column).collect()
    }
    link.query(
        REMEMBER,
        &[
            &all(declarations, |one| one.service.as_str()),
            &all(declarations, |one| one.hash.as_str()),
            &all(declarations, |one| blob::nanos(one.first_time)),
            &all(declarations, |one| blob::nanos(one.last_time)),
            &all(declarations, |one| one.declaration.as_slice()),
            &all(declarations, |one| {
                one.principal.as_ref().map(Principal::as_str)
            }),
        ],
    )
    .await?;
    Ok(())
}

pub(super) async fn declarations(link: &Link) -> Result<Vec<StoredDeclaration>, Failed> {
    let declaration = |row: &Row| {
        Ok(StoredDeclaration {
            service: ServiceName::from_record(row.try_get(0)?)?,
            hash: row.try_get(1)?,
            first_time: blob::timestamp(row.try_get(2)?),
            last_time: blob::timestamp(row.try_get(3)?),
            declaration: row.try_get(4)?,
            principal: row.try_get::<_, Option<&str>>(5)?.map(Principal::known),
        })
    };
    let rows = link.query(DECLARATIONS, &[]).await?;
    rows.iter().map(declaration).collect()
}

/// Forgets the declarations of a service, and its control.
pub(super) async fn forget(link: &Link, service: &ServiceName) -> Result<(), Failed> {
    link.query(FORGET, &[&service.as_str()]).await.map(drop)
}

pub(super) async fn set_control(link: &Link, control: &ServiceControl) -> Result<(), Failed> {
    let none = ControlCause::default();
    let (paused, disabled) = (control.paused.as_ref(), control.disabled.as_ref());
    let pause = paused.map_or(&none, |paused| &paused.cause);
    let disable = disabled.map_or(&none, |disabled| &disabled.cause);
    link.query(
        SET_CONTROL,
        &[
            &control.service.as_str(),
            &paused.map(|paused| blob::nanos(paused.time)),
            &pause.reason.as_bytes(),
            &pause.principal.as_bytes(),
            &control.is_background_only(),
            &disabled.map(|disabled| blob::nanos(disabled.time)),
            &disable.reason.as_bytes(),
            &disable.principal.as_bytes(),
        ],
    )
    .await
    .map(drop)
}

pub(super) async fn remove_control(link: &Link, service: &ServiceName) -> Result<(), Failed> {
    link.query(REMOVE_CONTROL, &[&service.as_str()])
        .await
        .map(drop)
}

pub(super) async fn controls(link: &Link) -> Result<Vec<ServiceControl>, Failed> {
    let control = |row: &Row| {
        let cause = |reason: usize, principal: usize| {
            Ok::<_, tokio_postgres::Error>(ControlCause {
                reason: text(row.try_get(reason)?),
                principal: text(row.try_get(principal)?),
            })
        };
        let (pause, disable) = (cause(2, 3)?, cause(6, 7)?);
        let background_only = row.try_get(4)?;
        Ok(ServiceControl {
            service: ServiceName::from_record(row.try_get(0)?)?,
            paused: row.try_get::<_, Option<i64>>(1)?.map(|time| Paused {
                background_only,
                cause: pause,
                time: blob::timestamp(time),
            }),
            disabled: row.try_get::<_, Option<i64>>(5)?.map(|time| Disabled {
                cause: disable,
                time: blob::timestamp(time),
            }),
        })
    };
    let rows = link.query(CONTROLS, &[]).await?;
    rows.iter().map(control).collect()
}

pub(super) async fn save_operation(
    link: &Link,
    shared: &Shared,
    operation: StoredOperation,
) -> Result<(), Failed> {
    let cipher = &shared.cipher;
    let id = operation.id;
    let request = blob::seal_operation_request(id, operation.request, cipher)?;
    let progress = blob::encode_operation_progress(id, &operation.progress, cipher)?;
    let state = encode_operation_state(operation.progress.state);
    link.query(
        SAVE_OPERATION,
        &[
            &Uuid::from_bytes(*id.as_bytes()),
            &i16::try_from(state).unwrap_or_default(),
            &blob::nanos(operation.create_time),
            &operation.progress.end_time.map(blob::nanos),
            &request,
            &i64::try_from(operation.position).unwrap_or(i64::MAX),
            &progress,
            &shared.session(),
        ],
    )
    .await
    .map(drop)
}

/// All operations but those that another node works on; those that cannot be read are logged and left out.
pub(super) async fn operations(
    link: &Link,
    shared: &Shared,
) -> Result<Vec<StoredOperation>, Failed> {
    let session = shared.session();
    link.query(TAKE_OVER, &[&session]).await?;
    let mut operations = Vec::new();
    for row in &link.query(OPERATIONS, &[&session]).await? {
        match operation(row, &shared.cipher) {
            Ok(operation) => operations.push(operation),
            Err(Failed::Own(error)) => tracing::error!(%error, "cannot read an operation"),
            Err(failed) => return Err(failed),
        }
    }
    Ok(operations)
}

fn operation(row: &Row, cipher: &BlobCipher) -> Result<StoredOperation, Failed> {
    let id = OperationId::from_bytes(*row.try_get::<_, Uuid>(0)?.as_bytes());
    let progress = OperationProgress {
        state: decode_operation_state(row.try_get::<_, i16>(1)?.into())?,
        end_time: row.try_get::<_, Option<i64>>(3)?.map(blob::timestamp),
        ..blob::decode_operation_progress(id, row.try_get(6)?, cipher)?
    };
    Ok(StoredOperation {
        id,
        create_time: blob::timestamp(row.try_get(2)?),
        request: blob::open_operation_request(id, row.try_get(4)?, cipher)?,
        position: u64::try_from(row.try_get::<_, i64>(5)?).unwrap_or_default(),
        progress,
    })
}

pub(super) async fn remove_operations(link: &Link, ids: &[OperationId]) -> Result<(), Failed> {
    let ids = ids.iter().map(|id| Uuid::from_bytes(*id.as_bytes()));
    let ids: Vec<_> = ids.collect();
    link.query(REMOVE_OPERATIONS, &[&ids]).await.map(drop)
}

pub(super) async fn save_api_key(link: &Link, stored: &StoredApiKey) -> Result<(), Failed> {
    let StoredApiKey { key, secret_hash } = stored;
    link.query(
        SAVE_KEY,
        &[
            &&*key.id,
            &secret_hash.0.as_slice(),
            &key.principal.as_str(),
            &key.group.as_ref().map(Principal::as_str),
            &rights_to_proto(&key.rights).encode_to_vec(),
            &blob::nanos(key.create_time),
            &key.created_by.as_ref().map(Principal::as_str),
            &key.expire_time.map(blob::nanos),
            &key.revoke_time.map(blob::nanos),
            &quota_to_proto(&key.quota).map(|quota| quota.encode_to_vec()),
        ],
    )
    .await
    .map(drop)
}

pub(super) async fn api_keys(link: &Link) -> Result<Vec<StoredApiKey>, Failed> {
    let rows = link.query(KEYS, &[]).await?;
    rows.iter().map(api_key).collect()
}

fn api_key(row: &Row) -> Result<StoredApiKey, Failed> {
    let id: &str = row.try_get(0)?;
    let damaged = |what: &dyn std::fmt::Display| -> Error {
        blob::damaged(format_args!("the API key `{id}`: {what}"))
    };
    let rights =
        v1::Rights::decode(row.try_get::<_, &[u8]>(4)?).map_err(|error| damaged(&error))?;
    let rights = rights_from_proto("/rights", &rights).map_err(|error| damaged(&error))?;
    let quota = row.try_get::<_, Option<&[u8]>>(9)?.unwrap_or_default();
    let quota = v1::Quota::decode(quota).map_err(|error| damaged(&error))?;
    let quota = quota_from_proto("/quota", &quota).map_err(|error| damaged(&error))?;
    let secret_hash = <[u8; 32]>::try_from(row.try_get::<_, &[u8]>(1)?);
    let secret_hash = secret_hash.map_err(|error| damaged(&error))?;
    let name = |name: Option<&str>| name.map(Principal::known);
    let time =
        |column| Ok::<_, Failed>(row.try_get::<_, Option<i64>>(column)?.map(blob::timestamp));
    Ok(StoredApiKey {
        key: ApiKey {
            id: id.into(),
            principal: Principal::known(row.try_get(2)?),
            group: name(row.try_get(3)?),
            rights,
            quota,
            create_time: blob::timestamp(row.try_get(5)?),
            created_by: name(row.try_get(6)?),
            expire_time: time(7)?,
            revoke_time: time(8)?,
        },
        secret_hash: SecretHash(secret_hash),
    })
}
