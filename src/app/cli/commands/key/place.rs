//! Where the keys are: at a running node, or in the data directory of a stopped one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::Printer;
use crate::engine::access::KeyRing;
use crate::engine::clock::Clock;
use crate::model::error::{Error, Result, reason};
use crate::remote::client::ContractClient;
use crate::store::{IN_USE, SqliteStore};

/// Where the keys are.
#[derive(Args, Debug)]
pub(super) struct PlaceArgs {
    /// Data directory of a node that does not run. Default: the running node, which asks for the key of an
    /// administrator.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Where the keys are.
pub(super) enum Place {
    Node(Box<ContractClient>),
    Store(KeyRing),
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
        let store =
            SqliteStore::open(data_dir).map_err(|error| of_running_node(error, data_dir))?;
        let keys = KeyRing::load(Arc::new(store), Clock::System).await?;
        Ok(Place::Store(keys))
    }
}

/// A directory that is in use belongs to a node that runs: it changes its keys itself.
fn of_running_node(error: Error, data_dir: &Path) -> Error {
    if error.fact(IN_USE).is_none() {
        return error;
    }
    let message = format!(
        "a node uses `{}`: stop it, or leave out `--data-dir` and name the node with `--node`",
        data_dir.display()
    );
    error.with_message(message)
}
