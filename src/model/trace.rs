//! The trace context of W3C: which trace a call is part of, and the span that caused it.

use std::fmt;

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// The position of a call in a trace, as the header `traceparent` carries it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace. Never 0.
    pub trace_id: u128,
    /// The span that causes what follows. Never 0.
    pub span_id: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`. `None` where it is malformed: a trace then begins anew.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let mut parts = known.split('-');
        let version = hex(parts.next()?, 2)?;
        let trace_id = hex(parts.next()?, 32)?;
        let span_id = u64::try_from(hex(parts.next()?, 16)?).ok()?;
        let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
        // Later versions may add fields.
        let rest_is_known = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        (rest_is_known && parts.next().is_none() && trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            sampled: flags & SAMPLED != 0,
        })
    }
}

impl TraceContext {
    /// The ID of the trace as text.
    pub(crate) fn trace(&self) -> impl fmt::Display + use<> {
        let id = self.trace_id;
        fmt::from_fn(move |f| write!(f, "{id:032x}"))
    }

    /// The ID of the span as text.
    pub(crate) fn span(&self) -> impl fmt::Display + use<> {
        let id = self.span_id;
        fmt::from_fn(move |f| write!(f, "{id:016x}"))
    }
}

/// The `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled) * SAMPLED;
        write!(
            f,
            "00-{:032x}-{:016x}-{flags:02x}",
            self.trace_id, self.span_id
        )
    }
}

/// Whether two texts are a `traceparent` of the same trace.
#[must_use]
pub fn is_same_trace(one: &str, other: &str) -> bool {
    let trace = |text| TraceContext::parse(text).map(|context| context.trace_id);
    trace(one).is_some_and(|id| trace(other) == Some(id))
}

/// Lower-case hexadecimal digits, exactly so many.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(is_hex))
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let context = TraceContext::parse(TEXT).unwrap();
        assert_eq!(context.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(context.span_id, 0xb7ad_6b71_6920_3331);
        assert!(context.sampled);
        assert_eq!(context.to_string(), TEXT);
        let unsampled = TraceContext {
            sampled: false,
            ..context
        };
        assert_eq!(unsampled.to_string(), TEXT.replace("-01", "-00"));
        assert_eq!(TraceContext::parse(&unsampled.to_string()), Some(unsampled));
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        let later = TEXT.replacen("00", "01", 1);
        assert_eq!(TraceContext::parse(&later), TraceContext::parse(TEXT));
        let longer = format!("{later}-what-comes");
        assert_eq!(TraceContext::parse(&longer), TraceContext::parse(TEXT));
        assert_eq!(TraceContext::parse(&format!("{later}x")), None);
    }

    #[test]
    fn what_is_malformed_is_no_context() {
        let malformed = [
            "",
            "00",
            &TEXT.to_uppercase(),
            &TEXT.replacen("00", "ff", 1),
            &TEXT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &TEXT.replace("b7ad6b7169203331", &"0".repeat(16)),
            &format!("{TEXT}-01"),
            &TEXT[..54],
            &TEXT.replace('-', "_"),
            &TEXT.replace("0af7", "ä7f"),
            &TEXT.replace("0af7", "+af7"),
        ];
        for text in malformed {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn traces_are_told_apart() {
        let child = TEXT.replace("b7ad", "1111");
        assert!(is_same_trace(TEXT, &child));
        assert!(!is_same_trace(TEXT, &TEXT.replace("0af7", "1111")));
        assert!(!is_same_trace("", ""));
    }
}
