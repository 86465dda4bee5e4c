//! `cidery describe`.

use std::time::Duration;

use clap::Args;

use crate::app::cli::control_text::control_text;
use crate::app::cli::element_text::type_of;
use crate::app::cli::names::{health_name, on_exhausted_name};
use crate::app::cli::node_option::NodeArgs;
use crate::app::cli::objects;
use crate::app::cli::printer::Printer;
use crate::app::cli::times::duration_text;
use crate::codec::convert::timestamp_from_proto;
use crate::codec::json;
use crate::codec::proto::v1;
use crate::dict;
use crate::model::error::Result;
use crate::model::rate::Rate;
use crate::model::value::{Dict, Value};

/// Show the input, output, options and samples of a service.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Describe {
    /// Name of the service.
    name: String,
    #[command(flatten)]
    node: NodeArgs,
}

impl Describe {
    pub(in crate::app::cli) async fn run(self, printer: &Printer) -> Result<()> {
        let service = self
            .node
            .connect(printer)
            .await?
            .describe(&self.name)
            .await?;
        if printer.object(&self.name, || objects::service_description(&service)) {
            return Ok(());
        }
        let properties = properties(&service);
        let rows = properties.iter().map(|(key, value)| {
            let text = value.as_text().map_or_else(|| plain(value), str::to_owned);
            [key.to_owned(), text]
        });
        printer.properties(&rows.collect::<Vec<_>>());
        let sio = service
            .declaration
            .unwrap_or_default()
            .sio
            .unwrap_or_default();
        print_elements(printer, "Input", sio.input.as_ref());
        print_elements(printer, "Output", sio.output.as_ref());
        printer.data("");
        printer.data("Try it:");
        for example in service.examples {
            // Not indented, so that it can be pasted as it is.
            let heading = heading(&example.tool);
            printer.text(&format!("\n# {heading}\n{}", example.text));
        }
        Ok(())
    }
}

/// What a sample is for, from its tool.
fn heading(tool: &str) -> &str {
    match tool {
        "background" => "cidery, in the background, with the result afterwards",
        "python" => "python, with the SDK",
        "export" => "types for clients in Go, Node, Java and others: docs/typed-clients.md",
        tool => tool,
    }
}

fn plain(value: &Value) -> String {
    json::write(value).unwrap_or_default()
}

fn properties(service: &v1::ServiceDescription) -> Dict {
    let declaration = service.declaration.clone().unwrap_or_default();
    let options = service.effective_options.unwrap_or_default();
    let on_exhausted = options.on_exhausted();
    let retry = options.retry_policy.unwrap_or_default();
    let mut properties = dict! { "name": declaration.name };
    if !declaration.description.is_empty() {
        properties.insert("description", declaration.description);
    }
    properties.insert("health", health_name(service.health));
    if let Some(control) = &service.control {
        properties.insert("control", control_text(control));
    }
    if service.typed_method.is_empty() {
        properties.insert(
            "typed method",
            format!("none: {}", service.typed_method_note),
        );
    } else {
        properties.insert("typed method", service.typed_method.as_str());
        let background = format!("{}Async", service.typed_method);
        properties.insert("in background", background);
    }
    let sio = declaration.sio.unwrap_or_default();
    if !sio.response_elem.is_empty() {
        properties.insert("response elem", sio.response_elem);
    }
    match v1::UnknownKeys::try_from(sio.unknown_keys) {
        Ok(v1::UnknownKeys::Keep) => drop(properties.insert("unknown keys", "kept")),
        Ok(v1::UnknownKeys::Refuse) => drop(properties.insert("unknown keys", "refused")),
        _ => {}
    }
    if let Some(csv) = sio.csv {
        let header = if csv.no_header {
            "without a header"
        } else {
            "with a header"
        };
        let (delimiter, quote) = (csv.delimiter, csv.quote);
        properties.insert(
            "csv",
            format!("{header}, delimiter `{delimiter}`, quote `{quote}`"),
        );
    }
    properties.insert("served by", locations(service));
    if sio.empty_strings == i32::from(v1::EmptyStrings::Absent) {
        properties.insert("empty strings", "treated as absent");
    }
    for (key, value) in dict! {
        "running": service.running,
        "pending": service.pending,
        "queued": service.queued,
        "timeout": time(options.timeout),
        "attempt timeout": time(options.attempt_timeout),
        "attempts": retry.max_attempts,
        "on exhausted": on_exhausted_name(on_exhausted),
        "concurrency": options.concurrency,
        "queue length": options.queue_length,
        "pending limit": options.pending_limit,
        "retention": time(options.retention),
        "failure retention": time(options.failure_retention),
        "idempotent": options.idempotent,
    } {
        properties.insert(key, value);
    }
    add_rate(&mut properties, options.rate, options.burst);
    properties
}

