//! Cross-origin resource sharing: which pages of other hosts may call the node, and what their browsers are told.
//!
//! Nothing is shared unless an origin is allowed. A listed origin may send credentials of the browser, which is a
//! client certificate; `*` never may. API keys and tokens are sent by the page itself.

use axum::body::Body;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName,
    HeaderValue, ORIGIN, SET_COOKIE, VARY,
};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode};

use crate::model::error::{Error, Result, reason};

/// Why `*` is refused beside certificates that name their callers: a page of any origin would call with the certificate
/// of the browser, which adds it by itself.
pub(crate) const ANY_WITH_CERTIFICATES: &str =
    "`*` cannot be combined with certificates that name their callers: allow single origins";
/// Every origin.
const ANY: &str = "*";
/// How long a browser may remember a preflight, in seconds: Chromium's limit.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
const VARIES: HeaderValue = HeaderValue::from_static("origin");
const PREFLIGHT_VARIES: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-method, access-control-request-headers",
);
const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// The origins whose pages may call the node.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedOrigins {
    any: bool,
    /// In lower case, without the default port of their scheme.
    listed: Vec<String>,
}

impl AllowedOrigins {
    /// Adds an origin: `https://app.example`, with a port where it is not that of the scheme, or `*` for all.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `ORIGIN_INVALID`.
    pub(crate) fn add(&mut self, text: &str) -> Result<()> {
        if text == ANY {
            self.any = true;
            return Ok(());
        }
        let Some(origin) = normalized(text) else {
            let message = format!(
                "`{text}` is not an origin: use a scheme, a host and perhaps a port, such as `https://app.example`, or \
                 `*` for all"
            );
            return Err(Error::invalid_argument(reason::ORIGIN_INVALID, message));
        };
        self.listed.push(origin);
        Ok(())
    }

    /// Whether pages of every origin may call.
    pub(crate) fn has_any(&self) -> bool {
        self.any
    }

    /// What the browser of a request is told.
    pub(super) fn cors(&self, headers: &HeaderMap) -> Cors {
        let mut cors = Cors {
            varies: self.any || !self.listed.is_empty(),
            allowed: None,
        };
        if !cors.varies {
            return cors;
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return cors;
        };
        let is_listed = |origin: &String| self.listed.contains(origin);
        cors.allowed = match origin.to_str().ok().and_then(normalized) {
            Some(text) if is_listed(&text) => Some(Allowed::Listed(origin.clone())),
            _ => self.any.then_some(Allowed::Any),
        };
        cors
    }
}

/// An origin in lower case, without the default port of its scheme.
fn normalized(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://")?;
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let parsed: Authority = authority.parse().ok()?;
    let is_origin = !authority.contains(['@', '*']) && !parsed.host().is_empty();
    // `host:` without a port, or one that is none, has no port and is longer than the host.
    let is_whole = parsed.port().is_some() || parsed.host().len() == authority.len();
    let host = parsed.host();
    (is_origin && is_whole).then(|| match parsed.port_u16() {
        Some(port) if port != default_port => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

/// What the browser of one request is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Cors {
    /// Whether responses depend on the origin.
    varies: bool,
    allowed: Option<Allowed>,
}

#[derive(Clone, Debug)]
enum Allowed {
    Any,
    Listed(HeaderValue),
}

impl Cors {
    /// Whether the origin of the request is allowed.
    pub(super) fn is_allowed(&self) -> bool {
        self.allowed.is_some()
    }

    /// The answer to the question of a browser whether a page may send a request; `None` for other requests.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let headers = request.headers();
        let is_preflight = request.method() == Method::OPTIONS
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight || !self.is_allowed() {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        self.allow(answer);
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        // `*` would leave out `authorization`.
        if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        if headers.contains_key(REQUEST_PRIVATE_NETWORK) {
            answer.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        }
        answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        answer.insert(VARY, PREFLIGHT_VARIES);
        Some(response)
    }

    /// Adds the headers to a response. A route of the host that has its own keeps them.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(VARY, VARIES);
        }
        if !self.is_allowed() || headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        // `*` would expose nothing where credentials are sent.
        let names = headers.keys().filter(|name| **name != SET_COOKIE);
        let names: Vec<&str> = names.map(HeaderName::as_str).collect();
        if let Ok(exposed) = HeaderValue::try_from(names.join(", ")) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        self.allow(headers);
    }

    fn allow(&self, headers: &mut HeaderMap) {
        match &self.allowed {
            None => {}
            Some(Allowed::Any) => {
                let any = HeaderValue::from_static(ANY);
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, any);
            }
            Some(Allowed::Listed(origin)) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                let yes = HeaderValue::from_static("true");
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for (text, expected) in [
            ("https://app.example", Some("https://app.example")),
            ("https://APP.example:443", Some("https://app.example")),
            ("http://app.example:8080", Some("http://app.example:8080")),
            ("http://[::1]:80", Some("http://[::1]")),
            ("app.example", None),
            ("https://", None),
            ("https://app.example/", None),
            ("https://app.example/x", None),
            ("https://a@app.example", None),
            ("https://*.example", None),
            ("https://app.example:", None),
            ("https://app.example:99999", None),
            ("ftp://app.example", None),
            ("null", None),
        ] {
            assert_eq!(normalized(text).as_deref(), expected, "{text}");
        }
        let error = AllowedOrigins::default().add("app.example").unwrap_err();
        assert_eq!(error.reason(), "ORIGIN_INVALID");
    }

    fn applied(allowed: &[&str], origins: &[&'static str]) -> HeaderMap {
        let mut all = AllowedOrigins::default();
        allowed.iter().for_each(|one| all.add(one).unwrap());
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(ORIGIN, HeaderValue::from_static(origin));
        }
        let mut answer = HeaderMap::new();
        answer.insert("cidery-cid", HeaderValue::from_static("x"));
        all.cors(&headers).apply(&mut answer);
        answer
    }

    #[test]
    fn only_listed_origins_send_credentials() {
        let listed = applied(&["https://app.example"], &["https://app.example"]);
        assert_eq!(listed[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        assert_eq!(listed[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(listed[ACCESS_CONTROL_EXPOSE_HEADERS], "cidery-cid, vary");
        let any = applied(&["*"], &["https://other.example"]);
        assert_eq!(any[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!any.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
        for (allowed, origins) in [
            (&[][..], &["https://app.example"][..]),
            (&["https://app.example"], &["http://app.example"]),
            (&["https://app.example"], &["null"]),
            (&["https://app.example"], &[]),
            (
                &["https://app.example"],
                &["https://app.example", "https://evil.example"],
            ),
        ] {
            let headers = applied(allowed, origins);
            assert!(
                !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN),
                "{origins:?}"
            );
            assert_eq!(headers.contains_key(VARY), !allowed.is_empty());
        }
    }
}
