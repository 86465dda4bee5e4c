//! Acts whose caller leaves before the answer are in the audit log all the same, marked so.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::engine::clock::Clock;
use cidery::engine::store::Store as _;
use cidery::model::call::{Call, Start};
use cidery::{Cid, Node, NodeHandle};
use prost::Message;
use serde_json::Value;
use tracing::subscriber::DefaultGuard;

use super::{admin, store_with};
use crate::support::gated::{GatedStore, Gates, Point};
use crate::support::raw::{Raw, framed};
use crate::support::{any_port, until};

/// The audit log of this thread, on which the node of a test runs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn start() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_env_filter("cidery::audit=info")
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The acts: what was done, with what, and how it ended.
    fn acts(&self) -> Vec<[String; 3]> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["fields"].clone()
        });
        let acts = lines.filter(|fields| fields["event"] == "act");
        let text = |fields: &Value, key: &str| fields[key].as_str().unwrap_or_default().to_owned();
        acts.map(|fields| ["what", "object", "outcome"].map(|key| text(&fields, key)))
            .collect()
    }
}

/// A node whose store can be paused, and the credential of its administrator.
async fn start() -> (NodeHandle, Gates, String) {
    let (made, [key]) = store_with([admin("root")], &Clock::System).await;
    let (store, gates) = GatedStore::new();
    for key in made.api_keys().await.unwrap() {
        store.save_api_key(key).await.unwrap();
    }
    let builder = Node::builder().store(store).listen(any_port());
    let node = builder.start().await.unwrap();
    (node, gates, format!("Bearer {}", key.expose()))
}

#[tokio::test]
async fn an_act_whose_caller_leaves_is_in_the_audit_log() {
    let (log, _guard) = Log::start();
    let (node, gates, key) = start().await;
    let gate = gates.close(Point::BeforeControl);
    let mut raw = Raw::connect(node.address().unwrap()).await;
    let request = v1::PauseServiceRequest {
        service: "cidery.ping".to_owned(),
        ..v1::PauseServiceRequest::default()
    };
    let path = "/cidery.v1.AdminService/PauseService";
    let (response, mut send) = raw.begin(path, &[("authorization", &key)]);
    send.send_data(framed(&request.encode_to_vec()), true)
        .unwrap();
    gate.arrived().await;
    assert!(log.acts().is_empty(), "{:?}", log.acts());
    drop((response, send));
    let act = ["AdminService/PauseService", "cidery.ping", "Cancelled"].map(str::to_owned);
    until("the act is written", || log.acts() == [act.clone()]).await;
    gate.open();
}

/// They may be done: whoever reads the log has to look.
#[tokio::test]
async fn changes_of_many_invocations_whose_caller_leaves_are_in_the_audit_log() {
    let (log, _guard) = Log::start();
    let (node, gates, key) = start().await;
    let mut cids = Vec::new();
    for _ in 0..3 {
        let mut call = Call::new("cidery.ping", ());
        call.durable().start = Some(Start::After(Duration::from_hours(1)));
        cids.push(node.invoker().invoke_async(call).await.unwrap().cid);
    }

    let mut raw = Raw::connect(node.address().unwrap()).await;
    let path = "/cidery.v1.InvocationService/CancelInvocations";
    let gate = gates.close(Point::BeforeRecord);
    let request = v1::CancelInvocationsRequest {
        cids: cids.iter().map(Cid::to_string).collect(),
        ..v1::CancelInvocationsRequest::default()
    };
    let (response, mut send) = raw.begin(path, &[("authorization", &key)]);
    send.send_data(framed(&request.encode_to_vec()), true)
        .unwrap();
    gate.arrived().await;
    drop((response, send));
    let object = cids
        .iter()
        .map(Cid::to_string)
        .collect::<Vec<_>>()
        .join(" ");
    let act = [
        "3 invocations cancelled".to_owned(),
        object,
        "Cancelled".to_owned(),
    ];
    until("the act is written", || log.acts() == [act.clone()]).await;
    gate.open();
}
