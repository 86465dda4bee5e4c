//! Errors: as text with causes, violations and a hint, or as JSON; and their exit codes.

use std::borrow::Cow;
use std::io;
use std::process::ExitCode;

use super::style::{DIM, RED};
use crate::app::config::IN_CONFIG;
use crate::app::escape;
use crate::codec::failure::{causes, error_object};
use crate::codec::json;
use crate::dict;
use crate::model::error::{Error, Kind, reason};
use crate::model::id::Cid;
use crate::model::value::Value;

/// The exit code for a command line that is used incorrectly. clap exits with it too.
const USAGE: u8 = 2;
/// The exit code where the command did what it should, and a service, or the worker of `check-worker`, failed.
const FAILED: u8 = 1;

/// The exit code where a command stopped waiting for an invocation, which continues.
const STILL_RUNNING: u8 = 8;

/// The exit code of a configuration that is wrong: `EX_CONFIG` of sysexits.h, which systemd shows by its name.
const CONFIG: u8 = 78;

/// The exit code of a command that failed, see docs/cli.md.
pub(super) fn exit_code(error: &Error) -> ExitCode {
    ExitCode::from(match error.reason() {
        reason::USAGE_INVALID => USAGE,
        reason::CONFIG_INVALID => CONFIG,
        reason::CHECKS_FAILED => FAILED,
        reason::STILL_RUNNING if error.fact(STORED).is_none() => STILL_RUNNING,
        // It never fits, unlike what a node has no room for now.
        reason::MESSAGE_TOO_LARGE if error.fact(STORED).is_none() => {
            Kind::InvalidArgument.exit_code()
        }
        _ if is_unavailable(error.kind()) && is_outcome(error) => FAILED,
        _ => error.kind().exit_code(),
    })
}

/// Whether a failure means that the node or a worker cannot be reached now, if it is not the outcome of a service.
fn is_unavailable(kind: Kind) -> bool {
    matches!(kind, Kind::Unavailable | Kind::ResourceExhausted)
}

/// Whether a failure is the outcome of an invocation: a stored one, or one with the reason of a service.
fn is_outcome(error: &Error) -> bool {
    error.fact(STORED).is_some() || !reason::ALL.contains(&error.reason())
}

/// Writes an error for people.
pub(super) fn write_text(error: &Error, err: &mut impl io::Write) -> io::Result<()> {
    let (message, reason) = (error.to_string(), error.reason());
    let (message, reason) = (escape::indented(&message, 7), escape::line(reason));
    writeln!(err, "{RED}error{RED:#}: {message} ({reason})")?;
    // What the message says already is not repeated.
    for text in causes(error).filter(|text| !error.message().contains(text)) {
        writeln!(err, "  caused by: {}", escape::indented(&text, 13))?;
    }
    let violations = error.field_violations();
    if violations.len() > 1 {
        for violation in violations {
            let text = match error.fact(IN_CONFIG) {
                Some(_) => violation.message.clone(),
                None => violation.to_string(),
            };
            writeln!(err, "  - {}", escape::indented(&text, 4))?;
        }
    }
    if let Some(cid) = error.cid()
        && !error.message().contains(&cid.to_string())
    {
        writeln!(err, "  cid: {cid}")?;
    }
    if let Some(context) = error.fact(IN_CONTEXT) {
        writeln!(err, "  context: {}", escape::line(context))?;
    }
    if let Some(hint) = hint(error) {
        writeln!(err, "{DIM}hint{DIM:#}: {hint}")?;
    }
    Ok(())
}

/// Writes an error for programs: one line of JSON.
pub(super) fn write_json(error: &Error, err: &mut impl io::Write) -> io::Result<()> {
    let object = Value::from(dict! { "error": error_object(error) });
    let text = json::write(&object).unwrap_or_default();
    writeln!(err, "{}", escape::json(&text))
}

/// Logs an error: one event of the log.
pub(super) fn write_log(error: &Error) {
    let causes: Vec<String> = causes(error).collect();
    let causes = (!causes.is_empty()).then(|| causes.join(": "));
    let (code, reason) = (error.kind().name(), error.reason());
    tracing::error!(
        code,
        reason,
        causes,
        hint = hint(error).as_deref(),
        "{error}"
    );
}

/// Names the context that a command failed in.
pub(in crate::app::cli) fn in_context(error: Error, name: &str) -> Error {
    error.with_info(IN_CONTEXT, name)
}

/// The fact with the name of a context, see [`in_context`].
const IN_CONTEXT: &str = "context";

/// Marks the failure of an invocation that the node stores: its attempts can be shown.
pub(in crate::app::cli) fn of_stored(error: Error, cid: Cid) -> Error {
    error.with_cid(cid).with_info(STORED, cid)
}

/// The fact with the CID of a stored invocation, see [`of_stored`].
const STORED: &str = "stored_cid";

