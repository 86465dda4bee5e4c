//! Options of asynchronous invocations over each store: delay, expiration, deadline, retries, keys, callbacks.

mod callbacks;
mod grpc;
mod keys;
mod retry;
mod schedule;

use std::time::Duration;

use cidery::engine::InvocationView;
use cidery::engine::clock::Clock;
use cidery::model::call::Call;
use cidery::store::{MemoryStore, SqliteStore};
use cidery::{Cid, Dict, NodeBuilder, NodeHandle};

use crate::support::Folder;

/// A node over a store; with paused time the clock advances only while the node is idle.
async fn start(builder: NodeBuilder, on_disk: Option<&Folder>) -> NodeHandle {
    let builder = builder.demo().no_listener().clock(Clock::steady());
    let builder = match on_disk {
        Some(folder) => builder.store(SqliteStore::open(folder.path()).unwrap()),
        None => builder.store(MemoryStore::new()),
    };
    builder.start().await.unwrap()
}

async fn ended(node: &NodeHandle, cid: Cid) -> InvocationView {
    let found = node
        .invoker()
        .find(cid, Duration::from_secs(1_000_000))
        .await
        .unwrap();
    assert!(
        found.invocation.state.is_terminal(),
        "{:?}",
        found.invocation.state
    );
    found
}

fn call(service: &'static str, input: Dict) -> Call {
    Call::new(service, input)
}

async fn accept(node: &NodeHandle, call: Call) -> Cid {
    node.invoker().invoke_async(call).await.unwrap().cid
}

/// Each test runs over the in-memory store with paused time, and over the embedded store in real time.
macro_rules! over_each_store {
    ($($name:ident)*) => {
        mod memory {
            $(
                #[tokio::test(start_paused = true)]
                async fn $name() {
                    super::$name(None).await;
                }
            )*
        }

        mod sqlite {
            $(
                #[tokio::test]
                async fn $name() {
                    let folder = crate::support::Folder::new("terms");
                    super::$name(Some(&folder)).await;
                }
            )*
        }
    };
}
use over_each_store;
