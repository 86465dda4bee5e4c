//! URLs of the configuration in logs and errors: without what may be a secret.

use std::borrow::Cow;

/// What is shown in place of what may be a secret.
const HIDDEN: &str = "(hidden)";

/// A URL without its user information, its query and its fragment. Other texts are shown as they are: `?` may be part
/// of the name of a file.
pub(crate) fn shown_url(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.into();
    };
    let (place, query) = match rest.find(['?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (authority, path) = match place.find('/') {
        Some(at) => place.split_at(at),
        None => (place, ""),
    };
    let user = authority.rsplit_once('@');
    if query.is_empty() && user.is_none() {
        return text.into();
    }
    let user = user.map(|(_, host)| format!("{HIDDEN}@{host}"));
    let authority = user.as_deref().unwrap_or(authority);
    let query = match query.chars().next() {
        Some(mark) => format!("{mark}{HIDDEN}"),
        None => String::new(),
    };
    format!("{scheme}://{authority}{path}{query}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_hidden() {
        for (text, shown) in [
            ("keys/jwks.json", "keys/jwks.json"),
            ("keys?a@b#c", "keys?a@b#c"),
            ("https://a.example/keys", "https://a.example/keys"),
            ("https://a.example/@keys", "https://a.example/@keys"),
            (
                "https://a.example/keys?token=swordfish",
                "https://a.example/keys?(hidden)",
            ),
            (
                "https://a.example?token=sword/fish@x",
                "https://a.example?(hidden)",
            ),
            (
                "https://a.example/#swordfish?x",
                "https://a.example/#(hidden)",
            ),
            (
                "http://anna:sword@fish@a.example:8/keys?x#y",
                "http://(hidden)@a.example:8/keys?(hidden)",
            ),
        ] {
            assert_eq!(shown_url(text), shown);
        }
    }
}
