//! Call examples of a service for `cidery`, `grpcurl` and Python, ready to paste into a terminal.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::codec::json;
use crate::codec::proto::v1;
use crate::codec::typed::Method;
use crate::model::value::{Dict, Value};

/// The address to dial on this machine for a node that is bound to `bound`.
pub(super) fn dialable(bound: Option<SocketAddr>) -> SocketAddr {
    const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 24337);
    let address = bound.unwrap_or(DEFAULT);
    if address.ip().is_unspecified() {
        return SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
    }
    address
}

/// One example for each tool.
pub(super) fn call_examples(
    service: &str,
    sample: &Value,
    typed: Option<&Arc<Method>>,
    address: SocketAddr,
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
    let example = |tool: &str, text: String| v1::CallExample {
        tool: tool.to_owned(),
        text,
    };
    vec![
        example(
            "cidery",
            format!(
                "cidery invoke {service} --node {address} --json {}",
                shell_quote(&text)
            ),
        ),
        example(
            "grpcurl",
            format!(
                "grpcurl -plaintext -d {} {address} {path}",
                shell_quote(&body)
            ),
        ),
        example("python", python(address, &path, &body)),
    ]
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

/// A call that needs only `pip install grpcio-reflection`: the types come from reflection.
fn python(address: SocketAddr, path: &str, body: &str) -> String {
    let (service, method) = path.split_once('/').unwrap_or((path, ""));
    let body = body.replace('\\', r"\\").replace('\'', r"\'");
    format!(
        "import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

channel = grpc.insecure_channel('{address}')
pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
method = pool.FindServiceByName('{service}').FindMethodByName('{method}')
request, response = map(message_factory.GetMessageClass, (method.input_type, method.output_type))
call = channel.unary_unary('/{path}', request.SerializeToString, response.FromString)
print(call(json_format.Parse('{body}', request())))"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_one_word() {
        assert_eq!(shell_quote("{\"a\":\"it's\"}"), r#"'{"a":"it'\''s"}'"#);
    }
}
