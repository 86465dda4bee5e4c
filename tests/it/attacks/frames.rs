//! Floods of HTTP/2 frames, written by hand: what no client library sends.
//!
//! `CIDERY_FLOOD_FRAMES` is the number of frames of each flood (default: 20 000).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::memory::cpu_time;
use crate::support::PATIENCE;
use crate::support::binary::Server;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Frame types (RFC 9113, section 6).
const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_HEADERS: u8 = 4;

/// Error codes (RFC 9113, section 7).
const NO_ERROR: u32 = 0;
const ENHANCE_YOUR_CALM: u32 = 11;

/// How much is written at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// A node that takes so many bytes of frames whose answers are not read takes any number.
const MAX_UNREAD_BYTES: usize = 64 * 1024 * 1024;
/// How many other calls are answered while a frame waits to be read.
const OTHER_CALLS: usize = 100;

/// The deadline of each of the other calls, on a busy machine.
const OTHER_TIMEOUT: Duration = Duration::from_secs(20);

/// The memory that a node may have after all floods, in MiB.
const BOUND_MIB: usize = 128;

/// The CPU time that a frame may cost, of a debug build on a busy machine.
const MAX_CPU_OF_A_FRAME: Duration = Duration::from_micros(500);

fn frames() -> u32 {
    let frames = std::env::var("CIDERY_FLOOD_FRAMES");
    frames.map_or(20_000, |frames| frames.parse().unwrap())
}

/// A frame (RFC 9113, section 4.1).
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header field, literal and not indexed (RFC 7541, section 6.2.2), without Huffman codes.
pub(super) fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    let mut field = vec![0, length(name)];
    field.extend(name.as_bytes());
    field.push(length(value));
    field.extend(value.as_bytes());
    field
}

/// The headers of a call.
pub(super) fn headers() -> Vec<u8> {
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

/// How a flood ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The node took all frames.
    Taken,
    /// The node closed the connection, with this error code (RFC 9113, section 7).
    GoAway(u32),
    /// The node closed the connection without a GOAWAY that arrived: what it had not read reset the connection.
    Closed,
}

impl End {
    /// Whether the node had enough of it. A GOAWAY that the reset of the connection overtakes does not arrive.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::GoAway(ENHANCE_YOUR_CALM) | Self::Closed)
    }
}

/// Writes frames in chunks. Each chunk makes progress within the patience of the test, however many there are.
async fn write_all(
    writer: &mut OwnedWriteHalf,
    first: &[u8],
    next: impl Fn(u32) -> Vec<u8>,
) -> std::io::Result<()> {
    let mut chunk = [PREFACE, &frame(SETTINGS, 0, 0, &[]), first].concat();
    for number in 0..frames() {
        chunk.extend(next(number));
        if chunk.len() >= CHUNK_BYTES || number + 1 == frames() {
            let write = tokio::time::timeout(PATIENCE, writer.write_all(&chunk));
            write.await.expect("the node neither reads nor closes")?;
            chunk.clear();
        }
    }
    Ok(())
}

