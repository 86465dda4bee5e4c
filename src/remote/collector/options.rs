//! Which collector, and what it is told of the node.

use std::fmt;

use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};

use crate::remote::protocol::tls::ClientTls;

/// The most headers of a request.
const MAX_HEADERS: usize = 32;

/// What a collector is reached with, and what it is told of the node.
#[derive(Clone, Debug, Default)]
pub(crate) struct CollectorOptions {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub(crate) endpoint: String,
    /// The headers of each request.
    pub(crate) headers: Headers,
    /// The TLS of an `https://` address. Default: the CAs of the system.
    pub(crate) tls: Option<ClientTls>,
    /// What the node is: names and values.
    pub(crate) resource: Vec<(String, String)>,
}

/// Headers of requests. They may be credentials: only their names are shown.
#[derive(Clone, Default)]
pub(crate) struct Headers(Vec<(AsciiMetadataKey, AsciiMetadataValue)>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        f.debug_list().entries(names).finish()
    }
}

impl Headers {
    /// Reads headers: `NAME=VALUE`, several separated by commas or line ends. Values are percent-encoded, as in the
    /// variable `OTEL_EXPORTER_OTLP_HEADERS`.
    ///
    /// # Errors
    ///
    /// What is wrong, without a value.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split([',', '\n']).map(str::trim);
        let headers = parts.filter(|part| !part.is_empty()).enumerate();
        let headers: Vec<_> = headers
            .map(|(position, header)| {
                parse_header(header).map_err(|what| format!("header {}: {what}", position + 1))
            })
            .collect::<Result<_, _>>()?;
        match headers.len() {
            0..=MAX_HEADERS => Ok(Self(headers)),
            count => Err(format!("has {count} headers; the limit is {MAX_HEADERS}")),
        }
    }

    /// Adds them to a request.
    pub(super) fn add_to<T>(&self, request: &mut tonic::Request<T>) {
        for (name, value) in &self.0 {
            request.metadata_mut().insert(name.clone(), value.clone());
        }
    }
}

fn parse_header(header: &str) -> Result<(AsciiMetadataKey, AsciiMetadataValue), &'static str> {
    let (name, value) = header.split_once('=').ok_or("use `NAME=VALUE`")?;
    let name = name.trim().to_ascii_lowercase();
    let name = name
        .parse()
        .ok()
        .filter(|_| !name.starts_with("grpc-") && !name.ends_with("-bin"));
    let name = name.ok_or("the name cannot be that of a header")?;
    let value = percent_encoding::percent_decode_str(value.trim());
    let value = value.decode_utf8().ok().and_then(|it| it.parse().ok());
    let mut value: AsciiMetadataValue = value.ok_or("the value cannot be that of a header")?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_their_values_are_not_shown() {
        let headers = Headers::parse("Authorization=Bearer%20sword,x-team = a=b\n").unwrap();
        let mut request = tonic::Request::new(());
        headers.add_to(&mut request);
        assert_eq!(
            request.metadata().get("authorization").unwrap(),
            "Bearer sword"
        );
        assert_eq!(request.metadata().get("x-team").unwrap(), "a=b");
        let shown = format!("{headers:?} {request:?}");
        assert!(!shown.contains("sword"), "{shown}");
        assert!(shown.contains("authorization"), "{shown}");
        assert!(Headers::parse(" \n").unwrap().0.is_empty());
    }

    #[test]
    fn malformed_headers_are_refused_without_their_values() {
        for text in [
            "sword",
            "a b=sword",
            "grpc-x=sword",
            "x-bin=sword",
            "a=sword%00",
            "=sword",
        ] {
            let error = Headers::parse(&format!("a=b,{text}")).unwrap_err();
            assert!(error.starts_with("header 2: "), "{error}");
            assert!(!error.contains("sword"), "{error}");
        }
        let many: Vec<String> = (0..33).map(|n| format!("a{n}=b")).collect();
        assert!(Headers::parse(&many.join(",")).is_err());
    }

    #[test]
    fn any_text_is_headers_or_refused_without_its_values() {
        const SECRET: &str = "swordfish";
        let seeds: [&[u8]; 5] = [
            b"Authorization=Bearer%20swordfish,x-team = a=b\n",
            b"x-key=swordfish\nx-key=swordfish%00,,\r\n = ",
            b"grpc-x=swordfish,x-bin=swordfish,te=swordfish",
            b"a%20b=swordfish,a=%e2%82swordfish%",
            b"=swordfish",
        ];
        crate::fuzz_engine::fuzz("headers of a collector", &seeds, |input| {
            let Ok(text) = str::from_utf8(input) else {
                return;
            };
            match Headers::parse(text) {
                Ok(headers) => {
                    assert!(headers.0.len() <= MAX_HEADERS);
                    let mut request = tonic::Request::new(());
                    headers.add_to(&mut request);
                    let shown = format!("{headers:?} {request:?}");
                    let names = headers.0.iter().map(|(name, _)| name.as_str());
                    let is_name = names.into_iter().any(|name| name.contains(SECRET));
                    assert!(is_name || !shown.contains(SECRET), "{shown}");
                }
                Err(error) => assert!(!error.contains(SECRET), "{error}"),
            }
        });
    }
}
