//! A worker on the generated code alone: it sends exactly the messages of the test.

use std::net::SocketAddr;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_request::Message;
use cidery::codec::proto::v1::serve_response::Message as Inbound;
use cidery::codec::proto::v1::worker_service_client::WorkerServiceClient;
use cidery::codec::struct_pb;
use cidery::{Dict, Error};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::{PATIENCE, error_of};

pub(crate) struct RawWorker {
    channel: Channel,
    outbox: mpsc::UnboundedSender<v1::ServeRequest>,
    inbound: Streaming<v1::ServeResponse>,
    pub(crate) welcome: v1::Welcome,
}

/// A hello with one service without a declaration.
pub(crate) fn hello(service: &str) -> v1::Hello {
    v1::Hello {
        name: "raw".to_owned(),
        services: vec![v1::ServiceDeclaration {
            name: service.to_owned(),
            ..v1::ServiceDeclaration::default()
        }],
        max_in_flight: 10,
        ..v1::Hello::default()
    }
}

impl RawWorker {
    /// Opens a stream, and sends a first message.
    pub(crate) async fn open(
        address: SocketAddr,
        first: Option<Message>,
    ) -> Result<Streaming<v1::ServeResponse>, Error> {
        let (outbox, stream) = Self::dial(Self::channel(address).await);
        if let Some(first) = first {
            let _ = outbox.send(v1::ServeRequest {
                message: Some(first),
                ..v1::ServeRequest::default()
            });
        }
        drop(outbox);
        stream.await
    }

    /// Opens a stream, sends nothing, and waits for the answer of the node.
    pub(crate) async fn silent(address: SocketAddr) -> Result<Streaming<v1::ServeResponse>, Error> {
        let (_outbox, stream) = Self::dial(Self::channel(address).await);
        stream.await
    }

    /// Opens another stream on the same connection.
    pub(crate) async fn open_another(
        &self,
        hello: v1::Hello,
    ) -> Result<Streaming<v1::ServeResponse>, Error> {
        let (outbox, stream) = Self::dial(self.channel.clone());
        let _ = outbox.send(v1::ServeRequest {
            message: Some(Message::Hello(hello)),
            ..v1::ServeRequest::default()
        });
        stream.await
    }

