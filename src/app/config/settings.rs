//! The options of a node, one field each. Each part of the node has its own struct; [`Config`] is their sum.
//!
//! To add an option, add a field with a doc comment to one of them, and its default. Attributes of the field:
//!
//! * `#[serde(with = "DurationText")]` or `"SizeText"`: a duration or a size with a unit;
//! * `#[schemars(range(min = 1))]`, `#[schemars(extend("x-minimum" = "1s"))]`: the smallest and largest value;
//! * `#[schemars(extend("x-placeholder" = "FOLDER"))]`: what the help shows in place of the value;
//! * `#[schemars(extend("x-whole" = true))]`: texts that contain commas: one flag, or the variable, has one;
//! * `#[schemars(extend("x-reload" = true))]`: SIGHUP changes it, which `reload.rs` does;
//! * the type [`Option<Secret>`](super::secret::Secret): its value is read from a file that is named by `KEY_file`, or
//!   from the environment, and is never shown.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::texts::{
    AddressText, AttributeText, CertificateRuleText, CollectorText, FilterText, HostName,
    OriginText, RateText, RoleText, ServiceLimitText, ShareText,
};
use crate::app::shutdown::DRAIN_TIMEOUT;
use crate::app::telemetry::LogFormat;
use crate::codec::units::{DurationText, SizeText};
#[cfg(feature = "console")]
use crate::edge::console::ConsoleOptions;
use crate::engine::Limits;
use crate::remote::protocol::endpoint::DEFAULT_PORT;
use crate::store::SqliteOptions;

/// The configuration of a node: the sum of the settings of its parts.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::app) struct Config {
    /// Who reaches the node.
    #[serde(flatten)]
    pub(in crate::app) listener: ListenerConfig,
    /// How connections are encrypted.
    #[serde(flatten)]
    pub(in crate::app) tls: TlsConfig,
    /// What browsers are shown.
    #[cfg(feature = "console")]
    #[serde(flatten)]
    pub(in crate::app) console: ConsoleConfig,
    /// Who may call.
    #[serde(flatten)]
    pub(in crate::app) access: AccessConfig,
    /// What services and principals are allowed.
    #[serde(flatten)]
    pub(in crate::app) quotas: QuotaConfig,
    /// Where invocations are kept.
    #[serde(flatten)]
    pub(in crate::app) store: StoreConfig,
    /// What the node does when it starts and stops.
    #[serde(flatten)]
    pub(in crate::app) run: RunConfig,
    /// What is logged.
    #[serde(flatten)]
    pub(in crate::app) log: LogConfig,
    /// Where traces go.
    #[serde(flatten)]
    pub(in crate::app) traces: TraceConfig,
    /// Defaults and limits.
    pub(in crate::app) limits: Limits,
}

/// Who reaches the node.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::app) struct ListenerConfig {
    /// Address to listen on. Default host: 127.0.0.1; default port: 24337. Port 0 selects a free port.
    #[serde(with = "AddressText")]
    #[schemars(extend("x-placeholder" = "HOST:PORT"))]
    pub(in crate::app) listen: SocketAddr,
    /// Allow addresses other than loopback without authentication: every client that can reach the address can call,
    /// replace and remove all services and invocations. With an API key (`cidery key new`), it is not needed.
    pub(in crate::app) insecure: bool,
    /// Host name, without a port, under which HTTP clients and web browsers may reach the node (repeatable). Always
    /// allowed are `localhost`, IP addresses, and over TLS the names of the certificate; gRPC clients may use any name.
    #[schemars(extend("x-placeholder" = "NAME"))]
    pub(in crate::app) allow_host: Vec<HostName>,
    /// Origin, such as `https://app.example`, whose web pages may call the node and read its answers (repeatable); `*`
    /// is every origin. Default: only pages of the own hosts may call.
    #[schemars(extend("x-placeholder" = "ORIGIN"))]
    pub(in crate::app) allow_origin: Vec<OriginText>,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_PORT),
            insecure: false,
            allow_host: Vec::new(),
            allow_origin: Vec::new(),
        }
    }
}

