//! `cidery serve`: runs a node.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::app::audit_log;
use crate::app::cli::address::{dial_address, node_option};
use crate::app::cli::printer::{Printer, Tone, fail_as_json, log_failure};
use crate::app::cli::stop::stop;
use crate::app::config::{Config, ConfigArgs, Loaded, LogConfig, Reload, Sources, StoreConfig};
use crate::app::log_queue::LogGuard;
use crate::app::open_files;
use crate::app::reload::{HangUp, until_stop};
use crate::app::shutdown::catch_signals;
use crate::app::supervisor::Supervisor;
use crate::app::telemetry::{self, Log};
use crate::app::{Node, NodeBuilder, NodeHandle};
use crate::edge::NodeAddress;
use crate::engine::clock::Clock;
use crate::engine::store::Store;
use crate::engine::trace::Tracer;
use crate::model::error::{Error, Result, reason};
use crate::service::runtime::Signals;
use crate::store::{BytesLimit, PostgresOptions, PostgresStore, SqliteOptions, SqliteStore};

/// How long the first log line waits until the address is printed.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_millis(250);

/// Run a node.
///
/// Options are also read from a file and from environment variables, which these options override:
/// `docs/configuration.md`.
///
/// SIGINT (Ctrl-C) or SIGTERM stops the node: it accepts no more calls and waits for running handlers. A second signal
/// stops it at once; the exit code is then 128 and the number of the signal. SIGHUP reads the configuration, the
/// certificates and the keys of the store again.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Serve {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Serve {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let sources = Sources::of_process(self.config);
        let loaded = match sources.load() {
            Ok(loaded) => loaded,
            Err(error) if sources.has_json_log() => return Ok(fail_as_json(&error)),
            Err(error) => return Err(error),
        };
        let log = &loaded.config.log;
        let format = log.log_format;
        let log = telemetry::init(format, log_filter(log, printer))?;
        let unknown = sources.unknown_variables();
        if !unknown.is_empty() {
            let variables = unknown.join(", ");
            tracing::debug!(variables, "environment variables of no known meaning");
        }
        let _audit_log = match start_audit_log(&loaded) {
            Ok(guard) => guard,
            Err(error) => return log_failure(format, Err(error)),
        };
        let reload = Reload::new(sources, &loaded);
        let serving = Serving {
            hang_up: HangUp::of_process(true),
            supervisor: Arc::new(Supervisor::of_process()),
            drain: loaded.config.run.drain,
            reload,
            log: &log,
            printer,
        };
        log_failure(format, serving.run(&loaded).await)
    }
}

/// Starts the audit log, if it has a file of its own.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `CONFIG_INVALID`, or `USAGE_INVALID` where an option of the command names the file.
fn start_audit_log(loaded: &Loaded) -> Result<Option<LogGuard>> {
    let file = loaded.config.access.audit_log.as_deref();
    let started = file.map(audit_log::start).transpose();
    started.map_err(|error| match error.reason() {
        reason::USAGE_INVALID => loaded.refuse("audit_log", error.message().to_owned()),
        _ => error,
    })
}

/// The filter of the log: the configured one, that of `--quiet` and `--verbose`, or the default.
fn log_filter<'a>(log: &'a LogConfig, printer: &Printer) -> &'a str {
    let configured = log.log.as_ref().map(AsRef::as_ref);
    configured
        .or_else(|| printer.log_filter())
        .unwrap_or("info")
}

/// What `cidery serve` needs besides its node.
struct Serving<'a> {
    supervisor: Arc<Supervisor>,
    reload: Reload,
    log: &'a Log,
    printer: &'a Printer,
    /// As configured now.
    drain: Duration,
    hang_up: HangUp,
}

