//! The cookie of a session of the console: where it stands, and which requests may use it.
//!
//! A browser adds cookies to each request for the node, whichever page makes it, and cookies do not tell ports apart:
//! the cookie proves who calls only where the request shows that the page of the node itself made it.

use http::header::{COOKIE, HOST, HeaderName, HeaderValue, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, Request};

use crate::edge::origin::{Origin, authority_of};
use crate::model::error::{Error, Kind, reason};

const NAME: &str = "cidery-session";
/// A browser takes a cookie of this name only from the host itself, over TLS, and for all its paths.
const HOST_NAME: &str = "__Host-cidery-session";
/// The page sets it to each request. A page of another origin cannot: its browser would ask the node first.
const CONSOLE: HeaderName = HeaderName::from_static("cidery-console");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The longest token that is looked at: that of a session has 43 characters.
const MAX_TOKEN: usize = 64;

/// What a request has of a session of the console: an extension of it.
#[derive(Clone, Debug)]
pub(in crate::edge) struct SessionCookie {
    /// The token; empty where the request has none.
    token: String,
    /// Why the request may not use it.
    refusal: Option<&'static str>,
    /// Whether the browser has TLS, as far as the node knows.
    is_secure: bool,
}

impl SessionCookie {
    /// Takes the cookie and the header of the console out of a request, so that nothing behind the port can log them.
    /// `None` where the request has neither. `is_tls`: whether the port has TLS.
    pub(in crate::edge) fn take<B>(request: &mut Request<B>, is_tls: bool) -> Option<Self> {
        let headers = request.headers();
        if !headers.contains_key(COOKIE) && !headers.contains_key(CONSOLE) {
            return None;
        }
        let refusal = refusal(request, is_tls);
        let is_secure = is_tls || origin(request.headers()).is_some_and(|it| it.is_https());
        let headers = request.headers_mut();
        let is_from_console = headers.remove(CONSOLE).is_some();
        let token = take_token(headers, is_tls);
        if token.is_none() && !is_from_console {
            return None;
        }
        Some(Self {
            token: token.unwrap_or_default(),
            refusal,
            is_secure,
        })
    }

    /// The token of the session; `None` where the request has none.
    ///
    /// # Errors
    ///
    /// `PERMISSION_DENIED` / `CROSS_SITE` where the request does not show that the page of the node made it.
    pub(in crate::edge) fn token(&self) -> Result<Option<&str>, Error> {
        if self.token.is_empty() {
            return Ok(None);
        }
        self.check_page()?;
        Ok(Some(&self.token))
    }

    /// Whether the page of the node made the request.
    ///
    /// # Errors
    ///
    /// `PERMISSION_DENIED` / `CROSS_SITE`.
    pub(in crate::edge) fn check_page(&self) -> Result<(), Error> {
        self.refusal.map_or(Ok(()), |why| Err(cross_site(why)))
    }

    /// Whether the request has a cookie, valid or not.
    pub(in crate::edge) fn is_there(&self) -> bool {
        !self.token.is_empty()
    }

    /// The header that sets the cookie; without a token, the one that removes it.
    pub(in crate::edge) fn set(&self, token: &str, max_age_seconds: u64) -> Option<HeaderValue> {
        let (name, secure) = match self.is_secure {
            true => (HOST_NAME, "; Secure"),
            false => (NAME, ""),
        };
        let text = format!(
            "{name}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age_seconds}{secure}"
        );
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// A request that the page of the node did not make.
pub(in crate::edge) fn cross_site(why: &str) -> Error {
    let message = format!("a session is for the console alone: {why}");
    Error::new(Kind::PermissionDenied, reason::CROSS_SITE, message)
}

/// Why a request does not show that the page of the node made it.
fn refusal<B>(request: &Request<B>, is_tls: bool) -> Option<&'static str> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let has_header = has_console_header(request.headers());
    if !is_read && !has_header {
        return Some("the request has no header `cidery-console: 1`");
    }
    (!is_same_origin(request, has_header, is_tls))
        .then_some("the request is not from a page of this address")
}

fn has_console_header(headers: &HeaderMap) -> bool {
    headers.get(CONSOLE).is_some_and(|value| value == "1")
}

/// Whether a page of the same origin made the request. A browser says so where it considers the node's address
/// trustworthy (TLS, or loopback), and otherwise names the origin of each request but those that only read. One of
/// these that has the header of the console is from the same origin as well: a browser names the origin of a page that
/// adds a header to a request for another one.
fn is_same_origin<B>(request: &Request<B>, has_header: bool, is_tls: bool) -> bool {
    let headers = request.headers();
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter().peekable();
    if sites.peek().is_some() {
        return sites.all(|site| site == "same-origin");
    }
    match headers.contains_key(ORIGIN) {
        true => {
            let origin = origin(headers).filter(|origin| origin.is_https() || !is_tls);
            origin
                .zip(host(request))
                .is_some_and(|(origin, host)| origin.is_of(&host))
        }
        false => has_header,
    }
}

/// The one origin of a request.
fn origin(headers: &HeaderMap) -> Option<Origin> {
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => Origin::parse(origin),
        _ => None,
    }
}

