//! Where the keys are: at a running node, or in the data directory of a stopped one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::app::audit_log;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{Printer, Tone};
use crate::app::log_queue::LogGuard;
use crate::engine::access::{KeyRing, audit};
use crate::engine::clock::Clock;
use crate::model::access::{ApiKey, Caller};
use crate::model::error::{Error, Result, reason};
use crate::remote::client::ContractClient;
use crate::store::{IN_USE, OWNER, SqliteStore};

/// Where the keys are.
#[derive(Args, Debug)]
pub(super) struct PlaceArgs {
    /// Data directory of a node that does not run. Default: the running node, which asks for the key of an
    /// administrator.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// With `--data-dir`: append what is done to this file, as the audit log of the node.
    #[arg(long, env = "CIDERY_AUDIT_LOG", value_name = "FILE")]
    audit_log: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Where the keys are.
pub(super) enum Place {
    Node(Box<ContractClient>),
    Store(StoredKeys),
}

/// The keys of a data directory. No node is there to write the audit log.
pub(super) struct StoredKeys {
    pub(super) keys: KeyRing,
    audit_log: Option<LogGuard>,
}

impl StoredKeys {
    /// Writes that a key was made or revoked, if there is an audit log.
    pub(super) fn audit(self, event: &'static str, key: &ApiKey, printer: &Printer) {
        let Some(guard) = self.audit_log else { return };
        audit::key_changed(&Caller::Trusted, event, &key.id, key.principal.as_str());
        // It is written when this is dropped.
        drop(guard);
        if let Some(failure) = audit::failure() {
            let note = format!("the audit log could not be written: {failure}");
            printer.note(Tone::Warning, &note);
        }
    }
}

impl PlaceArgs {
    /// Connects to the node, or opens the data directory. `create`: makes it if it is missing.
    pub(super) async fn open(&self, create: bool, printer: &Printer) -> Result<Place> {
        let Some(data_dir) = &self.data_dir else {
            let client = self.node.connect(printer).await?;
            return Ok(Place::Node(Box::new(client)));
        };
        if !create && !data_dir.exists() {
            let message = format!("there is no data directory `{}`", data_dir.display());
            return Err(Error::failed_precondition(reason::STORE_UNUSABLE, message));
        }
        let store = SqliteStore::open(data_dir).map_err(|error| of_node(error, data_dir))?;
        let keys = KeyRing::load(Arc::new(store), Clock::System).await?;
        // Before anything is changed: a change that cannot be written there is refused.
        let audit_log = self
            .audit_log
            .as_deref()
            .filter(|file| !file.as_os_str().is_empty());
        let audit_log = audit_log.map(audit_log::start).transpose()?;
        Ok(Place::Store(StoredKeys { keys, audit_log }))
    }
}

/// A directory that is in use belongs to a node that runs: it changes its keys itself. One of another user is that of
/// the user of the node: keys in another one would open nothing.
fn of_node(error: Error, data_dir: &Path) -> Error {
    let data_dir = data_dir.display();
    let message = if error.fact(IN_USE).is_some() {
        format!(
            "a node uses `{data_dir}`: stop it, or leave out `--data-dir` and name the node with `--node`"
        )
    } else if let Some(owner) = error.fact(OWNER) {
        format!(
            "`{data_dir}` belongs to user {owner}: run this command as that user, the one of the node \
             (`docs/deploy.md` has the line for systemd)"
        )
    } else {
        return error;
    };
    error.with_message(message)
}
