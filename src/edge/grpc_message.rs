//! The `grpc-message` of a failure, as the gRPC protocol over HTTP/2 encodes it.
//!
//! tonic also escapes characters that need no escape, such as `?` and `#`. Clients in JavaScript, which decode the
//! message like a URI, leave them escaped.

use http::header::{HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};
use tonic::Status;

/// What the protocol escapes: all but 0x20 to 0x7e, and `%`.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Escapes no more of the message than the protocol asks for.
pub(super) fn unescape_message(headers: &mut HeaderMap) {
    let Some(message) = headers.get_mut(Status::GRPC_MESSAGE) else {
        return;
    };
    if !message.as_bytes().contains(&b'%') {
        return;
    }
    let decoded: Vec<u8> = percent_decode(message.as_bytes()).collect();
    let encoded = percent_encode(&decoded, ESCAPED).to_string();
    if let Ok(encoded) = HeaderValue::try_from(encoded) {
        *message = encoded;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_protocol_escapes_is_escaped() {
        let text = "did you mean `a.b`? 100 % of #7: {\"ä\"}\n";
        let mut headers = HeaderMap::new();
        let status = Status::not_found(text);
        status.add_header(&mut headers).unwrap();
        unescape_message(&mut headers);
        assert_eq!(
            headers[Status::GRPC_MESSAGE],
            "did you mean `a.b`? 100 %25 of #7: {\"%C3%A4\"}%0A"
        );
        let read = Status::from_header_map(&headers).unwrap();
        assert_eq!(read.message(), text);
    }
}
