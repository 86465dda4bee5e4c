//! The guard of requests that a web browser can send: all but gRPC over HTTP/2. It keeps web pages from other sites
//! away from the node.
//!
//! A page can send requests to every address that the browser reaches, loopback included. Its `Origin` tells where it
//! comes from. With DNS rebinding, the page's own host name resolves to the node, and requests have the same origin:
//! then `Host` is a name that is none of the node's. An IP address resolves to nothing else: any is a host of the node,
//! which may be behind one that it does not know.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, StatusCode};

use crate::edge::cors::{AllowedOrigins, Cors};
use crate::edge::origin::{Origin, authority_of};
use crate::model::error::{Error, Kind, Result, reason};
use crate::model::id::truncated;

/// Hosts that no other machine can have. Any port: it may be forwarded.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// Set by browsers, not by pages: `cross-site` where the page is from another site.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Set by browsers: `navigate` where a request opens an address, and `document` where that is a tab or a window.
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Host names under which the node may be reached, besides IP addresses and those of its certificate.
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// Adds a host name or IP address, without a port.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `HOST_INVALID`.
    pub(crate) fn add(&mut self, name: &str) -> Result<()> {
        let is_name = |name: &str| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !name.is_empty() && name.chars().all(is_part)
        };
        let name = match name.trim_matches(['[', ']']).parse() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
            _ if is_name(name) => name.to_owned(),
            _ => {
                let message =
                    format!("`{name}` is neither a host name nor an IP address, without a port");
                return Err(Error::invalid_argument(reason::HOST_INVALID, message));
            }
        };
        self.0.push(name);
        Ok(())
    }
}

/// Checks where a request comes from and whom it is for. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct HttpGuard {
    allowed: Arc<[String]>,
    origins: Arc<AllowedOrigins>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is for another host name, or for none.
    Host,
    /// It is from a page of another host.
    Origin,
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
        }
    }

    /// The error of a request with this refusal, and what allows such requests.
    pub(super) fn error<B>(self, request: &Request<B>) -> Error {
        let header = |name| {
            let values = request.headers().get_all(name).iter();
            let texts: Vec<_> = values
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            truncated(&texts.join(", "))
        };
        let (reason, message) = match self {
            Self::Host => {
                let authority = request.uri().authority();
                let host = match authority.map_or_else(|| header(HOST), ToString::to_string) {
                    host if host.is_empty() => return no_host(),
                    host => host,
                };
                let message = format!(
                    "`{host}` is no host name of the node: use its IP address, or allow the name, without a port \
                     (`--allow-host`)"
                );
                (reason::HOST_REFUSED, message)
            }
            Self::Origin => {
                let message = match header(ORIGIN) {
                    origin if origin.is_empty() => "pages of other sites".to_owned(),
                    origin => format!("pages of `{origin}`"),
                };
                let message =
                    format!("{message} may not call the node: allow the origin (`--allow-origin`)");
                (reason::ORIGIN_REFUSED, message)
            }
        };
        Error::new(Kind::PermissionDenied, reason, message)
    }
}

impl HttpGuard {
    pub(super) fn new(allowed: AllowedHosts, origins: AllowedOrigins) -> Self {
        Self {
            allowed: allowed.0.into(),
            origins: Arc::new(origins),
        }
    }

    /// Checks `Host` (and the authority in the request line, which replaces it), `Origin` and `Sec-Fetch-Site`.
    /// `is_page`: the path is a page that is the same for all and tells nothing, to which other sites may link. Returns
    /// what the browser is told.
    pub(super) fn check<B>(
        &self,
        request: &Request<B>,
        reached: Reached<'_>,
        is_page: bool,
    ) -> std::result::Result<Cors, Refusal> {
        let headers = request.headers();
        let hosts = || {
            let hosts = headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
            let authority = request.uri().authority();
            hosts.chain(authority.map(|authority| authority.as_str().as_bytes()))
        };
        let is_own = |host| {
            self.has_known_name(host)
                || authority_of(host).is_some_and(|host| {
                    self.is_named(host.host(), reached) || ip_of(&host).is_some()
                })
        };
        if hosts().next().is_none() || !hosts().all(is_own) {
            return Err(Refusal::Host);
        }
        let cors = self.origins.cors(headers);
        if cors.is_allowed() {
            return Ok(cors);
        }
        let is_own = |origin: Origin| {
            let mut hosts = hosts().filter_map(authority_of);
            hosts.all(|host| origin.is_of(&host)) || self.is_own(&origin, reached)
        };
        let mut origins = headers.get_all(ORIGIN).iter();
        let is_same = origins.all(|origin| Origin::parse(origin).is_some_and(is_own));
        let is_from_elsewhere = is_cross_site(headers) && !(is_page && is_link(request));
        match is_same && !is_from_elsewhere {
            true => Ok(cors),
            false => Err(Refusal::Origin),
        }
    }

