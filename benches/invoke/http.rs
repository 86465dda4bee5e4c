//! `POST /invoke/echo` over HTTP/1.1, JSON in and out, beside an axum handler that parses and answers the same JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::axum::Router;
use cidery::axum::routing::post;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::contest::{Comparison, Contender, Goals, compete};
use crate::load::Round;
use crate::record::Goal;
use crate::server::Server;
use crate::settings::settings;
use crate::{CALLERS, CALLS};

/// The dict that `Invoke` is measured with.
const BODY: &str = concat!(
    r#"{"cust_id":123456,"cust_name":"Alexis Smith","phone_no":"123-456-789","#,
    r#""is_active":true,"balance":10.5,"city":"Springfield"}"#
);
const PATH: &str = "/invoke/echo";

/// An axum handler.
pub(crate) fn serve_axum() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        let echo = async |body: bytes::Bytes| {
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let json = [("content-type", "application/json")];
            (json, serde_json::to_vec(&value).unwrap())
        };
        let routes = Router::new().route(PATH, post(echo));
        let listener = NoDelay(listener);
        cidery::axum::serve(listener, routes).await.unwrap();
    });
}

/// A listener whose sockets send what they have at once, as those of a node do.
struct NoDelay(tokio::net::TcpListener);

impl cidery::axum::serve::Listener for NoDelay {
    type Io = TcpStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = self.0.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        (stream, address)
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// Callers, each with a connection of its own, that make calls until none is left.
async fn load(server: &Server, calls: usize) -> Round {
    let left = Arc::new(AtomicUsize::new(calls));
    let mut connections = Vec::new();
    for _ in 0..CALLERS {
        let stream = TcpStream::connect(&server.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        connections.push(stream);
    }
    let (cpu, begun) = (server.cpu(), Instant::now());
    let callers = connections.into_iter().map(|stream| {
        let left = Arc::clone(&left);
        tokio::spawn(call_until_none_left(stream, left))
    });
    let callers: Vec<_> = callers.collect();
    let mut latencies = Vec::with_capacity(calls);
    for caller in callers {
        latencies.extend(caller.await.unwrap());
    }
    Round::of(latencies, begun.elapsed(), server.cpu() - cpu)
}

async fn call_until_none_left(mut stream: TcpStream, left: Arc<AtomicUsize>) -> Vec<Duration> {
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut latencies = Vec::new();
    let mut answer = Vec::with_capacity(1_024);
    let is_left = |left: &AtomicUsize| {
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
        taken.is_ok()
    };
    while is_left(&left) {
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        answer.clear();
        // The body is the last thing that arrives, and what it is is known.
        while !answer.ends_with(BODY.as_bytes()) {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed");
        }
        latencies.push(begun.elapsed());
    }
    latencies
}

/// Compares.
pub(crate) fn compare() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (ours, axum) = (Server::start("cidery"), Server::start("axum"));
    let calls = settings().part_of(CALLS);
    let all = runtime.block_on(async {
        let contenders = [
            Contender::new("cidery", |calls| load(&ours, calls)),
            Contender::new("axum", |calls| load(&axum, calls)),
        ];
        compete(&contenders, calls).await
    });
    let comparison = Comparison {
        row: "http",
        title: "POST /invoke over HTTP/1.1, JSON of 6 fields in and out",
        callers: CALLERS,
        done: "calls",
        whose: "server",
    };
    let goals = Goals {
        rate: Some(Goal::AtLeast(0.7)),
        cpu: None,
        p99: None,
    };
    comparison.show(&all[0], &all[1], goals);
}