/// Reads frames until the connection ends; returns the error code of the last GOAWAY.
async fn read_all(reader: OwnedReadHalf) -> Option<u32> {
    let mut reader = BufReader::new(reader);
    let (mut header, mut code) = ([0; 9], None);
    while reader.read_exact(&mut header).await.is_ok() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        if reader.read_exact(&mut payload).await.is_err() {
            break;
        }
        if header[3] == GOAWAY {
            code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
    code
}

/// Sends a flood after the preface, and reads until the node closes the connection or has taken the flood.
async fn flood(address: SocketAddr, first: Vec<u8>, next: impl Fn(u32) -> Vec<u8>) -> End {
    let stream = TcpStream::connect(address).await.unwrap();
    let (reader, mut writer) = stream.into_split();
    let reads = tokio::time::timeout(PATIENCE * frames().div_ceil(20_000), read_all(reader));
    let sends = async {
        let sent = write_all(&mut writer, &first, next).await;
        sent.and(writer.shutdown().await)
    };
    let (sent, code) = tokio::join!(sends, reads);
    let code = code.expect("the node neither answers nor closes");
    match (code, sent) {
        (Some(code), _) if code != NO_ERROR => End::GoAway(code),
        (_, Ok(())) => End::Taken,
        (_, Err(_)) => End::Closed,
    }
}

/// Prints what a flood costs the node, for the table of `docs/reliability.md`, and bounds its CPU time. Other callers
/// are answered meanwhile, within their deadlines.
#[expect(clippy::print_stdout, reason = "the table of `docs/reliability.md`")]
async fn measured(
    server: &Server,
    works: &impl AsyncFn(),
    what: &str,
    flood: impl Future<Output = End>,
) -> End {
    let before = cpu_time(server);
    let mut flood = std::pin::pin!(flood);
    let mut calls = 0;
    let end = loop {
        tokio::select! {
            end = &mut flood => break end,
            () = works() => calls += 1,
        }
    };
    works().await;
    let cpu = cpu_time(server) - before;
    let resident = super::memory::resident_mib(server);
    println!("{what}: {cpu:?} of CPU, {calls} other calls, {resident} MiB resident, {end:?}");
    assert!(cpu < MAX_CPU_OF_A_FRAME * frames(), "{what}: {cpu:?}");
    end
}

/// Sends a frame again and again, whose answers are not read, until the node no longer reads or has closed the
/// connection; returns how many bytes it took. While a chunk waits, other calls are answered: a node that has answered
/// them would have read what it wants to read.
async fn flood_unread(address: SocketAddr, frame: &[u8], works: &impl AsyncFn()) -> usize {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let start = [PREFACE, &self::frame(SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&start).await.unwrap();
    let chunk = frame.repeat(CHUNK_BYTES / frame.len());
    let mut taken = 0;
    while taken < MAX_UNREAD_BYTES {
        let others = async {
            for _ in 0..OTHER_CALLS {
                works().await;
            }
        };
        tokio::select! {
            biased;
            written = stream.write_all(&chunk) => match written {
                Ok(()) => taken += chunk.len(),
                Err(_) => break,
            },
            () = others => break,
        }
    }
    taken
}

/// Odd stream IDs belong to clients.
fn stream(number: u32) -> u32 {
    number * 2 + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_neither_stop_the_node_nor_fill_its_memory() {
    // As few as may be: however long a busy machine takes for a flood, it is one.
    let server = Server::start(&["--limit", "control_frames=100"]);
    let address: SocketAddr = server.address.parse().unwrap();
    let client = ContractClient::connect(&server.address).await.unwrap();
    let works = async || {
        let mut call = Call::new("cidery.ping", ());
        call.timeout = Some(OTHER_TIMEOUT);
        drop(client.invoke(call).await.unwrap());
    };
    let flood = async |what, first: Vec<u8>, next: &dyn Fn(u32) -> Vec<u8>| {
        measured(&server, &works, what, flood(address, first, next)).await
    };
    // Each call is reset as soon as it is sent.
    let reset = |number| {
        let headers = frame(HEADERS, END_HEADERS, stream(number), &headers());
        [
            headers,
            frame(RST_STREAM, 0, stream(number), &8_u32.to_be_bytes()),
        ]
        .concat()
    };
    let end = flood("rapid reset", Vec::new(), &reset).await;
    assert!(end.is_refusal(), "resets: {end:?}");
    // Headers that never end.
    let begin = frame(HEADERS, 0, 1, &headers());
    let more = |number: u32| frame(CONTINUATION, 0, 1, &field("x", &number.to_string()));
    let end = flood("headers without end", begin.clone(), &more).await;
    assert!(end.is_refusal(), "headers without end: {end:?}");
    let empty = |_| frame(CONTINUATION, 0, 1, &[]);
    let end = flood("empty CONTINUATION", begin, &empty).await;
    assert!(end.is_refusal(), "empty continuations: {end:?}");
    // Frames that the node answers.
    let settings = |_| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]);
    let end = flood("SETTINGS", Vec::new(), &settings).await;
    assert_eq!(end, End::Closed, "settings");
    let ping = |number| frame(PING, 0, 0, &u64::from(number).to_be_bytes());
    let end = flood("PING", Vec::new(), &ping).await;
    assert_eq!(end, End::Closed, "pings");
    // Frames without content.
    let call = frame(HEADERS, END_HEADERS, 1, &headers());
    let data = |_| frame(DATA, 0, 1, &[]);
    let end = flood("empty DATA", call.clone(), &data).await;
    assert!(end.is_refusal(), "empty data: {end:?}");
    let priority = |number| frame(PRIORITY, 0, stream(number), &[0, 0, 0, 0, 16]);
    let end = flood("PRIORITY", Vec::new(), &priority).await;
    assert_eq!(end, End::Closed, "priorities");
    // Windows that overflow, of one call or of many; windows that grow by a byte; and calls that never send a message.
    let window = |_| frame(WINDOW_UPDATE, 0, 1, &0x7fff_ffff_u32.to_be_bytes());
    let end = flood("WINDOW_UPDATE", call, &window).await;
    assert_eq!(end, End::Closed, "window updates");
    let overflow = |number| {
        let headers = frame(HEADERS, END_HEADERS, stream(number), &headers());
        let window = 0x7fff_ffff_u32.to_be_bytes();
        let window = frame(WINDOW_UPDATE, 0, stream(number), &window);
        [headers, window].concat()
    };
    let end = flood("WINDOW_UPDATE of each call", Vec::new(), &overflow).await;
    assert!(end.is_refusal(), "windows of many calls: {end:?}");
    let byte = |_| frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
    let end = flood("WINDOW_UPDATE by a byte", Vec::new(), &byte).await;
    assert_eq!(end, End::Closed, "window updates by a byte");
    let open = |number| frame(HEADERS, END_HEADERS, stream(number), &headers());
    let end = flood("calls without a message", Vec::new(), &open).await;
    assert!(end.is_refusal(), "calls without a message: {end:?}");
    // Frames whose answers are not read.
    for (what, frame) in [
        ("settings", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])),
        ("pings", frame(PING, 0, 0, &[0; 8])),
    ] {
        let taken = flood_unread(address, &frame, &works).await;
        assert!(taken < MAX_UNREAD_BYTES, "{what}: {taken} bytes");
    }
    let resident = super::memory::resident_mib(&server);
    assert!(resident < BOUND_MIB, "{resident} MiB");
}
