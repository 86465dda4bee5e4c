//! The known name that an unknown one probably stands for.

/// From which similarity on a name is proposed, as elsewhere.
const MIN_SIMILARITY: f64 = 0.85;
/// Longer names are not compared.
const MAX_BYTES: usize = 100;

/// The key that is probably meant: by the whole of it, or by its last part, where only the table is wrong or missing.
pub(super) fn nearest_key<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if key.len() > MAX_BYTES {
        return None;
    }
    let key = key.to_ascii_lowercase().replace('-', "_");
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let similarity = |name: &str| {
        let whole = strsim::jaro_winkler(&key, name);
        whole.max(strsim::jaro_winkler(&last(&key), &last(name)) - 0.01)
    };
    let rated = known.map(|name| (similarity(name), name));
    let best = rated.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= MIN_SIMILARITY).then_some(best.1)
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
