//! Instructions of a synchronous call and of an acceptance, from outside and in process: one thread, no socket.
//!
//! valgrind counts them: what more calls cost more, divided by their number.

use std::process::Command;
use std::time::Duration;

use cidery::model::call::{Call, Start};
use cidery::{Cid, Dict, Node, NodeHandle, Payload, Value, dict};

/// What is counted, as the second argument of `--count` names it.
pub(crate) const KINDS: [&str; 2] = ["invoke", "accept"];

fn input() -> Payload {
    Payload::Value(Value::from(dict! {
        "cust_id": 123_456, "cust_name": "Alexis Smith", "phone_no": "123-456-789",
        "is_active": true, "balance": 10.5, "city": "Springfield",
    }))
}

/// Makes this many calls of a kind on one thread.
pub(crate) fn run(kind: &str, calls: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let node = Node::builder()
            .service("echo", async |input: Dict| input)
            .no_listener()
            .start()
            .await
            .unwrap();
        for _ in 0..calls {
            call(&node, kind).await;
        }
    });
}

async fn call(node: &NodeHandle, kind: &str) {
    let mut call = Call::new("echo", input());
    if kind == "accept" {
        // Due later: nothing runs. In memory: the store's own cost is left out.
        call.durable().start = Some(Start::After(Duration::from_secs(86_400)));
        node.invoker().invoke_async(call).await.unwrap();
    } else {
        node.invoker().invoke(Cid::new(), call).await.unwrap();
    }
}

/// Instructions of one call of a kind. `None` without valgrind.
pub(crate) fn of(kind: &str) -> Option<u64> {
    let (few, many) = (1_000, 6_000);
    let count = |calls: u64| count(&["--count", kind, &calls.to_string()]);
    Some((count(many)? - count(few)?) / (many - few))
}

/// Instructions of this bench with some arguments.
pub(crate) fn count(arguments: &[&str]) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}
