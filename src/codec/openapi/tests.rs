//! Documents of declarations.

use super::{Documented, MIN_SERVICE_BYTES, document};
use crate::codec::json;
use crate::model::sio::{Int, Sio, Text};
use crate::model::value::Value;

fn example() -> Value {
    let sio = Sio::new().input(Int("cust_id")).output(Text("name"));
    let undeclared = Sio::new();
    let service = |name, description, sio| Documented {
        name,
        description,
        sio,
    };
    let services = [
        service("customer.get", "Finds a customer. By its number.", &sio),
        service("audit", "", &undeclared),
    ];
    let text = written(&services, false);
    let reversed: Vec<_> = services.into_iter().rev().collect();
    assert_eq!(written(&reversed, false), text);
    let read = json::read(text.as_bytes()).unwrap();
    // It is written in pieces, and looks like one.
    assert_eq!(json::pretty(&read) + "\n", text);
    read
}

fn written(services: &[Documented<'_>], asks_who_calls: bool) -> String {
    let services = services.iter().copied();
    let document = document(services, asks_who_calls, usize::MAX, || true);
    document.unwrap().unwrap()
}

/// It ends as soon as it is too large, or its caller has left.
#[test]
fn a_document_has_a_limit() {
    let sio = Sio::new();
    let names: Vec<String> = (0..100).map(|n| format!("a.s{n}")).collect();
    let services = || {
        names.iter().map(|name| Documented {
            name,
            description: "",
            sio: &sio,
        })
    };
    let asked = std::cell::Cell::new(0);
    let document = |count, max_bytes, wanted| {
        asked.set(0);
        let is_wanted = || {
            asked.set(asked.get() + 1);
            asked.get() < wanted
        };
        document(services().take(count), false, max_bytes, is_wanted).unwrap()
    };
    let all = document(100, usize::MAX, 1_000).unwrap().len();
    assert_eq!(asked.get(), 100);
    assert_eq!(document(100, all, 1_000).unwrap().len(), all);
    assert!(document(100, all - 1, 1_000).is_none());
    assert!(document(100, all / 2, 1_000).is_none());
    assert!(asked.get() < 60, "{}", asked.get());
    assert!(document(100, usize::MAX, 10).is_none());
    assert_eq!(asked.get(), 10);
    // So many are not begun. None of them would have fitted.
    assert!(document(100, 99 * MIN_SERVICE_BYTES, 1_000).is_none());
    assert_eq!(asked.get(), 0);
    let none = document(0, usize::MAX, 1_000).unwrap().len();
    assert!(all - none > 100 * MIN_SERVICE_BYTES);
}

#[test]
fn each_service_has_a_path_with_its_schemas() {
    let document = example();
    let paths = document.as_dict().unwrap().get("paths").unwrap();
    let names: Vec<&str> = paths.as_dict().unwrap().keys().take(3).collect();
    assert_eq!(
        names,
        ["/invoke/audit", "/invoke/customer.get", "/invocations"]
    );
    let post = &paths["/invoke/customer.get"]["post"];
    assert_eq!(post["summary"], "Finds a customer".into());
    let body = &post["requestBody"]["content"]["application/json"];
    assert_eq!(
        body["schema"]["properties"]["cust_id"]["type"],
        "integer".into()
    );
    assert!(body["schema"].as_dict().unwrap().get("$schema").is_none());
    let form = &post["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
    let expected =
        r#"{"type":"object","properties":{"cust_id":{"type":"string"}},"required":["cust_id"]}"#;
    assert_eq!(json::write(form).unwrap(), expected);
    let output = &post["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(output["required"][0], "name".into());
    assert_eq!(paths["/invoke/audit"]["post"]["summary"], "audit".into());
}

/// Every reference has a target.
#[test]
fn references_can_be_followed() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Dict(dict) => {
                if let Some(target) = dict.get("$ref").and_then(Value::as_text) {
                    let mut found = document;
                    for name in target.strip_prefix("#/").unwrap().split('/') {
                        found = found.as_dict().and_then(|it| it.get(name)).expect(target);
                    }
                }
                dict.iter().for_each(|(_, value)| check(value, document));
            }
            Value::List(items) => items.iter().for_each(|item| check(item, document)),
            _ => {}
        }
    }
    let document = example();
    check(&document, &document);
}

#[test]
fn credentials_are_required_where_the_node_asks_who_calls() {
    for (asks, expected) in [
        (false, r#"[{}]"#),
        (true, r#"[{"bearer":[]},{"certificate":[]}]"#),
    ] {
        let document = written(&[], asks);
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["security"].to_string(), expected);
    }
}
