//! Simple IO: the tables of `docs/sio.md`, row by row, and the corpus of declarations in all forms.

use std::path::Path;

use cidery::codec::convert::sio_from_proto;
use cidery::codec::proto::{DESCRIPTORS, v1};
use cidery::codec::{json, sio as io};
use cidery::sio::{Dict as DictElement, DictList, Element, Int, List, Sio, Type};
use cidery::{Dict, Error, Payload, Value};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};

use crate::declared;

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The cells of the table below a heading, row by row.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section = text.split(heading).nth(1).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| {
        let cells = row.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(cells).collect()
}

fn element(kind: &str) -> Element {
    match kind {
        "List of Int" => List("x").of(Type::Int),
        "Dict of a: Int" => DictElement("x").with([Int("a")]),
        "DictList of a: Int" => DictList("x").with([Int("a")]),
        "List" => List("x"),
        "Dict" => DictElement("x"),
        "DictList" => DictList("x"),
        name => {
            let kind = Type::PLAIN.into_iter().find(|kind| kind.name() == name);
            Element::new("x", kind.unwrap_or_else(|| panic!("no type {name}")))
        }
    }
}

#[test]
fn the_table_of_inputs_holds() {
    let rows = table(&file("docs/sio.md"), "## Row by row");
    assert!(rows.len() > 90, "{} rows", rows.len());
    for row in &rows {
        let [kind, input, result] = row.as_slice() else {
            panic!("{row:?}")
        };
        let sio = Sio::new().input(element(kind)).prepared().unwrap();
        let value = json::read(input.trim_matches('`').as_bytes()).unwrap();
        let input = Dict::from_iter([("x", value)]);
        let found = match sio.check_input(input.into()) {
            Ok(checked) => format!("`{}`", json::write(&checked.value["x"]).unwrap()),
            Err(violations) => {
                assert_eq!(violations.kept.len(), 1, "{row:?}: {violations:?}");
                let violation = &violations.kept[0];
                match violation.path.strip_prefix("/x").unwrap() {
                    "" => violation.code.to_string(),
                    path => format!("{} at `{path}`", violation.code),
                }
            }
        };
        assert_eq!(&found, result, "{row:?}");
    }
    // Each type in the table of types has rows in this table.
    for row in table(&file("docs/sio.md"), "## Types") {
        let kind = row[0].trim_matches('`');
        assert!(
            rows.iter().filter(|row| row[0] == kind).count() > 1,
            "{kind}"
        );
    }
}

#[test]
fn the_table_of_outputs_holds() {
    let rows = table(&file("docs/sio.md"), "### Outputs");
    assert!(rows.len() > 12);
    for row in &rows {
        let [kind, output, result] = row.as_slice() else {
            panic!("{row:?}")
        };
        let sio = Sio::new().output(element(kind)).prepared().unwrap();
        let value = json::read(output.trim_matches('`').as_bytes()).unwrap();
        let output = Dict::from_iter([("x", value)]);
        let found = match sio.check_output(output.into()) {
            Ok(value) => format!("`{}`", json::write(&value["x"]).unwrap()),
            Err(violations) => {
                let violation = &violations.kept[0];
                match violation.path.strip_prefix("/x").unwrap() {
                    "" => violation.code.to_string(),
                    path => format!("{} at `{path}`", violation.code),
                }
            }
        };
        assert_eq!(&found, result, "{row:?}");
    }
}

/// Every type can be optional, and can have a default, which is converted to canonical form.
#[test]
fn every_type_can_be_optional_and_have_a_default() {
    let kinds = [
        ("Text", "\"t\"", "\"t\""),
        ("Int", "\"7\"", "7"),
        ("Float", "1", "1.0"),
        ("Decimal", "\"1.10\"", "\"1.10\""),
        ("Bool", "\"yes\"", "true"),
        ("Date", "\"2026-01-31\"", "\"2026-01-31\""),
        (
            "DateTime",
            "\"2026-01-31T13:00:00+01:00\"",
            "\"2026-01-31T12:00:00Z\"",
        ),
        (
            "Uuid",
            "\"01890F5A7B3C7DEF8123456789ABCDEF\"",
            "\"01890f5a-7b3c-7def-8123-456789abcdef\"",
        ),
        ("Bytes", "\"AP8\"", "\"AP8=\""),
        ("List", "[1]", "[1]"),
        ("List of Int", "[\"1\"]", "[1]"),
        ("Dict", "{\"a\":1}", "{\"a\":1}"),
        ("Dict of a: Int", "{\"a\":\"1\"}", "{\"a\":1}"),
        ("DictList", "[{}]", "[{}]"),
        ("DictList of a: Int", "[{\"a\":\"1\"}]", "[{\"a\":1}]"),
        ("Csv", "\"a,b\"", "[\"a\",\"b\"]"),
        ("AsIs", "[null]", "[null]"),
        ("Secret", "\"s\"", "\"s\""),
    ];
    for (kind, default, result) in kinds {
        let default = json::read(default.as_bytes()).unwrap();
        let sio = |element: Element| Sio::new().input(element).prepared().unwrap();
        for absent in [Dict::new(), Dict::from_iter([("x", Value::Null)])] {
            let is_any = kind == "AsIs" && !absent.is_empty();
            let checked = sio(element(kind).optional())
                .check_input(absent.clone().into())
                .unwrap();
            assert_eq!(
                checked.value.as_dict().unwrap().is_empty(),
                !is_any,
                "{kind}"
            );
            let checked = sio(element(kind).default(default.clone()))
                .check_input(absent.into())
                .unwrap();
            let expected = if is_any { "null" } else { result };
            assert_eq!(
                json::write(&checked.value["x"]).unwrap(),
                expected,
                "{kind}"
            );
        }
    }
}

