//! `cidery key new`.

use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};

use super::place::{Place, PlaceArgs};
use crate::app::cli::args::positive_duration;
use crate::app::cli::objects;
use crate::app::cli::printer::{Printer, Tone};
use crate::app::config::rate;
use crate::codec::convert::{
    api_key_to_proto, duration_to_proto, new_rights_from_proto, quota_from_proto,
};
use crate::codec::proto::v1;
use crate::engine::access::NewApiKey;
use crate::model::access::Principal;
use crate::model::error::Result;
use crate::model::rate::Rate;

/// Make an API key.
#[derive(Args, Debug)]
pub(super) struct New {
    /// Principal that the key stands for: letters, digits, `.`, `_`, `-` and `@`. Several keys can have the same one.
    name: String,
    /// Services that it may invoke, such as `customer.*` (repeatable).
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    invoke: Vec<String>,
    /// Services that it may serve as a worker, such as `crm.*` (repeatable).
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    serve: Vec<String>,
    /// Whose invocations it may read.
    #[arg(long, value_enum, default_value_t, value_name = "WHOSE")]
    read: Whose,
    /// Whose invocations it may cancel, retry, release, purge and complete.
    #[arg(long, value_enum, default_value_t, value_name = "WHOSE")]
    control: Whose,
    /// Administer the node: services, workers, backups, bulk changes and API keys.
    #[arg(long)]
    admin: bool,
    /// Group of the principal.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "NAME"
    )]
    group: String,
    /// How many calls are taken with it, such as `100/s` or `100/s burst=200`. Default: as the node limits each
    /// principal.
    #[arg(long, value_parser = rate, value_name = "RATE")]
    rate: Option<Rate>,
    /// How many synchronous calls with it are in flight at once. Default: as the node limits each principal.
    #[arg(long, value_parser = value_parser!(u64).range(1..), value_name = "N")]
    in_flight: Option<u64>,
    /// How many invocations of the principal may be pending when it asks for more. Default: as the node limits each
    /// principal.
    #[arg(long, value_parser = value_parser!(u64).range(1..), value_name = "N")]
    pending: Option<u64>,
    /// How long it is valid. Default: until it is revoked.
    #[arg(long, value_parser = positive_duration, value_name = "DURATION")]
    expires: Option<Duration>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Whose invocations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Whose {
    /// None.
    None,
    /// Its own.
    #[default]
    Own,
    /// Those of its group.
    Group,
    /// All.
    All,
}

impl Whose {
    fn to_proto(self) -> i32 {
        let scope = match self {
            Self::None => v1::Scope::None,
            Self::Own => v1::Scope::Own,
            Self::Group => v1::Scope::Group,
            Self::All => v1::Scope::All,
        };
        scope.into()
    }
}

impl New {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        let request = self.request();
        // The directory is not made for a request that is refused.
        let new = new_key(&request, self.expires)?;
        let (key, secret) = match self.place.open(true, printer).await? {
            Place::Node(client) => {
                let made = client.create_api_key(request).await?;
                (made.api_key.unwrap_or_default(), made.secret)
            }
            Place::Store(stored) => {
                let (key, secret) = stored.keys.create(new).await?;
                stored.audit("key_created", &key, printer);
                (api_key_to_proto(&key), secret.expose().to_owned())
            }
        };
        if printer.object(&secret, || objects::new_api_key(&key, &secret)) {
            return Ok(());
        }
        printer.data(&secret);
        let id = &key.id;
        let note = format!(
            "the key `{id}` is shown this once: keep it, and revoke it with `cidery key revoke {id}`"
        );
        printer.note(Tone::Quiet, &note);
        if let Some(warning) = warning(&key) {
            printer.note(Tone::Warning, warning);
        }
        Ok(())
    }

    fn request(&self) -> v1::CreateApiKeyRequest {
        v1::CreateApiKeyRequest {
            principal: self.name.clone(),
            group: self.group.clone(),
            rights: Some(v1::Rights {
                invoke: self.invoke.clone(),
                serve: self.serve.clone(),
                read: self.read.to_proto(),
                control: self.control.to_proto(),
                administer: self.admin,
            }),
            ttl: self.expires.map(duration_to_proto),
            quota: Some(v1::Quota {
                rate: self.rate.map_or(0.0, Rate::calls_per_second),
                burst: self.rate.map_or(0, Rate::burst),
                in_flight: self.in_flight.unwrap_or_default(),
                pending: self.pending.unwrap_or_default(),
            }),
        }
    }
}

/// Checks a request as the node does.
fn new_key(request: &v1::CreateApiKeyRequest, ttl: Option<Duration>) -> Result<NewApiKey> {
    let group = match request.group.as_str() {
        "" => None,
        group => Some(Principal::parse_name("/group", group)?),
    };
    let rights = request.rights.clone().unwrap_or_default();
    let quota = request.quota.unwrap_or_default();
    Ok(NewApiKey {
        principal: Principal::parse_name("/principal", &request.principal)?,
        group,
        rights: new_rights_from_proto("", &rights)?,
        quota: quota_from_proto("", &quota)?,
        ttl,
        created_by: None,
    })
}

/// What is probably missing.
fn warning(key: &v1::ApiKey) -> Option<&'static str> {
    let rights = key.rights.clone().unwrap_or_default();
    let is_of_group = |scope: i32| scope == i32::from(v1::Scope::Group);
    if (is_of_group(rights.read) || is_of_group(rights.control)) && key.group.is_empty() {
        Some("the key has no group: it may see and control its own invocations only")
    } else if rights.invoke.is_empty() && rights.serve.is_empty() && !rights.administer {
        Some(
            "the key may neither invoke nor serve anything: `--invoke PATTERN` and `--serve PATTERN` allow it",
        )
    } else {
        None
    }
}
