//! Tests of typed messages with an independent reader of their descriptors.

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};

use super::*;
use crate::dict;
use crate::model::id::ServiceName;
use crate::model::sio::{
    AsIs, Bool, Bytes, Csv, Date, DateTime, Decimal, Dict, DictList, Float, Int, List, Secret, Sio,
    Text, Type, Uuid,
};
use crate::model::value::Value;

fn method(name: &str, sio: &Sio) -> Method {
    Method::new(&ServiceName::parse(name).unwrap(), sio, "").unwrap()
}

/// The descriptors, read by another library.
fn described(method: &Method) -> MethodDescriptor {
    let mut pool = DescriptorPool::global();
    let methods = [std::sync::Arc::new(method.clone())];
    let file = descriptor(&method.package, &methods);
    pool.decode_file_descriptor_proto(file.as_slice()).unwrap();
    let service = pool
        .get_service_by_name(&format!("{}.Service", method.package))
        .unwrap();
    service.methods().find(|m| m.name() == method.name).unwrap()
}

fn every_type() -> Sio {
    Sio::new()
        .input(Text("text"))
        .input(Int("int"))
        .input(Float("float"))
        .input(Decimal("decimal"))
        .input(Bool("bool"))
        .input(Date("date"))
        .input(DateTime("date_time"))
        .input(Uuid("uuid"))
        .input(Bytes("bytes"))
        .input(Secret("secret"))
        .input(AsIs("as_is"))
        .input(Csv("csv"))
        .input(List("untyped"))
        .input(List("ints").of(Type::Int))
        .input(List("floats").of(Type::Float))
        .input(List("bools").of(Type::Bool))
        .input(List("dates").of(Type::Date))
        .input(List("instants").of(Type::DateTime))
        .input(List("lists").of(List("").of(Type::Int)))
        .input(Dict("any_dict"))
        .input(Dict("address").with([Text("street"), Int("-zip")]))
        .input(DictList("any_dicts"))
        .input(DictList("role_list").with([Text("name"), List("tags").of(Type::Text)]))
        .prepared()
        .unwrap()
}

fn every_value() -> Value {
    dict! {
        "text": "ä",
        "int": i64::MIN,
        "float": 0.1,
        "decimal": "0.1234567890123456789",
        "bool": true,
        "date": "2026-01-31",
        "date_time": "1969-12-31T23:59:59.5Z",
        "uuid": "01890f5a-7b3c-7def-8123-456789abcdef",
        "bytes": bytes::Bytes::from_static(b"\0\xff"),
        "secret": "s",
        "as_is": dict! { "x": Value::Null },
        "csv": ["a", "b"],
        "untyped": [Value::Int(1), Value::from("x")],
        "ints": [1, -1, 300],
        "floats": [0.5, 2.0],
        "bools": [true, false],
        "dates": ["2026-01-31"],
        "instants": ["2026-01-31T12:00:00Z"],
        "lists": vec![vec![1, 2], vec![]],
        "any_dict": dict! { "a": 1 },
        "address": dict! { "street": "S", "zip": 1234 },
        "any_dicts": vec![dict! { "a": 1 }],
        "role_list": vec![dict! { "name": "n", "tags": ["t"] }, dict! { "name": "m", "tags": Value::List(Vec::new()) }],
    }
    .into()
}

#[test]
fn every_type_survives_a_round_trip_through_another_implementation() {
    let sio = every_type();
    let method = method("every.type", &sio);
    let value = sio.check_input(every_value()).unwrap().value;
    let encoded = encode(&method.request, &value).unwrap();
    let theirs = DynamicMessage::decode(described(&method).input(), encoded.as_ref()).unwrap();
    let (back, ignored) = decode(&method.request, &theirs.encode_to_vec()).unwrap();
    assert!(ignored.is_empty());
    let back = sio.check_input(back).unwrap().value;
    // The empty list as well, which takes no bytes on the wire.
    assert_eq!(back, value);
    let theirs_json = serde_json::to_value(&theirs).unwrap();
    assert_eq!(theirs_json["int"], "-9223372036854775808");
    assert_eq!(theirs_json["date_time"], "1969-12-31T23:59:59.500Z");
    assert_eq!(theirs_json["role_list"][0]["name"], "n");
}

