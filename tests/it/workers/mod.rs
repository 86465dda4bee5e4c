//! Services of Rust workers in other processes.

mod calls;
mod cancel_causes;
mod credit;
mod declarations;
mod demo;
mod disconnect;
mod resume_refused;

use cidery::codec::payload;
use cidery::model::call::Call;
use cidery::{Dict, Node, Result, Value, WorkerHandle};

use crate::support::TestNode;

async fn node() -> TestNode {
    TestNode::start(Node::builder().demo()).await
}

async fn connect(node: &TestNode, builder: cidery::WorkerBuilder) -> WorkerHandle {
    builder.connect(&node.address().to_string()).await.unwrap()
}

async fn invoke(node: &TestNode, service: &'static str, input: Dict) -> Result<Value> {
    let (_, reply) = node.client.invoke(Call::new(service, input)).await?;
    payload::decode(reply.payload)
}
