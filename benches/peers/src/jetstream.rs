//! JetStream with a worker: a caller publishes to a stream of requests and waits for the acknowledgement. The worker
//! publishes the outcome to a stream of outcomes, waits for its acknowledgement, acknowledges the request, and tells
//! the caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_nats::jetstream::{self, Context, Message};
use async_nats::{Client, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::Mutex;

use crate::Until;
use crate::nats::{clients, connect, server};
use crate::rounds::{CUSTOMER, System};
use crate::server::Server;

/// How often the server syncs what it has written.
#[derive(Clone, Copy)]
pub(crate) enum Sync {
    /// Before each acknowledgement.
    Always,
    /// Every two minutes.
    Default,
}

pub(crate) struct JetStream {
    contexts: Vec<Context>,
    /// Of each caller, if it waits for outcomes.
    answers: Vec<Mutex<Subscriber>>,
    ended: Arc<AtomicUsize>,
    until: Until,
    server: Server,
}

impl JetStream {
    pub(crate) async fn start(until: Until, sync: Sync, callers: usize) -> anyhow::Result<Self> {
        let folder = Server::folder()?;
        let store = folder.join("store");
        let sync = match sync {
            Sync::Always => "sync_interval: always",
            Sync::Default => "",
        };
        let config = format!("jetstream {{\n  store_dir: {store:?}\n  {sync}\n}}");
        let (server, port) = server(&folder, &config).await?;
        let ended = Arc::default();
        serve(connect(port).await?, Arc::clone(&ended)).await?;
        let clients = clients(port).await?;
        let mut answers = Vec::new();
        if until == Until::Outcome {
            for caller in 0..callers {
                let client = &clients[caller % clients.len()];
                let subscriber = client.subscribe(format!("answers.{caller}")).await?;
                answers.push(Mutex::new(subscriber));
            }
        }
        for client in &clients {
            client.flush().await?;
        }
        Ok(Self {
            contexts: clients.into_iter().map(jetstream::new).collect(),
            answers,
            ended,
            until,
            server,
        })
    }
}

impl System for JetStream {
    fn server(&self) -> u32 {
        self.server.id()
    }

    async fn call(&self, caller: usize) -> anyhow::Result<()> {
        let context = &self.contexts[caller % self.contexts.len()];
        let payload = Bytes::from_static(CUSTOMER.as_bytes());
        context
            .publish(format!("requests.{caller}"), payload)
            .await?
            .await?;
        if self.until == Until::Outcome {
            let answer = self.answers[caller].lock().await.next().await;
            anyhow::ensure!(answer.is_some_and(|answer| answer.payload.len() > 100));
        }
        Ok(())
    }

    fn ended(&self) -> Option<usize> {
        Some(self.ended.load(Ordering::Relaxed))
    }
}

/// Starts the worker.
async fn serve(client: Client, ended: Arc<AtomicUsize>) -> anyhow::Result<()> {
    let context = jetstream::new(client.clone());
    let stream = |name: &str| jetstream::stream::Config {
        name: name.to_owned(),
        subjects: vec![format!("{name}.>")],
        ..Default::default()
    };
    context.create_stream(stream("outcomes")).await?;
    let requests = context.create_stream(stream("requests")).await?;
    let consumer = requests
        .create_consumer(jetstream::consumer::pull::Config {
            durable_name: Some("worker".to_owned()),
            ..Default::default()
        })
        .await?;
    let mut messages = consumer.messages().await?;
    tokio::spawn(async move {
        // The consumer bounds them: by default 1 000 messages may be unacknowledged.
        while let Some(message) = messages.next().await {
            // A heartbeat that is late on a busy machine is an error, after which messages go on.
            let Ok(message) = message else { continue };
            let (client, context) = (client.clone(), context.clone());
            let ended = Arc::clone(&ended);
            tokio::spawn(async move {
                handle(&client, &context, &message).await?;
                ended.fetch_add(1, Ordering::Relaxed);
                anyhow::Ok(())
            });
        }
    });
    Ok(())
}

async fn handle(client: &Client, context: &Context, message: &Message) -> anyhow::Result<()> {
    let value: serde_json::Value = serde_json::from_slice(&message.payload)?;
    let payload = Bytes::from(serde_json::to_vec(&value)?);
    let caller = message.subject.trim_start_matches("requests.");
    let outcome = context.publish(format!("outcomes.{caller}"), payload.clone());
    outcome.await?.await?;
    message.ack().await.map_err(anyhow::Error::msg)?;
    client.publish(format!("answers.{caller}"), payload).await?;
    Ok(())
}
