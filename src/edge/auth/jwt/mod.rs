//! JSON Web Tokens of an issuer as credentials.

mod cache;
mod claims;
mod key_set;
mod options;
mod verifier;

pub use self::options::JwtOptions;
pub(super) use self::verifier::TokenVerifier;
