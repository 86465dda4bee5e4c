//! Who may serve: a worker needs the right for each of its services, and its session is that of its principal.

use cidery::Node;
use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_request::Message;
use cidery::model::access::Rights;
use cidery::store::SqliteStore;

use super::{connect_as, invoking, node, node_on, none, pattern};
use crate::support::proxy::Proxy;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{Folder, TestNode, paths};

fn serving(patterns: &[&str]) -> Rights {
    Rights {
        serve: patterns.iter().map(|text| pattern(text)).collect(),
        ..invoking(&["*"])
    }
}

fn announcing(names: &[&str]) -> v1::Hello {
    let services = names.iter().flat_map(|name| hello(name).services);
    v1::Hello {
        services: services.collect(),
        capabilities: vec![v1::Capability::Resume.into()],
        ..hello("a.task")
    }
}

#[tokio::test]
async fn a_name_without_the_right_is_not_served() {
    let node = node(vec![
        ("worker", serving(&["a.*"])),
        ("anna", invoking(&["*"])),
    ])
    .await;
    let hello = || announcing(&["a.task", "customer.get", "b.task"]);
    let connect = |caller| connect_as(node.address(), hello(), caller);
    let error = connect("worker").await.err().unwrap();
    assert_eq!(
        (error.reason(), error.fact("right")),
        ("NOT_PERMITTED", Some("serve"))
    );
    assert_eq!(paths(&error), ["/services/1/name", "/services/2/name"]);
    let error = connect("anna").await.err().unwrap();
    assert_eq!(paths(&error).len(), 3);
    // Without a credential, nothing is read.
    let error = RawWorker::open(node.address(), None).await.unwrap_err();
    assert_eq!(error.reason(), "CREDENTIAL_REQUIRED");
    let hello = Message::Hello(announcing(&["a.task"]));
    let error = RawWorker::open(node.address(), Some(hello))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "CREDENTIAL_REQUIRED");
}

/// Who has stolen the secret of a session cannot resume it with another credential; its own principal can, with another
/// key.
#[tokio::test]
async fn a_session_is_resumed_by_its_principal_alone() {
    let rights = || serving(&["a.*"]);
    let people = vec![
        ("worker", rights()),
        ("worker:rotated", rights()),
        ("thief", rights()),
    ];
    let node = node(people).await;
    let proxy = Proxy::to(node.address()).await;
    let connected = connect_as(proxy.address, announcing(&["a.task"]), "worker");
    let worker = connected.await.unwrap();
    proxy.cut();
    let resuming = || v1::Hello {
        session: worker.welcome.session.clone(),
        ..announcing(&["a.task"])
    };
    let thief = connect_as(node.address(), resuming(), "thief");
    let thief = thief.await.unwrap();
    assert_ne!(thief.welcome.worker_id, worker.welcome.worker_id);
    assert_ne!(thief.welcome.session, worker.welcome.session);
    let again = connect_as(node.address(), resuming(), "worker:rotated");
    let again = again.await.unwrap();
    assert_eq!(again.welcome.worker_id, worker.welcome.worker_id);
}

