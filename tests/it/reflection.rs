//! gRPC server reflection, v1 and v1alpha.

use prost::Message as _;
use prost_types::FileDescriptorProto;
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::TestNode;

macro_rules! ask {
    ($version:ident, $node:expr, $ask:expr) => {{
        use $version::server_reflection_client::ServerReflectionClient;
        let address = format!("http://{}", $node.address());
        let channel = tonic::transport::Endpoint::from_shared(address).unwrap();
        let mut client = ServerReflectionClient::new(channel.connect().await.unwrap());
        let request = $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some($ask),
        };
        let answers = client
            .server_reflection_info(tokio_stream::iter([request]))
            .await
            .unwrap();
        answers
            .into_inner()
            .message()
            .await
            .unwrap()
            .unwrap()
            .message_response
            .unwrap()
    }};
}

#[tokio::test]
async fn both_versions_list_services_and_return_files() {
    let node = TestNode::demo().await;
    macro_rules! check {
        ($version:ident) => {{
            use $version::server_reflection_request::MessageRequest as Ask;
            use $version::server_reflection_response::MessageResponse as Answer;
            let Answer::ListServicesResponse(list) =
                ask!($version, node, Ask::ListServices(String::new()))
            else {
                panic!("no list");
            };
            let names: Vec<String> = list
                .service
                .into_iter()
                .map(|service| service.name)
                .collect();
            assert!(
                names.contains(&"cidery.v1.InvocationService".to_owned()),
                "{names:?}"
            );
            for symbol in [
                "cidery.v1.InvocationService.Invoke",
                "google.protobuf.Struct",
                "google.rpc.ErrorInfo",
            ] {
                let Answer::FileDescriptorResponse(files) =
                    ask!($version, node, Ask::FileContainingSymbol(symbol.to_owned()))
                else {
                    panic!("{symbol} is not known");
                };
                assert!(!files.file_descriptor_proto.is_empty());
            }
            let Answer::ErrorResponse(error) = ask!(
                $version,
                node,
                Ask::FileContainingSymbol("no.such".to_owned())
            ) else {
                panic!("found an unknown symbol");
            };
            assert_eq!(error.error_code, 5);
        }};
    }
    check!(v1);
    check!(v1alpha);
}

/// Clients see `Struct` fields; only the generated Rust code has them as bytes.
#[tokio::test]
async fn the_original_descriptors_are_served() {
    use v1::server_reflection_request::MessageRequest as Ask;
    use v1::server_reflection_response::MessageResponse as Answer;
    let node = TestNode::demo().await;
    let ask = Ask::FileByFilename("cidery/v1/invocation.proto".to_owned());
    let Answer::FileDescriptorResponse(files) = ask!(v1, node, ask) else {
        panic!("no file")
    };
    let file = FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice()).unwrap();
    let request = file
        .message_type
        .iter()
        .find(|message| message.name() == "InvokeRequest")
        .unwrap();
    let payload = request
        .field
        .iter()
        .find(|field| field.name() == "payload")
        .unwrap();
    assert_eq!(payload.type_name(), ".google.protobuf.Struct");
}