/// What browsers are shown.
#[cfg(feature = "console")]
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::app) struct ConsoleConfig {
    /// Serve the web console at `/` and below `/console/`; `--console=false` turns it off.
    pub(in crate::app) console: bool,
    /// How long someone who has logged in to the console stays so without a request.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "7d"))]
    pub(in crate::app) console_session_idle: Duration,
    /// How long someone who has logged in to the console stays so at most.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "7d"))]
    pub(in crate::app) console_session_lifetime: Duration,
}

#[cfg(feature = "console")]
impl Default for ConsoleConfig {
    fn default() -> Self {
        let options = ConsoleOptions::default();
        Self {
            console: options.enabled,
            console_session_idle: options.session_idle,
            console_session_lifetime: options.session_lifetime,
        }
    }
}

#[cfg(feature = "console")]
impl ConsoleConfig {
    /// The options of the node.
    pub(in crate::app) fn options(&self) -> ConsoleOptions {
        ConsoleOptions {
            enabled: self.console,
            session_idle: self.console_session_idle,
            session_lifetime: self.console_session_lifetime,
        }
    }
}

/// How connections are encrypted.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::app) struct TlsConfig {
    /// Certificate of the node in PEM, followed by the intermediate ones: serve TLS only. Files that are replaced are
    /// read within seconds, or at once on SIGHUP. `cidery cert dev` makes some to try it out.
    #[schemars(extend("x-placeholder" = "FILE"))]
    pub(in crate::app) tls_cert: Option<PathBuf>,
    /// Private key of the certificate in PEM.
    #[schemars(extend("x-placeholder" = "FILE"))]
    pub(in crate::app) tls_key: Option<PathBuf>,
    /// CA certificates in PEM: each client needs a certificate from one of them.
    #[schemars(extend("x-placeholder" = "FILE"))]
    pub(in crate::app) tls_client_ca: Option<PathBuf>,
    /// Lists of revoked client certificates in PEM, one of each CA: what they revoke is refused, and its connections
    /// end once the file is read.
    #[schemars(extend("x-placeholder" = "FILE"))]
    pub(in crate::app) tls_client_crl: Option<PathBuf>,
    /// Whether clients need a certificate: `required`, or `optional`, where clients without one are accepted, too.
    #[schemars(extend("x-placeholder" = "WHEN"))]
    pub(in crate::app) tls_client_auth: ClientAuth,
}

