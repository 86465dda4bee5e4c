//! Calls of a service that can be pasted into a terminal.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::codec::json;
use crate::codec::proto::v1;
use crate::codec::typed::Method;
use crate::model::value::{Dict, Value};

/// Where somebody on this machine reaches a node that is bound to an address.
pub(super) fn reachable(bound: Option<SocketAddr>) -> SocketAddr {
    const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 24337);
    let address = bound.unwrap_or(DEFAULT);
    if address.ip().is_unspecified() {
        return SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
    }
    address
}

/// One call with each tool.
pub(super) fn of_calls(
    service: &str,
    sample: &Value,
    typed: Option<&Arc<Method>>,
    address: SocketAddr,
) -> Vec<v1::CallExample> {
    let text = json::write(sample).unwrap_or_else(|_| "{}".to_owned());
    let (path, body) = match typed {
        Some(method) => (method.path(), request_of(method, sample)),
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
                in_shell(&text)
            ),
        ),
        example(
            "grpcurl",
            format!("grpcurl -plaintext -d {} {address} {path}", in_shell(&body)),
        ),
        example("python", python(address, &path, &body)),
    ]
}

/// A sample as the request message: a list, and what nothing is declared of, is in a field.
fn request_of(method: &Method, sample: &Value) -> Value {
    match (sample, method.request.message.fields.first()) {
        (Value::List(_), Some(field)) => {
            Dict::from_iter([(field.key.as_str(), sample.clone())]).into()
        }
        _ => sample.clone(),
    }
}

/// Text as one word of a shell.
fn in_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A call with nothing but `pip install grpcio-reflection`: the types come from the node.
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
    fn what_is_quoted_stays_one_word() {
        assert_eq!(in_shell("{\"a\":\"it's\"}"), r#"'{"a":"it'\''s"}'"#);
    }
}
