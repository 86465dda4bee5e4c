//! Call examples of a service, ready to paste, the simplest first: the command line, the Python SDK, `grpcurl`, `curl`,
//! and the export of its types for clients in other languages.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::codec::json;
use crate::codec::proto::v1;
use crate::codec::typed::Method;
use crate::edge::address::NodeAddress;
use crate::model::value::{Dict, Value};

/// The address to dial on this machine for a node that is bound to `bound`.
pub(super) fn dialable(bound: Option<NodeAddress>) -> NodeAddress {
    const DEFAULT: NodeAddress = NodeAddress {
        address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 24337),
        is_tls: false,
    };
    let mut bound = bound.unwrap_or(DEFAULT);
    if bound.address.ip().is_unspecified() {
        bound.address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    bound
}

/// One example for each tool.
pub(super) fn call_examples(
    service: &str,
    sample: &Value,
    typed: Option<&Arc<Method>>,
    address: NodeAddress,
) -> Vec<v1::CallExample> {
    let text = json::write(sample).unwrap_or_else(|_| "{}".to_owned());
    let (path, body) = match typed {
        Some(method) => (method.path(), request_message(method, sample)),
        None => ("cidery.v1.InvocationService/Invoke".to_owned(), {
            let field = if sample.as_dict().is_some() {
                "payload"
            } else {
                "value"
            };
            Dict::from_iter([("service", service.into()), (field, sample.clone())]).into()
        }),
    };
    let body = json::write(&body).unwrap_or_else(|_| "{}".to_owned());
    let input = shell_quote(&text);
    let body = shell_quote(&body);
    let options = match address.is_tls {
        true => "",
        false => "-plaintext ",
    };
    let mut examples = vec![
        (
            "cidery",
            format!("cidery invoke {service} --node {address} --json {input}"),
        ),
        (
            "background",
            format!(
                "cidery invoke {service} --async --node {address} --json {input}\n\
                 cidery result last --wait 30s --node {address}"
            ),
        ),
        ("python", python(address, service, sample)),
        (
            "grpcurl",
            format!("grpcurl {options}-d {body} {} {path}", address.address),
        ),
    ];
    let scheme = if address.is_tls { "https" } else { "http" };
    let url = format!("{scheme}://{}/invoke/{service}", address.address);
    examples.push(("curl", format!("curl {url} --json {input}")));
    if typed.is_some() {
        let export =
            format!("cidery export proto --api --node {address} --service {service} --out protos");
        examples.push(("export", export));
    }
    let example = |(tool, text): (&str, String)| v1::CallExample {
        tool: tool.to_owned(),
        text,
    };
    examples.into_iter().map(example).collect()
}

/// A sample input as the request message, where a value that is not a dict is in the only field.
fn request_message(method: &Method, sample: &Value) -> Value {
    match (sample, method.request.message.fields.first()) {
        (Value::Dict(_), _) | (_, None) => sample.clone(),
        (value, Some(field)) => Dict::from_iter([(field.key.as_str(), value.clone())]).into(),
    }
}

/// Quotes text as one word of a shell.
fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A call by the client of the SDK.
fn python(address: NodeAddress, service: &str, sample: &Value) -> String {
    let input = python_literal(sample);
    format!(
        "from cidery import Client

with Client('{address}') as client:
    print(client.invoke('{service}', {input}))"
    )
}

/// A value as an expression of Python. Numbers and texts are those of JSON.
fn python_literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(python_literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Dict(dict) => {
            let entry = |(key, value): (&str, &Value)| {
                let key = python_literal(&key.into());
                format!("{key}: {}", python_literal(value))
            };
            let entries: Vec<String> = dict.iter().map(entry).collect();
            format!("{{{}}}", entries.join(", "))
        }
        scalar => json::write(scalar).unwrap_or_else(|_| "None".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_one_word() {
        assert_eq!(shell_quote("{\"a\":\"it's\"}"), r#"'{"a":"it'\''s"}'"#);
    }

    #[test]
    fn a_python_literal_is_no_json() {
        let value = crate::dict! { "a": vec![Value::Null, true.into(), 1.into()], "b": "it's" };
        let literal = python_literal(&value.into());
        assert_eq!(literal, r#"{"a": [None, True, 1], "b": "it's"}"#);
    }
}
