//! gRPC in the protocols of browsers and of plain HTTP clients: [Connect](https://connectrpc.com/docs/protocol), with
//! JSON or protobuf, and gRPC-Web.
//!
//! A request becomes a gRPC request, which takes the same path as one: authentication, limits, audit and status
//! mapping are those of gRPC. Its response is translated back. Each method has one request message; those with a
//! stream of requests are called by gRPC.

mod body;
mod codec;
mod connect_error;
mod connect_stream;
mod connect_unary;
mod envelope;
mod grpc_web;
mod gzip;
mod head;
mod protocol;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use tonic::body::Body;

use self::codec::MessageCodec;
use self::head::Encodings;
pub(super) use self::protocol::Protocol;
use self::protocol::{Codec, Shape};
use crate::codec::proto_json::{Json, Undeclared, read};
use crate::edge::connection::Connection;
use crate::edge::grpc::{MessageTypes, MethodTypes};
use crate::edge::request_body::{RequestBody, RequestMemory};
use crate::edge::response_body::ResponseBody;
use crate::engine::Invoker;
use crate::model::error::{Error, Result, reason};
use crate::model::sio::{IGNORED_KEY, Ignored};

/// What a client of Connect may send to a method whose responses are a stream, and to one whose response is not.
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
const OF_STREAMS: &str =
    "application/connect+json, application/connect+proto, application/grpc-web+proto";
const OF_UNARY: &str = "application/json, application/proto, application/grpc-web+proto";

/// One call in another protocol than gRPC.
#[derive(Debug)]
pub(super) struct Call {
    protocol: Protocol,
    encodings: Encodings,
    types: MessageTypes,
    /// The largest message, in bytes.
    limit: usize,
    /// Who calls, once that is known.
    caller: Option<Invoker>,
    /// The method, once it is known. Only JSON needs one.
    method: Option<MethodTypes>,
    /// The keys of the request that were dropped.
    ignored: Ignored,
    /// The content types that the method accepts, where it is called with another one.
    accepts: Option<&'static str>,
}

impl Call {
    /// The call of a request, whose headers become those of gRPC.
    pub(super) fn new<B>(
        protocol: Protocol,
        request: &mut Request<B>,
        types: MessageTypes,
        limit: usize,
    ) -> Self {
        Self {
            protocol,
            encodings: head::translate(protocol, request),
            types,
            limit,
            caller: None,
            method: None,
            ignored: Ignored::default(),
            accepts: None,
        }
    }

    /// Reads the request, and translates it to one of gRPC.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` with all violations where its message is none of the method; `MESSAGE_TOO_LARGE`;
    /// `NOT_SUPPORTED`; why the caller cannot call the method.
    pub(super) async fn request(
        &mut self,
        request: Request<RequestBody>,
        memory: &RequestMemory,
        connection: &Connection,
    ) -> Result<Request<Body>> {
        let (mut head, body) = request.into_parts();
        self.caller = Some(self.types.caller(&head.extensions));
        self.encodings.check()?;
        match self.types.of(&head).await {
            Ok(method) => {
                self.check_shape(head.uri.path(), &method)?;
                if let Some(typed) = &method.typed {
                    head.extensions.insert(typed.clone());
                }
                self.method = Some(method);
            }
            // gRPC itself answers it, or a service of the host.
            Err(_) if self.protocol.codec() == Codec::Proto => {}
            Err(error) => return Err(error),
        }
        let received = body::read(body, self.protocol.most_bytes(self.limit), self.limit).await?;
        let unzipped = |compressed: &[u8]| -> Result<Bytes> {
            let message = gzip::decompressed(compressed, self.limit)?;
            memory.count(connection, message.len().saturating_mul(2))?;
            Ok(message)
        };
        let framed = match self.protocol {
            Protocol::GrpcWeb { is_text: false } => received,
            Protocol::GrpcWeb { is_text: true } => grpc_web::decoded(&received)?,
            Protocol::Connect { shape, .. } => {
                let message = match shape {
                    Shape::Unary if self.encodings.is_gzipped => unzipped(&received)?,
                    Shape::Unary => received,
                    Shape::Stream => {
                        let is_gzipped = self.encodings.is_gzipped;
                        match envelope::only_message(&received)? {
                            (message, true) if is_gzipped => unzipped(&message)?,
                            (message, false) => message,
                            (_, true) => return Err(envelope::not_compressed()),
                        }
                    }
                };
                body::check_length(message.len(), self.limit)?;
                envelope::framed(0, &self.protobuf(message)?)
            }
        };
        Ok(Request::from_parts(
            head,
            Body::new(body::Whole::new(framed)),
        ))
    }

