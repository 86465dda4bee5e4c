//! A reflection client, as `grpcurl` is: it builds all messages from descriptors, with another protobuf library.

use std::net::SocketAddr;

use bytes::Bytes;
use cidery::codec::wire::RawCodec;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use prost_types::FileDescriptorProto;
use serde_json::Value as Json;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_reflection::pb::v1;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// The descriptors of a node at the time of discovery, and a connection.
#[derive(Clone)]
pub(crate) struct Dynamic {
    channel: Channel,
    pool: DescriptorPool,
}

async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

/// The reflection response to one request.
pub(crate) async fn reflect(address: SocketAddr, ask: MessageRequest) -> MessageResponse {
    let mut client = ServerReflectionClient::new(channel(address).await);
    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(ask),
    };
    let answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await;
    let answer = answers
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    answer.message_response.unwrap()
}

impl Dynamic {
    /// Fetches the file of a service and its imports.
    pub(crate) async fn discover(address: SocketAddr, service: &str) -> Self {
        let ask = MessageRequest::FileContainingSymbol(service.to_owned());
        let MessageResponse::FileDescriptorResponse(files) = reflect(address, ask).await else {
            panic!("{service} is not known");
        };
        let mut pool = DescriptorPool::new();
        let files = files.file_descriptor_proto.iter();
        let files = files.map(|file| FileDescriptorProto::decode(file.as_slice()).unwrap());
        pool.add_file_descriptor_protos(files).unwrap();
        Self {
            channel: channel(address).await,
            pool,
        }
    }

    /// The same descriptors with another node.
    pub(crate) async fn of_node(&self, address: SocketAddr) -> Self {
        Self {
            channel: channel(address).await,
            pool: self.pool.clone(),
        }
    }

    /// The descriptors.
    pub(crate) fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// Calls a method, `customer.Service/Get`, with a message as JSON; returns the response and its metadata.
    pub(crate) async fn call_with(
        &self,
        path: &str,
        message: Json,
        metadata: &[(&'static str, &str)],
    ) -> Result<(Json, MetadataMap), Status> {
        let (metadata, body, _) = self.send(path, message, metadata).await?.into_parts();
        let body = DynamicMessage::decode(self.method(path).output(), body).unwrap();
        Ok((serde_json::to_value(&body).unwrap(), metadata))
    }

    /// As [`call_with`](Self::call_with), without metadata.
    pub(crate) async fn call(&self, path: &str, message: Json) -> Result<Json, Status> {
        self.call_with(path, message, &[])
            .await
            .map(|(body, _)| body)
    }

    /// Calls a method, and does not read its response: returns the status of a call that fails.
    pub(crate) async fn failure(&self, path: &str, message: Json) -> Option<Status> {
        self.send(path, message, &[]).await.err()
    }

    /// The request of a method, from JSON.
    pub(crate) fn encoded(&self, path: &str, message: Json) -> Vec<u8> {
        let message = DynamicMessage::deserialize(self.method(path).input(), message);
        message.unwrap().encode_to_vec()
    }

    fn method(&self, path: &str) -> MethodDescriptor {
        let (service, method) = path.split_once('/').unwrap();
        let service = self.pool.get_service_by_name(service).unwrap();
        service.methods().find(|m| m.name() == method).unwrap()
    }

    async fn send(
        &self,
        path: &str,
        message: Json,
        metadata: &[(&'static str, &str)],
    ) -> Result<Response<Bytes>, Status> {
        let mut request = Request::new(Bytes::from(self.encoded(path, message)));
        for (key, value) in metadata {
            request.metadata_mut().insert(*key, value.parse().unwrap());
        }
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        let path = format!("/{path}").parse().unwrap();
        client.unary(request, path, RawCodec).await
    }
}
