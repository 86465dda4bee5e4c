//! The options of a node, one field each. Each part of the node has its own struct; [`Config`] is their sum.
//!
//! To add an option, add a field with a doc comment to one of them, and its default. Attributes of the field:
//!
//! * `#[serde(with = "DurationText")]` or `"SizeText"`: a duration or a size with a unit;
//! * `#[schemars(range(min = 1))]`, `#[schemars(extend("x-minimum" = "1s"))]`: the smallest and largest value;
//! * `#[schemars(extend("x-placeholder" = "FOLDER"))]`: what the help shows in place of the value;
//! * `#[schemars(extend("x-reload" = true))]`: SIGHUP changes it, which `reload.rs` does;
//! * the type [`Option<Secret>`](super::secret::Secret): its value is read from a file that is named by `KEY_file`, or
//!   from the environment, and is never shown.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::texts::{AddressText, FilterText, HostName};
use crate::app::shutdown::DRAIN_TIMEOUT;
use crate::app::telemetry::LogFormat;
use crate::codec::units::{DurationText, SizeText};
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
    /// Where invocations are kept.
    #[serde(flatten)]
    pub(in crate::app) store: StoreConfig,
    /// What the node does when it starts and stops.
    #[serde(flatten)]
    pub(in crate::app) run: RunConfig,
    /// What is logged.
    #[serde(flatten)]
    pub(in crate::app) log: LogConfig,
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
    /// Allow addresses other than loopback. There is no authentication yet: every client that can reach the address
    /// can call, replace and remove all services and invocations.
    pub(in crate::app) insecure: bool,
    /// Host name, without a port, that web browsers may use for the node (repeatable). Loopback and the address of the
    /// node are always allowed; gRPC clients may use any name.
    #[schemars(extend("x-placeholder" = "NAME"))]
    pub(in crate::app) allow_host: Vec<HostName>,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_PORT),
            insecure: false,
            allow_host: Vec::new(),
        }
    }
}

/// Where invocations are kept.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(in crate::app) struct StoreConfig {
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
    /// Keep invocations in memory only. They are lost when the node stops.
    pub(in crate::app) in_memory: bool,
}

/// The smallest limit of a store: 16 MiB. A smaller one is most likely a number without its unit.
const MIN_STORE_LIMIT: u64 = 16 << 20;

impl Default for StoreConfig {
    fn default() -> Self {
        let options = SqliteOptions::default();
        Self {
            data_dir: PathBuf::from("./cidery-data"),
            store_limit: options.bytes_limit,
            keep_free: options.min_free_bytes,
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
