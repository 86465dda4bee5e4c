//! Which protocol a request speaks, by its content type.

use http::header::CONTENT_TYPE;
use http::{Method, Request};

use super::envelope::PREFIX;

/// A protocol in which gRPC methods are called, other than gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) enum Protocol {
    /// Connect.
    Connect { shape: Shape, codec: Codec },
    /// gRPC-Web; as text, its bodies are base64.
    GrpcWeb { is_text: bool },
}

/// The shape of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) enum Shape {
    /// The bodies are the messages.
    Unary,
    /// The bodies are streams of messages in envelopes.
    Stream,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) enum Codec {
    Json,
    Proto,
}

impl Protocol {
    /// The protocol of a request that calls a method. JSON and protobuf alone say so only together with the path of a
    /// method, `/customer.Service/Get`: other paths are those of plain HTTP.
    pub(in crate::edge) fn of<B>(request: &Request<B>) -> Option<Self> {
        if request.method() != Method::POST {
            return None;
        }
        let content_type = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        let connect = |shape, codec| Some(Self::Connect { shape, codec });
        if is("application/json") || is("application/proto") {
            let codec = match is("application/json") {
                true => Codec::Json,
                false => Codec::Proto,
            };
            return match is_method_path(request.uri().path()) {
                true => connect(Shape::Unary, codec),
                false => None,
            };
        }
        if is("application/connect+json") {
            connect(Shape::Stream, Codec::Json)
        } else if is("application/connect+proto") {
            connect(Shape::Stream, Codec::Proto)
        } else if is("application/grpc-web") || is("application/grpc-web+proto") {
            Some(Self::GrpcWeb { is_text: false })
        } else if is("application/grpc-web-text") || is("application/grpc-web-text+proto") {
            Some(Self::GrpcWeb { is_text: true })
        } else {
            None
        }
    }

    pub(super) fn codec(self) -> Codec {
        match self {
            Self::Connect { codec, .. } => codec,
            Self::GrpcWeb { .. } => Codec::Proto,
        }
    }

    /// The longest body of a request with a message of at most `limit` bytes. Its message may be compressed: then the
    /// limit holds for what it is decompressed to.
    pub(super) fn most_bytes(self, limit: usize) -> usize {
        let framed = limit.saturating_add(PREFIX);
        match self {
            Self::GrpcWeb { is_text: true } => framed.div_ceil(3).saturating_mul(4),
            Self::Connect { .. } | Self::GrpcWeb { .. } => framed,
        }
    }
}

/// Whether a path is like that of a gRPC method: a service in a package, both names as in `.proto` files.
fn is_method_path(path: &str) -> bool {
    let is_name = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase());
    let names = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let Some((service, method)) = names else {
        return false;
    };
    let service = service.rsplit_once('.').map(|(_, name)| name);
    service.is_some_and(is_name) && is_name(method) && !method.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, path: &str, content_type: &str) -> Option<Protocol> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(CONTENT_TYPE, content_type);
        Protocol::of(&request.body(()).unwrap())
    }

    #[test]
    fn the_content_type_names_the_protocol() {
        let path = "/customer.Service/Get";
        let connect = |shape, codec| Some(Protocol::Connect { shape, codec });
        for (content_type, expected) in [
            ("application/json", connect(Shape::Unary, Codec::Json)),
            (
                "Application/JSON; charset=utf-8",
                connect(Shape::Unary, Codec::Json),
            ),
            ("application/proto", connect(Shape::Unary, Codec::Proto)),
            (
                "application/connect+json",
                connect(Shape::Stream, Codec::Json),
            ),
            (
                "application/connect+proto",
                connect(Shape::Stream, Codec::Proto),
            ),
            (
                "application/grpc-web",
                Some(Protocol::GrpcWeb { is_text: false }),
            ),
            (
                "application/grpc-web+proto",
                Some(Protocol::GrpcWeb { is_text: false }),
            ),
            (
                "application/grpc-web-text",
                Some(Protocol::GrpcWeb { is_text: true }),
            ),
            ("application/grpc-web+json", None),
            ("application/x-protobuf", None),
            ("text/plain", None),
            ("application/grpc", None),
        ] {
            assert_eq!(
                of(Method::POST, path, content_type),
                expected,
                "{content_type}"
            );
            assert_eq!(of(Method::GET, path, content_type), None, "{content_type}");
        }
    }

    #[test]
    fn json_calls_a_method_only_at_the_path_of_one() {
        for (path, is_call) in [
            ("/customer.Service/Get", true),
            ("/cidery.v1.InvocationService/Invoke", true),
            ("/invoke/customer.get", false),
            ("/customer.get/Get", false),
            ("/Service/Get", false),
            ("/customer.Service/Get/More", false),
            ("/customer.Service", false),
            ("/", false),
        ] {
            let protocol = of(Method::POST, path, "application/json");
            assert_eq!(protocol.is_some(), is_call, "{path}");
        }
        // These content types have no other meaning.
        assert!(of(Method::POST, "/x/y", "application/grpc-web").is_some());
    }
}
