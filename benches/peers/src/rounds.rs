//! Rounds of calls, as the bench asks for them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

/// A system that is measured.
pub(crate) trait System: Send + Sync + 'static {
    /// The process of its server.
    fn server(&self) -> u32;

    /// One call, as a caller waits for it.
    fn call(&self, caller: usize) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// How many invocations have ended since the start. `None` if they have when their calls have.
    fn ended(&self) -> Option<usize>;
}

/// The dict that the bench sends, as JSON.
pub(crate) const CUSTOMER: &str = concat!(
    r#"{"cust_id":123456,"cust_name":"Alexis Smith","phone_no":"123-456-789","#,
    r#""is_active":true,"balance":10.5,"city":"Springfield"}"#,
);

/// How often a system is asked whether all have ended.
const POLL: Duration = Duration::from_millis(2);
/// How long a round waits for invocations to end. JetStream delivers what was lost again after 30 s.
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes rounds until standard input ends.
pub(crate) async fn drive<S: System>(system: S, callers: usize) -> anyhow::Result<()> {
    println!("{}", system.server());
    let system = Arc::new(system);
    let (mut lines, mut called) = (BufReader::new(stdin()).lines(), 0);
    while let Some(line) = lines.next_line().await? {
        let calls = line.trim().parse()?;
        called += calls;
        println!("{}", round(&system, callers, calls, called).await?);
    }
    Ok(())
}

async fn round<S: System>(
    system: &Arc<S>,
    callers: usize,
    calls: usize,
    called: usize,
) -> anyhow::Result<serde_json::Value> {
    let left = Arc::new(AtomicUsize::new(calls));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (system, left) = (Arc::clone(system), Arc::clone(&left));
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while take(&left) {
                    let begun = Instant::now();
                    system.call(caller).await?;
                    latencies.push(begun.elapsed());
                }
                anyhow::Ok(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::with_capacity(calls);
    for task in tasks {
        latencies.extend(task.await??);
    }
    while let Some(ended) = system.ended().filter(|ended| *ended < called) {
        let missing = called - ended;
        anyhow::ensure!(
            begun.elapsed() < PATIENCE,
            "{missing} of {called} calls have not ended"
        );
        tokio::time::sleep(POLL).await;
    }
    let elapsed = begun.elapsed();
    latencies.sort_unstable();
    let part = |part: usize| {
        let latency = latencies.get(latencies.len() * part / 100);
        latency.copied().unwrap_or_default().as_secs_f64() * 1e6
    };
    Ok(json!({
        "per_second": calls as f64 / elapsed.as_secs_f64(),
        "p50_us": part(50),
        "p99_us": part(99),
    }))
}

/// Takes one of the remaining calls.
fn take(left: &AtomicUsize) -> bool {
    let less = |n: usize| n.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}
