//! `cidery.v1.SecurityService`: who calls, and the API keys.

use std::time::Duration;

use tonic::{Extensions, Request, Response, Status};

use super::request::{into_status, malformed_page_token};
use crate::codec::convert::{
    FieldErrors, api_key_to_proto, caller_to_proto, duration_from_proto, new_rights_from_proto,
    page_size_from_proto, quota_from_proto, timestamp_to_proto,
};
use crate::codec::proto::v1;
use crate::codec::proto::v1::security_service_server::SecurityService;
use crate::edge::acts;
use crate::edge::auth::ExpireTime;
use crate::edge::caller::on_behalf_of_caller;
use crate::engine::Invoker;
use crate::engine::access::{KeyRing, ListedKey, NewApiKey, audit, id_of_key};
use crate::model::access::{Caller, Principal, Rights};
use crate::model::error::{Error, Result, reason};

/// How many keys a page has, by default and at most.
const MAX_PAGE: usize = 1_000;

/// The implementation of `SecurityService`.
#[derive(Clone, Debug)]
pub(in crate::edge) struct SecurityApi {
    invoker: Invoker,
    keys: KeyRing,
}

impl SecurityApi {
    pub(super) fn new(invoker: Invoker, keys: KeyRing) -> Self {
        Self { invoker, keys }
    }

    fn caller(&self, extensions: &Extensions) -> Caller {
        on_behalf_of_caller(&self.invoker, extensions)
            .caller()
            .clone()
    }

    /// The caller of a request, if it may administer the node.
    fn administrator(&self, extensions: &Extensions) -> Result<Caller> {
        let invoker = on_behalf_of_caller(&self.invoker, extensions);
        invoker.check_administer()?;
        Ok(invoker.caller().clone())
    }

    async fn create(
        &self,
        message: v1::CreateApiKeyRequest,
        extensions: &Extensions,
    ) -> Result<v1::CreateApiKeyResponse> {
        acts::about(extensions, &message.principal);
        let caller = self.administrator(extensions)?;
        if !self.invoker.requires_authentication() {
            let message = "authentication is off, and the first API key would lock out every other caller: stop the \
                           node, make it with `cidery key new NAME --admin --data-dir FOLDER`, then start the node";
            return Err(Error::failed_precondition(
                reason::AUTHENTICATION_OFF,
                message,
            ));
        }
        let new = new_key(message, &caller)?;
        let (key, secret) = self.keys.create(new).await?;
        audit::key_changed(&caller, "key_created", &key.id, key.principal.as_str());
        Ok(v1::CreateApiKeyResponse {
            api_key: Some(api_key_to_proto(&key)),
            secret: secret.expose().to_owned(),
        })
    }

    fn list(
        &self,
        message: &v1::ListApiKeysRequest,
        extensions: &Extensions,
    ) -> Result<v1::ListApiKeysResponse> {
        self.administrator(extensions)?;
        let size = page_size_from_proto(message.page_size, MAX_PAGE, MAX_PAGE)?;
        let keys = self.keys.list();
        let begin = match message.page_token.as_str() {
            "" => 0,
            // Keys are never removed: that of the last page is there.
            last => {
                let place = keys.iter().position(|listed| &*listed.key.id == last);
                place.ok_or_else(malformed_page_token)? + 1
            }
        };
        let page: Vec<_> = keys.iter().skip(begin).take(size).collect();
        let has_more = begin + page.len() < keys.len();
        let last = page.last().filter(|_| has_more);
        Ok(v1::ListApiKeysResponse {
            next_page_token: last.map_or_else(String::new, |last| last.key.id.to_string()),
            api_keys: page.into_iter().map(listed_to_proto).collect(),
        })
    }

    async fn revoke(
        &self,
        message: &v1::RevokeApiKeyRequest,
        extensions: &Extensions,
    ) -> Result<v1::RevokeApiKeyResponse> {
        acts::about(extensions, id_of_key(&message.id).unwrap_or_default());
        let caller = self.administrator(extensions)?;
        let revoked = self.keys.revoke(&message.id).await?;
        let (id, principal) = (&revoked.key.id, &revoked.key.principal);
        audit::key_changed(&caller, "key_revoked", id, principal.as_str());
        Ok(v1::RevokeApiKeyResponse {
            api_key: Some(listed_to_proto(&revoked)),
        })
    }
}

/// What a request for a new key asks for.
fn new_key(message: v1::CreateApiKeyRequest, caller: &Caller) -> Result<NewApiKey> {
    let mut errors = FieldErrors::default();
    let name = |path, text: &str| Principal::parse_name(path, text).map(Some);
    let principal = errors.take(name("/principal", &message.principal));
    let group = match message.group.as_str() {
        "" => None,
        group => errors.take(name("/group", group)),
    };
    let rights = message.rights.unwrap_or_default();
    let rights: Rights = errors.take(new_rights_from_proto("/rights", &rights));
    let quota = message.quota.unwrap_or_default();
    let quota = errors.take(quota_from_proto("/quota", &quota));
    let ttl: Option<Duration> = errors.take(duration_from_proto("/ttl", message.ttl));
    errors.finish()?;
    Ok(NewApiKey {
        principal: principal.unwrap_or_else(|| Principal::known("")),
        group,
        rights,
        quota,
        ttl,
        created_by: caller.principal().cloned(),
    })
}

fn listed_to_proto(listed: &ListedKey) -> v1::ApiKey {
    v1::ApiKey {
        last_use_time: listed.last_use.map(timestamp_to_proto),
        ..api_key_to_proto(&listed.key)
    }
}

#[tonic::async_trait]
impl SecurityService for SecurityApi {
    async fn get_caller(
        &self,
        request: Request<v1::GetCallerRequest>,
    ) -> Result<Response<v1::GetCallerResponse>, Status> {
        let extensions = request.extensions();
        let expire_time = extensions.get::<ExpireTime>().map(|it| it.0);
        let caller = self.caller(extensions);
        let quota = self.invoker.quota_of(&caller);
        let caller = caller_to_proto(&caller, &quota, expire_time);
        Ok(Response::new(caller))
    }

    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Result<Response<v1::CreateApiKeyResponse>, Status> {
        let (_, extensions, message) = request.into_parts();
        into_status(self.create(message, &extensions).await).map(Response::new)
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Result<Response<v1::ListApiKeysResponse>, Status> {
        into_status(self.list(request.get_ref(), request.extensions())).map(Response::new)
    }

    async fn revoke_api_key(
        &self,
        request: Request<v1::RevokeApiKeyRequest>,
    ) -> Result<Response<v1::RevokeApiKeyResponse>, Status> {
        let revoked = self.revoke(request.get_ref(), request.extensions()).await;
        into_status(revoked).map(Response::new)
    }
}
