//! Authentication: who calls. Each gRPC request gets its [`Caller`](crate::model::access::Caller) here, or is refused.

mod attempts;
mod authenticated;
mod authenticator;
mod bearer;
mod certificate_name;
mod certificates;
mod connection_credentials;
#[cfg(test)]
mod fuzz_tests;
#[cfg(feature = "jwt")]
mod jwt;
mod options;
mod principal_list;
#[cfg(feature = "console")]
mod session_cookie;
#[cfg(feature = "console")]
mod session_life;
#[cfg(feature = "console")]
mod sessions;

pub(super) use self::authenticated::{Authenticated, ExpireTime};
pub(crate) use self::authenticator::Authenticator;
pub(super) use self::certificates::PeerNames;
pub(super) use self::connection_credentials::ConnectionCredentials;
#[cfg(feature = "jwt")]
pub use self::jwt::JwtOptions;
pub use self::options::{AccessOptions, CertificateRule};
#[cfg(feature = "console")]
pub(super) use self::session_cookie::{SessionCookie, cross_site};
#[cfg(feature = "console")]
pub(super) use self::sessions::{NewSession, Sessions};
