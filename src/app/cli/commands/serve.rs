//! `cidery serve`: runs a node.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::app::cli::address::{dial_address, listen_address, node_option};
use crate::app::cli::args::{LogArgs, bytes, duration, service_limit, store_limit};
use crate::app::cli::printer::{Printer, Tone, log_failure};
use crate::app::cli::stop::stop;
use crate::app::shutdown::catch_signals;
use crate::app::{Node, NodeBuilder};
use crate::engine::store::Store as _;
use crate::model::error::{Error, Result};
use crate::model::service_limit::ServiceLimit;
use crate::store::{SqliteOptions, SqliteStore};

/// How long the first log line waits until the address is printed.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_millis(250);

/// Run a node.
///
/// SIGINT (Ctrl-C), SIGTERM or SIGHUP stops the node: it accepts no more calls and waits for running handlers. A second
/// signal stops it at once; the exit code is then 128 and the number of the signal.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Serve {
    /// Address to listen on. Default host: 127.0.0.1; default port: 24337. Port 0 selects a free port.
    #[arg(
        long,
        env = "CIDERY_LISTEN",
        value_parser = listen_address,
        default_value = "127.0.0.1:24337",
        value_name = "HOST:PORT"
    )]
    listen: SocketAddr,
    /// Data directory (created if missing).
    #[arg(
        long,
        env = "CIDERY_DATA_DIR",
        default_value = "./cidery-data",
        value_name = "FOLDER"
    )]
    data_dir: std::path::PathBuf,
    /// Maximum size of the store, at least 16MiB. New invocations are refused when 7/8 of it is used. Default: 64GiB.
    #[arg(long, value_parser = store_limit, value_name = "SIZE")]
    store_limit: Option<u64>,
    /// Minimum free disk space. New invocations are refused below it. Default: 64MiB.
    #[arg(long, value_parser = bytes, value_name = "SIZE")]
    keep_free: Option<u64>,
    /// Keep invocations in memory only. They are lost when the node stops.
    #[arg(long, conflicts_with = "data_dir")]
    in_memory: bool,
    /// Start nothing until `cidery resume`.
    ///
    /// For a store that was restored from a backup. Invocations are accepted and listed, and can be cancelled; none of
    /// them runs, expires or is removed, and synchronous calls are refused.
    #[arg(long)]
    hold: bool,
    /// Add the demo services.
    #[arg(long)]
    demo: bool,
    /// Allow addresses other than loopback. There is no authentication yet: every client that can reach the address
    /// can call, replace and remove all services and invocations.
    #[arg(long)]
    insecure: bool,
    /// Host name, without a port, that web browsers may use for the node (repeatable). Loopback and the address of the
    /// node are always allowed; gRPC clients may use any name.
    #[arg(
        long,
        env = "CIDERY_ALLOW_HOST",
        value_name = "NAME",
        value_delimiter = ','
    )]
    allow_host: Vec<String>,
    /// Limit of services (repeatable): a pattern of names, and any of `rate`, `burst`, `concurrency`, `queue` and
    /// `pending`, such as 'customer.* rate=100/s burst=200'. The smaller of it and of the option of a service applies.
    #[arg(long, value_parser = service_limit, value_name = "LIMIT")]
    service_limit: Vec<ServiceLimit>,
    /// Keep-alive interval and timeout of connections. Default: 10s.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    ping_interval: Option<Duration>,
    /// Grace period of a disconnected worker before its work is reassigned. Default: 20s.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    worker_lease: Option<Duration>,
    /// Time that new calls wait for a disconnected worker if no other worker serves them. Default: 1s.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    away_wait: Option<Duration>,
    /// Grace period of running handlers when the node stops.
    #[arg(long, value_parser = duration, default_value = "30s", value_name = "DURATION")]
    drain: Duration,
    #[command(flatten)]
    log: LogArgs,
}

