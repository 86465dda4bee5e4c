//! What a caller is told to send whose credential is missing or refused (RFC 6750): the header `www-authenticate`.

use http::HeaderValue;

use crate::model::error::reason;

/// The value of the header, by the reason of the failure.
pub(super) fn challenge(why: &str) -> HeaderValue {
    HeaderValue::from_static(match why {
        reason::CREDENTIAL_INVALID => "Bearer realm=\"cidery\", error=\"invalid_token\"",
        _ => "Bearer realm=\"cidery\"",
    })
}
