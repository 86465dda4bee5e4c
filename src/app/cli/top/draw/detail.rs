//! What is shown of an open service above its invocations: what it takes and answers, its options, why it fails.

use std::time::Duration;

use ratatui::text::Line;

use super::text::{Theme, wrap};
use crate::app::cli::control_text::control_text;
use crate::app::cli::element_text::type_of;
use crate::app::cli::names::health_name;
use crate::app::cli::times::duration_text;
use crate::app::cli::top::data::Data;
use crate::app::cli::top::table::Tone;
use crate::codec::proto::v1;

/// How many reasons of failures are named.
const MAX_REASONS: usize = 3;
/// How many lines one subject may have.
const MAX_WRAPPED: usize = 3;

/// The lines of the open service.
pub(super) fn service(data: &Data, name: &str, wide: usize, theme: Theme) -> Vec<Line<'static>> {
    let Some(service) = &data.service else {
        return vec![Line::styled("…", theme.of(Tone::Quiet))];
    };
    let mut texts = vec![(Tone::Plain, state(service))];
    let declaration = service.declaration.clone().unwrap_or_default();
    if !declaration.description.is_empty() {
        texts.push((Tone::Quiet, declaration.description));
    }
    let sio = declaration.sio.unwrap_or_default();
    let input = format!("input: {}", elements(sio.input.as_ref()));
    let output = format!("output: {}", elements(sio.output.as_ref()));
    texts.push((Tone::Plain, input));
    texts.push((Tone::Plain, output));
    texts.push((Tone::Plain, options(service)));
    texts.extend(failures(data, name).map(|text| (Tone::Bad, text)));
    let lines = texts.into_iter().flat_map(|(tone, text)| {
        let lines = wrap(&text, wide).into_iter().take(MAX_WRAPPED);
        lines.map(move |line| Line::styled(line, theme.of(tone)))
    });
    lines.collect()
}

fn state(service: &v1::ServiceDescription) -> String {
    let health = health_name(service.health);
    let control = service.control.as_ref().map(control_text);
    let control = control.map(|text| format!(" ({text})")).unwrap_or_default();
    let locations = service.locations.iter();
    let names = locations
        .take(4)
        .map(|location| match location.worker_id.as_str() {
            "" => "the node".to_owned(),
            _ => format!("{} {}", location.worker_name, location.build_id)
                .trim()
                .to_owned(),
        });
    let names: Vec<String> = names.collect();
    let served = match (names.len(), service.locations.len()) {
        (0, _) => "served by none".to_owned(),
        (shown, all) if shown < all => {
            format!("served by {} and {} more", names.join(", "), all - shown)
        }
        _ => format!("served by {}", names.join(", ")),
    };
    format!("{health}{control}, {served}")
}

/// `cust_id Int, name? Text`
fn elements(side: Option<&v1::Elements>) -> String {
    let Some(side) = side else {
        return "any value".to_owned();
    };
    let elements = side.elements.iter().map(|element| {
        let optional = if element.optional { "?" } else { "" };
        format!("{}{optional} {}", element.name, type_of(element))
    });
    let elements: Vec<String> = elements.collect();
    match (elements.is_empty(), side.list) {
        (true, _) => "nothing".to_owned(),
        (false, true) => format!("a list of dicts of {}", elements.join(", ")),
        (false, false) => elements.join(", "),
    }
}

fn options(service: &v1::ServiceDescription) -> String {
    let options = service.effective_options.unwrap_or_default();
    let attempts = options.retry_policy.unwrap_or_default().max_attempts;
    let time = |duration: Option<prost_types::Duration>| {
        let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
        duration_text(duration.unwrap_or_default())
    };
    format!(
        "concurrency {}, queue {}, pending limit {}, timeout {}, attempts {attempts} of {}, kept {}",
        options.concurrency,
        options.queue_length,
        options.pending_limit,
        time(options.timeout),
        time(options.attempt_timeout),
        time(options.retention),
    )
}

/// `failed in the last hour: 12 of 100 TIMEOUT, 3 of 100 HANDLER_FAILED`
fn failures(data: &Data, name: &str) -> Option<String> {
    let status = data.status.as_ref()?;
    let failing = status.failing_services.iter();
    let reasons = failing.filter(|failing| failing.service == name);
    let reasons = reasons.take(MAX_REASONS).map(|failing| {
        let (failures, calls) = (failing.failures, failing.calls);
        format!("{failures} of {calls} {}", failing.reason)
    });
    let reasons: Vec<String> = reasons.collect();
    (!reasons.is_empty()).then(|| format!("failed in the last hour: {}", reasons.join(", ")))
}
