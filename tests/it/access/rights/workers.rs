//! Who may serve: a worker needs the right for each of its services, and its session is that of its principal.

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_request::Message;
use cidery::model::access::Rights;

use super::{connect_as, invoking, node, pattern};
use crate::support::paths;
use crate::support::proxy::Proxy;
use crate::support::raw_worker::{RawWorker, hello};

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
