//! The known name that an unknown one probably stands for.

/// From which similarity on a name is proposed, as elsewhere.
const MIN_SIMILARITY: f64 = 0.85;
/// Longer names are not compared.
const MAX_BYTES: usize = 100;

/// The key that is probably meant: its last part is similar, and of several such keys that of the most similar table.
pub(in crate::app) fn nearest_key<'a>(
    key: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    if key.len() > MAX_BYTES {
        return None;
    }
    let key = key.to_ascii_lowercase().replace('-', "_");
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    // Two keys of one table are similar by the name of the table alone.
    let rated = known.map(|name| {
        let of_last = strsim::jaro_winkler(&last(&key), &last(name));
        (of_last, strsim::jaro_winkler(&key, name), name)
    });
    let similar = rated.filter(|(of_last, ..)| *of_last >= MIN_SIMILARITY);
    let nearest = similar.max_by(|(a, b, _), (c, d, _)| a.total_cmp(c).then(b.total_cmp(d)));
    nearest.map(|(_, _, name)| name)
}

/// Whether a name is another one with a typing error or two.
pub(super) fn is_misspelled(name: &str, known: &str) -> bool {
    if name.len() > MAX_BYTES {
        return false;
    }
    let errors = match known.len() {
        ..5 => 1,
        _ => 2,
    };
    strsim::damerau_levenshtein(name, known) <= errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_a_wrong_table_too() {
        let known = ["listen", "data_dir", "limits.pending", "limits.items"];
        for (key, expected) in [
            ("pending", Some("limits.pending")),
            ("limit.pending", Some("limits.pending")),
            ("limits.pendign", Some("limits.pending")),
            ("limits.data-dir", Some("data_dir")),
            ("Listen", Some("listen")),
            ("limits.x", None),
            ("", None),
        ] {
            assert_eq!(nearest_key(key, known.into_iter()), expected, "{key}");
        }
    }

    #[test]
    fn short_names_are_misspelled_by_one_letter() {
        assert!(is_misspelled("LISTN", "LISTEN") && is_misspelled("DATADRI", "DATA_DIR"));
        assert!(!is_misspelled("HOST", "HOLD") && !is_misspelled("GO", "LOG"));
    }
}