/// Who may call, besides those with an API key (`cidery key new`).
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::app) struct AccessConfig {
    /// Whether the node may start while nothing asks who calls: `required` refuses that, whatever the address and
    /// `insecure` say.
    #[schemars(extend("x-placeholder" = "WHETHER"))]
    pub(in crate::app) authentication: Authentication,
    /// Accept tokens (JSON Web Tokens) that are signed with one of these public keys: a JSON Web Key Set in a file, or
    /// at an `https://` URL.
    #[schemars(extend("x-placeholder" = "FILE|URL"))]
    pub(in crate::app) jwt_jwks: Option<String>,
    /// Issuer of the tokens: their claim `iss`.
    #[schemars(extend("x-placeholder" = "TEXT"))]
    pub(in crate::app) jwt_issuer: Option<String>,
    /// Audience of the tokens: one value of their claim `aud`.
    #[schemars(extend("x-placeholder" = "TEXT"))]
    pub(in crate::app) jwt_audience: Option<String>,
    /// Claim with the name of the principal. Default: `sub`.
    #[schemars(extend("x-placeholder" = "CLAIM"))]
    pub(in crate::app) jwt_principal_claim: Option<String>,
    /// Claim with the group of the principal, or the path to it. Default: tokens have no group.
    #[schemars(extend("x-placeholder" = "CLAIM"))]
    pub(in crate::app) jwt_group_claim: Option<String>,
    /// Claim with the roles, or the path to it, such as `realm_access.roles`. Default: `cidery_roles`.
    #[schemars(extend("x-placeholder" = "CLAIM"))]
    pub(in crate::app) jwt_roles_claim: Option<String>,
    /// What a role allows (repeatable): `clerk invoke=customer.*,order.* serve=crm.* read=all control=none admin`.
    #[schemars(extend("x-placeholder" = "TEXT", "x-whole" = true))]
    pub(in crate::app) role: Vec<RoleText>,
    /// What client certificates with a name allow (repeatable): a SPIFFE ID or a DNS name, in which `*` stands for
    /// characters of one part, then any of `roles=`, `principal=`, `group=`, and what roles allow, such as
    /// `spiffe://example.org/* roles=clerk read=own`. The first rule that matches holds.
    #[schemars(extend("x-placeholder" = "TEXT", "x-whole" = true))]
    pub(in crate::app) certificate_rule: Vec<CertificateRuleText>,
    /// How many failed authentications each address has a second, once its burst is used up. Default: 10.
    #[schemars(range(min = 1))]
    pub(in crate::app) authentication_failures_per_second: Option<u32>,
    /// How many failed authentications each address has at once. Default: 100.
    #[schemars(range(min = 1))]
    pub(in crate::app) authentication_failures_burst: Option<u32>,
    /// Write the audit log to this file, or to standard output (`-`), as lines of JSON: what operators do, who is
    /// refused, and which credentials are used. Default: the log of the node, target `cidery::audit`.
    #[schemars(extend("x-placeholder" = "FILE"))]
    pub(in crate::app) audit_log: Option<PathBuf>,
}

/// What services and principals are allowed.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::app) struct QuotaConfig {
    /// Limit of services (repeatable): a pattern of names, and any of `rate`, `burst`, `concurrency`, `queue` and
    /// `pending`, such as `customer.* rate=100/s burst=200`. The smaller of it and of the option of a service applies.
    #[schemars(extend("x-placeholder" = "LIMIT", "x-whole" = true))]
    pub(in crate::app) service_limit: Vec<ServiceLimitText>,
    /// How many requests of one principal are taken, calls and reads, such as `100/s burst=200`. Further ones are
    /// refused with `RATE_LIMIT`. Default: any number.
    #[schemars(extend("x-placeholder" = "RATE"))]
    pub(in crate::app) principal_rate: Option<RateText>,
}

/// Whether a node may start without authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::app) enum Authentication {
    #[default]
    Optional,
    Required,
}

/// Whether clients need a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::app) enum ClientAuth {
    #[default]
    Required,
    Optional,
}

/// Where invocations are kept.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::app) struct StoreConfig {
    /// Database that this node shares with others, in place of the data directory: a PostgreSQL, by the URL
    /// `postgres://USER@HOST:PORT/DATABASE`. Experimental.
    #[schemars(extend("x-placeholder" = "URL"))]
    pub(in crate::app) store: Option<String>,
    /// Password of the user of `store`.
    pub(in crate::app) store_password: Option<Secret>,
    /// Data directory (created if missing).
    #[schemars(extend("x-placeholder" = "FOLDER"))]
    pub(in crate::app) data_dir: PathBuf,
    /// Size of the store. New invocations are refused when 7/8 of it is used; outcomes of accepted ones are always
    /// stored, beyond it too.
    #[serde(with = "SizeText")]
    #[schemars(range(min = MIN_STORE_LIMIT), extend("x-reload" = true))]
    pub(in crate::app) store_limit: u64,
    /// Minimum free disk space. New invocations are refused below it.
    #[serde(with = "SizeText")]
    pub(in crate::app) keep_free: u64,
    /// File with the keys of the store, `ID:KEY` a line: the first one encrypts, all of them decrypt. It is read again
    /// on SIGHUP. `cidery store key new` makes one.
    #[schemars(extend("x-placeholder" = "FILE"))]
    pub(in crate::app) store_key_file: Option<PathBuf>,
    /// Refuse to read what is not encrypted, with `store_key_file`. Without it, encryption can be turned on for a store
    /// that has invocations.
    pub(in crate::app) store_encrypted_only: bool,
    /// Keep invocations in memory only. They are lost when the node stops.
    pub(in crate::app) in_memory: bool,
}

