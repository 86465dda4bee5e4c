//! Which format an answer has: what `accept` says (RFC 9110, 12.5.1).

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::media::FORMATS;
use super::problem::Problem;
use crate::model::error::{Error, reason};
use crate::model::payload::Format;

/// How many ranges are read.
const MAX_RANGES: usize = 64;

/// How much a type is wanted: by its most specific range, then by its quality.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    /// In thousandths; 0: not at all.
    quality: u16,
}

/// The format that a caller asks for; `None` where any will do.
///
/// # Errors
///
/// 406 where none of the formats will do.
pub(super) fn requested(headers: &HeaderMap) -> Result<Option<Format>, Problem> {
    let ranges = ranges(headers);
    if ranges.is_empty() {
        return Ok(None);
    }
    let any = quality(&ranges, "", "").unwrap_or(0);
    let wanted = FORMATS.iter().map(|(name, format)| {
        let (kind, subtype) = name.split_once('/').unwrap_or((name, ""));
        (quality(&ranges, kind, subtype).unwrap_or(0), *format)
    });
    // The first of several that are wanted as much: JSON comes first.
    let best = wanted.rev().max_by_key(|(quality, _)| *quality);
    match best {
        Some((quality, _)) if quality == any && any > 0 => Ok(None),
        Some((quality, format)) if quality > 0 => Ok(Some(format)),
        _ => Err(not_acceptable()),
    }
}

/// Whether a caller that can have two types wants the first one, as the header says.
pub(super) fn prefers(
    headers: &HeaderMap,
    (kind, subtype): (&str, &str),
    other: (&str, &str),
) -> bool {
    let ranges = ranges(headers);
    let first = quality(&ranges, kind, subtype).unwrap_or(0);
    first > quality(&ranges, other.0, other.1).unwrap_or(0)
}

fn ranges(headers: &HeaderMap) -> Vec<Range<'_>> {
    let values = headers.get_all(ACCEPT).iter();
    let texts = values.filter_map(|value: &HeaderValue| value.to_str().ok());
    let ranges = texts.flat_map(|text| text.split(','));
    ranges.filter_map(range).take(MAX_RANGES).collect()
}

/// Reads `text/*;q=0.5`. Other parameters do not matter.
fn range(text: &str) -> Option<Range<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    let quality =
        parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let quality = quality.map_or(Some(1.0), |text| text.parse::<f32>().ok())?;
    let thousandths = (quality.clamp(0.0, 1.0) * 1_000.0).round();
    Some(Range {
        kind,
        subtype,
        // Between 0 and 1000.
        quality: thousandths as u16,
    })
}

/// The quality of a type, by the most specific range that has it.
fn quality(ranges: &[Range<'_>], kind: &str, subtype: &str) -> Option<u16> {
    let specificity = |range: &&Range<'_>| {
        let is_kind = range.kind.eq_ignore_ascii_case(kind);
        let is_subtype = range.subtype.eq_ignore_ascii_case(subtype);
        match (range.kind, range.subtype) {
            ("*", "*") => Some(1),
            (_, "*") if is_kind => Some(2),
            _ if is_kind && is_subtype => Some(3),
            _ => None,
        }
    };
    let matching = ranges.iter().filter(|range| specificity(range).is_some());
    matching.max_by_key(specificity).map(|range| range.quality)
}

fn not_acceptable() -> Problem {
    let names: Vec<&str> = FORMATS.iter().map(|(name, _)| *name).collect();
    let message = format!(
        "the answer can be {}: `accept` has none of them",
        names.join(", ")
    );
    let error = Error::invalid_argument(reason::NOT_ACCEPTABLE, message);
    Problem::new(StatusCode::NOT_ACCEPTABLE, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_format_is_found() {
        for (accept, expected) in [
            ("", Ok(None)),
            ("*/*", Ok(None)),
            ("application/json", Ok(Some(Format::Json))),
            ("text/csv, */*;q=0.1", Ok(Some(Format::Csv))),
            ("text/html, application/xhtml+xml, */*;q=0.8", Ok(None)),
            ("text/plain;q=0.4, text/csv;q=0.5", Ok(Some(Format::Csv))),
            ("text/*", Ok(Some(Format::Csv))),
            ("text/*, text/csv;q=0", Ok(Some(Format::Text))),
            ("APPLICATION/JSON;charset=utf-8;q=1", Ok(Some(Format::Json))),
            ("application/json;q=0, */*", Ok(None)),
            ("text/html", Err(406)),
            ("application/json;q=0", Err(406)),
            ("*/*;q=0", Err(406)),
        ] {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            let found = requested(&headers);
            let found = found.map_err(|problem| problem.into_response().status().as_u16());
            assert_eq!(found, expected, "{accept}");
        }
    }
}
