//! The calls that are counted: on one thread, with a dict of six fields in and out. Those of a client are in `client`,
//! the others need no socket.

use std::path::Path;
use std::time::Duration;

use cidery::codec::payload;
use cidery::model::call::{Call, Start};
use cidery::model::payload::Format;
use cidery::store::SqliteStore;
use cidery::{Cid, Context, Dict, Input, Node, NodeHandle, Payload, Result, Value, dict};
use futures_util::future::join_all;
use tokio::runtime::Runtime;

/// The kinds of calls. Some come from a client, by gRPC or as JSON over HTTP/1.1; those that are accepted are due
/// later, or run at once, in memory and on disk.
pub(crate) const KINDS: [&str; 10] = [
    "invoke",
    "invoke-by-http",
    "invoke-by-grpc",
    "invoke-with-header",
    "invoke-with-key",
    "ctx.invoke",
    "accept",
    "accept-and-run",
    "accept-on-disk",
    "accept-and-run-on-disk",
];
/// How many callers share the calls that are accepted.
const CALLERS: u64 = 50;
const DAY: Duration = Duration::from_secs(86_400);
/// How often the node is asked whether everything has ended.
const POLL: Duration = Duration::from_millis(5);

/// Whether a kind writes to the embedded store.
pub(crate) fn is_on_disk(kind: &str) -> bool {
    kind.ends_with("-on-disk")
}

/// Makes this many calls of a kind. A store is made in the folder.
pub(crate) fn make(kind: &str, calls: u64, folder: &Path) {
    runtime().block_on(async {
        let node = start(kind, folder).await;
        match kind {
            "invoke" => invoke(&node, calls).await,
            "ctx.invoke" => nest(&node, calls).await,
            "accept" | "accept-on-disk" => accept(&node, calls, Some(Start::After(DAY))).await,
            "accept-and-run" | "accept-and-run-on-disk" => {
                accept(&node, calls, None).await;
                while has_open(&node) {
                    tokio::time::sleep(POLL).await;
                }
            }
            other => panic!("there is no kind {other}"),
        }
    });
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn start(kind: &str, folder: &Path) -> NodeHandle {
    let mut node = Node::builder()
        .service("echo", async |input: Dict| input)
        .service("caller", caller)
        .limits(|limits| limits.timeout = DAY)
        .no_listener();
    if is_on_disk(kind) {
        node = node.store(SqliteStore::open(folder).unwrap());
    }
    node.start().await.unwrap()
}

fn input() -> Value {
    Value::from(dict! {
        "cust_id": 123_456, "cust_name": "Alexis Smith", "phone_no": "123-456-789",
        "is_active": true, "balance": 10.5, "city": "Springfield",
    })
}

/// The input as it comes from a client.
pub(crate) fn encoded_input() -> Payload {
    payload::encode(Payload::Value(input()), Format::Dict).unwrap()
}

/// The handler decodes the input, and the response is encoded for the client.
async fn invoke(node: &NodeHandle, calls: u64) {
    let input = encoded_input();
    for _ in 0..calls {
        let call = Call::new("echo", input.clone());
        let (_, reply) = node.invoker().invoke(Cid::new(), call).await.unwrap();
        payload::encode(reply.payload, Format::Dict).unwrap();
    }
}

async fn nest(node: &NodeHandle, calls: u64) {
    let response = node.invoke("caller", calls).await.unwrap();
    assert_eq!(response.into_value()["city"], Value::from("Springfield"));
}

async fn caller(ctx: Context, Input(calls): Input<u64>) -> Result<Value> {
    let mut value = input();
    for _ in 0..calls {
        let response = ctx.invoke("echo", Payload::Value(value)).await?;
        value = response.into_value();
    }
    Ok(value)
}

async fn accept(node: &NodeHandle, calls: u64, start: Option<Start>) {
    let input = encoded_input();
    let callers = (0..CALLERS).map(async |_| {
        for _ in 0..calls / CALLERS {
            let mut call = Call::new("echo", input.clone());
            call.durable().start = start;
            node.invoker().invoke_async(call).await.unwrap();
            // In memory nothing waits, and nothing else would run.
            tokio::task::yield_now().await;
        }
    });
    join_all(callers).await;
}

/// Whether an invocation has not ended yet.
fn has_open(node: &NodeHandle) -> bool {
    let status = node.invoker().service("echo").unwrap().status;
    status.pending + status.running > 0
}
