//! Messages as JSON and back.

use std::sync::LazyLock;

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use super::{Undeclared, read, write};
use crate::codec::proto::DESCRIPTORS;

/// The same pool for all: messages of different ones are not equal.
fn pool() -> DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        let mut pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let details = tonic_types::pb::FILE_DESCRIPTOR_SET;
        pool.decode_file_descriptor_set(details).unwrap();
        pool
    });
    POOL.clone()
}

fn message(name: &str) -> MessageDescriptor {
    pool().get_message_by_name(name).unwrap()
}

fn encoded(name: &str, json: &str) -> crate::Result<Bytes> {
    let message = message(name);
    let pool = message.parent_pool().clone();
    let find = |name: &str| pool.get_message_by_name(name);
    let read = read(
        json.as_bytes(),
        &message,
        Undeclared::Refuse,
        &find,
        "REQUEST_INVALID",
    );
    read.map(|read| read.message)
}

fn json(name: &str, bytes: &[u8]) -> String {
    let message = message(name);
    let pool = message.parent_pool().clone();
    write(&message, bytes, &|name| pool.get_message_by_name(name)).unwrap()
}

/// Each violation: its path, code and message.
fn violations(name: &str, json: &str) -> Vec<String> {
    let error = encoded(name, json).unwrap_err();
    let violations = error.field_violations().iter();
    violations
        .map(|it| format!("{} {} {}", it.path, it.code, it.message))
        .collect()
}

