//! Media types: which format a request has, and which types its answer may have.

use std::borrow::Cow;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::problem::Problem;
use crate::model::error::{Error, reason};
use crate::model::payload::Format;

/// The header that lists the types that a path accepts, as `accept-patch` does for PATCH.
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
/// The types of inputs.
pub(super) const INPUTS: &str =
    "application/json, text/csv, application/x-www-form-urlencoded, text/plain";

/// The formats that have a media type.
pub(super) const FORMATS: [(&str, Format); 4] = [
    ("application/json", Format::Json),
    ("text/csv", Format::Csv),
    ("text/plain", Format::Text),
    ("application/x-www-form-urlencoded", Format::Form),
];

/// The header of an answer in a format.
pub(super) fn content_type(format: Format) -> HeaderValue {
    HeaderValue::from_static(match format {
        Format::Dict | Format::Json => "application/json",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Text => "text/plain; charset=utf-8",
        Format::Form => "application/x-www-form-urlencoded",
    })
}

/// The media type of a request, in lower case and without its parameters. `None` where it has none.
///
/// # Errors
///
/// 415 for a text that is not UTF-8, and for a body that is compressed.
pub(super) fn media_type(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, Problem> {
    let encoded = headers.get_all(CONTENT_ENCODING).iter();
    if let Some(encoding) = encoded
        .into_iter()
        .find(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        let message =
            format!("a body with `content-encoding: {encoding}` is not decoded: send it as it is");
        let identity = HeaderValue::from_static("identity");
        return Err(unsupported(message).with_header(ACCEPT_ENCODING, identity));
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (first, more) = (types.next(), types.next());
    let Some(first) = first else {
        return Ok(None);
    };
    let text = first.to_str().ok().filter(|_| more.is_none());
    let text =
        text.ok_or_else(|| unsupported("the `content-type` is not one media type".to_owned()))?;
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    if let Some(charset) = charset(parameters)
        && !["utf-8", "utf8", "us-ascii"].contains(&charset.as_str())
    {
        return Err(unsupported(format!(
            "the charset `{charset}` is not decoded: send UTF-8"
        )));
    }
    let essence = essence.trim();
    Ok(Some(
        match essence.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(essence.to_ascii_lowercase()),
            false => Cow::Borrowed(essence),
        },
    ))
}

/// The value of the parameter `charset`, in lower case.
fn charset(parameters: &str) -> Option<String> {
    let mut parameters = parameters.split(';').filter_map(|one| one.split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Some(value.trim().trim_matches('"').to_ascii_lowercase())
}

/// The format of a media type; `None` for a request without one.
///
/// # Errors
///
/// 415 for another type.
pub(super) fn format_of(media_type: Option<&str>) -> Result<Option<Format>, Problem> {
    let Some(media_type) = media_type else {
        return Ok(None);
    };
    let mut formats = FORMATS.iter();
    let found = formats.find(|(name, _)| *name == media_type);
    match found {
        Some((_, format)) => Ok(Some(*format)),
        None => {
            let message = format!("`{media_type}` is not supported: use one of {INPUTS}");
            Err(unsupported(message))
        }
    }
}

/// 415, with the types that are supported.
pub(super) fn unsupported(message: String) -> Problem {
    let error = Error::invalid_argument(reason::MEDIA_TYPE_UNSUPPORTED, message);
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
        .with_header(ACCEPT_POST, HeaderValue::from_static(INPUTS))
}

/// 415 for a body without a media type.
pub(super) fn untyped() -> Problem {
    unsupported(format!(
        "the body has no `content-type`: use one of {INPUTS}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(HeaderName, &'static str)]) -> Result<Option<String>, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        let read = media_type(&headers).map(|read| read.map(Cow::into_owned));
        read.map_err(|problem| problem.into_response().status().as_u16())
    }

    #[test]
    fn a_media_type_is_read_without_its_parameters() {
        for (value, expected) in [
            ("application/json", "application/json"),
            ("Application/JSON; charset=UTF-8", "application/json"),
            ("text/csv;header=present;charset=\"utf-8\"", "text/csv"),
            ("text/plain; charset=us-ascii", "text/plain"),
        ] {
            assert_eq!(
                read(&[(CONTENT_TYPE, value)]),
                Ok(Some(expected.to_owned()))
            );
        }
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[(CONTENT_ENCODING, "Identity")]), Ok(None));
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for values in [
            &[(CONTENT_TYPE, "text/plain; charset=latin1")][..],
            &[(CONTENT_TYPE, "text/plain"), (CONTENT_TYPE, "text/csv")],
            &[(CONTENT_ENCODING, "gzip")],
            &[(CONTENT_ENCODING, "identity"), (CONTENT_ENCODING, "br")],
        ] {
            assert_eq!(read(values), Err(415), "{values:?}");
        }
    }
}
