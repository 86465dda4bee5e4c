//! Whose an invocation is, in an encrypted store: also after a restart.

use cidery::codec::proto::v1;
use cidery::store::{SqliteOptions, SqliteStore, StoreKeys};
use cidery::{Node, dict};

use super::{accept, client, ended, get, invoke_async, invoking, node_on, refused};
use crate::support::stored::KEY;
use crate::support::{Folder, follow, names};

fn opened(folder: &Folder) -> SqliteStore {
    let options = SqliteOptions {
        keys: Some(StoreKeys::parse(KEY).unwrap()),
        encrypted_only: true,
        ..SqliteOptions::default()
    };
    SqliteStore::open_with(folder.path(), options).unwrap()
}

#[tokio::test]
async fn another_principal_finds_nothing_in_an_encrypted_store() {
    let folder = Folder::new("rights");
    let people = vec![("anna", invoking(&["*"])), ("berta", invoking(&["*"]))];
    let first = node_on(opened(&folder), Node::builder().demo(), people).await;
    let keyed = || v1::InvokeAsyncRequest {
        idempotency_key: "order-1".to_owned(),
        ..invoke_async("cidery.ping")
    };
    let mut anna = client(&first, "anna").await;
    let cid = anna.invoke_async(keyed()).await.unwrap().into_inner().cid;
    ended(&mut anna, &cid).await;
    first.handle.stop().await;
    // The keys are in the store.
    let node = node_on(opened(&folder), Node::builder().demo(), Vec::new()).await;
    let (mut anna, mut berta) = (client(&node, "anna").await, client(&node, "berta").await);
    assert_eq!(
        refused(berta.get_invocation(get(&cid)).await),
        "CID_UNKNOWN"
    );
    let stream = berta.stream_results(follow(&cid)).await.unwrap();
    let events = crate::support::collect(stream.into_inner()).await;
    assert_eq!(names(&events), ["not_found"]);
    let outcome = cidery::codec::struct_pb::encode_dict(&dict! {}).unwrap();
    let complete = v1::CompleteInvocationRequest {
        cid: cid.clone(),
        token: "1".repeat(32),
        outcome: Some(v1::complete_invocation_request::Outcome::Payload(outcome)),
        ..v1::CompleteInvocationRequest::default()
    };
    assert!(berta.complete_invocation(complete).await.is_err());
    let cancel = || v1::CancelInvocationsRequest {
        cids: vec![cid.clone()],
        ..v1::CancelInvocationsRequest::default()
    };
    let changes = berta.cancel_invocations(cancel()).await.unwrap();
    let failure = changes.into_inner().changes.remove(0).failure.unwrap();
    assert_eq!(failure.reason, "CID_UNKNOWN");
    let other = accept(&mut berta, "cidery.ping").await;
    for (client, own) in [(&mut anna, &cid), (&mut berta, &other)] {
        let listed = client.list_invocations(v1::ListInvocationsRequest::default());
        let listed = listed.await.unwrap().into_inner().invocations;
        let cids: Vec<_> = listed.iter().map(|one| &one.cid).collect();
        assert_eq!(cids, [own]);
    }
    // Her key is hers.
    let again = anna.invoke_async(keyed()).await.unwrap().into_inner();
    assert_eq!(
        (again.cid.as_str(), again.already_accepted),
        (cid.as_str(), true)
    );
    let other = berta.invoke_async(keyed()).await.unwrap().into_inner();
    assert!(!other.already_accepted);
}
