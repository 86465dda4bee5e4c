//! Who calls, and what the caller may do.

mod api_key;
mod caller;
mod pattern;
mod principal;
mod principals;
mod quota;
mod rights;

pub use self::api_key::ApiKey;
pub use self::caller::{Caller, Credential, Identity};
pub use self::pattern::NamePattern;
pub use self::principal::Principal;
pub use self::principals::{Owners, Principals};
pub use self::quota::Quota;
pub use self::rights::{Rights, Scope};
