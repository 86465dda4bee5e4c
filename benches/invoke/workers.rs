//! `Invoke` by the number of worker processes and of services per worker.

use cidery::{Dict, Worker};

use crate::load::{self, Load};
use crate::server::Server;
use crate::{CALLERS, CALLS};

const WORKERS: [usize; 4] = [1, 2, 4, 8];
const SERVICES: [usize; 3] = [1, 10, 100];
/// Rounds of each; the median is reported.
const ROUNDS: usize = 3;

fn names(services: usize) -> Vec<String> {
    (0..services).map(|n| format!("echo-{n}")).collect()
}

/// Prints calls per second for each combination.
pub(crate) fn compare() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!(
        "Invoke through workers, {CALLERS} callers, {ROUNDS} x {CALLS} calls each: calls per second"
    );
    println!(
        "{:<10} {:>12} {:>12} {:>12}",
        "workers", "1 service", "10 services", "100 services"
    );
    for workers in WORKERS {
        let rates = SERVICES.map(|services| runtime.block_on(measure(workers, services)));
        let [one, ten, hundred] = rates;
        println!("{workers:<10} {one:>12.0} {ten:>12.0} {hundred:>12.0}");
    }
}

async fn measure(workers: usize, services: usize) -> f64 {
    let node = Server::start("node");
    let count = services.to_string();
    let start = |_| Server::start_with(&["--serve", "services", &node.address, &count]);
    let _workers: Vec<_> = (0..workers).map(start).collect();
    let load = Load::of_services(&node.address, load::INVOKE, CALLERS, &names(services)).await;
    load.run(&node, CALLS / 4).await;
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        rates.push(load.run(&node, CALLS).await.per_second);
    }
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
}

pub(crate) fn serve(node: &str, services: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let echo = async |input: Dict| input;
        let each = names(services).into_iter();
        let builder = each.fold(Worker::builder(), |builder, name| {
            builder.service(&name, echo)
        });
        let worker = builder.max_in_flight(1_000).connect(node).await.unwrap();
        println!("serves");
        worker.ended().await;
    });
}
