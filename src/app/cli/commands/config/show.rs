//! `cidery config show`: the configuration that is in force.

use clap::Args;
use serde_json::Value as Json;

use crate::app::cli::printer::{Column, List, Printer, Row};
use crate::app::config::{Effective, HiddenConfigArgs, Sources, value_text};
use crate::dict;
use crate::model::error::Result;
use crate::model::value::Value;

/// Show all options: their values, and where these come from.
///
/// Takes all options of `cidery serve`, so that `cidery config show …` shows with what `cidery serve …` would run.
/// Secrets are not shown.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Show {
    /// Only options that are set, and not those with their default.
    #[arg(long)]
    set: bool,
    #[command(flatten)]
    config: HiddenConfigArgs,
}

impl Show {
    pub(in crate::app::cli) fn run(self, printer: &Printer) -> Result<()> {
        let loaded = Sources::of_process(self.config.0).load()?;
        let options = loaded.effective();
        let shown = options.filter(|option| !self.set || option.origin.kind() != "default");
        printer.list(List {
            columns: [
                Column::fixed("OPTION"),
                Column::text("VALUE"),
                Column::text("FROM"),
            ],
            rows: shown.map(row).collect(),
            if_empty: "no option is set",
        });
        Ok(())
    }
}

fn row(option: Effective) -> Row<3> {
    let Effective {
        declared,
        value,
        origin,
    } = option;
    let text = value_text(&value);
    Row {
        name: declared.key.clone(),
        object: dict! {
            "key": declared.key.as_str(),
            "value": to_value(value),
            "source": origin.kind(),
            "from": origin.to_string(),
            "reloads": declared.reloads,
        }
        .into(),
        cells: [declared.key.clone(), text, origin.to_string()],
    }
}

fn to_value(value: Json) -> Value {
    match value {
        Json::Bool(value) => value.into(),
        Json::Number(number) => number.as_u64().map_or(Value::Null, Value::from),
        Json::String(text) => text.into(),
        Json::Array(items) => Value::List(items.into_iter().map(to_value).collect()),
        Json::Null | Json::Object(_) => Value::Null,
    }
}
