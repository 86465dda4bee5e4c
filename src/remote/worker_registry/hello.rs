//! Validation of a worker's hello, and of the lists in its messages: names, lengths, the declarations of its services.

use std::collections::HashSet;
#[cfg(feature = "cli")]
use std::sync::Arc;

use jiff::Timestamp;

use super::declarations::Declaration;
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message;
use crate::model::error::{Error, Result, Violation, reason};
#[cfg(feature = "cli")]
use crate::service::Definition;

/// The longest name or build of a worker, in bytes.
const MAX_WORKER_NAME_BYTES: usize = 256;
/// The most services of one worker.
const MAX_SERVICES: usize = 10_000;
/// The most capabilities of one worker, with those of later versions.
const MAX_CAPABILITIES: usize = 64;
/// The most dispatches that one message of a worker names.
const MAX_DISPATCHES: usize = 100_000;

/// Validates the lists of a hello that are read before the worker is known.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`, for each list that is too long.
pub(super) fn validate_lists(hello: &v1::Hello) -> Result<()> {
    check_lengths([
        ("/capabilities", hello.capabilities.len(), MAX_CAPABILITIES),
        ("/tokens", hello.tokens.len(), MAX_DISPATCHES),
    ])
}

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
    let lists = lists.into_iter();
    let too_long = lists.filter_map(|(path, n, limit)| Violation::too_many(path, n, limit));
    Error::reject(reason::REQUEST_INVALID, too_long.collect())
}

/// Validates a hello, and reads the declarations of its services. `now` is when they were first seen, if they are new.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `DECLARATION_INVALID` with all violations.
pub(super) fn validate(hello: v1::Hello, now: Timestamp) -> Result<Vec<Declaration>> {
    let (mut violations, mut declarations) = (Vec::new(), Vec::new());
    for (path, text) in [("/name", &hello.name), ("/build_id", &hello.build_id)] {
        if text.len() > MAX_WORKER_NAME_BYTES {
            let message = format!("has {MAX_WORKER_NAME_BYTES} bytes at most");
            violations.push(Violation::new(path, "TOO_LONG", message));
        }
    }
    let services = hello.services;
    if services.is_empty() || services.len() > MAX_SERVICES {
        let message = format!("are 1 to {MAX_SERVICES}");
        violations.push(Violation::new("/services", "OUT_OF_RANGE", message));
    }
    let mut names = HashSet::new();
    for (index, service) in services.into_iter().take(MAX_SERVICES).enumerate() {
        let index = index.to_string();
        let in_service = |violation: Violation| violation.under(&index).under("services");
        if !names.insert(service.name.clone()) {
            let message = format!("`{}` is announced twice", service.name);
            violations.push(in_service(Violation::new("/name", "DUPLICATE", message)));
            continue;
        }
        match Declaration::new(service, now) {
            Ok(declaration) => declarations.push(declaration),
            Err(error) if error.field_violations().is_empty() => {
                let violation = Violation::new("/name", "INVALID", error.message());
                violations.push(in_service(violation));
            }
            Err(error) => {
                let found = error.field_violations().iter().cloned();
                violations.extend(found.map(|violation| in_service(violation.under("sio"))));
            }
        }
    }
    Error::reject(reason::DECLARATION_INVALID, violations)?;
    Ok(declarations)
}

/// Reads the services of a hello as a node does.
///
/// # Errors
///
/// As for a worker that connects: a list that is too long, or `DECLARATION_INVALID` with all violations.
#[cfg(feature = "cli")]
pub(in crate::remote) fn definitions_of(hello: v1::Hello) -> Result<Vec<Arc<Definition>>> {
    validate_lists(&hello)?;
    let declarations = validate(hello, Timestamp::UNIX_EPOCH)?;
    Ok(declarations.into_iter().map(|it| it.definition).collect())
}