    /// The response in the protocol of the call.
    pub(super) async fn response(
        self,
        mut response: Response<Body>,
        connection: &Arc<Connection>,
    ) -> Response<ResponseBody> {
        response.headers_mut().remove(CONTENT_LENGTH);
        let (protocol, accepts) = (self.protocol, self.accepts);
        let ignored = (!self.ignored.is_empty()).then(|| self.ignored.to_text());
        let writes_gzip = self.encodings.accepts_gzip;
        let codec = self.into_codec();
        let mut response = match protocol {
            Protocol::GrpcWeb { is_text } => grpc_web::response(response, is_text, connection),
            Protocol::Connect { shape, .. } => match shape {
                Shape::Unary => {
                    connect_unary::response(response, codec, writes_gzip, connection).await
                }
                Shape::Stream => connect_stream::response(response, codec, writes_gzip, connection),
            },
        };
        let content_type = content_type(protocol, response.status());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        if let Some(ignored) = ignored.and_then(|names| names.parse().ok()) {
            headers.entry(IGNORED_KEY).or_insert(ignored);
        }
        if let Some(accepts) = accepts {
            headers.insert(ACCEPT_POST, HeaderValue::from_static(accepts));
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        }
        response
    }

    /// Refuses a method that this protocol cannot call.
    fn check_shape(&mut self, path: &str, method: &MethodTypes) -> Result<()> {
        let path = path.trim_start_matches('/');
        if method.is_client_streaming {
            let message = format!(
                "`{path}` takes a stream of requests: it is called by gRPC over HTTP/2, and not by Connect or gRPC-Web"
            );
            return Err(Error::unimplemented(reason::NOT_SUPPORTED, message));
        }
        let Protocol::Connect { shape, codec } = self.protocol else {
            return Ok(());
        };
        let (accepts, what) = match (shape, method.is_server_streaming) {
            (Shape::Unary, true) => (OF_STREAMS, "answers with a stream"),
            (Shape::Stream, false) => (OF_UNARY, "answers with one message"),
            _ => return Ok(()),
        };
        self.accepts = Some(accepts);
        let name = match (shape, codec) {
            (Shape::Unary, Codec::Json) => "application/connect+json",
            (Shape::Unary, Codec::Proto) => "application/connect+proto",
            (Shape::Stream, Codec::Json) => "application/json",
            (Shape::Stream, Codec::Proto) => "application/proto",
        };
        let message = format!("`{path}` {what}: call it with the content type `{name}`");
        Err(Error::unimplemented(reason::NOT_SUPPORTED, message))
    }

    /// The message of a request as protobuf.
    fn protobuf(&mut self, message: Bytes) -> Result<Bytes> {
        let is_json = self.protocol.codec() == Codec::Json;
        let Some(method) = self.method.as_ref().filter(|_| is_json) else {
            return Ok(message);
        };
        let find = |name: &str| self.types.find(name, self.caller.as_ref());
        let (undeclared, reason) = match &method.typed {
            Some(typed) if typed.method.request.refuses_unknown_fields() => {
                (Undeclared::Refuse, reason::INPUT_INVALID)
            }
            Some(_) => (Undeclared::Drop, reason::INPUT_INVALID),
            None => (Undeclared::Refuse, reason::REQUEST_INVALID),
        };
        let Json { message, ignored } = read(&message, &method.input, undeclared, &find, reason)?;
        self.ignored = ignored;
        Ok(message)
    }

    /// What writes the messages of the response.
    fn into_codec(self) -> MessageCodec {
        let is_json = self.protocol.codec() == Codec::Json;
        MessageCodec {
            json: self.method.filter(|_| is_json),
            types: self.types,
            caller: self.caller,
            limit: self.limit,
        }
    }
}

/// The content type of a response. A failed unary call is answered with JSON.
fn content_type(protocol: Protocol, status: StatusCode) -> HeaderValue {
    HeaderValue::from_static(match protocol {
        Protocol::GrpcWeb { is_text: false } => "application/grpc-web+proto",
        Protocol::GrpcWeb { is_text: true } => "application/grpc-web-text+proto",
        Protocol::Connect { shape, codec } => match (shape, codec) {
            (Shape::Unary, Codec::Proto) if status == StatusCode::OK => "application/proto",
            (Shape::Unary, _) => "application/json",
            (Shape::Stream, Codec::Json) => "application/connect+json",
            (Shape::Stream, Codec::Proto) => "application/connect+proto",
        },
    })
}
