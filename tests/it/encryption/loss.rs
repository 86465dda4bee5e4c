//! A key that is lost takes with it what it encrypted, and nothing else.

use cidery::engine::store::{Acceptance, Filter, Store as _};
use cidery::model::invocation::{AnyCaseText, EventKind, State};
use cidery::store::SqliteStore;
use cidery::{Cid, Error, dict};

use super::{KEY, OTHER_KEY, database, opened, refused};
use crate::support::Folder;
use crate::support::binary::{cidery, stderr};
use crate::support::stored::{NOW, accepted, claimed, invocation, record};

/// A failed invocation.
async fn failed(store: &SqliteStore) -> Cid {
    let cid = accepted(store, "a", NOW).await;
    claimed(store, "a", NOW, 1).await;
    let failed = EventKind::Failed(Error::internal("BROKEN", "is broken"));
    assert!(
        store
            .record(record(cid, State::Failed, failed))
            .await
            .unwrap()
    );
    cid
}

#[tokio::test]
async fn what_a_lost_key_encrypted_says_so_one_by_one() {
    let folder = Folder::new("loss");
    let store = opened(&folder, KEY);
    let (lost, pending) = (failed(&store).await, invocation("b", NOW, dict! {}));
    store.accept(pending.clone()).await.unwrap();
    drop(store);
    assert_eq!(
        refused(&folder, Some(OTHER_KEY)).reason(),
        "STORE_KEY_MISSING"
    );
    let data_dir = folder.path().to_str().unwrap();
    let forget = |id: &str| {
        let command = ["store", "key", "forget", id, "--data-dir", data_dir];
        cidery().args(command).output().unwrap()
    };
    let unknown = forget("k9");
    assert!(
        stderr(&unknown).contains("STORE_KEY_UNKNOWN"),
        "{}",
        stderr(&unknown)
    );
    let forgotten = forget("k1");
    assert!(
        stderr(&forgotten).contains("2 invocations cannot be read"),
        "{}",
        stderr(&forgotten)
    );
    let store = opened(&folder, OTHER_KEY);
    let kept = failed(&store).await;
    for cid in [lost, pending.request.cid] {
        let error = store.get(cid).await.unwrap_err();
        let named = (error.reason(), error.fact("key_ids"));
        assert_eq!(named, ("STORE_KEY_MISSING", Some("k1")));
    }
    // A request that is repeated is neither answered with another one nor accepted again.
    let again = store.accept(pending.clone()).await;
    assert_eq!(again.unwrap_err().reason(), "STORE_KEY_MISSING");
    assert_eq!(claimed(&store, "b", NOW, 9).await, []);
    // It can be cancelled from the queue by retention alone; others of its service run.
    let other = accepted(&store, "b", NOW).await;
    assert_eq!(claimed(&store, "b", NOW, 9).await, [other]);
    let listed = async |filter| {
        let page = store.list(filter, None, 9).await?;
        let cids = page.invocations.iter().map(|found| found.request.cid);
        Ok::<_, Error>(cids.collect::<Vec<_>>())
    };
    assert_eq!(listed(Filter::default()).await.unwrap(), [other, kept]);
    // A filter that cannot tell what matches does not answer as if nothing did.
    let by_text = |reason: &str| Filter {
        failure_text: Some(AnyCaseText::new("broken")),
        failure_reasons: vec![reason.to_owned()],
        ..Filter::default()
    };
    let error = listed(by_text("BROKEN")).await.unwrap_err();
    assert_eq!(error.reason(), "STORE_KEY_MISSING");
    assert!(error.message().contains("narrow"), "{error}");
    assert_eq!(listed(by_text("OTHER")).await.unwrap(), []);
    drop(store);
    // Found again.
    let store = opened(&folder, &format!("{OTHER_KEY}\n{KEY}"));
    assert_eq!(listed_all(&store).await, 4);
    let again = store.accept(pending).await.unwrap();
    assert!(matches!(again, Acceptance::Known(_)));
}

async fn listed_all(store: &SqliteStore) -> usize {
    let page = store.list(Filter::default(), None, 9).await.unwrap();
    page.invocations.len()
}

#[tokio::test]
async fn a_key_is_needed_as_long_as_anything_is_encrypted_with_it() {
    let folder = Folder::new("loss");
    let store = opened(&folder, KEY);
    let old = failed(&store).await;
    drop(store);
    let store = opened(&folder, &format!("{OTHER_KEY}\n{KEY}"));
    failed(&store).await;
    drop(store);
    let error = refused(&folder, Some(OTHER_KEY));
    assert_eq!(error.fact("key_ids"), Some("k1"));
    assert_eq!(refused(&folder, None).fact("key_ids"), Some("k1,k2"));
    let store = opened(&folder, &format!("{OTHER_KEY}\n{KEY}"));
    assert!(store.remove(old).await.unwrap());
    drop(store);
    drop(opened(&folder, OTHER_KEY));
    let keys = "SELECT group_concat(id) FROM store_key";
    let known = || database(&folder).query_row(keys, [], |row| row.get::<_, String>(0));
    assert_eq!(known().unwrap(), "k2");
    // The key of what was written last is needed, also where it is not the first one.
    let store = opened(&folder, &format!("{KEY}\n{OTHER_KEY}"));
    failed(&store).await;
    drop(store);
    assert_eq!(
        refused(&folder, Some(OTHER_KEY)).fact("key_ids"),
        Some("k1")
    );
}

/// A file of this format that was written before there were keys.
#[tokio::test]
async fn a_store_without_the_table_of_keys_is_opened() {
    let folder = Folder::new("loss");
    drop(SqliteStore::open(folder.path()).unwrap());
    database(&folder)
        .execute_batch("DROP TABLE store_key")
        .unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    database(&folder)
        .execute_batch("DROP TABLE store_key")
        .unwrap();
    failed(&opened(&folder, KEY)).await;
    assert_eq!(refused(&folder, None).reason(), "STORE_KEY_MISSING");
}
