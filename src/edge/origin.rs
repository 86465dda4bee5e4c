//! Hosts and origins as the headers of a browser have them.

use http::header::HeaderValue;
use http::uri::Authority;

/// The port of `https` where an address has none.
const HTTPS: u16 = 443;

/// Parses `HOST[:PORT]`, without user information.
pub(super) fn authority_of(text: &[u8]) -> Option<Authority> {
    let authority = Authority::try_from(text).ok()?;
    (!authority.as_str().contains('@')).then_some(authority)
}

/// The origin of a page: `SCHEME://HOST[:PORT]`.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) authority: Authority,
    /// The port of the scheme.
    pub(super) default_port: u16,
}

impl Origin {
    /// Parses the header of a request. The origin `null` is none.
    pub(super) fn parse(value: &HeaderValue) -> Option<Self> {
        let (scheme, authority) = value.to_str().ok()?.split_once("://")?;
        let default_port = match scheme {
            "http" => 80,
            "https" => HTTPS,
            _ => return None,
        };
        Some(Self {
            authority: authority_of(authority.as_bytes())?,
            default_port,
        })
    }

    #[cfg(feature = "console")]
    pub(super) fn is_https(&self) -> bool {
        self.default_port == HTTPS
    }

    /// Whether it is that of a page which was read from this host. A proxy may have had the port of another scheme.
    pub(super) fn is_of(&self, host: &Authority) -> bool {
        let port = |authority: &Authority| authority.port_u16().unwrap_or(self.default_port);
        self.authority.host().eq_ignore_ascii_case(host.host())
            && port(&self.authority) == port(host)
    }
}
