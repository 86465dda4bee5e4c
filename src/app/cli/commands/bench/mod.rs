//! `cidery bench`: calls a service again and again, and measures how long it takes.
//!
//! `load` decides when calls begin, `target` makes them, `measured` counts what they answer, and `report` prints it.

mod args;
mod load;
mod measured;
mod report;
mod target;

use std::process::ExitCode;
use std::sync::Arc;

pub(in crate::app::cli) use self::args::Bench;
use self::load::Load;
use self::measured::Measured;
use self::target::Target;
use crate::app::cli::detach::{INTERRUPTED, interrupt};
use crate::app::cli::printer::{Printer, Tone};
use crate::app::cli::times::duration_text;
use crate::model::error::Result;
use crate::service::runtime::Tasks;

impl Bench {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<ExitCode> {
        let plan = self.plan()?;
        let input = self.input.payload(printer)?;
        let mut clients = Vec::with_capacity(plan.connections);
        for _ in 0..plan.connections {
            clients.push(self.node.connect(printer).await?.max_attempts(1));
        }
        let target = Target::new(clients, self.name, input, self.timeout, plan.kind);
        // Whatever would refuse all calls is an error of the command.
        target.check().await?;
        let note = format!(
            "{} to warm up, then {}; Ctrl-C prints what is measured so far",
            duration_text(plan.warm_up),
            plan.length()
        );
        let measured = Arc::new(Measured::new(plan.connections, plan.warm_up));
        let load = Load::new(&plan, Arc::new(target), Arc::clone(&measured), Tasks::new());
        let is_interrupted = tokio::select! {
            // The signal is caught before the note says so.
            biased;
            () = interrupt() => true,
            () = async {
                printer.note(Tone::Quiet, &note);
                load.run().await;
            } => false,
        };
        let result = measured.result();
        report::print(&plan, &result, is_interrupted, printer);
        match (is_interrupted, result.only_failure()) {
            (true, _) => Ok(ExitCode::from(INTERRUPTED)),
            (false, Some(error)) => Err(error),
            (false, None) => Ok(ExitCode::SUCCESS),
        }
    }
}