/// The host that the request is for.
fn host<B>(request: &Request<B>) -> Option<Authority> {
    let authority = request.uri().authority().cloned();
    authority.or_else(|| authority_of(request.headers().get(HOST)?.as_bytes()))
}

/// Takes the cookies of sessions out, and returns the token of the one that counts. All others stay, for routes of the
/// host.
fn take_token(headers: &mut HeaderMap, is_tls: bool) -> Option<String> {
    let (mut token, mut host_token) = (None, None);
    let mut others = Vec::new();
    let mut is_there = false;
    for value in headers.get_all(COOKIE) {
        let mut kept: Vec<&[u8]> = Vec::new();
        for pair in value.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            let text = str::from_utf8(pair).unwrap_or_default();
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            let place = match name {
                NAME => &mut token,
                HOST_NAME => &mut host_token,
                _ => {
                    kept.push(pair);
                    continue;
                }
            };
            is_there = true;
            *place = Some(value.to_owned()).filter(|it| it.len() <= MAX_TOKEN);
        }
        if !kept.is_empty() {
            others.extend(HeaderValue::from_bytes(&kept.join(&b"; "[..])).ok());
        }
    }
    if is_there {
        headers.remove(COOKIE);
        for other in others {
            headers.append(COOKIE, other);
        }
    }
    // Another host of the site, or another port without TLS, could have set the plain one.
    match is_tls {
        true => host_token,
        false => host_token.or(token),
    }
    .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(
        method: Method,
        headers: &[(&str, &str)],
        is_tls: bool,
    ) -> (Option<SessionCookie>, HeaderMap) {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        let cookie = SessionCookie::take(&mut request, is_tls);
        (cookie, request.into_parts().0.headers)
    }

    const COOKIES: (&str, &str) = ("cookie", "a=1; cidery-session=t; b=2");
    const HEADER: (&str, &str) = ("cidery-console", "1");

    #[test]
    fn the_cookie_is_taken_out_and_others_stay() {
        let (cookie, headers) = taken(
            Method::GET,
            &[COOKIES, ("cookie", "__Host-cidery-session=h"), HEADER],
            false,
        );
        assert_eq!(cookie.unwrap().token, "h");
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[COOKIE], "a=1; b=2");
        let (cookie, headers) = taken(Method::GET, &[("cookie", "cidery-session=t")], false);
        assert_eq!((cookie.unwrap().token.as_str(), headers.len()), ("t", 0));
        // Over TLS only the host itself can have set the cookie.
        let (cookie, headers) = taken(Method::GET, &[COOKIES], true);
        assert!(cookie.is_none());
        assert_eq!(headers[COOKIE], "a=1; b=2");
        let long = format!("cidery-session={}", "x".repeat(65));
        for other in ["a=1", "cidery-session=", "cidery-session", long.as_str()] {
            let (cookie, _) = taken(Method::GET, &[("cookie", other)], false);
            assert!(cookie.is_none(), "{other}");
        }
    }

    fn is_accepted(method: Method, headers: &[(&str, &str)], is_tls: bool) -> bool {
        let own = ("host", "node.example:24337");
        let name = if is_tls {
            "__Host-cidery-session=t"
        } else {
            "cidery-session=t"
        };
        let all = [&[own, ("cookie", name)], headers].concat();
        let (cookie, _) = taken(method, &all, is_tls);
        cookie.unwrap().token().is_ok()
    }

    #[test]
    fn only_the_page_of_the_node_uses_it() {
        let (own, same) = (
            ("origin", "http://node.example:24337"),
            ("sec-fetch-site", "same-origin"),
        );
        for (method, headers, expected) in [
            (Method::GET, &[same][..], true),
            (Method::HEAD, &[same], true),
            (Method::GET, &[own], true),
            (Method::GET, &[HEADER], true),
            (Method::POST, &[same, HEADER], true),
            (Method::POST, &[own, HEADER], true),
            (Method::POST, &[own, same, HEADER], true),
            (Method::GET, &[], false),
            (
                Method::GET,
                &[("sec-fetch-site", "same-site"), HEADER],
                false,
            ),
            (Method::GET, &[("sec-fetch-site", "none")], false),
            (Method::GET, &[("sec-fetch-site", "cross-site")], false),
            (
                Method::GET,
                &[same, ("sec-fetch-site", "cross-site")],
                false,
            ),
            (Method::POST, &[same], false),
            (Method::POST, &[same, ("cidery-console", "2")], false),
            (Method::POST, &[own], false),
            (Method::DELETE, &[same], false),
            (
                Method::POST,
                &[("origin", "http://node.example:3000"), HEADER],
                false,
            ),
            (
                Method::POST,
                &[("origin", "http://node.example"), HEADER],
                false,
            ),
            (Method::POST, &[("origin", "null"), HEADER], false),
            (Method::POST, &[own, own, HEADER], false),
            (
                Method::POST,
                &[own, ("sec-fetch-site", "same-site"), HEADER],
                false,
            ),
        ] {
            assert_eq!(
                is_accepted(method.clone(), headers, false),
                expected,
                "{method} {headers:?}"
            );
        }
        let secure = ("origin", "https://node.example:24337");
        assert!(is_accepted(Method::POST, &[secure, HEADER], true));
        assert!(!is_accepted(Method::POST, &[own, HEADER], true));
    }

    #[test]
    fn the_cookie_is_for_the_host_alone_over_tls() {
        let set = |headers: &[(&str, &str)], is_tls| {
            let (cookie, _) = taken(Method::POST, headers, is_tls);
            let value = cookie.unwrap().set("t", 60).unwrap();
            value.to_str().unwrap().to_owned()
        };
        let plain = "cidery-session=t; HttpOnly; SameSite=Strict; Path=/; Max-Age=60";
        let secure =
            "__Host-cidery-session=t; HttpOnly; SameSite=Strict; Path=/; Max-Age=60; Secure";
        assert_eq!(set(&[HEADER], false), plain);
        assert_eq!(set(&[HEADER], true), secure);
        // A proxy in front has TLS.
        assert_eq!(
            set(&[HEADER, ("origin", "https://node.example")], false),
            secure
        );
        assert_eq!(
            set(&[HEADER, ("origin", "http://node.example")], false),
            plain
        );
    }

    /// Nothing behind the port sees a token, and other cookies reach the routes of a host unchanged.
    #[test]
    fn cookies_of_sessions_are_taken_out_of_any_header() {
        let seeds: [&[u8]; 6] = [
            b"a=1; cidery-session=t; b=2",
            b"__Host-cidery-session=h; cidery-session=t",
            b"cidery-session=; cidery-session ;cidery-session==x",
            b"cidery-session=\"t\"; Cidery-Session=u",
            b"a=\xc3\xa4\xff; ;;=; cidery-session=\xff",
            b"cidery-session=0123456789012345678901234567890123456789012345678901234567890123456",
        ];
        crate::fuzz_engine::fuzz("session cookie", &seeds, |input| {
            // Several headers: a line each.
            let values = input.split(|byte| *byte == b'\n');
            let values: Vec<_> = values
                .filter_map(|it| HeaderValue::from_bytes(it).ok())
                .collect();
            for is_tls in [false, true] {
                let mut request = Request::builder().header(CONSOLE, "1");
                for value in &values {
                    request = request.header(COOKIE, value);
                }
                let mut request = request.body(()).unwrap();
                let cookie = SessionCookie::take(&mut request, is_tls).unwrap();
                assert!(cookie.token.len() <= MAX_TOKEN, "{cookie:?}");
                if let Some(value) = cookie.set(&cookie.token, 60) {
                    assert!(value.is_sensitive());
                }
                let headers = request.headers();
                assert!(!headers.contains_key(CONSOLE));
                let pairs = |values: &mut dyn Iterator<Item = &HeaderValue>| {
                    let values = values.map(HeaderValue::as_bytes);
                    let pairs = values.flat_map(|value| value.split(|byte| *byte == b';'));
                    let pairs = pairs.map(|pair| pair.trim_ascii().to_vec());
                    pairs.filter(|pair| !pair.is_empty()).collect::<Vec<_>>()
                };
                let name = |pair: &[u8]| {
                    let end = pair.iter().position(|byte| *byte == b'=');
                    pair[..end.unwrap_or(pair.len())].to_vec()
                };
                let names = [NAME.as_bytes(), HOST_NAME.as_bytes()];
                let given = pairs(&mut values.iter());
                let others = given.iter().filter(|pair| {
                    let is_text = str::from_utf8(pair).is_ok();
                    !is_text || !names.contains(&name(pair).as_slice())
                });
                let left = pairs(&mut headers.get_all(COOKIE).iter());
                assert_eq!(left, others.cloned().collect::<Vec<_>>());
            }
        });
    }
}
