//! Operators pause and disable services, and start a node on hold.

mod commands;
mod disabling;
mod forgetting;
mod holding;
mod pausing;
mod races;
mod waiting;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::PendingReason;
use cidery::model::call::Call;
use cidery::model::id::ServiceName;
use cidery::model::service_control::ControlCause;
use cidery::remote::client::ContractClient;
use cidery::{Cid, Context, Definition, NodeHandle};

use crate::support::PATIENCE;

const REASON: &str = "wrong prices";

/// A service whose handler waits until it is cancelled, one at a time.
fn waits() -> Definition {
    let waits = async |ctx: Context| ctx.cancelled().await;
    Definition::new("waits", waits).unwrap().concurrency(1)
}

/// Pauses a service through the socket.
async fn pause(client: &ContractClient, service: &str) -> v1::ServiceControl {
    let request = v1::PauseServiceRequest {
        service: service.to_owned(),
        reason: REASON.to_owned(),
        background_only: false,
    };
    client.pause_service(request).await.unwrap()
}

/// Disables a service through the socket.
async fn disable(client: &ContractClient, service: &str) -> v1::ServiceControl {
    let request = v1::DisableServiceRequest {
        service: service.to_owned(),
        reason: REASON.to_owned(),
    };
    client.disable_service(request).await.unwrap()
}

/// Pauses a service of a node without a listener.
async fn pause_here(node: &NodeHandle, service: &str) {
    let pause = node.invoker();
    let pause = pause.pause_service(service, false, ControlCause::default());
    pause.await.unwrap();
}

async fn accept(client: &ContractClient, call: Call) -> Cid {
    client.invoke_async(call).await.unwrap().cid
}

async fn state(client: &ContractClient, cid: Cid) -> (v1::State, PendingReason) {
    let found = client.invocation(cid, std::time::Duration::ZERO);
    let found = found.await.unwrap();
    (found.state(), found.pending_reason())
}

/// Waits until an invocation runs.
async fn wait_until_running(client: &ContractClient, cid: Cid) {
    let running = async {
        while state(client, cid).await.0 != v1::State::Running {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, running).await.unwrap();
}

const PAUSED: (v1::State, PendingReason) = (v1::State::Pending, PendingReason::Paused);

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}
