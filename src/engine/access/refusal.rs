//! Refusals: which right is missing, and how to get it.

use super::audit;
use crate::model::access::{Caller, Identity};
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::{ServiceName, truncated};

/// A right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Right {
    Invoke,
    Serve,
    Read,
    /// To read the invocations of all principals.
    ReadAll,
    Control,
    Administer,
}

impl Right {
    /// Its name: in the info of an error, and in the log.
    fn name(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::Serve => "serve",
            Self::Read | Self::ReadAll => "read",
            Self::Control => "control",
            Self::Administer => "administer",
        }
    }

    /// The option of `cidery key new` that gives it.
    fn option(self, service: Option<&str>) -> String {
        match (self, service) {
            (Self::Administer, _) => "--admin".to_owned(),
            (Self::ReadAll, _) => "--read all".to_owned(),
            (Self::Read | Self::Control, _) => format!("--{} own", self.name()),
            (Self::Invoke | Self::Serve, Some(service)) => format!("--{} '{service}'", self.name()),
            (Self::Invoke | Self::Serve, None) => format!("--{} PATTERN", self.name()),
        }
    }
}

/// The identity of a caller; `None` if it may do everything.
///
/// # Errors
///
/// `UNAUTHENTICATED` / `CREDENTIAL_REQUIRED`, logged. `what` is what it asked for.
pub(in crate::engine) fn identity<'a>(
    caller: &'a Caller,
    what: &str,
) -> Result<Option<&'a Identity>> {
    match caller {
        Caller::Trusted => Ok(None),
        Caller::Authenticated(identity) => Ok(Some(identity)),
        Caller::Unauthenticated => {
            audit::refused(caller, &shown(what), reason::CREDENTIAL_REQUIRED);
            Err(credential_required())
        }
    }
}

/// A text from outside, for the audit log.
fn shown(text: &str) -> String {
    truncated(text).escape_debug().to_string()
}

/// `UNAUTHENTICATED` / `CREDENTIAL_REQUIRED`.
fn credential_required() -> Error {
    let message = "this node asks who calls: send an API key as `authorization: Bearer KEY` (the command line takes it \
                   from CIDERY_API_KEY)";
    Error::new(Kind::Unauthenticated, reason::CREDENTIAL_REQUIRED, message)
}

/// `PERMISSION_DENIED` / `NOT_PERMITTED`, logged. `may_not` says what the caller may not do, such as "invoke".
pub(in crate::engine) fn not_permitted(
    caller: &Caller,
    right: Right,
    may_not: &str,
    service: Option<&str>,
) -> Error {
    let what = service.map_or_else(
        || may_not.to_owned(),
        |service| format!("{may_not} {}", shown(service)),
    );
    audit::refused(caller, &what, reason::NOT_PERMITTED);
    let principal = caller
        .principal()
        .map_or("", |principal| principal.as_str());
    // A name from outside is only part of a command line if it is a name.
    let pattern = service.filter(|service| ServiceName::parse(service).is_ok());
    let option = right.option(pattern);
    let shown = service.map(|service| format!(" `{}`", truncated(service)));
    let message = format!(
        "`{principal}` may not {may_not}{}: `cidery whoami` shows what it may do; a key that an operator makes with \
         `cidery key new` and `{option}` allows it",
        shown.unwrap_or_default()
    );
    let error = Error::new(Kind::PermissionDenied, reason::NOT_PERMITTED, message)
        .with_info("principal", principal)
        .with_info("right", right.name());
    match service {
        Some(service) => error.with_info("service", truncated(service)),
        None => error,
    }
}
