//! A raw HTTP/2 client: sends requests that no gRPC library would, and ignores its own deadline.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use cidery::Error;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use tokio::net::TcpStream;

pub(crate) const INVOKE: &str = "/cidery.v1.InvocationService/Invoke";

/// A connection.
pub(crate) struct Raw(SendRequest<Bytes>);

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http_status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    /// A header or trailer.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.headers.get(name).or_else(|| self.trailers.get(name));
        found.map(|value| value.to_str().unwrap())
    }

    /// The failure in the response.
    pub(crate) fn error(&self) -> Error {
        let mut all = self.headers.clone();
        all.extend(self.trailers.clone());
        let status = tonic::Status::from_header_map(&all).unwrap();
        super::error_of(&status)
    }
}

/// A length-prefixed gRPC message.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::connect_with_window(address, 1 << 24).await
    }

    /// A client whose streams have a flow-control window of so many bytes for responses.
    pub(crate) async fn connect_with_window(address: SocketAddr, window: u32) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(window)
            .initial_connection_window_size(1 << 24);
        let (send, connection) = builder.handshake(stream).await.unwrap();
        spawn(async move {
            let _ = connection.await;
        });
        Self(send.ready().await.unwrap())
    }

    /// Starts a call; the test sends the body.
    pub(crate) fn begin(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request = Request::post(format!("http://test{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.0
            .send_request(request.body(()).unwrap(), false)
            .unwrap()
    }

    /// Sends any request.
    pub(crate) async fn send(&mut self, request: Request<()>, body: Bytes) -> Answer {
        answer(self.start(request, body)).await
    }

    /// Sends any request, without waiting for its response.
    pub(crate) fn start(&mut self, request: Request<()>, body: Bytes) -> ResponseFuture {
        let (response, mut send) = self.0.send_request(request, false).unwrap();
        // A server may respond before it has read the whole request.
        let _ = send.send_data(body, true);
        response
    }

    /// Makes a whole call.
    pub(crate) async fn call(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Answer {
        let (response, mut send) = self.begin(path, headers);
        // A server may respond before it has read the whole request.
        let _ = send.send_data(body, true);
        answer(response).await
    }
}

/// Reads a response to its end.
pub(crate) async fn answer(response: ResponseFuture) -> Answer {
    let response = response.await.unwrap();
    let http_status = response.status().as_u16();
    let (parts, mut stream) = response.into_parts();
    drain(&mut stream).await;
    let trailers = stream.trailers().await.ok().flatten().unwrap_or_default();
    Answer {
        http_status,
        headers: parts.headers,
        trailers,
    }
}

async fn drain(stream: &mut RecvStream) {
    while let Some(Ok(data)) = stream.data().await {
        let _ = stream.flow_control().release_capacity(data.len());
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no `Tasks`")]
pub(crate) fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(task)
}
