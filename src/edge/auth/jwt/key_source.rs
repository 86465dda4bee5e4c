//! Where the keys of an issuer are.

use std::fmt;
use std::path::PathBuf;

#[cfg(feature = "tls")]
use http::Uri;

#[cfg(feature = "tls")]
use crate::edge::shown_url::shown_url;

/// Where the keys of an issuer are.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum KeySource {
    /// A file.
    File(PathBuf),
    /// A file of a server.
    #[cfg(feature = "tls")]
    Url(Uri),
}

impl KeySource {
    /// Parses the path of a file, or an `https://` URL.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, _)) = text.split_once("://") else {
            return Ok(Self::File(text.into()));
        };
        match scheme {
            #[cfg(feature = "tls")]
            "https" => {
                let url: Uri = text.parse().map_err(|_| "it is not a URL".to_owned())?;
                // It is logged.
                match url.authority() {
                    Some(authority) if !authority.as_str().contains('@') => Ok(Self::Url(url)),
                    _ => Err("a URL has a host, and no user or password".to_owned()),
                }
            }
            #[cfg(not(feature = "tls"))]
            "https" => {
                Err("this program is built without the feature `tls` of `cidery`".to_owned())
            }
            _ => Err(
                "use `https://`: an attacker who changes the keys on their way can make tokens"
                    .to_owned(),
            ),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            #[cfg(feature = "tls")]
            Self::Url(url) => f.write_str(&shown_url(&url.to_string())),
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_a_file_or_over_tls() {
        let file = KeySource::File("keys/jwks.json".into());
        assert_eq!(KeySource::parse("keys/jwks.json"), Ok(file));
        assert!(KeySource::parse("http://issuer.example/keys").is_err());
        assert!(KeySource::parse("file:///keys").is_err());
        assert!(KeySource::parse("https://a:b@issuer.example/keys").is_err());
        #[cfg(feature = "tls")]
        for (text, shown) in [
            ("https://issuer.example/keys", "https://issuer.example/keys"),
            // The query may be a credential.
            (
                "https://issuer.example/keys?token=swordfish",
                "https://issuer.example/keys?(hidden)",
            ),
        ] {
            let source = KeySource::parse(text).unwrap();
            assert_eq!(
                (source.to_string(), format!("{source:?}")),
                (shown.into(), shown.into())
            );
        }
    }
}