impl Serve {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let _log = self.log.init(printer.log_filter())?;
        log_failure(&self.log, self.serve(printer).await)
    }

    async fn serve(&self, printer: &Printer) -> Result<ExitCode> {
        let builder = Node::builder().listen(self.listen).drain(self.drain);
        let (mut builder, stored) = self.add_store(builder)?;
        builder = builder.limits(|limits| {
            limits.ping_interval = self.ping_interval.unwrap_or(limits.ping_interval);
            limits.worker_lease = self.worker_lease.unwrap_or(limits.worker_lease);
            limits.away_wait = self.away_wait.unwrap_or(limits.away_wait);
            limits.service_limits.clone_from(&self.service_limit);
        });
        for name in &self.allow_host {
            builder = builder.allow_host(name);
        }
        if self.demo {
            builder = builder.demo();
        }
        if self.insecure {
            builder = builder.insecure();
        }
        if self.hold {
            builder = builder.hold();
        }
        let mut signals = catch_signals()?;
        // A large store takes a while to open: a signal ends that too.
        let node = tokio::select! {
            node = builder.start() => node.map_err(with_options)?,
            _ = signals.next() => return Ok(ExitCode::SUCCESS),
        };
        announce(node.address(), printer).await;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            address = node.address().map(tracing::field::display),
            store = node.invoker().store().name(),
            data_dir = stored.data_dir,
            pending = stored.pending,
            "serving"
        );
        if self.hold {
            let pending = stored.pending;
            tracing::warn!(pending, "held: nothing starts until `cidery resume`");
        }
        let signal = signals.next().await;
        let invoker = node.invoker().clone();
        let code = stop(node, self.drain, signal, &mut signals, printer).await;
        let store = invoker.store();
        match store.total_pending_count() {
            0 => {}
            pending if self.in_memory => tracing::warn!(pending, "pending invocations are lost"),
            pending => tracing::info!(pending, "pending invocations continue at the next start"),
        }
        // What could not be written runs again: a supervisor must not take that for a clean end.
        store.health().map(|()| code)
    }

    /// Opens the data directory, unless the node stores nothing.
    fn add_store(&self, builder: NodeBuilder) -> Result<(NodeBuilder, Stored)> {
        if self.in_memory {
            return Ok((builder, Stored::default()));
        }
        let mut options = SqliteOptions::default();
        options.bytes_limit = self.store_limit.unwrap_or(options.bytes_limit);
        options.min_free_bytes = self.keep_free.unwrap_or(options.min_free_bytes);
        let store = SqliteStore::open_with(&self.data_dir, options)?;
        // An absolute path: it does not depend on where the node was started.
        let data_dir = self.data_dir.canonicalize();
        let data_dir = data_dir.unwrap_or_else(|_| self.data_dir.clone());
        let stored = Stored {
            data_dir: Some(data_dir.display().to_string()),
            pending: store.total_pending_count(),
        };
        Ok((builder.store(store), stored))
    }
}

/// What the store holds before the node starts.
#[derive(Debug, Default)]
struct Stored {
    data_dir: Option<String>,
    /// The number of pending invocations.
    pending: usize,
}

/// Names the options of the command in place of what the library calls them.
fn with_options(error: Error) -> Error {
    let message = error
        .message()
        .replace("`NodeBuilder::insecure`", "`--insecure`");
    error.with_message(message)
}

/// Prints the bound address as the first line of standard output, and examples to a terminal on standard error. Where
/// both are pipes without a reader, the node serves all the same: a blocking thread prints.
async fn announce(address: Option<SocketAddr>, printer: &Printer) {
    let Some(address) = address else {
        return;
    };
    let printer = *printer;
    let printed = tokio::task::spawn_blocking(move || {
        if let Err(error) = printer.listening(address) {
            tracing::debug!(%error, "cannot write to standard output");
        }
        // For people: in the log of a unit, they would be noise.
        if !printer.has_reader() {
            return;
        }
        let address = dial_address(address);
        let options = node_option(address);
        for line in [
            "try:".to_owned(),
            format!("  cidery services{options}"),
            format!("  cidery invoke cidery.ping{options}"),
            format!("  grpcurl -plaintext {address} list"),
        ] {
            printer.note(Tone::Quiet, &line);
        }
    });
    // Log lines follow.
    let _ = tokio::time::timeout(ANNOUNCE_TIMEOUT, printed).await;
}
