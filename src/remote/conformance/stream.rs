//! One stream of the worker, from the end of the node: sends messages, and collects what the worker sends.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::report::Fault;
use super::rules;
use crate::codec::proto::v1;
use crate::codec::proto::v1::serve_request::Message as FromWorker;
use crate::codec::proto::v1::serve_response::Message;
use crate::remote::protocol::messages::{Outbound, to_worker};

/// A stream that the node has welcomed.
#[derive(Debug)]
pub(super) struct WorkerStream {
    pub(super) hello: v1::Hello,
    inbound: Streaming<v1::ServeRequest>,
    outbox: mpsc::Sender<Outbound>,
    cut: CancellationToken,
    /// The tokens that were dispatched on this stream, or belong to it since the resume.
    dispatched: HashSet<String>,
    /// The results received, by token.
    results: HashMap<String, Vec<v1::DispatchResult>>,
    /// Whether results are acknowledged, as a node does for a worker that can resume.
    pub(super) acknowledges: bool,
    /// How the worker ended it.
    end: Option<String>,
}

impl WorkerStream {
    pub(super) fn new(
        hello: v1::Hello,
        inbound: Streaming<v1::ServeRequest>,
        outbox: mpsc::Sender<Outbound>,
        cut: CancellationToken,
    ) -> Self {
        let can_resume = hello
            .capabilities
            .contains(&i32::from(v1::Capability::Resume));
        Self {
            hello,
            inbound,
            outbox,
            cut,
            dispatched: HashSet::new(),
            results: HashMap::new(),
            acknowledges: can_resume,
            end: None,
        }
    }

    /// Sends a message. A stream that has ended is noticed by the next receive.
    pub(super) async fn send(&self, message: Message) {
        let _ = self.outbox.send(to_worker(message)).await;
    }

    /// Sends a message without content.
    pub(super) async fn send_empty(&self) {
        let _ = self.outbox.send(Ok(v1::ServeResponse::default())).await;
    }

    pub(super) async fn dispatch(&mut self, dispatch: v1::Dispatch) {
        self.expect(&dispatch.token);
        self.send(Message::Dispatch(Box::new(dispatch))).await;
    }

    /// Sends dispatches in one message.
    pub(super) async fn dispatch_batch(&mut self, dispatches: Vec<v1::Dispatch>) {
        for dispatch in &dispatches {
            self.expect(&dispatch.token);
        }
        let batch = v1::ServeResponse {
            message: None,
            dispatches,
        };
        let _ = self.outbox.send(Ok(batch)).await;
    }

    /// Marks a dispatch of an earlier stream as one that this stream answers.
    pub(super) fn expect(&mut self, token: &str) {
        self.dispatched.insert(token.to_owned());
    }

    /// Acknowledges results.
    pub(super) async fn acknowledge(&self, tokens: Vec<String>) {
        self.send(Message::Received(v1::Received { tokens })).await;
    }

    /// The results received for a token.
    pub(super) fn results(&self, token: &str) -> &[v1::DispatchResult] {
        self.results.get(token).map_or(&[], Vec::as_slice)
    }

    /// The number of these dispatches that are answered.
    pub(super) fn answered(&self, tokens: &[String]) -> usize {
        let answered = |token: &&String| !self.results(token).is_empty();
        tokens.iter().filter(answered).count()
    }

    /// Receives until all these dispatches are answered. Returns `false` where the timeout passes before.
    ///
    /// # Errors
    ///
    /// The worker ended the stream, or answered a dispatch that it never got.
    pub(super) async fn answers(
        &mut self,
        tokens: &[String],
        timeout: Duration,
    ) -> Result<bool, Fault> {
        let deadline = Instant::now() + timeout;
        while self.answered(tokens) < tokens.len() {
            match tokio::time::timeout_at(deadline, self.receive()).await {
                Ok(received) => received?,
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Receives for a time.
    ///
    /// # Errors
    ///
    /// As for [`answers`](Self::answers).
    pub(super) async fn receive_for(&mut self, time: Duration) -> Result<(), Fault> {
        let deadline = Instant::now() + time;
        while let Ok(received) = tokio::time::timeout_at(deadline, self.receive()).await {
            received?;
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<(), Fault> {
        if let Some(end) = &self.end {
            return Err(rules::STREAM_STAYS.broken(end.clone()));
        }
        let message = match self.inbound.message().await {
            Ok(Some(message)) => message,
            Ok(None) => {
                return Err(self.ended("the worker ended its stream, or its connection".to_owned()));
            }
            Err(status) => {
                let end = format!("the worker's stream broke: {}", status.message());
                return Err(self.ended(end));
            }
        };
        for result in message.results {
            self.record(result).await?;
        }
        match message.message {
            Some(FromWorker::Result(result)) => self.record(*result).await?,
            Some(FromWorker::Hello(_)) => {
                return Err(rules::ONE_HELLO.broken("another hello on the same stream"));
            }
            Some(FromWorker::Drain(_)) => self.send(Message::Drained(v1::Drained {})).await,
            _ => {}
        }
        Ok(())
    }

    fn ended(&mut self, end: String) -> Fault {
        self.end = Some(end.clone());
        rules::STREAM_STAYS.broken(end)
    }

    async fn record(&mut self, result: v1::DispatchResult) -> Result<(), Fault> {
        let token = result.token.clone();
        if self.acknowledges {
            self.acknowledge(vec![token.clone()]).await;
        }
        if !self.dispatched.contains(&token) {
            let seen = format!("a result with the token `{token}`, which was not dispatched");
            return Err(rules::TOKEN.broken(seen));
        }
        self.results.entry(token).or_default().push(result);
        Ok(())
    }

    /// Whether the worker has ended it.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Closes the TCP connection of the stream.
    pub(super) fn cut(self) {
        self.cut.cancel();
    }

    /// Ends the stream with a status.
    pub(super) async fn end(self, status: Status) {
        let _ = self.outbox.send(Err(status)).await;
    }
}
