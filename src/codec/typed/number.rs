//! Field numbers of typed methods: a hash of the name and the type.

use sha2::{Digest as _, Sha256};

/// Numbers up to 2^25 take four bytes on the wire.
const RANGE: u64 = (1 << 25) - 1_000;
/// Protobuf reserves 19 000 to 19 999.
const RESERVED_FROM: u64 = 19_000;
const RESERVED: u64 = 1_000;

/// The field number of an element: a hash of its name and its type. An element keeps its number when others are added
/// or removed, and becomes a new field when its type changes.
#[must_use]
pub fn number(name: &str, kind: &str) -> u32 {
    let mut hash = Sha256::new();
    hash.update(name);
    hash.update([0]);
    hash.update(kind);
    let digest: [u8; 32] = hash.finalize().into();
    let (first, _) = digest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    let mut number = u64::from_be_bytes(*first) % RANGE + 1;
    if number >= RESERVED_FROM {
        number += RESERVED;
    }
    u32::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn field_numbers_match_the_specification() {
        assert_eq!(number("cust_id", "int64"), 26_730_156);
        assert_eq!(number("cust_name", "string"), 15_199_785);
        assert_eq!(number("role_list", "repeated message"), 20_115_635);
    }
}
