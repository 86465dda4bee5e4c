//! A client of HTTP/1.1 that sends exactly what a test writes.

use std::net::SocketAddr;

use cidery::Value;
use cidery::codec::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::support::PATIENCE;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case, without the status line.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header; the names are in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        json::read(self.body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The reason of a problem, whose other members it checks.
    pub(crate) fn reason(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], i64::from(self.status).into());
        assert_eq!(problem["cid"], self.header("cidery-cid").into());
        let reason = text(&problem["reason"]);
        assert_eq!(
            problem["type"],
            format!("urn:cidery:reason:{reason}").into()
        );
        reason
    }

    /// The paths of the violations of a problem.
    pub(crate) fn paths(&self) -> Vec<String> {
        let problem = self.json();
        let Value::List(violations) = &problem["violations"] else {
            panic!("{self:?}");
        };
        violations.iter().map(|one| text(&one["path"])).collect()
    }
}

/// A value that is text.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?} is no text"),
    }
}

/// A connection.
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).await.unwrap();
    }

    /// A line of the answer, without its end; `None` at the end of the connection.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_line(&mut line)).await;
        let read = read.expect("no answer").unwrap();
        (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The status and the headers of the next answer.
    pub(crate) async fn head(&mut self) -> Answer {
        let first = self.line().await.expect("the connection is closed");
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let mut head = String::new();
        while let Some(line) = self.line().await.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            head.push_str(&format!("{}: {value}\n", name.to_ascii_lowercase()));
        }
        Answer {
            status,
            head,
            body: String::new(),
        }
    }

    /// The next answer, of a request with a method.
    pub(crate) async fn answer(&mut self, method: &str) -> Answer {
        let mut answer = self.head().await;
        let mut body = Vec::new();
        if let Some(length) = answer.header("content-length")
            && method != "HEAD"
        {
            body.resize(length.parse().unwrap(), 0);
            let read = tokio::time::timeout(PATIENCE, self.0.read_exact(&mut body)).await;
            read.expect("no body").unwrap();
        } else if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await {
                body.extend(chunk);
            }
        }
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    /// The next chunk of a body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line().await?;
        let size = usize::from_str_radix(&size, 16).unwrap();
        let mut chunk = vec![0; size];
        self.0.read_exact(&mut chunk).await.unwrap();
        self.line().await;
        (size > 0).then_some(chunk)
    }

    /// Sends a request with headers and a body, and reads its answer.
    pub(crate) async fn call(&mut self, request: &str, headers: &[&str], body: &str) -> Answer {
        let mut head = format!("{request} HTTP/1.1\r\nhost: localhost\r\n");
        for header in headers {
            head.push_str(&format!("{header}\r\n"));
        }
        let method = request.split(' ').next().unwrap();
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        self.send(format!("{head}\r\n{body}")).await;
        self.answer(method).await
    }
}

/// One request on a connection of its own.
pub(crate) async fn call(
    address: SocketAddr,
    request: &str,
    headers: &[&str],
    body: &str,
) -> Answer {
    Client::connect(address)
        .await
        .call(request, headers, body)
        .await
}