/// One entry of the corpus.
struct Entry {
    name: String,
    declaration: v1::SimpleIo,
    cases: Vec<Value>,
}

fn corpus() -> Vec<Entry> {
    let text = file("tests/fixtures/declarations.json");
    let entries: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let message = pool.get_message_by_name("cidery.v1.SimpleIo").unwrap();
    // The cases are parsed by the crate's own reader, which keeps all digits.
    let exact = json::read(text.as_bytes()).unwrap();
    let entries = entries
        .into_iter()
        .zip(exact.as_list().unwrap())
        .map(|(entry, exact)| {
            // The declaration is in protobuf's JSON form, which every language can parse.
            let declaration =
                DynamicMessage::deserialize(message.clone(), entry["declaration"].clone()).unwrap();
            let declaration = v1::SimpleIo::decode(declaration.encode_to_vec().as_slice()).unwrap();
            Entry {
                name: entry["name"].as_str().unwrap().to_owned(),
                declaration,
                cases: exact["cases"].as_list().unwrap().to_vec(),
            }
        });
    entries.collect()
}

/// The result of a case: a value as JSON with the ignored keys, or the violations.
fn outcome(sio: &Sio, case: &Value) -> Value {
    let text = |value: &Value| Value::from(json::write(value).unwrap());
    let input = case.as_dict().unwrap().get("input");
    let result = match input {
        Some(input) => io::read_input(sio, Payload::Value(input.clone())).map(|checked| {
            let mut outcome = Dict::from_iter([("becomes", text(&checked.value))]);
            if !checked.ignored.is_empty() {
                outcome.insert("ignored", checked.ignored.to_text());
            }
            outcome
        }),
        None => io::check_output(sio, Payload::Value(case["output"].clone())).map(|payload| {
            let value = cidery::codec::payload::decode(payload).unwrap();
            Dict::from_iter([("becomes", text(&value))])
        }),
    };
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => Dict::from_iter([("violations", violations(&error))]).into(),
    }
}

fn violations(error: &Error) -> Value {
    let pairs = error.field_violations().iter();
    let pairs = pairs.map(|v| Value::from(vec![v.path.clone(), v.code.to_string()]));
    Value::List(pairs.collect())
}

fn expected(case: &Value) -> Value {
    let mut outcome = Dict::new();
    if let Some(result) = case.as_dict().unwrap().get("becomes") {
        outcome.insert("becomes", json::write(result).unwrap());
    }
    for key in ["ignored", "violations"] {
        if let Some(value) = case.as_dict().unwrap().get(key) {
            outcome.insert(key, value.clone());
        }
    }
    outcome.into()
}

#[test]
fn the_corpus_holds_for_all_forms_of_declarations() {
    let entries = corpus();
    assert!(entries.len() >= 10);
    for entry in &entries {
        let announced = sio_from_proto(entry.declaration.clone()).unwrap();
        let forms = declared::forms(&entry.name);
        assert!(!forms.is_empty(), "{} has no form", entry.name);
        for (form, sio) in forms {
            let sio = sio.prepared().unwrap();
            let again = cidery::codec::convert::sio_to_proto(&sio);
            let of_corpus = cidery::codec::convert::sio_to_proto(&announced);
            assert_eq!(again, of_corpus, "{} as {form}", entry.name);
            for case in &entry.cases {
                assert_eq!(
                    outcome(&sio, case),
                    expected(case),
                    "{} as {form}: {case:?}",
                    entry.name
                );
            }
        }
        for case in &entry.cases {
            assert_eq!(
                outcome(&announced, case),
                expected(case),
                "{}: {case:?}",
                entry.name
            );
        }
    }
}

/// Handlers with Rust types return the results of the corpus: serde rejects nothing that the declaration accepts.
#[tokio::test]
async fn handlers_of_rust_types_agree_with_the_corpus() {
    let node = declared::node().await;
    let mut checked = 0;
    for entry in corpus() {
        if node.invoker().service(&entry.name).is_err() {
            continue;
        }
        for case in &entry.cases {
            let Some(input) = case.as_dict().unwrap().get("input") else {
                continue;
            };
            checked += 1;
            match node
                .invoke(entry.name.clone(), Payload::Value(input.clone()))
                .await
            {
                Ok(response) => {
                    let written = json::write(response.value()).unwrap();
                    let result = json::write(&case["becomes"]).unwrap();
                    assert_eq!(written, result, "{}: {case:?}", entry.name);
                }
                Err(error) => {
                    assert_eq!(error.reason(), "INPUT_INVALID", "{error:?}");
                    assert_eq!(
                        violations(&error),
                        case["violations"],
                        "{}: {case:?}",
                        entry.name
                    );
                }
            }
        }
    }
    assert!(checked > 20, "{checked}");
    node.stop().await;
}