#[test]
fn descriptors_follow_the_rules() {
    let method = method(
        "customer.get",
        &Sio::new()
            .input(Int("cust_id"))
            .input(Secret("token"))
            .output(Text("cust_name")),
    );
    let described = described(&method);
    assert_eq!(described.full_name(), "customer.Service.Get");
    let field = described.input().get_field_by_name("cust_id").unwrap();
    assert_eq!((field.number(), field.json_name()), (26_730_156, "cust_id"));
    assert!(field.supports_presence());
    let output = described.output();
    assert_eq!(output.full_name(), "customer.GetResponse");
    assert_eq!(output.get_field(15_199_785).unwrap().name(), "cust_name");
    // Field 16 of the options, which prost does not know: tag 0x80 0x01, true.
    let file = descriptor(&method.package, &[std::sync::Arc::new(method.clone())]);
    assert!(file.windows(5).any(|bytes| bytes == [0x42, 3, 0x80, 1, 1]));
}

#[test]
fn lists_wrapped_outputs_and_undeclared_sides_have_their_own_fields() {
    let sio = Sio::new()
        .input(Int("a"))
        .list_input()
        .output(Int("b"))
        .list_output()
        .response_elem("my_rows");
    let listed = method("lists.of-dicts", &sio);
    let request = encode(
        &listed.request,
        &vec![dict! { "a": 1 }, dict! { "a": 2 }].into(),
    )
    .unwrap();
    let (value, _) = decode(&listed.request, &request).unwrap();
    assert_eq!(value, vec![dict! { "a": 1 }, dict! { "a": 2 }].into());
    assert_eq!(
        decode(&listed.request, &[]).unwrap().0,
        Value::List(Vec::new())
    );
    let output: Value = dict! { "my_rows": vec![dict! { "b": 1 }] }.into();
    assert_eq!(
        decode(
            &listed.response,
            &encode(&listed.response, &output).unwrap()
        )
        .unwrap()
        .0,
        output
    );
    assert_eq!(listed.response.message.fields[0].kind.name(), "message");

    let open = method("open", &Sio::new().output(Int("b")));
    assert_eq!(open.path(), "open.Service/Invoke");
    assert_eq!(decode(&open.request, &[]).unwrap().0, dict! {}.into());
    let any: Value = vec![1, 2].into();
    assert_eq!(
        decode(&open.request, &encode(&open.request, &any).unwrap())
            .unwrap()
            .0,
        any
    );
}

#[test]
fn violations_name_their_path() {
    let sio = Sio::new()
        .input(DictList("rows").with([Int("n")]))
        .output(Int("a"));
    let method = method("x.y", &sio);
    let wide = dict! { "rows": vec![dict! { "n": Value::number("9223372036854775808").unwrap() }] };
    let violation = encode(&method.request, &wide.into()).unwrap_err();
    assert_eq!(
        (violation.path.as_str(), &*violation.code),
        ("/rows/0/n", "OUT_OF_RANGE")
    );
    // An unknown field: number 5, a varint.
    let (_, ignored) = decode(&method.request, &[0x28, 1]).unwrap();
    assert_eq!(ignored.to_text(), "#5");
    let strict = self::method(
        "x.y",
        &sio.unknown_keys(crate::model::sio::UnknownKeys::Refuse),
    );
    let error = decode(&strict.request, &[0x28, 1]).unwrap_err();
    assert_eq!(error.field_violations()[0].path, "/#5");
    for bad in [&[0x28][..], &[0xff; 12], &[0x0b]] {
        assert!(decode(&method.request, bad).is_err());
    }
}

