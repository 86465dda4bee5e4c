//! API keys.

use std::sync::Arc;

use cidery::engine::store::{SecretHash, Store, StoredApiKey};
use cidery::model::access::{ApiKey, NamePattern, Principal, Quota, Rights, Scope};
use cidery::model::rate::Rate;

use crate::support::stored::at;

fn key(id: &str) -> StoredApiKey {
    StoredApiKey {
        key: ApiKey {
            id: id.into(),
            principal: Principal::known("billing"),
            group: None,
            rights: Rights::default(),
            quota: Quota::default(),
            create_time: at(1),
            created_by: None,
            expire_time: None,
            revoke_time: None,
        },
        secret_hash: SecretHash([7; 32]),
    }
}

pub(super) async fn api_keys_are_saved_and_replaced(store: &dyn Store) {
    let all = async || {
        let mut all = store.api_keys().await.unwrap();
        all.sort_by_key(|stored| Arc::clone(&stored.key.id));
        all
    };
    assert_eq!(all().await, []);
    let mut full = key("b");
    full.key.group = Some(Principal::known("finance"));
    full.key.created_by = Some(Principal::known("root@example.org"));
    full.key.expire_time = Some(at(5));
    full.key.rights = Rights {
        invoke: vec![NamePattern::all()],
        serve: vec![NamePattern::parse("", "crm.*").unwrap()],
        read: Scope::Group,
        control: Scope::None,
        administer: true,
    };
    full.key.quota = Quota {
        rate: Some(Rate::per_second(0.5).with_burst(9)),
        in_flight: Some(7),
        pending: Some(11),
    };
    for key in [key("a"), full.clone()] {
        store.save_api_key(key).await.unwrap();
    }
    assert_eq!(all().await, [key("a"), full.clone()]);
    full.key.revoke_time = Some(at(9));
    store.save_api_key(full.clone()).await.unwrap();
    assert_eq!(all().await, [key("a"), full]);
}