/// The smallest limit of a store: 16 MiB. A smaller one is most likely a number without its unit.
const MIN_STORE_LIMIT: u64 = 16 << 20;

impl Default for StoreConfig {
    fn default() -> Self {
        let options = SqliteOptions::default();
        Self {
            store: None,
            store_password: None,
            data_dir: PathBuf::from("./cidery-data"),
            store_limit: options.bytes_limit,
            keep_free: options.min_free_bytes,
            store_key_file: None,
            store_encrypted_only: false,
            in_memory: false,
        }
    }
}

/// What the node does when it starts and stops.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::app) struct RunConfig {
    /// Start nothing until `cidery resume`.
    ///
    /// For a store that was restored from a backup. Invocations are accepted and listed, and can be cancelled; none of
    /// them runs, expires or is removed, and synchronous calls are refused.
    pub(in crate::app) hold: bool,
    /// Add the demo services.
    pub(in crate::app) demo: bool,
    /// Grace period of running handlers when the node stops.
    #[serde(with = "DurationText")]
    #[schemars(extend("x-reload" = true))]
    pub(in crate::app) drain: Duration,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            hold: false,
            demo: false,
            drain: DRAIN_TIMEOUT,
        }
    }
}

/// What is logged.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::app) struct LogConfig {
    /// Format of log lines on standard error: `human`, or `json` with one object per line.
    pub(in crate::app) log_format: LogFormat,
    /// Log filter: a level, or per-target levels such as `info,cidery=debug`. Default: `info`; `warn` with --quiet,
    /// `debug` with --verbose.
    #[schemars(extend("x-placeholder" = "FILTER", "x-reload" = true))]
    pub(in crate::app) log: Option<FilterText>,
}

/// Where traces go.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::app) struct TraceConfig {
    /// Collector to which traces are sent, over OTLP/gRPC: `http://HOST:PORT`, or `https://HOST:PORT` for TLS. Default
    /// port: 4317. Default: no traces.
    #[schemars(extend("x-placeholder" = "URL"))]
    pub(in crate::app) otlp_endpoint: Option<CollectorText>,
    /// Headers of the requests to the collector, such as its credential: `NAME=VALUE`, several separated by commas or
    /// line ends, values percent-encoded. The option names a file with them; the variable has the headers themselves.
    #[schemars(extend("x-placeholder" = "FILE"))]
    pub(in crate::app) otlp_headers: Option<Secret>,
    /// CA certificates in PEM for a collector at `https://`. Default: those of the system.
    #[schemars(extend("x-placeholder" = "FILE"))]
    pub(in crate::app) otlp_ca: Option<PathBuf>,
    /// Name of the node in traces: the attribute `service.name`.
    #[schemars(extend("x-placeholder" = "NAME"))]
    pub(in crate::app) otlp_service_name: String,
    /// Attribute of the node in traces (repeatable), such as `deployment.environment.name=test`.
    #[schemars(extend("x-placeholder" = "NAME=VALUE"))]
    pub(in crate::app) otlp_resource: Vec<AttributeText>,
    /// Share of the traces that begin at the node which are recorded, from `0` to `1`, or as `1%`. Traces that a caller
    /// records are recorded here too.
    #[schemars(extend("x-placeholder" = "SHARE"))]
    pub(in crate::app) trace_sample: ShareText,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_headers: None,
            otlp_ca: None,
            otlp_service_name: "cidery".to_owned(),
            otlp_resource: Vec::new(),
            trace_sample: ShareText::default(),
        }
    }
}
