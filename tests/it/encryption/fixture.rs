//! A file with API keys, principals and two store keys, as the first version with them wrote it: it opens for ever.

use std::path::Path;
use std::sync::Arc;

use cidery::engine::store::{Record, SecretHash, Store as _, StoredApiKey};
use cidery::model::access::{ApiKey, NamePattern, Owners, Quota, Rights, Scope};
use cidery::model::invocation::{EventKind, Invocation, Request, State};
use cidery::store::SqliteStore;
use cidery::{Cid, Error, Principal, Principals, dict};

use super::{KEY, OTHER_KEY, opened, refused};
use crate::support::Folder;
use crate::support::stored::{NOW, at, claimed, found, invocation, record, service};

/// Closed cleanly, and never made again: it contains what [`write`] wrote in that version.
const FILE: &str = "tests/fixtures/store_v5_trust/cidery.db";

fn cid(n: u8) -> Cid {
    Cid::parse(&format!("01a20cf5-6921-7416-b07f-fefff93a89{n:02x}")).unwrap()
}

/// A key with all that a key has, revoked, and one with nothing.
fn api_keys() -> [StoredApiKey; 2] {
    let plain = ApiKey {
        id: "0000000000000001".into(),
        principal: Principal::known("anna"),
        group: None,
        rights: Rights::default(),
        quota: Quota::default(),
        create_time: at(1),
        created_by: None,
        expire_time: None,
        revoke_time: None,
    };
    let full = ApiKey {
        id: "0000000000000002".into(),
        principal: Principal::known("billing"),
        group: Some(Principal::known("finance")),
        rights: Rights {
            invoke: vec![NamePattern::all()],
            serve: vec![NamePattern::parse("", "crm.*").unwrap()],
            read: Scope::Group,
            control: Scope::None,
            administer: true,
        },
        created_by: Some(Principal::known("root@example.org")),
        expire_time: Some(at(5)),
        revoke_time: Some(at(9)),
        ..plain
    };
    [(plain, 1), (full, 2)].map(|(key, byte)| StoredApiKey {
        key,
        secret_hash: SecretHash([byte; 32]),
    })
}

/// An invocation of Anna's, on whose behalf another one acts.
fn owned(n: u8, owner: &str) -> Invocation {
    let mut invocation = invocation("crm.read", NOW, dict! { "text": "sealed" });
    let mut request = Request::clone(&invocation.request);
    request.cid = cid(n);
    request.terms.idempotency_key = Some("order-1".to_owned());
    request.principals = Some(Arc::new(Principals {
        principal: Some(Principal::known("anna")),
        acting_principal: Some(Principal::known(owner)),
        acting_group: Some(Principal::known("finance")),
    }));
    invocation.request = Arc::new(request);
    invocation
}

fn failure() -> Error {
    Error::failed_precondition("BROKEN", "is broken")
}

/// Anna's is encrypted with the first key, and has failed; that of the worker with the second, and is pending.
async fn write(folder: &Folder) {
    let store = opened(folder, KEY);
    for key in api_keys() {
        store.save_api_key(key).await.unwrap();
    }
    store.accept(owned(1, "anna")).await.unwrap();
    assert_eq!(claimed(&store, "crm.read", NOW, 9).await, [cid(1)]);
    let failed = Record {
        service: service("crm.read"),
        ..record(cid(1), State::Failed, EventKind::Failed(failure()))
    };
    assert!(store.record(failed).await.unwrap());
    drop(store);
    let store = opened(folder, &format!("{OTHER_KEY}\n{KEY}"));
    store.accept(owned(2, "worker")).await.unwrap();
}

async fn assert_whole(store: &SqliteStore) {
    let mut keys = store.api_keys().await.unwrap();
    keys.sort_by_key(|stored| Arc::clone(&stored.key.id));
    assert_eq!(keys, api_keys());
    for (n, owner) in [(1, "anna"), (2, "worker")] {
        let (found, written) = (found(store, cid(n)).await, owned(n, owner));
        assert_eq!(found.request.principals, written.request.principals);
        let inputs = [&found, &written].map(|it| it.request.input.clone());
        let inputs = inputs.map(|input| cidery::codec::payload::decode(input).unwrap());
        assert_eq!(inputs[0], inputs[1]);
        let owner = Principal::known(owner);
        let key = (service("crm.read"), "order-1".to_owned());
        let by_key = store.find_by_idempotency_key(key.0, key.1, Some(owner.clone()));
        assert_eq!(by_key.await.unwrap(), Some(cid(n)));
        let filter = cidery::engine::store::Filter {
            owners: Some(Owners {
                principal: owner,
                group: None,
            }),
            ..cidery::engine::store::Filter::default()
        };
        let page = store.list(filter, None, 9).await.unwrap();
        let cids = page.invocations.iter().map(|it| it.request.cid);
        assert_eq!(cids.collect::<Vec<_>>(), [cid(n)]);
    }
    let failed = found(store, cid(1)).await;
    let last = &failed.events.last().unwrap().kind;
    let EventKind::Failed(error) = last else {
        panic!("{last:?}");
    };
    assert_eq!((error.reason(), error.message()), ("BROKEN", "is broken"));
    assert_eq!(claimed(store, "crm.read", NOW, 9).await, [cid(2)]);
}

#[tokio::test]
async fn keys_and_principals_are_read_as_they_were_written() {
    let folder = Folder::new("trust");
    write(&folder).await;
    assert_whole(&opened(&folder, &format!("{KEY}\n{OTHER_KEY}"))).await;
}

#[tokio::test]
async fn a_file_with_keys_and_principals_opens_for_ever() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let folder = Folder::new("trust");
    std::fs::copy(&kept, folder.path().join("cidery.db")).unwrap();
    assert_eq!(refused(&folder, Some(KEY)).fact("key_ids"), Some("k2"));
    assert_eq!(refused(&folder, None).fact("key_ids"), Some("k1,k2"));
    assert_whole(&opened(&folder, &format!("{OTHER_KEY}\n{KEY}"))).await;
}
