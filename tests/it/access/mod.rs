//! Who calls: API keys, tokens, what they open, and what callers may do.

mod abandoned;
mod api_keys;
mod attempts;
mod audit;
mod command_line;
mod document;
mod every_secret;
mod reads;
mod rights;
mod secrets;
mod streams;
mod token_url;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use cidery::engine::access::{ApiKeySecret, KeyRing, NewApiKey};
use cidery::engine::clock::Clock;
use cidery::engine::store::Store as _;
use cidery::model::access::{Principal, Quota, Rights};
use cidery::remote::client::ContractClient;
use cidery::store::MemoryStore;
use cidery::{ClientCredential, Error, Node, NodeBuilder, NodeHandle};

use crate::support::any_port;

/// A new key of an administrator.
pub(crate) fn admin(name: &str) -> NewApiKey {
    NewApiKey {
        principal: Principal::known(name),
        group: None,
        rights: Rights::all(),
        quota: Quota::default(),
        ttl: None,
        created_by: None,
    }
}

/// A new key that may do all but administer.
fn user(name: &str) -> NewApiKey {
    NewApiKey {
        rights: Rights {
            administer: false,
            ..Rights::all()
        },
        ..admin(name)
    }
}

fn user_for(name: &str, ttl: Duration) -> NewApiKey {
    NewApiKey {
        ttl: Some(ttl),
        ..user(name)
    }
}

/// A store with keys, as `cidery key new --data-dir` leaves it.
pub(crate) async fn store_with<const N: usize>(
    keys: [NewApiKey; N],
    clock: &Clock,
) -> (MemoryStore, [ApiKeySecret; N]) {
    let made = Arc::new(MemoryStore::new());
    let ring = KeyRing::load(made.clone(), clock.clone()).await.unwrap();
    let mut secrets = Vec::new();
    for key in keys {
        secrets.push(ring.create(key).await.unwrap().1);
    }
    let store = MemoryStore::new();
    for key in made.api_keys().await.unwrap() {
        store.save_api_key(key).await.unwrap();
    }
    (store, secrets.try_into().unwrap())
}

/// A node that asks who calls.
struct Guarded {
    node: NodeHandle,
}

impl Guarded {
    async fn start<const N: usize>(keys: [NewApiKey; N]) -> (Self, [ApiKeySecret; N]) {
        Self::start_with(Node::builder(), keys, Clock::System).await
    }

    async fn start_with<const N: usize>(
        builder: NodeBuilder,
        keys: [NewApiKey; N],
        clock: Clock,
    ) -> (Self, [ApiKeySecret; N]) {
        let (store, secrets) = store_with(keys, &clock).await;
        let builder = builder.store(store).clock(clock).demo();
        let node = builder.listen(any_port()).start().await.unwrap();
        (Self { node }, secrets)
    }

    fn address(&self) -> String {
        self.node.address().unwrap().to_string()
    }

    /// A client on a connection of its own.
    async fn client(&self, key: &str) -> ContractClient {
        let client = ContractClient::connect(&self.address()).await.unwrap();
        client.credential(ClientCredential::api_key(key).unwrap())
    }
}

/// Makes a call.
async fn ping(client: &ContractClient) -> Result<(), Error> {
    let call = cidery::model::call::Call::new("cidery.ping", ());
    client.invoke(call).await.map(drop)
}

/// The reason why a call is refused.
async fn refusal(client: &ContractClient) -> String {
    ping(client).await.unwrap_err().reason().to_owned()
}
