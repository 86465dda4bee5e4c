//! The debug forms of an error: what a person reads when `main` returns it, and the structure.

use std::{error, fmt};

use super::{Error, ErrorInner, Kind, Violation};

/// `{:?}` prints the message, the kind and the reason, the violations, and the causes or the trace, for people: Rust
/// prints it where `main` returns the error. `{:#?}` prints the structure.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return self.fmt_structure(f);
        }
        write!(f, "{self} ({} / {})", self.kind().name(), self.reason())?;
        if let Some(cid) = self.cid() {
            write!(f, "\n\nCID: {cid}")?;
        }
        // A single one is the message.
        if let violations @ [_, _, ..] = self.field_violations() {
            f.write_str("\n\nViolations:")?;
            violations
                .iter()
                .try_for_each(|violation| write!(f, "\n    {violation}"))?;
        }
        let mut cause = error::Error::source(self);
        match (cause, &self.0.trace) {
            (Some(_), _) => f.write_str("\n\nCaused by:")?,
            // That of a panic, or of an error whose type is lost.
            (None, Some(trace)) => {
                f.write_str("\n\nTrace:")?;
                let mut lines = trace.lines();
                lines.try_for_each(|line| write!(f, "\n    {line}"))?;
            }
            (None, None) => {}
        }
        let mut last = String::new();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries wrap an error in another one with the same text.
            if text != last {
                write!(f, "\n    {text}")?;
            }
            last = text;
            cause = error.source();
        }
        Ok(())
    }
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

    #[test]
    fn the_debug_form_is_for_people_and_the_alternate_one_for_programmers() {
        let cause = Error::internal("DISK", "the disk failed").with_source(fmt::Error);
        let error = Error::unavailable("NO_STOCK", "the stock is unknown").with_source(cause);
        assert_eq!(
            format!("{error:?}"),
            "the stock is unknown (UNAVAILABLE / NO_STOCK)\n\nCaused by:\n    the disk failed\n    \
             an error occurred when formatting an argument"
        );
        let structure = format!("{error:#?}");
        assert!(structure.contains("kind: Unavailable,"), "{structure}");
    }

    #[test]
    fn each_violation_has_a_line() {
        let one = Violation::new("/a", "MISSING", "is required");
        let error = Error::violations("INPUT_INVALID", vec![one]);
        assert_eq!(
            format!("{error:?}"),
            "`/a`: is required (INVALID_ARGUMENT / INPUT_INVALID)"
        );
        let error = error.with_violation(Violation::new("/b", "MISSING", "is required"));
        assert!(
            format!("{error:?}")
                .ends_with("\n\nViolations:\n    `/a`: is required\n    `/b`: is required")
        );
    }
}