#[test]
fn clashing_services_have_no_typed_method() {
    let name = |name| ServiceName::parse(name).unwrap();
    let sio = Sio::new().input(Int("a"));
    let clash = Sio::new()
        .input(Int("a").number(7))
        .input(Text("b").number(7));
    let misspelled = Sio::new().input(Int("myName")).input(Text("my_name"));
    let services = [
        (name("a.get"), &sio),
        (name("a.get-async"), &sio),
        (name("a.set"), &sio),
        (name("b.one-two"), &sio),
        (name("b.one_two"), &sio),
        (name("c.numbers"), &clash),
        (name("c.names"), &misspelled),
        (name("grpc.x"), &sio),
    ];
    let messages = Sio::new()
        .input(Dict("a_1").with([Int("x")]))
        .input(Dict("a1").with([Int("x")]));
    let json_names = Sio::new().input(Int("line_1")).input(Int("line1"));
    let brackets = Sio::new().input(Int("[x]"));
    let services = services.into_iter().chain([
        (name("d.messages"), &messages),
        (name("d.json"), &json_names),
        (name("d.brackets"), &brackets),
    ]);
    let services: Vec<_> = services.collect();
    let directory = MethodDirectory::new(services.iter().map(|(name, sio)| (name, *sio, "")));
    assert!(directory.at("/a.Service/Set").is_some());
    assert_eq!(
        directory.at("/a.Service/SetAsync").unwrap().mode,
        CallMode::Async
    );
    for path in [
        "/a.Service/Get",
        "/a.Service/GetAsync",
        "/b.Service/OneTwo",
        "/c.Service/Numbers",
    ] {
        assert!(directory.at(path).is_none(), "{path}");
    }
    for (service, expected) in [
        (
            "a.get",
            "`a.get` and `a.get-async` would both be `a.Service/GetAsync`",
        ),
        (
            "b.one_two",
            "`b.one-two` and `b.one_two` would both be `b.Service/OneTwo`",
        ),
        ("c.numbers", "`a` and `b`"),
        (
            "c.names",
            "`myName` and `my_name` of the input would both be the field `my_name`",
        ),
        ("grpc.x", "`grpc` is reserved"),
        (
            "d.messages",
            "`a_1` and `a1` of the input would both be the JSON name `a1`",
        ),
        ("d.json", "would both be the JSON name `line1`"),
        ("d.brackets", "`[x]` of the input cannot be the JSON name"),
    ] {
        let note = directory.note(service).unwrap().to_string();
        assert!(note.contains(expected), "{service}: {note}");
    }
    assert_eq!(directory.packages().count(), 1);
}

#[test]
fn proto_files_are_complete_and_quoted() {
    let sio = Sio::new()
        .input(Text("a \"b\""))
        .input(DictList("rows").with([Secret("key")]))
        .output(DateTime("at").description("When\nit was."));
    let method = std::sync::Arc::new(method("odd.names", &sio));
    let options = PackageOptions::of_packages(["odd"], Some("example.com/stubs"), Some("com.x"));
    let file = proto_file("odd", &[method], &options["odd"]);
    assert_eq!(file.path, "odd/odd.proto");
    for line in [
        "import \"google/protobuf/timestamp.proto\";",
        "option go_package = \"example.com/stubs/odd;oddpb\";",
        "option java_multiple_files = true;",
        "option java_outer_classname = \"OddProto\";",
        "option java_package = \"com.x.odd\";",
        "  rpc NamesAsync(NamesAsyncRequest) returns (NamesAsyncResponse);",
        "[json_name = \"a \\\"b\\\"\"];",
        "    optional string key = ",
        " [debug_redact = true];",
        "  // When it was.",
        "  repeated RowsItem rows = ",
    ] {
        assert!(file.text.contains(line), "{line} is not in\n{}", file.text);
    }
    let (header, _) = file.text.split_once("\nsyntax").unwrap();
    assert!(header.lines().all(|line| line.starts_with("//")));
    assert!(header.contains("Field numbers are hashes"), "{header}");
}