/// What the user can do about an error.
fn hint(error: &Error) -> Option<Cow<'static, str>> {
    if let Some(cid) = error.fact(STORED) {
        return Some(format!("`cidery explain {cid}` shows its attempts").into());
    }
    if let (reason::STILL_RUNNING, Some(cid)) = (error.reason(), error.cid()) {
        return Some(format!("`cidery result {cid} --follow` waits for its outcome").into());
    }
    if let (reason::CONNECT_FAILED, Some(cid)) = (error.reason(), error.cid()) {
        let hint =
            format!("the invocation continues: `cidery result {cid} --follow` follows it again");
        return Some(hint.into());
    }
    // Who is told the reason is told the service.
    let service = error.fact("service").unwrap_or("NAME");
    match error.reason() {
        reason::SERVICE_PAUSED => {
            let hint = format!(
                "`cidery service resume {service}` resumes it; with `--async`, the invocation waits for that"
            );
            return Some(hint.into());
        }
        reason::SERVICE_INACTIVE => {
            return Some(format!("`cidery service enable {service}` enables it").into());
        }
        _ => {}
    }
    let hint = match (error.reason(), error.kind()) {
        (reason::CONFIG_INVALID, _) => {
            "`cidery config show` shows what is in force once it is mended; `docs/configuration.md` has all options"
        }
        (reason::NOT_A_NODE, _) => {
            "check `--node`, the environment variable `CIDERY_NODE`, or the context"
        }
        (reason::CONNECT_FAILED, _) => {
            "start a node with `cidery serve`, or give the address of another one with `--node HOST:PORT`"
        }
        (reason::TLS_REQUIRED, _) => {
            "use `--node https://HOST:PORT`, and `--ca FILE` for a CA that the system does not trust"
        }
        (reason::BIND_FAILED, _) => {
            "another process may use the address; choose another one with `--listen`"
        }
        (reason::STORE_UNUSABLE, _) if is_denied(error) => {
            "the user of the node must be able to write to its data directory; choose another one with `--data-dir`"
        }
        (reason::STORE_FAILED, Kind::Unavailable | Kind::Internal) if error.cid().is_none() => {
            "check the disk or the database of the store, and the log of the node"
        }
        (reason::SERVICE_UNKNOWN, _) => "`cidery services` lists all services",
        (reason::NODE_HELD, _) => "`cidery resume` lets the node run what it has accepted",
        (reason::NO_WORKER, _) => {
            "start its worker, or use `--async` to run it once a worker connects"
        }
        (reason::DEADLINE_EXCEEDED, _) => "use a longer `--timeout`, or `--async`",
        (reason::CID_UNKNOWN, _) => {
            "only background and durable calls are stored, on the node that accepted them; check `--node`"
        }
        (_, Kind::ResourceExhausted) if error.is_retryable() => "retry later",
        _ => return None,
    };
    Some(hint.into())
}

/// Whether the system denies access to a file.
fn is_denied(error: &Error) -> bool {
    let cause = std::error::Error::source(error);
    let cause = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| {
        matches!(
            cause.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_lost_the_node_says_how_to_continue() {
        let cid = Cid::new();
        let lost = Error::unavailable(reason::CONNECT_FAILED, "x").with_cid(cid);
        let command = format!("`cidery result {cid} --follow`");
        assert!(hint(&lost).unwrap().contains(&command));
    }

    #[test]
    fn the_reason_decides_before_the_code() {
        let code = |error: &Error| format!("{:?}", exit_code(error));
        let is = |number: u8| format!("{:?}", ExitCode::from(number));
        let large = Error::resource_exhausted(reason::MESSAGE_TOO_LARGE, "x");
        assert_eq!(code(&large), is(3));
        assert_eq!(code(&of_stored(large, Cid::new())), is(1));
        let running = Error::deadline_exceeded(reason::STILL_RUNNING, "x");
        assert_eq!(code(&running), is(8));
        let late = Error::deadline_exceeded(reason::DEADLINE_EXCEEDED, "x");
        assert_eq!(code(&late), is(5));
    }

    #[test]
    fn the_service_that_is_known_is_named() {
        let paused = |error: Error| hint(&error).unwrap().into_owned();
        let error = || Error::unavailable(reason::SERVICE_PAUSED, "x");
        assert!(paused(error().with_info("service", "a.b")).contains("resume a.b`"));
        assert!(paused(error()).contains("resume NAME`"));
    }

    #[test]
    fn hints_end_without_a_full_stop() {
        for reason in [
            "CONNECT_FAILED",
            "BIND_FAILED",
            "SERVICE_UNKNOWN",
            "CID_UNKNOWN",
        ] {
            let text = hint(&Error::unavailable(reason, "x")).unwrap();
            assert!(!text.ends_with('.'), "{text}");
        }
    }
}
