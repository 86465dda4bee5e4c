//! Quantities for people.

/// A number of bytes for people: `1.50 MiB`.
pub(super) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// `1 invocation`, `2 invocations`.
pub(super) fn invocations(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} invocation{plural}")
}