/// Some code generators name their output after the file alone.
#[test]
fn no_two_files_have_one_name() {
    let options = PackageOptions::of_packages(["a.customer", "b.customer"], None, None);
    let files = ["a.customer", "b.customer"].map(|name| proto_file(name, &[], &options[name]));
    assert_eq!(
        files.each_ref().map(|file| file.path.as_str()),
        ["a/customer/a_customer.proto", "b/customer/b_customer.proto"]
    );
    let class = "option java_outer_classname = \"BCustomerProto\";";
    assert!(files[1].text.contains(class), "{}", files[1].text);
}

#[test]
fn comments_contain_what_protobuf_cannot_declare() {
    let long = "word ".repeat(50);
    let sio = Sio::new()
        .input(
            Int("count")
                .range(1..=9)
                .default(5)
                .description("How many."),
        )
        .input(Int("-at_least").range(0..=i64::MAX))
        .input(Text("color").one_of(["red", "blue"]))
        .input(Text("-text").default("a\n\u{1b}b"))
        .input(Date("day"))
        .input(List("ids").of(Type::Uuid))
        .input(Secret("-key").default("s3cret"))
        .input(AsIs("long").description(long))
        .output(Int("total"));
    let method = std::sync::Arc::new(method("odd.names", &sio));
    let options = PackageOptions::of_packages(["odd"], None, None);
    let file = proto_file("odd", &[method], &options["odd"]).text;
    let request = file.split("message NamesRequest").nth(1).unwrap();
    let request = request.split("\n}").next().unwrap();
    let comments = |field: &str| {
        let end = request.find(&format!(" {field} = ")).unwrap();
        let lines = request[..end].lines().rev().skip(1);
        let lines = lines.map_while(|line| line.trim_start().strip_prefix("// "));
        let mut lines: Vec<_> = lines.collect();
        lines.reverse();
        lines
    };
    for (field, expected) in [
        ("count", &["How many.", "Default: 5.", "Range: 1 to 9."][..]),
        ("at_least", &["Minimum: 0."]),
        (
            "color",
            &["Required.", "Allowed values: \"red\", \"blue\"."],
        ),
        ("text", &["Default: \"a\\n\\u001bb\"."]),
        (
            "day",
            &[
                "Required.",
                "Format: date, such as `2026-01-31` (RFC 3339).",
            ],
        ),
        ("ids", &["Format of each item: UUID (RFC 9562)."]),
    ] {
        assert_eq!(comments(field), expected, "{field}");
    }
    assert!(!file.contains("s3cret"), "{file}");
    let long = comments("long");
    assert!(
        long.len() > 2 && long.iter().all(|line| line.len() <= 100),
        "{long:?}"
    );
    // The asynchronous request has the same comments, and the response no requirements.
    assert_eq!(file.matches("Range: 1 to 9.").count(), 2);
    let response = file.split("message NamesResponse").nth(1).unwrap();
    let response = response.split("\n}").next().unwrap();
    assert!(!response.contains("//"), "{response}");
}

/// For a method `Get`, the C# generator makes a client method `GetAsync`: it must not have the parameters of the typed
/// method `GetAsync`.
#[test]
fn an_asynchronous_method_has_its_own_request_with_the_same_encoding() {
    let sio = every_type();
    let method = method("every.type", &sio);
    let service = described(&method).parent_service().clone();
    let [wait, background] = ["Type", "TypeAsync"].map(|name| {
        let mut methods = service.methods();
        methods
            .find(|method| method.name() == name)
            .unwrap()
            .input()
    });
    assert_eq!(wait.full_name(), "every.TypeRequest");
    assert_eq!(background.full_name(), "every.TypeAsyncRequest");
    let value = sio.check_input(every_value()).unwrap().value;
    let encoded = encode(&method.request, &value).unwrap();
    let [wait, background] = [wait, background].map(|message| {
        let decoded = DynamicMessage::decode(message, encoded.as_ref()).unwrap();
        serde_json::to_value(&decoded).unwrap()
    });
    assert_eq!(wait, background);
    let options = PackageOptions::of_packages(["every"], None, None);
    let file = proto_file("every", &[std::sync::Arc::new(method)], &options["every"]).text;
    assert_eq!(file.matches("message RoleListItem {").count(), 1);
    assert!(file.contains("repeated TypeRequest.RoleListItem role_list = "));
}

