//! `ctx.invoke` in process: a handler that invokes another one in a loop, with a dict of six fields in and out.

use std::time::Duration;

use cidery::{Context, Dict, Input, Node, Payload, Result, Value, dict};
use tokio::time::Instant;

const CALLS: u64 = 1_000_000;

async fn caller(ctx: Context, Input(calls): Input<u64>) -> Result<u64> {
    let mut value = Value::from(dict! {
        "cust_id": 123_456, "cust_name": "Alexis Smith", "phone_no": "123-456-789",
        "is_active": true, "balance": 10.5, "city": "Springfield",
    });
    let begun = Instant::now();
    for _ in 0..calls {
        value = ctx
            .invoke("echo", Payload::Value(value))
            .await?
            .into_value();
    }
    assert_eq!(value["city"], Value::from("Springfield"));
    Ok(u64::try_from(begun.elapsed().as_nanos()).unwrap())
}

/// Makes this many calls on one thread; returns their total duration.
fn run(calls: u64) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let node = Node::builder()
            .service("echo", async |input: Dict| input)
            .service("caller", caller)
            .no_listener()
            .limits(|limits| limits.timeout = Duration::from_secs(3_600))
            .start()
            .await
            .unwrap();
        let response = node
            .invoke("caller", Payload::Value(calls.into()))
            .await
            .unwrap();
        Duration::from_nanos(response.parse().unwrap())
    })
}

/// Prints the median duration of a call.
pub(crate) fn show() {
    run(CALLS / 10);
    let mut times: Vec<Duration> = (0..5).map(|_| run(CALLS)).collect();
    times.sort_unstable();
    let nanos = times[2].as_nanos() / u128::from(CALLS);
    println!("\nctx.invoke in process: {nanos} ns a call (goal: under 1000)");
}
