//! The health of services is told to callers that see them; that of the node to all, as probes have no credential.

use cidery::codec::proto::health::health_check_response::ServingStatus;
use cidery::codec::proto::health::health_client::HealthClient;
use cidery::codec::proto::health::{HealthCheckRequest, HealthListRequest};
use cidery::{Error, Kind};
use tonic::transport::Channel;

use super::{bearer, invoking, node, none};
use crate::support::{PATIENCE, TestNode, error_of};

async fn client(node: &TestNode) -> HealthClient<Channel> {
    let address = format!("http://{}", node.address());
    HealthClient::connect(address).await.unwrap()
}

fn request<T>(caller: Option<&'static str>, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    if let Some(caller) = caller {
        let credential = bearer(caller).parse().unwrap();
        request.metadata_mut().insert("authorization", credential);
    }
    request
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

async fn check(
    node: &TestNode,
    caller: Option<&'static str>,
    service: &str,
) -> Result<ServingStatus, Error> {
    let checked = client(node).await.check(request(caller, of(service))).await;
    match checked {
        Ok(checked) => Ok(checked.into_inner().status()),
        Err(status) => Err(error_of(&status)),
    }
}

#[tokio::test]
async fn a_name_that_the_caller_may_not_see_is_as_one_that_does_not_exist() {
    let node = node(vec![
        ("anna", invoking(&["customer.get"])),
        ("nobody", none()),
    ])
    .await;
    for service in ["customer.get", "customer.Service"] {
        let seen = check(&node, Some("anna"), service).await;
        assert_eq!(seen.unwrap(), ServingStatus::Serving, "{service}");
        for caller in [None, Some("nobody")] {
            let hidden = check(&node, caller, service).await.unwrap_err();
            let unknown = service.replace("customer", "cuztomer");
            let unknown = check(&node, caller, &unknown).await.unwrap_err();
            assert_eq!(
                (hidden.kind(), hidden.reason()),
                (Kind::NotFound, unknown.reason())
            );
            let message = unknown.message().replace("cuztomer", "customer");
            assert_eq!(hidden.message(), message);
        }
    }
    let other = check(&node, Some("anna"), "demo.sleep").await.unwrap_err();
    assert_eq!(other.kind(), Kind::NotFound);
    // What the contract names is no secret, and what clients with health checks ask for.
    for service in ["", "cidery.v1.InvocationService", "grpc.health.v1.Health"] {
        let open = check(&node, None, service).await.unwrap();
        assert_eq!(open, ServingStatus::Serving, "{service}");
    }
}

#[tokio::test]
async fn a_list_and_a_watch_tell_what_a_check_tells() {
    let node = node(vec![("anna", invoking(&["customer.get"]))]).await;
    let mut health = client(&node).await;
    let mut names = async |caller| {
        let listed = health.list(request(caller, HealthListRequest {})).await;
        let mut names: Vec<_> = listed.unwrap().into_inner().statuses.into_keys().collect();
        // Those of the contract are for all.
        let open = ["cidery.v1.", "grpc.", "externalscaler."];
        names.retain(|name| !open.iter().any(|prefix| name.starts_with(prefix)));
        names.sort();
        names
    };
    assert_eq!(
        names(Some("anna")).await,
        ["", "customer.Service", "customer.get"]
    );
    assert!(
        !names(None)
            .await
            .iter()
            .any(|name| name.starts_with("customer."))
    );
    for (caller, status) in [
        (None, ServingStatus::ServiceUnknown),
        (Some("anna"), ServingStatus::Serving),
    ] {
        let watch = health.watch(request(caller, of("customer.get"))).await;
        let mut watch = watch.unwrap().into_inner();
        let first = tokio::time::timeout(PATIENCE, watch.message()).await;
        assert_eq!(
            first.unwrap().unwrap().unwrap().status(),
            status,
            "{caller:?}"
        );
    }
}

/// A credential that is given has to be a good one: its guesses are counted.
#[tokio::test]
async fn a_wrong_credential_is_refused() {
    let node = node(vec![("anna", none())]).await;
    let refused = check(&node, Some("bob"), "").await.unwrap_err();
    assert_eq!(refused.reason(), "CREDENTIAL_INVALID");
}
