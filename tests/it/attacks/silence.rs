//! Clients that say little: connections that send nothing, headers that never end, more streams than allowed.

use std::net::SocketAddr;
use std::time::Duration;

use cidery::Node;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::frames::{
    CONTINUATION, END_HEADERS, HEADERS, PREFACE, RST_STREAM, SETTINGS, field, frame, headers,
};
use super::memory::{cpu_time, resident_mib};
use crate::support::binary::Server;
use crate::support::{PATIENCE, TestNode};

/// How many connections send nothing.
const SILENT: usize = 300;
/// The memory of such a connection may have at most so many KiB, of a debug build.
const MAX_KIB: usize = 64;
/// The error code of a stream that was not handled (RFC 9113, section 7).
const REFUSED_STREAM: u32 = 7;

async fn connect(address: SocketAddr, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(first).await.unwrap();
    stream
}

/// Reads until the node closes the connection.
async fn closed(stream: &mut TcpStream) {
    let read = async {
        let mut bytes = [0; 1024];
        while let Ok(1..) = stream.read(&mut bytes).await {}
    };
    let ended = tokio::time::timeout(PATIENCE, read).await;
    ended.expect("the node keeps the connection");
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the table of `docs/reliability.md`")]
async fn silent_connections_cost_little() {
    let server = Server::start(&[]);
    let address: SocketAddr = server.address.parse().unwrap();
    let client = ContractClient::connect(&server.address).await.unwrap();
    let works = async || drop(client.invoke(Call::new("cidery.ping", ())).await.unwrap());
    works().await;
    let start = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for (what, first) in [
        ("nothing", &[][..]),
        ("half a preface", &PREFACE[..10]),
        ("a preface", &start),
    ] {
        let (before, cpu) = (resident_mib(&server), cpu_time(&server));
        let mut silent = Vec::new();
        for _ in 0..SILENT {
            silent.push(connect(address, first).await);
        }
        works().await;
        let grown = (resident_mib(&server).saturating_sub(before)) * 1024 / SILENT;
        let cpu = cpu_time(&server) - cpu;
        println!("{SILENT} connections that send {what}: {grown} KiB each, {cpu:?} of CPU");
        assert!(grown <= MAX_KIB, "{what}: {grown} KiB each");
    }
}

#[tokio::test]
async fn a_connection_that_sends_nothing_is_closed() {
    let builder = Node::builder();
    let builder = builder.limits(|limits| limits.first_byte_timeout = Duration::from_millis(20));
    let node = TestNode::start(builder).await;
    for first in [&[][..], &PREFACE[..10]] {
        closed(&mut connect(node.address(), first).await).await;
    }
    node.assert_healthy().await;
}

/// A PING cannot come between the frames of a header block, so that who never ends one cannot answer it either.
#[tokio::test]
async fn headers_that_arrive_slowly_are_cut_off() {
    let builder = Node::builder();
    let builder = builder.limits(|limits| limits.ping_interval = Duration::from_millis(50));
    let node = TestNode::start(builder).await;
    let begin = [
        PREFACE,
        &frame(SETTINGS, 0, 0, &[]),
        &frame(HEADERS, 0, 1, &headers()),
    ];
    let (mut reader, mut writer) = connect(node.address(), &begin.concat()).await.into_split();
    let slowly = async {
        let more = frame(CONTINUATION, 0, 1, &field("x", "y"));
        while writer.write_all(&more).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let read = async {
        let mut bytes = [0; 1024];
        while let Ok(1..) = reader.read(&mut bytes).await {}
    };
    let ended = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            () = slowly => {}
            () = read => {}
        }
    });
    ended.await.expect("the node waits for the headers");
    node.assert_healthy().await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused() {
    let builder = Node::builder().limits(|limits| limits.streams = 2);
    let node = TestNode::start(builder).await;
    let mut start = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for number in [1, 3, 5] {
        start.extend(frame(HEADERS, END_HEADERS, number, &headers()));
    }
    let mut stream = connect(node.address(), &start).await;
    let refused = async {
        let mut header = [0; 9];
        loop {
            stream.read_exact(&mut header).await.unwrap();
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            stream.read_exact(&mut payload).await.unwrap();
            if header[3] == RST_STREAM {
                let number = u32::from_be_bytes(header[5..].try_into().unwrap());
                return (number, u32::from_be_bytes(payload.try_into().unwrap()));
            }
        }
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(refused, (5, REFUSED_STREAM));
    node.assert_healthy().await;
}
