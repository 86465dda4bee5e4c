//! The credential of a request: `authorization: Bearer …`.

use http::HeaderMap;
use http::header::{AUTHORIZATION, Entry, HeaderValue};

/// The longest credential, in bytes: as long as all metadata of a request may be.
const MAX_BYTES: usize = 8 * 1024;
const SCHEME: &[u8] = b"bearer ";

/// Takes the header of the credential out of a request, so that nothing behind the port can log it. `Err` where there
/// are several.
pub(super) fn take(headers: &mut HeaderMap) -> Result<Option<HeaderValue>, &'static str> {
    let Entry::Occupied(values) = headers.entry(AUTHORIZATION) else {
        return Ok(None);
    };
    let is_one = values.iter().nth(1).is_none();
    let value = values.remove();
    match is_one {
        true => Ok(Some(value)),
        false => Err("the request has several `authorization` headers"),
    }
}

/// The credential in a header.
pub(super) fn credential(header: &HeaderValue) -> Result<&str, &'static str> {
    let bytes = header.as_bytes();
    if bytes.len() > MAX_BYTES {
        return Err("the credential is longer than 8 KiB");
    }
    let scheme = bytes.get(..SCHEME.len());
    let is_bearer = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    let credential = bytes.get(SCHEME.len()..).filter(|_| is_bearer);
    let credential = credential.and_then(|text| str::from_utf8(text).ok());
    credential
        .map(str::trim_ascii)
        .ok_or("the `authorization` header is not `Bearer` and a credential")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for (header, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("BEARER ", Some("")),
            ("Bearer", None),
            ("Basic abc", None),
            ("abc", None),
            ("", None),
        ] {
            let header = HeaderValue::from_static(header);
            assert_eq!(credential(&header).ok(), expected, "{header:?}");
        }
    }

    #[test]
    fn the_header_is_taken_out_and_stands_once() {
        let mut headers = HeaderMap::new();
        assert_eq!(take(&mut headers), Ok(None));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert!(take(&mut headers).unwrap().is_some());
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer b"));
        assert!(take(&mut headers).is_err());
        assert!(headers.is_empty());
    }
}
