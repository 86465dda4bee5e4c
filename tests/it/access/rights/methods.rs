//! Every method of every service refuses callers without a credential, and those without its right, as `docs/rights.md`
//! says.

use std::collections::BTreeMap;

use cidery::codec::proto::{DESCRIPTORS, v1};
use cidery::model::access::{NamePattern, Rights, Scope};
use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::{call, call_with, failure, invoking, node, none};
use crate::support::raw_worker::hello;

const TABLE: &str = include_str!("../../../../docs/rights.md");

/// The right that the documentation names for each method.
fn documented() -> BTreeMap<String, &'static str> {
    let rows = TABLE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split('|');
        let method = cells.next()?.trim().trim_end_matches('`');
        let right = cells.next()?.trim().trim_matches('`');
        method
            .contains("Service.")
            .then(|| (method.to_owned(), right))
    });
    rows.collect()
}

/// All methods of the contract.
fn methods() -> Vec<String> {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    let files = files.iter().filter(|file| file.package() == "cidery.v1");
    let services = files.flat_map(|file| &file.service);
    let methods = services.flat_map(|service| {
        let methods = service.method.iter();
        methods.map(|method| format!("{}.{}", service.name(), method.name()))
    });
    methods.collect()
}

/// A request of a method for which its right is asked.
fn request(method: &str) -> Vec<u8> {
    const SERVICE: &str = "customer.get";
    const CID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    let (service, cids) = (SERVICE.to_owned(), vec![CID.to_owned()]);
    match method.split_once('.').unwrap().1 {
        "Invoke" => v1::InvokeRequest {
            service,
            ..v1::InvokeRequest::default()
        }
        .encode_to_vec(),
        "InvokeAsync" => super::invoke_async(SERVICE).encode_to_vec(),
        "StreamResults" => v1::StreamResultsRequest {
            cids,
            ..v1::StreamResultsRequest::default()
        }
        .encode_to_vec(),
        "GetInvocation" => super::get(CID).encode_to_vec(),
        "CancelInvocations" => v1::CancelInvocationsRequest {
            all: true,
            ..v1::CancelInvocationsRequest::default()
        }
        .encode_to_vec(),
        "PurgeInvocations" => v1::PurgeInvocationsRequest {
            all: true,
            ..v1::PurgeInvocationsRequest::default()
        }
        .encode_to_vec(),
        "RetryInvocations" => v1::RetryInvocationsRequest {
            all: true,
            ..v1::RetryInvocationsRequest::default()
        }
        .encode_to_vec(),
        "CompleteInvocation" => v1::CompleteInvocationRequest {
            cid: CID.to_owned(),
            token: "1".repeat(32),
            ..v1::CompleteInvocationRequest::default()
        }
        .encode_to_vec(),
        "GetService" => v1::GetServiceRequest { service }.encode_to_vec(),
        "Serve" => v1::ServeRequest {
            message: Some(v1::serve_request::Message::Hello(hello("a.b"))),
            ..v1::ServeRequest::default()
        }
        .encode_to_vec(),
        _ => Vec::new(),
    }
}

fn only(right: &str) -> Rights {
    let all = vec![NamePattern::all()];
    match right {
        "invoke" => Rights {
            invoke: all,
            ..none()
        },
        "serve" => Rights {
            serve: all,
            ..none()
        },
        "read" => Rights {
            read: Scope::All,
            ..none()
        },
        // By filter, only what may be read as well is changed.
        "control" => Rights {
            read: Scope::All,
            control: Scope::All,
            ..none()
        },
        "administer" => Rights {
            administer: true,
            ..none()
        },
        _ => none(),
    }
}

#[tokio::test]
async fn the_documented_right_is_needed_and_enough() {
    let documented = documented();
    let methods = methods();
    let listed: Vec<_> = documented.keys().cloned().collect();
    let mut sorted = methods.clone();
    sorted.sort();
    assert_eq!(listed, sorted, "docs/rights.md lists each method once");
    let rights = ["invoke", "serve", "read", "control", "administer"];
    let mut people: Vec<_> = rights.into_iter().map(|it| (it, only(it))).collect();
    people.push(("nobody", none()));
    let node = node(people).await;
    for method in methods {
        let right = documented[&method];
        let path = format!("/cidery.v1.{}", method.replace('.', "/"));
        let message = request(&method);
        let call = async |caller| {
            let limits = [("grpc-timeout", "300m")];
            let answer = call_with(&node, caller, &path, &message, &limits).await;
            failure(&answer)
        };
        let unknown = call(None)
            .await
            .unwrap_or_else(|| panic!("{method} is open"));
        assert_eq!(unknown.reason(), "CREDENTIAL_REQUIRED", "{method}");
        let someone = call(Some("someone")).await.unwrap();
        assert_eq!(someone.reason(), "CREDENTIAL_INVALID", "{method}");
        let nobody = call(Some("nobody")).await;
        if right == "credential" {
            assert!(nobody.is_none(), "{method}: {nobody:?}");
            continue;
        }
        let nobody = nobody.unwrap_or_else(|| panic!("{method} needs no right"));
        assert_eq!(nobody.reason(), "NOT_PERMITTED", "{method}");
        // Of a change by filter, what can be found is asked first.
        let named = nobody.fact("right").unwrap();
        assert!(named == right || right == "control", "{method}: {named}");
        if let Some(error) = call(Some(right)).await {
            let reason = error.reason();
            assert!(
                !["NOT_PERMITTED", "CREDENTIAL_REQUIRED"].contains(&reason),
                "{method}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn reflection_asks_for_a_credential_and_health_does_not() {
    let node = node(vec![("nobody", none())]).await;
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let answer = call_with(&node, None, &path, &[], &[]).await;
        assert_eq!(answer.error().reason(), "CREDENTIAL_REQUIRED");
        let answer = call_with(&node, Some("nobody"), &path, &[], &[]).await;
        assert!(failure(&answer).is_none());
    }
    let answer = call_with(&node, None, "/grpc.health.v1.Health/Check", &[], &[]).await;
    assert!(failure(&answer).is_none());
}

/// What is refused is refused before anything is looked up: an unknown service is as one that exists.
#[tokio::test]
async fn a_refusal_tells_nothing_of_a_service() {
    let node = node(vec![("anna", invoking(&["cidery.*"]))]).await;
    let refusal = async |service: &str, path: &str| {
        let message = v1::InvokeRequest {
            service: service.to_owned(),
            ..v1::InvokeRequest::default()
        };
        let error = call(&node, Some("anna"), path, &message).await.error();
        let text = error.message().replace(service, "NAME");
        (error.kind(), error.reason().to_owned(), text)
    };
    let invoke = "/cidery.v1.InvocationService/Invoke";
    assert_eq!(
        refusal("customer.get", invoke).await,
        refusal("customer.gex", invoke).await
    );
    let (known, unknown) = ("/customer.Service/Get", "/customer.Service/Gex");
    let (kind, reason, text) = refusal("customer.get", known).await;
    assert_eq!(reason, "NOT_PERMITTED");
    assert_eq!((kind, reason, text), refusal("customer.gex", unknown).await);
    // Nor is a name of another service suggested.
    let message = v1::InvokeRequest {
        service: "cidery.customer.get".to_owned(),
        ..v1::InvokeRequest::default()
    };
    let error = call(&node, Some("anna"), invoke, &message).await.error();
    assert_eq!(error.reason(), "SERVICE_UNKNOWN");
    assert!(!error.message().contains("`customer.get`"), "{error}");
}
