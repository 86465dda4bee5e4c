//! Discovery, typed methods and reflection show the services that the caller may invoke, or serve.

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::discovery_service_client::DiscoveryServiceClient;
use cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use cidery::model::access::Rights;
use tonic::transport::Channel;
use tonic_reflection::pb::v1 as reflection;

use super::{As, accept, bearer, client, ended, invoking, node, none, refused};
use crate::support::{TestNode, error_of};

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

/// Calls a service that lists something; the names in its answer.
async fn list(
    client: &mut InvocationServiceClient<As>,
    service: &str,
) -> Result<Vec<String>, tonic::Status> {
    let request = v1::InvokeRequest {
        service: service.to_owned(),
        response_format: v1::DataFormat::Json.into(),
        ..v1::InvokeRequest::default()
    };
    let response = client.invoke(request).await?.into_inner();
    let Some(v1::invoke_response::Output::Document(json)) = response.output else {
        panic!("{response:?}");
    };
    let mut listed: serde_json::Value = serde_json::from_slice(&json).unwrap();
    if let Some(object) = listed.as_object() {
        listed = object.values().next().unwrap().clone();
    }
    let names = listed.as_array().unwrap().iter();
    let names = names.map(|one| one["name"].as_str().unwrap().to_owned());
    Ok(names.collect())
}

#[tokio::test]
async fn the_services_of_the_node_list_what_the_caller_may_see() {
    let anna = Rights {
        serve: vec![super::pattern("demo.count")],
        ..invoking(&["customer.*", "cidery.*", "zato.s*"])
    };
    let admin = Rights {
        administer: true,
        ..invoking(&["cidery.*", "zato.*"])
    };
    let node = node(vec![("anna", anna), ("admin", admin)]).await;
    let (mut anna, mut admin) = (client(&node, "anna").await, client(&node, "admin").await);
    let expected = [
        "cidery.echo",
        "cidery.ping",
        "cidery.service.get-list",
        "customer.get",
        "customer.import",
        "demo.count",
        "zato.service.get-list",
    ];
    for service in ["cidery.service.get-list", "zato.service.get-list"] {
        assert_eq!(list(&mut anna, service).await.unwrap(), expected);
        let all = list(&mut admin, service).await.unwrap();
        for name in ["demo.sleep", "cidery.security.get-list"] {
            assert!(all.iter().any(|one| one == name), "{all:?}");
        }
    }
    for service in ["cidery.security.get-list", "zato.security.get-list"] {
        let error = error_of(&list(&mut anna, service).await.unwrap_err());
        assert_eq!(error.reason(), "NOT_PERMITTED");
        assert_eq!(error.fact("right"), Some("administer"));
        let refused = refused(anna.invoke_async(super::invoke_async(service)).await);
        assert_eq!(refused, "NOT_PERMITTED");
        let mut principals = list(&mut admin, service).await.unwrap();
        principals.sort();
        assert_eq!(principals, ["admin", "anna"]);
    }
    // The rights of a caller are not stored with what it asks for.
    let cid = accept(&mut anna, "cidery.service.get-list").await;
    let found = ended(&mut anna, &cid).await;
    assert_eq!(found.state(), v1::State::Failed);
    let failure = format!("{:?}", found.outcome);
    assert!(
        failure.contains("NOT_PERMITTED") && failure.contains("synchronously"),
        "{failure}"
    );
}
