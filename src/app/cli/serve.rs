//! `cidery serve`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::printer::{Printer, Tone};
use super::{LogArgs, bytes, duration};
use crate::app::{Node, NodeHandle, telemetry};
use crate::model::error::{Error, Result};

/// Runs a node until it is told to stop (SIGTERM, SIGINT); a second signal ends it at once.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Where to listen. Port 0 takes a free one.
    #[arg(
        long,
        env = "CIDERY_LISTEN",
        default_value = "127.0.0.1:24337",
        value_name = "HOST:PORT"
    )]
    listen: SocketAddr,
    /// Where invocations are kept: made where there is none.
    #[cfg(feature = "sqlite")]
    #[arg(
        long,
        env = "CIDERY_DATA_DIR",
        default_value = "./cidery-data",
        value_name = "FOLDER"
    )]
    data_dir: std::path::PathBuf,
    /// How large the store may become: new work is refused beyond seven eighths of that. Default: 64GiB.
    #[cfg(feature = "sqlite")]
    #[arg(long, value_parser = bytes, value_name = "SIZE")]
    store_limit: Option<u64>,
    /// How much of the disk is left to others. Default: 64MiB.
    #[cfg(feature = "sqlite")]
    #[arg(long, value_parser = bytes, value_name = "SIZE")]
    keep_free: Option<u64>,
    /// Keeps invocations in memory: they are gone when the node ends.
    #[cfg(feature = "sqlite")]
    #[arg(long, conflicts_with = "data_dir")]
    in_memory: bool,
    /// Adds services to play with.
    #[arg(long)]
    demo: bool,
    /// Allows addresses that others can reach: there is no authentication yet.
    #[arg(long)]
    insecure: bool,
    /// How often a connection is asked whether it is still there; the answer may take as long again. Default: 10s.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    ping_interval: Option<Duration>,
    /// How long a worker that can resume may be away before its work is done elsewhere. Default: 20s.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    worker_lease: Option<Duration>,
    /// How long running handlers have when the node stops.
    #[arg(long, value_parser = duration, default_value = "30s", value_name = "DURATION")]
    drain: Duration,
    #[command(flatten)]
    log: LogArgs,
}

impl Serve {
    pub(super) async fn run(self, printer: &Printer) -> Result<()> {
        telemetry::init(self.log.log_format, &self.log.log);
        let mut builder = Node::builder().listen(self.listen).drain(self.drain);
        #[cfg(feature = "sqlite")]
        if !self.in_memory {
            let mut options = crate::store::SqliteOptions::default();
            options.bytes_limit = self.store_limit.unwrap_or(options.bytes_limit);
            options.min_free_bytes = self.keep_free.unwrap_or(options.min_free_bytes);
            let store = crate::store::SqliteStore::open_with(&self.data_dir, options)?;
            builder = builder.store(store);
        }
        builder = builder.limits(|limits| {
            limits.ping_interval = self.ping_interval.unwrap_or(limits.ping_interval);
            limits.worker_lease = self.worker_lease.unwrap_or(limits.worker_lease);
        });
        if self.demo {
            builder = builder.demo();
        }
        if self.insecure {
            builder = builder.insecure();
        }
        let mut signals = Signals::new()?;
        let node = builder.start().await?;
        announce(&node, printer);
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            store = node.invoker().store().name(),
            "serving"
        );
        let signal = signals.next().await;
        tracing::info!(signal, "stopping");
        tokio::select! {
            () = node.stop() => tracing::info!("stopped"),
            signal = signals.next() => tracing::warn!(signal, "stopped at once"),
        }
        Ok(())
    }
}

/// The bound address is the first line of standard output; the lines to try are for people.
fn announce(node: &NodeHandle, printer: &Printer) {
    let Some(address) = node.address() else {
        return;
    };
    printer.data(&format!("listening on {address}"));
    printer.note(Tone::Quiet, "try:");
    let options = match address.port() {
        24337 if address.ip().is_loopback() => String::new(),
        _ => format!(" --node {address}"),
    };
    printer.note(Tone::Quiet, &format!("  cidery services{options}"));
    printer.note(
        Tone::Quiet,
        &format!("  cidery invoke cidery.ping{options}"),
    );
    printer.note(Tone::Quiet, &format!("  grpcurl -plaintext {address} list"));
}

/// The signals that stop a node.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let terminate = signal(SignalKind::terminate()).map_err(|error| {
                Error::internal("SIGNALS_FAILED", "cannot wait for signals").with_source(error)
            })?;
            Ok(Self { terminate })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// The name of the next one.
    pub(super) async fn next(&mut self) -> &'static str {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = tokio::signal::ctrl_c() => "SIGINT",
        }
        #[cfg(not(unix))]
        {
            let _ = tokio::signal::ctrl_c().await;
            "Ctrl-C"
        }
    }
}