    /// Whether a host, with or without a port, has a name that the node has on all connections. Most have, and are not
    /// parsed.
    fn has_known_name(&self, host: &[u8]) -> bool {
        let port = host.iter().rposition(|byte| *byte == b':');
        let name = match port.map(|at| host.split_at(at)) {
            Some((name, [_, port @ ..])) if is_number(port) => name,
            _ => host,
        };
        self.names()
            .any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(name))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let allowed = self.allowed.iter().map(String::as_str);
        LOOPBACK.into_iter().chain(allowed)
    }

    fn is_named(&self, host: &str, reached: Reached<'_>) -> bool {
        self.names().any(|name| name.eq_ignore_ascii_case(host))
            || reached
                .certified
                .iter()
                .any(|name| is_certified(host, name))
    }

    /// Whether a page is from the node, under another name than the one that its request is for.
    fn is_own(&self, origin: &Origin, reached: Reached<'_>) -> bool {
        let authority = &origin.authority;
        if self.is_named(authority.host(), reached) {
            return true;
        }
        let port = authority.port_u16().unwrap_or(origin.default_port);
        let (Some(ip), Some(local)) = (ip_of(authority), reached.local) else {
            return false;
        };
        ip.to_canonical() == local.ip().to_canonical() && port == local.port()
    }
}

/// Where the connection of a request reached the node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reached<'a> {
    /// The address at which the connection was accepted.
    pub(super) local: Option<SocketAddr>,
    /// The names of the certificate that was presented on it. No other host has one of these names: its page would
    /// not have been shown.
    pub(super) certified: &'a [String],
}

/// Whether a host has a name of a certificate, in which `*` is one label (RFC 9525, section 6.3).
fn is_certified(host: &str, name: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
        None => name.eq_ignore_ascii_case(host),
    }
}

fn ip_of(authority: &Authority) -> Option<IpAddr> {
    authority.host().trim_matches(['[', ']']).parse().ok()
}

fn no_host() -> Error {
    let message = "names no host: HTTP requests have the header `host`";
    Error::new(Kind::PermissionDenied, reason::HOST_REFUSED, message)
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    sites.any(|site| site == "cross-site")
}

