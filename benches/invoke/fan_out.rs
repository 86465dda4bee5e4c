//! A fan-out of 10 000 on the embedded store: one `InvokeBatch`, compared with 10 000 `InvokeAsync` by 64 callers, each
//! until the last outcome.

use cidery::codec::proto::v1;
use cidery::dict;
use cidery::model::batch::Batch;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use tokio::time::Instant;

use crate::CALLERS;
use crate::load;
use crate::record::median_of;
use crate::server::Server;

const MEMBERS: usize = 10_000;
const ROUNDS: usize = 5;

fn call() -> Call {
    let customer = load::customer();
    let name = dict! { "cust_id": 123_456, "fields": customer.fields.len() as u64 };
    Call::new("echo", name)
}

/// Prints medians in milliseconds.
pub(crate) fn measure() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Server::start("durable");
    let (mut accepted, mut joined, mut singly, mut followed) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    runtime.block_on(async {
        let client = ContractClient::connect(&server.address).await.unwrap();
        for _ in 0..=ROUNDS {
            let begun = Instant::now();
            let batch = Batch::of((0..MEMBERS).map(|_| call())).unwrap();
            let group = client.invoke_batch(batch).await.unwrap();
            accepted.push(begun.elapsed());
            client.join(&group).await.unwrap();
            joined.push(begun.elapsed());
            let begun = Instant::now();
            let cids = accept_singly(&client).await;
            singly.push(begun.elapsed());
            follow(&server, cids).await;
            followed.push(begun.elapsed());
        }
    });
    println!("A fan-out of {MEMBERS}, {ROUNDS} rounds: ms");
    println!("{:<26} {:>12} {:>12}", "", "accepted", "all ended");
    for (name, one, other) in [
        ("InvokeBatch", accepted, joined),
        ("InvokeAsync, 64 callers", singly, followed),
    ] {
        // The first round of each is a warm-up.
        let millis = |times: &[std::time::Duration]| {
            median_of(times[1..].iter().map(|time| time.as_secs_f64() * 1e3))
        };
        println!("{name:<26} {:>12.0} {:>12.0}", millis(&one), millis(&other));
    }
}

async fn accept_singly(client: &ContractClient) -> Vec<String> {
    let callers = (0..CALLERS).map(async |n| {
        let mut cids = Vec::new();
        for _ in (n..MEMBERS).step_by(CALLERS) {
            let accepted = client.invoke_async(call()).await.unwrap();
            cids.push(accepted.cid.to_string());
        }
        cids
    });
    let cids = futures_util::future::join_all(callers).await;
    cids.into_iter().flatten().collect()
}

/// Reads all events to the last one.
async fn follow(server: &Server, cids: Vec<String>) {
    use v1::invocation_service_client::InvocationServiceClient;
    let stub = InvocationServiceClient::connect(format!("http://{}", server.address));
    let request = v1::StreamResultsRequest {
        cids,
        ..v1::StreamResultsRequest::default()
    };
    let stream = stub.await.unwrap().stream_results(request).await.unwrap();
    let mut stream = stream.into_inner();
    while stream.message().await.unwrap().is_some() {}
}
