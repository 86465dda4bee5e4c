//! Who calls, and the API keys of a node.

use super::connection::ContractClient;
use crate::codec::proto::v1;
use crate::model::error::Result;

impl ContractClient {
    /// Who the node takes this client for.
    ///
    /// # Errors
    ///
    /// `UNAUTHENTICATED`; `UNAVAILABLE` where the connection is lost.
    pub async fn caller(&self) -> Result<v1::GetCallerResponse> {
        let request = v1::GetCallerRequest {};
        self.read(async || self.security().get_caller(request).await)
            .await
    }

    /// Makes an API key.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `AUTHENTICATION_OFF`; `PERMISSION_DENIED` / `NOT_PERMITTED`; `RESOURCE_EXHAUSTED` /
    /// `API_KEY_LIMIT`; `INVALID_ARGUMENT` with all violations.
    pub async fn create_api_key(
        &self,
        request: v1::CreateApiKeyRequest,
    ) -> Result<v1::CreateApiKeyResponse> {
        let create = async || self.security().create_api_key(request.clone()).await;
        self.write(create).await
    }

    /// All API keys.
    ///
    /// # Errors
    ///
    /// `PERMISSION_DENIED` / `NOT_PERMITTED`.
    pub async fn api_keys(&self) -> Result<Vec<v1::ApiKey>> {
        let (mut keys, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListApiKeysRequest {
                page_size: 0,
                page_token,
            };
            let list = async || self.security().list_api_keys(request.clone()).await;
            let page = self.read(list).await?;
            keys.extend(page.api_keys);
            if page.next_page_token.is_empty() {
                return Ok(keys);
            }
            page_token = page.next_page_token;
        }
    }

    /// Revokes an API key.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `API_KEY_UNKNOWN`; `PERMISSION_DENIED` / `NOT_PERMITTED`.
    pub async fn revoke_api_key(&self, id: &str) -> Result<v1::ApiKey> {
        let request = v1::RevokeApiKeyRequest { id: id.to_owned() };
        let revoke = async || self.security().revoke_api_key(request.clone()).await;
        Ok(self.read(revoke).await?.api_key.unwrap_or_default())
    }
}