/// A service without a rate has no row for it.
fn add_rate(properties: &mut Dict, rate: f64, burst: u32) {
    if rate > 0.0 {
        let rate = Rate::per_second(rate);
        properties.insert("rate", format!("{rate}, burst {burst}"));
    }
}

fn locations(service: &v1::ServiceDescription) -> String {
    let locations = service.locations.iter().map(location);
    locations.collect::<Vec<_>>().join(", ")
}

fn location(location: &v1::ServiceLocation) -> String {
    let place = match (location.worker_id.as_str(), location.worker_name.as_str()) {
        ("", _) => "the node".to_owned(),
        (id, name) => format!("{name} ({id})"),
    };
    let since = location.since_time.as_ref().and_then(timestamp_from_proto);
    let since = since
        .map(|since| format!(" since {since:.0}"))
        .unwrap_or_default();
    let build = match location.build_id.as_str() {
        "" => String::new(),
        build => format!(", build {build}"),
    };
    let away = match location.away {
        true => ", away",
        false => "",
    };
    let (hash, running) = (&location.declaration_hash, location.running);
    format!("{place}{build}, declaration {hash}{since}, {running} running{away}")
}

/// Prints the elements of the input or output as a table, nested ones below their dict.
fn print_elements(printer: &Printer, title: &str, elements: Option<&v1::Elements>) {
    printer.data("");
    let Some(side) = elements else {
        printer.data(&format!("{title}: any value"));
        return;
    };
    let title = match (side.elements.is_empty(), side.list, side.value) {
        (true, _, _) => format!("{title}: nothing"),
        (_, true, _) => format!("{title}: a list of dicts of"),
        (_, _, true) => format!("{title}: one value, not a dict"),
        (_, _, false) => format!("{title}:"),
    };
    printer.data(&title);
    if side.elements.is_empty() {
        return;
    }
    let mut rows = Vec::new();
    add_rows(&mut rows, &side.elements, 0);
    printer.table(
        ["ELEMENT", "TYPE", "REQUIRED", "DEFAULT", "DESCRIPTION"],
        &rows,
    );
}

fn add_rows(rows: &mut Vec<[String; 5]>, elements: &[v1::Element], level: usize) {
    for element in elements {
        rows.push([
            format!("{}{}", "  ".repeat(level), element.name),
            type_of(element),
            if element.optional { "no" } else { "yes" }.to_owned(),
            element.default_json.clone(),
            notes(element),
        ]);
        add_rows(rows, &element.elements, level + 1);
        if let Some(item) = &element.item {
            add_rows(rows, &item.elements, level + 1);
        }
    }
}

/// The declared properties of an element that have no column of their own.
fn notes(element: &v1::Element) -> String {
    let mut notes = element.description.clone();
    let policy = match v1::UnknownKeys::try_from(element.unknown_keys) {
        Ok(v1::UnknownKeys::Keep) => "Unknown keys are kept.",
        Ok(v1::UnknownKeys::Refuse) => "Unknown keys are refused.",
        _ => "",
    };
    let number = (element.number > 0).then(|| format!("Field {}.", element.number));
    let unchecked = match is_any_content(element) {
        true => "Content not checked before the handler.",
        false => "",
    };
    for note in [
        policy.to_owned(),
        number.unwrap_or_default(),
        unchecked.to_owned(),
    ] {
        if !note.is_empty() {
            notes.push_str(if notes.is_empty() { "" } else { " " });
            notes.push_str(&note);
        }
    }
    notes
}

/// Whether the declaration says nothing of the content: any value, any dict, a list of anything.
fn is_any_content(element: &v1::Element) -> bool {
    match element.r#type() {
        v1::ElementType::AsIs => true,
        v1::ElementType::Dict | v1::ElementType::DictList => element.elements.is_empty(),
        v1::ElementType::List => element.item.is_none(),
        _ => false,
    }
}

fn time(duration: Option<prost_types::Duration>) -> String {
    let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
    duration_text(duration.unwrap_or_default())
}
