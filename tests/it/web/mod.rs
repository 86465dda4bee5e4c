//! gRPC methods in other protocols: Connect with JSON and protobuf, gRPC-Web, and clients generated for them.

mod access;
mod clients;
mod connect;
mod grpc_web;
mod openapi;
mod page;
mod streams;

use std::net::SocketAddr;

use cidery::Value;
use cidery::codec::json;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;

use crate::support::PATIENCE;

/// An answer over HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        json::read(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn get(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        let value = value.unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.to_str().unwrap()
    }

    /// The `ErrorInfo` in the details of an error.
    fn reason(&self) -> String {
        let details = self.json()["details"]
            .as_list()
            .unwrap_or_default()
            .to_vec();
        let info = details
            .iter()
            .find(|it| it["type"] == "google.rpc.ErrorInfo".into());
        let info = info.unwrap_or_else(|| panic!("no reason: {}", self.json_text()));
        info["debug"]["reason"].as_text().unwrap().to_owned()
    }

    fn json_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a request with a body.
pub(crate) async fn post(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    send(address, "POST", path, headers, body).await
}

/// Sends a request on a connection of its own.
async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // The node may answer, and close, before it has read all.
        let _ = stream.write_all(body).await;
        read(&mut BufReader::new(stream)).await
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap()
}

/// Calls a method with JSON.
async fn call(address: SocketAddr, method: &str, body: &str) -> Answer {
    let headers = [("content-type", "application/json")];
    post(address, &format!("/{method}"), &headers, body.as_bytes()).await
}

async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    line.trim_end().to_owned()
}

async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> Answer {
    let status = line(stream).await;
    let status = status.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    loop {
        let line = line(stream).await;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        let name = HeaderName::try_from(name).unwrap();
        headers.append(name, HeaderValue::try_from(value).unwrap());
    }
    let mut body = Vec::new();
    match headers.get("content-length") {
        _ if status == 304 => {}
        Some(length) => {
            body.resize(length.to_str().unwrap().parse().unwrap(), 0);
            stream.read_exact(&mut body).await.unwrap();
        }
        None => loop {
            let size = usize::from_str_radix(&line(stream).await, 16).unwrap();
            let start = body.len();
            body.resize(start + size, 0);
            stream.read_exact(&mut body[start..]).await.unwrap();
            assert_eq!(line(stream).await, "");
            if size == 0 {
                break;
            }
        },
    }
    Answer {
        status,
        headers,
        body,
    }
}

/// The messages of a body in envelopes, with their flags.
fn messages(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut messages = Vec::new();
    while let Some((&[flags, a, b, c, d], rest)) = body.split_first_chunk() {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let (message, rest) = rest.split_at(length);
        messages.push((flags, message.to_vec()));
        body = rest;
    }
    assert!(body.is_empty());
    messages
}

/// A message in an envelope.
fn enveloped(flags: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flags], &length[..], message].concat()
}