const MESSAGES: [(&str, &str); 8] = [
    (
        "cidery.v1.InvokeRequest",
        concat!(
            r#"{"service":"a.b","payload":{"n":1.5,"s":"é","l":[null,true,{"x":[]}]},"#,
            r#""timeout":"1.500s","metadata":{"k":"v","w":""}}"#
        ),
    ),
    (
        "cidery.v1.InvokeRequest",
        r#"{"service":"a","document":"AP//","dataFormat":"DATA_FORMAT_CSV"}"#,
    ),
    ("cidery.v1.InvokeRequest", r#"{"service":"a","value":null}"#),
    ("cidery.v1.InvokeRequest", "{}"),
    (
        "cidery.v1.InvokeAsyncRequest",
        concat!(
            r#"{"service":"a","startTime":"2026-01-31T12:30:00.000001Z","#,
            r#""retryPolicy":{"maxAttempts":3,"initialInterval":"0.250s"}}"#
        ),
    ),
    (
        "cidery.v1.StreamResultsRequest",
        r#"{"cids":["a","b"],"afterSequences":{"a":"18446744073709551615","b":"0"}}"#,
    ),
    (
        "google.rpc.Status",
        concat!(
            r#"{"code":5,"message":"m","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"X"},"#,
            r#"{"@type":"type.googleapis.com/google.protobuf.Duration","value":"2s"}]}"#
        ),
    ),
    ("google.rpc.RetryInfo", r#"{"retryDelay":"-0.000000001s"}"#),
];

#[test]
fn messages_survive_a_round_trip() {
    for (name, text) in MESSAGES {
        let bytes = encoded(name, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let again = json(name, &bytes);
        let decoded = |bytes: Bytes| DynamicMessage::decode(message(name), bytes).unwrap();
        let back = encoded(name, &again).unwrap();
        assert!(decoded(back) == decoded(bytes.clone()), "{again}");
        // The other implementation of ProtoJSON reads and writes the same.
        let other: serde_json::Value = {
            let message = DynamicMessage::decode(message(name), bytes.clone()).unwrap();
            serde_json::to_value(message).unwrap()
        };
        let own: serde_json::Value = serde_json::from_str(&again).unwrap();
        assert_eq!(own, other, "{text}");
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let expected = DynamicMessage::deserialize(message(name), &mut deserializer).unwrap();
        assert_eq!(
            DynamicMessage::decode(message(name), bytes).unwrap(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn names_of_proto_files_are_read_too() {
    let request = "cidery.v1.InvokeRequest";
    let camel = encoded(request, r#"{"dataFormat":"DATA_FORMAT_JSON"}"#).unwrap();
    let snake = encoded(request, r#"{"data_format":"DATA_FORMAT_JSON"}"#).unwrap();
    assert_eq!(camel, snake);
    let twice = r#"{"dataFormat":"DATA_FORMAT_JSON","data_format":"DATA_FORMAT_JSON"}"#;
    let found = violations(request, twice);
    assert!(found[0].starts_with("/dataFormat NOT_ALLOWED"), "{found:?}");
}

#[test]
fn an_empty_text_is_the_empty_message() {
    for text in ["", " \n", "{}", r#"{"service":null}"#] {
        assert!(encoded("cidery.v1.InvokeRequest", text).unwrap().is_empty());
    }
}

#[test]
fn all_violations_are_found_with_their_paths() {
    let text = r#"{
        "service": 7,
        "pyload": {},
        "timeout": "soon",
        "metadata": {"a": 1, "b/c": true},
        "dataFormat": "JSON",
        "payload": {"deep": 1},
        "value": 2
    }"#;
    let found = violations("cidery.v1.InvokeRequest", text);
    let expected = [
        "/service WRONG_TYPE is a number: expected text",
        "/pyload UNKNOWN_KEY is not a field of `cidery.v1.InvokeRequest`; did you mean `payload`?",
        "/timeout MALFORMED is not a duration in seconds such as \"1.5s\"",
        "/metadata/a WRONG_TYPE is a number: expected text",
        "/metadata/b~1c WRONG_TYPE is a boolean: expected text",
    ];
    assert_eq!(found[..5], expected);
    assert!(
        found[5].starts_with("/dataFormat UNKNOWN_VALUE `JSON` is not a value of it; "),
        "{}",
        found[5]
    );
    assert_eq!(
        found[6],
        "/payload NOT_ALLOWED cannot be given together with `value`"
    );
    assert_eq!(found.len(), 7);
}

#[test]
fn numbers_are_exact_and_in_range() {
    let cids = |sequence: &str| format!(r#"{{"afterSequences":{{"a":{sequence}}}}}"#);
    let request = "cidery.v1.StreamResultsRequest";
    for (sequence, written) in [
        ("9007199254740993", "9007199254740993"),
        (r#""18446744073709551615""#, "18446744073709551615"),
        ("18446744073709551615", "18446744073709551615"),
        ("1e3", "1000"),
        ("7.0", "7"),
    ] {
        let bytes = encoded(request, &cids(sequence)).unwrap();
        assert!(
            json(request, &bytes).contains(&format!("\"{written}\"")),
            "{sequence}"
        );
    }
    for (sequence, code) in [
        ("-1", "OUT_OF_RANGE"),
        ("18446744073709551616", "OUT_OF_RANGE"),
        ("1e99", "OUT_OF_RANGE"),
        ("1.5", "OUT_OF_RANGE"),
        (r#""x""#, "MALFORMED"),
        ("true", "WRONG_TYPE"),
        ("null", "WRONG_TYPE"),
    ] {
        let found = violations(request, &cids(sequence));
        assert!(
            found[0].starts_with(&format!("/afterSequences/a {code}")),
            "{found:?}"
        );
    }
}

#[test]
fn a_type_that_is_not_known_is_shown_as_its_bytes() {
    let any = prost_types::Any {
        type_url: "type.googleapis.com/no.Such".to_owned(),
        value: vec![1, 2, 3],
    };
    let malformed = prost_types::Any {
        type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
        value: vec![0xff],
    };
    for (any, expected) in [
        (
            any,
            r#"{"@type":"type.googleapis.com/no.Such","value":"AQID"}"#,
        ),
        (
            malformed,
            r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","value":"/w=="}"#,
        ),
    ] {
        let text = json("google.protobuf.Any", &any.encode_to_vec());
        assert_eq!(text, expected);
    }
    let bytes = encoded(
        "google.protobuf.Any",
        r#"{"@type":"type.googleapis.com/no.Such","value":"AQID"}"#,
    );
    let any = prost_types::Any::decode(bytes.unwrap()).unwrap();
    assert_eq!(any.value, [1, 2, 3]);
    for text in [
        r#"{"value":"AQID"}"#,
        r#"{"@type":7}"#,
        r#"{"@type":"no.Such","a":1}"#,
    ] {
        let found = violations("google.protobuf.Any", text);
        assert!(found[0].starts_with("/@type "), "{found:?}");
    }
}

#[test]
fn nesting_has_a_limit_in_both_directions() {
    let deep = format!(
        "{}{}",
        r#"{"payload":{"a":"#.to_owned() + &"[".repeat(60),
        "]".repeat(60) + "}}"
    );
    let error = encoded("cidery.v1.InvokeRequest", &deep).unwrap_err();
    assert_eq!(error.field_violations()[0].code, "TOO_DEEP");
    let mut status = tonic_types::pb::Status::default();
    for _ in 0..100 {
        status = tonic_types::pb::Status {
            code: 1,
            message: String::new(),
            details: vec![prost_types::Any {
                type_url: "type.googleapis.com/google.rpc.Status".to_owned(),
                value: status.encode_to_vec(),
            }],
        };
    }
    // The innermost ones are shown as their bytes.
    let text = json("google.rpc.Status", &status.encode_to_vec());
    assert!(text.contains(r#""value":""#));
}