impl Serving<'_> {
    async fn run(mut self, loaded: &Loaded) -> Result<ExitCode> {
        let config = &loaded.config;
        let mut signals = catch_signals()?;
        let builder = config.tls.add_to(builder(config));
        let builder = builder.access(config.access.options());
        let builder = builder.limits(|limits| {
            config.quotas.add_to(limits);
            open_files::fit(limits, open_files::raise());
        });
        let collector = config.traces.start_collector();
        let collector = collector.map_err(|error| match error.reason() {
            // The connection names its file by a name of its own.
            reason::TLS_INVALID => loaded.refuse("otlp_ca", tls_message(&error)),
            _ => error,
        })?;
        let builder = match &collector {
            None => builder,
            Some(collector) => {
                let share = config.traces.share();
                builder.tracer(Tracer::new(collector.exporter(), share, Clock::System))
            }
        };
        // A large store takes a while to open, and a database may not answer: a signal ends that too.
        let opened = tokio::select! {
            opened = add_store(builder, &config.store) => opened?,
            _ = signals.next() => return Ok(ExitCode::SUCCESS),
        };
        let (builder, stored) = opened;
        let mut node = tokio::select! {
            node = builder.start() => node.map_err(with_options)?,
            _ = signals.next() => return Ok(ExitCode::SUCCESS),
        };
        let address = node.address().map(|address| NodeAddress {
            address,
            is_tls: config.tls.is_on(),
        });
        announce(address, self.printer).await;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            address = address.map(tracing::field::display),
            store = node.invoker().store().name(),
            data_dir = stored.data_dir,
            pending = stored.pending,
            config = loaded.file_text(),
            "serving"
        );
        if config.run.hold {
            let pending = stored.pending;
            tracing::warn!(pending, "held: nothing starts until `cidery resume`");
        }
        let status = serving_status(&node);
        self.supervisor.ready(&status);
        let store = node.invoker().clone();
        let store = store.store();
        let signal = {
            let hang_up = self.hang_up;
            let supervisor = Arc::clone(&self.supervisor);
            let reload = async || self.reload(&node, &stored, &status).await;
            tokio::select! {
                signal = until_stop(hang_up, &mut signals, reload) => signal,
                never = supervisor.feed_watchdog(store) => match never {},
            }
        };
        node.drain_timeout = self.drain;
        let stopped = self.stop(node, signal, signals, store, config.store.in_memory);
        let stopped = stopped.await;
        if let Some(collector) = collector {
            collector.stop().await;
        }
        stopped
    }

    /// Reads the configuration, the certificates and the keys of the store again. What cannot be read is in the log,
    /// and part of the status of the node.
    async fn reload(&mut self, node: &NodeHandle, stored: &Stored, status: &str) {
        self.supervisor.reloading();
        let config = self.reload.read();
        if let Ok(config) = &config {
            self.drain = config.run.drain;
            if let Some(limit) = &stored.limit {
                limit.set(config.store.store_limit);
            }
            self.log.set_filter(log_filter(&config.log, self.printer));
        }
        let invoker = node.invoker();
        invoker.note_reload("configuration", config.as_ref().err().map(String::as_str));
        let files = node.reload().await;
        let keys = invoker.store().reload_keys().await;
        if let Err(error) = &keys {
            tracing::error!(%error, "the keys of the store were not reloaded");
        }
        invoker.note_reload("keys of the store", keys.as_ref().err().map(Error::message));
        let is_all = config.is_ok() && files.is_ok() && keys.is_ok();
        match is_all {
            true => self.supervisor.ready(status),
            false => {
                let status = format!("{status}; the reload failed: see `cidery status`");
                self.supervisor.ready(&status);
            }
        }
    }

    async fn stop(
        &self,
        node: NodeHandle,
        signal: &str,
        mut signals: Signals,
        store: &dyn Store,
        in_memory: bool,
    ) -> Result<ExitCode> {
        self.supervisor.stopping("waiting for running handlers");
        // A reload that comes too late is no second signal to stop.
        signals.ignore_hang_up();
        let code = tokio::select! {
            code = stop(node, self.drain, signal, &mut signals, self.printer) => code,
            never = self.supervisor.feed_watchdog(store) => match never {},
        };
        match store.total_pending_count() {
            0 => {}
            pending if in_memory => tracing::warn!(pending, "pending invocations are lost"),
            pending => tracing::info!(pending, "pending invocations continue at the next start"),
        }
        // What could not be written runs again: a supervisor must not take that for a clean end.
        store.health().map(|()| code)
    }
}

/// A node as it is configured, without its store.
fn builder(config: &Config) -> NodeBuilder {
    let Config {
        listener,
        run,
        limits,
        ..
    } = config;
    let mut builder = Node::builder()
        .listen(listener.listen)
        .drain(run.drain)
        .limits(|all| *all = limits.clone());
    for name in &listener.allow_host {
        builder = builder.allow_host(name.as_ref());
    }
    for origin in &listener.allow_origin {
        builder = builder.allow_origin(origin.as_ref());
    }
    #[cfg(feature = "console")]
    {
        builder = builder.console(config.console.options());
    }
    if run.demo {
        builder = builder.demo();
    }
    if listener.insecure {
        builder = builder.insecure();
    }
    if run.hold {
        builder = builder.hold();
    }
    builder
}