/// Whether someone followed a link to the address: the page becomes the one of the tab, and no other page can read it.
fn is_link<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let is = |name, expected: &str| headers.get(name).is_some_and(|value| value == expected);
    request.method() == Method::GET
        && is(SEC_FETCH_MODE, "navigate")
        && is(SEC_FETCH_DEST, "document")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(local: &str, headers: &[(&str, &str)]) -> std::result::Result<(), Refusal> {
        check_path(local, headers, false)
    }

    fn check_path(
        local: &str,
        headers: &[(&str, &str)],
        is_page: bool,
    ) -> std::result::Result<(), Refusal> {
        let mut allowed = AllowedHosts::default();
        for name in ["Node.Example", "10.1.2.3", "::2"] {
            allowed.add(name).unwrap();
        }
        let mut request = Request::builder();
        for (name, value) in headers {
            request = match *name {
                "uri" => request.uri(*value),
                name => request.header(name, *value),
            };
        }
        let local = local.parse().unwrap();
        let request = request.body(()).unwrap();
        let mut origins = AllowedOrigins::default();
        origins.add("https://page.example").unwrap();
        let guard = HttpGuard::new(allowed, origins);
        let certified = ["node.of.certificate", "*.wild.example", "198.51.100.9"];
        let reached = Reached {
            local: Some(local),
            certified: &certified.map(str::to_owned),
        };
        guard.check(&request, reached, is_page).map(drop)
    }

    #[test]
    fn the_host_is_the_nodes_own() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:9000",
            "[::1]",
            "[::1]:24337",
            "192.0.2.7:24337",
            "node.example",
            "NODE.example:443",
            "10.1.2.3",
            "[::2]:8",
            // Ports of containers are mapped, and addresses of clusters are.
            "192.0.2.7",
            "192.0.2.8:80",
            "[2001:db8::1]:80",
            "Node.of.certificate:8443",
            "a.wild.example",
        ] {
            let checked = check("192.0.2.7:24337", &[("host", host)]);
            assert_eq!(checked, Ok(()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil-localhost",
            "localhost.",
            "x.localhost",
            "user@localhost",
            "127.1",
            "192.0.2.7.evil.example",
            "192.0.2.7@evil.example",
            "wild.example",
            ".wild.example",
            "a.b.wild.example",
            "[::1",
            "node.example.evil.example",
            "localhost evil",
        ] {
            let checked = check("192.0.2.7:24337", &[("host", host)]);
            assert_eq!(checked, Err(Refusal::Host), "{host}");
        }
    }

    #[test]
    fn every_host_of_a_request_counts() {
        let local = "127.0.0.1:80";
        assert_eq!(check(local, &[]), Err(Refusal::Host));
        assert_eq!(check(local, &[("uri", "http://localhost/x")]), Ok(()));
        for pair in [
            [("uri", "http://evil.example/x"), ("host", "localhost")],
            [("uri", "http://localhost/x"), ("host", "evil.example")],
            [("host", "localhost"), ("host", "evil.example")],
        ] {
            assert_eq!(check(local, &pair), Err(Refusal::Host), "{pair:?}");
        }
    }

    #[test]
    fn ipv4_addresses_of_dual_stack_sockets_are_own() {
        let local = "[::ffff:192.0.2.7]:80";
        assert_eq!(check(local, &[("host", "192.0.2.7")]), Ok(()));
        assert_eq!(check("192.0.2.7:443", &[("host", "192.0.2.7")]), Ok(()));
        assert_eq!(check(local, &[("host", "[::ffff:192.0.2.7]:80")]), Ok(()));
    }

    #[test]
    fn the_origin_has_a_host_of_the_node() {
        let check = |origin| {
            check(
                "192.0.2.7:443",
                &[("host", "localhost"), ("origin", origin)],
            )
        };
        for origin in [
            "http://localhost:3000",
            "https://localhost",
            "http://127.0.0.1",
            "https://node.example",
            "https://192.0.2.7",
            "http://192.0.2.7:443",
            "https://page.example",
            "https://page.example:443",
        ] {
            assert_eq!(check(origin), Ok(()), "{origin}");
        }
        for origin in [
            "null",
            "",
            "localhost",
            "https://evil.example",
            "http://page.example",
            "http://192.0.2.7",
            "file://localhost",
            "http://localhost@evil.example",
        ] {
            assert_eq!(check(origin), Err(Refusal::Origin), "{origin}");
        }
    }

    #[test]
    fn requests_across_sites_are_refused() {
        for (site, expected) in [
            ("cross-site", Err(Refusal::Origin)),
            ("same-origin", Ok(())),
            ("same-site", Ok(())),
            ("none", Ok(())),
        ] {
            let headers = [("host", "localhost"), ("sec-fetch-site", site)];
            assert_eq!(check("127.0.0.1:80", &headers), expected, "{site}");
        }
    }

    #[test]
    fn other_sites_may_link_to_pages_and_embed_none() {
        let link = [
            ("host", "localhost"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        let local = "127.0.0.1:80";
        assert_eq!(check_path(local, &link, true), Ok(()));
        assert_eq!(check_path(local, &link, false), Err(Refusal::Origin));
        for (at, other) in [
            (0, ("host", "evil.example")),
            (2, ("sec-fetch-mode", "cors")),
            (2, ("sec-fetch-mode", "no-cors")),
            (3, ("sec-fetch-dest", "iframe")),
            (3, ("origin", "https://evil.example")),
        ] {
            let mut headers = link;
            headers[at] = other;
            let checked = check_path(local, &headers, true);
            assert!(checked.is_err(), "{other:?}");
        }
    }

    #[test]
    fn an_allowed_host_is_a_name_without_a_port() {
        for wrong in ["", "a:1", "http://a", "*.example", "[::1]:80", "a b", "a/b"] {
            let error = AllowedHosts::default().add(wrong).unwrap_err();
            assert_eq!(error.reason(), "HOST_INVALID", "{wrong}");
        }
    }
}
