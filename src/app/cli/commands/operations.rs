//! `cidery operations`.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use crate::app::cli::names::{action_name, age_of, operation_state_name};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::operation_arg::OperationArg;
use crate::app::cli::operation_progress;
use crate::app::cli::printer::{Column, List, Printer, Row};
use crate::app::cli::watch::WatchArgs;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::remote::client::ContractClient;

/// Show and cancel operations: changes of many invocations, which the node makes in the background.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::app::cli) struct Operations {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List operations, newest first.
    List(ListArgs),
    /// Show an operation.
    Show(OneArgs),
    /// Wait for the end of an operation.
    Follow(OneArgs),
    /// Cancel operations: what they have changed stays changed.
    Cancel(SeveralArgs),
}

/// Which operations.
#[derive(Args, Debug)]
struct ListArgs {
    /// Only operations in this state (repeatable, or several with commas).
    #[arg(
        long = "state",
        value_enum,
        ignore_case = true,
        value_delimiter = ',',
        value_name = "STATE"
    )]
    states: Vec<StateArg>,
    /// Maximum number of operations.
    #[arg(
        long,
        value_parser = clap::value_parser!(u32).range(1..),
        default_value = "20",
        value_name = "NUMBER"
    )]
    limit: u32,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    node: NodeArgs,
}

/// One operation.
#[derive(Args, Debug)]
struct OneArgs {
    /// ID of the operation, or a unique prefix of it.
    #[arg(value_name = "ID")]
    id: OperationArg,
    #[command(flatten)]
    node: NodeArgs,
}

/// Operations.
#[derive(Args, Debug)]
struct SeveralArgs {
    /// IDs of the operations, or unique prefixes of them.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<OperationArg>,
    #[command(flatten)]
    node: NodeArgs,
}

/// The state of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StateArg {
    Running,
    Succeeded,
    Cancelled,
    Failed,
}

impl StateArg {
    fn to_proto(self) -> v1::OperationState {
        match self {
            Self::Running => v1::OperationState::Running,
            Self::Succeeded => v1::OperationState::Succeeded,
            Self::Cancelled => v1::OperationState::Cancelled,
            Self::Failed => v1::OperationState::Failed,
        }
    }
}

impl Operations {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let done = match self.verb.unwrap_or(Verb::List(self.list)) {
            Verb::List(list) => return list.run(printer).await,
            Verb::Show(OneArgs { id, node }) => {
                let client = node.connect(printer).await?;
                let id = id.resolve(&client).await?;
                operation_progress::print(&client.operation(id, false).await?, printer);
                Ok(())
            }
            Verb::Follow(OneArgs { id, node }) => {
                let client = node.connect(printer).await?;
                let id = id.resolve(&client).await?;
                operation_progress::follow(&client, id, printer).await
            }
            Verb::Cancel(several) => several.cancel(printer).await,
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

impl SeveralArgs {
    /// Cancels all that can be cancelled, and fails with the first one that cannot. A prefix that names none, or
    /// several, cancels nothing.
    async fn cancel(self, printer: &Printer) -> Result<()> {
        let client = self.node.connect(printer).await?;
        let mut ids = Vec::new();
        for id in self.ids {
            ids.push(id.resolve(&client).await?);
        }
        let (mut cancelled, mut failed) = (Vec::new(), Ok(()));
        for id in ids {
            match client.cancel_operation(id).await {
                Ok(operation) => cancelled.push(operation),
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        print_list(&cancelled, "nothing was cancelled", printer);
        failed
    }
}

impl ListArgs {
    async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let list = async |client: &_, printer: &_| self.list(client, printer).await;
        self.watch.run(&self.node, printer, list).await
    }

    async fn list(&self, client: &ContractClient, printer: &Printer) -> Result<ExitCode> {
        let states: Vec<_> = self
            .states
            .iter()
            .copied()
            .map(StateArg::to_proto)
            .collect();
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let operations = client.operations(&states, limit).await?;
        print_list(&operations, "no operations match", printer);
        Ok(ExitCode::SUCCESS)
    }
}

fn print_list(operations: &[v1::Operation], if_empty: &'static str, printer: &Printer) {
    printer.list(List {
        columns: [
            Column::fixed("ID"),
            Column::fixed("ACTION"),
            Column::fixed("STATE"),
            Column::fixed("CHANGED"),
            Column::fixed("PROCESSED"),
            Column::fixed("MATCHED"),
            Column::fixed("AGE"),
        ],
        rows: operations.iter().map(row).collect(),
        if_empty,
    });
}

fn row(operation: &v1::Operation) -> Row<7> {
    Row {
        name: operation.id.clone(),
        object: objects::operation(operation),
        cells: [
            operation.id.clone(),
            action_name(operation).to_owned(),
            operation_state_name(operation.state),
            operation.changed.to_string(),
            operation.processed.to_string(),
            operation.matched.to_string(),
            age_of(operation.create_time.as_ref()),
        ],
    }
}
