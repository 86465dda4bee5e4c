//! `cidery explain`: one file for each subject of its answer.

mod history;
mod members;
mod print;
mod timeline;
mod tree;
mod waiting;

use clap::Args;

use self::history::History;
use crate::app::cli::cid_arg::CidArg;
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::printer::{List, Printer, Row};
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::remote::client::ContractClient;

/// Show the history of an invocation, and what it waits for.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Explain {
    /// CIDs of the invocations, unique prefixes of them, or `last`.
    ///
    /// `last` is the last stored invocation that this user started with `invoke`, from any terminal and at any node.
    #[arg(required = true, value_name = "CID")]
    cids: Vec<CidArg>,
    /// Levels of children and callbacks to show, 100 invocations in all.
    #[arg(
        long,
        value_parser = clap::value_parser!(u8).range(0..=32),
        default_value = "3",
        value_name = "LEVELS"
    )]
    depth: u8,
    #[command(flatten)]
    node: NodeArgs,
}

impl Explain {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect(printer).await?;
        let mut histories = Vec::with_capacity(self.cids.len());
        for cid in self.cids {
            let cid = cid.resolve(&client).await?;
            histories.push(History::read(&client, cid, self.depth).await?);
        }
        match histories.as_slice() {
            _ if printer.is_table() => {
                for (position, history) in histories.iter().enumerate() {
                    if position > 0 {
                        printer.data("");
                    }
                    print::history(printer, history);
                }
            }
            [history] => {
                printer.object(&history.invocation.cid, || history.object());
            }
            histories => printer.list(List {
                columns: [],
                rows: histories.iter().map(row).collect(),
                if_empty: "",
            }),
        }
        Ok(())
    }
}

/// Prints the history of one invocation with its children and callbacks, for people.
///
/// # Errors
///
/// Those of the node.
pub(in crate::app::cli) async fn print_history(
    client: &ContractClient,
    cid: Cid,
    printer: &Printer,
) -> Result<()> {
    let history = History::read(client, cid, 1).await?;
    print::history(printer, &history);
    Ok(())
}

fn row(history: &History) -> Row<0> {
    Row {
        name: history.invocation.cid.clone(),
        object: history.object(),
        cells: [],
    }
}
