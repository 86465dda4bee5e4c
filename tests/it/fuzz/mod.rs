//! Fuzz targets for the parsers of external input: no input causes a panic, and accepted inputs survive a round trip.
//!
//! Inputs are mutations of seeds; no special compiler is needed. Each target runs for `CIDERY_FUZZ_SECONDS` (default: a
//! fraction of a second; `scripts/test` sets seconds, `scripts/test --soak` minutes). A failure prints the input;
//! `CIDERY_FUZZ_SEED` selects other inputs. The targets of parsers that only the library sees are beside them, in files
//! called `fuzz_tests.rs`.

mod engine;
mod greeting;
mod trust;
mod web;
mod worker_protocol;

use bytes::Bytes;
use cidery::codec::convert::{sio_from_proto, sio_to_proto};
use cidery::codec::proto::v1;
use cidery::codec::typed::{self, Method, MethodDirectory};
use cidery::codec::{csv, filter, form, json, sio as io, status, struct_pb, text};
use cidery::sio::{CsvOptions, Date, DateTime, DictList, Float, Int, List, Sio, Text, Type};
use cidery::{Format, Payload, ServiceName, Value, dict};
use prost::Message as _;
use prost_reflect::DescriptorPool;

use self::engine::fuzz;

#[test]
fn json_parses_or_is_rejected() {
    let seeds: [&[u8]; 5] = [
        br#"{"a":[1,-0.5e3,true,null,"\u00e9\n"],"b":{}}"#,
        b"[[[[[[]]]]]]",
        b"123456789012345678901234567890",
        b"  \"x\"  ",
        b"{\"a\":1,\"a\":2}",
    ];
    fuzz("json", &seeds, |input| {
        if let Ok(value) = json::read(input) {
            let written = json::write(&value).unwrap();
            assert_eq!(json::read(written.as_bytes()).unwrap(), value);
            assert_eq!(json::read(json::pretty(&value).as_bytes()).unwrap(), value);
        }
    });
}

#[test]
fn structs_decode_or_are_rejected() {
    let value: Value =
        dict! { "a": vec![1, 2], "b": dict! { "c": "x", "d": true }, "e": Value::Null }.into();
    let encoded = struct_pb::encode_value(&value).unwrap();
    let dict = struct_pb::encode_dict(value.as_dict().unwrap()).unwrap();
    fuzz("struct_pb", &[&encoded, &dict, b""], |input| {
        let decoded = struct_pb::decode_value(input);
        assert_eq!(decoded.is_ok(), struct_pb::scan_value(input).is_ok());
        if let Ok(value) = decoded {
            let again = struct_pb::encode_value(&value).unwrap();
            assert_eq!(struct_pb::decode_value(&again).unwrap(), value);
        }
        let decoded = struct_pb::decode_dict(input);
        assert_eq!(decoded.is_ok(), struct_pb::scan_struct(input).is_ok());
    });
}

#[test]
fn filters_parse_or_are_rejected() {
    let seeds: [&[u8]; 4] = [
        br#"service = ("customer.get" OR 'b') AND state = FAILED AND accept_time > -2h"#,
        br#"(metadata.tenant = "ac\me" AND failure_message : "refused") AND dead_letter = true"#,
        b"end_time <= 2026-11-30 AND pending_reason = (HELD OR BACKOFF)",
        b"parent = 01890a5d-ac96-774b-bcce-b302099a8057 AND metadata.'a b' = x",
    ];
    let now = jiff::Timestamp::UNIX_EPOCH;
    fuzz("filter", &seeds, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        if let Ok(parsed) = filter::parse(text, now) {
            assert_eq!(filter::parse(&filter::write(&parsed), now).unwrap(), parsed);
        }
    });
}

fn rows() -> Sio {
    let sio = Sio::new()
        .input(Int("n"))
        .optional_input(Text("t"))
        .optional_input(Date("d"))
        .optional_input(List("l").of(Type::Float))
        .list_input();
    sio.prepared().unwrap()
}

#[test]
fn csv_parses_or_is_rejected() {
    let seeds: [&[u8]; 4] = [
        b"n,t,d,l\r\n1,\"a \"\"b\"\"\",2026-01-31,\"[1.5]\"\r\n",
        b"\xef\xbb\xbfn;t\n1;x\n\n2;y",
        b"t,n\n\"a\nb\",7\n",
        b"\n\n,\n",
    ];
    let sio = rows();
    fuzz("csv", &seeds, |input| {
        if let Ok(value) = csv::read(input, CsvOptions::default())
            && let Ok(written) = csv::write(&value, None, CsvOptions::default())
            && !written.is_empty()
        {
            // Short rows are padded to full length when they are written.
            let again = csv::read(&written, CsvOptions::default()).unwrap();
            assert_eq!(
                csv::write(&again, None, CsvOptions::default()).unwrap(),
                written
            );
        }
        for options in [
            CsvOptions::default(),
            CsvOptions {
                header: false,
                delimiter: b';',
                quote: b'\'',
            },
        ] {
            let sio = sio.clone().csv(options);
            let document = Payload::Document(Bytes::copy_from_slice(input), Format::Csv);
            if let Ok(checked) = io::read_input(&sio, document) {
                // An accepted value is valid in every format.
                assert_eq!(
                    sio.check_input(checked.value.clone()).unwrap().value,
                    checked.value
                );
            }
        }
    });
}

