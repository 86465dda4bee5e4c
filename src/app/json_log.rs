//! Log lines as JSON: whose call a line is about is at its top level, where log systems look for it.

use std::fmt;

use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The fields of a call, and the fields of its span that they are.
const FIELDS: [(&str, &str); 4] = [
    ("cid", "cid"),
    ("service", "service.name"),
    ("trace_id", "trace_id"),
    ("span_id", "span_id"),
];

/// Adds the fields of the call to the lines of a format that writes one JSON object for each.
pub(super) struct WithCall<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for WithCall<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let (Some(object), Some(call)) = (line.strip_suffix("}\n"), call_of(context)) else {
            return writer.write_str(&line);
        };
        writer.write_str(object)?;
        for (name, of_span) in FIELDS {
            // The line may say it of another call.
            let is_new = event.metadata().fields().field(name).is_none();
            if let Some(value) = call.get(of_span).filter(|_| is_new) {
                write!(writer, ",\"{name}\":{value}")?;
            }
        }
        writer.write_str("}\n")
    }
}

/// The fields of the span of the call that a line is about: the innermost one.
fn call_of<S, N>(context: &FmtContext<'_, S, N>) -> Option<Map<String, Value>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut spans = context.event_scope()?;
    spans.find_map(|span| {
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>()?;
        let fields: Map<String, Value> = serde_json::from_str(fields).ok()?;
        fields.contains_key("cid").then_some(fields)
    })
}
