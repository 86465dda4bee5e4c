//! JSON Web Tokens of an issuer as credentials.

mod cache;
mod claims;
#[cfg(feature = "tls")]
mod fetch;
#[cfg(test)]
mod fuzz_tests;
mod key_set;
mod key_source;
mod options;
mod verifier;

pub use self::options::JwtOptions;
pub(super) use self::verifier::TokenVerifier;
