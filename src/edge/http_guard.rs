//! The guard of requests that a web browser can send: all but gRPC over HTTP/2. It keeps web pages from other sites
//! away from the node.
//!
//! A page can send requests to every address that the browser reaches, loopback included. Its `Origin` tells where it
//! comes from. With DNS rebinding, the page's own host name resolves to the node, and requests have the same origin:
//! then `Host` is a name that is none of the node's.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, StatusCode};

use crate::edge::cors::{AllowedOrigins, Cors};
use crate::edge::origin::{Origin, authority_of};
use crate::model::error::{Error, Kind, Result, reason};

/// Hosts that no other machine can have. Any port: it may be forwarded.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// Set by browsers, not by pages: `cross-site` where the page is from another site.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Set by browsers: `navigate` where a request opens an address, and `document` where that is a tab or a window.
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Host names under which browsers may reach the node, besides loopback and its own address.
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
    /// It is for another host, or for none.
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

    pub(super) fn error(self) -> Error {
        let (reason, message) = match self {
            Self::Host => (
                reason::HOST_REFUSED,
                "the node has no such host name: allow it where the node is configured",
            ),
            Self::Origin => (
                reason::ORIGIN_REFUSED,
                "requests from pages of other hosts are refused: allow the origin where the node is configured",
            ),
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
    /// `local` is the address at which the connection was accepted. `is_page`: the path is a page that is the same for
    /// all and tells nothing, to which other sites may link. Returns what the browser is told.
    pub(super) fn check<B>(
        &self,
        request: &Request<B>,
        local: Option<SocketAddr>,
        is_page: bool,
    ) -> std::result::Result<Cors, Refusal> {
        let headers = request.headers();
        let hosts = headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
        let authority = request.uri().authority();
        let mut hosts = hosts
            .chain(authority.map(|authority| authority.as_str().as_bytes()))
            .peekable();
        // Without a port it is the default one of `http` or `https`.
        let is_own = |host| {
            let host = authority_of(host);
            host.is_some_and(|host| {
                [80, 443]
                    .iter()
                    .any(|port| self.is_own(&host, *port, local))
            })
        };
        if hosts.peek().is_none() || !hosts.all(is_own) {
            return Err(Refusal::Host);
        }
        let cors = self.origins.cors(headers);
        if cors.is_allowed() {
            return Ok(cors);
        }
        let is_own = |origin: Origin| self.is_own(&origin.authority, origin.default_port, local);
        let mut origins = headers.get_all(ORIGIN).iter();
        let is_same = origins.all(|origin| Origin::parse(origin).is_some_and(is_own));
        let is_from_elsewhere = is_cross_site(headers) && !(is_page && is_link(request));
        match is_same && !is_from_elsewhere {
            true => Ok(cors),
            false => Err(Refusal::Origin),
        }
    }

    fn is_own(&self, authority: &Authority, default_port: u16, local: Option<SocketAddr>) -> bool {
        let host = authority.host();
        let names = LOOPBACK
            .into_iter()
            .chain(self.allowed.iter().map(String::as_str));
        for name in names {
            if name.eq_ignore_ascii_case(host) {
                return true;
            }
        }
        let port = authority.port_u16().unwrap_or(default_port);
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let (Ok(ip), Some(local)) = (ip, local) else {
            return false;
        };
        ip.to_canonical() == local.ip().to_canonical() && port == local.port()
    }
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
        guard.check(&request, Some(local), is_page).map(drop)
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
            "192.0.2.7",
            "192.0.2.7:80",
            "192.0.2.8:24337",
            "127.1",
            "0.0.0.0:24337",
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