/// Opens the data directory, or the database that it shares with others, unless the node stores nothing.
async fn add_store(builder: NodeBuilder, config: &StoreConfig) -> Result<(NodeBuilder, Stored)> {
    if let Some(url) = &config.store {
        return add_shared_store(builder, config, url).await;
    }
    let keys = config.keys()?;
    if config.in_memory {
        return Ok((builder, Stored::default()));
    }
    let options = SqliteOptions {
        bytes_limit: config.store_limit,
        min_free_bytes: config.keep_free,
        keys,
        encrypted_only: config.store_encrypted_only,
    };
    let store = SqliteStore::open_with(&config.data_dir, options)?;
    // An absolute path: it does not depend on where the node was started.
    let data_dir = config.data_dir.canonicalize();
    let data_dir = data_dir.unwrap_or_else(|_| config.data_dir.clone());
    let stored = Stored {
        data_dir: Some(data_dir.display().to_string()),
        pending: store.total_pending_count(),
        limit: Some(store.bytes_limit()),
    };
    Ok((builder.store(store), stored))
}

/// Opens a database that other nodes use as well.
async fn add_shared_store(
    builder: NodeBuilder,
    config: &StoreConfig,
    url: &str,
) -> Result<(NodeBuilder, Stored)> {
    let refused = |message| Err(Error::invalid_argument(reason::CONFIG_INVALID, message));
    if config.store_key_file.is_some() {
        return refused(
            "`store_key_file` encrypts the data directory: a shared store cannot be encrypted yet",
        );
    }
    let mut options = PostgresOptions::parse(url)?;
    if options.has_password() {
        return refused("`store` has a password, which `ps` shows: give it as `store_password`");
    }
    if let Some(password) = &config.store_password {
        options = options.with_password(password.expose());
    }
    options.bytes_limit = config.store_limit;
    let store = PostgresStore::open_with(options).await?;
    let stored = Stored {
        pending: store.total_pending_count(),
        ..Stored::default()
    };
    Ok((builder.store(store), stored))
}

/// What the store holds before the node starts.
#[derive(Debug, Default)]
struct Stored {
    data_dir: Option<String>,
    /// The number of pending invocations.
    pending: usize,
    /// The limit of its size.
    limit: Option<BytesLimit>,
}

/// What a supervisor shows of a node that serves.
fn serving_status(node: &NodeHandle) -> String {
    match node.address() {
        Some(address) => format!("serving on {address}"),
        None => "serving".to_owned(),
    }
}

/// What is wrong with a file, without its place in the options of a connection.
fn tls_message(error: &Error) -> String {
    let violation = error.field_violations().first();
    violation.map_or_else(|| error.message().to_owned(), |one| one.message.clone())
}

/// Names the options of the command in place of what the library calls them.
fn with_options(error: Error) -> Error {
    let message = error.message();
    let message = message
        .replace("`NodeBuilder::insecure`", "`--insecure`")
        .replace("`NodeBuilder::tls`", "`--tls-client-ca`");
    error.with_message(message)
}

/// Prints the bound address as the first line of standard output, and examples to a terminal on standard error. Where
/// both are pipes without a reader, the node serves all the same: a blocking thread prints.
async fn announce(address: Option<NodeAddress>, printer: &Printer) {
    let Some(address) = address else {
        return;
    };
    let printer = printer.clone();
    let printed = tokio::task::spawn_blocking(move || {
        if let Err(error) = printer.listening(address) {
            tracing::debug!(%error, "cannot write to standard output");
        }
        // For people: in the log of a unit, they would be noise.
        if !printer.has_reader() {
            return;
        }
        let dialed = dial_address(address.address);
        let (options, plain) = match address.is_tls {
            true => (
                format!(" --node https://{dialed} --ca FILE"),
                "-cacert FILE",
            ),
            false => (node_option(dialed), "-plaintext"),
        };
        for line in [
            "try:".to_owned(),
            format!("  cidery services{options}"),
            format!("  cidery invoke cidery.ping{options}"),
            format!("  grpcurl {plain} {dialed} list"),
        ] {
            printer.note(Tone::Quiet, &line);
        }
    });
    // Log lines follow.
    let _ = tokio::time::timeout(ANNOUNCE_TIMEOUT, printed).await;
}
