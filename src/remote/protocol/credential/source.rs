//! Where a credential comes from.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use crate::model::error::{Error, Kind, Result, reason};

/// What a client or a worker proves its identity with. Cheap to clone; its debug form has no secret.
#[derive(Clone)]
pub struct ClientCredential {
    source: Arc<Source>,
    /// Whether it may be sent in plain text to another machine.
    is_insecure: bool,
}

enum Source {
    /// The header of a text that stays the same.
    Fixed(HeaderValue),
    /// Asked for each call.
    Provider(Box<dyn Fn() -> Result<String> + Send + Sync>),
}

impl ClientCredential {
    /// An API key, or a token that stays the same. Space around it is left out: files end with a line feed.
    ///
    /// # Errors
    ///
    /// `UNAUTHENTICATED` / `CREDENTIAL_INVALID` for a text that no header can hold, or an empty one.
    pub fn api_key(key: &str) -> Result<Self> {
        Ok(Self::from(Source::Fixed(header(key)?)))
    }

    /// What a function returns, which is called for each call and must not block.
    pub fn provider(provider: impl Fn() -> Result<String> + Send + Sync + 'static) -> Self {
        Self::from(Source::Provider(Box::new(provider)))
    }

    fn from(source: Source) -> Self {
        Self {
            source: Arc::new(source),
            is_insecure: false,
        }
    }

    /// Lets it be sent in plain text to another machine.
    #[must_use]
    pub fn insecure(mut self) -> Self {
        self.is_insecure = true;
        self
    }

    /// Whether it may be sent in plain text to another machine.
    pub(super) fn is_insecure(&self) -> bool {
        self.is_insecure
    }

    /// The header of the next call.
    pub(super) fn header(&self) -> Result<HeaderValue> {
        match &*self.source {
            Source::Fixed(header) => Ok(header.clone()),
            Source::Provider(provider) => header(&provider()?),
        }
    }
}

/// The header with a credential.
///
/// Marked as sensitive, for its debug form. `h2` sends credentials whole with each call, marked or not.
fn header(credential: &str) -> Result<HeaderValue> {
    let credential = credential.trim();
    let is_token = |byte: u8| byte.is_ascii_graphic();
    let value = match credential.is_empty() || !credential.bytes().all(is_token) {
        true => None,
        false => HeaderValue::try_from(format!("Bearer {credential}")).ok(),
    };
    let mut value = value.ok_or_else(|| {
        let message = "the credential is empty, or has characters that no API key and no token has";
        Error::new(Kind::Unauthenticated, reason::CREDENTIAL_INVALID, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for ClientCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCredential")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_trimmed_and_never_shown() {
        let credential = ClientCredential::api_key(" cdy_id_secret\n").unwrap();
        assert_eq!(credential.header().unwrap(), "Bearer cdy_id_secret");
        assert_eq!(format!("{credential:?}"), "ClientCredential");
        for wrong in ["", " \n", "cdy_\nsecret", "cdy secret", "é"] {
            let error = ClientCredential::api_key(wrong).unwrap_err();
            assert!(
                !format!("{error:?}{error:#?}").contains("secret"),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_provider_is_asked_each_time() {
        let calls = std::sync::atomic::AtomicU32::new(0);
        let credential = ClientCredential::provider(move || {
            let calls = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(format!("token{calls}"))
        });
        assert_eq!(credential.header().unwrap(), "Bearer token0");
        assert_eq!(credential.header().unwrap(), "Bearer token1");
    }
}
