//! Validation of a worker's hello, and of the lists in its messages: names, lengths, the declarations of its services.

use std::collections::{HashMap, HashSet};
#[cfg(feature = "cli")]
use std::sync::Arc;

use jiff::Timestamp;

use super::declarations::Declaration;
use super::worker_info::{MAX_IN_FLIGHT, WorkerInfo};
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message;
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::{ServiceName, truncated};
#[cfg(feature = "cli")]
use crate::service::Definition;

/// The longest name or build of a worker, in bytes.
const MAX_WORKER_NAME_BYTES: usize = 256;
/// The most services of one worker.
pub(super) const MAX_SERVICES: usize = 10_000;
/// The most capabilities of one worker, with those of later versions.
const MAX_CAPABILITIES: usize = 64;
/// The most dispatches that one message of a worker names.
const MAX_DISPATCHES: usize = 100_000;

/// Validates the lists of a message that follows the hello.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`, for each list that is too long.
pub(crate) fn validate_message(message: &v1::ServeRequest) -> Result<()> {
    let handed_back = match &message.message {
        Some(Message::HandBack(hand_back)) => hand_back.tokens.len(),
        _ => 0,
    };
    check_lengths([
        ("/results", message.results.len(), MAX_DISPATCHES),
        ("/hand_back/tokens", handed_back, MAX_DISPATCHES),
    ])
}

/// Checks lists, each with its path, its length and its limit.
fn check_lengths(lists: [(&str, usize, usize); 2]) -> Result<()> {
    Error::reject(reason::REQUEST_INVALID, too_long(lists))
}

fn too_long(lists: [(&str, usize, usize); 2]) -> Vec<Violation> {
    let lists = lists.into_iter();
    let too_long = lists.filter_map(|(path, n, limit)| Violation::too_many(path, n, limit));
    too_long.collect()
}

/// Validates a hello, and reads the declarations of its services. `now` is when they were first seen, if they are new.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DECLARATION_INVALID` with all violations.
pub(super) fn validate(hello: &mut v1::Hello, now: Timestamp) -> Result<Vec<Declaration>> {
    let mut violations = too_long([
        ("/capabilities", hello.capabilities.len(), MAX_CAPABILITIES),
        ("/tokens", hello.tokens.len(), MAX_DISPATCHES),
    ]);
    for (path, text) in [("/name", &hello.name), ("/build_id", &hello.build_id)] {
        if text.len() > MAX_WORKER_NAME_BYTES {
            let message = format!("has {MAX_WORKER_NAME_BYTES} bytes at most");
            violations.push(Violation::new(path, "TOO_LONG", message));
        }
    }
    if usize::try_from(hello.max_in_flight).is_ok_and(|given| given > MAX_IN_FLIGHT) {
        let message = format!("is {MAX_IN_FLIGHT} at most");
        violations.push(Violation::new("/max_in_flight", "OUT_OF_RANGE", message));
    }
    let services = std::mem::take(&mut hello.services);
    if services.is_empty() || services.len() > MAX_SERVICES {
        let message = format!("are 1 to {MAX_SERVICES}");
        violations.push(Violation::new("/services", "OUT_OF_RANGE", message));
    }
    let (mut names, mut declarations) = (HashSet::new(), Vec::new());
    for (index, service) in services.into_iter().take(MAX_SERVICES).enumerate() {
        let index = index.to_string();
        let in_service = |violation: Violation| violation.under(&index).under("services");
        if !names.insert(service.name.clone()) {
            let message = format!("`{}` is announced twice", truncated(&service.name));
            violations.push(in_service(Violation::new("/name", "DUPLICATE", message)));
            continue;
        }
        match Declaration::new(service, now) {
            Ok(declaration) => declarations.push(declaration),
            Err(error) => {
                violations.extend(error.violations_at("").into_iter().map(in_service));
            }
        }
    }
    Error::reject(reason::DECLARATION_INVALID, violations)?;
    Ok(declarations)
}

/// Checks that a worker which resumes its session announces what it announced before.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `RESUME_MISMATCH`, with each difference.
pub(super) fn check_resume(
    (before, declared_before): (&WorkerInfo, &[(ServiceName, String)]),
    (now, declared_now): (&WorkerInfo, &[(ServiceName, String)]),
) -> Result<()> {
    let mut violations = Vec::new();
    let mut differs = |path: String, message: String| {
        violations.push(Violation::new(path, "CHANGED", message));
    };
    let before_by_name: HashMap<_, _> = declared_before.iter().map(|(n, h)| (n, h)).collect();
    for (index, (name, hash)) in declared_now.iter().enumerate() {
        match before_by_name.get(name) {
            None => differs(
                format!("/services/{index}/name"),
                format!("`{name}` is not a service of the session"),
            ),
            Some(before) if *before != hash => differs(
                format!("/services/{index}"),
                format!("the declaration of `{name}` is not that of the session"),
            ),
            Some(_) => {}
        }
    }
    let names_now: HashSet<_> = declared_now.iter().map(|(name, _)| name).collect();
    for (name, _) in declared_before {
        if !names_now.contains(name) {
            let message = format!("`{name}`, a service of the session, is missing");
            differs("/services".to_owned(), message);
        }
    }
    if before.sorted_capabilities() != now.sorted_capabilities() {
        let message = "are not those of the session".to_owned();
        differs("/capabilities".to_owned(), message);
    }
    for (path, before, now) in [
        ("/max_in_flight", before.max_in_flight, now.max_in_flight),
        (
            "/max_message_bytes",
            before.max_message_bytes,
            now.max_message_bytes,
        ),
    ] {
        if before != now {
            differs(
                path.to_owned(),
                format!("is {now}; in the session it is {before}"),
            );
        }
    }
    Error::reject(reason::RESUME_MISMATCH, violations)
}

/// Reads the services of a hello as a node does.
///
/// # Errors
///
/// As for a worker that connects: a list that is too long, or `DECLARATION_INVALID` with all violations.
#[cfg(feature = "cli")]
pub(in crate::remote) fn definitions_of(mut hello: v1::Hello) -> Result<Vec<Arc<Definition>>> {
    let declarations = validate(&mut hello, Timestamp::UNIX_EPOCH)?;
    Ok(declarations.into_iter().map(|it| it.definition).collect())
}
