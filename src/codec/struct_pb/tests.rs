//! Tests against the types of prost as an independent implementation, and with malformed bytes.

use proptest::prelude::*;
use prost::Message as _;
use prost_types::value::Kind;

use super::*;
use crate::dict;

fn by_prost(bytes: &[u8]) -> prost_types::Struct {
    prost_types::Struct::decode(bytes).unwrap()
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1_000_i64..1_000).prop_map(Value::Int),
        any::<f64>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(Value::Float),
        "-?[1-9][0-9]{18,40}".prop_map(|text| Value::number(&text).unwrap()),
        "\\PC{0,20}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            prop::collection::vec(("\\PC{0,8}", inner), 0..8)
                .prop_map(|pairs| Value::Dict(pairs.into_iter().collect())),
        ]
    })
}

fn any_dict() -> impl Strategy<Value = Dict> {
    prop::collection::vec(("\\PC{0,8}", any_value()), 0..8)
        .prop_map(|pairs| pairs.into_iter().collect())
}

proptest! {
    #[test]
    fn decoding_restores_the_normalized_value(value in any_value()) {
        let bytes = encode_value(&value).unwrap();
        scan_value(&bytes).unwrap();
        prop_assert_eq!(decode_value(&bytes).unwrap(), value.normalized());
    }

    #[test]
    fn encodings_are_interchangeable_with_prost(dict in any_dict()) {
        let bytes = encode_dict(&dict).unwrap();
        let again = by_prost(&bytes).encode_to_vec();
        scan_struct(&again).unwrap();
        let decoded = Value::Dict(decode_dict(&again).unwrap());
        prop_assert_eq!(decoded, Value::Dict(dict).normalized());
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_scan_agrees_with_decode(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(scan_struct(&bytes).is_ok(), decode_dict(&bytes).is_ok());
        prop_assert_eq!(scan_value(&bytes).is_ok(), decode_value(&bytes).is_ok());
    }

    #[test]
    fn a_flipped_byte_is_rejected_or_decoded_as_by_prost(
        dict in any_dict(),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let mut bytes = encode_dict(&dict).unwrap().to_vec();
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        if let Ok(decoded) = decode_dict(&bytes) {
            let ours = encode_dict(&decoded).unwrap();
            prop_assert_eq!(by_prost(&ours), normalized(by_prost(&bytes)));
        }
    }
}

/// A `Struct` of prost in canonical form: `null_value` has only one value.
fn normalized(mut dict: prost_types::Struct) -> prost_types::Struct {
    fn value(value: &mut prost_types::Value) {
        match &mut value.kind {
            Some(Kind::NullValue(null)) => *null = 0,
            Some(Kind::ListValue(list)) => list.values.iter_mut().for_each(value_of),
            Some(Kind::StructValue(dict)) => dict.fields.values_mut().for_each(value_of),
            _ => {}
        }
    }
    dict.fields.values_mut().for_each(value);
    dict
}

fn value_of(value: &mut prost_types::Value) {
    let wrapped = prost_types::Struct {
        fields: [(String::new(), std::mem::take(value))].into(),
    };
    *value = normalized(wrapped).fields.remove("").unwrap();
}

fn violation_of(bytes: &[u8]) -> (String, String) {
    let error = decode_dict(bytes).unwrap_err();
    assert_eq!(error.reason(), "VALUE_INVALID");
    let scanned = scan_struct(bytes).unwrap_err();
    assert_eq!(error.field_violations(), scanned.field_violations());
    let violation = error.field_violations().first().unwrap();
    (violation.path.clone(), violation.code.to_string())
}

fn check_rejected(bytes: &[u8], path: &str, code: &str) {
    let (found_path, found_code) = violation_of(bytes);
    assert_eq!((found_path.as_str(), found_code.as_str()), (path, code));
}

/// A `Struct` with one key `a` and this encoded `Value`.
fn with_value(value: &[u8]) -> Vec<u8> {
    let mut entry = vec![0x0a, 1, b'a', 0x12, u8::try_from(value.len()).unwrap()];
    entry.extend_from_slice(value);
    let mut bytes = vec![0x0a, u8::try_from(entry.len()).unwrap()];
    bytes.extend(entry);
    bytes
}

#[test]
fn malformed_bytes_are_rejected_with_their_path() {
    check_rejected(&[0xff], "", "MALFORMED");
    check_rejected(&[0x0a, 5, 0x0a], "", "MALFORMED");
    check_rejected(&[0x12, 0], "", "MALFORMED");
    check_rejected(&with_value(&[]), "/a", "NO_KIND");
    check_rejected(&with_value(&[0x1a, 1, 0xff]), "/a", "NOT_UTF8");
    check_rejected(&with_value(&[0x20, 1, 0x20, 1]), "/a", "MALFORMED");
    check_rejected(&with_value(&[0x3a, 0]), "/a", "MALFORMED");
    check_rejected(
        &with_value(&[0x32, 4, 0x0a, 2, 0x3a, 0]),
        "/a/0",
        "MALFORMED",
    );
    let mut nan = vec![0x11];
    nan.extend(f64::NAN.to_le_bytes());
    check_rejected(&with_value(&nan), "/a", "NOT_FINITE");
    check_rejected(&[0x0a, 3, 0x0a, 1, 0xff], "", "NOT_UTF8");
    // A duplicate key in one entry.
    check_rejected(&[0x0a, 6, 0x0a, 1, b'a', 0x0a, 1, b'a'], "", "MALFORMED");
}

#[test]
fn all_malformed_values_are_found_each_with_its_path() {
    let inner = dict! { "c/d": "z" };
    let dict = dict! { "a": "x", "list": vec!["y", "y"], "b": inner, "ok": 1 };
    let mut bytes = encode_dict(&dict).unwrap().to_vec();
    // No UTF-8.
    for text in [b'x', b'y', b'y', b'z'] {
        let at = bytes.iter().position(|byte| *byte == text).unwrap();
        bytes[at] = 0xff;
    }
    let expected = ["/a", "/list/0", "/list/1", "/b/c~1d"];
    for error in [
        decode_dict(&bytes).unwrap_err(),
        scan_struct(&bytes).unwrap_err(),
    ] {
        let violations = error.field_violations();
        assert!(
            violations
                .iter()
                .all(|violation| violation.code == "NOT_UTF8")
        );
        let paths: Vec<&str> = violations
            .iter()
            .map(|violation| violation.path.as_str())
            .collect();
        assert_eq!(paths, expected);
    }
}

#[test]
fn many_violations_below_a_long_key_take_little_memory() {
    let key = "k".repeat(1 << 20);
    let items = vec!["x"; 2_000];
    let dict = Dict::from_iter([(key, Value::from(items))]);
    let mut bytes = encode_dict(&dict).unwrap().to_vec();
    bytes
        .iter_mut()
        .filter(|byte| **byte == b'x')
        .for_each(|byte| *byte = 0xff);
    let error = decode_dict(&bytes).unwrap_err();
    let violations = error.field_violations();
    assert_eq!(
        (violations.len(), error.fact("violations_omitted")),
        (1_000, Some("1000"))
    );
    assert!(
        violations
            .iter()
            .map(|violation| violation.path.len())
            .sum::<usize>()
            < 1 << 20
    );
}

fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 1..levels {
        let mut value = vec![0x2a];
        prost::encoding::encode_varint(bytes.len() as u64, &mut value);
        value.extend(bytes);
        let mut entry = vec![0x0a, 1, b'a', 0x12];
        prost::encoding::encode_varint(value.len() as u64, &mut entry);
        entry.extend(value);
        bytes = vec![0x0a];
        prost::encoding::encode_varint(entry.len() as u64, &mut bytes);
        bytes.extend(entry);
    }
    bytes
}

