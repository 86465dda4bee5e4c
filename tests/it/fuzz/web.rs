//! JSON as messages of every method, and the bodies of Connect and gRPC-Web.

use std::net::SocketAddr;

use cidery::codec::proto::DESCRIPTORS;
use cidery::codec::proto_json::{Undeclared, read, write};
use cidery::codec::typed::{self, Method};
use cidery::sio::{Bool, Bytes, DateTime, Dict, DictList, Float, Int, List, Sio, Text, Type};
use cidery::{Node, ServiceName};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use tokio::runtime::Runtime;

use super::fuzz;
use crate::support::any_port;
use crate::web::post;

/// The messages of all methods of a node, and of a typed one.
fn messages() -> Vec<MessageDescriptor> {
    let sio = Sio::new()
        .input(Int("n"))
        .optional_input(Float("x"))
        .optional_input(Bool("b"))
        .optional_input(Text("t"))
        .optional_input(Bytes("raw"))
        .optional_input(DateTime("at"))
        .optional_input(Dict("free"))
        .optional_input(List("l").of(Type::Int))
        .optional_input(DictList("rows").with([Int("id")]));
    let name = ServiceName::parse("fuzz.typed").unwrap();
    let method = Method::new(&name, &sio, "").unwrap();
    let mut pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let file = typed::descriptor("fuzz", &[method.into()]);
    pool.decode_file_descriptor_proto(file.as_slice()).unwrap();
    let services: Vec<_> = pool.services().collect();
    let methods = services
        .iter()
        .flat_map(|service| service.methods().collect::<Vec<_>>());
    methods
        .flat_map(|method| [method.input(), method.output()])
        .collect()
}

const TEXTS: [&[u8]; 7] = [
    br#"{"service":"a.b","payload":{"n":1.5,"s":"x","l":[null,true]},"timeout":"1.5s","metadata":{"k":"v"}}"#,
    br#"{"cids":["a"],"afterSequences":{"a":"18446744073709551615"},"waitForAccept":true}"#,
    br#"{"n":"9223372036854775807","x":1e300,"b":true,"t":"","raw":"AP//","at":"2026-01-31T12:30:00.5Z"}"#,
    br#"{"free":{"a":[]},"l":[1,"2"],"rows":[{"id":1}],"n":null}"#,
    br#"{"failure":{"code":5,"details":[{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}]}}"#,
    br#"{"requests":[{"service":"a","value":null,"startTime":"1999-12-31T23:59:60Z"}],"dryRun":true}"#,
    b"",
];

#[test]
fn json_becomes_a_message_or_is_rejected() {
    let messages = messages();
    assert!(messages.len() > 50);
    fuzz("proto_json", &TEXTS, |input| {
        let place = input.iter().map(|byte| usize::from(*byte)).sum::<usize>();
        let message = &messages[place % messages.len()];
        let pool = message.parent_pool();
        let find = |name: &str| pool.get_message_by_name(name);
        let json = |text: &[u8]| read(text, message, Undeclared::Drop, &find, "REQUEST_INVALID");
        let Ok(accepted) = json(input) else {
            return;
        };
        let bytes = accepted.message;
        // It is a message for others, too.
        DynamicMessage::decode(message.clone(), bytes.clone()).unwrap();
        let text = write(message, &bytes, &find).unwrap();
        let again = json(text.as_bytes()).unwrap().message;
        assert_eq!(write(message, &again, &find).unwrap(), text);
    });
}

#[test]
fn messages_become_json_or_are_rejected() {
    let messages = messages();
    let seeds: Vec<Vec<u8>> = TEXTS
        .iter()
        .zip(&messages)
        .map(|(text, message)| {
            let read = read(
                text,
                message,
                Undeclared::Drop,
                &|_| None,
                "REQUEST_INVALID",
            );
            read.map(|read| read.message.to_vec()).unwrap_or_default()
        })
        .chain([b"\x0a\x03a.b\x12\x0a\x0a\x08\x0a\x01n\x12\x03\x1a\x01x".to_vec()])
        .collect();
    let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
    fuzz("proto_json of bytes", &seeds, |input| {
        let (place, bytes) = input.split_first().unwrap_or((&0, b""));
        let message = &messages[usize::from(*place) % messages.len()];
        let pool = message.parent_pool();
        let text = write(message, bytes, &|name| pool.get_message_by_name(name));
        if let Ok(text) = text {
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    });
}

const KINDS: [(&str, &str); 6] = [
    ("application/json", "Invoke"),
    ("application/proto", "Invoke"),
    ("application/connect+json", "StreamResults"),
    ("application/connect+proto", "StreamResults"),
    ("application/grpc-web", "Invoke"),
    ("application/grpc-web-text", "Invoke"),
];

/// No body is a failure of the node itself.
#[test]
fn bodies_are_answered() {
    let runtime = Runtime::new().unwrap();
    let node = Node::builder().demo().listen(any_port());
    let node = runtime.block_on(node.start()).unwrap();
    let address: SocketAddr = node.address().unwrap();
    let seeds: [&[u8]; 6] = [
        br#"{"service":"customer.get","payload":{"cust_id":1}}"#,
        b"\x0a\x0ccidery.ping",
        b"\0\0\0\0\x0d{\"cids\":[\"a\"]}",
        b"\0\0\0\0\x03\x0a\x01a",
        b"\0\0\0\0\x0d\x0a\x0bcidery.ping",
        b"AAAAAA0KC2NpZGVyeS5waW5n",
    ];
    fuzz("bodies of the web", &seeds, |input| {
        let place = usize::from(input.first().copied().unwrap_or_default());
        let (content_type, method) = KINDS[place % KINDS.len()];
        let gzip = input.len() % 5 == 0;
        let encoding = match (gzip, content_type.starts_with("application/connect")) {
            (false, _) => ("x-none", "x"),
            (true, true) => ("connect-content-encoding", "gzip"),
            (true, false) => ("content-encoding", "gzip"),
        };
        let headers = [("content-type", content_type), encoding];
        let path = format!("/cidery.v1.InvocationService/{method}");
        let answer = runtime.block_on(post(address, &path, &headers, input));
        assert!(matches!(answer.status, 200 | 400 | 404 | 429), "{answer:?}");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(!text.contains("internal"), "{text}");
    });
    runtime.block_on(node.stop());
}
