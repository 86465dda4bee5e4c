//! `Invoke` of a node that is observed beside one that is not: its metrics are read each second, and one trace in a
//! hundred goes to a collector. What a node counts, it counts in both.

use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::collector;
use crate::contest::{Comparison, Contender, Goals, compete};
use crate::load::{self, Load};
use crate::record::Goal;
use crate::server::{PROGRAM, Server};
use crate::settings::settings;
use crate::{CALLERS, CALLS};

const SERVICE: &str = "cidery.echo";
/// How often metrics are read: much more often than Prometheus does.
const SCRAPE: Duration = Duration::from_secs(1);

fn start(options: &[&str]) -> Server {
    let node = ["serve", "--in-memory", "--listen", "127.0.0.1:0"];
    Server::spawn(Command::new(PROGRAM).args(node).args(options))
}

/// Reads the metrics of a node from now on.
async fn scrape(address: &str) {
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut ticks = tokio::time::interval(SCRAPE);
    loop {
        ticks.tick().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("cidery_invocations_total"), "{answer}");
    }
}

/// Compares.
pub(crate) fn compare() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let plain = start(&[]);
    let collector = collector::start();
    let observed = start(&["--trace-sample", "1%", "--otlp-endpoint", &collector]);
    let calls = settings().part_of(CALLS);
    let all = runtime.block_on(async {
        let services = [SERVICE.to_owned()];
        let load = async |node: &Server| {
            Load::of_services(&node.address, load::INVOKE, CALLERS, &services).await
        };
        let (plain_load, observed_load) = (load(&plain).await, load(&observed).await);
        let contenders = [
            Contender::new("observed", |calls| observed_load.run(&observed, calls)),
            Contender::new("not observed", |calls| plain_load.run(&plain, calls)),
        ];
        tokio::select! {
            all = compete(&contenders, calls) => all,
            () = scrape(&observed.address) => unreachable!("it goes on"),
        }
    });
    collector::assert_used();
    let comparison = Comparison {
        row: "observed",
        title: "Invoke, metrics read and traces sampled at 1 %",
        callers: CALLERS,
        done: "calls",
        whose: "server",
    };
    let goals = Goals {
        cpu: Some(Goal::AtMost(1.05)),
        ..Goals::default()
    };
    comparison.show(&all[0], &all[1], goals);
}
