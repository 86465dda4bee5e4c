//! What a caller prefers (RFC 7240): `respond-async`, and `wait` with a number of seconds.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

/// The header of preferences.
pub(super) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The header of an answer that names the preferences that were honored.
pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Preferences that the node knows. Others are ignored, as the RFC asks, and so is one that is malformed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Preferences {
    /// The caller does not wait for the outcome.
    pub(super) respond_async: bool,
    /// How long it waits.
    pub(super) wait: Option<Duration>,
}

impl Preferences {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut all = Self::default();
        let values = headers
            .get_all(PREFER)
            .iter()
            .filter_map(|value| value.to_str().ok());
        for preference in values.flat_map(|text| text.split(',')) {
            let (preference, _) = preference.split_once(';').unwrap_or((preference, ""));
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("respond-async") {
                all.respond_async = true;
            } else if name.eq_ignore_ascii_case("wait") && all.wait.is_none() {
                // The first one counts.
                all.wait = value
                    .parse::<u32>()
                    .ok()
                    .map(|seconds| Duration::from_secs(seconds.into()));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn known_preferences_are_read() {
        let wait = |seconds| Some(Duration::from_secs(seconds));
        for (texts, respond_async, expected) in [
            (&["wait=5"][..], false, wait(5)),
            (&["respond-async, WAIT = \"7\" ; x=y"], true, wait(7)),
            (&["wait=3", "wait=9", "respond-async;a=b"], true, wait(3)),
            (&["wait=-1"], false, None),
            (&["wait", "handling=lenient"], false, None),
            (&[], false, None),
        ] {
            let mut headers = HeaderMap::new();
            for text in texts {
                headers.append(PREFER, HeaderValue::from_static(text));
            }
            let read = Preferences::read(&headers);
            assert_eq!(
                (read.respond_async, read.wait),
                (respond_async, expected),
                "{texts:?}"
            );
        }
    }
}