/// One key must not take the names of all: nor for good, since the services of one that is revoked are still known.
#[tokio::test]
async fn a_principal_has_a_share_of_the_services_and_of_the_workers() {
    let people = || {
        vec![
            ("worker", serving(&["a.*"])),
            ("worker:rotated", serving(&["*"])),
            ("other", serving(&["*"])),
            ("admin", Rights::all()),
        ]
    };
    let folder = Folder::new("shares");
    let start = async || {
        let store = SqliteStore::open(folder.path()).unwrap();
        let builder = Node::builder().limits(|limits| {
            limits.services = 6;
            limits.principal_services = 3;
            limits.principal_workers = 2;
        });
        node_on(store, builder, people()).await
    };
    let assert_refused = |error: cidery::Error, reason: &str, fact: &str, value: &str| {
        assert_eq!((error.reason(), error.fact(fact)), (reason, Some(value)));
        assert!(error.message().contains("`worker`"), "{error}");
    };
    let mut node = start().await;
    let first = connect_as(node.address(), announcing(&["a.1", "a.2"]), "worker");
    let first = first.await.unwrap();
    let more = announcing(&["a.2", "a.3", "a.4"]);
    let error = connect_as(node.address(), more.clone(), "worker:rotated");
    let error = error.await.err().unwrap();
    assert_refused(error, "SERVICE_LIMIT", "principal_services", "3");
    // What is known already is not counted again, and others may announce it as well.
    let second = connect_as(
        node.address(),
        announcing(&["a.2", "a.3"]),
        "worker:rotated",
    );
    let second = second.await.unwrap();
    let error = connect_as(node.address(), announcing(&["a.1"]), "worker");
    let error = error.await.err().unwrap();
    assert!(error.retry_after().is_some());
    assert_refused(error, "STREAM_LIMIT", "principal_workers", "2");
    let other = connect_as(node.address(), announcing(&["a.1", "b.1", "b.2"]), "other");
    drop(other.await.unwrap());
    drop((first, second));
    node.handle.stop().await;
    // Who announced what is stored.
    node = start().await;
    let error = connect_as(node.address(), announcing(&["a.4"]), "worker");
    assert_refused(
        error.await.err().unwrap(),
        "SERVICE_LIMIT",
        "principal_services",
        "3",
    );
    let other = connect_as(node.address(), announcing(&["b.3"]), "other").await;
    drop(other.unwrap());
    let error = connect_as(node.address(), announcing(&["b.4"]), "other");
    let error = error.await.err().unwrap();
    assert!(error.fact("principal_services").is_none(), "{error:?}");
    assert_eq!(error.fact("services"), Some("6"));
    // What is forgotten makes room.
    let credential = cidery::ClientCredential::api_key("cdy_admin_admin").unwrap();
    let admin = node.client.clone().credential(credential);
    admin.forget_service("a.1").await.unwrap();
    let again = connect_as(node.address(), announcing(&["a.4"]), "worker");
    again.await.unwrap();
    node.handle.stop().await;
}

fn typed(name: &str) -> v1::Hello {
    let mut hello = announcing(&[name]);
    let sio = cidery::sio::Sio::new().input(cidery::sio::Int("id"));
    let declaration = hello.services.first_mut().unwrap();
    declaration.sio = Some(cidery::codec::convert::sio_to_proto(&sio));
    hello
}

/// Two names may stand for one typed method. Who may serve the second one does not take it from the first, and is not
/// told its name.
#[tokio::test]
async fn a_worker_takes_no_typed_method_beyond_its_right() {
    let people = || {
        vec![
            ("worker", serving(&["crm.*"])),
            (
                "thief",
                Rights {
                    serve: vec![pattern("crm.nest-async"), pattern("crm.a_b")],
                    ..none()
                },
            ),
            ("anna", invoking(&["crm.a_b"])),
            ("berta", invoking(&["crm.*"])),
        ]
    };
    let folder = Folder::new("methods");
    let start = async || {
        let store = SqliteStore::open(folder.path()).unwrap();
        node_on(store, Node::builder(), people()).await
    };
    let described = async |node: &TestNode, caller: &str, name: &str| {
        let credential = format!("cdy_{caller}_{caller}");
        let credential = cidery::ClientCredential::api_key(&credential).unwrap();
        let client = node.client.clone().credential(credential);
        let service = client.describe(name).await.unwrap();
        (service.typed_method, service.typed_method_note)
    };
    let mut node = start().await;
    // The names of the thief come first in the order of names as well as after it.
    for (name, caller) in [
        ("crm.nest", "worker"),
        ("crm.a-b", "worker"),
        ("crm.nest-async", "thief"),
        ("crm.a_b", "thief"),
    ] {
        let connected = connect_as(node.address(), typed(name), caller);
        drop(connected.await.unwrap());
    }
    // A restart changes nothing.
    for _ in 0..2 {
        for (name, method) in [
            ("crm.nest", "crm.Service/Nest"),
            ("crm.a-b", "crm.Service/AB"),
        ] {
            let expected = (method.to_owned(), String::new());
            assert_eq!(described(&node, "berta", name).await, expected);
        }
        let note = "`crm.a-b` and `crm.a_b` would both be `crm.Service/AB`";
        let expected = (String::new(), note.to_owned());
        assert_eq!(described(&node, "berta", "crm.a_b").await, expected);
        let note = "another service would be `crm.Service/AB` as well";
        for caller in ["anna", "thief"] {
            let expected = (String::new(), note.to_owned());
            assert_eq!(described(&node, caller, "crm.a_b").await, expected);
        }
        let refused = super::call(&node, Some("anna"), "/crm.Service/AB", &()).await;
        let error = refused.error();
        assert!(!error.message().contains("a-b"), "{error}");
        node.handle.stop().await;
        node = start().await;
    }
    node.handle.stop().await;
}
