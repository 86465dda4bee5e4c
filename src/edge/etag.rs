//! Whether a client has what it asks for already. The answers that browsers keep ask it.

use http::HeaderMap;
use http::header::IF_NONE_MATCH;

/// Whether the caller has the content with this tag (RFC 9110, 13.1.2): tags are compared weakly.
pub(super) fn is_match(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let etag = opaque(etag);
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|all| all.split(','));
    tags.any(|tag| {
        let tag = tag.trim();
        tag == "*" || opaque(tag) == etag
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        for (given, etag, expected) in [
            ("\"a\"", "\"a\"", true),
            ("W/\"a\"", "\"a\"", true),
            ("\"a\"", "W/\"a\"", true),
            ("\"b\", W/\"a\"", "W/\"a\"", true),
            ("*", "\"a\"", true),
            ("a", "\"a\"", false),
            ("\"b\"", "\"a\"", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(given));
            assert_eq!(is_match(&headers, etag), expected, "{given} {etag}");
        }
        assert!(!is_match(&HeaderMap::new(), "\"a\""));
    }
}
