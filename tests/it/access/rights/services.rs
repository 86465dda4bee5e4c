//! Discovery, typed methods and reflection show the services that the caller may invoke, or serve.

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::discovery_service_client::DiscoveryServiceClient;
use cidery::model::access::Rights;
use tonic::transport::Channel;
use tonic_reflection::pb::v1 as reflection;

use super::{bearer, invoking, node, none, refused};
use crate::support::TestNode;

fn request<T>(caller: &'static str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let credential = bearer(caller).parse().unwrap();
    request.metadata_mut().insert("authorization", credential);
    request
}

async fn channel(node: &TestNode) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{}", node.address())).unwrap();
    endpoint.connect().await.unwrap()
}

async fn ask(
    node: &TestNode,
    caller: &'static str,
    ask: reflection::server_reflection_request::MessageRequest,
) -> reflection::server_reflection_response::MessageResponse {
    use reflection::server_reflection_client::ServerReflectionClient;
    let asked = reflection::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(ask),
    };
    let asked = request(caller, tokio_stream::iter([asked]));
    let mut client = ServerReflectionClient::new(channel(node).await);
    let mut answers = client
        .server_reflection_info(asked)
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    answer.message_response.unwrap()
}

#[tokio::test]
async fn what_may_not_be_invoked_is_not_described() {
    let serving = Rights {
        serve: vec![super::pattern("customer.g*")],
        ..none()
    };
    let admin = Rights {
        administer: true,
        ..none()
    };
    let node = node(vec![
        ("anna", invoking(&["customer.get"])),
        ("worker", serving),
        ("admin", admin),
        ("nobody", none()),
    ])
    .await;
    let mut discovery = DiscoveryServiceClient::new(channel(&node).await);
    for (caller, expected) in [("anna", 1), ("worker", 1), ("nobody", 0)] {
        let listed = request(caller, v1::ListServicesRequest::default());
        let listed = discovery.list_services(listed).await.unwrap().into_inner();
        assert_eq!(listed.services.len(), expected, "{caller}: {listed:?}");
    }
    let listed = request("admin", v1::ListServicesRequest::default());
    let listed = discovery.list_services(listed).await.unwrap().into_inner();
    assert!(listed.services.len() > 2);
    let get = |service: &str| v1::GetServiceRequest {
        service: service.to_owned(),
    };
    discovery
        .get_service(request("anna", get("customer.get")))
        .await
        .unwrap();
    for name in ["cidery.ping", "no.such"] {
        let refused = refused(discovery.get_service(request("anna", get(name))).await);
        assert_eq!(refused, "NOT_PERMITTED", "{name}");
    }
}

#[tokio::test]
async fn what_may_not_be_invoked_is_not_reflected() {
    use reflection::server_reflection_request::MessageRequest as Ask;
    use reflection::server_reflection_response::MessageResponse as Answer;
    let node = node(vec![
        ("anna", invoking(&["customer.get"])),
        ("berta", invoking(&["cidery.*"])),
        ("admin", Rights::all()),
    ])
    .await;
    for (caller, shown) in [("anna", true), ("berta", false), ("admin", true)] {
        // Twice: once made, once kept.
        for _ in 0..2 {
            let answer = ask(&node, caller, Ask::ListServices(String::new())).await;
            let Answer::ListServicesResponse(list) = answer else {
                panic!("{answer:?}");
            };
            let mut names = list.service.iter().map(|service| service.name.as_str());
            assert_eq!(
                names.any(|name| name == "customer.Service"),
                shown,
                "{caller}"
            );
        }
        let symbol = Ask::FileContainingSymbol("customer.Service".to_owned());
        let answer = ask(&node, caller, symbol).await;
        let is_file = matches!(answer, Answer::FileDescriptorResponse(_));
        assert_eq!(is_file, shown, "{caller}: {answer:?}");
    }
    // Of a package, the methods of other services are left out.
    let symbol = Ask::FileContainingSymbol("customer.Service".to_owned());
    let Answer::FileDescriptorResponse(files) = ask(&node, "anna", symbol).await else {
        panic!("no file");
    };
    let text = files.file_descriptor_proto.concat();
    let contains = |name: &str| text.windows(name.len()).any(|part| part == name.as_bytes());
    assert!(contains("GetRequest"));
}
