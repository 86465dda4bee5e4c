//! A worker whose node does not resume its session connects without it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_request::Message;
use cidery::codec::proto::v1::serve_response::Message as Answer;
use cidery::codec::proto::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use cidery::codec::status::to_status;
use cidery::{Error, Worker};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::Stream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::support::raw::spawn;
use crate::support::{PATIENCE, any_port};

type Outbox = UnboundedSender<Result<v1::ServeResponse, Status>>;
type Answers = Pin<Box<dyn Stream<Item = Result<v1::ServeResponse, Status>> + Send>>;

/// A node that refuses to resume. Each first stream ends after the welcome.
struct Forgetful {
    sessions: UnboundedSender<String>,
    open: Arc<Mutex<Vec<Outbox>>>,
}

#[tonic::async_trait]
impl WorkerService for Forgetful {
    type ServeStream = Answers;

    async fn serve(
        &self,
        request: Request<Streaming<v1::ServeRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let first = request.into_inner().message().await?.unwrap().message;
        let Some(Message::Hello(hello)) = first else {
            panic!("{first:?}");
        };
        let mut open = self.open.lock().unwrap();
        let _ = self.sessions.send(hello.session.clone());
        if !hello.session.is_empty() {
            let error = Error::invalid_argument("RESUME_MISMATCH", "other services");
            return Err(to_status(&error));
        }
        let (answers, stream) = unbounded_channel();
        let welcome = Answer::Welcome(v1::Welcome {
            session: "secret".to_owned(),
            ..v1::Welcome::default()
        });
        let _ = answers.send(Ok(v1::ServeResponse {
            message: Some(welcome),
            ..v1::ServeResponse::default()
        }));
        // Only the second welcome stays: the first stream breaks.
        if open.is_empty() {
            let _ = answers.send(Err(Status::unavailable("broken")));
        }
        open.push(answers);
        let stream = tokio_stream::wrappers::UnboundedReceiverStream::new(stream);
        Ok(Response::new(Box::pin(stream)))
    }
}

async fn next(sessions: &mut UnboundedReceiver<String>) -> String {
    let next = tokio::time::timeout(PATIENCE, sessions.recv()).await;
    next.expect("the worker does not connect").unwrap()
}

#[tokio::test]
async fn a_worker_that_is_not_resumed_connects_anew() {
    let (sent, mut sessions) = unbounded_channel();
    let node = Forgetful {
        sessions: sent,
        open: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind(any_port()).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::builder().add_service(WorkerServiceServer::new(node));
    let server = spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let worker = Worker::builder().service("a.task", async || {});
    let worker = worker.connect(&address).await.unwrap();
    for expected in ["", "secret", ""] {
        assert_eq!(next(&mut sessions).await, expected);
    }
    drop(worker);
    server.abort();
}