#[test]
fn depth_is_limited() {
    assert!(scan_struct(&nested(32)).is_ok());
    assert!(scan_struct(&nested(33)).is_err());
    assert_eq!(violation_of(&nested(10_000)).1, "TOO_DEEP");
    let deep = (0..40).fold(Value::Null, |inner, _| Value::List(vec![inner]));
    let error = encode_value(&deep).unwrap_err();
    assert_eq!(error.field_violations()[0].code, "TOO_DEEP");
}

#[test]
fn keys_and_items_are_limited() {
    let item = [0x0a, 2, 0x08, 0];
    let items = item.repeat(1_000_001);
    let mut list = vec![0x32];
    prost::encoding::encode_varint(items.len() as u64, &mut list);
    list.extend(items);
    let error = scan_value(&list).unwrap_err();
    let codes: Vec<&str> = error
        .field_violations()
        .iter()
        .map(|violation| &*violation.code)
        .collect();
    assert_eq!(codes, ["TOO_MANY_KEYS"]);
}

#[test]
fn unencodable_values_are_rejected() {
    let error = encode_dict(&dict! { "a": vec![1.0, f64::NAN] }).unwrap_err();
    let violation = &error.field_violations()[0];
    assert_eq!(
        (violation.path.as_str(), &*violation.code),
        ("/a/1", "NOT_FINITE")
    );
}

#[test]
fn the_struct_within_a_value_is_located() {
    let dict = dict! { "a": 1 };
    let value = encode_value(&Value::Dict(dict.clone())).unwrap();
    let range = struct_within(&value).unwrap();
    assert_eq!(decode_dict(&value[range]).unwrap(), dict);
    assert_eq!(struct_within(&encode_value(&Value::Int(1)).unwrap()), None);
}

#[test]
fn a_dict_keeps_the_order_of_the_wire() {
    let dict = dict! { "z": 1, "a": 2, "m": 3 };
    let decoded = decode_dict(&encode_dict(&dict).unwrap()).unwrap();
    assert_eq!(decoded.keys().collect::<Vec<_>>(), ["z", "a", "m"]);
}