#[test]
fn forms_parse_or_are_rejected() {
    let seeds: [&[u8]; 4] = [
        b"n=1&t=a+b%26&d=2026-01-31&l=[1.5]",
        b"l=1&l=2&%C3%A9=%FF",
        b"=&&a&b==%&%zz=100%",
        b"t=%5B&l=on",
    ];
    let sio = rows();
    fuzz("form", &seeds, |input| {
        if let Ok(value) = form::read(input) {
            let written = form::write(&value).unwrap();
            assert_eq!(form::read(written.as_bytes()).unwrap(), value);
        }
        let document = Payload::Document(Bytes::copy_from_slice(input), Format::Form);
        if let Ok(checked) = io::read_input(&sio, document) {
            // An accepted value is valid in every format.
            assert_eq!(
                sio.check_input(checked.value.clone()).unwrap().value,
                checked.value
            );
        }
    });
}

#[test]
fn text_decodes_or_is_rejected() {
    fuzz("text", &[b"a\nb", "ä".as_bytes(), b"\xff"], |input| {
        assert_eq!(
            text::read(input).is_ok(),
            std::str::from_utf8(input).is_ok()
        );
    });
}

/// The typed codec encodes what it decodes, and another library decodes the result.
#[test]
fn typed_messages_decode_or_are_rejected() {
    let sio = Sio::new()
        .input(Int("n"))
        .optional_input(Float("x"))
        .optional_input(DateTime("at"))
        .optional_input(List("l").of(Type::Bool))
        .optional_input("any")
        .optional_input(DictList("rows").with([Text("-t"), Int("-n")]));
    let sio = sio.prepared().unwrap();
    let method = Method::new(&ServiceName::parse("fuzz.typed").unwrap(), &sio, "").unwrap();
    let value = dict! {
        "n": -1, "x": 0.5, "at": "2026-01-31T12:00:00.5Z", "l": [true, false], "any": dict! { "a": 1 },
        "rows": vec![dict! { "t": "x" }, dict! { "n": 1 }],
    };
    let whole = typed::encode(
        &method.request,
        &sio.check_input(value.into()).unwrap().value,
    )
    .unwrap();
    let seeds: [&[u8]; 3] = [&whole, b"", b"\x08\x01"];
    fuzz("typed", &seeds, |input| {
        let Ok((value, _)) = typed::decode(&method.request, input) else {
            return;
        };
        let Ok(checked) = sio.check_input(value) else {
            return;
        };
        let written = typed::encode(&method.request, &checked.value).unwrap();
        let (again, _) = typed::decode(&method.request, &written).unwrap();
        let again = sio.check_input(again).unwrap().value;
        assert_eq!(
            json::write(&again).unwrap(),
            json::write(&checked.value).unwrap()
        );
    });
}

/// A declaration is rejected, or it survives a round trip and has descriptors that another library accepts.
#[test]
fn declarations_are_accepted_or_rejected() {
    let sio = rows()
        .output(Text("a"))
        .output(DictList("rows").with([Int("n").default(1)]))
        .response_elem("r");
    let encoded = sio_to_proto(&sio).encode_to_vec();
    let odd = ["a_1", "a1", "[x]", "A1", "é", "a\0b"]
        .iter()
        .fold(Sio::new(), |sio, name| sio.input(Text(*name)));
    let odd = sio_to_proto(&odd).encode_to_vec();
    let name = ServiceName::parse("fuzz.declared").unwrap();
    fuzz("declaration", &[&encoded, &odd, b""], |input| {
        let Ok(message) = v1::SimpleIo::decode(input) else {
            return;
        };
        let Ok(sio) = sio_from_proto(message) else {
            return;
        };
        assert_eq!(sio_from_proto(sio_to_proto(&sio)).unwrap(), sio);
        assert!(json::write(&sio.input_schema().unwrap_or_default()).is_ok());
        let _ = sio.sample_input();
        let directory = MethodDirectory::new([(&name, &sio, "")]);
        let names = directory.packages().map(|(package, _)| package);
        let options = typed::PackageOptions::of_packages(names, Some("x.com/y"), None);
        for (package, methods) in directory.packages() {
            let mut pool = DescriptorPool::global();
            pool.decode_file_descriptor_proto(typed::descriptor(package, methods).as_slice())
                .unwrap();
            assert!(
                !typed::proto_file(package, methods, &options[package])
                    .text
                    .is_empty()
            );
        }
    });
}

#[test]
fn any_status_becomes_an_error() {
    let error =
        cidery::Error::not_found("X", "x").with_violation(cidery::Violation::new("/a", "B", "c"));
    let details = status::to_status(&error).details().to_vec();
    fuzz("status", &[&details, b""], |input| {
        let details = Bytes::copy_from_slice(input);
        let status = tonic::Status::with_details(tonic::Code::NotFound, "x", details);
        let read = status::from_status(&status);
        let _ = status::to_status(&read);
    });
}