    async fn channel(address: SocketAddr) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        endpoint.connect().await.unwrap()
    }

    fn dial(
        channel: Channel,
    ) -> (
        mpsc::UnboundedSender<v1::ServeRequest>,
        impl Future<Output = Result<Streaming<v1::ServeResponse>, Error>>,
    ) {
        Self::dial_with(channel, None)
    }

    fn dial_with(
        channel: Channel,
        credential: Option<String>,
    ) -> (
        mpsc::UnboundedSender<v1::ServeRequest>,
        impl Future<Output = Result<Streaming<v1::ServeResponse>, Error>>,
    ) {
        let mut stub = WorkerServiceClient::new(channel).max_encoding_message_size(usize::MAX);
        let (outbox, outgoing) = mpsc::unbounded_channel();
        let stream = async move {
            let mut request = tonic::Request::new(UnboundedReceiverStream::new(outgoing));
            if let Some(credential) = credential {
                let credential = credential.parse().unwrap();
                request.metadata_mut().insert("authorization", credential);
            }
            let stream = stub.serve(request).await;
            stream
                .map(tonic::Response::into_inner)
                .map_err(|s| error_of(&s))
        };
        (outbox, stream)
    }

    pub(crate) async fn connect(address: SocketAddr, hello: v1::Hello) -> Self {
        Self::connect_with(address, hello, None).await.unwrap()
    }

    /// Connects with a credential, if there is one.
    pub(crate) async fn connect_with(
        address: SocketAddr,
        hello: v1::Hello,
        credential: Option<String>,
    ) -> Result<Self, Error> {
        let channel = Self::channel(address).await;
        let (outbox, stream) = Self::dial_with(channel.clone(), credential);
        let message = Some(Message::Hello(hello));
        outbox
            .send(v1::ServeRequest {
                message,
                ..v1::ServeRequest::default()
            })
            .unwrap();
        let mut inbound = stream.await?;
        let first = inbound.message().await.unwrap().unwrap().message;
        let Some(Inbound::Welcome(welcome)) = first else {
            panic!("{first:?}");
        };
        Ok(Self {
            channel,
            outbox,
            inbound,
            welcome,
        })
    }

    pub(crate) fn send(&self, message: Message) {
        let message = Some(message);
        self.outbox
            .send(v1::ServeRequest {
                message,
                ..v1::ServeRequest::default()
            })
            .unwrap();
    }

    /// Sends a whole request.
    pub(crate) fn send_request(&self, request: v1::ServeRequest) {
        self.outbox.send(request).unwrap();
    }

    /// Sends a batch of results.
    pub(crate) fn send_batch(&self, results: Vec<v1::DispatchResult>) {
        let message = None;
        self.outbox
            .send(v1::ServeRequest { message, results })
            .unwrap();
    }

    /// Receives a number of dispatches, batched or not; returns the number of messages as well.
    pub(crate) async fn dispatches(&mut self, count: usize) -> (Vec<v1::Dispatch>, usize) {
        let (mut all, mut messages) = (Vec::new(), 0);
        while all.len() < count {
            let next = tokio::time::timeout(PATIENCE, self.inbound.message()).await;
            let next = next.unwrap().unwrap().unwrap();
            messages += 1;
            all.extend(next.dispatches);
            if let Some(Inbound::Dispatch(dispatch)) = next.message {
                all.push(*dispatch);
            }
        }
        (all, messages)
    }

    /// Receives the next message; `Err` where the node ends the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Inbound>, Error> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.inbound.message()).await;
            match next.expect("the node sends nothing") {
                Ok(Some(message)) if message.message.is_none() => {}
                Ok(message) => return Ok(message.and_then(|message| message.message)),
                Err(status) => return Err(error_of(&status)),
            }
        }
    }

    /// Receives the next dispatch. Skips acknowledgements.
    pub(crate) async fn dispatch(&mut self) -> v1::Dispatch {
        loop {
            match self.next().await {
                Ok(Some(Inbound::Dispatch(dispatch))) => return *dispatch,
                Ok(Some(Inbound::Received(_))) => {}
                other => panic!("no dispatch but {other:?}"),
            }
        }
    }

    pub(crate) async fn refused(&mut self) -> v1::Refused {
        match self.next().await {
            Ok(Some(Inbound::Refused(refused))) => refused,
            other => panic!("no refusal but {other:?}"),
        }
    }

    /// Receives the report of an invalid output. Skips acknowledgements.
    pub(crate) async fn output_invalid(&mut self) -> v1::OutputInvalid {
        loop {
            match self.next().await {
                Ok(Some(Inbound::OutputInvalid(invalid))) => return invalid,
                Ok(Some(Inbound::Received(_))) => {}
                other => panic!("no report but {other:?}"),
            }
        }
    }

    /// Asserts that no message arrives within 50 ms.
    pub(crate) async fn assert_no_message(&mut self) {
        let wait = std::time::Duration::from_millis(50);
        let next = tokio::time::timeout(wait, self.inbound.message()).await;
        assert!(next.is_err(), "{next:?}");
    }

    pub(crate) fn answer(&self, token: &str, answer: &Dict) {
        let answer = struct_pb::encode_dict(answer).unwrap();
        self.send_result(v1::DispatchResult {
            token: token.to_owned(),
            outcome: Some(v1::dispatch_result::Outcome::Payload(answer)),
            ..v1::DispatchResult::default()
        });
    }

    pub(crate) fn send_result(&self, result: v1::DispatchResult) {
        self.send(Message::Result(Box::new(result)));
    }
}
