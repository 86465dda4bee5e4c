//! Whether a caller reads gzip. Connect has a header of its own for streams, which is read alike.

use http::{HeaderMap, HeaderName};

const GZIP: &str = "gzip";

/// Whether a header lists gzip (RFC 9110, 12.5.3). `*` does not: a caller that has no gzip may write it.
pub(super) fn accepts_gzip(headers: &HeaderMap, name: &HeaderName) -> bool {
    let values = headers.get_all(name).iter();
    let mut encodings = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|all| all.split(','));
    encodings.any(|encoding| {
        let (name, parameters) = encoding.split_once(';').unwrap_or((encoding, ""));
        let weight = parameters.trim().strip_prefix("q=").unwrap_or("1");
        let is_refused = weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0);
        name.trim().eq_ignore_ascii_case(GZIP) && !is_refused
    })
}