#[test]
fn nested_messages_have_names_that_generators_accept() {
    let number = || [Int("n")];
    let sio = Sio::new()
        .input(DictList("lines").with([DictList("lines").with(number())]))
        .input(Dict("lines_item").with(number()))
        .input(Dict("builder").with([Dict("builder").with(number())]))
        .input(Dict("types").with(number()))
        .input(Dict("x_or_builder").with(number()))
        .input(Dict("get_request").with(number()))
        .input(List("rows").of(Dict("").with(number())));
    let method = method("a.get", &sio);
    fn names(message: &MessageType, of: &str, into: &mut Vec<String>) {
        for field in &message.fields {
            if let FieldType::Message(nested) = &field.kind {
                let name = format!("{of}{}", nested.name);
                into.push(name.clone());
                names(nested, &format!("{name}."), into);
            }
        }
    }
    let mut found = Vec::new();
    names(&method.request.message, "", &mut found);
    let expected = [
        "LinesItemMessage",
        "LinesItemMessage.LinesItem",
        "LinesItem",
        "BuilderMessage",
        "BuilderMessage.BuilderMessage2",
        "TypesMessage",
        "XOrBuilderMessage",
        "GetRequestMessage",
        "RowsItem",
    ];
    assert_eq!(found, expected);
    // The descriptors agree.
    described(&method);
}

/// Who may serve one name takes no methods from another.
#[test]
fn the_service_that_was_there_first_keeps_its_methods() {
    let sio = Sio::new().input(Int("id")).output(Int("id"));
    let ranks = [
        ("a.get", 2),
        // Both would have a method of the first one.
        ("a.GET", 3),
        ("a.get-async", 4),
        // Its method was only that of one that has none: `a.Service/GetAsyncAsync`.
        ("a.get-async-async", 5),
        // Both were first.
        ("b.get", 2),
        ("b.GET", 2),
        ("b.-get", 3),
    ];
    let ranks = ranks.map(|(name, rank)| (ServiceName::parse(name).unwrap(), rank));
    let rank = |name: &ServiceName| ranks.iter().find(|(of, _)| of == name).unwrap().1;
    for is_reversed in [false, true] {
        let mut names: Vec<_> = ranks.iter().map(|(name, _)| name).collect();
        if is_reversed {
            names.reverse();
        }
        let services = names.into_iter().map(|name| (name, &sio, ""));
        let directory = MethodDirectory::updated(services, |_| None, rank);
        for (path, expected) in [
            ("/a.Service/Get", Some("a.get")),
            ("/a.Service/GetAsync", Some("a.get")),
            ("/a.Service/GetAsyncAsync", Some("a.get-async-async")),
            ("/b.Service/Get", None),
        ] {
            let found = directory.at(path).map(|it| it.method.service.as_str());
            assert_eq!(found, expected, "{path}");
        }
        let note = |name| directory.note(name).unwrap().to_string();
        assert!(directory.note("a.get").is_none());
        let both = "`a.GET` and `a.get` would both be `a.Service/Get`";
        assert_eq!(note("a.GET"), both);
        let both = "`b.GET` and `b.get` would both be `b.Service/Get`";
        assert_eq!((note("b.GET"), note("b.get")), (both.into(), both.into()));
        assert_eq!(
            note("b.-get"),
            "`b.-get` and `b.GET` and `b.get` would both be `b.Service/Get`"
        );
        // Names of services that a caller does not see.
        let note = directory.note("b.-get").unwrap();
        let text = note.text(|name| name != "b.GET");
        assert_eq!(text, "`b.-get` and `b.get` would both be `b.Service/Get`");
        let text = note.text(|name| name == "b.-get");
        assert_eq!(text, "another service would be `b.Service/Get` as well");
    }
}
