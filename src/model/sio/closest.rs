//! The declared name that an undeclared key is probably meant for.

use std::collections::HashSet;

/// The letters and digits of a name, in lower case.
fn letters(name: &str) -> impl Iterator<Item = char> {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase)
}

/// The declared name that a key probably stands for.
pub(crate) fn closest_name<'a>(key: &str, declared: &HashSet<&'a str>) -> Option<&'a str> {
    const MIN_SIMILARITY: f64 = 0.85;
    const MAX_BYTES: usize = 100;
    if key.len() > MAX_BYTES {
        return None;
    }
    // `custId` and `cust-id` are `cust_id` in other spellings.
    let is_same = |name: &str| letters(key).eq(letters(name));
    let similarity = |name: &&str| match is_same(name) {
        true => 1.0,
        false => strsim::jaro_winkler(key, name),
    };
    let similar = declared
        .iter()
        .copied()
        .filter(|name| similarity(name) >= MIN_SIMILARITY);
    similar.max_by(|a, b| similarity(a).total_cmp(&similarity(b)).then(b.cmp(a)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_and_typing_errors_are_recognized() {
        let declared = HashSet::from(["cust_id", "cust_name", "URL"]);
        for (key, expected) in [
            ("custId", Some("cust_id")),
            ("CUST-ID", Some("cust_id")),
            ("url", Some("URL")),
            ("cust_nmae", Some("cust_name")),
            ("age", None),
            ("", None),
        ] {
            assert_eq!(closest_name(key, &declared), expected, "{key}");
        }
    }
}
