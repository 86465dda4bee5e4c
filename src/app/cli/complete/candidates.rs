//! What the words of a command line may be, as the node and the file of contexts say.

use std::ffi::OsStr;

use clap::ValueEnum as _;
use clap_complete::engine::CompletionCandidate;

use super::words::{ask, words};
use crate::app::cli::contexts::Contexts;
use crate::app::cli::names::{operation_state_name, state_name};
use crate::app::cli::states::StateArg;
use crate::app::escape;
use crate::codec::filter::FIELDS;
use crate::codec::proto::v1;

/// How many names a shell shows.
const MAX_SHOWN: usize = 100;
/// How many invocations are shown, the newest ones.
const MAX_CIDS: usize = 20;
/// How many words may be the name of the service.
const MAX_TRIED: usize = 3;

/// A candidate with a note, for the shells that show one. Names come from workers.
fn candidate(value: &str, note: &str) -> Option<CompletionCandidate> {
    // A name that a terminal would act on is not shown, since an escaped one is another name.
    let is_plain = matches!(escape::line(value), std::borrow::Cow::Borrowed(_));
    let note = (!note.is_empty()).then(|| escape::line(note).into_owned().into());
    is_plain.then(|| CompletionCandidate::new(value).help(note))
}

/// The names of services.
pub(super) fn services(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(prefix) = current.to_str() else {
        return Vec::new();
    };
    let services = ask(async |client| client.services(prefix).await);
    let services = services.iter().take(MAX_SHOWN);
    let candidates = services.map(|service| candidate(&service.name, &service.description));
    candidates.flatten().collect()
}

/// The newest invocations in one of these states, or in any, and `last`.
pub(super) fn cids(states: &[v1::State]) -> Vec<CompletionCandidate> {
    let newest = ask(async |client| {
        let mut newest = Vec::new();
        let filter = v1::InvocationFilter {
            states: states.iter().map(|state| i32::from(*state)).collect(),
            ..v1::InvocationFilter::default()
        };
        let each = client.each_invocation(filter, MAX_CIDS, |found| newest.push(found));
        each.await?;
        Ok(newest)
    });
    let newest = newest.iter().map(|found| {
        let note = format!("{} {}", found.service, state_name(found.state));
        candidate(&found.cid, &note)
    });
    let last = candidate("last", "the last one that was started here");
    newest.chain([last]).flatten().collect()
}

/// The newest operations.
pub(super) fn operations() -> Vec<CompletionCandidate> {
    let newest = ask(async |client| client.operations(&[], MAX_CIDS).await);
    let newest = newest.iter().map(|found| {
        let note = operation_state_name(found.state);
        candidate(&found.id, &note)
    });
    newest.flatten().collect()
}

/// The names of contexts.
pub(super) fn contexts() -> Vec<CompletionCandidate> {
    let contexts = Contexts::load().unwrap_or_default().contexts;
    let contexts = contexts.iter().take(MAX_SHOWN);
    let candidates = contexts.map(|(name, context)| candidate(name, &context.node));
    candidates.flatten().collect()
}

/// The elements that the service of the command line takes, as `name=`; those that are there already are left out.
pub(super) fn elements(current: &OsStr) -> Vec<CompletionCandidate> {
    let words = words();
    let Some(current) = current.to_str() else {
        return Vec::new();
    };
    let names = words
        .iter()
        .skip_while(|word| !matches!(word.as_str(), "invoke" | "bench"))
        .skip(1)
        .filter(|word| !word.starts_with('-') && !word.contains('=') && *word != current);
    let names: Vec<&String> = names.take(MAX_TRIED).collect();
    let elements = ask(async |client| {
        for name in names {
            // The value of an option may stand before the name.
            if let Ok(service) = client.describe(name).await {
                let sio = service.declaration.and_then(|it| it.sio);
                return Ok(sio.and_then(|sio| sio.input).unwrap_or_default().elements);
            }
        }
        Ok(Vec::new())
    });
    let is_given = |name: &str| {
        let begin = format!("{name}=");
        let mut given = words.iter().filter(|word| *word != current);
        given.any(|word| word == name || word.starts_with(&begin))
    };
    let open = elements.iter().filter(|element| !is_given(&element.name));
    let candidates = open.take(MAX_SHOWN).map(|element| {
        let value = format!("{}=", element.name);
        candidate(&value, &element.description)
    });
    let candidates = candidates.flatten();
    candidates
        .filter(|it| it.get_value().to_string_lossy().starts_with(current))
        .collect()
}

/// The criteria of a filter, after what is written of it already.
pub(super) fn filter_terms(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else {
        return Vec::new();
    };
    let at = current.rfind([' ', '(', '=']).map_or(0, |at| at + 1);
    let (before, word) = current.split_at(at);
    let asked = before.trim_end_matches([' ', '(']);
    let asked = asked
        .strip_suffix('=')
        .map(str::trim_end)
        .unwrap_or_default();
    let words: Vec<String> = match asked.rsplit([' ', '(']).next() {
        Some("state") => StateArg::value_variants()
            .iter()
            .map(|state| state_name(state.to_proto().into()))
            .collect(),
        Some("service") => {
            let services = ask(async |client| client.services(word).await);
            let services = services.into_iter().take(MAX_SHOWN);
            services.map(|service| service.name).collect()
        }
        _ => FIELDS.iter().map(|field| format!("{field} ")).collect(),
    };
    let matching = words.iter().filter(|name| name.starts_with(word));
    let candidates = matching.map(|name| candidate(&format!("{before}{name}"), ""));
    candidates.flatten().collect()
}
