//! The debug forms of an error: what a person reads when `main` returns it, and the structure.

use std::{error, fmt};

use super::{Error, ErrorInner, Kind, Violation};

/// `{:?}` prints one line for people, which Rust also prints where `main` returns the error. `{:#?}` prints the
/// structure.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.alternate() {
            true => self.fmt_structure(f),
            false => self.fmt_line(f),
        }
    }
}

impl Error {
    /// Writes the message, the kind and the reason, the CID, the violations, and the causes or the trace.
    pub(super) fn fmt_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (message, reason) = (self.message(), self.reason());
        write!(f, "{message} ({} / {reason})", self.kind().name())?;
        if let Some(cid) = self.cid() {
            write!(f, ", CID {cid}")?;
        }
        // A single one is the message.
        if let violations @ [_, _, ..] = self.field_violations() {
            list(f, "violations", violations)?;
        }
        let causes = causes(self);
        match &self.0.trace {
            // That of a panic, or of an error whose type is lost.
            Some(trace) if causes.is_empty() => list(f, "trace", trace.lines().map(str::trim)),
            _ => list(f, "caused by", causes),
        }
    }
}

/// Writes a list on the same line: `; violations: a; b`. Nothing where it is empty.
fn list(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    items: impl IntoIterator<Item = impl fmt::Display>,
) -> fmt::Result {
    for (position, item) in items.into_iter().enumerate() {
        match position {
            0 => write!(f, "; {title}: {item}")?,
            _ => write!(f, "; {item}")?,
        }
    }
    Ok(())
}

/// The texts of the causes of an error. Some libraries wrap an error in another one with the same text.
fn causes(error: &Error) -> Vec<String> {
    let causes = std::iter::successors(error::Error::source(error), |cause| cause.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts
}

impl Error {
    fn fmt_structure(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErrorInner {
            kind,
            reason,
            message,
            violations,
            source,
            location,
            trace,
            ..
        } = &*self.0;
        let mut structure = f.debug_struct("Error");
        structure
            .field("kind", kind as &Kind)
            .field("reason", reason)
            .field("message", message)
            .field("violations", violations as &Vec<Violation>)
            .field("source", source)
            .field("trace", trace);
        if let Some(location) = location {
            structure.field("location", &format_args!("{location}"));
        }
        structure.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cid::Cid;

    #[test]
    fn the_debug_form_is_for_people_and_the_alternate_one_for_programmers() {
        let cause = Error::internal("DISK", "the disk failed").with_source(fmt::Error);
        let error = Error::unavailable("NO_STOCK", "the stock is unknown").with_source(cause);
        let line = "the stock is unknown (UNAVAILABLE / NO_STOCK); caused by: the disk failed; an error occurred when \
                    formatting an argument";
        assert_eq!(format!("{error:?}"), line);
        assert_eq!(format!("{error:#}"), line);
        assert_eq!(error.to_string(), "the stock is unknown");
        let structure = format!("{error:#?}");
        assert!(structure.contains("kind: Unavailable,"), "{structure}");
    }

    #[test]
    fn the_debug_form_is_one_line() {
        let one = Violation::new("/a", "MISSING", "is required");
        let error = Error::violations("INPUT_INVALID", vec![one]);
        assert_eq!(
            format!("{error:?}"),
            "`/a`: is required (INVALID_ARGUMENT / INPUT_INVALID)"
        );
        let error = error.with_violation(Violation::new("/b", "MISSING", "is required"));
        let cid = Cid::new();
        let line = format!("{:?}", error.with_cid(cid).with_trace("Traceback\n  at a"));
        let end = format!(
            ", CID {cid}; violations: `/a`: is required; `/b`: is required; trace: Traceback; at a"
        );
        assert!(line.ends_with(&end), "{line}");
    }
}
