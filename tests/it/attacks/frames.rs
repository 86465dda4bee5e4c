//! Floods of HTTP/2 frames, written by hand: what no client library sends.
//!
//! `CIDERY_FLOOD_FRAMES` is the number of frames of each flood (default: 20 000).

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::PATIENCE;
use crate::support::binary::Server;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Frame types (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The memory that a node may have after all floods, in MiB.
const BOUND_MIB: usize = 128;

fn frames() -> u32 {
    let frames = std::env::var("CIDERY_FLOOD_FRAMES");
    frames.map_or(20_000, |frames| frames.parse().unwrap())
}

/// A frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header field, literal and not indexed (RFC 7541, section 6.2.2), without Huffman codes.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    let mut field = vec![0, length(name)];
    field.extend(name.as_bytes());
    field.push(length(value));
    field.extend(value.as_bytes());
    field
}

/// The headers of a call.
fn headers() -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/cidery.v1.InvocationService/Invoke"),
        (":authority", "node"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    fields.map(|(name, value)| field(name, value)).concat()
}

/// Sends a flood after the preface, and reads until the node closes the connection or the flood is over.
async fn flood(address: SocketAddr, first: Vec<u8>, next: impl Fn(u32) -> Vec<u8>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let sends = async {
        let start = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &first].concat();
        writer.write_all(&start).await?;
        for number in 0..frames() {
            writer.write_all(&next(number)).await?;
        }
        writer.shutdown().await
    };
    let reads = async {
        let mut sink = vec![0; 16 * 1024];
        while reader.read(&mut sink).await.is_ok_and(|read| read > 0) {}
    };
    // A node that has seen enough closes the connection while the flood is sent.
    let _ = tokio::time::timeout(PATIENCE, async { tokio::join!(sends, reads) }).await;
}

/// Odd stream IDs belong to clients.
fn stream(number: u32) -> u32 {
    number * 2 + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_neither_stop_the_node_nor_fill_its_memory() {
    let server = Server::start(&[]);
    let address: SocketAddr = server.address.parse().unwrap();
    let client = ContractClient::connect(&server.address).await.unwrap();
    let works = async || client.invoke(Call::new("cidery.ping", ())).await.unwrap();
    // Each call is reset as soon as it is sent.
    let reset = |number| {
        let headers = frame(HEADERS, END_HEADERS, stream(number), &headers());
        [
            headers,
            frame(RST_STREAM, 0, stream(number), &8_u32.to_be_bytes()),
        ]
        .concat()
    };
    flood(address, Vec::new(), reset).await;
    works().await;
    // Headers that never end.
    let begin = frame(HEADERS, 0, 1, &headers());
    let more = |number: u32| frame(CONTINUATION, 0, 1, &field("x", &number.to_string()));
    flood(address, begin.clone(), more).await;
    flood(address, begin, |_| frame(CONTINUATION, 0, 1, &[])).await;
    works().await;
    // Frames that the node answers.
    flood(address, Vec::new(), |_| {
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])
    })
    .await;
    flood(address, Vec::new(), |number| {
        frame(PING, 0, 0, &u64::from(number).to_be_bytes())
    })
    .await;
    works().await;
    // Frames without content.
    let call = frame(HEADERS, END_HEADERS, 1, &headers());
    flood(address, call.clone(), |_| frame(DATA, 0, 1, &[])).await;
    flood(address, Vec::new(), |number| {
        frame(PRIORITY, 0, stream(number), &[0, 0, 0, 0, 16])
    })
    .await;
    works().await;
    // Windows that overflow, and calls that never send a message.
    flood(address, call, |_| {
        frame(WINDOW_UPDATE, 0, 1, &0x7fff_ffff_u32.to_be_bytes())
    })
    .await;
    flood(address, Vec::new(), |number| {
        frame(HEADERS, END_HEADERS, stream(number), &headers())
    })
    .await;
    works().await;
    let resident = super::memory::resident_mib(&server);
    assert!(resident < BOUND_MIB, "{resident} MiB");
}
